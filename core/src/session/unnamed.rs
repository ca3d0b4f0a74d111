//! A session's unnamed statement, which its client makes anew with each Parse that has no name.

use std::{rc::Rc, sync::Arc};

use super::prepared::Told;
use crate::{
    server::statements::Statement,
    sql::{Catalog, Shapes, shape::Shape},
    wire::{frame::HEADER_BYTES, frontend::Parse},
};

/// The unnamed statement of a session, kept because the next server may not have it.
#[derive(Debug, Default)]
pub struct Unnamed {
    /// Unique in this process, 0 while there is none.
    pub id: u64,
    /// The Parse message that made it.
    parse: Vec<u8>,
    /// What it is, as of the catalog of this version, if it has been looked at.
    shape: Option<(u64, Rc<Shape>)>,
    /// It is an EXECUTE of this statement, by its name on servers.
    pub executes: Option<Arc<Statement>>,
    /// What the client was told that it is like, if it has asked.
    pub told: Option<Rc<Told>>,
}

impl Unnamed {
    /// Whether this is the Parse message that made the last one, as it is for a client that asks the same again. It may be
    /// gone since.
    #[inline]
    pub fn is_of(&self, parse: &[u8]) -> bool {
        *self.parse == *parse
    }

    /// The Parse message that made it.
    pub fn parse(&self) -> &[u8] {
        &self.parse
    }

    /// What the last one is, judged by that catalog, also if it is gone since; none if there never was one.
    #[inline]
    pub fn shape(&mut self, shapes: &mut Shapes, catalog: &Catalog) -> Option<Rc<Shape>> {
        match &self.shape {
            Some((version, shape)) if *version == catalog.version() => Some(Rc::clone(shape)),
            _ => self.look_up(shapes, catalog),
        }
    }

    #[inline(never)]
    fn look_up(&mut self, shapes: &mut Shapes, catalog: &Catalog) -> Option<Rc<Shape>> {
        let parse = Parse::read(self.parse.get(HEADER_BYTES..)?)?;
        let shape = shapes.look_up(parse.text, catalog);
        self.shape = Some((catalog.version(), Rc::clone(&shape)));
        Some(shape)
    }

    /// The same Parse has made it anew.
    #[inline]
    pub fn renew(&mut self, id: u64) {
        self.id = id;
        self.told = None;
    }

    /// Another Parse has made it.
    pub fn replace(&mut self, id: u64, parse: &[u8]) {
        self.renew(id);
        self.parse.clear();
        self.parse.extend_from_slice(parse);
        self.shape = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sql::shape::SharedShapes, wire::frame};

    fn parse(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Parse { name: b"", text, types: b"\0\0" }.put_renamed(&mut out, b"");
        out
    }

    #[test]
    fn what_it_is_is_looked_up_once_for_each_text() {
        let (mut shapes, catalog) = (Shapes::new(Arc::new(SharedShapes::default())), Catalog::default());
        let mut unnamed = Unnamed::default();
        assert!(unnamed.shape(&mut shapes, &catalog).is_none(), "there never was one");

        unnamed.replace(1, &parse(b"select 1"));
        let first = unnamed.shape(&mut shapes, &catalog).unwrap();
        unnamed.renew(2);
        let again = unnamed.shape(&mut shapes, &catalog).unwrap();
        assert!(Rc::ptr_eq(&first, &again));
        assert_eq!((shapes.counters().hits, shapes.counters().misses), (0, 1));

        let changed = Catalog::from_rows([("public", "f", 'v')], []);
        let anew = unnamed.shape(&mut shapes, &changed).unwrap();
        assert!(!Rc::ptr_eq(&first, &anew), "by another catalog it may be another");

        unnamed.replace(3, &parse(b"insert into a values (1)"));
        let other = unnamed.shape(&mut shapes, &catalog).unwrap();
        assert!(first.only_reads && !other.only_reads);
    }

    #[test]
    fn another_message_made_another_one() {
        let mut unnamed = Unnamed::default();
        let made = parse(b"select $1");
        assert!(!unnamed.is_of(&made));
        unnamed.replace(1, &made);
        assert!(unnamed.is_of(&made));
        assert!(!unnamed.is_of(&parse(b"select $2")));
        assert_eq!(frame::header(unnamed.parse()).unwrap().unwrap().total, made.len());
    }
}

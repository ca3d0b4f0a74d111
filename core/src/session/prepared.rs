//! A session's own prepared statements, by the names that its client gave them.

use std::{cell::Cell, collections::HashMap, rc::Rc, sync::Arc};

use crate::{
    clock::Moment,
    server::{description::Description, statements::Statement},
    sql::{Catalog, Shapes, shape::Shape},
};

/// A statement that the client has prepared.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Text, types and the name on servers.
    pub statement: Arc<Statement>,
    /// What it is, as of `catalog_version`.
    pub shape: Option<Rc<Shape>>,
    /// The catalog that the shape was judged by.
    pub catalog_version: u64,
    /// What the client was told that it is like.
    pub told: Rc<Told>,
}

/// What a client was told of a statement, and counts on unless it asks again.
#[derive(Debug, Default)]
pub struct Told {
    last: Cell<(Description, Option<Moment>)>,
}

impl Told {
    /// As far as the client has asked.
    pub fn description(&self) -> Description {
        self.last.get().0
    }

    /// Whether it was told so before that moment, or never.
    pub fn is_before(&self, moment: Moment) -> bool {
        self.last.get().1 < Some(moment)
    }

    /// A server's answer is on its way to the client.
    pub fn hear(&self, description: Description) {
        self.last.set((description.or(self.description()), Some(Moment::now())));
    }
}

impl Prepared {
    /// A statement that nobody has looked at.
    pub fn new(statement: Arc<Statement>) -> Self {
        Self { statement, shape: None, catalog_version: 0, told: Rc::default() }
    }

    /// What it is, judged by that catalog.
    pub fn shape(&mut self, shapes: &mut Shapes, catalog: &Catalog) -> Rc<Shape> {
        if self.catalog_version == catalog.version()
            && let Some(shape) = &self.shape
        {
            return Rc::clone(shape);
        }
        let shape = shapes.look_up(&self.statement.text, catalog);
        self.shape = Some(Rc::clone(&shape));
        self.catalog_version = catalog.version();
        shape
    }
}

type ByName = HashMap<Box<[u8]>, Prepared, foldhash::fast::RandomState>;

/// By the client's names. Owns no memory until the first is prepared.
#[derive(Debug, Default)]
pub struct PreparedStatements {
    named: Option<Box<ByName>>,
}

impl PreparedStatements {
    /// Most names that one client may have; the bytes behind them are shared by all.
    pub const MAX: usize = 100_000;

    /// The statement of that name.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Prepared> {
        self.named.as_ref()?.get(name)
    }

    /// The same, to be changed.
    pub fn find_mut(&mut self, name: &[u8]) -> Option<&mut Prepared> {
        self.named.as_mut()?.get_mut(name)
    }

    /// What the client calls a statement that servers call this.
    pub fn name_of(&self, on_server: &[u8]) -> Option<&[u8]> {
        let mut all = self.named.iter().flat_map(|named| named.iter());
        all.find(|(_, prepared)| *prepared.statement.name == *on_server).map(|(name, _)| &**name)
    }

    /// Keeps a statement under a name.
    pub fn insert(&mut self, name: &[u8], prepared: Prepared) {
        self.named.get_or_insert_default().insert(name.into(), prepared);
    }

    /// Forgets a name.
    pub fn remove(&mut self, name: &[u8]) {
        if let Some(named) = &mut self.named {
            named.remove(name);
        }
    }

    /// Forgets a name, which may have to be [put back](Self::put_back).
    pub fn take(&mut self, name: &[u8]) -> Option<(Box<[u8]>, Prepared)> {
        self.named.as_mut()?.remove_entry(name)
    }

    /// It has not been closed after all.
    pub fn put_back(&mut self, name: Box<[u8]>, prepared: Prepared) {
        self.named.get_or_insert_default().insert(name, prepared);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.named = None;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.named.as_ref().map_or(0, |named| named.len())
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

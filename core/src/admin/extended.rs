//! What a console session remembers of the extended protocol, and what is in its messages.

use std::collections::HashMap;

use super::{
    command::Command,
    complaint::Complaint,
    table::{Column, Format, Formats, Row},
};
use crate::wire::{
    frontend::Bind,
    take::{Malformed, Take},
};

/// Most statements, and most portals, that a console session keeps.
pub const NAMES_MAX: usize = 256;

/// A portal: a command that waits to be run, or rows that wait to be fetched.
#[derive(Debug)]
pub struct Portal {
    /// What it runs.
    pub command: Command,
    /// How its values travel.
    pub formats: Formats,
    /// What Execute has not fetched yet, and the tag for the end; `None` before the first Execute.
    pub rest: Option<(Vec<Row>, &'static str)>,
}

/// Statements and portals by their names; the unnamed ones have the empty name.
#[derive(Debug, Default)]
pub struct Named {
    statements: HashMap<String, Command>,
    portals: HashMap<String, Portal>,
}

impl Named {
    /// Keeps a statement; only the unnamed one may be replaced.
    pub fn keep_statement(&mut self, name: String, command: Command) -> Result<(), Complaint> {
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(Complaint::StatementExists(name));
        }
        if self.statements.len() >= NAMES_MAX && !self.statements.contains_key(&name) {
            return Err(Complaint::TooManyNames(NAMES_MAX));
        }
        self.statements.insert(name, command);
        Ok(())
    }

    /// The statement of that name.
    pub fn statement(&self, name: &str) -> Result<&Command, Complaint> {
        self.statements.get(name).ok_or_else(|| Complaint::NoSuchStatement(name.to_owned()))
    }

    /// Keeps a portal; only the unnamed one may be replaced.
    pub fn keep_portal(&mut self, name: String, portal: Portal) -> Result<(), Complaint> {
        if !name.is_empty() && self.portals.contains_key(&name) {
            return Err(Complaint::PortalExists(name));
        }
        if self.portals.len() >= NAMES_MAX && !self.portals.contains_key(&name) {
            return Err(Complaint::TooManyNames(NAMES_MAX));
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    /// The portal of that name.
    pub fn portal(&mut self, name: &str) -> Result<&mut Portal, Complaint> {
        self.portals.get_mut(name).ok_or_else(|| Complaint::NoSuchPortal(name.to_owned()))
    }

    /// Forgets a statement (`S`) or a portal (`P`), if it is there.
    pub fn close(&mut self, kind: u8, name: &str) {
        if kind == b'S' {
            self.statements.remove(name);
        } else {
            self.portals.remove(name);
        }
    }

    /// Forgets the portals: the transaction that Sync ends takes them with it.
    pub fn end_transaction(&mut self) {
        self.portals.clear();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A Bind: portal, statement, and how the rows are to travel.
#[derive(Debug, PartialEq, Eq)]
pub struct Binding {
    /// The portal's name.
    pub portal: String,
    /// The statement's name.
    pub statement: String,
    /// How many values it brings; the console takes none.
    pub values: u16,
    /// How the rows are to travel.
    pub formats: Formats,
}

impl Binding {
    /// Reads the body of a Bind.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let Bind { portal, statement, rest } = Bind::read(body).ok_or(Malformed("Bind"))?;
        let mut take = Take::new(rest, "Bind");
        for _ in 0..take.u16()? {
            take.u16()?;
        }
        let values = take.u16()?;
        for _ in 0..values {
            // A NULL has the length -1 and no bytes.
            if let Ok(length) = usize::try_from(take.i32()?) {
                take.bytes(length)?;
            }
        }
        let mut formats = Vec::new();
        for _ in 0..take.u16()? {
            formats.push(match take.u16()? {
                0 => Format::Text,
                1 => Format::Binary,
                _ => return Err(Malformed("Bind")),
            });
        }
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        Ok(Self { portal: text(portal), statement: text(statement), values, formats: Formats(formats) })
    }
}

/// An Execute: the portal, and how many rows are wanted; 0 is all.
pub fn execution(body: &[u8]) -> Result<(String, usize), Malformed> {
    let mut take = Take::new(body, "Execute");
    let portal = take.text()?;
    let rows = usize::try_from(take.i32()?).unwrap_or(0);
    Ok((portal, rows))
}

/// Whether formats fit columns: none, one for all, or one for each.
pub fn fits(formats: &Formats, columns: Option<&[Column]>) -> bool {
    formats.0.len() <= 1 || formats.0.len() == columns.map_or(0, <[Column]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_says_how_rows_travel() {
        let binding = Binding::read(b"p\0s\0\0\0\0\0\0\x02\0\x01\0\0").unwrap();
        assert_eq!((binding.portal.as_str(), binding.statement.as_str(), binding.values), ("p", "s", 0));
        assert_eq!(binding.formats, Formats(vec![Format::Binary, Format::Text]));
        let with_value = Binding::read(b"\0\0\0\x01\0\0\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0").unwrap();
        assert_eq!((with_value.values, with_value.formats), (2, Formats::default()));
    }

    #[test]
    fn a_bind_cut_anywhere_is_malformed_and_nothing_worse() {
        let whole = b"\0\0\0\x01\0\0\0\x01\0\0\0\x01x\0\x01\0\x01";
        assert!(Binding::read(whole).is_ok());
        for end in 0..whole.len() {
            assert_eq!(Binding::read(&whole[..end]), Err(Malformed("Bind")), "cut at {end}");
        }
        assert_eq!(Binding::read(b"\0\0\0\0\0\0\0\x01\0\x02"), Err(Malformed("Bind")));
    }

    #[test]
    fn names_are_bounded_and_used_once() {
        let mut named = Named::default();
        named.keep_statement(String::new(), Command::Reload).unwrap();
        named.keep_statement(String::new(), Command::Empty).unwrap();
        assert_eq!(named.statement("").unwrap(), &Command::Empty);
        named.keep_statement("a".into(), Command::Reload).unwrap();
        assert!(matches!(named.keep_statement("a".into(), Command::Reload), Err(Complaint::StatementExists(_))));
        named.close(b'S', "a");
        assert!(matches!(named.statement("a"), Err(Complaint::NoSuchStatement(_))));
        for number in 1..NAMES_MAX {
            named.keep_statement(number.to_string(), Command::Reload).unwrap();
        }
        assert!(matches!(named.keep_statement("x".into(), Command::Reload), Err(Complaint::TooManyNames(_))));
    }
}

//! What a server says that a statement is like, small enough to be kept for each client that was told so.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU64,
};

use crate::wire::take::{Malformed, Take};

/// A statement's parameters and its result, each as a number that differs when they do; none while nobody has heard.
///
/// Formats are left out, because the client chooses them, and so is where a column comes from: PostgreSQL too takes a
/// result for the same when names, types and their modifiers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Description {
    parameters: Option<NonZeroU64>,
    result: Option<NonZeroU64>,
}

impl Description {
    /// That of no column (NoData).
    const NO_DATA: NonZeroU64 = NonZeroU64::MIN;

    /// Reads the body of a ParameterDescription.
    pub fn hear_parameters(&mut self, body: &[u8]) {
        self.parameters = Some(number(|hasher| body.hash(hasher)));
    }

    /// Reads the body of a RowDescription; one that is malformed says nothing.
    /// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ROWDESCRIPTION>
    pub fn hear_columns(&mut self, body: &[u8]) {
        let mut read = Ok(());
        let result = number(|hasher| read = hash_columns(body, hasher));
        self.result = read.is_ok().then_some(result);
    }

    /// Hears that there is no result.
    pub fn hear_no_data(&mut self) {
        self.result = Some(Self::NO_DATA);
    }

    /// The result is known.
    #[inline]
    pub fn has_result(&self) -> bool {
        self.result.is_some()
    }

    /// What was heard last, and of the rest what was heard before.
    pub fn or(self, before: Self) -> Self {
        Self { parameters: self.parameters.or(before.parameters), result: self.result.or(before.result) }
    }

    /// Whether a server gives this to a client that was told that; none if the server has not said.
    #[inline]
    pub fn fits(&self, told: &Self) -> Option<bool> {
        let part = |given: Option<NonZeroU64>, told: Option<NonZeroU64>| match (given, told) {
            (_, None) => Some(true),
            (None, Some(_)) => None,
            (Some(given), Some(told)) => Some(given == told),
        };
        match (part(self.parameters, told.parameters), part(self.result, told.result)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }
}

fn number(write: impl FnOnce(&mut DefaultHasher)) -> NonZeroU64 {
    let mut hasher = DefaultHasher::new();
    write(&mut hasher);
    NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MAX)
}

fn hash_columns(body: &[u8], hasher: &mut DefaultHasher) -> Result<(), Malformed> {
    let mut take = Take::new(body, "RowDescription");
    for _ in 0..take.u16()? {
        take.cstr()?.hash(hasher);
        // The table's OID and the column's number there.
        take.bytes(6)?;
        let (oid, length, modifier) = (take.u32()?, take.u16()?, take.u32()?);
        (oid, length, modifier).hash(hasher);
        // The format.
        take.bytes(2)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A RowDescription of one column.
    fn column(name: &[u8], table: u8, oid: u8, modifier: u8, format: u8) -> Vec<u8> {
        let head = [&[0, 1][..], name, &[0, 0, 0, 0, table, 0, 1]].concat();
        [&head[..], &[0, 0, 0, oid, 0, 4, 0, 0, 0, modifier, 0, format]].concat()
    }

    fn of(body: &[u8]) -> Description {
        let mut description = Description::default();
        description.hear_columns(body);
        description
    }

    #[test]
    fn a_result_is_the_same_by_names_types_and_modifiers() {
        let told = of(&column(b"a", 1, 23, 0, 0));
        assert_eq!(told, of(&column(b"a", 2, 23, 0, 1)));
        for other in [column(b"b", 1, 23, 0, 0), column(b"a", 1, 25, 0, 0), column(b"a", 1, 23, 9, 0)] {
            assert_eq!(of(&other).fits(&told), Some(false));
        }
        let mut nothing = Description::default();
        nothing.hear_no_data();
        assert_eq!(nothing.fits(&told), Some(false));
    }

    #[test]
    fn what_a_server_has_not_said_may_or_may_not_fit() {
        let mut told = of(&column(b"a", 1, 23, 0, 0));
        assert_eq!(Description::default().fits(&told), None);
        assert_eq!(Description::default().fits(&Description::default()), Some(true), "who was told nothing takes all");
        let given = told;
        told.hear_parameters(b"\0\x01\0\0\0\x17");
        assert_eq!(given.fits(&told), None);
        assert_eq!(told.fits(&given), Some(true));
        assert_eq!(given.or(told), told);
    }

    #[test]
    fn columns_that_end_too_early_say_nothing() {
        let whole = column(b"a", 1, 23, 0, 0);
        for end in 0..whole.len() {
            assert!(!of(&whole[..end]).has_result(), "cut at {end}");
        }
    }
}

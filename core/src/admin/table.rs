//! What the console answers with: columns, rows, and how both look on the wire.

use std::sync::Arc;

use crate::{
    id::Lsn,
    wire::{
        frame,
        reply::{BOOL_OID, INT4_OID, INT8_OID, NUMERIC_OID, TEXT_OID},
    },
};

/// The type of a column, as PgBouncer's console has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "PostgreSQL's words")]
pub enum Type {
    Text,
    Int4,
    Int8,
    Numeric,
    Bool,
}

impl Type {
    /// Its `oid`.
    pub fn oid(self) -> u32 {
        match self {
            Self::Text => TEXT_OID,
            Self::Int4 => INT4_OID,
            Self::Int8 => INT8_OID,
            Self::Numeric => NUMERIC_OID,
            Self::Bool => BOOL_OID,
        }
    }

    fn size_bytes(self) -> i16 {
        match self {
            Self::Text | Self::Numeric => -1,
            Self::Int4 => 4,
            Self::Int8 => 8,
            Self::Bool => 1,
        }
    }
}

/// A column's name and type.
pub type Column = (&'static str, Type);

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// Of a [`Type::Text`] column.
    Text(String),
    /// Of a [`Type::Int4`] column.
    Int4(i32),
    /// Of a [`Type::Int8`] column.
    Int8(i64),
    /// Of a [`Type::Numeric`] column.
    Numeric(u64),
    /// Of a [`Type::Bool`] column.
    Bool(bool),
}

impl Value {
    /// A number for a column of four bytes; what is too large is shown as the largest.
    pub fn int(number: impl TryInto<i32>) -> Self {
        Self::Int4(number.try_into().unwrap_or(i32::MAX))
    }

    /// A number for a column of eight bytes; what is too large is shown as the largest.
    pub fn big(number: impl TryInto<i64>) -> Self {
        Self::Int8(number.try_into().unwrap_or(i64::MAX))
    }

    /// Its text, as a client that asked for texts gets it; `None` is NULL.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            Self::Int4(number) => Some(number.to_string()),
            Self::Int8(number) => Some(number.to_string()),
            Self::Numeric(number) => Some(number.to_string()),
            Self::Bool(yes) => Some(if *yes { "t" } else { "f" }.to_owned()),
        }
    }

    /// The binary form of its type.
    fn binary(&self) -> Option<Vec<u8>> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Int4(number) => Some(number.to_be_bytes().into()),
            Self::Int8(number) => Some(number.to_be_bytes().into()),
            Self::Numeric(number) => Some(binary_numeric(*number)),
            Self::Bool(yes) => Some(vec![u8::from(*yes)]),
        }
    }

    #[cfg(test)]
    pub(super) fn fits(&self, kind: Type) -> bool {
        match self {
            Self::Null => true,
            Self::Text(_) => kind == Type::Text,
            Self::Int4(_) => kind == Type::Int4,
            Self::Int8(_) => kind == Type::Int8,
            Self::Numeric(_) => kind == Type::Numeric,
            Self::Bool(_) => kind == Type::Bool,
        }
    }
}

/// PostgreSQL's `numeric_send`: digits to the base of 10,000, the most significant first.
fn binary_numeric(mut number: u64) -> Vec<u8> {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(u16::try_from(number % 10_000).expect("a remainder is less than its divisor"));
        number /= 10_000;
    }
    let count = i16::try_from(digits.len()).expect("a number of 64 bits has five such digits");
    let (weight, sign, scale) = (count - 1, 0_u16, 0_u16);
    let mut bytes = Vec::with_capacity(8 + 2 * digits.len());
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(&weight.max(0).to_be_bytes());
    bytes.extend_from_slice(&sign.to_be_bytes());
    bytes.extend_from_slice(&scale.to_be_bytes());
    for digit in digits.into_iter().rev() {
        bytes.extend_from_slice(&digit.to_be_bytes());
    }
    bytes
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<Lsn> for Value {
    fn from(position: Lsn) -> Self {
        Self::Text(position.to_string())
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of a row, in the order of the columns.
pub type Row = Vec<Value>;

/// A result: every row has a value for every column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// How a column's values travel, as a Bind asks for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As texts.
    #[default]
    Text,
    /// In the binary form of the column's type.
    Binary,
}

/// The formats of all columns: none is all texts, one is for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats(pub Vec<Format>);

impl Formats {
    fn of(&self, column: usize) -> Format {
        match self.0.as_slice() {
            [all] => *all,
            each => each.get(column).copied().unwrap_or_default(),
        }
    }
}

/// Appends a RowDescription.
pub fn put_description(out: &mut Vec<u8>, columns: &[Column], formats: &Formats) {
    frame::put(out, b'T', |out| {
        put_count(out, columns.len());
        for (at, (name, kind)) in columns.iter().enumerate() {
            frame::put_cstr(out, name.as_bytes());
            // The table and the column of that table: none.
            out.extend_from_slice(&[0; 6]);
            out.extend_from_slice(&kind.oid().to_be_bytes());
            out.extend_from_slice(&kind.size_bytes().to_be_bytes());
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            out.extend_from_slice(&(formats.of(at) as i16).to_be_bytes());
        }
    });
}

/// Appends a DataRow.
pub fn put_row(out: &mut Vec<u8>, row: &[Value], formats: &Formats) {
    frame::put(out, b'D', |out| {
        put_count(out, row.len());
        for (at, value) in row.iter().enumerate() {
            let bytes = match formats.of(at) {
                Format::Text => value.text().map(|text| text.replace('\0', "\u{fffd}").into_bytes()),
                Format::Binary => value.binary(),
            };
            match bytes {
                Some(bytes) => {
                    let length = i32::try_from(bytes.len()).expect("our own values are small");
                    out.extend_from_slice(&length.to_be_bytes());
                    out.extend_from_slice(&bytes);
                }
                None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
            }
        }
    });
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&i16::try_from(count).expect("our own tables are narrow").to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_binary_form_that_postgresql_gives_it() {
        assert_eq!(binary_numeric(0), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(binary_numeric(42), [0, 1, 0, 0, 0, 0, 0, 0, 0, 42]);
        // 12345 is 1 * 10000 + 2345.
        assert_eq!(binary_numeric(12_345), [0, 2, 0, 1, 0, 0, 0, 0, 0, 1, 0x09, 0x29]);
    }

    #[test]
    fn a_row_comes_in_the_formats_that_were_asked_for() {
        let row = [Value::Int4(7), Value::Null, Value::from("x")];
        let mut texts = Vec::new();
        put_row(&mut texts, &row, &Formats::default());
        assert_eq!(texts, b"D\0\0\0\x14\0\x03\0\0\0\x017\xff\xff\xff\xff\0\0\0\x01x");
        let mut mixed = Vec::new();
        put_row(&mut mixed, &row, &Formats(vec![Format::Binary, Format::Text, Format::Text]));
        assert_eq!(mixed, b"D\0\0\0\x17\0\x03\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff\0\0\0\x01x");
    }

    #[test]
    fn a_description_names_types_and_formats() {
        let mut out = Vec::new();
        put_description(&mut out, &[("n", Type::Int4)], &Formats(vec![Format::Binary]));
        assert_eq!(out, b"T\0\0\0\x1a\0\x01n\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01");
    }
}

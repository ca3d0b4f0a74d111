//! The client's messages whose inside we need.

use super::{
    frame::{cstr, put, put_cstr},
    take::{Malformed, Take},
};

/// A Query's text, without its zero.
pub fn query_text(body: &[u8]) -> Option<&[u8]> {
    cstr(body).map(|(text, _)| text)
}

/// A Parse message: name, text, and the parameter types as they came (count and OIDs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Statement name; empty for the unnamed one.
    pub name: &'a [u8],
    /// SQL text.
    pub text: &'a [u8],
    /// Parameter types, on the wire's form.
    pub types: &'a [u8],
}

impl<'a> Parse<'a> {
    /// Reads the body of a Parse.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let (name, rest) = cstr(body)?;
        let (text, types) = cstr(rest)?;
        (types.len() >= 2).then_some(Self { name, text, types })
    }

    /// Appends a Parse of this statement under another name.
    pub fn put_renamed(&self, out: &mut Vec<u8>, name: &[u8]) {
        put(out, b'P', |out| {
            put_cstr(out, name);
            put_cstr(out, self.text);
            out.extend_from_slice(self.types);
        });
    }
}

/// The head of a Bind message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Portal name.
    pub portal: &'a [u8],
    /// Statement name; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Everything behind the names.
    pub rest: &'a [u8],
}

impl<'a> Bind<'a> {
    /// Reads the body of a Bind.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let (portal, rest) = cstr(body)?;
        let (statement, rest) = cstr(rest)?;
        Some(Self { portal, statement, rest })
    }

    /// The values of its parameters, without those that are NULL.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> {
        values(self.rest, "Bind")
    }

    /// How many result formats it has: none and one are for all columns.
    pub fn result_formats(&self) -> u16 {
        let mut take = Take::new(self.rest, "Bind");
        let mut skip = || {
            let formats = take.u16()?;
            take.bytes(2 * usize::from(formats))?;
            for _ in 0..take.u16()? {
                let length = take.i32()?;
                take.bytes(usize::try_from(length).unwrap_or(0))?;
            }
            take.u16()
        };
        skip().unwrap_or(0)
    }

    /// This Bind for a statement of another name, in parts that follow each other; `length` holds one of them.
    pub fn renamed<'p>(&'p self, statement: &'p [u8], length: &'p mut [u8; 4]) -> [&'p [u8]; 7] {
        let Self { portal, rest, .. } = *self;
        let bytes = 4 + portal.len() + 1 + statement.len() + 1 + rest.len();
        *length = u32::try_from(bytes).expect("a Bind under another name is hardly longer").to_be_bytes();
        [b"B", length, portal, b"\0", statement, b"\0", rest]
    }
}

/// One value of a Bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundValue<'a> {
    /// In the type's binary form, not as text.
    pub is_binary: bool,
    /// Its bytes; none for NULL.
    pub bytes: Option<&'a [u8]>,
}

impl<'a> Bind<'a> {
    /// All values in their order, with their formats. `None` if there are more than `max`, or if the message is malformed.
    pub fn bound_values(&self, max: usize) -> Option<Vec<BoundValue<'a>>> {
        self.read_bound_values(max).ok().flatten()
    }

    /// No format is text for all, one is for all, else each value has its own.
    /// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BIND>
    fn read_bound_values(&self, max: usize) -> Result<Option<Vec<BoundValue<'a>>>, Malformed> {
        let mut take = Take::new(self.rest, "Bind");
        let format_count = usize::from(take.u16()?);
        let formats = take.bytes(2 * format_count)?;
        let count = usize::from(take.u16()?);
        if count > max {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            let at = 2 * if format_count == 1 { 0 } else { index };
            let is_binary = formats.get(at..at + 2).is_some_and(|format| format != [0, 0]);
            let bytes = match take.i32()? {
                -1 => None,
                length => Some(take.bytes(usize::try_from(length).map_err(|_| Malformed("Bind"))?)?),
            };
            values.push(BoundValue { is_binary, bytes });
        }
        Ok(Some(values))
    }
}

/// The type that a Parse declares for a parameter, counted from zero; 0 when it leaves that to the server.
pub fn parameter_type(types: &[u8], index: usize) -> u32 {
    let declared = types.get(2..).unwrap_or_default().as_chunks().0.get(index);
    declared.map_or(0, |oid| u32::from_be_bytes(*oid))
}

/// The arguments of a FunctionCall, without those that are NULL, from its body.
pub fn call_values(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    // In front of them is the function's OID.
    values(body.get(4..).unwrap_or_default(), "FunctionCall")
}

/// Values behind their formats.
fn values<'a>(bytes: &'a [u8], message: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let mut take = Take::new(bytes, message);
    let formats = take.u16().and_then(|count| take.bytes(2 * usize::from(count)));
    let mut left = formats.and_then(|_| take.u16()).unwrap_or(0);
    std::iter::from_fn(move || {
        while left > 0 {
            left -= 1;
            let Ok(length) = usize::try_from(take.i32().ok()?) else { continue };
            return take.bytes(length).ok();
        }
        None
    })
}

/// What Describe and Close name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// `S` for a statement, `P` for a portal.
    pub kind: u8,
    /// Its name.
    pub name: &'a [u8],
}

impl<'a> Named<'a> {
    /// Reads the body of a Describe or a Close.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = body.split_first()?;
        let (name, _) = cstr(rest)?;
        Some(Self { kind, name })
    }
}

/// Appends a Describe (`D`) or a Close (`C`) of a statement.
pub fn put_named(out: &mut Vec<u8>, tag: u8, statement: &[u8]) {
    put(out, tag, |out| {
        out.push(b'S');
        put_cstr(out, statement);
    });
}

/// Appends a Query.
pub fn put_query(out: &mut Vec<u8>, text: &[u8]) {
    put(out, b'Q', |out| put_cstr(out, text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{Header, header};

    #[test]
    fn a_renamed_parse_keeps_text_and_types() {
        let mut out = Vec::new();
        Parse { name: b"a", text: b"select $1", types: b"\0\x01\0\0\0\x17" }.put_renamed(&mut out, b"howdah_1");
        assert_eq!(
            Parse::read(&out[5..]),
            Some(Parse { name: b"howdah_1", text: b"select $1", types: b"\0\x01\0\0\0\x17" })
        );
        assert_eq!(Parse::read(b"a\0select 1\0"), None);
    }

    #[test]
    fn a_renamed_bind_keeps_portal_and_values() {
        let mut length = [0; 4];
        let out =
            Bind { portal: b"p", statement: b"a", rest: b"\0\0\0\0\0\0" }.renamed(b"howdah_1", &mut length).concat();
        assert_eq!(header(&out), Ok(Some(Header { tag: b'B', total: out.len() })));
        assert_eq!(Bind::read(&out[5..]), Some(Bind { portal: b"p", statement: b"howdah_1", rest: b"\0\0\0\0\0\0" }));
        assert_eq!(Bind::read(b"portal\0no end"), None);
    }

    #[test]
    fn values_of_a_bind_are_read_as_far_as_they_go() {
        let rest = b"\0\x01\0\0\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\x01c\0\0";
        let values = |rest| Bind { portal: b"", statement: b"", rest }.values().map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(values(rest), [b"ab".to_vec(), b"c".to_vec()]);
        assert_eq!(values(&rest[..12]), [b"ab".to_vec()]);
        assert!(values(b"\x7f\xff").is_empty());
        let formats = |rest| Bind { portal: b"", statement: b"", rest }.result_formats();
        assert_eq!(formats(rest), 0);
        assert_eq!(formats(b"\0\0\0\x01\xff\xff\xff\xff\0\x02\0\0\0\x01"), 2);
        assert_eq!(formats(b"\0"), 0);
    }

    /// A Bind of these formats, with these values, that asks for text results.
    fn bind_rest(formats: &[u16], values: &[Option<&[u8]>]) -> Vec<u8> {
        let count = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
        let mut rest = count(formats.len()).to_vec();
        rest.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
        rest.extend(count(values.len()));
        for value in values {
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            rest.extend(length.to_be_bytes());
            rest.extend(value.unwrap_or_default());
        }
        rest.extend([0, 0]);
        rest
    }

    #[test]
    fn values_come_with_their_formats() {
        let values = [Some(&b"7"[..]), None, Some(b"")];
        let cases: [(&[u16], [bool; 3]); 4] =
            [(&[], [false; 3]), (&[0], [false; 3]), (&[1], [true; 3]), (&[0, 1, 1], [false, true, true])];
        for (formats, binary) in cases {
            let rest = bind_rest(formats, &values);
            let read = Bind { portal: b"", statement: b"", rest: &rest }.bound_values(3).unwrap();
            let expected: Vec<_> =
                values.iter().zip(binary).map(|(&bytes, is_binary)| BoundValue { is_binary, bytes }).collect();
            assert_eq!(read, expected, "{formats:?}");
        }
    }

    #[test]
    fn values_that_are_too_many_or_cut_anywhere_are_none() {
        let rest = bind_rest(&[0, 1], &[Some(b"seven"), Some(b"7")]);
        let bind = |rest| Bind { portal: b"", statement: b"", rest };
        assert_eq!(bind(&rest).bound_values(1), None);
        for end in 0..rest.len() - 2 {
            assert_eq!(bind(&rest[..end]).bound_values(2), None, "cut at {end}");
        }
        assert_eq!(bind(b"\0\0\0\x01\xff\xff\xff\xfe").bound_values(1), None, "no length is less than -1");
    }

    #[test]
    fn a_type_that_no_parse_declares_is_unknown() {
        let types = b"\0\x02\0\0\0\x17\0\0\0\x19";
        assert_eq!([0, 1, 2, usize::MAX / 4].map(|index| parameter_type(types, index)), [23, 25, 0, 0]);
        assert_eq!(parameter_type(b"", 0), 0);
    }
}

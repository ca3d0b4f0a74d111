//! Settings: what operators write in `[plugins.NAME.settings]`, read with serde.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, Unexpected, Visitor},
};

/// Reads settings. Unknown keys are errors.
pub fn parse<S: DeserializeOwned>(json: &str) -> Result<S, String> {
    let mut unknown = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(json);
    let settings = serde_ignored::deserialize(&mut reader, |path| unknown.push(path.to_string()))
        .map_err(|error| explain(&error))?;
    reader.end().map_err(|error| explain(&error))?;
    match unknown.as_slice() {
        [] => Ok(settings),
        keys => Err(format!("unknown setting `{}`", keys.join("`, `"))),
    }
}

/// serde_json ends its messages with a place in a text that the operator never wrote.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

/// A duration: a number of milliseconds, or text such as `"200ms"`, `"5s"`, `"1min"`, `"2h"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u32);

/// A size: a number of bytes, or text such as `"64MiB"` or `"16MB"` (both 1024-based, as in
/// PostgreSQL).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const DURATION_UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("min", 60_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1 << 10),
    ("KiB", 1 << 10),
    ("MB", 1 << 20),
    ("MiB", 1 << 20),
    ("GB", 1 << 30),
    ("GiB", 1 << 30),
    ("TB", 1 << 40),
    ("TiB", 1 << 40),
];

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expected = "milliseconds, or text such as \"200ms\", \"5s\" or \"1min\"";
        let millis = from.deserialize_any(Quantity { units: DURATION_UNITS, expected })?;
        let too_long = || Error::invalid_value(Unexpected::Unsigned(millis), &"at most 49 days");
        u32::try_from(millis).map(Self).map_err(|_| too_long())
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expected = "bytes, or text such as \"64MiB\"";
        from.deserialize_any(Quantity { units: SIZE_UNITS, expected }).map(Self)
    }
}

struct Quantity {
    units: &'static [(&'static str, u64)],
    expected: &'static str,
}

impl Quantity {
    fn read(&self, text: &str) -> Option<u64> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let unit = unit.trim();
        if unit.is_empty() {
            return Some(number);
        }
        let (_, factor) = self.units.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*factor)
    }
}

impl Visitor<'_> for Quantity {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        self.read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Whether a name matches a pattern in which `*` stands for any text.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Example {
        #[serde(default)]
        wait: Millis,
        #[serde(default)]
        size: Bytes,
    }

    #[test]
    fn quantities_are_numbers_or_text_with_a_unit() {
        let read = |json| parse::<Example>(json).map(|e| (e.wait.0, e.size.0));
        assert_eq!(read("{}"), Ok((0, 0)));
        assert_eq!(read(r#"{"wait": 5, "size": 7}"#), Ok((5, 7)));
        assert_eq!(read(r#"{"wait": "5s", "size": "16 MiB"}"#), Ok((5_000, 16 << 20)));
        assert_eq!(read(r#"{"wait": "1min", "size": "8kB"}"#), Ok((60_000, 8 << 10)));
        for bad in [r#"{"wait": "5 parsecs"}"#, r#"{"wait": -1}"#, r#"{"wait": "90d"}"#, r#"{"size": "x"}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        assert_eq!(parse::<Example>(r#"{"waits": 5}"#).unwrap_err(), "unknown setting `waits`");
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in
            [("*", ""), ("a*", "abc"), ("*c", "abc"), ("a*c", "ac"), ("a*b*c", "aXbYc"), ("é*", "éa")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a*", "ba"), ("a*c", "ab"), ("", "a")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}

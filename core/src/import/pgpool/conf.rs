//! Lines of pgpool-II's file: `key = value`, with `#` before a comment, quotes and units.

use super::super::{ImportError, Spot, files::Files, value::Refused};

/// One `key = value`, which may be a password.
pub(super) struct Setting {
    pub key: String,
    pub value: String,
}

/// Every setting, in order; what is set twice counts as set last.
pub(super) fn read(files: &Files<'_>) -> Result<Vec<Setting>, ImportError> {
    let contents = files.read(files.file)?;
    let mut settings: Vec<Setting> = Vec::new();
    for (index, line) in contents.split(|byte| *byte == b'\n').enumerate() {
        let spot = Spot { file: files.file.to_owned(), line: index + 1 };
        // Comments may be in any encoding.
        if matches!(line.trim_ascii_start(), [] | [b'#', ..]) {
            continue;
        }
        let refused = |what: &str| ImportError::Syntax { spot: spot.clone(), what: what.to_owned() };
        let line = String::from_utf8_lossy(line);
        let (key, value) = entry(line.trim()).map_err(refused)?;
        settings.retain(|setting| setting.key != key);
        settings.push(Setting { key: key.to_owned(), value });
    }
    Ok(settings)
}

/// The key of a line and its value.
pub(super) fn entry(line: &str) -> Result<(&str, String), &'static str> {
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    if !key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Err("not `key = value`");
    }
    let rest = rest.trim_start();
    // pgpool-II does without the sign as well.
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let (value, rest) = match rest.strip_prefix('\'') {
        Some(quoted) => quoted_value(quoted)?,
        None => {
            let end = rest.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        }
    };
    match rest.trim_start().chars().next() {
        None | Some('#') => Ok((key, value)),
        Some(_) => Err("something follows the value"),
    }
}

/// What stands before the closing quote, and what follows it. `''` and `\'` are a quote, `\\` is a
/// backslash; before anything else a backslash stays, since it is part of a regular expression.
fn quoted_value(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (letter, letters.peek().map(|(_, next)| *next)) {
            ('\'', Some('\'')) | ('\\', Some('\'' | '\\')) => value.extend(letters.next().map(|(_, next)| next)),
            ('\'', _) => return Ok((value, &text[at + 1..])),
            (letter, _) => value.push(letter),
        }
    }
    Err("a quote is not closed")
}

/// `on` and its like.
pub(super) fn flag(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "1" | "t" | "y")
}

/// A time in milliseconds; `bare_ms` is what a number without a unit counts.
pub(super) fn millis(text: &str, bare_ms: u64) -> Result<u64, Refused> {
    let (number, unit) = parts(text)?;
    let factor = match unit {
        "" => bare_ms,
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(Refused("its value is no time".to_owned())),
    };
    number.checked_mul(factor).ok_or_else(|| Refused("its value is too long".to_owned()))
}

/// A size in bytes, units as PostgreSQL's.
pub(super) fn bytes(text: &str) -> Result<u64, Refused> {
    let (number, unit) = parts(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1u64 << 40,
        _ => return Err(Refused("its value is no size".to_owned())),
    };
    number.checked_mul(factor).ok_or_else(|| Refused("its value is too large".to_owned()))
}

fn parts(text: &str) -> Result<(u64, &str), Refused> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = number.parse().map_err(|_| Refused("its value is no number".to_owned()))?;
    Ok((number, unit.trim()))
}

/// Milliseconds as a number of seconds, which our keys count.
pub(super) fn seconds(millis: u64) -> String {
    (millis as f64 / 1000.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_key_and_a_value() {
        let table = [
            ("port = 9999", ("port", "9999")),
            ("port=9999# comment", ("port", "9999")),
            ("listen_addresses = 'a, b' # comment", ("listen_addresses", "a, b")),
            ("a 'it''s' ", ("a", "it's")),
            (r"a = 'x\'y\\z\d'", ("a", r"x'y\z\d")),
            ("a = ''", ("a", "")),
            ("a =", ("a", "")),
            ("a = '#'", ("a", "#")),
            ("child_life_time = 5min", ("child_life_time", "5min")),
        ];
        for (line, (key, value)) in table {
            assert_eq!(entry(line), Ok((key, value.to_owned())), "{line}");
        }
    }

    #[test]
    fn a_bad_line_is_refused_without_its_value() {
        for line in ["= 1", "'a' = 1", "a = 'secret", "a = 'x' secret", "a = 1 2", "[a]"] {
            assert!(entry(line).is_err_and(|what| !what.contains("secret")), "{line}");
        }
    }

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(
            [millis("5", 1000), millis("5min", 1000), millis("250 ms", 1000)],
            [Ok(5_000), Ok(300_000), Ok(250)]
        );
        assert_eq!([bytes("5"), bytes("16MB"), bytes("1 kB")], [Ok(5), Ok(16 << 20), Ok(1024)]);
        assert_eq!([seconds(5_000), seconds(250)], ["5", "0.25"]);
        for bad in ["", "x", "-1", "5 parsecs", "99999999999999999999", "9999999999999999999d"] {
            assert!(millis(bad, 1).is_err() && bytes(bad).is_err(), "{bad}");
        }
    }
}

//! From values as the other programs write them to TOML that the key accepts.

use std::time::Duration;

use crate::config::Form;

/// A value for one of our keys. It may be a password, so only tests may print it.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Value {
    /// The same in TOML.
    Same(String),
    /// The nearest that the key accepts, in TOML, and what is different about it.
    Near(String, String),
    /// It says that the key is not set.
    Unset,
}

/// Why a value is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub String);

/// PgBouncer's text as a value of this form. Files are for [`Files`](super::files::Files).
pub(super) fn read(text: &str, form: &Form) -> Result<Value, Refused> {
    match form {
        Form::Flag => flag(text).map(|flag| Value::Same(flag.to_string())),
        Form::Whole { min, max } => whole(text, *min, *max),
        Form::Time { unit, min, max } => time(text, *unit, *min, *max),
        Form::Text { may_be_empty: false } | Form::File if text.is_empty() => Ok(Value::Unset),
        Form::Text { .. } | Form::File => Ok(Value::Same(string(text))),
        Form::List => Ok(Value::Same(list(text))),
        Form::Mode => integer(text).map(|mode| Value::Same(string(&format!("{mode:04o}")))),
        Form::Word(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
            let refused = || Refused(format!("it has the values {}", words.join(", ")));
            word.map(|word| Value::Same(string(word))).ok_or_else(refused)
        }
        Form::Other => Err(Refused("it is written otherwise".to_owned())),
    }
}

fn flag(text: &str) -> Result<bool, Refused> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "t" | "y" => Ok(true),
        "off" | "false" | "no" | "f" | "n" => Ok(false),
        _ => integer(text).map(|number| number != 0),
    }
}

/// As C's `strtol` reads it with base 0: `0x1f` is hexadecimal, `017` octal.
pub(super) fn integer(text: &str) -> Result<i64, Refused> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(hexadecimal), _) => (hexadecimal, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        _ => (lower.as_str(), 10),
    };
    let number = digits.bytes().all(|b| b.is_ascii_alphanumeric()).then(|| i64::from_str_radix(digits, radix).ok());
    number.flatten().map(|number| sign * number).ok_or_else(|| Refused("its value is no whole number".to_owned()))
}

fn whole(text: &str, min: u64, max: u64) -> Result<Value, Refused> {
    let number = integer(text)?;
    let near = u64::try_from(number).unwrap_or(0).clamp(min, max);
    if i128::from(near) == i128::from(number) {
        return Ok(Value::Same(near.to_string()));
    }
    Ok(Value::Near(near.to_string(), out_of_range(text, i128::from(number) < i128::from(min), &near.to_string())))
}

fn time(text: &str, unit: Duration, min: Duration, max: Duration) -> Result<Value, Refused> {
    let refused = || Refused("its value is no number".to_owned());
    let number: f64 = text.parse().map_err(|_| refused())?;
    if !number.is_finite() {
        return Err(refused());
    }
    let asked =
        Duration::try_from_secs_f64(number * unit.as_secs_f64()).unwrap_or(if number < 0.0 { min } else { max });
    let near = asked.clamp(min, max);
    let shown = (near.as_secs_f64() / unit.as_secs_f64()).to_string();
    if number >= 0.0 && near == asked {
        return Ok(Value::Same(shown));
    }
    let what = out_of_range(text, number < 0.0 || asked < min, &shown);
    Ok(Value::Near(shown, what))
}

/// What is said of a number whose nearest is another one.
fn out_of_range(text: &str, is_below: bool, nearest: &str) -> String {
    match is_below {
        true => format!("{text} is too little, the least is {nearest}"),
        false => format!("{text} is too much, the most is {nearest}"),
    }
}

/// A TOML string.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key of TOML, in quotes when it needs them.
pub(super) fn key(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare { name.to_owned() } else { string(name) }
}

/// Items between commas as a TOML array.
pub(super) fn list(text: &str) -> String {
    array(text.split(',').map(str::trim).filter(|item| !item.is_empty()))
}

/// A TOML array of strings.
pub(super) fn array<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.map(string).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML table in one line.
pub(super) fn table(entries: &[(String, String)]) -> String {
    if entries.is_empty() {
        return "{}".to_owned();
    }
    let entries: Vec<_> = entries.iter().map(|(name, value)| format!("{} = {value}", key(name))).collect();
    format!("{{ {} }}", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str) -> Result<Value, Refused> {
        Ok(Value::Same(text.to_owned()))
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let form = Form::Whole { min: 1, max: 100 };
        for (text, expected) in [("20", "20"), ("020", "16"), ("0x20", "32"), ("+7", "7")] {
            assert_eq!(read(text, &form), same(expected), "{text}");
        }
        for text in ["", "x", "1.5", "1 2", "0x", "--1", "99999999999999999999"] {
            assert!(read(text, &form).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_out_of_range_becomes_the_nearest() {
        let form = Form::Whole { min: 1, max: 100 };
        for (text, expected) in [("0", "1"), ("-1", "1"), ("101", "100")] {
            assert!(matches!(read(text, &form), Ok(Value::Near(near, _)) if near == expected), "{text}");
        }
    }

    #[test]
    fn times_keep_their_unit() {
        let form = |unit, min| Form::Time { unit, min: Duration::from_secs(min), max: Duration::from_secs(100) };
        let seconds = form(Duration::from_secs(1), 0);
        let millis = form(Duration::from_millis(1), 0);

        assert_eq!(read("15", &seconds), same("15"));
        assert_eq!(read("0.5", &seconds), same("0.5"));
        assert_eq!(read("15.0", &seconds), same("15"));
        assert_eq!(read("2500", &millis), same("2500"));
        assert!(matches!(read("1", &form(Duration::from_secs(1), 2)), Ok(Value::Near(near, _)) if near == "2"));
        assert!(matches!(read("1e9", &seconds), Ok(Value::Near(near, _)) if near == "100"));
        assert!(matches!(read("-1", &seconds), Ok(Value::Near(near, _)) if near == "0"));
        for text in ["", "5s", "nan", "inf"] {
            assert!(read(text, &seconds).is_err(), "{text}");
        }
    }

    #[test]
    fn words_flags_lists_and_modes() {
        assert_eq!(read("Transaction", &Form::Word(vec!["session", "transaction"])), same("\"transaction\""));
        assert!(read("statement", &Form::Word(vec!["session", "transaction"])).is_err());
        assert_eq!(read("1", &Form::Flag), same("true"));
        assert_eq!(read("0", &Form::Flag), same("false"));
        assert_eq!(read("off", &Form::Flag), same("false"));
        assert_eq!(read("a, b,,c ", &Form::List), same("[\"a\", \"b\", \"c\"]"));
        assert_eq!(read("", &Form::List), same("[]"));
        assert_eq!(read("0700", &Form::Mode), same("\"0700\""));
        assert_eq!(read("", &Form::Text { may_be_empty: true }), same("\"\""));
        assert_eq!(read("", &Form::Text { may_be_empty: false }), Ok(Value::Unset));
    }

    #[test]
    fn whatever_is_quoted_is_read_again_as_it_was() {
        for text in ["", "a", "a\"b\\c", "tab\tline\nend\r", "\u{0}\u{1f}\u{7f}\u{85}", "größe", "a'''b", "#[x]="] {
            let document = format!("{} = {}", key(text), string(text));
            let table: toml::Table = document.parse().unwrap_or_else(|error| panic!("{document}: {error}"));

            assert_eq!(table.iter().next(), Some((&text.to_owned(), &toml::Value::String(text.to_owned()))));
        }
    }
}

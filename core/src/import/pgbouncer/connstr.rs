//! `key=value` pairs between blanks; a value may stand in single quotes, `''` for one inside.

/// The pairs.
///
/// # Errors
/// What is wrong, without any value.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or("a connection parameter without `=`")?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err("a connection parameter without `=`");
        }
        let (value, after) = value(after.trim_start())?;
        if value.is_empty() {
            return Err("a connection parameter without a value");
        }
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

fn value(text: &str) -> Result<(String, &str), &'static str> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    loop {
        let (piece, after) = rest.split_once('\'').ok_or("a quote is not closed")?;
        value.push_str(piece);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Ok((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_alone_or_in_quotes() {
        let table: [(&str, &[(&str, &str)]); 6] = [
            ("", &[]),
            ("  host=a  port=1 ", &[("host", "a"), ("port", "1")]),
            ("host = a", &[("host", "a")]),
            ("password='it''s = x; y' user=b", &[("password", "it's = x; y"), ("user", "b")]),
            ("a='b'c=d", &[("a", "b"), ("c", "d")]),
            ("password=a=b'c", &[("password", "a=b'c")]),
        ];
        for (text, expected) in table {
            let expected: Vec<_> = expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            assert_eq!(pairs(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_pgbouncer_refuses_is_refused() {
        for text in ["host", "host a=b", "=a", "a=", "a='' b=c", "a='b", "a=' b''"] {
            assert!(pairs(text).is_err(), "{text:?}");
        }
    }
}

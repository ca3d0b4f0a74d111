//! Hints to the routing policy, written in comments.

/// A hint without a value, from `/*NO LOAD BALANCE*/`.
pub const NO_LOAD_BALANCE: &str = "no-load-balance";

/// Most hints that one text may carry; a policy names few.
const HINTS_MAX: usize = 32;

/// Adds the hints of a comment, given with its delimiters, to `hints`.
///
/// A comment is either a list of hints, `route=primary, tenant='acme'`, or none at all: one part
/// that does not fit makes it prose.
pub(super) fn collect(comment: &str, hints: &mut Vec<(String, String)>) {
    let body = body(comment);
    if is_no_load_balance(body) {
        push(hints, (NO_LOAD_BALANCE.to_owned(), String::new()));
    } else if let Some(list) = pairs(body) {
        for hint in list {
            push(hints, hint);
        }
    }
}

fn push(hints: &mut Vec<(String, String)>, hint: (String, String)) {
    // A trace context is another for each request; a shape has none.
    let is_trace = hint.0 == "traceparent" || hint.0 == "tracestate";
    if hints.len() < HINTS_MAX && !is_trace {
        hints.push(hint);
    }
}

fn body(comment: &str) -> &str {
    let inner = comment.strip_prefix("--").or_else(|| comment.strip_prefix("/*")?.strip_suffix("*/"));
    inner.unwrap_or(comment).trim()
}

fn is_no_load_balance(body: &str) -> bool {
    let mut words = body.split_ascii_whitespace();
    let expected = ["no", "load", "balance"];
    expected.iter().all(|word| words.next().is_some_and(|it| it.eq_ignore_ascii_case(word))) && words.next().is_none()
}

fn pairs(body: &str) -> Option<Vec<(String, String)>> {
    let mut rest = body;
    let mut found = Vec::new();
    loop {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if key.is_empty() || !key.chars().all(fits) {
            return None;
        }
        let (value, after) = value(after.trim_start())?;
        found.push((key.to_ascii_lowercase(), value.to_owned()));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(found);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// A value, bare or in single quotes, and what follows it.
fn value(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('\'') {
        return quoted.split_once('\'');
    }
    let end = text.find(',').unwrap_or(text.len());
    let bare = text[..end].trim_end();
    let fits = !bare.is_empty() && !bare.contains(|c: char| c.is_whitespace() || matches!(c, '=' | '\'' | '"'));
    fits.then_some((bare, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(comment: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        collect(comment, &mut found);
        found
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_list_of_pairs_is_read_bare_and_quoted() {
        assert_eq!(
            hints("/* route=primary, Tenant='Acme, Inc' */"),
            [pair("route", "primary"), pair("tenant", "Acme, Inc")]
        );
        assert_eq!(hints("-- route = replica"), [pair("route", "replica")]);
        assert_eq!(hints("/*a='',b.c=2*/"), [pair("a", ""), pair("b.c", "2")]);
        assert_eq!(hints("/*a='b',traceparent='00-1-2-3'*/"), [pair("a", "b")]);
    }

    #[test]
    fn no_load_balance_is_a_hint_however_it_is_spaced() {
        for comment in ["/*NO LOAD BALANCE*/", "/* no  load balance */", "-- No Load Balance"] {
            assert_eq!(hints(comment), [pair(NO_LOAD_BALANCE, "")], "{comment}");
        }
    }

    #[test]
    fn prose_is_no_hint() {
        for comment in [
            "/**/",
            "/* */",
            "--",
            "/* a */",
            "/* x = y + z */",
            "/* a=1; b=2 */",
            "/* if a=b then */",
            "/*=*/",
            "/* no load balance please */",
            "/* a=1, */",
            "/* a='1 */",
            "/*+ SeqScan(t) */",
        ] {
            assert_eq!(hints(comment), [], "{comment}");
        }
    }

    #[test]
    fn hints_are_bounded() {
        let comment = format!("/*{}*/", vec!["a=1"; 100].join(","));
        assert_eq!(hints(&comment).len(), HINTS_MAX);
    }
}

//! PgBouncer's `auth_file`: a user and a secret a line, each in quotes, `""` for a quote inside.
//!
//! `"user" "secret"`, whatever follows on the line is ignored, as PgBouncer does. Empty lines and lines
//! that begin with `;` or `#` are skipped.

use std::collections::BTreeMap;

use super::{
    problem::{Place, Problem},
    secret::Secret,
};

/// The users and their secrets, and what is wrong with the file. No message repeats a secret.
pub fn parse(file: &str, contents: &[u8]) -> (BTreeMap<String, Secret>, Vec<Problem>) {
    let mut users: BTreeMap<String, (Secret, usize)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, line) in contents.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let mut refuse = |column: usize, message: String| {
            let place = Place::Line { file: file.to_owned(), line: number, column };
            problems.push(Problem { place, key: "auth_file".to_owned(), message });
        };
        let Ok(line) = std::str::from_utf8(line) else {
            refuse(1, "not UTF-8".to_owned());
            continue;
        };
        match entry(line) {
            Ok(None) => {}
            Ok(Some((user, secret))) => match users.get(&user) {
                Some((other, before)) if *other != secret => {
                    refuse(1, format!("user {user:?} has another secret in line {before}"));
                }
                Some(_) => {}
                None => _ = users.insert(user, (secret, number)),
            },
            Err(wrong) => refuse(wrong.column, wrong.what.to_owned()),
        }
    }
    (users.into_iter().map(|(user, (secret, _))| (user, secret)).collect(), problems)
}

struct Wrong {
    /// Counted from 1.
    column: usize,
    what: &'static str,
}

/// The user and the secret on a line, `None` for a line that has none.
fn entry(line: &str) -> Result<Option<(String, Secret)>, Wrong> {
    let rest = line.trim_start();
    if rest.is_empty() || rest.starts_with([';', '#']) {
        return Ok(None);
    }
    let column = |rest: &str| line.chars().count() - rest.chars().count() + 1;
    let (user, after) =
        quoted(rest).ok_or_else(|| Wrong { column: column(rest), what: "expected a user name in double quotes" })?;
    if user.is_empty() {
        return Err(Wrong { column: column(rest), what: "the user name is empty" });
    }
    let rest = after.trim_start();
    let (secret, _) = quoted(rest).ok_or_else(|| Wrong {
        column: column(rest),
        what: "expected a secret in double quotes after the user name",
    })?;
    if user.contains('\0') || secret.contains('\0') {
        return Err(Wrong { column: 1, what: "contains a zero byte" });
    }
    Ok(Some((user, secret.into())))
}

/// The text in quotes at the start, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut inner = String::new();
    loop {
        let (piece, after) = rest.split_once('"')?;
        inner.push_str(piece);
        let Some(more) = after.strip_prefix('"') else {
            return Some((inner, after));
        };
        inner.push('"');
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(contents: &str) -> Vec<(String, String)> {
        let (users, problems) = parse("userlist.txt", contents.as_bytes());
        assert_eq!(problems, []);
        users.into_iter().map(|(user, secret)| (user, secret.to_string())).collect()
    }

    fn problems(contents: &str) -> Vec<String> {
        let (_, problems) = parse("userlist.txt", contents.as_bytes());
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn users_come_with_their_secrets() {
        let table = [
            ("", vec![]),
            ("; comment\n# comment\n\n  \r\n", vec![]),
            (r#""ann" "secret""#, vec![("ann", "secret")]),
            ("\"ann\" \"a\"\r\n\"bob\" \"\"\r\n", vec![("ann", "a"), ("bob", "")]),
            ("  \"ann\"\t \"md5abc\" \"2030-01-01\"", vec![("ann", "md5abc")]),
            (r#""a""b" "c""""#, vec![("a\"b", "c\"")]),
            ("\"ann\" \"x\"\n\"ann\" \"x\"\n", vec![("ann", "x")]),
            ("\"ünn\" \"; not a comment\"", vec![("ünn", "; not a comment")]),
        ];
        for (contents, expected) in table {
            let expected: Vec<_> = expected.into_iter().map(|(u, s)| (u.to_owned(), s.to_owned())).collect();
            assert_eq!(users(contents), expected, "{contents:?}");
        }
    }

    #[test]
    fn every_bad_line_is_named() {
        let contents = "ann secret\n\"ann\" secret\n\"ann\n\"\" \"x\"\n\"bob\" \"1\"\n\"bob\" \"2\"\n\"ann\" \"x\n";

        assert_eq!(
            problems(contents),
            [
                "userlist.txt:1:1: expected a user name in double quotes",
                "userlist.txt:2:7: expected a secret in double quotes after the user name",
                "userlist.txt:3:1: expected a user name in double quotes",
                "userlist.txt:4:1: the user name is empty",
                "userlist.txt:6:1: user \"bob\" has another secret in line 5",
                "userlist.txt:7:7: expected a secret in double quotes after the user name",
            ]
        );
    }

    #[test]
    fn a_line_that_is_not_text_is_named() {
        let (users, problems) = parse("u", b"\"ann\" \"x\"\n\xff\n\"bob\" \"y\"");

        assert_eq!(users.len(), 2);
        assert_eq!(problems[0].to_string(), "u:2:1: not UTF-8");
    }
}

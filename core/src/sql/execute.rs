//! Which statement a text executes, by PostgreSQL's own lexer.

use std::ops::Range;

use pg_query::protobuf::{KeywordKind, ScanToken, Token};

/// A text may be of one that executes another.
pub fn may_execute(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    [&b"execute"[..], b"create"]
        .iter()
        .any(|word| text.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word)))
}

/// A text that executes a statement of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed<'a> {
    text: &'a str,
    at: Range<usize>,
}

impl<'a> Executed<'a> {
    /// `EXECUTE name …`, or `CREATE TABLE … AS EXECUTE name …`. What PostgreSQL refuses may be taken for one.
    ///
    /// <https://www.postgresql.org/docs/current/sql-execute.html>
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let tokens = pg_query::scan_tokens(text).ok()?;
        let mut tokens = tokens.iter().filter(|token| !matches!(token.token(), Token::SqlComment | Token::CComment));
        // AS is reserved: nothing else can be named so in front of the one that matters.
        let mut may_follow = true;
        loop {
            let token = tokens.next()?;
            if may_follow && token.token() == Token::Execute {
                let at = tokens.next().filter(|name| is_name(name)).and_then(place)?;
                return Some(Self { text, at });
            }
            may_follow = token.token() == Token::As;
        }
    }

    /// The name that is meant.
    pub fn name(&self) -> String {
        let written = &self.text[self.at.clone()];
        match written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => written.to_ascii_lowercase(),
        }
    }

    /// The text with another name in its place.
    pub fn renamed(&self, name: &[u8]) -> Vec<u8> {
        let text = self.text.as_bytes();
        [&text[..self.at.start], name, &text[self.at.end..]].concat()
    }
}

/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>
fn is_name(token: &ScanToken) -> bool {
    token.token() == Token::Ident
        || matches!(token.keyword_kind(), KeywordKind::UnreservedKeyword | KeywordKind::ColNameKeyword)
}

fn place(token: &ScanToken) -> Option<Range<usize>> {
    Some(usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_where_the_parser_finds_it() {
        for (text, name) in [
            ("execute p (1)", Some("p")),
            ("EXECUTE\n P1;", Some("p1")),
            ("execute \"A\"\"b\"(2)", Some("A\"b")),
            ("execute /* execute q */ p", Some("p")),
            ("-- execute q\nexecute p", Some("p")),
            ("execute values", Some("values")),
            ("execute p((select 1 as execute))", Some("p")),
            ("create table execute as execute p", Some("p")),
            ("create table \"execute p\" as execute p", Some("p")),
            ("create table t /* as execute q */ (execute) as execute p(1)", Some("p")),
            ("create table t with (fillfactor = 70) as -- execute q\n execute p with no data", Some("p")),
            ("create table t as select 1", None),
            ("execute", None),
            ("execute 'p'", None),
            ("execute \"p", None),
        ] {
            assert_eq!(Executed::read(text.as_bytes()).map(|it| it.name()).as_deref(), name, "{text}");
        }
        let executed = Executed::read(b"create table p as execute \"P\" (1)").unwrap();
        assert_eq!(executed.renamed(b"x"), b"create table p as execute x (1)");
        assert!(may_execute(b" Execute p") && !may_execute(b"exec"));
    }
}

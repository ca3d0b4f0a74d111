//! Where a text names the statement that it executes, with PostgreSQL's own lexer.

use std::ops::Range;

use pg_query::protobuf::{KeywordKind, ScanToken, Token};

/// The place of the name in `EXECUTE name …` or `CREATE TABLE … AS EXECUTE name …`. None in other texts, of which
/// the parser knows.
///
/// <https://www.postgresql.org/docs/current/sql-execute.html>
pub fn name_at(text: &str) -> Option<Range<usize>> {
    let tokens = pg_query::scan_tokens(text).ok()?;
    let mut tokens = tokens.iter().filter(|token| !matches!(token.token(), Token::SqlComment | Token::CComment));
    // AS is reserved: nothing else can be named so in front of the one that matters.
    let mut may_follow = true;
    loop {
        let token = tokens.next()?;
        if may_follow && token.token() == Token::Execute {
            return tokens.next().filter(|name| is_name(name)).and_then(place);
        }
        may_follow = token.token() == Token::As;
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
    use super::name_at;

    #[test]
    fn the_name_is_found_where_the_parser_finds_it() {
        for (text, name) in [
            ("execute p (1)", Some("p")),
            ("EXECUTE\n P1;", Some("P1")),
            ("execute \"A\"\"b\"(2)", Some("\"A\"\"b\"")),
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
            assert_eq!(name_at(text).map(|at| &text[at]), name, "{text}");
        }
    }
}

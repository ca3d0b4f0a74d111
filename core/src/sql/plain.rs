//! Makes plain literals of those that our scanner refuses, with PostgreSQL's own lexer.
//!
//! `e'it\'s'`, `$$body$$`, `0x1F` or a plain string with a backslash take ten times as long as what
//! [`blank`](super::blank) understands, but they must not make a shape of their own for each value.

use pg_query::protobuf::Token;

/// The text with plain literals; none when the lexer refuses it, or where the change would let two
/// literals that stand side by side become one.
///
/// Bit strings become plain ones too: no fact depends on the difference.
pub(super) fn plain_literals(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut copied = 0;
    let mut after_string = false;
    for token in pg_query::scan_tokens(text).ok()? {
        let (start, end) = (usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?);
        let source = text.get(start..end)?;
        let point_follows = text.get(end..)?.starts_with('.');
        let literal = match token.token() {
            Token::SqlComment | Token::CComment => continue,
            Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst if after_string => return None,
            Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst => Some("'x'"),
            Token::Iconst | Token::Fconst if is_decimal(source) => None,
            // `0x1F.5` is two numbers, `1.5` is one.
            Token::Iconst | Token::Fconst if point_follows => return None,
            Token::Iconst | Token::Fconst => Some("1"),
            // It only follows a string with a prefix.
            Token::Uescape => return None,
            _ => None,
        };
        after_string = literal == Some("'x'");
        if let Some(literal) = literal {
            plain.push_str(text.get(copied..start)?);
            plain.push_str(literal);
            copied = end;
        }
    }
    plain.push_str(text.get(copied..)?);
    Some(plain)
}

fn is_decimal(number: &str) -> bool {
    number.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::plain_literals;

    #[test]
    fn every_literal_becomes_a_plain_one() {
        for (text, expected) in [
            (r"select e'it\'s', 'a\b', U&'\0041'", "select 'x', 'x', 'x'"),
            ("select $$a'b$$, $t$ $$ $t$", "select 'x', 'x'"),
            ("select b'1', X'1f'", "select 'x', 'x'"),
            ("select 0x1F, 1_000, 0b11, 25, 1..2, $1.5, 1e-3", "select 1, 1, 1, 25, 1..2, $1.5, 1e-3"),
            ("select a1, \"e'1'\", '1' /* 1 */ -- 'x'", "select a1, \"e'1'\", 'x' /* 1 */ -- 'x'"),
            ("select e'a'\n'b'", "select 'x'"),
        ] {
            assert_eq!(plain_literals(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_would_change_its_meaning_or_does_not_lex_is_left_alone() {
        for text in [
            "select $$a$$\n'b'",
            "select 0x1F.5",
            "select U&'a' uescape '!'",
            "select $$a$$ /* c */ e'b'",
            "select e'a",
            "select 1abc",
        ] {
            assert_eq!(plain_literals(text), None, "{text}");
        }
    }
}

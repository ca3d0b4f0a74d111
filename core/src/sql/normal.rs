//! The normalized text of a shape and its fingerprint, made with PostgreSQL's own lexer.

use pg_query::protobuf::{ScanToken, Token};

use super::hint;

/// What the lexer alone says of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Literals replaced by `$n`, comments removed, spacing made uniform.
    pub normalized: String,
    /// Found in comments.
    pub hints: Vec<(String, String)>,
}

/// None when the lexer refuses the text.
pub(super) fn scan(text: &str) -> Option<Scanned> {
    let tokens = pg_query::scan_tokens(text).ok()?;
    let mut writer =
        Writer { text, next_parameter: highest_parameter(text, &tokens) + 1, found: Scanned::default(), last: None };
    for token in &tokens {
        writer.token(token)?;
    }
    let kept = writer.found.normalized.trim_end_matches([';', ' ']).len();
    writer.found.normalized.truncate(kept);
    Some(writer.found)
}

/// Sixteen hexadecimal digits; the same for the same text in every process and version.
pub(super) fn fingerprint(text: &str) -> String {
    format!("{:016x}", fnv1a(text.as_bytes()))
}

/// FNV-1a with 64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>: no seed that could differ.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

fn slice<'a>(text: &'a str, token: &ScanToken) -> Option<&'a str> {
    text.get(usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?)
}

fn highest_parameter(text: &str, tokens: &[ScanToken]) -> u64 {
    let parameters = tokens.iter().filter(|token| token.token() == Token::Param);
    parameters
        .filter_map(|token| slice(text, token)?.get(1..)?.parse().ok())
        .max()
        .unwrap_or(0)
        .min(u64::from(u16::MAX))
}

struct Writer<'a> {
    text: &'a str,
    next_parameter: u64,
    found: Scanned,
    last: Option<ScanToken>,
}

impl Writer<'_> {
    fn token(&mut self, token: &ScanToken) -> Option<()> {
        let source = slice(self.text, token)?;
        match token.token() {
            Token::SqlComment | Token::CComment => {
                hint::collect(source, &mut self.found.hints);
                return Some(());
            }
            Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst | Token::Iconst | Token::Fconst => {
                let parameter = format!("${}", self.next_parameter);
                self.next_parameter += 1;
                self.write(token, &parameter);
            }
            _ => self.write(token, source),
        }
        Some(())
    }

    fn write(&mut self, token: &ScanToken, source: &str) {
        if self.last.as_ref().is_some_and(|last| self.wants_space(last, token, source)) {
            self.found.normalized.push(' ');
        }
        self.found.normalized.push_str(source);
        self.last = Some(*token);
    }

    fn wants_space(&self, last: &ScanToken, token: &ScanToken, source: &str) -> bool {
        let before = slice(self.text, last).unwrap_or_default();
        let tight_before = matches!(source, "," | ")" | ";" | "." | "[" | "]" | "::");
        let tight_after = matches!(before, "(" | "." | "[" | "::");
        // `count(*)` and `IN (…)` stay as they were written.
        let called = source == "(" && last.end == token.start;
        !(tight_before || tight_after || called)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(text: &str) -> String {
        scan(text).expect("lexes").normalized
    }

    #[test]
    fn literals_become_parameters_after_the_ones_there_are() {
        assert_eq!(normalized("select * from t where a = 'x' and b=-1.5"), "select * from t where a = $1 and b = - $2");
        assert_eq!(normalized("select $2, e'x', b'1', x'f', U&'x', $$d$$"), "select $2, $3, $4, $5, $6, $7");
        assert_eq!(normalized("select 1 where a = $3"), "select $4 where a = $3");
    }

    #[test]
    fn spacing_and_comments_do_not_matter() {
        let plain = normalized("select count(*), t.a::int from t where x in (1)");
        assert_eq!(plain, "select count(*), t.a::int from t where x in ($1)");
        assert_eq!(normalized("  select  count( * ) ,t . a :: int\n from t -- c\n where /* d */ x in ( 1 ) ; "), plain);
    }

    #[test]
    fn what_does_not_lex_is_nothing() {
        assert_eq!(scan("select 'x"), None);
        assert_eq!(scan("select 1abc"), None);
        assert_eq!(scan("a\0b"), None);
    }

    #[test]
    fn a_fingerprint_is_the_same_for_ever() {
        assert_eq!(fingerprint(""), "cbf29ce484222325");
        assert_eq!(fingerprint("a"), "af63dc4c8601ec8c");
        assert_eq!(fingerprint("foobar"), "85944171f73967e8");
    }
}

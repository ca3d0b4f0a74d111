//! SET and SHOW of PostgreSQL's own settings, which drivers send without being asked.

use super::Command;
use crate::admin::lexer::{Kind, Token};

/// Settings of PostgreSQL that may be shown and set here, with what they are; setting them changes nothing.
/// The server's version is ours.
const KNOWN: [(&str, &str); 27] = [
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("jit", "off"),
    ("lc_messages", "C"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "63"),
    ("search_path", ""),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", SERVER_VERSION_NUM),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("timezone", "GMT"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "off"),
    ("transaction_timeout", "0"),
];

/// What we say when asked for PostgreSQL's version, in PgBouncer's form.
pub const SERVER_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/howdah");

/// The same for those who want a number: older than any PostgreSQL, so that nobody expects its features.
const SERVER_VERSION_NUM: &str = "100";

/// A setting that drivers may ask for; the name is in lower case.
pub fn find(name: &str) -> Option<(&'static str, &'static str)> {
    KNOWN.iter().find(|(known, _)| *known == name).copied()
}

/// Settings that SQL spells with several words.
pub(super) fn of_several_words(words: &[Token<'_>]) -> Option<&'static str> {
    let are =
        |wanted: &[&str]| words.len() == wanted.len() && words.iter().zip(wanted).all(|(word, wanted)| word.is(wanted));
    if are(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
        Some("transaction_isolation")
    } else if are(&["TIME", "ZONE"]) {
        Some("timezone")
    } else {
        None
    }
}

/// `SET [SESSION | LOCAL] name { = | TO } value`, and the forms that SQL spells with words of its own.
pub(super) fn set(text: &str, words: &[Token<'_>]) -> Option<Command> {
    let value_behind = |word: &Token<'_>| text[word.end()..].trim().to_owned();
    let found = |name: &str, value: String| Some(Command::Set { name: name.to_ascii_lowercase(), value });
    match words {
        [session, what, ..] if session.is("SESSION") && what.is("CHARACTERISTICS") => {
            found("default_transaction_isolation", value_behind(what))
        }
        [transaction, ..] if transaction.is("TRANSACTION") => found("transaction_isolation", value_behind(transaction)),
        [names, ..] if names.is("NAMES") => found("client_encoding", value_behind(names)),
        [time, zone, ..] if time.is("TIME") && zone.is("ZONE") => found("timezone", value_behind(zone)),
        [scope, rest @ ..] if (scope.is("SESSION") || scope.is("LOCAL")) && !rest.is_empty() => set(text, rest),
        [name, is, _, ..] if is.kind == Kind::Sign('=') || is.is("TO") => found(&name.name()?, value_behind(is)),
        _ => None,
    }
}

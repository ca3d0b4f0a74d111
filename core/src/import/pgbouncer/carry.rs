//! What becomes of a key that has the same name in both programs, or in PgBouncer only.
//!
//! `config` is asked each time, so that a key that Howdah learns is carried over from then on.

use super::{
    super::value::{self, Refused, Value},
    instead::instead,
};
use crate::config;

/// What becomes of it.
pub(super) enum Carried {
    /// It has this value, in TOML.
    Kept(String),
    /// It has this value, and that is different.
    Changed(String, String),
    /// It is not set.
    Unset,
    /// It is gone; what to do instead.
    Dropped(String),
}

/// PgBouncer's key in `[pgbouncer]` (the empty name), `[databases]` or `[users]`.
pub(super) fn carry(table: &str, key: &str, text: &str) -> Carried {
    // Inside of a connection string, -1 is PgBouncer's word for "not set".
    if !table.is_empty() && text == "-1" {
        return Carried::Unset;
    }
    if key == "pool_mode" && text.eq_ignore_ascii_case("statement") {
        return statement_mode(table);
    }
    let Some(form) = config::form(table, key) else {
        return Carried::Dropped(instead(table, key).to_owned());
    };
    match value::read(text, &form) {
        Ok(Value::Same(value)) => match remark(key) {
            Some(what) => Carried::Changed(value, what.to_owned()),
            None => Carried::Kept(value),
        },
        Ok(Value::Near(value, what)) => Carried::Changed(value, what),
        Ok(Value::Unset) => Carried::Unset,
        Err(Refused(why)) => Carried::Dropped(why),
    }
}

/// Without it, the other modes are the nearest: what PgBouncer refuses in it, a transaction of several
/// statements, works then.
fn statement_mode(table: &str) -> Carried {
    match config::form(table, "pool_mode") {
        Some(config::Form::Word(words)) if words.contains(&"statement") => Carried::Kept("\"statement\"".to_owned()),
        _ => Carried::Changed(
            "\"transaction\"".to_owned(),
            "there is no statement mode; transactions of several statements are allowed".to_owned(),
        ),
    }
}

/// Keys that take the same values and do not mean quite the same.
fn remark(key: &str) -> Option<&'static str> {
    Some(match key {
        "ignore_startup_parameters" => {
            "what is not listed is set on the server as the client asks, where PgBouncer refuses the client"
        }
        "connect_query" => "a server on which it fails is not used, where PgBouncer only logs that",
        _ => return None,
    })
}

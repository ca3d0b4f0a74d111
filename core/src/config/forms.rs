//! What a key accepts, for whoever writes a configuration instead of reading one.

use std::time::Duration;

use super::keys::{self, Bare, Kind, elsewhere};

/// What may stand behind a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Whole {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A duration in this range.
    Time {
        /// What a number without a unit counts.
        unit: Duration,
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Text.
    Text {
        /// Whether an empty text is something else than none.
        may_be_empty: bool,
    },
    /// A list of texts.
    List,
    /// The path of a file or a directory.
    File,
    /// An octal file mode, in quotes.
    Mode,
    /// One of these words.
    Word(Vec<&'static str>),
    /// A table, or something that only Howdah has.
    Other,
}

/// The form of a key; `None` when there is no such key. `table` is empty for the top of the file, or the
/// `clusters`, `databases` or `users` whose entries have the key.
pub fn form(table: &str, key: &str) -> Option<Form> {
    let found = match table {
        "" => keys::find(&[key]),
        table => keys::find(&[table, "*", key]),
    };
    Some(match found?.kind {
        Kind::Flag => Form::Flag,
        Kind::Whole { min, max } => Form::Whole { min, max },
        Kind::Time { bare, min, max } => Form::Time { unit: unit(bare), min, max },
        Kind::Text => Form::Text { may_be_empty: true },
        Kind::Word | Kind::Name | Kind::Secret => Form::Text { may_be_empty: false },
        Kind::List => Form::List,
        Kind::File => Form::File,
        Kind::Mode => Form::Mode,
        Kind::Choice(words) => Form::Word(words()),
        _ => Form::Other,
    })
}

fn unit(bare: Bare) -> Duration {
    match bare {
        Bare::Seconds => Duration::from_secs(1),
        Bare::Milliseconds => Duration::from_millis(1),
    }
}

/// What to do instead of setting a key that PgBouncer has and we have not.
pub fn advice(table: &str, key: &str) -> Option<&'static str> {
    elsewhere::advice(table, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_form_where_it_may_stand() {
        assert_eq!(form("", "listen_port"), Some(Form::Whole { min: 1, max: 65535 }));
        assert_eq!(form("databases", "dbname"), Some(Form::Text { may_be_empty: false }));
        assert_eq!(form("users", "listen_port"), None);
        assert_eq!(form("", "no_such_key"), None);
    }

    #[test]
    fn a_bare_number_counts_what_the_reference_says() {
        let unit = |key| match form("", key) {
            Some(Form::Time { unit, .. }) => unit,
            other => panic!("{other:?}"),
        };

        assert_eq!(unit("query_timeout"), Duration::from_secs(1));
        assert_eq!(unit("tcp_user_timeout"), Duration::from_millis(1));
    }
}

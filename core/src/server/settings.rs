//! Run-time parameters that a session has set, and what it takes to give them to a server.
//!
//! Equal settings are one value in memory, so that comparing a session's with a server's is
//! comparing two pointers.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, LazyLock, Mutex},
};

/// Reported by the server but not for anybody to set.
const READ_ONLY: [&str; 6] = [
    "server_version",
    "server_encoding",
    "is_superuser",
    "session_authorization",
    "in_hot_standby",
    "integer_datetimes",
];

/// Interned settings that nobody uses are forgotten when there are more than this.
const INTERNED_MAX: usize = 4096;

static INTERNED: LazyLock<Mutex<HashSet<Settings>>> = LazyLock::new(Mutex::default);

/// Run-time parameters by name, beyond the server's defaults. Cheap to clone and to compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Settings(Arc<BTreeMap<String, String>>);

impl Settings {
    /// Settings of these names and values; names are folded to lower case, as PostgreSQL does.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::interned(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect())
    }

    fn interned(map: BTreeMap<String, String>) -> Self {
        let wanted = Self(Arc::new(map));
        let mut interned = INTERNED.lock().expect("nothing panics while it holds the set");
        if let Some(known) = interned.get(&wanted) {
            return known.clone();
        }
        if interned.len() >= INTERNED_MAX {
            interned.retain(|settings| Arc::strong_count(&settings.0) > 1);
        }
        interned.insert(wanted.clone());
        wanted
    }

    /// These settings, with one of them changed.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let name = name.to_ascii_lowercase();
        if READ_ONLY.contains(&name.as_str()) || self.0.get(&name).is_some_and(|present| present == value) {
            return self.clone();
        }
        let mut map = (*self.0).clone();
        map.insert(name, value.to_owned());
        Self::interned(map)
    }

    /// The very same settings, by pointer.
    #[inline]
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a setting, by its name in lower case.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// SQL that makes a server that has `self` have `wanted`; empty when nothing differs.
    ///
    /// `set_config` reads a value as the startup packet does, lists included, which SET does not.
    pub fn sql_towards(&self, wanted: &Self) -> String {
        let mut sql = String::new();
        for name in self.0.keys().filter(|name| !wanted.0.contains_key(*name)) {
            sql.push_str("RESET ");
            push_quoted(&mut sql, name, '"');
            sql.push(';');
        }
        let changed = wanted.0.iter().filter(|(name, value)| self.0.get(*name) != Some(value));
        for (at, (name, value)) in changed.enumerate() {
            sql.push_str(if at == 0 { "SELECT pg_catalog.set_config(" } else { ", pg_catalog.set_config(" });
            push_literal(&mut sql, name);
            sql.push_str(", ");
            push_literal(&mut sql, value);
            sql.push_str(", false)");
        }
        sql
    }
}

fn push_quoted(sql: &mut String, text: &str, quote: char) {
    // A custom parameter has a dot between two names.
    for (at, part) in text.split('.').enumerate() {
        if at > 0 {
            sql.push('.');
        }
        sql.push(quote);
        for character in part.chars() {
            if character == quote {
                sql.push(quote);
            }
            sql.push(character);
        }
        sql.push(quote);
    }
}

/// A string constant that reads the same whatever `standard_conforming_strings` is.
fn push_literal(sql: &mut String, text: &str) {
    sql.push_str(if text.contains('\\') { " E'" } else { "'" });
    for character in text.chars() {
        if character == '\'' || character == '\\' {
            sql.push(character);
        }
        sql.push(character);
    }
    sql.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_settings_are_one_value() {
        let one = Settings::new([("TimeZone", "UTC")]);
        assert!(one.same(&Settings::default().with("timezone", "UTC")));
        assert!(one.with("server_version", "18").same(&one));
        assert!(!one.with("timezone", "CET").same(&one));
    }

    #[test]
    fn only_differences_are_sent() {
        let server = Settings::new([("datestyle", "ISO"), ("my.x", "1"), ("a", "b")]);
        let client = Settings::new([("datestyle", "ISO"), ("a", "it's"), ("path", "c:\\")]);
        assert_eq!(
            server.sql_towards(&client),
            "RESET \"my\".\"x\";SELECT pg_catalog.set_config('a', 'it''s', false), pg_catalog.set_config('path',  E'c:\\\\', false)"
        );
        assert_eq!(client.sql_towards(&client), "");
    }
}

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

/// Who the session acts as, in the order in which it is set: the second is lost with a change of the first.
const IDENTITY: [&str; 2] = ["session_authorization", "role"];

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

    /// Whether a parameter that a server reports is one that a session can set.
    pub fn may_hold(name: &str) -> bool {
        !READ_ONLY.iter().any(|read_only| read_only.eq_ignore_ascii_case(name))
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
    /// The rest is set as the user who logged in: the role of the session may not be allowed to.
    pub fn sql_towards(&self, wanted: &Self) -> String {
        let mut sql = String::new();
        if self.same(wanted) {
            return sql;
        }
        for name in IDENTITY.iter().rev().filter(|name| self.0.contains_key(**name)) {
            push_reset(&mut sql, name);
        }
        let is_identity = |name: &str| IDENTITY.contains(&name);
        for name in self.0.keys().filter(|name| !wanted.0.contains_key(*name) && !is_identity(name)) {
            push_reset(&mut sql, name);
        }
        let others = wanted.0.iter().filter(|(name, value)| !is_identity(name) && self.0.get(*name) != Some(value));
        let identity = IDENTITY.iter().filter_map(|name| wanted.0.get_key_value(*name));
        for (at, (name, value)) in others.chain(identity).enumerate() {
            sql.push_str(if at == 0 { "SELECT pg_catalog.set_config(" } else { ", pg_catalog.set_config(" });
            push_literal(&mut sql, name);
            sql.push_str(", ");
            push_literal(&mut sql, value);
            sql.push_str(", false)");
        }
        sql
    }

    /// What decides which objects the names in a statement mean: statements that were prepared under
    /// different scopes are different statements.
    pub fn scope(&self) -> Arc<str> {
        static EMPTY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
        let parts = ["search_path"].iter().chain(&IDENTITY).filter_map(|name| self.0.get_key_value(*name));
        let mut scope = String::new();
        for (name, value) in parts {
            scope.push_str(name);
            scope.push('\0');
            scope.push_str(value);
            scope.push('\0');
        }
        if scope.is_empty() { Arc::clone(&EMPTY) } else { scope.into() }
    }

    /// Those whose names are wanted.
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let map = self.0.iter().filter(|(name, _)| wanted(name));
        Self::interned(map.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Whether they say who the session acts as.
    pub fn have_identity(&self) -> bool {
        IDENTITY.iter().any(|name| self.0.contains_key(*name))
    }

    /// These, with those of `beneath` that they do not have.
    pub fn over(&self, beneath: &Self) -> Self {
        if beneath.0.keys().all(|name| self.0.contains_key(name)) {
            return self.clone();
        }
        let mut map = (*beneath.0).clone();
        map.extend(self.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self::interned(map)
    }

    /// These, with some of them as a server says they are now; `None` = not set.
    pub fn corrected<'a>(&self, found: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let mut map = (*self.0).clone();
        for (name, value) in found {
            let name = name.to_ascii_lowercase();
            match value {
                _ if READ_ONLY.contains(&name.as_str()) && !IDENTITY.contains(&name.as_str()) => {}
                Some(value) => _ = map.insert(name, value.to_owned()),
                None => _ = map.remove(&name),
            }
        }
        if map == *self.0 { self.clone() } else { Self::interned(map) }
    }
}

fn push_reset(sql: &mut String, name: &str) {
    sql.push_str("RESET ");
    match name {
        "session_authorization" => sql.push_str("SESSION AUTHORIZATION"),
        _ => push_quoted(sql, name, '"'),
    }
    sql.push(';');
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

/// Appends a string constant that reads the same whatever `standard_conforming_strings` is, and whatever
/// `client_encoding`: a server that another client had may still have that client's.
pub fn push_literal(sql: &mut String, text: &str) {
    if !text.is_ascii() {
        sql.push_str("pg_catalog.convert_from(pg_catalog.decode('");
        text.bytes().for_each(|byte| sql.push_str(&format!("{byte:02x}")));
        sql.push_str("', 'hex'), 'UTF8')");
        return;
    }
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

    #[test]
    fn text_beyond_ascii_is_sent_without_any() {
        let client = Settings::new([("application_name", "\u{fc}n")]);
        assert_eq!(
            Settings::default().sql_towards(&client),
            "SELECT pg_catalog.set_config('application_name', pg_catalog.convert_from(pg_catalog.decode('c3bc6e', 'hex'), 'UTF8'), false)"
        );
    }

    #[test]
    fn a_role_is_taken_off_first_and_put_on_last() {
        let server = Settings::default().corrected([("role", Some("a")), ("x", Some("1"))]);
        let client = Settings::default().corrected([("role", Some("a")), ("search_path", Some("s"))]);
        assert_eq!(
            server.sql_towards(&client),
            "RESET \"role\";RESET \"x\";SELECT pg_catalog.set_config('search_path', 's', false), pg_catalog.set_config('role', 'a', false)"
        );
    }

    #[test]
    fn what_a_server_says_replaces_what_was_known() {
        let known = Settings::new([("a", "1"), ("b", "2")]);
        let now = known.corrected([("A", Some("3")), ("b", None), ("server_version", Some("9"))]);
        assert!(now.same(&Settings::new([("a", "3")])));
        assert!(now.over(&known).same(&Settings::new([("a", "3"), ("b", "2")])));
        assert!(known.corrected([("a", Some("1"))]).same(&known));
    }
}

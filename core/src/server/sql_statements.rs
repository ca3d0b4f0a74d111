//! Statements of SQL's own PREPARE that a session has, and what it takes to give them to a server.
//!
//! Equal sets are one value in memory, so that comparing a session's with a server's is comparing two
//! pointers. Statements of the protocol are in [`statements`](super::statements).

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, LazyLock, Mutex},
};

/// Most statements that are carried; a session with more keeps its server.
pub const STATEMENTS_MAX: usize = 100;

/// Longest text that is carried, in bytes.
pub const TEXT_MAX_BYTES: usize = 16 * 1024;

/// Interned sets that nobody uses are forgotten when there are more than this.
const INTERNED_MAX: usize = 4096;

static INTERNED: LazyLock<Mutex<HashSet<SqlStatements>>> = LazyLock::new(Mutex::default);

/// PREPARE statements as the client sent them, by the names that they give. Cheap to clone and to compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct SqlStatements(Option<Arc<BTreeMap<String, String>>>);

impl SqlStatements {
    /// A set of names and texts. `None` when they are too many or too long to be carried.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let map: BTreeMap<_, _> = pairs.into_iter().collect();
        if map.is_empty() {
            return Some(Self::default());
        }
        if map.len() > STATEMENTS_MAX || map.values().any(|text| text.len() > TEXT_MAX_BYTES) {
            return None;
        }
        let wanted = Self(Some(Arc::new(map)));
        let mut interned = INTERNED.lock().expect("nothing panics while it holds the set");
        if let Some(known) = interned.get(&wanted) {
            return Some(known.clone());
        }
        if interned.len() >= INTERNED_MAX {
            interned.retain(|set| set.0.as_ref().is_some_and(|map| Arc::strong_count(map) > 1));
        }
        interned.insert(wanted.clone());
        Some(wanted)
    }

    /// The very same set, by pointer.
    #[inline]
    pub fn same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            _ => false,
        }
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What to run, one after the other, on a server that has `self` so that it has `wanted`. The first
    /// takes away; each of the others prepares one.
    pub fn towards(&self, wanted: &Self) -> Vec<String> {
        let (empty, also_empty) = (BTreeMap::new(), BTreeMap::new());
        let mine = self.0.as_deref().unwrap_or(&empty);
        let theirs = wanted.0.as_deref().unwrap_or(&also_empty);
        let mut steps = Vec::new();
        let mut away = String::new();
        for name in mine.iter().filter(|(name, text)| theirs.get(*name) != Some(text)).map(|(name, _)| name) {
            away.push_str("DEALLOCATE \"");
            away.push_str(&name.replace('"', "\"\""));
            away.push_str("\";");
        }
        if !away.is_empty() {
            steps.push(away);
        }
        steps.extend(theirs.iter().filter(|(name, text)| mine.get(*name) != Some(text)).map(|(_, text)| text.clone()));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> SqlStatements {
        SqlStatements::new(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))).unwrap()
    }

    #[test]
    fn equal_sets_are_one_value() {
        assert!(set(&[("a", "PREPARE a AS SELECT 1")]).same(&set(&[("a", "PREPARE a AS SELECT 1")])));
        assert!(!set(&[("a", "PREPARE a AS SELECT 1")]).same(&SqlStatements::default()));
        assert!(set(&[]).same(&SqlStatements::default()) && set(&[]).is_empty());
    }

    #[test]
    fn only_differences_are_prepared() {
        let server = set(&[("a", "PREPARE a AS SELECT 1"), ("x\"y", "PREPARE \"x\"\"y\" AS SELECT 2")]);
        let client = set(&[("a", "PREPARE a AS SELECT 1"), ("b", "PREPARE b AS SELECT 3")]);
        assert_eq!(server.towards(&client), ["DEALLOCATE \"x\"\"y\";", "PREPARE b AS SELECT 3"]);
        assert!(client.towards(&client).is_empty());
    }

    #[test]
    fn what_is_too_much_is_not_carried() {
        let long = "x".repeat(TEXT_MAX_BYTES + 1);
        assert!(SqlStatements::new([("a".to_owned(), long)]).is_none());
        assert!(SqlStatements::new((0..=STATEMENTS_MAX).map(|n| (n.to_string(), String::new()))).is_none());
    }
}

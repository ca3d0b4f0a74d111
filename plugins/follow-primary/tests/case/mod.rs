//! The cases of `cases.toml`, as text. Shared with the tests that ask the component.

use serde::Deserialize;

/// All of `cases.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    pub policy: Vec<Policy>,
}

/// Settings, and what must follow from them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub title: String,
    #[serde(default)]
    pub settings: toml::Table,
    pub case: Vec<Case>,
}

/// n1 was promoted, n0 was the primary before, and n2, n3 … have to follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub title: String,
    pub standbys: Vec<Standby>,
    /// Of `plan`, one line for each standby.
    pub plans: Vec<String>,
    /// Of `retry`.
    #[serde(default)]
    pub retry: Vec<Retry>,
}

/// A standby that could follow as it is, unless it says otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Standby {
    /// Bytes beyond the fork; -1 if nobody knows.
    pub ahead: i64,
    pub cannot: Vec<String>,
    pub following: bool,
    pub upstream: Option<u16>,
    pub down: bool,
    pub role: Option<String>,
}

impl Default for Standby {
    fn default() -> Self {
        Self { ahead: 0, cannot: Vec::new(), following: false, upstream: Some(0), down: false, role: None }
    }
}

/// A step of n2 that failed, and what comes next.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// `repoint`, `rewind` or `rebuild`.
    pub failed: String,
    pub attempt: u16,
    pub answer: String,
}

impl Cases {
    pub fn load() -> Self {
        toml::from_str(include_str!("../../cases.toml")).expect("cases.toml is well-formed")
    }
}

//! The cases of `cases.toml`, as text. Shared with the tests that ask the component.

use serde::Deserialize;

use crate::observed::Observed;

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

/// A cluster, and the answers in one line each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub title: String,
    pub cluster: Observed,
    /// Of `assess`.
    pub verdict: Option<String>,
    /// Of `elect`.
    #[serde(default)]
    pub elect: Vec<Elect>,
}

/// A question to `elect`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elect {
    /// `automatic`, `switchover` or `forced`.
    pub trigger: String,
    pub target: Option<u16>,
    pub answer: String,
}

impl Cases {
    pub fn load() -> Self {
        toml::from_str(include_str!("../../cases.toml")).expect("cases.toml is well-formed")
    }
}

//! The cases of `cases.toml`, as text. Shared with the tests that ask the component.

use std::collections::BTreeMap;

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

/// A statement of a session, and the plan in one line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// For readers: the facts below are what counts.
    pub sql: String,
    pub kind: String,
    #[serde(default)]
    pub traits: Vec<String>,
    #[serde(default)]
    pub functions: Vec<String>,
    #[serde(default)]
    pub hints: BTreeMap<String, String>,
    #[serde(default = "none")]
    pub phase: String,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub serializable: bool,
    #[serde(default)]
    pub user: String,
    #[serde(default)]
    pub database: String,
    #[serde(default)]
    pub application: String,
    pub plan: String,
}

fn none() -> String {
    "none".to_owned()
}

impl Cases {
    pub fn load() -> Self {
        toml::from_str(include_str!("../../cases.toml")).expect("cases.toml is well-formed")
    }
}

/// Of these values, the one whose name is written so: `CopyIn` is `copy-in`.
pub fn named<T: std::fmt::Debug + Copy>(all: &[T], name: &str) -> T {
    let is_it = |value: &&T| {
        let debug = format!("{value:?}");
        let words = debug.rsplit("::").next().unwrap_or_default();
        let mut kebab = String::new();
        for letter in words.chars() {
            if letter.is_uppercase() && !kebab.is_empty() {
                kebab.push('-');
            }
            kebab.extend(letter.to_lowercase());
        }
        kebab == name
    };
    *all.iter().find(is_it).unwrap_or_else(|| panic!("`{name}` is none of {all:?}"))
}

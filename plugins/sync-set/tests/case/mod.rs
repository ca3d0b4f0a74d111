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

/// A cluster, and the decision in one line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub title: String,
    pub cluster: Observed,
    /// Method, count and members of the set in effect, for example `any 1 of 1, 2`; none waits for nobody.
    pub current: Option<String>,
    pub decision: String,
}

impl Cases {
    pub fn load() -> Self {
        toml::from_str(include_str!("../../cases.toml")).expect("cases.toml is well-formed")
    }
}

/// Whether it is `first`, the count, and the numbers of the members.
pub fn set(text: &str) -> (bool, u16, Vec<u16>) {
    let (head, members) = text.split_once(" of ").expect("METHOD COUNT of MEMBERS");
    let (method, count) = head.split_once(' ').expect("METHOD COUNT of MEMBERS");
    let members = members.split(", ").map(|member| member.parse().expect("a number"));
    (method == "first", count.parse().expect("a number"), members.collect())
}

//! Policies as components: the default one decides as its cases say, and none can do harm.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "../plugins/read-write-split/tests/case/mod.rs"]
mod case;

#[path = "plugins/misbehaving.rs"]
mod misbehaving;
#[path = "plugins/refused.rs"]
mod refused;
#[path = "plugins/seen.rs"]
mod seen;
#[path = "plugins/setup.rs"]
mod setup;
#[path = "plugins/split.rs"]
mod split;

//! Policies as components: the default one decides as its cases say, and none can do harm.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "../plugins/read-write-split/tests/case/mod.rs"]
mod case;
#[path = "../plugins/failover/tests/case/mod.rs"]
mod failover_case;
#[path = "../plugins/follow-primary/tests/case/mod.rs"]
mod follow_case;
#[path = "../plugins/failover/tests/case/observed.rs"]
mod observed;
#[path = "../plugins/sync-set/tests/case/mod.rs"]
mod sync_set_case;

#[path = "plugins/failover.rs"]
mod failover;
#[path = "plugins/follow.rs"]
mod follow;
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
#[path = "plugins/sync_set.rs"]
mod sync_set;
#[path = "plugins/unruly.rs"]
mod unruly;
#[path = "plugins/view.rs"]
mod view;

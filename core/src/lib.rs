//! The proxy as a library: what the `howdah` binary runs and the tests look into.
//!
//! A byte's way, one file per step: `proxy` accepts, `client` greets and authenticates, `session`
//! takes requests one by one, `route` chooses a node, `pool` lends a server, `relay` carries.
//! Who may import whom is a table in `ARCHITECTURE.md` that `tests/layers.rs` enforces.

pub mod config;
pub mod facts;
pub mod id;
pub mod plugin;
pub mod sql;

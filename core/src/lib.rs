//! The proxy as a library: what the `howdah` binary runs and the tests look into.
//!
//! A byte's way, one file per step: `proxy` accepts, `client` greets and authenticates, `session`
//! takes requests one by one, `route` chooses a node, `pool` lends a server, `relay` carries.
//! Who may import whom is a table in `ARCHITECTURE.md` that `tests/layers.rs` enforces.

pub mod admin;
pub mod agent;
pub mod app;
pub mod ask;
pub mod auth;
pub mod auth_query;
mod cancels;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod conductor;
pub mod config;
pub mod control;
pub mod ctl;
pub mod demo;
pub mod doctor;
pub mod facts;
pub mod generation;
pub mod id;
pub mod import;
pub mod listen;
pub mod net;
pub mod operate;
pub mod plugin;
pub mod pool;
pub mod proxy;
pub mod server;
pub mod session;
pub mod shutdown;
pub mod signals;
pub mod sql;
pub mod telemetry;
pub mod traffic;
pub mod upkeep;
pub mod watch_files;
pub mod wire;
pub mod worker;

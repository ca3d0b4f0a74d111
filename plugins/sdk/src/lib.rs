//! Write Howdah policies in Rust.
//!
//! A policy is a type that implements [`Policy`] and the trait of what it decides, for example [`Router`], and
//! one line that exports it:
//!
//! ```
//! use howdah_plugin::{NoSettings, Plan, Policy, Router, Session, Statement, export_router};
//!
//! struct ReportsFirst;
//!
//! impl Policy for ReportsFirst {
//!     type Settings = NoSettings;
//!     const NAME: &'static str = "reports-first";
//!     const SUMMARY: &'static str = "what user `report` reads comes from the standbys";
//!
//!     fn configure(_: NoSettings) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Router for ReportsFirst {
//!     fn route(&self, session: &Session, statement: &Statement) -> Result<Plan, String> {
//!         Ok(match session.user.as_str() {
//!             "report" if statement.is_plain_read() => Plan::replicas().own_writes(10).rule("report"),
//!             _ => Plan::primary().rule("default"),
//!         })
//!     }
//! }
//!
//! export_router!(ReportsFirst);
//! ```
//!
//! The other traits are [`Failover`](failover::Failover), [`FollowPrimary`](follow_primary::FollowPrimary) and
//! [`SyncSet`](sync_set::SyncSet), with a macro each; [`export_policy!`] exports several for one type.
//!
//! Everything here also works natively, so `cargo test` tests a policy without a proxy and without
//! WebAssembly. The contract itself is `wit/v0.1`; its documentation is that of the types below.

pub mod bindings;
pub mod failover;
pub mod follow_primary;
mod glue;
mod key;
pub mod log;
mod lsn;
pub mod observation;
mod plan;
mod policy;
mod router;
mod session;
pub mod settings;
mod statement;
pub mod sync_set;
mod text;
mod value;

#[doc(hidden)]
pub use glue::{Glue, Host};
pub use lsn::{Lsn, NotAnLsn};
pub use plan::Replicas;
pub use policy::{NoSettings, Policy};
pub use router::Router;
#[doc(hidden)]
pub use wit_bindgen;

pub use bindings::base::howdah::plugin::types::{
    Label, Node, NodeHealth, NodeId, NodeRole, Probe, ProbeScope, SyncRole, Topology,
};
pub use bindings::base::howdah::plugin::{metrics, state};
pub use bindings::router::exports::howdah::plugin::router::{
    Access, Admission, Balance, Causality, Destination, Freshness, Hold, Parameter, ParameterValue, Plan, Refusal,
    ReplicaSet, Requirements, Reuse, ReuseScope, Selector, Session, SessionAttributes, Share, Statement,
    StatementAttributes, StatementKind, StatementTraits, TableRef, Target, Transaction, TransactionPhase,
};

// The exported glue names this crate from outside; so must the bindings made inside it.
extern crate self as howdah_plugin;

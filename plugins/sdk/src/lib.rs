//! Write Howdah policies in Rust.
//!
//! A policy is a type that implements [`Router`], and one line that exports it:
//!
//! ```
//! use howdah_plugin::{NoSettings, Plan, Router, Session, Statement, export_router};
//!
//! struct ReportsFirst;
//!
//! impl Router for ReportsFirst {
//!     type Settings = NoSettings;
//!     const NAME: &'static str = "reports-first";
//!     const SUMMARY: &'static str = "what user `report` reads comes from the standbys";
//!
//!     fn configure(_: NoSettings) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
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
//! Everything here also works natively, so `cargo test` tests a policy without a proxy and without
//! WebAssembly. The contract itself is `wit/v0.1`; its documentation is that of the types below.

#[allow(missing_docs, clippy::all, reason = "generated from wit/v0.1, which documents itself")]
pub mod bindings {
    //! What wit-bindgen makes of `wit/v0.1`.
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "router-plugin",
        pub_export_macro: true,
        export_macro_name: "export_world",
        default_bindings_module: "howdah_plugin::bindings",
        runtime_path: "::howdah_plugin::wit_bindgen::rt",
        additional_derives: [PartialEq],
        generate_all,
    });
}

mod glue;
mod key;
pub mod log;
mod lsn;
mod plan;
mod router;
mod session;
pub mod settings;
mod statement;
mod text;
mod value;

#[doc(hidden)]
pub use glue::{Glue, Host};
pub use lsn::{Lsn, NotAnLsn};
pub use plan::Replicas;
pub use router::{NoSettings, Router};
#[doc(hidden)]
pub use wit_bindgen;

pub use bindings::exports::howdah::plugin::router::{
    Access, Admission, Balance, Causality, Destination, Freshness, Hold, Parameter, ParameterValue, Plan, Refusal,
    ReplicaSet, Requirements, Reuse, ReuseScope, Selector, Session, SessionAttributes, Share, Statement,
    StatementAttributes, StatementKind, StatementTraits, TableRef, Target, Transaction, TransactionPhase,
};
pub use bindings::howdah::plugin::types::{Label, Node, NodeHealth, NodeId, NodeRole, Probe, ProbeScope, Topology};
pub use bindings::howdah::plugin::{metrics, state};

// The exported glue names this crate from outside; so must the bindings made inside it.
extern crate self as howdah_plugin;

//! Policies as WebAssembly components.
//!
//! [`plan`] and [`input`] are the host's own words for what goes into a router and comes out, as
//! `cluster::view` and `cluster::verdict` are for the other roles; they do not change when a contract
//! in `wit/` does. [`router`] is what sessions call; [`failover`], [`follow`] and [`sync_set`] are what the
//! control plane calls. Below them `policy` asks and keeps the books, the same for every role. Below it:
//! [`engine`] compiles, `check` says beforehand what would not fit, `instance` runs the exports of a
//! `world`, `v0_1` translates to and from the contract, `binary` reads bound values, `validate` trusts
//! nothing that comes back, `breaker` gives up in time.

mod binary;
mod breaker;
mod builtin;
mod check;
mod control;
mod engine;
mod error;
mod failover;
mod first;
mod follow;
mod host;
pub mod input;
mod instance;
mod metrics;
pub mod plan;
mod plan_text;
mod policy;
mod requirements;
mod role;
mod router;
mod spec;
mod state;
mod stats;
mod sync_set;
mod ticker;
mod v0_1;
mod validate;
mod world;

pub use builtin::{builtin, builtin_names};
pub use control::ControlPolicies;
pub use engine::Engine;
pub use error::PluginError;
pub use failover::FailoverPolicy;
pub use follow::FollowPolicy;
pub use metrics::Sample;
pub use policy::PolicyNumbers;
pub use requirements::{Requirements, SessionNeeds, StatementNeeds};
pub use role::Role;
pub use router::{Admission, DecidedBy, Routed, Router};
pub use spec::PolicySpec;
pub use stats::{CallTimes, PluginState, PluginStatus};
pub use sync_set::SyncSetPolicy;

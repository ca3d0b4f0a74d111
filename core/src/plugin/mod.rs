//! Policies as WebAssembly components.
//!
//! [`plan`] and [`input`] are the host's own words for what goes in and comes out; they do not
//! change when a contract in `wit/` does. [`router`] is what sessions call. Below it: [`engine`]
//! compiles, `check` says beforehand what would not fit, `instance` runs, `v0_1` translates to and
//! from the contract, `binary` reads bound values, `validate` trusts nothing that comes back,
//! `breaker` gives up in time.

mod binary;
mod breaker;
mod builtin;
mod check;
mod engine;
mod error;
mod host;
pub mod input;
mod instance;
mod metrics;
pub mod plan;
mod plan_text;
mod requirements;
mod router;
mod spec;
mod state;
mod stats;
mod ticker;
mod v0_1;
mod validate;

pub use builtin::{builtin, builtin_names};
pub use engine::Engine;
pub use error::PluginError;
pub use metrics::Sample;
pub use requirements::{Requirements, SessionNeeds, StatementNeeds};
pub use router::{Admission, DecidedBy, Routed, Router, RouterSpec};
pub use stats::{CallTimes, PluginState, PluginStatus};

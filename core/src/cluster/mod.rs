//! What a cluster decides, pure: no clock, no socket, no async.
//!
//! Observations go in and actions come out. In reading order:
//!
//! 1. [`sight`]: what is seen of all nodes at one instant; [`view`]: the part of it that policies see.
//! 2. [`condition`]: what that says of the primary. [`quarantine`]: what it says of the others.
//! 3. [`state`]: the states and what leads from one to another, drawn in `states.md`.
//! 4. [`machine`]: who turns events into actions. [`action`]: both of them, and what whoever carries actions out
//!    has to promise. [`operation`]: what the log holds, so that a proxy killed at any step goes on.
//! 5. [`election`]: who may be promoted; [`sync_set`]: for whom commits wait, so that an election never misses one
//!    that was acknowledged; [`verdict`]: what policies answer.
//! 6. [`standing`]: what others see of all this.
//!
//! `simulation/` runs it all against nodes that crash, hang and return, from seeds.

pub mod action;
pub mod condition;
pub mod election;
pub mod machine;
pub mod name;
pub mod operation;
pub mod quarantine;
pub mod settings;
pub mod sight;
#[cfg(test)]
mod simulation;
mod standby_names;
pub mod standing;
pub mod state;
pub mod sync_set;
pub mod verdict;
pub mod view;

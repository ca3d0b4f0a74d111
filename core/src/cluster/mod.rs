//! What a cluster decides, pure: no clock, no socket, no async.
//!
//! [`view`] is what is seen of a cluster at one instant, [`verdict`] what policies answer to it.

pub mod name;
pub mod sight;
mod standby_names;
pub mod verdict;
pub mod view;

//! Policies as WebAssembly components.
//!
//! [`plan`] and [`input`] are the host's own words for what goes in and comes out; they do not
//! change when a contract in `wit/` does. [`router`] is what sessions call.

pub mod input;
pub mod plan;

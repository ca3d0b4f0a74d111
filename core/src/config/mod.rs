//! The configuration, checked into types once; after that nothing in it is invalid.
//!
//! [`types`] is what the rest of the program sees.

pub mod types;

pub use types::*;

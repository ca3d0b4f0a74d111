//! Proofs of identity: secrets, and the exchanges that show one knows them.
//!
//! Both sides of each method are here, as pure functions over messages. `client` asks for proofs,
//! `server` gives them. Nothing here ever prints a secret.

pub mod keys;
pub mod md5;
pub mod scram;
pub mod secret;

pub use secret::{Secret, Secrets};

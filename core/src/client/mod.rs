//! A client from its first byte until it is ready for requests.
//!
//! [`handshake`] is the way through; [`auth`] asks for proof; [`greet`] says welcome.

pub mod auth;
mod error;
pub mod greet;
pub mod handshake;
mod line;

pub use error::{HandshakeError, Refusal};
pub use handshake::{ClientHello, ConsoleRole, Greeted, HandshakeContext, handshake};

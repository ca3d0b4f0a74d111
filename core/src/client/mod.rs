//! A client from its first byte until it is ready for requests.
//!
//! [`handshake`] is the way through; `access` knows which proof is due, [`auth`] asks for it; [`greet`] says welcome.

mod access;
pub mod auth;
mod error;
pub mod greet;
pub mod handshake;
mod line;
mod lookup;

pub use access::Visitor;
pub use error::{HandshakeError, LookupError, Refusal};
pub use handshake::{ClientHello, ConsoleRole, Greeted, HandshakeContext, handshake};
pub use lookup::{Found, Lookup};

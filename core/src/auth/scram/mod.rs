//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both sides.
//!
//! RFC 5802 and RFC 7677, with the channel binding `tls-server-end-point` of RFC 5929. [`message`]
//! reads what the other side sent, [`server`] checks a client, [`client`] convinces a server.

pub mod client;
pub mod message;
pub mod server;
mod verifier;

pub use verifier::ScramVerifier;

/// The mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism with channel binding; only over TLS.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// The only kind of channel binding that PostgreSQL knows.
const CHANNEL_BINDING: &str = "tls-server-end-point";
/// Random bytes in the nonces that we make, as PostgreSQL.
const NONCE_BYTES: usize = 18;
/// Longest SCRAM message that we read. PostgreSQL's own have some 200 bytes; it takes 1024.
pub const MESSAGE_MAX_BYTES: usize = 1024;

use base64::{Engine, engine::general_purpose::STANDARD};

/// Printable, without commas, fresh.
fn nonce() -> String {
    STANDARD.encode(rand::random::<[u8; NONCE_BYTES]>())
}

/// Why an exchange failed. None of the texts contains anything secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// Not a SCRAM message.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// The client wants to act as someone else.
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// The message demands an extension that we do not know.
    #[error("a mandatory SCRAM extension is not supported")]
    MandatoryExtension,
    /// The client binds to the channel in a way that we do not know, or forgot to, or was made to forget.
    #[error("SCRAM channel binding does not match: {0}")]
    ChannelBinding(&'static str),
    /// The other side answered a challenge that was not ours.
    #[error("SCRAM nonce does not match")]
    Nonce,
    /// The client does not know the password.
    #[error("SCRAM proof does not match")]
    Proof,
    /// The server does not know the password either.
    #[error("the server could not prove that it knows the password")]
    ServerSignature,
    /// The server wants more rounds than we are ready to spend.
    #[error("the server asks for more than {} SCRAM iterations", super::keys::ITERATIONS_MAX)]
    Iterations,
    /// The server said no in SCRAM's own words.
    #[error("the server refused the SCRAM exchange")]
    Refused,
}

#[cfg(test)]
mod tests;

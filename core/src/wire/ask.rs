//! The messages that we write as a client of a node, each appended to a buffer.
//!
//! As with [`reply`](super::reply), this is the cold path, and encoding is pgwire's.

use bytes::Bytes;
use pgwire::messages::{
    cancel::CancelRequest,
    extendedquery::{Bind, Execute, Flush, Parse, Sync},
    simplequery::Query,
    startup::{Password, SASLInitialResponse, SASLResponse, SecretKey, SslRequest, Startup},
    terminate::Terminate,
};

use super::{
    reply::{put, text},
    startup::ProtocolVersion,
};

/// Introduces us. Of equal names the last counts.
pub fn startup<'a>(
    out: &mut Vec<u8>,
    version: ProtocolVersion,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let mut message = Startup::new();
    message.protocol_number_major = version.major;
    message.protocol_number_minor = version.minor;
    message.parameters = parameters.into_iter().map(|(name, value)| (text(name), text(value))).collect();
    put(out, &message);
}

/// Asks for TLS.
pub fn ssl_request(out: &mut Vec<u8>) {
    put(out, &SslRequest::new());
}

/// Asks to stop what `pid` does. `key` has 4 to 256 bytes.
pub fn cancel_request(out: &mut Vec<u8>, pid: u32, key: &[u8]) {
    put(out, &CancelRequest::new(pid.cast_signed(), SecretKey::Bytes(Bytes::copy_from_slice(key))));
}

/// A password in the clear, or the answer to an MD5 salt.
pub fn password(out: &mut Vec<u8>, password: &str) {
    put(out, &Password::new(text(password)));
}

/// Names the SASL mechanism and opens it.
pub fn sasl_initial_response(out: &mut Vec<u8>, mechanism: &str, message: &[u8]) {
    put(out, &SASLInitialResponse::new(mechanism.to_owned(), Some(Bytes::copy_from_slice(message))));
}

/// Our next SASL message.
pub fn sasl_response(out: &mut Vec<u8>, message: &[u8]) {
    put(out, &SASLResponse::new(Bytes::copy_from_slice(message)));
}

/// A simple query.
pub fn query(out: &mut Vec<u8>, sql: &str) {
    put(out, &Query::new(text(sql)));
}

/// A statement with its parameters, as text: Parse, Bind and Execute without names.
pub fn statement(out: &mut Vec<u8>, sql: &str, parameters: &[&str]) {
    let values = parameters.iter().map(|value| Some(Bytes::copy_from_slice(value.as_bytes())));
    put(out, &Parse::new(None, text(sql), Vec::new()));
    put(out, &Bind::new(None, None, Vec::new(), values.collect(), Vec::new()));
    put(out, &Execute::new(None, 0));
}

/// Has the answers so far sent, in the middle of a batch.
pub fn flush(out: &mut Vec<u8>) {
    put(out, &Flush::new());
}

/// The end of a batch of statements.
pub fn sync(out: &mut Vec<u8>) {
    put(out, &Sync::new());
}

/// Goodbye.
pub fn terminate(out: &mut Vec<u8>) {
    put(out, &Terminate::new());
}

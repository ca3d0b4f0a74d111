//! Sockets and what lies around them; knows bytes, not messages.

pub mod account;
pub mod buffer;
pub mod certificate;
pub mod listener;
pub mod messages;
pub mod stream;
pub mod tls;
mod verify;

//! Bytes only: the frontend/backend protocol without sockets and without async.
//!
//! [`frame`] walks messages, [`frontend`] and [`backend`] know the few whose inside sessions need.
//! [`startup`] is what a client says first, [`reply`] what we answer, [`ask`] what we say to nodes,
//! [`take`] reads what peers sent, [`sqlstate`] names the codes that errors carry.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

pub mod ask;
pub mod backend;
pub mod frame;
pub mod frontend;
pub mod reply;
pub mod sqlstate;
pub mod startup;
pub mod take;

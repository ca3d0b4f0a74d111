//! What a client is told once it is in.

use crate::wire::{
    reply::{self, TxStatus},
    startup::ProtocolVersion,
};

/// The settings as ParameterStatus messages.
pub fn parameter_messages(parameters: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in parameters {
        reply::parameter_status(&mut out, name, value);
    }
    out
}

/// Appends the settings, which are [`parameter_messages`], the cancel key and the first ReadyForQuery.
///
/// `key` may be longer than `protocol` allows; the client gets the part that it can send back.
pub fn welcome(out: &mut Vec<u8>, parameters: &[u8], pid: u32, key: &[u8], protocol: ProtocolVersion) {
    out.extend_from_slice(parameters);
    reply::backend_key_data(out, pid, protocol.cancel_key(key));
    reply::ready_for_query(out, TxStatus::Idle);
}

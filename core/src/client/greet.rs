//! What a client is told once it is in.

use crate::wire::{
    reply::{self, TxStatus},
    startup::ProtocolVersion,
};

/// Appends the settings, the cancel key and the first ReadyForQuery.
///
/// `key` may be longer than `protocol` allows; the client gets the part that it can send back.
pub fn welcome(out: &mut Vec<u8>, parameters: &[(String, String)], pid: u32, key: &[u8], protocol: ProtocolVersion) {
    for (name, value) in parameters {
        reply::parameter_status(out, name, value);
    }
    reply::backend_key_data(out, pid, protocol.cancel_key(key));
    reply::ready_for_query(out, TxStatus::Idle);
}

//! SQL's DEALLOCATE of a statement that the client has prepared by the protocol, as some drivers do.
//!
//! On servers the statement has another name and may be others' as well, so the server is not asked:
//! the session forgets its name, and the client is told that it is done.

use super::{Session, request::Request};
use crate::{
    sql::effect::Effect,
    wire::reply::{self, TxStatus},
};

/// Longest request that is looked at.
const REQUEST_MAX_BYTES: usize = 256;

impl Session {
    /// Answers a DEALLOCATE of a statement that the session knows. False when the request is another one.
    #[inline]
    pub(super) fn deallocate_at_once(&mut self, request: &Request) -> bool {
        !self.prepared.is_empty() && request.is_whole() && self.deallocate(request)
    }

    #[inline(never)]
    fn deallocate(&mut self, request: &Request) -> bool {
        if request.len > REQUEST_MAX_BYTES || !self.query_begins_with(request, &[b"deallocate"]) {
            return false;
        }
        let status = self.status();
        if status == TxStatus::Failed {
            return false;
        }
        let shapes = self.shapes(request.len);
        let [shape] = &*shapes else { return false };
        let [Effect::Deallocate(name)] = &*shape.facts.effects else { return false };
        if shape.facts.traits.multi_statement {
            return false;
        }
        if self.prepared.find(name.as_bytes()).is_none() {
            return false;
        }
        self.prepared.remove(name.as_bytes());
        self.unnamed.id = 0;
        self.info.note_statements(self.prepared.len());
        self.input.consume(request.len);
        self.set.stats.shard(self.worker.id).queries.add(1);
        self.exchange.say(|out| {
            reply::command_complete(out, "DEALLOCATE");
            reply::ready_for_query(out, status);
        });
        true
    }
}

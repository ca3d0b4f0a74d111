//! Reads a server's answer as it passes: what ends it, what it changes, what must not go on.

use std::io;

use super::{Answer, Broken, Discarded, Exchange, Flow, HOLD_MAX_BYTES, Parting, Refused};
use crate::{
    server::{RunError, Server, settings::Settings},
    session::{outcome::Xid, prepared::PreparedStatements, translate::NOBODY},
    wire::{
        backend::{error_field, parameter_status},
        frame::{self, HEADER_BYTES},
        reply::{self, Severity, TxStatus},
        sqlstate::SqlState,
    },
};

/// Longest notice that is looked at; those that matter are short.
const NOTICE_LOOKED_AT_MAX_BYTES: usize = 4 * 1024;

impl Exchange {
    /// Walks over what has come from the server since the last time.
    #[inline]
    pub fn scan(&mut self, server: &mut Server, names: &PreparedStatements) -> Result<(), Broken> {
        let mut at = self.pass(self.scanned, self.rest);
        while self.rest == 0 {
            let Some(next) = frame::header(&self.to_client.filled()[at..]).map_err(|_| Broken::Protocol)? else {
                break;
            };
            // A notification may come between any two messages; it answers nothing.
            if self.prefixes > 0 && next.tag != b'A' {
                if self.to_client.len() - at < next.total {
                    break;
                }
                if let Err(broken) = self.swallow(at, next, server) {
                    self.pass_until(at);
                    return Err(broken);
                }
                continue;
            }
            // The bulk of all answers: rows, their descriptions, acknowledgements, COPY data.
            let is_passed = matches!(next.tag, b'D' | b'd' | b'T' | b't' | b'n' | b'2' | b's' | b'H' | b'c');
            if matches!(next.tag, b'T' | b't' | b'n') && self.reads_description(next.tag) {
                if self.to_client.len() - at < next.total {
                    break;
                }
                at = self.hear_description(at, next, server);
                continue;
            }
            if is_passed || (next.tag == b'N' && next.total > NOTICE_LOOKED_AT_MAX_BYTES) {
                self.hold &= !matches!(next.tag, b'D' | b'd' | b'H' | b's');
                at = self.pass(at, next.total);
                continue;
            }
            if self.to_client.len() - at < next.total {
                break;
            }
            match self.inspect(at, next, server, names) {
                Ok(next) => at = next,
                Err(broken) => {
                    self.pass_until(at);
                    return Err(broken);
                }
            }
        }
        self.pass_until(at);
        Ok(())
    }

    /// Passes over so many bytes of a message, as far as they have come; answers where the next one begins.
    #[inline]
    fn pass(&mut self, at: usize, bytes: usize) -> usize {
        let come = bytes.min(self.to_client.len() - at);
        self.rest = bytes - come;
        at + come
    }

    /// So much has been looked at; the client may have it, unless it is kept back.
    fn pass_until(&mut self, at: usize) {
        self.scanned = at;
        self.hold &= at <= HOLD_MAX_BYTES;
        if !self.hold {
            self.touched |= at > self.cleared;
            self.cleared = at;
        }
    }

    /// Takes out a message that answers a statement of our own.
    #[inline(never)]
    fn swallow(&mut self, at: usize, next: frame::Header, server: &mut Server) -> Result<(), Broken> {
        let body = &self.to_client.filled()[at + HEADER_BYTES..at + next.total];
        match next.tag {
            // The server is lost, whatever it was asked.
            b'E' if self.keeps_farewells && is_fatal(body) && is_farewell(body) => {
                self.parting = if self.hold { Parting::SaidAtOnce } else { Parting::Said };
                return Err(self.server_gone(io::Error::other(farewell(body))));
            }
            b'E' => match self.preparing.take_if(|_| self.prefixes == 1) {
                Some(statement) => server.statements.remove(statement.id),
                None => self.prefix_failure = Some(Box::new(RunError::from_body(body))),
            },
            b'Z' => {
                self.prefixes -= 1;
                if self.prefixes == 0 {
                    self.preparing = None;
                }
            }
            b'D' if self.xid == Xid::Asked && self.prefixes == 1 => self.xid = Xid::read(body),
            // Nothing of ours asks for other data.
            b'G' | b'H' | b'W' => return Err(Broken::Protocol),
            _ => {}
        }
        self.to_client.cut(at, next.total);
        Ok(())
    }

    /// Looks into a message that is all there; answers where the next begins.
    #[inline]
    fn inspect(
        &mut self,
        at: usize,
        next: frame::Header,
        server: &mut Server,
        names: &PreparedStatements,
    ) -> Result<usize, Broken> {
        match next.tag {
            b'1' | b'3' => Ok(self.answered(at, next.total)),
            b'C' => Ok(self.inspect_tag(at, next, server)),
            b'Z' => self.inspect_ready(at, next, server),
            b'E' => self.inspect_error(at, next, server, names),
            _ => Ok(self.inspect_other(at, next)),
        }
    }

    /// A CommandComplete.
    #[inline]
    fn inspect_tag(&mut self, at: usize, next: frame::Header, server: &mut Server) -> usize {
        self.hold &= self.refused.is_some();
        self.resets.succeeded = true;
        self.note_tag(at, next.total, server);
        if self.unacknowledged && self.doubts_unacknowledged {
            self.to_client.cut(at, next.total);
            return at;
        }
        at + next.total
    }

    /// A ReadyForQuery.
    #[inline]
    fn inspect_ready(&mut self, at: usize, next: frame::Header, server: &mut Server) -> Result<usize, Broken> {
        let end = at + next.total;
        let body = &self.to_client.filled()[at + HEADER_BYTES..end];
        server.status = TxStatus::read(body).ok_or(Broken::Protocol)?;
        self.ready = true;
        self.hold = self.refused.is_some();
        let is_doubtful = self.unacknowledged && self.doubts_unacknowledged;
        if is_doubtful || !self.resets.is_empty() {
            return Ok(self.tell_before_ready(at, next, is_doubtful));
        }
        if self.keeps_ready && server.status == TxStatus::Idle && self.refused.is_none() {
            self.kept_ready = true;
            self.to_client.cut(at, next.total);
            return Ok(at);
        }
        Ok(end)
    }

    #[cold]
    fn tell_before_ready(&mut self, at: usize, next: frame::Header, is_doubtful: bool) -> usize {
        let mut told = self.resets.told();
        if is_doubtful {
            put_doubt(&mut told);
        }
        told.extend_from_slice(&self.to_client.filled()[at..at + next.total]);
        self.to_client.replace(at, next.total, &told);
        at + told.len()
    }

    /// An ErrorResponse.
    #[inline(never)]
    fn inspect_error(
        &mut self,
        at: usize,
        next: frame::Header,
        server: &mut Server,
        names: &PreparedStatements,
    ) -> Result<usize, Broken> {
        let end = at + next.total;
        let body = &self.to_client.filled()[at + HEADER_BYTES..end];
        self.failed = true;
        self.disk_full |= error_field(body, b'C') == Some(SqlState::DISK_FULL.as_str().as_bytes());
        if self.answers.iter().any(|answer| matches!(answer, Answer::EndOfBatch)) {
            // The Query that should have ended the batch is ignored.
            self.flow = Flow::Batch;
        }
        let is_fatal = is_fatal(body);
        if is_fatal && self.keeps_farewells && is_farewell(body) {
            self.parting = if self.hold { Parting::SaidAtOnce } else { Parting::Said };
            return Err(self.server_gone(io::Error::other(farewell(body))));
        }
        let has_other_columns = self.prepared_anew && has_other_columns(body);
        let stale = has_other_columns || is_stale_plan(body);
        if stale {
            let uses = self.counts.binds.saturating_add(self.counts.client_parses).max(1);
            server.statements.retire_latest(uses as usize);
        }
        if self.hold {
            self.refused = match stale {
                true => self.absorbs_stale_plans.then_some(Refused::StalePlan),
                false if !self.absorbs_refusals => None,
                false if is_too_serializable(body) => Some(Refused::ReadOnly),
                false => error_field(body, b'C').and_then(Refused::read),
            };
        }
        self.hold = self.refused.is_some();
        self.told_fatal |= is_fatal && !self.hold;
        let told = if has_other_columns || (self.binds_nobody && is_of_nobody(body)) {
            Some(stale_plan())
        } else {
            with_clients_name(body, names)
        };
        if let Some(told) = told {
            self.to_client.replace(at, next.total, &told);
            return Ok(at + told.len());
        }
        Ok(end)
    }

    /// A notification, a setting, a notice, CopyInResponse, EmptyQueryResponse, and whatever a later protocol may bring.
    #[inline(never)]
    fn inspect_other(&mut self, at: usize, next: frame::Header) -> usize {
        let end = at + next.total;
        let body = &self.to_client.filled()[at + HEADER_BYTES..end];
        let is_cut = match next.tag {
            b'A' => self.mutes(body),
            b'S' => match parameter_status(body) {
                Some((name, value)) => {
                    self.settings_changed |= Settings::may_hold(name);
                    self.resets.hear(name, value)
                }
                None => false,
            },
            b'N' => {
                self.unacknowledged |= is_cancelled_wait(body);
                // A standby's refusal may still come. Of a primary nobody waits for one.
                self.hold &= self.absorbs_refusals;
                false
            }
            b'G' => {
                self.hold = false;
                self.flow = Flow::CopyIn;
                false
            }
            _ => false,
        };
        if !is_cut {
            return end;
        }
        self.to_client.cut(at, next.total);
        at
    }

    /// Treats the ParseComplete or CloseComplete at `at`; answers where the next message begins.
    fn answered(&mut self, at: usize, total: usize) -> usize {
        match self.answers.pop_front() {
            None
            | Some(Answer::Pass | Answer::Unnamed | Answer::Close { .. } | Answer::Parse { name: Some(_), .. }) => {
                at + total
            }
            Some(Answer::Swallow | Answer::EndOfBatch | Answer::Parse { name: None, .. }) => {
                self.to_client.cut(at, total);
                at
            }
            Some(Answer::CloseAsParse { .. }) => {
                self.to_client.filled_mut()[at] = b'1';
                at + total
            }
        }
    }

    fn note_tag(&mut self, at: usize, total: usize, server: &mut Server) {
        match &self.to_client.filled()[at + HEADER_BYTES..at + total] {
            b"COMMIT\0" => self.committed = true,
            b"DISCARD ALL\0" => {
                server.forget_session();
                self.discarded = Discarded::All;
            }
            b"DEALLOCATE ALL\0" => {
                server.statements.clear();
                if self.discarded == Discarded::Nothing {
                    self.discarded = Discarded::Statements;
                }
            }
            _ => {}
        }
    }
}

/// Whether a notice says that a commit's wait for its synchronous standbys was cancelled: it is committed here, and
/// nowhere else as far as is known. The words are translated, the routine is not.
/// <https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION>
fn is_cancelled_wait(notice: &[u8]) -> bool {
    error_field(notice, b'R') == Some(b"SyncRepWaitForLSN")
}

/// What the client is told of such a commit, behind all else.
fn put_doubt(out: &mut Vec<u8>) {
    reply::error(
        out,
        Severity::Error,
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        "the wait for synchronous standbys was cancelled",
        "The transaction is committed at the primary, and may be lost with it.",
        "",
    );
}

/// Whether an error ends the server.
fn is_fatal(error: &[u8]) -> bool {
    matches!(error_field(error, b'V'), Some(b"FATAL" | b"PANIC"))
}

/// Whether the server ends because of its node, and not because of what its client did or did not do.
fn is_farewell(error: &[u8]) -> bool {
    let goes = matches!(error_field(error, b'C'), Some(b"57P01" | b"57P02" | b"57P03"));
    goes || error_field(error, b'V') == Some(b"PANIC")
}

fn farewell(error: &[u8]) -> String {
    String::from_utf8_lossy(error_field(error, b'M').unwrap_or_default()).into_owned()
}

/// An error that names a statement as servers do, with the name that its client gave it.
fn with_clients_name(error: &[u8], names: &PreparedStatements) -> Option<Vec<u8>> {
    const OURS: &[u8] = b"\"howdah_";
    let begin = error.windows(OURS.len()).position(|window| window == OURS)? + 1;
    let len = error[begin..].iter().position(|byte| *byte == b'"')?;
    let name = names.name_of(&error[begin..begin + len])?;
    let mut out = Vec::new();
    frame::put(&mut out, b'E', |out| {
        out.extend_from_slice(&error[..begin]);
        out.extend_from_slice(name);
        out.extend_from_slice(&error[begin + len..]);
    });
    Some(out)
}

/// Whether a standby says that it knows no SERIALIZABLE, which may be the default of a role or a database.
fn is_too_serializable(error: &[u8]) -> bool {
    error_field(error, b'C') == Some(b"0A000")
        && error_field(error, b'R') == Some(b"GetSerializableTransactionSnapshot")
}

/// Whether an error says that a client wants more or fewer columns than the statement has.
fn has_other_columns(error: &[u8]) -> bool {
    error_field(error, b'C') == Some(b"08P01") && error_field(error, b'R') == Some(b"PortalSetResultFormat")
}

/// Whether an error says that a statement does not exist which never does.
fn is_of_nobody(error: &[u8]) -> bool {
    error_field(error, b'C') == Some(b"26000") && error.windows(NOBODY.len()).any(|window| window == NOBODY)
}

/// What a server says that had the statement when its result changed. A client that binds the columns of
/// before hears it from whatever server, because it knows what to do then.
fn stale_plan() -> Vec<u8> {
    let mut out = Vec::new();
    let fields =
        ["SERROR", "VERROR", "C0A000", "Mcached plan must not change result type", "RRevalidateCachedQuery", ""];
    frame::put(&mut out, b'E', |out| fields.iter().for_each(|field| frame::put_cstr(out, field.as_bytes())));
    out
}

/// Whether an error says that a prepared statement's result has changed since it was prepared.
///
/// Drivers too tell it by the routine: the SQLSTATE is the common 0A000, and the text is translated.
fn is_stale_plan(error: &[u8]) -> bool {
    error_field(error, b'C') == Some(b"0A000") && error_field(error, b'R') == Some(b"RevalidateCachedQuery")
}

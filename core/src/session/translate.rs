//! Rewrites a client's messages for the server it was lent: statement names become ours, and what
//! the server has not got yet is prepared first.
//!
//! Messages that need no change are copied in runs. Where the client's Parse or Close must not reach
//! the server, a Close of a name that never exists takes its place: its answer keeps the order of
//! answers, and an error before it skips it, just as it would have skipped the original.

use std::sync::Arc;

use super::{
    prepared::{Prepared, PreparedStatements},
    relay::{Answer, Exchange, Flow},
    unit::{messages, survey},
};
use crate::{
    server::{Server, settings::Settings, statements::Statement},
    sql::execute::{Executed, may_execute},
    wire::frontend::{Bind, Named, Parse, put_named},
};

/// A statement name that no Parse ever defines.
const NOBODY: &[u8] = b"howdah_none";

/// The unnamed statement of a session, kept because the next server may not have it.
#[derive(Debug, Default)]
pub struct Unnamed {
    /// Unique in this process, 0 while there is none.
    pub id: u64,
    /// The Parse message that made it.
    pub parse: Vec<u8>,
    /// It is an EXECUTE of this statement, by its name on servers.
    pub executes: Option<Arc<Statement>>,
}

/// Everything that one request's translation touches.
pub struct Translator<'a> {
    /// The server it is for.
    pub server: &'a mut Server,
    /// The session's statements.
    pub prepared: &'a mut PreparedStatements,
    /// The session's unnamed statement.
    pub unnamed: &'a mut Unnamed,
    /// Where it is written to.
    pub exchange: &'a mut Exchange,
    /// `max_prepared_statements`; 0 leaves names alone.
    pub max_prepared: usize,
    /// For ids of unnamed statements.
    pub next_unnamed: &'a mut u64,
    /// The session's settings: names in a text mean what they say.
    pub settings: &'a Settings,
    /// The session has statements of SQL's PREPARE on this server, beside those that we know of.
    pub has_others: bool,
}

impl Translator<'_> {
    /// Translates complete messages, and sends them at once if they need no change.
    pub fn translate(&mut self, bytes: &[u8]) {
        let mut run = 0;
        let mut at = 0;
        for (tag, body, whole) in messages(bytes) {
            if matches!(tag, b'Q' | b'F') && self.exchange.flow == Flow::Batch && !self.exchange.failed {
                self.mark_end_of_batch(&bytes[run..at]);
                run = at;
            }
            let replaced = match tag {
                b'P' => self.parse(body, whole, &bytes[run..at]),
                b'B' => self.bind(body, &bytes[run..at], bytes),
                b'D' => self.describe(body, &bytes[run..at], bytes),
                b'C' => self.close(body, &bytes[run..at]),
                b'Q' => {
                    // <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY>
                    self.server.unnamed = 0;
                    self.unnamed.id = 0;
                    false
                }
                _ => false,
            };
            at += whole.len();
            if replaced {
                run = at;
            }
        }
        let rest = &bytes[run..at];
        let sent = if self.exchange.to_server.is_empty() { self.server.stream.write_at_once(rest) } else { 0 };
        self.exchange.sent |= sent > 0;
        self.exchange.to_server.extend(&rest[sent..]);
    }

    /// A Query ends an open batch, unless an earlier message has failed: then it is ignored, as is everything up
    /// to a Sync. The answer to a message of ours in front of it tells which.
    fn mark_end_of_batch(&mut self, before: &[u8]) {
        self.exchange.answers.push_back(Answer::EndOfBatch);
        self.put(before, |out| put_named(out, b'C', NOBODY));
    }

    /// Appends messages of ours behind those of the client's that came before.
    fn put(&mut self, before: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.exchange.to_server.extend(before);
        self.exchange.to_server.extend_with(write);
    }

    fn parse(&mut self, body: &[u8], whole: &[u8], before: &[u8]) -> bool {
        let Some(parse) = Parse::read(body) else {
            self.exchange.answers.push_back(Answer::Pass);
            return false;
        };
        if parse.name.is_empty() {
            *self.next_unnamed += 1;
            self.unnamed.id = *self.next_unnamed;
            self.unnamed.parse.clear();
            self.unnamed.parse.extend_from_slice(whole);
            self.server.unnamed = self.unnamed.id;
            self.unnamed.executes.take_if(|executed| !contains(parse.text, &executed.name));
        }
        if parse.name.is_empty() || self.max_prepared == 0 {
            let unnamed = parse.name.is_empty();
            self.exchange.answers.push_back(if unnamed { Answer::Unnamed } else { Answer::Pass });
            return false;
        }
        if let Some(known) = self.prepared.find(parse.name) {
            // The server has to refuse it as a duplicate, so it gets the name twice.
            let known = Arc::clone(&known.statement);
            self.exchange.to_server.extend(before);
            self.ensure(&known);
            self.exchange.answers.push_back(Answer::Pass);
            self.put(&[], |out| known.put_parse(out));
            return true;
        }
        self.exchange.counts.client_parses += 1;
        let statement = self.statement_of(&parse);
        self.prepared
            .insert(parse.name, Prepared { statement: Arc::clone(&statement), shape: None, catalog_version: 0 });
        if self.server.statements.touch(statement.id) {
            self.exchange.answers.push_back(Answer::CloseAsParse { name: parse.name.into() });
            self.put(before, |out| put_named(out, b'C', NOBODY));
        } else {
            self.exchange.to_server.extend(before);
            self.prepare(&statement, Some(parse.name));
        }
        true
    }

    /// Has the server prepare a statement that it has not got.
    fn prepare(&mut self, statement: &Arc<Statement>, name: Option<&[u8]>) {
        self.exchange.counts.server_parses += 1;
        self.exchange.prepared_anew |= name.is_none();
        if let Some(evicted) = self.server.statements.insert(statement, self.max_prepared) {
            self.exchange.answers.push_back(Answer::Swallow);
            self.put(&[], |out| put_named(out, b'C', &evicted.name));
        }
        self.server.info.note_statements(self.server.statements.len());
        self.exchange.answers.push_back(Answer::Parse { statement: Arc::clone(statement), name: name.map(Into::into) });
        self.put(&[], |out| statement.put_parse(out));
    }

    /// What servers prepare for it. An EXECUTE of what the session has prepared by the protocol gets its name there.
    fn statement_of(&self, parse: &Parse<'_>) -> Arc<Statement> {
        let scope = self.settings.scope();
        let executed = Some(parse.text).filter(|text| may_execute(text)).and_then(Executed::read);
        let known = executed.as_ref().and_then(|executed| self.prepared.find(executed.name().as_bytes()));
        match (executed, known) {
            (Some(executed), Some(known)) => {
                let text = executed.renamed(&known.statement.name);
                Statement::executing(&Parse { text: &text, ..*parse }, &scope, Some(&known.statement))
            }
            _ => Statement::interned(parse, &scope),
        }
    }

    fn ensure(&mut self, statement: &Arc<Statement>) {
        if let Some(executed) = &statement.executes {
            self.ensure(executed);
        }
        if !self.server.statements.touch(statement.id) {
            self.prepare(statement, None);
        }
    }

    /// Makes sure that the server has this session's unnamed statement, or none if it has none. True if `before`
    /// was written.
    fn ensure_unnamed(&mut self, before: &[u8]) -> bool {
        if self.server.unnamed == self.unnamed.id {
            return false;
        }
        self.server.unnamed = self.unnamed.id;
        self.exchange.answers.push_back(Answer::Swallow);
        self.exchange.to_server.extend(before);
        if self.unnamed.id == 0 {
            self.put(&[], |out| put_named(out, b'C', b""));
        } else {
            self.exchange.to_server.extend(&self.unnamed.parse);
        }
        true
    }

    /// The statement behind a client's name, if names are ours.
    fn known(&mut self, name: &[u8], batch: &[u8]) -> Option<Arc<Statement>> {
        let known = self.prepared.find_mut(name)?;
        // Any other client would take the new result for the old one.
        if known.statement.is_retired() && survey(batch).takes_any_result {
            known.statement = known.statement.renewed();
        }
        Some(Arc::clone(&known.statement))
    }

    fn bind(&mut self, body: &[u8], before: &[u8], batch: &[u8]) -> bool {
        self.exchange.counts.binds += 1;
        let Some(bind) = Bind::read(body) else { return false };
        if bind.statement.is_empty() {
            if self.ensure_unnamed(before) {
                self.put(&[], |out| bind.put_renamed(out, b""));
                return true;
            }
            return false;
        }
        let Some(statement) = self.known(bind.statement, batch) else { return false };
        self.exchange.to_server.extend(before);
        self.ensure(&statement);
        self.put(&[], |out| bind.put_renamed(out, &statement.name));
        true
    }

    fn describe(&mut self, body: &[u8], before: &[u8], batch: &[u8]) -> bool {
        let Some(Named { kind: b'S', name }) = Named::read(body) else { return false };
        if name.is_empty() {
            if self.ensure_unnamed(before) {
                self.put(&[], |out| put_named(out, b'D', b""));
                return true;
            }
            return false;
        }
        let Some(statement) = self.known(name, batch) else { return false };
        self.exchange.to_server.extend(before);
        self.ensure(&statement);
        self.put(&[], |out| put_named(out, b'D', &statement.name));
        true
    }

    fn close(&mut self, body: &[u8], before: &[u8]) -> bool {
        let named = Named::read(body).filter(|named| named.kind == b'S').map(|named| named.name);
        if named == Some(b"") {
            self.unnamed.id = 0;
            self.server.unnamed = 0;
        }
        let known = named.and_then(|name| self.prepared.take(name));
        let is_ours = known.is_some() || (named.is_some_and(|name| !name.is_empty()) && !self.has_others);
        self.exchange.answers.push_back(match known {
            Some((name, prepared)) => Answer::Close { name, prepared },
            None => Answer::Pass,
        });
        if self.max_prepared == 0 || !is_ours {
            return false;
        }
        self.put(before, |out| put_named(out, b'C', NOBODY));
        true
    }
}

fn contains(text: &[u8], name: &[u8]) -> bool {
    text.windows(name.len()).any(|word| word == name)
}

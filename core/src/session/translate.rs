//! Rewrites a client's messages for the server it was lent: statement names become ours, and what
//! the server has not got yet is prepared first.
//!
//! Messages that need no change are copied in runs. Where the client's Parse or Close must not reach
//! the server, a Close of a name that never exists takes its place: its answer keeps the order of
//! answers, and an error before it skips it, just as it would have skipped the original.

mod bind;

use std::{cell::Cell, rc::Rc, sync::Arc};

pub use self::bind::BindTo;
use super::{
    prepared::{Prepared, PreparedStatements, Told},
    relay::{
        Answer, Exchange, Flow,
        described::{Expected, Question},
    },
    unit::{messages, takes_any_result},
    unnamed::Unnamed,
};
use crate::{
    server::{Server, description::Description, settings::Settings, statements::Statement},
    sql::execute::{Executed, may_execute},
    wire::frontend::{Named, Parse, put_named},
};

/// A statement name that no Parse ever defines.
pub const NOBODY: &[u8] = b"howdah_none";

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
    pub next_unnamed: &'a Cell<u64>,
    /// The session's settings: names in a text mean what they say.
    pub settings: &'a Settings,
    /// The session has statements of SQL's PREPARE on this server, beside those that we know of.
    pub has_others: bool,
    /// The statement of the last Bind and its portal's name, if what is said of the portal is to be noted.
    pub bound: Option<(Box<[u8]>, u64, Rc<Told>)>,
}

impl Translator<'_> {
    /// Translates complete messages from one of them on, and sends them at once if they need no change. Answers how
    /// far it has come: not to the end when the server was [asked](BindTo::Asked) something.
    pub fn translate(&mut self, bytes: &[u8], from: usize) -> usize {
        let mut run = from;
        let mut at = from;
        for (tag, body, whole) in messages(&bytes[from..]) {
            if matches!(tag, b'Q' | b'F') && self.exchange.flow == Flow::Batch && !self.exchange.failed {
                self.mark_end_of_batch(&bytes[run..at]);
                run = at;
            }
            let replaced = match tag {
                b'P' => self.parse(body, whole, &bytes[run..at]),
                b'B' => {
                    let replaced = self.bind(body, &bytes[run..at], bytes);
                    if self.exchange.question == Question::Asked {
                        return at;
                    }
                    replaced
                }
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
        at
    }

    /// A Query ends an open batch, unless an earlier message has failed: then it is ignored, as is everything up
    /// to a Sync. The answer to a message of ours in front of it tells which.
    #[inline(never)]
    fn mark_end_of_batch(&mut self, before: &[u8]) {
        self.exchange.answers.push_back(Answer::EndOfBatch);
        self.put(before, |out| put_named(out, b'C', NOBODY));
    }

    /// Appends messages of ours behind those of the client's that came before.
    fn put(&mut self, before: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.exchange.to_server.extend(before);
        self.exchange.to_server.extend_with(write);
    }

    /// The same Parse again needs no reading, unless an EXECUTE that never came to a server was noted since it was made.
    #[inline]
    fn parse(&mut self, body: &[u8], whole: &[u8], before: &[u8]) -> bool {
        if !self.unnamed.is_of(whole) || self.unnamed.executes.is_some() {
            return self.parse_another(body, whole, before);
        }
        let id = self.next_id();
        self.unnamed.renew(id);
        self.exchange.answers.push_back(Answer::Unnamed);
        false
    }

    /// The number of the unnamed statement that the server is about to have.
    #[inline]
    fn next_id(&mut self) -> u64 {
        let next = self.next_unnamed.get() + 1;
        self.next_unnamed.set(next);
        self.server.unnamed = next;
        next
    }

    #[inline(never)]
    fn parse_another(&mut self, body: &[u8], whole: &[u8], before: &[u8]) -> bool {
        let Some(parse) = Parse::read(body) else {
            self.exchange.answers.push_back(Answer::Pass);
            return false;
        };
        if parse.name.is_empty() {
            let id = self.next_id();
            self.unnamed.replace(id, whole);
            self.unnamed.executes.take_if(|executed| !contains(parse.text, &executed.name));
            self.exchange.answers.push_back(Answer::Unnamed);
            return false;
        }
        if self.max_prepared == 0 {
            self.exchange.answers.push_back(Answer::Pass);
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
        self.prepared.insert(parse.name, Prepared::new(Arc::clone(&statement)));
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
    #[inline(never)]
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

    #[inline(never)]
    fn ensure(&mut self, statement: &Arc<Statement>) {
        if let Some(executed) = &statement.executes {
            self.ensure(executed);
        }
        if !self.server.statements.touch(statement.id) {
            self.prepare(statement, None);
        }
    }

    /// The server has this session's unnamed statement, or none if it has none.
    #[inline]
    fn has_unnamed(&self) -> bool {
        self.server.unnamed == self.unnamed.id
    }

    /// Makes sure that the server has this session's unnamed statement, or none if it has none. True if `before`
    /// was written.
    fn ensure_unnamed(&mut self, before: &[u8]) -> bool {
        if self.has_unnamed() {
            return false;
        }
        self.server.unnamed = self.unnamed.id;
        self.exchange.answers.push_back(Answer::Swallow);
        self.exchange.to_server.extend(before);
        if self.unnamed.id == 0 {
            self.put(&[], |out| put_named(out, b'C', b""));
        } else {
            self.exchange.to_server.extend(self.unnamed.parse());
        }
        true
    }

    /// The statement behind a client's name, if names are ours.
    fn known(&mut self, name: &[u8], batch: &[u8]) -> Option<&mut Prepared> {
        let known = self.prepared.find_mut(name)?;
        // Any other client would take the new result for the old one.
        if known.statement.is_retired() && takes_any_result(batch) {
            known.statement = known.statement.renewed();
        }
        Some(known)
    }

    fn describe(&mut self, body: &[u8], before: &[u8], batch: &[u8]) -> bool {
        let Some(Named { kind, name }) = Named::read(body) else { return false };
        match kind {
            b'P' if self.bound.is_none() => {
                self.exchange.expected.pass();
                false
            }
            b'P' => self.describe_bound(name),
            b'S' => self.describe_statement(name, before, batch),
            _ => false,
        }
    }

    #[inline(never)]
    fn describe_bound(&mut self, portal: &[u8]) -> bool {
        let noted = self.bound.take().filter(|(bound, ..)| **bound == *portal);
        self.expect(noted.map(|(_, statement, told)| (statement, told)));
        false
    }

    #[inline(never)]
    fn describe_statement(&mut self, name: &[u8], before: &[u8], batch: &[u8]) -> bool {
        if name.is_empty() {
            let written = self.ensure_unnamed(before);
            let told = (self.unnamed.id != 0).then(|| (0, Rc::clone(self.unnamed.told.get_or_insert_default())));
            self.expect(told);
            if written {
                self.put(&[], |out| put_named(out, b'D', b""));
            }
            return written;
        }
        let Some(known) = self.known(name, batch) else {
            self.expect(None);
            return false;
        };
        let (statement, told) = (Arc::clone(&known.statement), Rc::clone(&known.told));
        self.exchange.to_server.extend(before);
        self.ensure(&statement);
        self.expect(Some((statement.id, told)));
        self.put(&[], |out| put_named(out, b'D', &statement.name));
        true
    }

    /// A Describe of the client's goes to the server.
    #[inline(never)]
    fn expect(&mut self, noted: Option<(u64, Rc<Told>)>) {
        match noted {
            Some((statement, told)) => {
                self.exchange.expected.push(Expected::Noted { told, statement, heard: Description::default() });
            }
            None => self.exchange.expected.pass(),
        }
    }

    #[inline(never)]
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

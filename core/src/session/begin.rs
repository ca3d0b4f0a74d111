//! Transactions that have begun for the client and not yet at a server.
//!
//! A BEGIN by itself is answered at once; it goes to the server in front of the first statement, in
//! the same packet. So a client that thinks between the two keeps no server waiting, and a
//! transaction in which nothing is asked costs none.

use std::{rc::Rc, sync::Arc};

use super::{Session, info::ClientState, request::Request};
use crate::{
    clock::Moment,
    facts::Facts,
    plugin::{input, plan::Plan},
    sql::{effect::Effect, shape::Shape},
    wire::{
        frame::HEADER_BYTES,
        frontend::query_text,
        reply::{self, TxStatus},
    },
};

/// Longest request with a BEGIN that is kept; a longer one, which has comments, goes to a server.
const BEGIN_MAX_BYTES: usize = 1_024;

/// A transaction that no server knows of: its BEGIN has not been sent, or its server was lost.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    text: Box<[u8]>,
    /// What the BEGIN is; none when it cannot be sent any more.
    shape: Option<Rc<Shape>>,
    pub(super) fate: Fate,
}

/// How such a transaction goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// At the first server that it needs.
    Open,
    /// A statement in it failed: nothing but its end is possible.
    Failed,
    /// So did its server, and the client has not been told.
    Lost,
}

impl Begun {
    /// What is left of a transaction whose server was lost.
    pub(super) fn lost(fate: Fate) -> Self {
        Self { text: Box::default(), shape: None, fate }
    }
}

impl Session {
    /// Answers a request that needs no server: a BEGIN, or the end of a transaction in which nothing
    /// was asked. False when it is another one.
    #[inline]
    pub(super) fn answer_at_once(&mut self, request: &Request, now: Moment) -> bool {
        self.lease.is_none() && request.is_whole() && self.may_be_answered(request) && self.answer(request, now)
    }

    /// Whether it may be such a request. The first letters tell most of the others.
    #[inline(never)]
    fn may_be_answered(&self, request: &Request) -> bool {
        let words: &[&[u8]] = if self.begun.is_some() { &[b"com", b"end", b"rol", b"abo"] } else { &[b"beg", b"sta"] };
        request.len <= BEGIN_MAX_BYTES && self.query_begins_with(request, words)
    }

    #[inline(never)]
    fn answer(&mut self, request: &Request, now: Moment) -> bool {
        let begun = self.begun.is_some();
        let Some(text) = self.simple_text(request) else { return false };
        let text: Box<[u8]> = text.into();
        self.follow_generation();
        let shapes = self.shapes(request.len);
        let [shape] = &*shapes else { return false };
        if shape.facts.traits.multi_statement {
            return false;
        }
        let tag = match (&*shape.facts.effects, begun) {
            ([Effect::Begin(_)], false) => {
                self.note_effects(shape);
                self.begun = Some(Box::new(Begun { shape: Some(Rc::clone(shape)), text, fate: Fate::Open }));
                if self.begun.as_ref().is_some_and(|begun| starts_with(&begun.text, b"start")) {
                    "START TRANSACTION"
                } else {
                    "BEGIN"
                }
            }
            ([Effect::Commit { chain: false }], true) => {
                let fate = self.begun.as_ref().map(|begun| begun.fate);
                if fate == Some(Fate::Lost) {
                    return false;
                }
                self.begun = None;
                if fate == Some(Fate::Failed) { "ROLLBACK" } else { "COMMIT" }
            }
            ([Effect::Rollback { chain: false }], true) => {
                self.begun = None;
                "ROLLBACK"
            }
            _ => return false,
        };
        self.unnamed.id = 0;
        self.input.consume(request.len);
        let status = if self.begun.is_some() { TxStatus::InTransaction } else { TxStatus::Idle };
        self.exchange.say(|out| {
            reply::command_complete(out, tag);
            reply::ready_for_query(out, status);
        });
        let shard = self.set.stats.shard(self.worker.id);
        shard.queries.add(1);
        shard.received.add(request.len as u64);
        if status == TxStatus::Idle {
            self.end_transaction(now);
            self.enter(ClientState::Idle, now);
        } else {
            self.enter(ClientState::IdleInTransaction, now);
        }
        true
    }

    /// Whether a request is a Query whose text begins with one of these; its end is not looked for.
    #[inline]
    pub(super) fn query_begins_with(&self, request: &Request, words: &[&[u8]]) -> bool {
        let Some((b'Q', message)) = self.input.filled()[..request.len].split_first() else { return false };
        let Some(text) = message.get(HEADER_BYTES - 1..) else { return false };
        words.iter().any(|word| starts_with(text, word))
    }

    /// The text of a Query.
    pub(super) fn simple_text(&self, request: &Request) -> Option<&[u8]> {
        let message = &self.input.filled()[..request.len];
        if message.first() != Some(&b'Q') {
            return None;
        }
        query_text(message.get(HEADER_BYTES..)?)
    }

    /// The plan of a transaction that is to begin at a server: that of its BEGIN.
    #[inline]
    pub(super) fn begun_plan(&self, facts: &Facts) -> Option<Arc<Plan>> {
        self.begun.as_ref().and_then(|begun| self.plan_of_begun(begun, facts))
    }

    #[inline(never)]
    fn plan_of_begun(&self, begun: &Begun, facts: &Facts) -> Option<Arc<Plan>> {
        let shape = begun.shape.as_ref()?;
        let transaction = self.transaction_of(shape);
        if !self.cluster.router.requirements().statement.beyond_the_shape() {
            return Some(self.plan_of(shape, transaction, facts));
        }
        let shown = input::Request { raw_text: Some(String::from_utf8_lossy(&begun.text)), parameters: Vec::new() };
        Some(self.plan_of_shown(shape, transaction, &shown, facts))
    }

    /// Has the server begin, in front of the request; what has begun there.
    #[inline]
    pub(super) fn begin_at_server(&mut self) -> Option<Box<Begun>> {
        let begun = self.begun.take()?;
        self.precede_with(begun)
    }

    #[inline(never)]
    fn precede_with(&mut self, begun: Box<Begun>) -> Option<Box<Begun>> {
        self.exchange.precede(self.lease.as_mut()?, &begun.text);
        Some(begun)
    }
}

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    text.trim_ascii_start().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

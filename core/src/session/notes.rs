//! Notes what a request's statements mean for the rest of its transaction, and of its session.

use super::{
    Session,
    error::SessionError,
    request::Request,
    route::ShapeList,
    traces::{Causes, Traces},
    unit::messages,
};
use crate::{
    server::async_commit::SYNCHRONOUS_COMMIT,
    sql::{
        Kind, StatementFacts,
        effect::{Effect, Isolation},
        shape::Shape,
    },
    wire::{
        frontend::{Bind, call_values},
        reply::TxStatus,
    },
};

impl Session {
    /// Notes what a request that is not routed means for its transaction and its session.
    #[inline(never)]
    pub(super) fn note_request(&mut self, request: &Request) -> Result<(), SessionError> {
        // A COPY, a function call, or a statement whose end has not come.
        self.transaction.wrote |= !request.is_whole();
        if request.rest > 0 {
            self.traces.get_or_insert_default().note_everything();
            return Ok(());
        }
        let shapes = self.shapes(request.len);
        self.note_all_effects(&shapes, request)
    }

    /// What the statements mean for the rest of the transaction and of the session.
    #[inline]
    pub(super) fn note_all_effects(&mut self, shapes: &ShapeList, request: &Request) -> Result<(), SessionError> {
        self.transaction.rolls_back = false;
        if self.has_nothing_noted() && shapes.iter().all(|shape| shape.only_reads) {
            return Ok(());
        }
        self.note_each_effect(shapes, request)
    }

    /// What was asked before does not matter for a statement that only reads.
    #[inline]
    fn has_nothing_noted(&self) -> bool {
        let in_transaction = self.transaction.unseen || self.transaction.defined;
        !in_transaction && self.traces.is_none() && self.linger.is_none() && !self.is_pinned()
    }

    #[inline(never)]
    fn note_each_effect(&mut self, shapes: &ShapeList, request: &Request) -> Result<(), SessionError> {
        if let Some(traces) = &mut self.traces {
            traces.commits = false;
        }
        for shape in shapes {
            self.may_pin(&shape.facts.effects)?;
        }
        self.note_seen(shapes, request.len);
        Ok(())
    }

    /// Notes what more of an open batch means; `len` bytes of the input are that.
    #[inline(never)]
    pub(super) fn note_more(&mut self, len: usize) {
        let shapes = self.shapes(len);
        self.note_seen(&shapes, len);
    }

    #[inline(never)]
    fn note_seen(&mut self, shapes: &ShapeList, len: usize) {
        for shape in shapes {
            self.note_statement(shape, len);
        }
        self.note_unseen(len);
    }

    /// What a statement means for the rest of the transaction and of the session.
    pub(super) fn note_statement(&mut self, shape: &Shape, len: usize) {
        self.note_effects(shape);
        if self.transaction.defined || self.linger.is_some() {
            self.note_deed(shape);
        }
        if !shape.facts.effects.is_empty() || self.is_pinned() {
            self.note_traces(&shape.facts, len);
        }
    }

    /// What is not known of a request may be anything.
    pub(super) fn note_unseen(&mut self, len: usize) {
        if std::mem::take(&mut self.transaction.unseen) {
            self.transaction.wrote = true;
            self.transaction.moves_sequence = true;
            let traces = self.traces.get_or_insert_default();
            traces.note_everything();
            // A setting of a made-up name is in no list.
            for_each_value(&self.input.filled()[..len], |value| traces.note_candidate(value));
        }
    }

    /// What a statement may leave behind; `len` bytes of the input are the request.
    fn note_traces(&mut self, facts: &StatementFacts, len: usize) {
        let mut traces = self.traces.take();
        let mut found = false;
        for effect in &facts.effects {
            let traces = traces.get_or_insert_default();
            match effect {
                Effect::Prepare { name, effects } => {
                    self.executes.get_or_insert_default().note(name, effects);
                    found |= traces.note(effect);
                }
                Effect::Execute(name) => {
                    let known = self.executes.as_ref().and_then(|known| known.find(name));
                    for effect in known.unwrap_or(std::slice::from_ref(effect)) {
                        found |= self.note_channels(effect, traces) | traces.note(effect);
                    }
                }
                Effect::SetByFunction => {
                    for_each_value(&self.input.filled()[..len], |value| traces.note_candidate(value));
                    found = true;
                }
                Effect::RecallSequence => {
                    self.set.shared.note_recalls_sequences();
                    self.transaction.recalls_sequence = true;
                }
                Effect::Rollback { .. } | Effect::RollbackTo(_) => {
                    self.transaction.rolls_back = true;
                    traces.note(effect);
                }
                effect => found |= self.note_channels(effect, traces) | traces.note(effect),
            }
        }
        if let Some(traces) = traces.as_mut().filter(|traces| traces.unseen) {
            for_each_value(&self.input.filled()[..len], |value| traces.note_candidate(value));
        }
        // What was made by one command may be unmade by others.
        if self.pins.contain(Causes::TEMPORARY) && facts.kind == Kind::Ddl {
            traces.get_or_insert_default().suspect(Causes::TEMPORARY);
            found = true;
        }
        let had = traces.as_ref().is_some_and(|traces| **traces != Traces::default());
        self.traces = traces.filter(|_| found || had);
    }

    /// What a statement means for the rest of the transaction.
    pub(super) fn note_effects(&mut self, shape: &Shape) {
        let traits = &shape.facts.traits;
        let transaction = &mut self.transaction;
        match shape.facts.kind {
            Kind::Begin => {
                transaction.read_only = traits.begins_read_only;
                transaction.serializable = shape.facts.isolation().map(|level| level == Isolation::Serializable);
            }
            Kind::Commit | Kind::Rollback | Kind::Savepoint | Kind::Show => {}
            _ => transaction.wrote |= !transaction.read_only && (!traits.read_only || traits.unknown_function),
        }
        transaction.changed_catalog |= traits.changes_catalog;
        transaction.defined |= traits.defines;
        for effect in &shape.facts.effects {
            transaction.sets_commit |= effect.sets_locally(SYNCHRONOUS_COMMIT);
            transaction.ends |=
                matches!(effect, Effect::Commit { .. } | Effect::Rollback { .. } | Effect::PrepareTransaction);
        }
        transaction.moves_sequence |= may_move_sequence(&shape.facts);
    }

    /// A session asks what a sequence answered before: it gets no other session's answer. Its server knows
    /// if the session moved one there last; else it forgets.
    #[inline]
    pub(super) fn own_sequences(&mut self) {
        if std::mem::take(&mut self.transaction.recalls_sequence) {
            self.make_sequences_own();
        }
    }

    #[inline(never)]
    fn make_sequences_own(&mut self) {
        let Some(lease) = &mut self.lease else { return };
        let foreign = lease.sequence_user != 0 && lease.sequence_user != self.info.pid;
        if foreign && lease.status != TxStatus::Failed {
            self.exchange.precede(lease, b"DISCARD SEQUENCES");
        }
        lease.sequence_user = self.info.pid;
    }
}

/// Whether a statement may move a sequence, and so change what `lastval` answers. An UPDATE or DELETE by
/// itself gives no column its default.
fn may_move_sequence(facts: &StatementFacts) -> bool {
    let traits = &facts.traits;
    let recalls = |function: &String| matches!(function.trim_start_matches("pg_catalog."), "currval" | "lastval");
    if facts.kind == Kind::Select && !facts.functions.is_empty() && facts.functions.iter().all(recalls) {
        return traits.writing_cte;
    }
    let of_transaction = matches!(facts.kind, Kind::Begin | Kind::Commit | Kind::Rollback | Kind::Savepoint);
    let of_session = matches!(facts.kind, Kind::Set | Kind::Show | Kind::Listen | Kind::Notify | Kind::Lock);
    let gives_no_default = matches!(facts.kind, Kind::Update | Kind::Delete | Kind::Maintenance);
    let only_by_function = of_transaction || of_session || gives_no_default;
    !traits.read_only && (traits.multi_statement || traits.unknown_function || !only_by_function)
}

/// Whatever may be an argument: string constants of a text, and values of parameters.
fn for_each_value(request: &[u8], mut each: impl FnMut(&[u8])) {
    for (tag, body, _) in messages(request) {
        match tag {
            b'Q' | b'P' => body.split(|byte| *byte == b'\'').skip(1).step_by(2).for_each(&mut each),
            b'B' => {
                if let Some(bind) = Bind::read(body) {
                    bind.values().for_each(&mut each);
                }
            }
            b'F' => call_values(body).for_each(&mut each),
            _ => {}
        }
    }
}

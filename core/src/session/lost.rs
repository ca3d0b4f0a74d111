//! A server that was lost while its session used it: what is lost with it, and what the client is told.
//!
//! What provably was not done is done again, without the client's knowing. Of the rest the client is told once: that
//! its transaction is rolled back, or that nobody knows ([`outcome`](super::outcome) may). The session goes on, if it
//! kept nothing on that server ([`pin`](super::pin)).

#[cfg(test)]
mod tests;

use std::future::poll_fn;

use super::{
    Session,
    begin::{Begun, Fate},
    error::SessionError,
    info::ClientState,
    outcome::Outcome,
    relay::{Answer, Broken, Flow, Parting},
    request::Request,
    unit::messages,
};
use crate::{
    clock::Moment,
    facts::Report,
    server::statements::Statement,
    session::prepared::Prepared,
    sql::{Kind, effect::Effect},
    wire::{
        frame,
        frontend::{Named, Parse},
        reply::{self, Severity, TxStatus},
        sqlstate::SqlState,
    },
};

/// What a client is told of a server that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The transaction goes on for the client, which has to end it.
    #[error("the server of the transaction was lost; the transaction is rolled back")]
    Transaction,
    /// It was to be committed, and is not.
    #[error("the server was lost before the transaction was committed; the transaction is rolled back")]
    Commit,
    /// It may be committed.
    #[error("the server was lost; whether the transaction was committed is not known")]
    Unknown,
    /// Of a statement that changes nothing, only the answer is lost.
    #[error("the server was lost while it answered")]
    Answer,
}

impl Loss {
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub fn sqlstate(self) -> SqlState {
        match self {
            Self::Transaction | Self::Answer => SqlState::CONNECTION_FAILURE,
            Self::Commit => SqlState::T_R_SERIALIZATION_FAILURE,
            Self::Unknown => SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Transaction => "The session goes on. End the transaction, then it may be tried again.",
            Self::Commit | Self::Answer => "The session goes on. It may be tried again.",
            Self::Unknown => "The session goes on. Look for what the transaction did before it is tried again.",
        }
    }
}

/// How a request stood when its server was lost.
pub(super) struct Before {
    /// Its server was in a transaction before.
    pub in_transaction: bool,
    /// A transaction was to begin in front of it.
    pub begun: Option<Box<Begun>>,
    /// Nothing went in front of it that the next server has to be told as well.
    pub repeatable: bool,
    /// Since when the client waits.
    pub since: Moment,
}

/// What comes after the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The request is to be made again.
    Again,
    /// The client has been told.
    Told,
}

/// How a request ends its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It does not.
    None,
    /// It is a COMMIT and nothing else.
    Commit,
    /// It is a ROLLBACK and nothing else.
    Rollback,
    /// It ends one, and does something else.
    Mixed,
}

/// All that decides what comes after a loss.
#[derive(Clone, Copy, Debug)]
struct Scene {
    in_transaction: bool,
    begins: bool,
    ending: Ending,
    /// The transaction may have written, this request included.
    wrote: bool,
    /// A read-only transaction that fails may say that others were not serializable.
    serializable: bool,
    /// One statement that commits nothing by itself before it is done.
    plain: bool,
    /// Nothing of the request was sent.
    unsent: bool,
    /// The server said that it goes, instead of an answer.
    farewell: bool,
    /// The request is still at hand, and its client has seen nothing of an answer.
    untouched: bool,
    repeatable: bool,
    /// The COMMIT was answered, and nothing after it.
    committed: bool,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Again,
    /// The answer is known although the server did not give it.
    Answer(&'static str),
    /// The answer is there, only its end is not.
    Finish,
    /// Whoever comes after the server may know.
    Resolve,
    Tell(Loss),
}

impl Scene {
    fn verdict(self) -> Verdict {
        if self.in_transaction { self.of_transaction() } else { self.of_request() }
    }

    /// Nothing but the request itself is at stake.
    fn of_request(self) -> Verdict {
        // A transaction that has begun with it was never committed, unless by it.
        let undone = self.unsent || (self.farewell && self.plain) || (self.begins && self.ending == Ending::None);
        if (undone || !self.wrote) && self.untouched && self.repeatable {
            return Verdict::Again;
        }
        match (self.begins && self.ending == Ending::None, self.wrote) {
            (true, _) => Verdict::Tell(Loss::Transaction),
            (false, false) => Verdict::Tell(Loss::Answer),
            (false, true) if undone => Verdict::Tell(Loss::Commit),
            (false, true) => Verdict::Tell(Loss::Unknown),
        }
    }

    fn of_transaction(self) -> Verdict {
        match self.ending {
            Ending::None => Verdict::Tell(Loss::Transaction),
            _ if self.committed => Verdict::Finish,
            Ending::Rollback if self.untouched => Verdict::Answer("ROLLBACK"),
            Ending::Commit if self.untouched && !self.wrote && !self.serializable => Verdict::Answer("COMMIT"),
            Ending::Rollback => Verdict::Tell(Loss::Commit),
            _ if self.unsent => Verdict::Tell(Loss::Commit),
            Ending::Commit if self.untouched => Verdict::Resolve,
            Ending::Commit | Ending::Mixed => Verdict::Tell(Loss::Unknown),
        }
    }
}

impl Session {
    /// Whether the session goes on without the server that it has.
    pub(super) fn outlives_servers(&self) -> bool {
        !self.is_bound() && self.cluster.facts.load().heals
    }

    /// Whether it goes on after an exchange that broke like this.
    pub(super) fn outlives(&self, broken: &Broken) -> bool {
        let exchange = &self.exchange;
        matches!(broken, Broken::Server { .. })
            && exchange.keeps_farewells
            && !exchange.told_fatal
            && !exchange.is_mid_message()
    }

    /// Finds out what became of the request, and tells its client unless it is to be made again.
    pub(super) async fn after_loss(&mut self, request: &Request, before: Before) -> Result<Next, SessionError> {
        let ending = self.ending(request);
        let scene = self.scene(request, &before, ending);
        let term = self.lease.as_ref().map_or(0, |lease| lease.term);
        let xid = self.exchange.xid;
        self.lose_server();
        tracing::debug!(?scene, "a server was lost with a request");
        let verdict = match scene.verdict() {
            Verdict::Resolve => match self.outcome(term, xid, before.since).await? {
                Outcome::Committed => Verdict::Answer("COMMIT"),
                Outcome::RolledBack => Verdict::Tell(Loss::Commit),
                Outcome::Unknown => Verdict::Tell(Loss::Unknown),
            },
            other => other,
        };
        let stats = std::sync::Arc::clone(&self.set.stats);
        let shard = stats.shard(self.worker.id);
        if verdict == Verdict::Again {
            shard.retried.add(1);
            self.forget_names(request);
            self.begun = before.begun;
            return Ok(Next::Again);
        }
        if let Some(traces) = self.traces.take() {
            self.listen_to_no_more(&traces);
        }
        let goes_on = ending == Ending::None && (before.in_transaction || before.begun.is_some());
        match verdict {
            Verdict::Tell(loss) => {
                shard.losses.add(1);
                if goes_on {
                    self.begun = Some(Box::new(Begun::lost(Fate::Failed)));
                }
                self.tell(request, &SessionError::Lost(loss)).await?;
            }
            Verdict::Answer(tag) => self.acknowledge(request, tag),
            _ => {
                self.input.consume(std::mem::take(&mut self.exchange.kept));
                self.exchange.say(|out| reply::ready_for_query(out, TxStatus::Idle));
            }
        }
        self.enter_after_request(Moment::now());
        Ok(Next::Told)
    }

    fn scene(&mut self, request: &Request, before: &Before, ending: Ending) -> Scene {
        let exchange = &self.exchange;
        let at_hand = exchange.kept == request.len && request.is_whole();
        let (unsent, farewell) = (!exchange.sent, exchange.parting == Parting::SaidAtOnce);
        let (untouched, committed) =
            (at_hand && !exchange.touched, exchange.committed && exchange.is_between_messages());
        Scene {
            in_transaction: before.in_transaction,
            begins: before.begun.is_some(),
            ending,
            wrote: self.transaction.wrote,
            serializable: self.transaction.serializable.unwrap_or(self.serializable),
            plain: untouched && self.is_plain(request),
            unsent,
            farewell,
            untouched,
            repeatable: before.repeatable,
            committed,
        }
    }

    /// How the request ends the transaction. One that is not at hand any more did not, as far as is known.
    fn ending(&mut self, request: &Request) -> Ending {
        if !self.transaction.ends {
            return Ending::None;
        }
        if self.input.len() < request.len || !request.is_whole() {
            return Ending::Mixed;
        }
        let shapes = self.shapes(request.len);
        match &*shapes {
            [shape] if !shape.facts.traits.multi_statement => match &*shape.facts.effects {
                [Effect::Commit { chain: false }] => Ending::Commit,
                [Effect::Rollback { chain: false }] => Ending::Rollback,
                _ => Ending::Mixed,
            },
            _ => Ending::Mixed,
        }
    }

    fn is_plain(&mut self, request: &Request) -> bool {
        let shapes = self.shapes(request.len);
        let kinds = [Kind::Select, Kind::Insert, Kind::Update, Kind::Delete, Kind::Merge];
        matches!(&*shapes, [shape] if !shape.facts.traits.multi_statement && kinds.contains(&shape.facts.kind))
            && messages(&self.input.filled()[..request.len]).filter(|(tag, ..)| *tag == b'E').count() <= 1
    }

    /// Lets go of a server that is lost, and of what was half said by it.
    pub(super) fn lose_server(&mut self) {
        self.cluster.reports.send(Report::ConnectionLost(self.lease_node));
        if let Some(lease) = self.lease.take()
            && self.exchange.parting == Parting::Silent
            && lease.age == lease.pool().age()
        {
            // Its node may be dying, one process after the other. That the pool's other servers are still there proves
            // nothing; a login does. Who lost one of those has no say, or servers would be opened in vain.
            lease.pool().reconnect();
        }
        self.info.note_server(0);
        self.drop_linger();
        self.undo_names();
        self.exchange.abandon();
    }

    /// The session held a server between two requests, and it is lost.
    pub(super) fn lose_idle_server(&mut self) {
        let was_in_transaction = self.is_in_transaction_at_server();
        self.lose_server();
        if was_in_transaction {
            if let Some(traces) = self.traces.take() {
                self.listen_to_no_more(&traces);
            }
            self.set.stats.shard(self.worker.id).losses.add(1);
            self.begun = Some(Box::new(Begun::lost(Fate::Lost)));
        }
    }

    /// A request in a transaction that has failed and that no server knows of.
    #[inline(never)]
    pub(super) fn go_on_failed(&mut self, request: &Request) -> Result<(), SessionError> {
        let Some(begun) = &self.begun else { return Ok(()) };
        let fate = begun.fate;
        self.transaction.ends = true;
        match (fate, self.ending(request)) {
            (Fate::Lost, Ending::Commit) => {
                self.begun = None;
                Err(SessionError::Lost(Loss::Commit))
            }
            (_, Ending::Commit | Ending::Rollback) => {
                self.begun = None;
                self.exchange.begin(super::relay::Care::Once);
                self.exchange.kept = request.len;
                self.acknowledge(request, "ROLLBACK");
                self.exchange.abandon();
                self.enter_after_request(Moment::now());
                Ok(())
            }
            (Fate::Lost, _) => Err(SessionError::Lost(Loss::Transaction)),
            _ => Err(SessionError::Aborted),
        }
    }

    /// Notes the names that a request gives and takes away, as if a server had done so.
    fn note_names(&mut self, request: &Request) {
        let are_ours = self.worker.shared.generation.load().config.max_prepared_statements > 0;
        for (tag, body, whole) in messages(&self.input.filled()[..request.len]) {
            match tag {
                b'P' => {
                    let Some(parse) = Parse::read(body) else { continue };
                    if parse.name.is_empty() {
                        let next = self.worker.next_unnamed.get() + 1;
                        self.worker.next_unnamed.set(next);
                        self.unnamed.replace(next, whole);
                    } else if are_ours {
                        let statement = Statement::interned(&parse, &self.settings.scope());
                        self.prepared.insert(parse.name, Prepared::new(statement));
                    }
                }
                b'C' => {
                    if let Some(Named { kind: b'S', name }) = Named::read(body) {
                        self.prepared.remove(name);
                    }
                }
                _ => {}
            }
        }
    }

    /// Gives a request the answer of a server that had done what it says.
    fn acknowledge(&mut self, request: &Request, tag: &str) {
        self.note_names(request);
        let mut answer = Vec::new();
        for (message, body, _) in messages(&self.input.filled()[..request.len]) {
            match message {
                b'Q' => {
                    reply::command_complete(&mut answer, tag);
                    reply::ready_for_query(&mut answer, TxStatus::Idle);
                }
                b'P' => reply::parse_complete(&mut answer),
                b'B' => reply::bind_complete(&mut answer),
                b'C' => reply::close_complete(&mut answer),
                b'D' => {
                    if Named::read(body).is_some_and(|named| named.kind == b'S') {
                        reply::parameter_description(&mut answer, &[]);
                    }
                    reply::no_data(&mut answer);
                }
                b'E' => reply::command_complete(&mut answer, tag),
                b'S' => reply::ready_for_query(&mut answer, TxStatus::Idle),
                _ => {}
            }
        }
        self.input.consume(request.len);
        self.exchange.kept = 0;
        self.exchange.say(|out| out.extend_from_slice(&answer));
        self.set.stats.shard(self.worker.id).queries.add(1);
    }

    /// Tells the client of an error, once it has said all of its request.
    pub(super) async fn tell(&mut self, request: &Request, error: &SessionError) -> Result<(), SessionError> {
        self.set.stats.shard(self.worker.id).errors.add(1);
        self.exchange.say(|out| {
            reply::error(out, Severity::Error, error.sqlstate(), &error.told(), "", error.hint());
        });
        self.input.consume(std::mem::take(&mut self.exchange.kept));
        if !request.is_whole() || self.exchange.flow != Flow::Closed {
            self.skip_request().await?;
        }
        let status = self.status();
        self.exchange.say(|out| reply::ready_for_query(out, status));
        Ok(())
    }

    /// Lets the client say the rest of a request that has failed.
    /// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY>
    async fn skip_request(&mut self) -> Result<(), SessionError> {
        self.flush().await?;
        let until_sync = !self.exchange.simple && self.exchange.flow != Flow::Closed;
        let mut rest = std::mem::take(&mut self.exchange.client_rest);
        self.exchange.flow = Flow::Closed;
        loop {
            let n = rest.min(self.input.len());
            self.input.consume(n);
            rest -= n;
            while rest == 0 {
                if !until_sync {
                    return Ok(());
                }
                let Some(next) = frame::header(self.input.filled())? else { break };
                if next.tag == b'X' {
                    return Ok(());
                }
                let n = next.total.min(self.input.len());
                self.input.consume(n);
                rest = next.total - n;
                if next.tag == b'S' && rest == 0 {
                    return Ok(());
                }
            }
            if let Some(met) = poll_fn(|cx| self.poll_client(cx)).await?
                && self.meet(met).await?.is_some()
            {
                return Err(Broken::Client(std::io::ErrorKind::UnexpectedEof.into()).into());
            }
        }
    }

    /// Where the client believes its transaction to be.
    pub(super) fn status(&self) -> TxStatus {
        match (&self.lease, &self.begun) {
            (Some(lease), _) if lease.status != TxStatus::Idle => lease.status,
            (_, Some(begun)) if begun.fate == Fate::Open => TxStatus::InTransaction,
            (_, Some(_)) => TxStatus::Failed,
            (_, None) => TxStatus::Idle,
        }
    }

    /// A request has been answered, without a server or by an error of ours.
    pub(super) fn enter_after_request(&mut self, now: Moment) {
        if self.is_in_transaction() {
            self.enter(ClientState::IdleInTransaction, now);
        } else {
            self.end_transaction(now);
            self.release(now);
            self.enter(ClientState::Idle, now);
        }
    }

    /// Names that were given or taken by messages which are answered no more are as they were before.
    pub(super) fn undo_names(&mut self) {
        // The last first: a name may have been closed and given anew.
        for answer in self.exchange.answers.drain(..).rev() {
            match answer {
                Answer::Parse { name: Some(name), .. } | Answer::CloseAsParse { name } => self.prepared.remove(&name),
                Answer::Unnamed => {
                    self.unnamed.id = 0;
                    if let Some(lease) = &mut self.lease {
                        lease.unnamed = crate::server::UNNAMED_UNKNOWN;
                    }
                }
                Answer::Close { name, prepared } => self.prepared.put_back(name, prepared),
                _ => {}
            }
        }
    }

    /// Whether a server that was to be used is lost with nothing of the request sent to it.
    pub(super) fn lost_before_request(&self, error: &SessionError) -> bool {
        use crate::server::RunError;
        let lost = matches!(error, SessionError::Settings(RunError::Io(_) | RunError::Protocol));
        lost && self.lease.is_none() && self.outlives_servers()
    }
}

//! Carries bytes between a client and its server until the server is ready for the next request.
//!
//! This is the hot path: it reads five-byte headers, bodies only of the few messages that need it,
//! and passes on whole reads. Both directions are one poll function, so that neither can block the
//! other, and each byte from a server is written from the memory that it was read into.

mod answer;
pub mod described;
mod end;
mod resets;
mod scan;

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

pub use self::{
    answer::Answer,
    end::{Broken, Care, End, Parting, Refused},
};
use self::{
    described::{Expectations, Question},
    resets::Resets,
};
use crate::{
    listen::Channels,
    net::{buffer::Buffer, stream::Stream},
    server::{RunError, Server, poll_read, statements::Statement},
    session::{outcome::Xid, prepared::PreparedStatements},
    wire::{
        ask, frame,
        frontend::{put_named, put_query},
    },
};

/// Most of a server's answer that is kept back to see whether it is a refusal (25006).
const HOLD_MAX_BYTES: usize = 32 * 1024;

/// What may come from the client while the server works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nothing that belongs to this request.
    Closed,
    /// More of a batch that has not seen its Sync.
    Batch,
    /// COPY data.
    CopyIn,
    /// The Sync behind a COPY.
    CopyDone,
}

/// One request's way to the server and back.
#[derive(Debug)]
pub struct Exchange {
    /// On their way to the server.
    pub to_server: Buffer,
    /// On their way to the client.
    pub to_client: Buffer,
    /// How many bytes of `to_client` may go.
    cleared: usize,
    /// How many bytes of `to_client` have been looked at; more than `cleared` while they are held back.
    scanned: usize,
    /// Length of the client's bytes when they were last looked at.
    pub seen: usize,
    /// TLS still holds bytes for the server, for the client.
    unflushed: (bool, bool),
    /// Bytes of a message still to come from the server, to be passed on unseen.
    rest: usize,
    /// Bytes of a message still to come from the client, to be passed on unseen.
    pub client_rest: usize,
    /// What may come from the client.
    pub flow: Flow,
    /// The request is a Query.
    pub simple: bool,
    /// ParseComplete and CloseComplete still to come.
    pub answers: VecDeque<Answer>,
    /// Descriptions still to come.
    pub expected: Expectations,
    /// What the request waits for in its middle.
    pub question: Question,
    /// A Bind of a statement whose result has changed went to one that does not exist.
    pub binds_nobody: bool,
    /// Keep the answer back until it is known not to be a refusal.
    pub hold: bool,
    /// What is kept back may be a refusal of a standby.
    absorbs_refusals: bool,
    /// Bytes of the request that stay in the input until it is answered.
    pub kept: usize,
    /// Something of the request may have reached the server.
    pub sent: bool,
    /// What a server says when it goes away is not for the client: its session outlives it.
    pub keeps_farewells: bool,
    /// Whether it said so.
    pub parting: Parting,
    /// The client was told by the server that its session is over.
    pub told_fatal: bool,
    /// The number of the transaction, if the server was asked for it.
    pub xid: Xid,
    /// A commit was not acknowledged by the standbys that it waited for.
    pub unacknowledged: bool,
    /// The client is told that such a commit may be lost.
    pub doubts_unacknowledged: bool,
    /// Something of the answer has been cleared for the client.
    pub touched: bool,
    /// The refusal that is being kept from the client.
    pub refused: Option<Refused>,
    ready: bool,
    /// A COMMIT has been answered as one.
    pub committed: bool,
    /// Channels that somebody else listens to for the session: what a server says of them is not passed on.
    pub muted: Option<Arc<Channels>>,
    /// DISCARD ALL or DEALLOCATE ALL has been answered.
    pub discarded: Discarded,
    /// A ParameterStatus has said that something is set otherwise.
    pub settings_changed: bool,
    /// What the client hears of settings that it asked for at login.
    pub resets: Resets,
    /// The ReadyForQuery that ends a transaction is kept, for something to be told in front of it.
    pub keeps_ready: bool,
    /// It has been.
    pub kept_ready: bool,
    /// An ErrorResponse has come.
    pub failed: bool,
    /// One that says that the server's disk is full.
    pub disk_full: bool,
    /// A statement whose result has changed may be prepared anew without the client's knowing.
    pub absorbs_stale_plans: bool,
    /// The server had to be given a statement that the client prepared before.
    pub prepared_anew: bool,
    /// ReadyForQuery messages still to come for statements of ours that went before the request.
    prefixes: u32,
    /// What became of them, when one of them failed.
    pub prefix_failure: Option<Box<RunError>>,
    /// The last of them prepares this statement. When the server refuses to, so it will what names it.
    preparing: Option<Arc<Statement>>,
    /// Bytes that came from the server.
    pub received: u64,
    /// What the request asked of prepared statements.
    pub counts: Counts,
}

/// Messages of one request that the statistics count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The client's Parse messages for named statements.
    pub client_parses: u32,
    /// Parse messages that a server got for them.
    pub server_parses: u32,
    /// The client's Bind messages.
    pub binds: u32,
}

/// What the server was told to forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discarded {
    /// Nothing.
    #[default]
    Nothing,
    /// Prepared statements.
    Statements,
    /// Everything.
    All,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            to_server: Buffer::default(),
            to_client: Buffer::default(),
            cleared: 0,
            scanned: 0,
            seen: 0,
            unflushed: (false, false),
            rest: 0,
            client_rest: 0,
            flow: Flow::Closed,
            simple: false,
            answers: VecDeque::new(),
            expected: Expectations::default(),
            question: Question::None,
            binds_nobody: false,
            hold: false,
            absorbs_refusals: false,
            kept: 0,
            sent: false,
            keeps_farewells: false,
            parting: Parting::Silent,
            told_fatal: false,
            xid: Xid::Unknown,
            unacknowledged: false,
            doubts_unacknowledged: false,
            touched: false,
            refused: None,
            ready: true,
            committed: false,
            muted: None,
            discarded: Discarded::Nothing,
            settings_changed: false,
            resets: Resets::default(),
            keeps_ready: false,
            kept_ready: false,
            failed: false,
            disk_full: false,
            absorbs_stale_plans: false,
            prepared_anew: false,
            prefixes: 0,
            prefix_failure: None,
            preparing: None,
            received: 0,
            counts: Counts::default(),
        }
    }
}

impl Exchange {
    /// Gets ready for the next request; what is on its way to the client stays.
    pub fn begin(&mut self, care: Care) {
        self.flow = Flow::Closed;
        self.hold = care != Care::Once;
        self.absorbs_refusals = care == Care::IfRefused;
        self.kept = 0;
        self.sent = false;
        self.parting = Parting::Silent;
        self.unacknowledged = false;
        self.touched = false;
        self.refused = None;
        self.ready = false;
        self.committed = false;
        self.discarded = Discarded::Nothing;
        self.settings_changed = false;
        self.failed = false;
        self.disk_full = false;
        self.prepared_anew = false;
        self.expected.clear();
        self.question = Question::None;
        self.binds_nobody = false;
        self.received = 0;
        self.counts = Counts::default();
        self.seen = 0;
    }

    /// Has a statement of our own run in front of the request, in the same packet. The client hears
    /// nothing of it.
    pub fn precede(&mut self, server: &mut Server, sql: &[u8]) {
        server.unnamed = 0;
        self.to_server.extend_with(|out| put_query(out, sql));
        self.prefixes += 1;
    }

    /// Has the server prepare a statement, as the last of what is in front of the request. One that it has may have
    /// to go for it.
    pub fn prepare_ahead(&mut self, server: &mut Server, statement: &Arc<Statement>, max: usize) {
        let evicted = server.statements.insert(statement, max);
        server.info.note_statements(server.statements.len());
        self.to_server.extend_with(|out| {
            if let Some(evicted) = evicted {
                put_named(out, b'C', &evicted.name);
            }
            statement.put_parse(out);
            ask::sync(out);
        });
        self.preparing = Some(Arc::clone(statement));
        self.prefixes += 1;
    }

    /// Carries bytes both ways until the server is ready, the client has more for an open flow, or
    /// one side breaks.
    #[inline]
    pub fn poll(
        &mut self,
        client: &mut Stream,
        input: &mut Buffer,
        server: &mut Server,
        names: &PreparedStatements,
        cx: &mut Context<'_>,
    ) -> Poll<Result<End, Broken>> {
        loop {
            self.poll_to_server(server, cx)?;
            if self.client_spoke(input) {
                return Poll::Ready(Ok(End::ClientSpoke));
            }
            let was_behind = self.cleared > 0;
            let heard = self.poll_from_server(server, names, cx)?;
            if self.has_asked_enough() {
                return Poll::Ready(Ok(End::Described));
            }
            if self.is_done() {
                // What has been cleared goes to the client after the server has been given back.
                self.settle(server);
                return Poll::Ready(Ok(if self.refused.is_some() { End::Refused } else { End::Ready }));
            }
            let caught_up = self.poll_to_client(client, cx)? && was_behind;
            let spoke = self.poll_from_client(client, input, cx)?;
            if self.client_spoke(input) {
                return Poll::Ready(Ok(End::ClientSpoke));
            }
            // What was only written makes nothing new to do, unless it stood in the way of reading.
            if !(heard || caught_up || spoke) {
                return Poll::Pending;
            }
        }
    }

    /// The server is ready, and no message is half carried either way.
    fn is_done(&self) -> bool {
        self.ready
            && self.rest == 0
            && self.scanned == self.to_client.len()
            && self.to_server.is_empty()
            && self.client_rest == 0
    }

    fn client_spoke(&self, input: &Buffer) -> bool {
        self.flow != Flow::Closed
            && self.question == Question::None
            && self.client_rest == 0
            && self.to_server.is_empty()
            && input.len() > self.seen
            && !self.ready
    }

    /// Passes on, once, what a server says between requests; breaks when it went away.
    pub fn poll_unasked(
        &mut self,
        client: &mut Stream,
        server: &mut Server,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        let heard = self.poll_from_server(server, &PreparedStatements::default(), cx);
        ready!(self.poll_flush(client, cx)).map_err(Broken::Client)?;
        heard?;
        // A message that has begun is waited for. Nothing else is: the client may have sent its next request at the
        // same time, and of that nobody would wake us again.
        if self.rest > 0 || self.scanned < self.to_client.len() {
            ready!(server.stream.poll_read_ready(cx)).map_err(|cause| self.server_gone(cause))?;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    /// Something of the answer is to be accounted for that most answers do not have.
    #[inline]
    pub fn is_remarkable(&self) -> bool {
        let told = self.settings_changed | self.disk_full | self.unacknowledged;
        told || self.discarded != Discarded::Nothing || !self.answers.is_empty()
    }

    /// No request is on its way.
    pub fn is_between_requests(&self) -> bool {
        self.ready && self.rest == 0 && self.client_rest == 0 && self.to_server.is_empty()
    }

    #[inline]
    fn poll_to_server(&mut self, server: &mut Server, cx: &mut Context<'_>) -> Result<(), Broken> {
        if self.to_server.is_empty() && !self.unflushed.0 { Ok(()) } else { self.write_to_server(server, cx) }
    }

    #[inline(never)]
    fn write_to_server(&mut self, server: &mut Server, cx: &mut Context<'_>) -> Result<(), Broken> {
        let before = self.to_server.len();
        let polled = poll_write_all(&mut server.stream, &mut self.to_server, usize::MAX, cx);
        self.sent |= self.to_server.len() < before;
        self.unflushed.0 = polled.is_pending() && server.stream.is_tls();
        match polled {
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
            Poll::Ready(Err(cause)) => {
                self.to_server.clear();
                // The server may have said why before it closed.
                self.client_rest = 0;
                if self.poll_from_server(server, &PreparedStatements::default(), cx).is_ok() && self.ready {
                    return Ok(());
                }
                Err(Broken::Server { untouched: !self.touched, cause })
            }
        }
    }

    /// Reads from the server unless the client is behind.
    fn poll_from_server(
        &mut self,
        server: &mut Server,
        names: &PreparedStatements,
        cx: &mut Context<'_>,
    ) -> Result<bool, Broken> {
        if self.cleared > 0 || (self.ready && self.rest == 0 && self.scanned == self.to_client.len()) {
            return Ok(false);
        }
        match poll_read(&mut server.stream, &mut self.to_client, cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(self.server_gone(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Err(cause)) => Err(self.server_gone(cause)),
            Poll::Ready(Ok(n)) => {
                self.received += n as u64;
                self.scan(server, names)?;
                Ok(true)
            }
        }
    }

    /// The server is lost.
    #[cold]
    pub fn server_gone(&self, cause: io::Error) -> Broken {
        Broken::Server { untouched: !self.touched, cause }
    }

    fn poll_to_client(&mut self, client: &mut Stream, cx: &mut Context<'_>) -> Result<bool, Broken> {
        if self.cleared == 0 && !self.unflushed.1 {
            return Ok(false);
        }
        match self.write_cleared(client, cx) {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(cause)) => Err(Broken::Client(cause)),
            Poll::Pending => Ok(false),
        }
    }

    /// Reads from the client: what belongs to an open flow, what it sends ahead, or its end.
    fn poll_from_client(
        &mut self,
        client: &mut Stream,
        input: &mut Buffer,
        cx: &mut Context<'_>,
    ) -> Result<bool, Broken> {
        if self.client_rest > 0 && !self.to_server.is_empty() {
            return Ok(false);
        }
        // Beyond one buffer the client has to wait until its request has been served.
        let takes_more = self.flow == Flow::Batch && self.question == Question::None && self.to_server.is_empty();
        if !input.has_room() && !takes_more {
            return Ok(false);
        }
        if input.is_empty() && client.poll_read_ready(cx).is_pending() {
            return Ok(false);
        }
        match poll_read(client, input, cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(Broken::Client(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Err(cause)) => Err(Broken::Client(cause)),
            Poll::Ready(Ok(_)) => {
                if self.client_rest > 0 {
                    self.pass_rest(input);
                }
                // Something that the client sent ahead is no reason to go round again.
                Ok(self.flow != Flow::Closed || self.client_rest > 0 || !self.to_server.is_empty())
            }
        }
    }

    /// Passes on what has come of a message that was begun.
    #[inline(never)]
    pub fn pass_rest(&mut self, input: &mut Buffer) {
        let n = self.client_rest.min(input.len());
        self.to_server.extend(&input.filled()[..n]);
        input.consume(n);
        self.client_rest -= n;
    }

    /// Sends the client all that has been cleared for it.
    pub fn poll_flush(&mut self, client: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.cleared > 0 || self.unflushed.1 {
            ready!(self.write_cleared(client, cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn write_cleared(&mut self, client: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.to_client.len();
        let polled = poll_write_all(client, &mut self.to_client, self.cleared, cx);
        let written = before - self.to_client.len();
        self.cleared -= written;
        self.scanned -= written;
        self.unflushed.1 = polled.is_pending() && client.is_tls();
        polled
    }

    /// Queues a message of our own for the client, behind what has been cleared.
    pub fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        debug_assert_eq!(self.cleared, self.to_client.len(), "nothing of a server's answer is half read");
        self.to_client.extend_with(write);
        self.cleared = self.to_client.len();
        self.scanned = self.cleared;
        self.touched = true;
    }

    /// Whether the client hears of a NotificationResponse with this body in another way.
    #[inline(never)]
    pub fn mutes(&self, body: &[u8]) -> bool {
        let Some(muted) = &self.muted else { return false };
        let channel = body.get(4..).and_then(frame::cstr).and_then(|(channel, _)| std::str::from_utf8(channel).ok());
        channel.is_some_and(|channel| muted.contains(channel))
    }

    /// Forgets the server's answer so far: the request will be made elsewhere.
    #[inline(never)]
    pub fn forget_answer(&mut self) {
        self.to_client.clear();
        self.to_server.clear();
        self.cleared = 0;
        self.scanned = 0;
        self.rest = 0;
        self.client_rest = 0;
        self.prefixes = 0;
        self.preparing = None;
        self.answers.clear();
    }

    /// The server is lost, or nothing was sent to one: what was cleared still goes to the client.
    pub fn abandon(&mut self) {
        self.drop_unscanned();
        self.to_server.clear();
        self.unflushed.0 = false;
        self.rest = 0;
        self.prefixes = 0;
        self.prefix_failure = None;
        self.preparing = None;
        self.answers.clear();
        self.refused = None;
        self.hold = false;
        self.ready = true;
    }

    /// The client has been sent part of a message: nothing of our own may follow.
    pub fn is_mid_message(&self) -> bool {
        self.rest > 0 && !self.hold
    }

    /// All that has come from the server is whole messages, and has been looked at.
    pub fn is_between_messages(&self) -> bool {
        self.rest == 0 && self.scanned == self.to_client.len()
    }

    /// Drops what has been read of a message but not been cleared.
    pub fn drop_unscanned(&mut self) {
        let unscanned = self.to_client.len() - self.cleared;
        if unscanned > 0 {
            self.to_client.cut(self.cleared, unscanned);
            self.scanned = self.cleared;
        }
    }

    /// Statements that were to be prepared and were not.
    #[inline(never)]
    fn forget_unprepared(&self, server: &mut Server) {
        for answer in &self.answers {
            if let Answer::Parse { statement, .. } = answer {
                server.statements.remove(statement.id);
            }
        }
    }

    /// Forgets what was asked for and, because of an error before it, never done.
    fn settle(&mut self, server: &mut Server) {
        if !self.answers.is_empty() {
            self.forget_unprepared(server);
        }
        self.expected.clear();
        if self.refused.is_some() {
            self.forget_answer();
        }
    }
}

/// Writes the first `limit` bytes of `bytes`.
#[inline]
pub fn poll_write_all(
    stream: &mut Stream,
    bytes: &mut Buffer,
    limit: usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut left = limit.min(bytes.len());
    while left > 0 {
        let n = ready!(Pin::new(&mut *stream).poll_write(cx, &bytes.filled()[..left]))?;
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        bytes.consume(n);
        left -= n;
    }
    if stream.is_tls() {
        return Pin::new(stream).poll_flush(cx);
    }
    Poll::Ready(Ok(()))
}

//! Carries one request to its server and the answer back, with all that belongs to it: the rest of an open
//! batch, COPY data, and messages that are too long to be kept whole.
//!
//! The bytes are moved by [`relay`](super::relay); who gets which request is in [`request`](super::request).

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use super::{
    KEPT_MESSAGE_MAX_BYTES, Session, WHOLE_REQUEST_MAX_BYTES, apart,
    info::Order,
    relay::{Broken, Care, End, Exchange, Flow, Refused, described::Question},
    request::Request,
    traces::Causes,
    translate::{BindTo, NOBODY, Translator},
    unit::messages,
};
use crate::{
    server::given_up,
    wire::{frame, frontend::Bind},
};

impl Session {
    /// Carries the request to the server that the session holds and the answer back. The request
    /// stays in the input until its answer is known not to be a refusal.
    pub(super) async fn carry(&mut self, request: &Request, care: Care) -> Result<Option<Refused>, Broken> {
        self.exchange.begin(care);
        self.exchange.flow = request.flow;
        self.exchange.client_rest = request.rest;
        self.exchange.simple = self.input.filled().first() == Some(&b'Q');
        self.set.stats.shard(self.worker.id).received.add(request.len as u64);
        self.exchange.kept = request.len;
        if let Some(done) = self.send_from(0, request.len)? {
            apart(self.send_rest(done, request.len)).await?;
        }
        if request.rest > 0 {
            self.exchange.to_server.extend(&self.input.filled()[..request.len]);
        }
        if care == Care::Once {
            self.exchange.kept = 0;
            self.input.consume(request.len);
        }
        self.exchange.seen = self.exchange.kept;
        loop {
            match poll_fn(|cx| self.poll_exchange(cx)).await? {
                End::Ready => {
                    self.input.consume(std::mem::take(&mut self.exchange.kept));
                    return Ok(None);
                }
                End::Refused => return Ok(self.exchange.refused),
                End::ClientSpoke => {
                    self.input.consume(std::mem::take(&mut self.exchange.kept));
                    apart(self.carry_more()).await?;
                }
                End::Described => {}
            }
        }
    }

    /// Moves bytes both ways until something has to be decided.
    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Broken>> {
        self.heed_orders(cx);
        let Some(lease) = &mut self.lease else { return Poll::Ready(Err(Broken::Protocol)) };
        let mut polled = self.exchange.poll(&mut self.client, &mut self.input, lease, &self.prepared, cx);
        if polled.is_pending() {
            let order = self.info.ordered();
            if order >= Order::Transaction {
                polled = Poll::Ready(Err(Broken::Ordered(order)));
            } else if lease.info.is_cut() {
                polled = Poll::Ready(Err(self.exchange.server_gone(given_up())));
            } else {
                return Poll::Pending;
            }
        }
        if let Some(failure) = self.exchange.prefix_failure.take() {
            // The request has run with other settings than the client believes: nobody may go on from here.
            lease.pool().forget_taken();
            return Poll::Ready(Err(Broken::Prefix(failure)));
        }
        polled
    }

    /// Passes on what the client has sent of an open batch or a COPY.
    async fn carry_more(&mut self) -> Result<(), Broken> {
        let open = open_messages(self.input.filled(), &self.exchange);
        if open.len > 0 {
            if self.exchange.flow == Flow::Batch {
                self.note_more(open.len);
            }
            if let Some(done) = self.send_from(0, open.len)? {
                self.send_rest(done, open.len).await?;
            }
            self.input.consume(open.len);
        }
        self.exchange.flow = open.flow;
        self.exchange.simple |= open.by_query;
        if open.left {
            return Err(Broken::Client(std::io::ErrorKind::UnexpectedEof.into()));
        }
        // What is left may belong to a COPY that the server has still to begin.
        self.exchange.seen = 0;
        if open.flow != Flow::Closed {
            self.begin_long_message().await?;
            self.exchange.seen = self.input.len();
        }
        Ok(())
    }

    /// Writes the input for the server, from one of its messages up to `len` bytes, under the names that statements have
    /// there. Answers how far it has come if the server has to say first what it makes of a statement.
    fn send_from(&mut self, done: usize, len: usize) -> Result<Option<usize>, Broken> {
        let done = self.translate(|translator, input| translator.translate(&input[..len], done))?;
        Ok((self.exchange.question == Question::Asked).then_some(done))
    }

    /// Goes on where that has stopped, as often as it does.
    async fn send_rest(&mut self, mut done: usize, len: usize) -> Result<(), Broken> {
        loop {
            self.await_description().await?;
            match self.send_from(done, len)? {
                Some(more) => done = more,
                None => return Ok(()),
            }
        }
    }

    /// Waits for the answer to a question of our own, or for the error because of which there will be none.
    async fn await_description(&mut self) -> Result<(), Broken> {
        match poll_fn(|cx| self.poll_exchange(cx)).await? {
            End::Described => Ok(()),
            End::Ready | End::Refused | End::ClientSpoke => Err(Broken::Protocol),
        }
    }

    /// Translates something of what the client has sent.
    fn translate<T>(&mut self, work: impl FnOnce(&mut Translator<'_>, &[u8]) -> T) -> Result<T, Broken> {
        let Some(lease) = &mut self.lease else { return Err(Broken::Protocol) };
        let mut translator = Translator {
            max_prepared: lease.pool().max_prepared(),
            server: lease,
            prepared: &mut self.prepared,
            unnamed: &mut self.unnamed,
            exchange: &mut self.exchange,
            next_unnamed: &self.worker.next_unnamed,
            settings: &self.settings,
            has_others: self.pins.contain(Causes::PREPARED)
                || !self.sql_statements.is_empty()
                || self.traces.as_ref().is_some_and(|traces| traces.suspects.contain(Causes::PREPARED)),
            bound: None,
        };
        Ok(work(&mut translator, self.input.filled()))
    }

    /// Begins to pass on a message whose end has not come, if it need not be kept whole.
    async fn begin_long_message(&mut self) -> Result<(), Broken> {
        let Ok(Some(next)) = frame::header(self.input.filled()) else { return Ok(()) };
        match next.tag {
            b'd' => {
                self.exchange.client_rest = next.total;
                self.exchange.pass_rest(&mut self.input);
            }
            b'B' if self.input.len() >= WHOLE_REQUEST_MAX_BYTES => {
                while !self.begin_long_bind()? {
                    self.await_description().await?;
                }
            }
            _ if next.total > KEPT_MESSAGE_MAX_BYTES => return Err(Broken::Protocol),
            _ => {}
        }
        Ok(())
    }

    /// The same of a Bind; false when the server was asked something first.
    fn begin_long_bind(&mut self) -> Result<bool, Broken> {
        let begun = self.translate(|translator, input| {
            let next = frame::header(input).ok().flatten()?;
            let bind = Bind::read(&input[frame::HEADER_BYTES..])?;
            let to = translator.bind_to(&bind, &[], &[]);
            let name = match &to {
                BindTo::Asked => return Some(false),
                BindTo::Unchanged => bind.statement,
                BindTo::Statement(statement) => &statement.name,
                BindTo::Nobody => NOBODY,
            };
            let total = next.total - bind.statement.len() + name.len();
            let exchange = &mut *translator.exchange;
            exchange.to_server.extend(b"B");
            exchange.to_server.extend(&u32::try_from(total - 1).ok()?.to_be_bytes());
            exchange.to_server.extend_with(|out| {
                frame::put_cstr(out, bind.portal);
                frame::put_cstr(out, name);
            });
            exchange.to_server.extend(bind.rest);
            exchange.client_rest = next.total - input.len();
            Some(true)
        })?;
        let begun = begun.ok_or(Broken::Protocol)?;
        if begun {
            self.input.consume(self.input.len());
        }
        Ok(begun)
    }
}

struct OpenMessages {
    /// Complete messages that may go on.
    len: usize,
    /// What may come after them.
    flow: Flow,
    /// A Query is the last of them.
    by_query: bool,
    /// The client says goodbye.
    left: bool,
}

/// How much of what the client has sent belongs to the open flow.
fn open_messages(bytes: &[u8], exchange: &Exchange) -> OpenMessages {
    let Exchange { flow, simple, failed, .. } = *exchange;
    let mut open = OpenMessages { len: 0, flow, by_query: false, left: false };
    for (tag, _, whole) in messages(bytes) {
        if open.flow == Flow::Closed {
            break;
        }
        if tag == b'X' {
            open.left = true;
            break;
        }
        open.len += whole.len();
        match tag {
            // After a COPY by the extended protocol a Sync is still to come; by the simple one
            // nothing is, and what comes then is the next request.
            b'c' | b'f' if open.flow == Flow::CopyIn => {
                open.flow = if simple { Flow::Closed } else { Flow::CopyDone };
            }
            // After an error everything up to a Sync is ignored.
            b'Q' | b'F' if failed && open.flow == Flow::Batch => {}
            b'S' | b'Q' | b'F' if open.flow != Flow::CopyIn => {
                open.flow = Flow::Closed;
                open.by_query = tag == b'Q';
            }
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame::put(&mut out, tag, |out| out.extend_from_slice(body));
        out
    }

    fn exchange(flow: Flow, simple: bool) -> Exchange {
        let mut exchange = Exchange::default();
        (exchange.flow, exchange.simple) = (flow, simple);
        exchange
    }

    #[test]
    fn an_open_batch_ends_with_its_sync() {
        let bytes = [message(b'B', b"\0\0"), message(b'S', b""), message(b'Q', b"x\0")].concat();
        let open = open_messages(&bytes, &exchange(Flow::Batch, false));
        assert_eq!((open.len, open.flow), (12, Flow::Closed));
        let bytes = [message(b'd', b"1\n"), message(b'c', b""), message(b'Q', b"x\0")].concat();
        let open = open_messages(&bytes, &exchange(Flow::CopyIn, true));
        assert_eq!((open.len, open.flow), (12, Flow::Closed));
        let bytes = [message(b'S', b""), message(b'c', b""), message(b'S', b""), message(b'S', b"")].concat();
        let open = open_messages(&bytes, &exchange(Flow::CopyIn, false));
        assert_eq!((open.len, open.flow), (15, Flow::Closed));
        let bytes = [message(b'Q', b"x\0"), message(b'S', b""), message(b'Q', b"x\0")].concat();
        let mut has_failed = exchange(Flow::Batch, false);
        has_failed.failed = true;
        let open = open_messages(&bytes, &has_failed);
        assert_eq!((open.len, open.flow), (12, Flow::Closed));
    }
}

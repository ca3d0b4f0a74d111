//! The connection during the handshake: bytes in, bytes out, and the time that is left.

use std::{io, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout_at},
};

use super::HandshakeError;
use crate::{
    net::{
        messages::{Inbox, send},
        stream::Stream,
        tls::Acceptor,
    },
    wire::startup::{self, FirstPacket},
};

/// Longest password that we read. PostgreSQL's limit for tokens (`PG_MAX_AUTH_TOKEN_LENGTH`): those of
/// cloud providers run to kilobytes.
pub const PASSWORD_MAX_BYTES: usize = 65_535;

/// A client's connection during the handshake.
pub struct Line {
    /// The bytes.
    pub stream: Stream,
    /// Read and not yet looked at.
    pub inbox: Inbox,
    /// Written and not yet sent.
    pub out: Vec<u8>,
    limit: Duration,
    deadline: Option<Instant>,
}

impl Line {
    /// A fresh connection that has `limit` to log in; zero is forever.
    pub fn new(stream: Stream, limit: Duration) -> Self {
        let deadline = (!limit.is_zero()).then(|| Instant::now() + limit);
        Self { stream, inbox: Inbox::default(), out: Vec::new(), limit, deadline }
    }

    /// The next packet without a type byte.
    pub async fn first_packet(&mut self) -> Result<FirstPacket, HandshakeError> {
        loop {
            if let Some((packet, used)) = startup::parse(self.inbox.unused())? {
                self.inbox.advance(used);
                return Ok(packet);
            }
            within(self.deadline, self.limit, self.inbox.read(&mut self.stream)).await?;
        }
    }

    /// The body of the next message, which must be one that carries a proof. What was written goes out first.
    pub async fn proof(&mut self, most: usize) -> Result<&[u8], HandshakeError> {
        self.flush().await?;
        let message = within(self.deadline, self.limit, self.inbox.message(&mut self.stream, most)).await?;
        match message.tag {
            b'p' => Ok(message.body),
            b'X' => Err(HandshakeError::ClientLeft),
            _ => Err(HandshakeError::Unexpected("expected a password message")),
        }
    }

    /// Sends what was written.
    pub async fn flush(&mut self) -> Result<(), HandshakeError> {
        within(self.deadline, self.limit, send(&mut self.stream, &mut self.out)).await
    }

    /// Waits for something that somebody else does, for as long as the client may take.
    pub async fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, HandshakeError> {
        within(self.deadline, self.limit, async { Ok(work.await) }).await
    }

    /// Puts TLS under the conversation. Bytes already read belong to it only if the client started it unasked.
    pub async fn start_tls(self, acceptor: &Acceptor) -> Result<Self, HandshakeError> {
        let Self { stream, inbox, out, limit, deadline } = self;
        let plain = stream.into_plain().map_err(|_| HandshakeError::Unexpected("TLS inside of TLS"))?;
        let accepting = async { acceptor.accept(plain, inbox.unused()).await.map_err(HandshakeError::Tls) };
        let stream = match deadline {
            Some(deadline) => {
                timeout_at(deadline, accepting).await.unwrap_or(Err(HandshakeError::TimedOut { after: limit }))
            }
            None => accepting.await,
        }?;
        Ok(Self { stream, inbox: Inbox::default(), out, limit, deadline })
    }

    /// Tells the client why it is turned away, and ends the connection.
    pub async fn refuse(mut self, cause: HandshakeError) -> HandshakeError {
        cause.tell(&mut self.out);
        // Whoever does not take its error within the time that is left goes without.
        let _ = within(self.deadline, self.limit, async {
            send(&mut self.stream, &mut self.out).await?;
            self.stream.shutdown().await
        })
        .await;
        cause
    }
}

async fn within<T>(
    deadline: Option<Instant>,
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, HandshakeError> {
    match deadline {
        None => Ok(work.await?),
        Some(deadline) => match timeout_at(deadline, work).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(HandshakeError::TimedOut { after: limit }),
        },
    }
}

//! Opens a connection to a node: name resolution, socket, TLS, login, all under one time limit.

use std::{io, time::Duration};

use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};

use super::{ConnectError, ServerTarget, login::login};
use crate::{
    config::SslMode,
    net::{
        messages::{Inbox, send},
        stream::Stream,
    },
    wire::{ask, startup::ProtocolVersion},
};

/// A connection that is ready for requests.
#[derive(Debug)]
pub struct ServerLogin {
    /// The bytes.
    pub stream: Stream,
    /// The server process.
    pub pid: u32,
    /// For cancel requests; 4 to 256 bytes.
    pub key: Vec<u8>,
    /// Settings that the server told us of, in its order.
    pub parameters: Vec<(String, String)>,
    /// What both sides speak.
    pub protocol: ProtocolVersion,
    /// What the server sent beyond ReadyForQuery; nearly always nothing.
    pub unread: Vec<u8>,
}

/// Whether to begin with TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Plain,
    Tls,
}

/// Opens a connection and logs in.
///
/// Host names are resolved off this thread, so a dead resolver or host costs others nothing.
pub async fn connect(target: &ServerTarget) -> Result<ServerLogin, ConnectError> {
    within(target.connect_timeout, async {
        if target.tls.mode != SslMode::Allow {
            return login(open(target).await?, target).await;
        }
        // As libpq: without TLS first; with it when the server's pg_hba.conf insists.
        match login(open_with(target, Begin::Plain).await?, target).await {
            Err(ConnectError::Auth(_)) => login(open_with(target, Begin::Tls).await?, target).await,
            outcome => outcome,
        }
    })
    .await
}

/// A stream to the node, under TLS if the mode says so, on which nothing has been said yet.
pub(super) async fn open(target: &ServerTarget) -> Result<Stream, ConnectError> {
    let begin = if target.tls.mode <= SslMode::Allow { Begin::Plain } else { Begin::Tls };
    open_with(target, begin).await
}

pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    if limit.is_zero() {
        return work.await;
    }
    timeout(limit, work).await.unwrap_or(Err(ConnectError::Timeout { after: limit }))
}

async fn open_with(target: &ServerTarget, begin: Begin) -> Result<Stream, ConnectError> {
    if target.is_unix() {
        let path = target.socket_path();
        let unix = UnixStream::connect(&path).await.map_err(|cause| refused(path, cause))?;
        return Ok(Stream::Unix(unix));
    }
    let stream = Stream::Tcp(connect_tcp(target).await?);
    match begin {
        Begin::Plain => Ok(stream),
        Begin::Tls => start_tls(stream, target).await,
    }
}

/// Tries the addresses of the host one after the other.
async fn connect_tcp(target: &ServerTarget) -> Result<TcpStream, ConnectError> {
    let resolve = |cause| ConnectError::Resolve { host: target.host.to_string(), cause };
    let mut last = None;
    for address in lookup_host((&*target.host, target.port)).await.map_err(resolve)? {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                target.socket.apply(&tcp).map_err(ConnectError::Io)?;
                return Ok(tcp);
            }
            Err(cause) => last = Some(refused(address.to_string(), cause)),
        }
    }
    Err(last.unwrap_or_else(|| resolve(io::ErrorKind::NotFound.into())))
}

fn refused(address: String, cause: io::Error) -> ConnectError {
    match cause.kind() {
        // A unix socket that does not exist is a server that does not run.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ConnectError::Refused { address },
        _ => ConnectError::Io(cause),
    }
}

/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
async fn start_tls(mut stream: Stream, target: &ServerTarget) -> Result<Stream, ConnectError> {
    let Some(connector) = &target.tls.connector else { return Err(ConnectError::TlsUnavailable) };
    let mut out = Vec::new();
    ask::ssl_request(&mut out);
    send(&mut stream, &mut out).await?;
    let mut inbox = Inbox::default();
    inbox.read(&mut stream).await?;
    match inbox.unused() {
        b"S" => {
            let socket = stream.into_plain().map_err(|_| ConnectError::Protocol("TLS inside of TLS"))?;
            connector.connect(socket, &target.host).await.map_err(ConnectError::Tls)
        }
        b"N" if target.tls.mode <= SslMode::Prefer => Ok(stream),
        b"N" => Err(ConnectError::TlsUnavailable),
        // An ErrorResponse comes from a server too old for TLS, or out of processes. Nothing in it can be trusted.
        [b'E', ..] => Err(ConnectError::Protocol("an error instead of an answer to SSLRequest")),
        // More than the one byte would be taken for encrypted.
        _ => Err(ConnectError::Protocol("not an answer to SSLRequest")),
    }
}

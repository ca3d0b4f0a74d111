//! One byte stream to a peer: TCP or unix socket, either under TLS or not.
//!
//! Which certificates are good is decided in [`tls`](super::tls).

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{client, server};

use crate::config::Config;

/// One byte stream to a peer.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
    /// Under TLS that we asked for.
    TlsClient(Box<client::TlsStream<Plain>>),
    /// Under TLS that the peer asked for.
    TlsServer(Box<server::TlsStream<Plain>>),
}

/// What TLS runs over.
#[derive(Debug)]
pub enum Plain {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
    /// Nothing for the moment: the socket is on its way to another runtime.
    Detached,
}

/// A stream that no runtime watches, to be given to another one.
#[derive(Debug)]
pub enum DetachedStream {
    /// Without TLS.
    Plain(DetachedSocket),
    /// Under TLS that we asked for; its state travels beside the socket.
    TlsClient(Box<client::TlsStream<Plain>>, DetachedSocket),
    /// Under TLS that the peer asked for.
    TlsServer(Box<server::TlsStream<Plain>>, DetachedSocket),
}

/// A socket that no runtime watches.
#[derive(Debug)]
pub enum DetachedSocket {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// Where the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// Over TCP.
    Tcp(SocketAddr),
    /// On this machine.
    Unix,
    /// It left before we could ask.
    Gone,
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
            Self::Gone => f.write_str("gone"),
        }
    }
}

/// How the kernel finds out that a peer has vanished. `None` leaves the system's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Whether idle connections are probed at all.
    pub keepalive: bool,
    /// Idle time before the first probe.
    pub keepidle: Option<Duration>,
    /// Time between probes.
    pub keepintvl: Option<Duration>,
    /// Probes without an answer before the connection is dead.
    pub keepcnt: Option<u32>,
    /// How long sent bytes may stay unacknowledged.
    pub user_timeout: Option<Duration>,
}

impl From<&Config> for SocketOptions {
    fn from(config: &Config) -> Self {
        Self {
            keepalive: config.tcp_keepalive,
            keepidle: config.tcp_keepidle,
            keepintvl: config.tcp_keepintvl,
            keepcnt: config.tcp_keepcnt,
            user_timeout: config.tcp_user_timeout,
        }
    }
}

/// Where another node takes over from one whose network swallows everything, bytes stay unacknowledged for no longer.
const USER_TIMEOUT_WHERE_HEALED: Duration = Duration::from_secs(3);

impl SocketOptions {
    /// Towards the nodes of a cluster: where it heals, there always is a limit for unacknowledged bytes.
    pub fn towards(config: &Config, heals: bool) -> Self {
        let own = Self::from(config);
        let user_timeout = own.user_timeout.or(heals.then_some(USER_TIMEOUT_WHERE_HEALED));
        Self { user_timeout, ..own }
    }

    /// Sets these on `socket`, and TCP_NODELAY always: we write whole batches, and Nagle would hold back their ends.
    pub fn apply<'s>(&self, socket: impl Into<SockRef<'s>>) -> io::Result<()> {
        let socket = socket.into();
        socket.set_tcp_nodelay(true)?;
        if self.keepalive {
            let mut probes = TcpKeepalive::new();
            if let Some(idle) = self.keepidle {
                probes = probes.with_time(idle);
            }
            if let Some(interval) = self.keepintvl {
                probes = probes.with_interval(interval);
            }
            if let Some(count) = self.keepcnt {
                probes = probes.with_retries(count);
            }
            socket.set_tcp_keepalive(&probes)?;
        }
        if let Some(timeout) = self.user_timeout {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        Ok(())
    }
}

impl Stream {
    /// Whether what travels is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::TlsClient(_) | Self::TlsServer(_))
    }

    /// Where the other end is.
    pub fn peer(&self) -> PeerAddr {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr().map_or(PeerAddr::Gone, PeerAddr::Tcp),
            Self::Unix(_) => PeerAddr::Unix,
            Self::TlsClient(tls) => tls.get_ref().0.peer(),
            Self::TlsServer(tls) => tls.get_ref().0.peer(),
        }
    }

    /// The number of the user whose process is at the other end; unix sockets tell.
    pub fn peer_user(&self) -> Option<u32> {
        match self {
            Self::Unix(unix) => unix.peer_cred().ok().map(|credentials| credentials.uid()),
            Self::Tcp(_) | Self::TlsClient(_) | Self::TlsServer(_) => None,
        }
    }

    /// Our own end of a TCP connection.
    pub fn local(&self) -> PeerAddr {
        match self {
            Self::Tcp(tcp) => tcp.local_addr().map_or(PeerAddr::Gone, PeerAddr::Tcp),
            Self::Unix(_) => PeerAddr::Unix,
            Self::TlsClient(tls) => tls.get_ref().0.local(),
            Self::TlsServer(tls) => tls.get_ref().0.local(),
        }
    }

    /// Ready when a read would return something: bytes, the end, or an error.
    ///
    /// Under TLS it may also be ready for a record that carries no bytes for us.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(cx),
            Self::Unix(unix) => unix.poll_read_ready(cx),
            Self::TlsClient(tls) => {
                let (socket, tls) = tls.get_mut();
                if holds_plaintext(tls.process_new_packets()) {
                    Poll::Ready(Ok(()))
                } else {
                    socket.poll_read_ready(cx)
                }
            }
            Self::TlsServer(tls) => {
                let (socket, tls) = tls.get_mut();
                if holds_plaintext(tls.process_new_packets()) {
                    Poll::Ready(Ok(()))
                } else {
                    socket.poll_read_ready(cx)
                }
            }
        }
    }

    /// Writes what the socket takes at once; answers how much that was. Nothing under TLS, and nothing
    /// when the socket is broken: the next ordinary write tells how.
    #[inline]
    pub fn write_at_once(&self, bytes: &[u8]) -> usize {
        let written = match self {
            Self::Tcp(tcp) => tcp.try_write(bytes),
            Self::Unix(unix) => unix.try_write(bytes),
            Self::TlsClient(_) | Self::TlsServer(_) => Ok(0),
        };
        written.unwrap_or(0)
    }

    /// Whether the peer has sent nothing and not closed. For a stream on which nobody waits: costs a
    /// look at a flag, and a system call only when something has happened.
    #[inline]
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Tcp(tcp) => tcp.try_read(&mut byte),
            Self::Unix(unix) => unix.try_read(&mut byte),
            Self::TlsClient(_) | Self::TlsServer(_) => return self.is_quiet_under_tls(),
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn is_quiet_under_tls(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        if self.poll_read_ready(&mut context).is_pending() {
            return true;
        }
        // Readiness may be a left-over of the last read; only a read tells.
        let mut byte = [0];
        Pin::new(self).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// The stream without its runtime. Under TLS the session's state stays as it is.
    pub fn detach(self) -> io::Result<DetachedStream> {
        match self {
            Self::Tcp(tcp) => Ok(DetachedStream::Plain(DetachedSocket::Tcp(tcp.into_std()?))),
            Self::Unix(unix) => Ok(DetachedStream::Plain(DetachedSocket::Unix(unix.into_std()?))),
            Self::TlsClient(mut tls) => {
                let socket = tls.get_mut().0.detach()?;
                Ok(DetachedStream::TlsClient(tls, socket))
            }
            Self::TlsServer(mut tls) => {
                let socket = tls.get_mut().0.detach()?;
                Ok(DetachedStream::TlsServer(tls, socket))
            }
        }
    }

    /// Makes the current runtime watch the stream.
    pub fn attach(detached: DetachedStream) -> io::Result<Self> {
        match detached {
            DetachedStream::Plain(DetachedSocket::Tcp(tcp)) => TcpStream::from_std(tcp).map(Self::Tcp),
            DetachedStream::Plain(DetachedSocket::Unix(unix)) => UnixStream::from_std(unix).map(Self::Unix),
            DetachedStream::TlsClient(mut tls, socket) => {
                *tls.get_mut().0 = Plain::attach(socket)?;
                Ok(Self::TlsClient(tls))
            }
            DetachedStream::TlsServer(mut tls, socket) => {
                *tls.get_mut().0 = Plain::attach(socket)?;
                Ok(Self::TlsServer(tls))
            }
        }
    }

    /// The socket below, when there is no TLS yet; otherwise the stream unchanged.
    pub fn into_plain(self) -> Result<Plain, Self> {
        match self {
            Self::Tcp(tcp) => Ok(Plain::Tcp(tcp)),
            Self::Unix(unix) => Ok(Plain::Unix(unix)),
            tls => Err(tls),
        }
    }
}

/// A broken TLS session counts too: the read that follows tells how it broke.
fn holds_plaintext(state: Result<tokio_rustls::rustls::IoState, tokio_rustls::rustls::Error>) -> bool {
    state.map_or(true, |state| state.plaintext_bytes_to_read() > 0 || state.peer_has_closed())
}

impl Plain {
    fn peer(&self) -> PeerAddr {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr().map_or(PeerAddr::Gone, PeerAddr::Tcp),
            Self::Unix(_) => PeerAddr::Unix,
            Self::Detached => PeerAddr::Gone,
        }
    }

    fn local(&self) -> PeerAddr {
        match self {
            Self::Tcp(tcp) => tcp.local_addr().map_or(PeerAddr::Gone, PeerAddr::Tcp),
            Self::Unix(_) => PeerAddr::Unix,
            Self::Detached => PeerAddr::Gone,
        }
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(cx),
            Self::Unix(unix) => unix.poll_read_ready(cx),
            Self::Detached => Poll::Ready(Err(no_socket())),
        }
    }

    fn detach(&mut self) -> io::Result<DetachedSocket> {
        match std::mem::replace(self, Self::Detached) {
            Self::Tcp(tcp) => tcp.into_std().map(DetachedSocket::Tcp),
            Self::Unix(unix) => unix.into_std().map(DetachedSocket::Unix),
            Self::Detached => Err(no_socket()),
        }
    }

    fn attach(socket: DetachedSocket) -> io::Result<Self> {
        match socket {
            DetachedSocket::Tcp(tcp) => TcpStream::from_std(tcp).map(Self::Tcp),
            DetachedSocket::Unix(unix) => UnixStream::from_std(unix).map(Self::Unix),
        }
    }
}

fn no_socket() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the socket is on its way to another runtime")
}

/// Calls the same method on whichever stream is inside.
macro_rules! forward {
    ($self:ident, $($variant:ident)|+, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            $(Self::$variant($inner) => { let $inner = Pin::new($inner); $call })+
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self, Tcp | Unix | TlsClient | TlsServer, inner => inner.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, Tcp | Unix | TlsClient | TlsServer, inner => inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, Tcp | Unix | TlsClient | TlsServer, inner => inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Unix(unix) => unix.is_write_vectored(),
            Self::TlsClient(tls) => tls.is_write_vectored(),
            Self::TlsServer(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, Tcp | Unix | TlsClient | TlsServer, inner => inner.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, Tcp | Unix | TlsClient | TlsServer, inner => inner.poll_shutdown(cx))
    }
}

/// As [`forward!`], for the type that may have no socket.
macro_rules! forward_plain {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            Self::Unix($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            Self::Detached => Poll::Ready(Err(no_socket())),
        }
    };
}

impl AsyncRead for Plain {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward_plain!(self, inner => inner.poll_read(cx, buf))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward_plain!(self, inner => inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward_plain!(self, inner => inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward_plain!(self, inner => inner.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward_plain!(self, inner => inner.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        runtime::Builder,
    };

    use super::*;

    #[test]
    fn a_stream_goes_on_in_another_runtime() {
        let here = Builder::new_current_thread().enable_all().build().unwrap();
        let (ours, mut theirs) = here.block_on(async { UnixStream::pair().unwrap() });
        here.block_on(theirs.write_all(b"before ")).unwrap();
        let detached = here.block_on(async { Stream::Unix(ours).detach().unwrap() });

        let elsewhere = std::thread::spawn(move || {
            let there = Builder::new_current_thread().enable_all().build().unwrap();
            there.block_on(async {
                let mut stream = Stream::attach(detached).unwrap();
                let mut read = [0; 12];
                stream.read_exact(&mut read).await.unwrap();
                stream.write_all(b"seen").await.unwrap();
                String::from_utf8_lossy(&read).into_owned()
            })
        });
        here.block_on(theirs.write_all(b"after")).unwrap();

        assert_eq!(elsewhere.join().unwrap(), "before after");
        let mut answer = [0; 4];
        here.block_on(theirs.read_exact(&mut answer)).unwrap();
        assert_eq!(&answer, b"seen");
    }
}

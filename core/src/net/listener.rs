//! Sockets that clients connect to.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::stream::{SocketOptions, Stream};

/// Clients that the kernel keeps waiting for us to accept them.
const BACKLOG: i32 = 1024;

/// One listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

/// Every address that `listen_addr` and `listen_port` mean; `*` is all.
pub fn addresses(listen_addr: &[String], port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for name in listen_addr {
        match name.as_str() {
            "*" => addresses.extend(["0.0.0.0", "::"].iter().filter_map(|any| format_address(any, port))),
            name => addresses.extend((name, port).to_socket_addrs()?),
        }
    }
    addresses.dedup();
    Ok(addresses)
}

fn format_address(host: &str, port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::new(host.parse().ok()?, port))
}

/// Opens a socket that shares its address with those of the other workers: the kernel spreads
/// clients over them.
pub fn bind_shared(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A unix socket that is removed with its owner.
#[derive(Debug)]
pub struct UnixSocket {
    path: PathBuf,
    listener: std::os::unix::net::UnixListener,
}

impl UnixSocket {
    /// Opens `.s.PGSQL.PORT` in a directory; takes the place of one that nobody listens on.
    pub fn bind(directory: &Path, port: u16, mode: u32) -> io::Result<Self> {
        let path = directory.join(format!(".s.PGSQL.{port}"));
        if path.exists() && std::os::unix::net::UnixStream::connect(&path).is_err() {
            std::fs::remove_file(&path)?;
        }
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        Ok(Self { path, listener })
    }

    /// One more handle on the same socket, for another worker.
    pub fn share(&self) -> io::Result<std::os::unix::net::UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listener {
    /// Waits for the next client.
    pub async fn accept(&self, options: &SocketOptions) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, _) = listener.accept().await?;
                options.apply(&tcp)?;
                Ok(Stream::Tcp(tcp))
            }
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }
}

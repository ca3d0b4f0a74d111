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
/// clients over them. What is accepted inherits its options.
pub fn bind_shared(address: SocketAddr, options: &SocketOptions) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    options.apply(&socket)?;
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
    pub async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn what_is_accepted_has_the_options_of_its_listener() {
        let options = SocketOptions {
            keepalive: true,
            keepidle: Some(Duration::from_secs(77)),
            user_timeout: Some(Duration::from_secs(5)),
            ..SocketOptions::default()
        };
        let listener = bind_shared("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();

        let (accepted, _) = listener.accept().unwrap();

        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(77));
        assert_eq!(accepted.tcp_user_timeout().unwrap(), Some(Duration::from_secs(5)));
    }
}

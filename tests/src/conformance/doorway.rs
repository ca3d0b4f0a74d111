//! A port that leads to another one, which can be changed: for tests that know but one port.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    thread,
};

use anyhow::{Context, Result};

/// Open until the process ends.
pub struct Doorway {
    target: Arc<AtomicU16>,
}

impl Doorway {
    /// Listens on a loopback port.
    pub fn open(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = listener.with_context(|| format!("port {port}, which the tests connect to, is not free"))?;
        let target = Arc::new(AtomicU16::new(port));
        let theirs = Arc::clone(&target);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let target = theirs.load(Ordering::Relaxed);
                // Whichever side breaks, the other one sees its connection close.
                thread::spawn(move || carry(client, target).ok());
            }
        });
        Ok(Self { target })
    }

    /// Connections that come from now on are led there.
    pub fn lead_to(&self, port: u16) {
        self.target.store(port, Ordering::Relaxed);
    }
}

fn carry(client: TcpStream, target: u16) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let forth = thread::spawn(move || copy(&from_client, &to_server));
    let back = copy(&server, &client);
    // A thread of ours that panics has closed its end.
    forth.join().unwrap_or(Ok(())).and(back)
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let copied = io::copy(&mut from, &mut to);
    to.shutdown(Shutdown::Write)?;
    copied.map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use howdah::demo::ports;

    use super::*;

    #[test]
    fn connections_go_where_the_doorway_leads() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = ports::free_port().unwrap();
        let doorway = Doorway::open(port).unwrap();
        doorway.lead_to(listener.local_addr().unwrap().port());

        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.write_all(b"to").unwrap();
        let mut server = listener.accept().unwrap().0;
        let mut came = [0; 2];
        server.read_exact(&mut came).unwrap();

        assert_eq!(&came, b"to");
    }
}

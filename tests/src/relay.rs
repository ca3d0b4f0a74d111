//! A way to a server that can be cut: bytes stay on the way until it is mended.
//!
//! Connections for replication can be told from others, so that either can be cut alone, and answers alone.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// How often a connection looks whether its way was cut or mended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What does not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// Everything does.
    Nothing,
    /// Nothing does.
    All,
    /// Only replication does.
    AllButReplication,
    /// Replication does not.
    Replication,
    /// Nothing that the server says does.
    Answers,
    /// Nothing that standbys say does: they receive, and nobody hears of it.
    Confirmations,
}

/// The way to one server; it ends when it is dropped.
pub struct Relay {
    port: u16,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    cut: AtomicU8,
    over: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Relay {
    /// Leads to the server on this port of this machine.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let way = Arc::new(Way::default());
        let ours = Arc::clone(&way);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ours.over.load(Relaxed) {
                    return;
                }
                // A server that is gone refuses, and so do we.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    carry(&client, &server, &ours);
                }
            }
        });
        Self { port, way }
    }

    /// Where it begins.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What does not get through from now on.
    pub fn cut(&self, what: Cut) {
        self.way.cut.store(what as u8, Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.way.over.store(true, Relaxed);
        // Wakes the listener up.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Way {
    fn is_cut(&self, direction: Direction, replicates: bool) -> bool {
        let is = |what: Cut| self.cut.load(Relaxed) == what as u8;
        is(Cut::All)
            || is(Cut::AllButReplication) && !replicates
            || is(Cut::Replication) && replicates
            || is(Cut::Answers) && direction == Direction::ToClient
            || is(Cut::Confirmations) && replicates && direction == Direction::ToServer
    }
}

/// Both directions of one connection.
fn carry(client: &TcpStream, server: &TcpStream, way: &Arc<Way>) {
    let replicates = Arc::new(AtomicBool::new(false));
    for (from, to, direction) in [(client, server, Direction::ToServer), (server, client, Direction::ToClient)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let (way, replicates) = (Arc::clone(way), Arc::clone(&replicates));
        thread::spawn(move || {
            pass(&from, &to, direction, &way, &replicates);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

/// The time limit has passed, or a signal has come before.
fn is_only_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, direction: Direction, way: &Way, replicates: &AtomicBool) {
    let mut buffer = [0; 16_384];
    // The first messages are a request for encryption and the startup message, which tells.
    let mut first = 2;
    let _ = from.set_read_timeout(Some(Duration::from_secs(1)));
    while !way.over.load(Relaxed) {
        let count = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if is_only_late(&error) => continue,
            Err(_) => return,
        };
        if direction == Direction::ToServer && first > 0 {
            first -= 1;
            if buffer[..count].windows(12).any(|bytes| bytes == b"replication\0") {
                replicates.store(true, Relaxed);
            }
        }
        while way.is_cut(direction, replicates.load(Relaxed)) && !way.over.load(Relaxed) {
            thread::sleep(LOOK_EVERY);
        }
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

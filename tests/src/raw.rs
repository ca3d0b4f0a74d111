//! Bare messages of the protocol: for what no driver does.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::Duration,
};

/// Longest wait for a message; a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that sends what it is told and reads message by message.
#[derive(Debug)]
pub struct Raw(TcpStream);

/// A message from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub tag: char,
    /// What follows its length.
    pub body: Vec<u8>,
}

impl Raw {
    /// A connection without a word.
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time limit can be set");
        stream.set_nodelay(true).expect("the option can be set");
        Self(stream)
    }

    /// The superuser in this database, ready for its first request.
    pub fn login(port: u16, database: &str) -> Self {
        let mut raw = Self::open(port);
        raw.send(&startup(&[("user", "postgres"), ("database", database)])).expect("a startup message is taken");
        let welcome = raw.until_ready();
        assert_eq!(welcome.last().map(|message| message.tag), Some('Z'), "{welcome:?}");
        raw
    }

    /// Sends bytes, whatever they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Sends a query and reads its answer.
    pub fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send(&query(sql)).expect("a query is taken");
        self.until_ready()
    }

    /// The next message; `None` at the end of the connection. Panics when neither comes in time.
    #[expect(clippy::should_implement_trait, reason = "it waits for the proxy and fails by panicking")]
    pub fn next(&mut self) -> Option<Message> {
        let mut header = [0; 5];
        self.read(&mut header)?;
        let length = u32::from_be_bytes(header[1..].try_into().expect("four bytes")) as usize;
        let mut body = vec![0; length - 4];
        self.read(&mut body)?;
        Some(Message { tag: header[0].into(), body })
    }

    /// All messages to the next ReadyForQuery, or to the end.
    pub fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            messages.push(message);
            if messages.last().is_some_and(|last| last.tag == 'Z') {
                break;
            }
        }
        messages
    }

    /// All messages to the end of the connection.
    pub fn until_end(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// All bytes to the end of the connection, however it ends. Panics when it does not.
    pub fn drain(&mut self) -> Vec<u8> {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match self.0.read(&mut piece) {
                Ok(0) => return bytes,
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!("the connection stays open; {bytes:?} came")
                }
                Err(_) => return bytes,
            }
        }
    }

    /// Sends no more, but goes on reading.
    pub fn end_sending(&self) {
        // It can fail only because the other side has gone.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    fn read(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.0.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("nothing came for {PATIENCE:?}")
            }
            Err(_) => None,
        }
    }
}

impl Message {
    /// The SQLSTATE of an ErrorResponse.
    pub fn sqlstate(&self) -> String {
        self.field(b'C')
    }

    /// The text of an ErrorResponse.
    pub fn text(&self) -> String {
        self.field(b'M')
    }

    fn field(&self, name: u8) -> String {
        let field = self.body.split(|byte| *byte == 0).find(|field| field.first() == Some(&name));
        field.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    }
}

/// The types of messages, in order.
pub fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| message.tag).collect()
}

/// A message of any type and body.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("tests send no gigabytes");
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// StartupMessage of protocol 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(format!("{name}\0{value}\0").bytes());
    }
    body.push(0);
    message(0, &body).split_off(1)
}

/// CancelRequest with the body of a BackendKeyData.
pub fn cancel_request(key: &[u8]) -> Vec<u8> {
    let body = [&80_877_102_u32.to_be_bytes()[..], key].concat();
    message(0, &body).split_off(1)
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// Parse.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// Bind of text parameters to the unnamed portal.
pub fn bind(statement: &str, parameters: &[&str]) -> Vec<u8> {
    let mut body = format!("\0{statement}\0\0\0").into_bytes();
    body.extend(u16::try_from(parameters.len()).expect("few parameters").to_be_bytes());
    for parameter in parameters {
        body.extend(u32::try_from(parameter.len()).expect("short parameters").to_be_bytes());
        body.extend(parameter.bytes());
    }
    body.extend([0, 0]);
    message(b'B', &body)
}

/// Execute of the unnamed portal, all rows.
pub fn execute() -> Vec<u8> {
    message(b'E', &[0; 5])
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

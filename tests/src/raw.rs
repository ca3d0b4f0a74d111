//! Bare messages of the protocol: for what no driver does.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::Duration,
};

/// Longest wait for a message; a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that sends what it is told and reads message by message.
#[derive(Debug)]
pub struct Raw(BufReader<TcpStream>);

/// What a wait for a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// This.
    Message(Message),
    /// The connection has ended.
    End,
    /// Nothing, for as long as was waited.
    Silence,
}

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
        Self(BufReader::new(stream))
    }

    /// The superuser in this database, ready for its first request.
    pub fn login(port: u16, database: &str) -> Self {
        let (raw, welcome) = Self::greet(port, &[("user", "postgres"), ("database", database)]);
        assert_eq!(welcome.last().map(|message| message.tag), Some('Z'), "{welcome:?}");
        raw
    }

    /// A client with these startup parameters, and all that it is told up to its first ReadyForQuery.
    pub fn greet(port: u16, parameters: &[(&str, &str)]) -> (Self, Vec<Message>) {
        let mut raw = Self::open(port);
        raw.send(&startup(parameters)).expect("a startup message is taken");
        let welcome = raw.until_ready();
        (raw, welcome)
    }

    /// Sends bytes, whatever they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Sends a query and reads its answer.
    pub fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send(&query(sql)).expect("a query is taken");
        self.until_ready()
    }

    /// The next message; `None` at the end of the connection. Panics when neither comes in time.
    #[expect(clippy::should_implement_trait, reason = "it waits for the proxy and fails by panicking")]
    pub fn next(&mut self) -> Option<Message> {
        match self.next_within(PATIENCE) {
            Heard::Message(message) => Some(message),
            Heard::End => None,
            Heard::Silence => panic!("nothing came for {PATIENCE:?}"),
        }
    }

    /// The next message, if it begins to come in time; the rest of it is waited for as ever.
    pub fn next_within(&mut self, limit: Duration) -> Heard {
        if self.0.buffer().is_empty() {
            self.wait_at_most(limit);
            // A read with a time limit is interrupted when a process that some other test started has ended.
            let begun = loop {
                match self.0.fill_buf() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    begun => break begun.map(<[u8]>::len),
                }
            };
            self.wait_at_most(PATIENCE);
            match begun {
                Ok(1..) => {}
                Err(error) if is_late(&error) => return Heard::Silence,
                Ok(0) | Err(_) => return Heard::End,
            }
        }
        let mut header = [0; 5];
        let Some(()) = self.read(&mut header) else { return Heard::End };
        let length = u32::from_be_bytes(header[1..].try_into().expect("four bytes")) as usize;
        let mut body = vec![0; length - 4];
        let Some(()) = self.read(&mut body) else { return Heard::End };
        Heard::Message(Message { tag: header[0].into(), body })
    }

    fn wait_at_most(&self, limit: Duration) {
        self.0.get_ref().set_read_timeout(Some(limit)).expect("a time limit can be set");
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
                Err(error) if is_late(&error) => panic!("the connection stays open; {bytes:?} came"),
                Err(_) => return bytes,
            }
        }
    }

    /// Sends no more, but goes on reading.
    pub fn end_sending(&self) {
        // It can fail only because the other side has gone.
        let _ = self.0.get_ref().shutdown(Shutdown::Write);
    }

    fn read(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.0.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if is_late(&error) => panic!("nothing came for {PATIENCE:?}"),
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

    /// The first column of a DataRow, empty when it is NULL.
    pub fn value(&self) -> String {
        self.values().swap_remove(0).unwrap_or_default()
    }

    /// All columns of a DataRow as text, `None` for NULL.
    pub fn values(&self) -> Vec<Option<String>> {
        let (mut rest, mut values) = (&self.body[2..], Vec::new());
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = usize::try_from(i32::from_be_bytes(*length)).ok();
            let (value, after) = after.split_at(length.unwrap_or_default());
            values.push(length.map(|_| String::from_utf8_lossy(value).into_owned()));
            rest = after;
        }
        values
    }

    /// One field of an ErrorResponse or NoticeResponse, empty when it has none.
    /// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
    pub fn field(&self, name: u8) -> String {
        let field = self.body.split(|byte| *byte == 0).find(|field| field.first() == Some(&name));
        field.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
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

/// Parse without parameter types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    parse_typed(name, sql, &[])
}

/// Parse with the OIDs of the first parameters' types.
pub fn parse_typed(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{sql}\0").into_bytes();
    body.extend(count(types.len()));
    types.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
    message(b'P', &body)
}

/// Bind of text parameters to the unnamed portal.
pub fn bind(statement: &str, parameters: &[&str]) -> Vec<u8> {
    let parameters: Vec<_> = parameters.iter().map(|parameter| Some(*parameter)).collect();
    bind_to("", statement, &parameters, Format::Text)
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As text.
    Text,
    /// As the type's binary form.
    Binary,
}

/// Bind of text parameters, `None` for NULL, to a portal whose rows come in this format.
pub fn bind_to(portal: &str, statement: &str, parameters: &[Option<&str>], rows: Format) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0").into_bytes();
    body.extend(count(parameters.len()));
    for parameter in parameters {
        match parameter {
            Some(text) => {
                body.extend(u32::try_from(text.len()).expect("short parameters").to_be_bytes());
                body.extend(text.bytes());
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    match rows {
        Format::Text => body.extend(count(0)),
        Format::Binary => body.extend([0, 1, 0, 1]),
    }
    message(b'B', &body)
}

/// Describe of a statement (`S`) or a portal (`P`).
pub fn describe(kind: char, name: &str) -> Vec<u8> {
    message(b'D', format!("{kind}{name}\0").as_bytes())
}

/// Close of a statement (`S`) or a portal (`P`).
pub fn close(kind: char, name: &str) -> Vec<u8> {
    message(b'C', format!("{kind}{name}\0").as_bytes())
}

/// Execute of the unnamed portal, all rows.
pub fn execute() -> Vec<u8> {
    execute_portal("", 0)
}

/// Execute of a portal, up to so many rows, 0 for all.
pub fn execute_portal(portal: &str, rows_max: u32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), &[0], &rows_max.to_be_bytes()].concat())
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// Flush.
pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// FunctionCall of the function with this OID; arguments and result are text.
pub fn call(function: u32, arguments: &[&str]) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    body.extend(count(0));
    body.extend(count(arguments.len()));
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).expect("short arguments").to_be_bytes());
        body.extend(argument.bytes());
    }
    body.extend(count(0));
    message(b'F', &body)
}

/// CopyData.
pub fn copy_data(rows: &str) -> Vec<u8> {
    message(b'd', rows.as_bytes())
}

/// CopyDone.
pub fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}

/// CopyFail.
pub fn copy_fail(reason: &str) -> Vec<u8> {
    message(b'f', format!("{reason}\0").as_bytes())
}

/// Terminate.
pub fn terminate() -> Vec<u8> {
    message(b'X', &[])
}

fn count(number: usize) -> [u8; 2] {
    u16::try_from(number).expect("tests send few of them").to_be_bytes()
}

//! One connection of ours to a node.
//!
//! [`connect`] opens it and logs in, [`Server`] is what pools keep and sessions borrow; [`settings`],
//! [`statements`] and [`sql_statements`] are what a session's next server must be brought up to;
//! [`async_commit`] is what its commits promise.

pub mod async_commit;
pub mod cancel;
pub mod connect;
pub mod description;
mod error;
pub mod info;
pub mod login;
pub mod settings;
pub mod simple;
pub mod sql_statements;
pub mod statements;
mod target;

pub use connect::{ServerLogin, connect};
pub use error::ConnectError;
pub use target::{ServerTarget, ServerTls};

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use self::{
    async_commit::{ASK, SYNCHRONOUS_COMMIT},
    info::ServerInfo,
    settings::Settings,
    sql_statements::SqlStatements,
    statements::Statements,
};
use crate::{
    clock::Moment,
    id::PoolKey,
    net::{buffer::Buffer, stream::Stream},
    wire::{ask, backend::parameter_status, frame, frontend::put_query, reply::TxStatus},
};

/// Longest wait for a node to close a connection that was said goodbye to.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// What [`Server::unnamed`] is while nobody knows what the server holds.
pub const UNNAMED_UNKNOWN: u64 = u64::MAX;

/// A logged-in connection to a node.
pub struct Server {
    /// The connection.
    pub stream: Stream,
    /// What others see of it.
    pub info: Arc<ServerInfo>,
    /// Where its transaction stands.
    pub status: TxStatus,
    /// What has been set on it beyond its defaults.
    pub settings: Settings,
    /// Where nothing is set, its commits may be acknowledged before they are flushed.
    async_by_default: bool,
    /// What SQL's PREPARE has prepared on it.
    pub sql_statements: SqlStatements,
    /// What has been prepared on it under our names.
    pub statements: Statements,
    /// Whose unnamed statement it holds: a number that a session chose, 0 for nobody's.
    pub unnamed: u64,
    /// Who may have moved a sequence on it last: a client's process id, 0 for nobody.
    pub sequence_user: u32,
    /// When that was.
    pub sequence_moved: Option<Moment>,
    /// Who may have set on it what is in no list: a client's process id, 0 for nobody.
    pub settings_of: u32,
    /// The pool's age when it was opened.
    pub age: u64,
    /// The cluster's term when it was lent last.
    pub term: u64,
    /// When it was opened.
    pub born: Moment,
    /// When it was last given back.
    pub idle_since: Moment,
    /// What it reported at login.
    pub reported: Arc<[(String, String)]>,
    worker: usize,
    _place: Box<dyn Send + Sync>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("id", &self.info.id).field("pool", &self.info.pool).finish_non_exhaustive()
    }
}

/// A statement of our own failed, or the connection did.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The connection broke.
    #[error("the server connection broke")]
    Io(#[from] io::Error),
    /// The server refused.
    #[error("{message} ({sqlstate})")]
    Server {
        /// What PostgreSQL answered.
        message: String,
        /// Its SQLSTATE.
        sqlstate: String,
    },
    /// What came was not the protocol.
    #[error("the server broke the protocol")]
    Protocol,
}

/// What it takes to open a server.
pub struct Opening {
    /// The pool that it is for.
    pub pool: PoolKey,
    /// Where it is.
    pub target: Arc<ServerTarget>,
    /// Its place in the pool's count, dropped with it.
    pub place: Box<dyn Send + Sync>,
    /// The pool's age.
    pub age: u64,
    /// The worker that opens it.
    pub worker: usize,
    /// Run before anything else.
    pub connect_query: Option<String>,
}

/// Opens a server on the calling worker.
pub async fn open(opening: Opening) -> Result<Box<Server>, ConnectError> {
    let login = connect(&opening.target).await?;
    if !login.unread.is_empty() {
        return Err(ConnectError::Protocol("something after the login that nobody asked for"));
    }
    let now = Moment::now();
    let tls = login.stream.is_tls();
    let info = ServerInfo::register(opening.pool, opening.target, login.pid, login.key, opening.age, tls);
    let mut server = Box::new(Server {
        stream: login.stream,
        info,
        status: TxStatus::Idle,
        settings: Settings::default(),
        async_by_default: true,
        sql_statements: SqlStatements::default(),
        statements: Statements::default(),
        unnamed: 0,
        sequence_user: 0,
        sequence_moved: None,
        term: 0,
        settings_of: 0,
        age: opening.age,
        born: now,
        idle_since: now,
        reported: login.parameters.into(),
        worker: opening.worker,
        _place: opening.place,
    });
    let failed = |error| ConnectError::Query(Box::new(error));
    server.async_by_default = server.is_asynchronous().await.map_err(failed)?;
    if let Some(sql) = opening.connect_query {
        server.run(&sql).await.map_err(failed)?;
        // What the statement has set is lost when the session is discarded; both may be so.
        server.async_by_default |= server.is_asynchronous().await.map_err(failed)?;
    }
    Ok(server)
}

impl Server {
    /// The worker whose runtime its socket belongs to.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Moves it to the calling worker; `None` (and closed) when that fails.
    pub fn rehome(self: Box<Self>, worker: usize) -> Option<Box<Self>> {
        let mut server = *self;
        server.stream = Stream::attach(server.stream.detach().ok()?).ok()?;
        server.worker = worker;
        Some(Box::new(server))
    }

    /// Nothing has come that nobody asked for: it still lives.
    #[inline]
    pub fn is_quiet(&mut self) -> bool {
        self.stream.is_quiet()
    }

    /// Its commits may be acknowledged before they are flushed, by what is set now.
    pub fn commits_asynchronously(&self) -> bool {
        self.settings.value(SYNCHRONOUS_COMMIT).map_or(self.async_by_default, async_commit::may_be_off)
    }

    async fn is_asynchronous(&mut self) -> Result<bool, RunError> {
        let mut answer = true;
        match self.ask(ASK, |row| answer = async_commit::read(row)).await {
            // Whatever it is that does not know the setting.
            Ok(()) | Err(RunError::Server { .. }) => Ok(answer),
            Err(error) => Err(error),
        }
    }

    /// Runs a statement of our own while no client uses the server; answers are thrown away.
    pub async fn run(&mut self, sql: &str) -> Result<(), RunError> {
        self.ask(sql, |_| ()).await
    }

    /// Runs a statement of our own; `each` gets the body of each DataRow.
    pub async fn ask(&mut self, sql: &str, each: impl FnMut(&[u8])) -> Result<(), RunError> {
        self.ask_aside(sql, each, |_, _| ()).await
    }

    /// The same; `aside` gets the notifications and notices that come with the answer: type and whole message.
    pub async fn ask_aside(
        &mut self,
        sql: &str,
        mut each: impl FnMut(&[u8]),
        mut aside: impl FnMut(u8, &[u8]),
    ) -> Result<(), RunError> {
        let mut request = Vec::new();
        put_query(&mut request, sql.as_bytes());
        self.stream.write_all(&request).await?;
        self.stream.flush().await?;
        self.unnamed = 0;
        let mut answer = Buffer::default();
        let mut failure = None;
        loop {
            while let Some(header) = frame::header(answer.filled()).map_err(|_| RunError::Protocol)? {
                if answer.len() < header.total {
                    break;
                }
                let body = &answer.filled()[frame::HEADER_BYTES..header.total];
                match header.tag {
                    b'D' => each(body),
                    b'A' | b'N' => aside(header.tag, &answer.filled()[..header.total]),
                    b'E' => failure = Some(RunError::from_body(body)),
                    b'S' => self.note_parameter(body),
                    b'Z' => {
                        self.status = TxStatus::read(body).ok_or(RunError::Protocol)?;
                        return failure.map_or(Ok(()), Err);
                    }
                    _ => {}
                }
                answer.consume(header.total);
            }
            let read = std::future::poll_fn(|cx| {
                let polled = poll_read(&mut self.stream, &mut answer, cx);
                if polled.is_pending() {
                    self.info.wake_when_cut(cx.waker());
                    if self.info.is_cut() {
                        return Poll::Ready(Err(given_up()));
                    }
                }
                polled
            });
            if read.await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Follows a ParameterStatus.
    pub fn note_parameter(&mut self, body: &[u8]) {
        if let Some((name, value)) = parameter_status(body) {
            self.settings = self.settings.with(name, value);
        }
    }

    /// Says goodbye and waits until the node has closed the connection, so that its place there is free.
    pub async fn close(mut self: Box<Self>) {
        let goodbye = async {
            let mut out = Vec::new();
            ask::terminate(&mut out);
            self.stream.write_all(&out).await?;
            self.stream.flush().await?;
            let mut rest = Buffer::default();
            while std::future::poll_fn(|cx| poll_read(&mut self.stream, &mut rest, cx)).await? > 0 {
                rest.clear();
            }
            Ok::<(), io::Error>(())
        };
        // However it ends, the connection is over.
        let _ = timeout(GOODBYE_MAX, goodbye).await;
    }

    /// Forgets what DISCARD ALL made the server forget.
    pub fn forget_session(&mut self) {
        self.settings = Settings::default();
        self.sql_statements = SqlStatements::default();
        self.sequence_user = 0;
        self.settings_of = 0;
        self.statements.clear();
    }
}

impl RunError {
    /// Reads the body of an ErrorResponse.
    pub fn from_body(body: &[u8]) -> Self {
        let field = |kind| {
            let value = crate::wire::backend::error_field(body, kind).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        Self::Server { message: field(b'M'), sqlstate: field(b'C') }
    }
}

/// What is said of a server that was [cut](ServerInfo::cut).
pub fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "its node is not the primary any more")
}

/// Reads once into `buffer`; 0 is the end of the stream.
#[inline]
pub fn poll_read(stream: &mut Stream, buffer: &mut Buffer, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut room = ReadBuf::new(buffer.room());
    let polled = Pin::new(stream).poll_read(cx, &mut room);
    let n = room.filled().len();
    buffer.fill(n);
    polled.map_ok(|()| n)
}

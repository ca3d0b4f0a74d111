//! A connection of our own to a node: queries, text rows, one request at a time.
//!
//! The monitor, the catalog's reader, the look-up of users and cluster actions use it. It also hears what the server says
//! unasked: a changed setting (`in_hot_standby` tells of a promotion), a shutdown.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    str::FromStr,
};

use super::{ConnectError, ServerLogin, ServerTarget, connect};
use crate::{
    net::{
        messages::{Inbox, Message, send},
        stream::Stream,
    },
    wire::{
        ask,
        take::{Malformed, ServerMessage, Take},
    },
};

/// Most bytes of rows that one call takes in.
const ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most settings that are remembered.
const PARAMETERS_MAX: usize = 256;
/// Most notices of answers that are kept.
const NOTICES_MAX: usize = 64;
/// Most notifications that may come with one answer; they are kept until somebody asks for them.
const BACKLOG_MAX: usize = 10_000;

/// One row, every value as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(pub Vec<Option<String>>);

impl Row {
    /// The value in `column`, counted from zero; `None` for NULL and for columns that do not exist.
    pub fn text(&self, column: usize) -> Option<&str> {
        self.0.get(column)?.as_deref()
    }

    /// The value in `column` read as a `T`; `None` also when it is not one.
    pub fn parse<T: FromStr>(&self, column: usize) -> Option<T> {
        self.text(column)?.parse().ok()
    }

    /// The boolean in `column`.
    pub fn bool(&self, column: usize) -> Option<bool> {
        match self.text(column)? {
            "t" => Some(true),
            "f" => Some(false),
            _ => None,
        }
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The server said no; the session goes on unless the severity is FATAL or PANIC.
    #[error("the query failed")]
    Server(#[source] ServerMessage),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] io::Error),
    /// More rows than we take in.
    #[error("the answer has more than {ANSWER_MAX_BYTES} bytes")]
    TooLarge,
    /// More notifications came with an answer than are kept.
    #[error("more than {BACKLOG_MAX} notifications came with an answer")]
    Flooded,
    /// An earlier query was abandoned midway, so the session cannot be used any more.
    #[error("an earlier query was abandoned")]
    OutOfStep,
    /// The query asks for COPY data, which is not for this kind of session.
    #[error("COPY is not possible here")]
    Copy,
    /// A message is not what its type says.
    #[error("protocol violation by the server")]
    Malformed(#[from] Malformed),
}

impl From<io::Error> for QueryError {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

/// What the server said unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A setting has changed; [`ControlSession::parameter`] has its value.
    Parameter(String),
    /// A notice.
    Notice(ServerMessage),
    /// NOTIFY on a channel that we listen to.
    Notification {
        /// The server process that sent it.
        pid: u32,
        /// The channel.
        channel: String,
        /// What was sent along, in the session's encoding.
        payload: Vec<u8>,
    },
}

/// An answer with the names of its columns, and what was said beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The columns' names; none when there are no rows by nature.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
    /// The messages of notices.
    pub notices: Vec<String>,
}

/// A logged-in session.
#[derive(Debug)]
pub struct ControlSession {
    stream: Stream,
    inbox: Inbox,
    parameters: BTreeMap<String, String>,
    pid: u32,
    key: Vec<u8>,
    /// Of the newest answer.
    columns: Vec<String>,
    /// Of the newest answers, for whoever asks; the last few.
    notices: Vec<String>,
    /// Notifications that came with answers.
    backlog: VecDeque<News>,
    /// Between Query and its ReadyForQuery.
    busy: bool,
}

impl ControlSession {
    /// Connects and logs in.
    pub async fn connect(target: &ServerTarget) -> Result<Self, ConnectError> {
        connect(target).await.map(Self::from)
    }

    /// What the server last said about a setting that it reports (`in_hot_standby`, `server_version` …).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The server process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// For a cancel request.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The rows of all of the statements in `sql`, one after the other.
    ///
    /// When this is dropped midway the session is lost: every later call fails with [`QueryError::OutOfStep`].
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>, QueryError> {
        Ok(self.query_each(sql).await?.into_iter().flatten().collect())
    }

    /// The rows of each statement in `sql` by itself.
    pub async fn query_each(&mut self, sql: &str) -> Result<Vec<Vec<Row>>, QueryError> {
        let mut out = Vec::with_capacity(sql.len() + 6);
        ask::query(&mut out, sql);
        self.exchange(out).await
    }

    /// The rows of each statement with its parameters, which travel apart from it. All are one transaction.
    ///
    /// As for [`query`](Self::query) when this is dropped midway.
    pub async fn query_with(&mut self, statements: &[(&str, &[&str])]) -> Result<Vec<Vec<Row>>, QueryError> {
        let mut out = Vec::new();
        for (sql, parameters) in statements {
            ask::statement(&mut out, sql, parameters);
        }
        ask::sync(&mut out);
        self.exchange(out).await
    }

    /// Sends requests that end in one ReadyForQuery.
    async fn exchange(&mut self, mut requests: Vec<u8>) -> Result<Vec<Vec<Row>>, QueryError> {
        if std::mem::replace(&mut self.busy, true) {
            return Err(QueryError::OutOfStep);
        }
        send(&mut self.stream, &mut requests).await?;
        let answer = self.answer().await;
        // Only a session that has seen its ReadyForQuery may be asked again.
        self.busy = !matches!(answer, Ok(_) | Err(QueryError::Server(_)));
        answer
    }

    /// The answer to one statement, with its columns.
    ///
    /// As for [`query`](Self::query) when this is dropped midway.
    pub async fn describe(&mut self, sql: &str) -> Result<Described, QueryError> {
        self.columns.clear();
        self.notices.clear();
        let rows = self.query(sql).await?;
        let (columns, notices) = (std::mem::take(&mut self.columns), std::mem::take(&mut self.notices));
        Ok(Described { columns, rows, notices })
    }

    /// What came with an answer and nobody has asked for yet.
    pub fn heard(&mut self) -> Option<News> {
        self.backlog.pop_front()
    }

    /// Waits until the server says something unasked. May be dropped without loss.
    ///
    /// The server's end, or its farewell (57P01 …), comes as an error.
    pub async fn news(&mut self) -> Result<News, QueryError> {
        if self.busy {
            return Err(QueryError::OutOfStep);
        }
        if let Some(news) = self.backlog.pop_front() {
            return Ok(news);
        }
        loop {
            let message = self.inbox.message(&mut self.stream, ANSWER_MAX_BYTES).await?;
            if let Some(news) = hear(&mut self.parameters, message)? {
                return Ok(news);
            }
        }
    }

    async fn answer(&mut self) -> Result<Vec<Vec<Row>>, QueryError> {
        let (mut sets, mut rows, mut bytes, mut failed) = (Vec::new(), Vec::new(), 0, None);
        loop {
            let message = self.inbox.message(&mut self.stream, ANSWER_MAX_BYTES).await?;
            match message.tag {
                b'D' => {
                    bytes += message.body.len();
                    if bytes > ANSWER_MAX_BYTES {
                        return Err(QueryError::TooLarge);
                    }
                    rows.push(row(message.body)?);
                }
                b'C' => sets.push(std::mem::take(&mut rows)),
                b'E' => {
                    let error = ServerMessage::parse(message.body)?;
                    // After these no ReadyForQuery comes.
                    if matches!(error.severity.as_str(), "FATAL" | "PANIC") {
                        return Err(QueryError::Server(error));
                    }
                    failed = Some(error);
                }
                b'Z' => return failed.map_or(Ok(sets), |error| Err(QueryError::Server(error))),
                b'T' => self.columns = columns(message.body)?,
                b'N' if self.notices.len() < NOTICES_MAX => {
                    self.notices.push(ServerMessage::parse(message.body)?.message);
                }
                b'G' | b'H' | b'W' => return Err(QueryError::Copy),
                _ => {
                    if let Some(news @ News::Notification { .. }) = hear(&mut self.parameters, message)? {
                        if self.backlog.len() >= BACKLOG_MAX {
                            return Err(QueryError::Flooded);
                        }
                        self.backlog.push_back(news);
                    }
                }
            }
        }
    }
}

impl From<ServerLogin> for ControlSession {
    fn from(login: ServerLogin) -> Self {
        Self {
            stream: login.stream,
            inbox: Inbox::new(login.unread),
            parameters: login.parameters.into_iter().collect(),
            pid: login.pid,
            key: login.key,
            columns: Vec::new(),
            notices: Vec::new(),
            backlog: VecDeque::new(),
            busy: false,
        }
    }
}

/// The names in a RowDescription.
fn columns(body: &[u8]) -> Result<Vec<String>, Malformed> {
    /// Behind a name: table, column, type, size, modifier, format.
    const REST_BYTES: usize = 18;
    let mut take = Take::new(body, "RowDescription");
    let count = take.u16()?;
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(take.text()?);
        take.bytes(REST_BYTES)?;
    }
    Ok(names)
}

fn row(body: &[u8]) -> Result<Row, Malformed> {
    let mut take = Take::new(body, "DataRow");
    let columns = take.u16()?;
    let mut row = Vec::new();
    for _ in 0..columns {
        let value = match take.i32()? {
            -1 => None,
            length => {
                let length = usize::try_from(length).map_err(|_| Malformed("DataRow"))?;
                Some(String::from_utf8_lossy(take.bytes(length)?).into_owned())
            }
        };
        row.push(value);
    }
    Ok(Row(row))
}

fn hear(parameters: &mut BTreeMap<String, String>, message: Message<'_>) -> Result<Option<News>, QueryError> {
    match message.tag {
        b'S' => {
            let mut take = Take::new(message.body, "ParameterStatus");
            let (name, value) = (take.text()?, take.text()?);
            if parameters.len() < PARAMETERS_MAX || parameters.contains_key(&name) {
                parameters.insert(name.clone(), value);
            }
            Ok(Some(News::Parameter(name)))
        }
        b'A' => {
            let mut take = Take::new(message.body, "NotificationResponse");
            let (pid, channel, payload) = (take.u32()?, take.text()?, take.cstr()?.to_vec());
            Ok(Some(News::Notification { pid, channel, payload }))
        }
        b'N' => Ok(Some(News::Notice(ServerMessage::parse(message.body)?))),
        b'E' => Err(QueryError::Server(ServerMessage::parse(message.body)?)),
        _ => Ok(None),
    }
}

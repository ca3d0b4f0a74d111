//! An operator's session: the simple and the extended protocol, one message after the other.
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html>. A command that waits ends when its
//! client goes away, sends a cancel request, or is killed.

use std::{future::poll_fn, io, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration};

use tokio::{io::AsyncWriteExt, time::timeout};

use super::{
    command::{self, Command, CommandError, TEXT_MAX_BYTES, setting::SERVER_VERSION},
    complaint::Complaint,
    execute::{self, Answer, Context},
    extended::{Binding, Named, Portal, execution, fits},
    table::{Formats, put_description, put_row},
};
use crate::{
    client::{ClientHello, ConsoleRole, greet},
    clock::Moment,
    net::{
        messages::{Inbox, send},
        stream::Stream,
    },
    operate::Ending,
    session::info::{CANCEL_KEY_BYTES, ClientInfo, ClientState, NewClient, Order},
    shutdown::{Phase, Shutdown},
    wire::{
        frontend::{self, Parse, query_text},
        reply::{self, Severity, TxStatus},
        sqlstate::SqlState,
    },
    worker::Worker,
};

/// Longest message that is read: the longest text with a little around it.
const MESSAGE_MAX_BYTES: usize = TEXT_MAX_BYTES + 1024;

/// Read ahead while a command waits; what comes beyond it stays in the socket.
const READ_AHEAD_MAX_BYTES: usize = 2 * MESSAGE_MAX_BYTES;

/// How long the last words may take to be sent.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);

/// Why a session ended.
#[derive(Debug)]
enum Ended {
    /// The client said goodbye.
    Left,
    /// The connection broke, or what came was no message.
    Broken(io::Error),
    /// A message that there is not.
    UnknownMessage(u8),
    /// Somebody killed it.
    Killed,
    /// The proxy ends.
    ShutDown,
}

/// One operator's session.
pub(super) struct Console {
    context: Rc<Context>,
    info: Arc<ClientInfo>,
    stream: Stream,
    inbox: Inbox,
    out: Vec<u8>,
    named: Named,
    /// After an error of the extended protocol nothing counts until the Sync.
    skipping: bool,
    /// The proxy ends once the client has its answer.
    then: Option<Ending>,
}

impl Console {
    /// Registers the client and says welcome; `None` unless it asked for the console.
    pub(super) fn welcome(worker: Rc<Worker>, mut hello: ClientHello) -> Option<Self> {
        let role = hello.console?;
        let application = hello.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("application_name"));
        let info = worker.shared.clients.register(NewClient {
            user: hello.user.as_str().into(),
            database: hello.database.as_str().into(),
            application: application.map(|(_, value)| value.as_str()).unwrap_or_default().into(),
            address: hello.address,
            local: hello.stream.local(),
            tls: hello.stream.is_tls(),
            console: true,
            worker: u16::try_from(worker.id).unwrap_or(u16::MAX),
            key_bytes: hello.protocol.cancel_key(&[0; CANCEL_KEY_BYTES]).len(),
            peer_id: worker.shared.generation.load().config.peer_id,
        });
        let parameters = greet::parameter_messages(&parameters(&info, role));
        greet::welcome(&mut hello.out, &parameters, info.pid, &info.key, hello.protocol);
        let by_pgbouncers_rows = hello.database == "pgbouncer";
        let user = Arc::clone(&info.user);
        Some(Self {
            context: Rc::new(Context { worker, user, role, by_pgbouncers_rows }),
            info,
            stream: hello.stream,
            inbox: Inbox::new(hello.unread),
            out: hello.out,
            named: Named::default(),
            skipping: false,
            then: None,
        })
    }

    /// Serves the client to the end.
    pub(super) async fn serve(mut self) {
        let ended = loop {
            if let Err(ended) = self.turn().await {
                break ended;
            }
        };
        let (sqlstate, words) = match &ended {
            Ended::Left => return,
            Ended::Broken(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                (SqlState::PROTOCOL_VIOLATION, cause.to_string())
            }
            Ended::Broken(_) => return,
            Ended::UnknownMessage(tag) => {
                (SqlState::PROTOCOL_VIOLATION, format!("invalid frontend message type {tag}"))
            }
            Ended::Killed => (SqlState::ADMIN_SHUTDOWN, "terminating connection: an administrator asked for it".into()),
            Ended::ShutDown => (SqlState::ADMIN_SHUTDOWN, "terminating connection: the proxy is shutting down".into()),
        };
        reply::error(&mut self.out, Severity::Fatal, sqlstate, &words, "", "");
        let _ = timeout(FAREWELL_PATIENCE, async {
            send(&mut self.stream, &mut self.out).await?;
            self.stream.shutdown().await
        })
        .await;
    }

    /// One message.
    async fn turn(&mut self) -> Result<(), Ended> {
        if self.inbox.unused().is_empty() {
            self.flush().await?;
        }
        let (tag, body) = self.message().await?;
        match tag {
            b'X' => Err(Ended::Left),
            b'S' => self.end_request().await,
            b'Q' | b'F' | b'P' | b'B' | b'D' | b'E' | b'C' | b'H' if self.skipping => Ok(()),
            b'Q' => self.simple(&body).await,
            b'F' => {
                Complaint::Unsupported("a function call", "The console has commands: SHOW HELP.").put(&mut self.out);
                self.end_request().await
            }
            b'H' => self.flush().await,
            b'P' | b'B' | b'D' | b'E' | b'C' => self.extended(tag, &body).await,
            // Left over from a COPY that never began, as PostgreSQL ignores them.
            b'd' | b'c' | b'f' => Ok(()),
            other => Err(Ended::UnknownMessage(other)),
        }
    }

    async fn message(&mut self) -> Result<(u8, Vec<u8>), Ended> {
        let shutdown = &self.context.worker.shared.shutdown;
        tokio::select! {
            biased;
            ended = sent_away(&self.info, shutdown) => Err(ended),
            message = self.inbox.message(&mut self.stream, MESSAGE_MAX_BYTES) => match message {
                Ok(message) => Ok((message.tag, message.body.to_vec())),
                Err(cause) => Err(Ended::Broken(cause)),
            },
        }
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        let shutdown = &self.context.worker.shared.shutdown;
        tokio::select! {
            biased;
            sent = send(&mut self.stream, &mut self.out) => sent.map_err(Ended::Broken),
            ended = sent_away(&self.info, shutdown) => Err(ended),
        }
    }

    /// The end of a query or of a batch.
    async fn end_request(&mut self) -> Result<(), Ended> {
        self.skipping = false;
        self.named.end_transaction();
        reply::ready_for_query(&mut self.out, TxStatus::Idle);
        self.flush().await?;
        if let Some(ending) = self.then.take() {
            self.context.worker.shared.commands.shut_down(ending).await;
        }
        Ok(())
    }

    async fn simple(&mut self, body: &[u8]) -> Result<(), Ended> {
        let text = String::from_utf8_lossy(query_text(body).unwrap_or_default()).into_owned();
        if let Err(complaint) = self.obey_all(&text).await? {
            complaint.put(&mut self.out);
        }
        self.end_request().await
    }

    /// The commands of a text, up to the first that is refused.
    async fn obey_all(&mut self, text: &str) -> Result<Result<(), Complaint>, Ended> {
        let commands = match command::split(text) {
            Ok(commands) => commands,
            Err(error) => return Ok(Err(error.into())),
        };
        if commands.is_empty() {
            reply::empty_query_response(&mut self.out);
        }
        for text in commands {
            let command = match command::parse(text) {
                Ok(command) => command,
                Err(error) => return Ok(Err(error.into())),
            };
            match self.obey(&command).await? {
                Ok(answer) => self.put(answer),
                Err(complaint) => return Ok(Err(complaint)),
            }
            if command == Command::Forget("DISCARD ALL") {
                self.named.clear();
            }
        }
        Ok(Ok(()))
    }

    fn put(&mut self, answer: Answer) {
        self.put_notices(&answer);
        if let Some(table) = &answer.table {
            put_description(&mut self.out, &table.columns, &Formats::default());
            for row in &table.rows {
                put_row(&mut self.out, row, &Formats::default());
            }
        }
        reply::command_complete(&mut self.out, answer.tag);
        self.then = answer.then.or(self.then);
    }

    fn put_notices(&mut self, answer: &Answer) {
        for notice in &answer.notices {
            let sqlstate = SqlState::SUCCESSFUL_COMPLETION;
            reply::notice(&mut self.out, Severity::Notice, sqlstate, &notice.message, &notice.detail, "");
        }
    }

    /// Obeys a command. Meanwhile it is noticed when the client goes away or takes the command back.
    async fn obey(&mut self, command: &Command) -> Result<Result<Answer, Complaint>, Ended> {
        let context = Rc::clone(&self.context);
        let shutdown = &context.worker.shared.shutdown;
        // A cancel request that came too late is not for this command.
        self.info.obeyed(Order::Query);
        self.info.enter(ClientState::Active, Moment::now());
        let mut work = pin!(execute::run(&context, command));
        let outcome = loop {
            let room = self.inbox.unused().len() < READ_AHEAD_MAX_BYTES;
            tokio::select! {
                biased;
                outcome = &mut work => break Ok(outcome),
                ended = sent_away(&self.info, shutdown) => break Err(ended),
                () = canceled(&self.info) => {
                    self.info.obeyed(Order::Query);
                    execute::take_back(&context, command);
                    break Ok(Err(Complaint::Canceled));
                }
                read = self.inbox.read(&mut self.stream), if room => {
                    if let Err(cause) = read {
                        break Err(Ended::Broken(cause));
                    }
                }
            }
        };
        self.info.enter(ClientState::Idle, Moment::now());
        outcome
    }

    /// A message of the extended protocol.
    async fn extended(&mut self, tag: u8, body: &[u8]) -> Result<(), Ended> {
        let done = match tag {
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'C' => self.close(body),
            _ => self.execute(body).await?,
        };
        if let Err(complaint) = done {
            complaint.put(&mut self.out);
            self.skipping = true;
        }
        Ok(())
    }

    fn parse(&mut self, body: &[u8]) -> Result<(), Complaint> {
        let parse = Parse::read(body).ok_or(Complaint::Malformed("Parse"))?;
        if parse.types.starts_with(&[0, 0]) {
            let command = command::parse(&lossy(parse.text))?;
            self.named.keep_statement(lossy(parse.name), command)?;
            reply::parse_complete(&mut self.out);
            Ok(())
        } else {
            Err(CommandError::Parameter.into())
        }
    }

    fn bind(&mut self, body: &[u8]) -> Result<(), Complaint> {
        let binding = Binding::read(body).map_err(|_| Complaint::Malformed("Bind"))?;
        let command = self.named.statement(&binding.statement)?.clone();
        if binding.values > 0 {
            return Err(CommandError::Parameter.into());
        }
        if !fits(&binding.formats, execute::columns(&command).as_deref()) {
            return Err(Complaint::Malformed("Bind"));
        }
        self.named.keep_portal(binding.portal, Portal { command, formats: binding.formats, rest: None })?;
        reply::bind_complete(&mut self.out);
        Ok(())
    }

    fn describe(&mut self, body: &[u8]) -> Result<(), Complaint> {
        let asked = frontend::Named::read(body).ok_or(Complaint::Malformed("Describe"))?;
        let (columns, formats) = match asked.kind {
            b'S' => {
                let columns = execute::columns(self.named.statement(&lossy(asked.name))?);
                reply::parameter_description(&mut self.out, &[]);
                (columns, Formats::default())
            }
            b'P' => {
                let portal = self.named.portal(&lossy(asked.name))?;
                (execute::columns(&portal.command), portal.formats.clone())
            }
            _ => return Err(Complaint::Malformed("Describe")),
        };
        match columns {
            Some(columns) => put_description(&mut self.out, &columns, &formats),
            None => reply::no_data(&mut self.out),
        }
        Ok(())
    }

    fn close(&mut self, body: &[u8]) -> Result<(), Complaint> {
        let named = frontend::Named::read(body).filter(|named| matches!(named.kind, b'S' | b'P'));
        let named = named.ok_or(Complaint::Malformed("Close"))?;
        self.named.close(named.kind, &lossy(named.name));
        reply::close_complete(&mut self.out);
        Ok(())
    }

    async fn execute(&mut self, body: &[u8]) -> Result<Result<(), Complaint>, Ended> {
        let Ok((name, most)) = execution(body) else { return Ok(Err(Complaint::Malformed("Execute"))) };
        let command = match self.named.portal(&name) {
            Ok(portal) => portal.rest.is_none().then(|| portal.command.clone()),
            Err(complaint) => return Ok(Err(complaint)),
        };
        if let Some(command) = command {
            let answer = match self.obey(&command).await? {
                Ok(answer) => answer,
                Err(complaint) => return Ok(Err(complaint)),
            };
            self.put_notices(&answer);
            self.then = answer.then.or(self.then);
            let rows = answer.table.map(|table| table.rows).unwrap_or_default();
            if let Ok(portal) = self.named.portal(&name) {
                portal.rest = Some((rows, answer.tag));
            }
        }
        Ok(self.fetch(&name, most))
    }

    /// Sends the next rows of a portal that was run; 0 are all.
    fn fetch(&mut self, name: &str, most: usize) -> Result<(), Complaint> {
        let Portal { formats, rest, .. } = self.named.portal(name)?;
        let Some((rows, tag)) = rest else { return Ok(()) };
        let count = if most == 0 { rows.len() } else { most.min(rows.len()) };
        for row in rows.drain(..count) {
            put_row(&mut self.out, &row, formats);
        }
        if !rows.is_empty() {
            reply::portal_suspended(&mut self.out);
        } else if tag.is_empty() {
            reply::empty_query_response(&mut self.out);
        } else {
            reply::command_complete(&mut self.out, tag);
        }
        Ok(())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.context.worker.shared.clients.forget(self.info.pid);
    }
}

/// What drivers want to hear before they are content.
fn parameters(info: &ClientInfo, role: ConsoleRole) -> Vec<(String, String)> {
    let all = [
        ("server_version", SERVER_VERSION),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("application_name", &info.application),
        ("is_superuser", if role == ConsoleRole::Admin { "on" } else { "off" }),
        ("session_authorization", &info.user),
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "postgres"),
        ("TimeZone", "GMT"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Waits until the session has to end.
async fn sent_away(info: &ClientInfo, shutdown: &Shutdown) -> Ended {
    tokio::select! {
        () = ordered(info, Order::Kill) => Ended::Killed,
        () = shutdown.reached(Phase::Now) => Ended::ShutDown,
    }
}

/// Waits for a cancel request.
async fn canceled(info: &ClientInfo) {
    ordered(info, Order::Query).await;
}

async fn ordered(info: &ClientInfo, order: Order) {
    poll_fn(|cx| {
        info.register(cx.waker());
        if info.ordered() == order { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests;

//! From a client's first byte to its proof: TLS, cancel requests, introduction, authentication.
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>. The settings and
//! the first ReadyForQuery are left to the session, by [`welcome`](super::greet::welcome).

use std::{fmt, time::Duration};

use super::{HandshakeError, Lookup, Refusal, auth, line::Line};
use crate::{
    auth::{Secret, Secrets},
    config::{AuthType, Hba},
    net::{
        stream::{PeerAddr, Stream},
        tls::{self, Acceptor},
    },
    wire::{
        reply,
        startup::{FirstPacket, NEWEST, ProtocolVersion, StartupError, StartupMessage, parse_options},
    },
};

/// Names of the console, as databases.
pub const CONSOLE_DATABASES: [&str; 2] = ["howdah", "pgbouncer"];

/// What the handshake must know.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeContext<'a> {
    /// How clients prove who they are.
    pub auth_type: AuthType,
    /// The rules that say so, with `auth_type = "hba"`.
    pub hba: &'a Hba,
    /// From `auth_file`; `None` when there is none.
    pub secrets: Option<&'a Secrets>,
    /// Where users are looked up that are not in there; `None` when they are unknown.
    pub lookup: Option<&'a dyn Lookup>,
    /// May use the console.
    pub admin_users: &'a [String],
    /// May look at the console.
    pub stats_users: &'a [String],
    /// `ignore_startup_parameters`. Of these the handshake itself heeds only `options`.
    pub ignored: &'a [String],
    /// Takes TLS; `None` when it is disabled.
    pub tls: Option<&'a Acceptor>,
    /// `client_login_timeout`; zero is forever.
    pub login_timeout: Duration,
    /// Turns every client away with this once it has introduced itself (`max_client_conn`, shutdown).
    /// Users of the console and cancel requests still pass.
    pub refusal: Option<&'a Refusal>,
}

/// What came of a connection.
#[derive(Debug)]
pub enum Greeted {
    /// It carries a cancel request.
    Cancel {
        /// Of the session whose query is meant.
        pid: u32,
        /// That session's secret; 4 to 256 bytes, unchecked.
        key: Vec<u8>,
        /// To be closed when the request has been passed on: the client waits for that.
        stream: Stream,
    },
    /// It is a client that has proven who it is.
    Client(Box<ClientHello>),
}

/// Whom the console obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleRole {
    /// One of `admin_users`: everything.
    Admin,
    /// One of `stats_users`: SHOW.
    Stats,
}

/// A client that has proven who it is and has heard nothing since.
pub struct ClientHello {
    /// Its connection.
    pub stream: Stream,
    /// Who it is.
    pub user: String,
    /// What it wants; the user's name when it did not say.
    pub database: String,
    /// Settings it asks for, from the startup packet and from its `options`; each name once, as the client wrote it.
    pub parameters: Vec<(String, String)>,
    /// What both sides speak.
    pub protocol: ProtocolVersion,
    /// Whether it wants to speak the replication protocol.
    pub replication: bool,
    /// Where it comes from.
    pub address: PeerAddr,
    /// Subject of its verified certificate.
    pub tls_subject: Option<String>,
    /// What we can show to servers in its name.
    pub secret: Option<Secret>,
    /// Its role, when it asked for the console.
    pub console: Option<ConsoleRole>,
    /// Messages that it must get before anything else; AuthenticationOk is the last of them.
    pub out: Vec<u8>,
    /// What it sent beyond the handshake.
    pub unread: Vec<u8>,
}

impl fmt::Debug for ClientHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHello")
            .field("peer", &self.address)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// Brings a new connection as far as it wants to go. A client that fails has been told why when this returns.
pub async fn handshake(stream: Stream, context: &HandshakeContext<'_>) -> Result<Greeted, HandshakeError> {
    let mut line = Line::new(stream, context.login_timeout);
    let message = loop {
        match line.first_packet().await {
            Ok(FirstPacket::SslRequest) if !line.stream.is_tls() => line = answer_ssl_request(line, context).await?,
            Ok(FirstPacket::DirectTls) if !line.stream.is_tls() => line = direct_tls(line, context).await?,
            Ok(FirstPacket::SslRequest | FirstPacket::DirectTls) => {
                return Err(line.refuse(HandshakeError::Unexpected("TLS is already in use")).await);
            }
            Ok(FirstPacket::GssEncRequest) => {
                line.out.push(b'N');
                line.flush().await?;
            }
            Ok(FirstPacket::Cancel { pid, key }) => return Ok(Greeted::Cancel { pid, key, stream: line.stream }),
            Ok(FirstPacket::Startup(message)) => break message,
            Err(cause) => return Err(line.refuse(cause).await),
        }
    };
    match admit(&mut line, message, context).await {
        Ok(admitted) => Ok(Greeted::Client(Box::new(admitted.with(line)))),
        Err(cause) => Err(line.refuse(cause).await),
    }
}

async fn answer_ssl_request(mut line: Line, context: &HandshakeContext<'_>) -> Result<Line, HandshakeError> {
    // TLS on a unix socket protects nothing; PostgreSQL says no there too.
    let acceptor = context.tls.filter(|_| matches!(line.stream, Stream::Tcp(_)));
    let Some(acceptor) = acceptor else {
        line.out.push(b'N');
        line.flush().await?;
        return Ok(line);
    };
    if !line.inbox.unused().is_empty() {
        return Err(line.refuse(HandshakeError::UnencryptedData).await);
    }
    line.out.push(b'S');
    line.flush().await?;
    line.start_tls(acceptor).await
}

async fn direct_tls(line: Line, context: &HandshakeContext<'_>) -> Result<Line, HandshakeError> {
    let Some(acceptor) = context.tls.filter(|_| matches!(line.stream, Stream::Tcp(_))) else {
        return Err(HandshakeError::TlsDisabled);
    };
    let line = line.start_tls(acceptor).await?;
    if tls::agreed_on_postgresql(&line.stream) { Ok(line) } else { Err(line.refuse(HandshakeError::NoAlpn).await) }
}

impl HandshakeContext<'_> {
    /// What is known of the user's secret: from the `auth_file`, or else from whoever looks users up.
    pub(super) async fn stored(&self, line: &Line, who: &Introduction) -> Result<Option<Secret>, HandshakeError> {
        if let Some(secret) = self.secrets.and_then(|secrets| secrets.of(&who.user)) {
            return Ok(Some(secret.clone()));
        }
        let Some(lookup) = self.lookup else { return Ok(None) };
        let found = line.wait(lookup.look_up(who.asked(), &who.user)).await?;
        found.map_err(|cause| HandshakeError::Lookup { user: who.user.clone(), cause })
    }

    /// What was found has not let the user in.
    pub(super) fn forget(&self, who: &Introduction) {
        if let Some(lookup) = self.lookup {
            lookup.forget(who.asked(), &who.user);
        }
    }
}

/// Who a client says it is, and what it wants.
pub(super) struct Introduction {
    pub user: String,
    pub database: String,
    pub replication: bool,
    pub console: Option<ConsoleRole>,
}

impl Introduction {
    /// The database that it asks for; `None` for the console, which is none.
    fn asked(&self) -> Option<&str> {
        self.console.is_none().then_some(&*self.database)
    }
}

/// A [`ClientHello`] without its connection.
struct Admitted {
    who: Introduction,
    parameters: Vec<(String, String)>,
    protocol: ProtocolVersion,
    secret: Option<Secret>,
}

impl Admitted {
    fn with(self, line: Line) -> ClientHello {
        let Self { who: Introduction { user, database, replication, console }, parameters, protocol, secret } = self;
        ClientHello {
            tls_subject: tls::client_subject(&line.stream),
            address: line.stream.peer(),
            stream: line.stream,
            user,
            database,
            parameters,
            protocol,
            replication,
            secret,
            console,
            out: line.out,
            unread: line.inbox.into_unused(),
        }
    }
}

async fn admit(
    line: &mut Line,
    message: StartupMessage,
    context: &HandshakeContext<'_>,
) -> Result<Admitted, HandshakeError> {
    if context.tls.is_some_and(Acceptor::required) && matches!(line.stream, Stream::Tcp(_)) {
        return Err(HandshakeError::TlsRequired);
    }
    let protocol = message.negotiated();
    if message.needs_negotiation() {
        reply::negotiate_protocol_version(&mut line.out, protocol.major, protocol.minor, &message.unknown_options);
    }
    let user = message.parameter("user").filter(|user| !user.is_empty()).ok_or(StartupError::NoUser)?.to_owned();
    let database = message.parameter("database").filter(|name| !name.is_empty()).unwrap_or(&user).to_owned();
    let replication = replication(message.parameter("replication"))?;
    let parameters = settings(&message, context.ignored)?;
    let console = console_role(context, &user, &database)?;
    if let Some(refusal) = context.refusal.filter(|_| console.is_none()) {
        return Err(HandshakeError::Refused(refusal.clone()));
    }
    let who = Introduction { user, database, replication, console };
    let secret = auth::authenticate(line, context, &who).await?;
    reply::authentication_ok(&mut line.out);
    Ok(Admitted { who, parameters, protocol, secret })
}

fn console_role(
    context: &HandshakeContext<'_>,
    user: &str,
    database: &str,
) -> Result<Option<ConsoleRole>, HandshakeError> {
    if !CONSOLE_DATABASES.contains(&database) {
        return Ok(None);
    }
    let listed = |users: &[String]| users.iter().any(|listed| listed == user);
    if listed(context.admin_users) {
        Ok(Some(ConsoleRole::Admin))
    } else if listed(context.stats_users) {
        Ok(Some(ConsoleRole::Stats))
    } else {
        Err(HandshakeError::ConsoleDenied { database: database.to_owned() })
    }
}

/// As PostgreSQL reads it: `database`, or a boolean in any of its spellings.
fn replication(value: Option<&str>) -> Result<bool, StartupError> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "off" | "no" | "0") => Ok(false),
        Some("database" | "true" | "on" | "yes" | "1") => Ok(true),
        Some(_) => Err(StartupError::Replication { value: value.unwrap_or_default().to_owned() }),
    }
}

/// What stays of `options` when that is one of the ignored parameters: what PostgreSQL reports to clients,
/// who therefore count on it.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC>
const REPORTED: [&str; 9] = [
    "application_name",
    "client_encoding",
    "datestyle",
    "default_transaction_read_only",
    "intervalstyle",
    "scram_iterations",
    "search_path",
    "standard_conforming_strings",
    "timezone",
];

/// The settings, those in `options` first because the packet's own win over them. Of equal names the last counts.
fn settings(message: &StartupMessage, ignored: &[String]) -> Result<Vec<(String, String)>, StartupError> {
    let is_ignored = ignored.iter().any(|name| name.eq_ignore_ascii_case("options"));
    let mut settings = match message.parameter("options") {
        // What cannot be read is ignored as a whole.
        Some(options) if is_ignored => parse_options(options).unwrap_or_default(),
        Some(options) => parse_options(options)?,
        None => Vec::new(),
    };
    if is_ignored {
        settings.retain(|(name, _)| REPORTED.iter().any(|reported| reported.eq_ignore_ascii_case(name)));
    }
    let own = |name: &str| !matches!(name, "user" | "database" | "options" | "replication");
    settings.extend(message.parameters.iter().filter(|(name, _)| own(name)).cloned());
    let mut last: Vec<(String, String)> = Vec::with_capacity(settings.len());
    for (name, value) in settings {
        match last.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some(known) => known.1 = value,
            None => last.push((name, value)),
        }
    }
    Ok(last)
}

const _: () = assert!(NEWEST.major == 3, "negotiation answers major version 3 only");

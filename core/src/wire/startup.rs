//! The first packet of a connection, which is the only one without a type byte.
//!
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>: StartupMessage,
//! SSLRequest, GSSENCRequest, CancelRequest. Who answers them is `client::handshake`.

use super::{
    sqlstate::SqlState,
    take::{Malformed, Take},
};

/// Longest first packet that we read. PostgreSQL refuses more than this too (`MAX_STARTUP_PACKET_LENGTH`).
pub const STARTUP_PACKET_MAX_BYTES: usize = 10_000;
/// Longest cancel key of protocol 3.2.
pub const CANCEL_KEY_MAX_BYTES: usize = 256;
/// Shortest cancel key, and the only length before protocol 3.2.
pub const CANCEL_KEY_MIN_BYTES: usize = 4;
/// The newest protocol that we speak.
pub const NEWEST: ProtocolVersion = ProtocolVersion { major: 3, minor: 2 };

const SSL_REQUEST: ProtocolVersion = ProtocolVersion { major: 1234, minor: 5679 };
const GSSENC_REQUEST: ProtocolVersion = ProtocolVersion { major: 1234, minor: 5680 };
const CANCEL_REQUEST: ProtocolVersion = ProtocolVersion { major: 1234, minor: 5678 };
/// The first byte of a TLS record that carries a handshake. As the first byte of a length it would
/// announce 350 MB, so the two cannot be confused.
const TLS_HANDSHAKE: u8 = 0x16;
/// Options of the protocol itself, as opposed to settings of the session.
const PROTOCOL_OPTION_PREFIX: &str = "_pq_.";

/// A version of the frontend/backend protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the manual's words")]
pub struct ProtocolVersion {
    pub major: u16,
    pub minor: u16,
}

impl ProtocolVersion {
    /// The version of PostgreSQL 7.4 to 17.
    pub const V3_0: Self = Self { major: 3, minor: 0 };
    /// The version of PostgreSQL 18: cancel keys may have up to 256 bytes.
    pub const V3_2: Self = NEWEST;

    /// The bytes of `key` that a client of this version can be given and will send back.
    pub fn cancel_key(self, key: &[u8]) -> &[u8] {
        let most = if self >= Self::V3_2 { CANCEL_KEY_MAX_BYTES } else { CANCEL_KEY_MIN_BYTES };
        &key[..key.len().min(most)]
    }
}

impl std::fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a client may say first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstPacket {
    /// It asks for TLS and waits for one byte.
    SslRequest,
    /// It asks for GSSAPI encryption and waits for one byte.
    GssEncRequest,
    /// It has started TLS without asking (`sslnegotiation=direct`). Nothing is consumed.
    DirectTls,
    /// It wants a query of another connection cancelled, and then nothing more.
    Cancel {
        /// From that connection's BackendKeyData.
        pid: u32,
        /// Likewise; 4 to 256 bytes.
        key: Vec<u8>,
    },
    /// It introduces itself.
    Startup(StartupMessage),
}

/// How a client introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupMessage {
    /// As asked for; the minor number may be above [`NEWEST`].
    pub version: ProtocolVersion,
    /// `user`, `database`, `options`, `replication` and settings, in order, without the `_pq_.` options.
    pub parameters: Vec<(String, String)>,
    /// Names of the `_pq_.` options. We know none of them, so all must be reported back.
    pub unknown_options: Vec<String>,
}

impl StartupMessage {
    /// The version that both sides speak.
    pub fn negotiated(&self) -> ProtocolVersion {
        self.version.min(NEWEST)
    }

    /// Whether the client must be told about a lower version or unknown options.
    pub fn needs_negotiation(&self) -> bool {
        self.version > NEWEST || !self.unknown_options.is_empty()
    }

    /// The last value of the parameter called `name`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Why a first packet is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum StartupError {
    #[error("invalid length of startup packet")]
    Length,
    #[error("unsupported frontend protocol {version}: server supports 3.0 to {NEWEST}")]
    UnsupportedVersion { version: ProtocolVersion },
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    #[error("startup parameter {name:?} is not valid UTF-8")]
    NotUtf8 { name: String },
    #[error("invalid length of cancel request packet")]
    CancelKey,
    #[error(
        "unsupported options in the \"options\" startup parameter: only \"-c name=value\" and \"--name=value\" are understood"
    )]
    Options,
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
    #[error("invalid value for parameter \"replication\": {value:?}")]
    Replication { value: String },
}

impl StartupError {
    /// The code that PostgreSQL uses for this.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::Length | Self::Layout | Self::CancelKey => SqlState::PROTOCOL_VIOLATION,
            Self::UnsupportedVersion { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Self::NotUtf8 { .. } => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            Self::Options => SqlState::SYNTAX_ERROR,
            Self::NoUser => SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            Self::Replication { .. } => SqlState::INVALID_PARAMETER_VALUE,
        }
    }
}

impl From<Malformed> for StartupError {
    fn from(_: Malformed) -> Self {
        Self::Layout
    }
}

/// Reads the first packet at the front of `input` and says how many bytes it took.
///
/// `None` means that more bytes are needed; a packet that can only be refused is refused as soon as
/// its length is known.
pub fn parse(input: &[u8]) -> Result<Option<(FirstPacket, usize)>, StartupError> {
    if input.first() == Some(&TLS_HANDSHAKE) {
        return Ok(Some((FirstPacket::DirectTls, 0)));
    }
    let Some(length) = input.first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    // The length counts itself and is followed by a version at least.
    if !(8..=STARTUP_PACKET_MAX_BYTES + 4).contains(&length) {
        return Err(StartupError::Length);
    }
    let Some(packet) = input.get(4..length) else { return Ok(None) };
    parse_body(packet).map(|packet| Some((packet, length)))
}

fn parse_body(packet: &[u8]) -> Result<FirstPacket, StartupError> {
    let mut take = Take::new(packet, "StartupMessage");
    let version = ProtocolVersion { major: take.u16()?, minor: take.u16()? };
    match version {
        SSL_REQUEST if take.rest().is_empty() => Ok(FirstPacket::SslRequest),
        GSSENC_REQUEST if take.rest().is_empty() => Ok(FirstPacket::GssEncRequest),
        CANCEL_REQUEST => {
            let pid = take.u32().map_err(|_| StartupError::CancelKey)?;
            let key = take.rest();
            if !(CANCEL_KEY_MIN_BYTES..=CANCEL_KEY_MAX_BYTES).contains(&key.len()) {
                return Err(StartupError::CancelKey);
            }
            Ok(FirstPacket::Cancel { pid, key: key.to_vec() })
        }
        ProtocolVersion { major: 3, .. } => parse_parameters(version, take).map(FirstPacket::Startup),
        version => Err(StartupError::UnsupportedVersion { version }),
    }
}

fn parse_parameters(version: ProtocolVersion, mut take: Take<'_>) -> Result<StartupMessage, StartupError> {
    let mut message = StartupMessage { version, parameters: Vec::new(), unknown_options: Vec::new() };
    loop {
        let name = take.cstr()?;
        if name.is_empty() {
            break;
        }
        let lossy = || String::from_utf8_lossy(name).into_owned();
        let value = take.cstr()?;
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return Err(StartupError::NotUtf8 { name: lossy() });
        };
        if name.starts_with(PROTOCOL_OPTION_PREFIX) {
            message.unknown_options.push(name.to_owned());
        } else {
            message.parameters.push((name.to_owned(), value.to_owned()));
        }
    }
    if !take.rest().is_empty() {
        return Err(StartupError::Layout);
    }
    Ok(message)
}

/// The settings in the `options` parameter: `-c name=value`, `-cname=value` and `--name=value`.
///
/// Words end at white space, a backslash takes the next character as it is, and a dash in a name
/// that follows `--` means an underscore, all as in PostgreSQL.
pub fn parse_options(options: &str) -> Result<Vec<(String, String)>, StartupError> {
    let mut settings = Vec::new();
    let mut words = split_words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().ok_or(StartupError::Options)?
        } else if let Some(long) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            long.to_owned()
        } else {
            return Err(StartupError::Options);
        };
        let (name, value) = setting.split_once('=').ok_or(StartupError::Options)?;
        if name.is_empty() {
            return Err(StartupError::Options);
        }
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split_words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            space if space.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests;

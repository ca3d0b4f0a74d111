//! The messages that we write ourselves, each appended to a buffer.
//!
//! Encoding is pgwire's. This is the cold path (login, console, refusals): the relay hands a
//! server's messages on without making new ones.

use bytes::{BufMut, BytesMut};
use pgwire::messages::{
    Message,
    copy::CopyDone,
    data::{DataRow, FieldDescription, NoData, ParameterDescription, RowDescription},
    extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended},
    response::{CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus},
    startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey},
};

use super::{frame, sqlstate::SqlState};

/// The `oid` of `text`, for the console's columns.
pub const TEXT_OID: u32 = 25;
/// The `oid` of `int4`.
pub const INT4_OID: u32 = 23;
/// The `oid` of `int8`.
pub const INT8_OID: u32 = 20;
/// The `oid` of `float8`.
pub const FLOAT8_OID: u32 = 701;
/// The `oid` of `numeric`.
pub const NUMERIC_OID: u32 = 1700;
/// The `oid` of `bool`.
pub const BOOL_OID: u32 = 16;

/// How bad it is. After `Fatal` and `Panic` the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "PostgreSQL's words")]
pub enum Severity {
    Panic,
    Fatal,
    Error,
    Warning,
    Notice,
    Debug,
    Info,
    Log,
}

impl Severity {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "PANIC",
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Log => "LOG",
        }
    }
}

/// Whether a transaction is open, as `ReadyForQuery` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the manual's words")]
pub enum TxStatus {
    Idle,
    InTransaction,
    Failed,
}

impl TxStatus {
    /// From the body of a ReadyForQuery.
    pub fn read(body: &[u8]) -> Option<Self> {
        body.first().copied().and_then(Self::from_byte)
    }

    /// From the byte on the wire.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InTransaction),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }
}

/// An `ErrorResponse`. `detail` and `hint` may be empty.
pub fn error(out: &mut Vec<u8>, severity: Severity, sqlstate: SqlState, message: &str, detail: &str, hint: &str) {
    put(out, &ErrorResponse::new(fields(severity, sqlstate, message, detail, hint)));
}

/// A `NoticeResponse`. `detail` and `hint` may be empty.
pub fn notice(out: &mut Vec<u8>, severity: Severity, sqlstate: SqlState, message: &str, detail: &str, hint: &str) {
    put(out, &NoticeResponse::new(fields(severity, sqlstate, message, detail, hint)));
}

fn fields(severity: Severity, sqlstate: SqlState, message: &str, detail: &str, hint: &str) -> Vec<(u8, String)> {
    let mut fields = vec![
        (b'S', severity.as_str().to_owned()),
        // The same word untranslated; clients since 9.6 look at this one.
        (b'V', severity.as_str().to_owned()),
        (b'C', sqlstate.as_str().to_owned()),
        (b'M', text(message)),
    ];
    for (tag, words) in [(b'D', detail), (b'H', hint)] {
        if !words.is_empty() {
            fields.push((tag, text(words)));
        }
    }
    fields
}

/// A setting that the client is told of.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    put(out, &ParameterStatus::new(text(name), text(value)));
}

/// What a later CancelRequest must show. `key` has 4 bytes before protocol 3.2, else 4 to 256.
pub fn backend_key_data(out: &mut Vec<u8>, pid: u32, key: &[u8]) {
    put(out, &BackendKeyData::new(pid.cast_signed(), SecretKey::Bytes(key.to_vec().into())));
}

/// A NOTIFY that was heard. The payload stays as it came, whatever its encoding.
pub fn notification(out: &mut Vec<u8>, pid: u32, channel: &str, payload: &[u8]) {
    frame::put(out, b'A', |out| {
        out.extend_from_slice(&pid.to_be_bytes());
        frame::put_cstr(out, channel.as_bytes());
        frame::put_cstr(out, payload);
    });
}

/// The end of a request.
pub fn ready_for_query(out: &mut Vec<u8>, status: TxStatus) {
    put(
        out,
        &ReadyForQuery::new(match status {
            TxStatus::Idle => TransactionStatus::Idle,
            TxStatus::InTransaction => TransactionStatus::Transaction,
            TxStatus::Failed => TransactionStatus::Error,
        }),
    );
}

/// Columns as (name, type's oid), all in text format.
pub fn row_description(out: &mut Vec<u8>, columns: &[(&str, u32)]) {
    let fields = columns
        .iter()
        .map(|&(name, oid)| FieldDescription::new(text(name), 0, 0, oid, type_size(oid), -1, 0))
        .collect();
    put(out, &RowDescription::new(fields));
}

fn type_size(oid: u32) -> i16 {
    match oid {
        BOOL_OID => 1,
        INT4_OID => 4,
        INT8_OID | FLOAT8_OID => 8,
        _ => -1,
    }
}

/// One row; `None` is NULL.
pub fn data_row(out: &mut Vec<u8>, values: &[Option<&[u8]>]) {
    let mut data = BytesMut::new();
    for value in values {
        match value {
            Some(bytes) => {
                data.put_i32(i32::try_from(bytes.len()).expect("our own values are small"));
                data.put_slice(bytes);
            }
            None => data.put_i32(-1),
        }
    }
    put(out, &DataRow::new(data, i16::try_from(values.len()).expect("our own tables are narrow")));
}

/// `SELECT 5`, `SHOW` …
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    put(out, &CommandComplete::new(text(tag)));
}

/// The answer to an empty query string.
pub fn empty_query_response(out: &mut Vec<u8>) {
    put(out, &EmptyQueryResponse::new());
}

/// The answer to Parse.
pub fn parse_complete(out: &mut Vec<u8>) {
    put(out, &ParseComplete::new());
}

/// The answer to Bind.
pub fn bind_complete(out: &mut Vec<u8>) {
    put(out, &BindComplete::new());
}

/// The answer to Close.
pub fn close_complete(out: &mut Vec<u8>) {
    put(out, &CloseComplete::new());
}

/// Execute stopped at its row limit.
pub fn portal_suspended(out: &mut Vec<u8>) {
    put(out, &PortalSuspended::new());
}

/// The answer to Describe of a statement that returns no rows.
pub fn no_data(out: &mut Vec<u8>) {
    put(out, &NoData::new());
}

/// The types of a statement's parameters.
pub fn parameter_description(out: &mut Vec<u8>, oids: &[u32]) {
    put(out, &ParameterDescription::new(oids.to_vec()));
}

/// The end of a COPY's data.
pub fn copy_done(out: &mut Vec<u8>) {
    put(out, &CopyDone::new());
}

/// The login succeeded.
pub fn authentication_ok(out: &mut Vec<u8>) {
    put(out, &Authentication::Ok);
}

/// Asks for the password in the clear.
pub fn authentication_cleartext_password(out: &mut Vec<u8>) {
    put(out, &Authentication::CleartextPassword);
}

/// Asks for the MD5 of the password's MD5 and `salt`.
pub fn authentication_md5_password(out: &mut Vec<u8>, salt: [u8; 4]) {
    put(out, &Authentication::MD5Password(salt.to_vec()));
}

/// Offers SASL mechanisms, the best first.
pub fn authentication_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) {
    put(out, &Authentication::SASL(mechanisms.iter().map(|&m| m.to_owned()).collect()));
}

/// The server's next SASL message.
pub fn authentication_sasl_continue(out: &mut Vec<u8>, message: Vec<u8>) {
    put(out, &Authentication::SASLContinue(message.into()));
}

/// The server's last SASL message.
pub fn authentication_sasl_final(out: &mut Vec<u8>, message: Vec<u8>) {
    put(out, &Authentication::SASLFinal(message.into()));
}

/// The protocol version that we speak instead of the one asked for, and the `_pq_.` options that we do not know.
pub fn negotiate_protocol_version(out: &mut Vec<u8>, major: u16, minor: u16, unknown_options: &[String]) {
    let version = i32::from(major) << 16 | i32::from(minor);
    put(out, &NegotiateProtocolVersion::new(version, unknown_options.to_vec()));
}

/// A NUL would end the text early and shift what follows it.
pub(super) fn text(words: &str) -> String {
    words.replace('\0', "\u{fffd}")
}

/// Not [`Message::encode`]: that one refuses lengths which pgwire finds unusual, and some of what we
/// write (settings, passwords) is as long as others made it.
pub(super) fn put<M: Message>(out: &mut Vec<u8>, message: &M) {
    let length = message.message_length();
    let mut bytes = BytesMut::with_capacity(length);
    message.encode_body(&mut bytes).expect("cancel keys, the only part that is checked, are checked when they come in");
    out.extend(M::message_type());
    out.extend_from_slice(&u32::try_from(length).expect("nothing of ours comes near 4 GB").to_be_bytes());
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_severity_code_and_message() {
        let mut out = Vec::new();
        error(&mut out, Severity::Fatal, SqlState::INVALID_PASSWORD, "no", "", "try\0again");
        assert_eq!(out, b"E\0\0\0\x2bSFATAL\0VFATAL\0C28P01\0Mno\0Htry\xef\xbf\xbdagain\0\0");
    }

    #[test]
    fn a_row_tells_null_from_empty() {
        let mut out = Vec::new();
        data_row(&mut out, &[None, Some(b""), Some(b"x")]);
        assert_eq!(out, b"D\0\0\0\x13\0\x03\xff\xff\xff\xff\0\0\0\0\0\0\0\x01x");
    }

    #[test]
    fn a_notification_keeps_sender_and_payload() {
        let mut out = Vec::new();
        notification(&mut out, 258, "a", b"\xff");
        assert_eq!(out, b"A\0\0\0\x0c\0\0\x01\x02a\0\xff\0");
    }

    #[test]
    fn a_long_cancel_key_is_sent_whole() {
        let mut out = Vec::new();
        backend_key_data(&mut out, 7, &[9; 256]);
        assert_eq!(out.len(), 1 + 4 + 4 + 256);
        assert_eq!(out[..9], *b"K\0\0\x01\x08\0\0\0\x07");
    }

    #[test]
    fn a_setting_of_any_length_is_passed_on() {
        let (mut out, value) = (Vec::new(), "x".repeat(1_000_000));
        parameter_status(&mut out, "search_path", &value);
        assert_eq!(out.len(), 1 + 4 + "search_path".len() + 1 + value.len() + 1);
        assert_eq!(out[..5], *b"S\0\x0f\x42\x51");
    }
}

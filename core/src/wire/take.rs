//! Reads the bodies of a peer's messages piece by piece, and never past their end.
//!
//! pgwire's decoders index without looking and so panic on a short body; what a peer sent is read
//! with these instead.

use super::sqlstate::SqlState;

/// The body ended before the message did, or has a part that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message {0} is malformed")]
pub struct Malformed(
    /// Which message.
    pub &'static str,
);

/// What is left of a body.
#[derive(Clone, Copy, Debug)]
pub struct Take<'a> {
    rest: &'a [u8],
    message: &'static str,
}

impl<'a> Take<'a> {
    /// Starts at the front of `body`; `message` is its name in errors.
    pub fn new(body: &'a [u8], message: &'static str) -> Self {
        Self { rest: body, message }
    }

    /// What has not been taken yet.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed(self.message))?;
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    /// Two bytes, unsigned.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        let (value, rest) = self.rest.split_first_chunk().ok_or(Malformed(self.message))?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*value))
    }

    /// Four bytes, unsigned.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let (value, rest) = self.rest.split_first_chunk().ok_or(Malformed(self.message))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*value))
    }

    /// Four bytes, signed.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(self.u32()?.cast_signed())
    }

    /// Bytes up to a NUL, which is taken too.
    pub fn cstr(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.rest.iter().position(|&b| b == 0).ok_or(Malformed(self.message))?;
        let text = self.bytes(end)?;
        self.bytes(1)?;
        Ok(text)
    }

    /// As [`cstr`](Self::cstr), with what is not UTF-8 replaced.
    pub fn text(&mut self) -> Result<String, Malformed> {
        Ok(String::from_utf8_lossy(self.cstr()?).into_owned())
    }
}

/// The functions of a backend that wait for its client, and say so when they find the postmaster gone. The code is that
/// of an orderly shutdown, and the words are other ones in each language.
const ORPHANED: [&[u8]; 2] = [b"secure_read", b"secure_write"];

/// A server's complaint: the parts of an ErrorResponse or NoticeResponse that we act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{severity} {sqlstate}: {message}")]
pub struct ServerMessage {
    /// `ERROR`, `FATAL` …
    pub severity: String,
    /// Its code; `XX000` when the server sent none that makes sense.
    pub sqlstate: SqlState,
    /// The primary message.
    pub message: String,
    /// More of it; often empty.
    pub detail: String,
    /// What to do about it; often empty.
    pub hint: String,
    /// Its postmaster is gone, which it has noticed while it waited for its client.
    pub is_orphaned: bool,
}

impl ServerMessage {
    /// Reads the body of an ErrorResponse or NoticeResponse.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut take = Take::new(body, "ErrorResponse");
        let mut parsed = Self {
            severity: String::new(),
            sqlstate: SqlState::INTERNAL_ERROR,
            message: String::new(),
            detail: String::new(),
            hint: String::new(),
            is_orphaned: false,
        };
        loop {
            match take.u8()? {
                0 => return Ok(parsed),
                b'C' => parsed.sqlstate = SqlState::parse(take.cstr()?).unwrap_or(SqlState::INTERNAL_ERROR),
                // The untranslated word wins over the translated one that comes before it.
                b'S' | b'V' => parsed.severity = take.text()?,
                b'M' => parsed.message = take.text()?,
                b'D' => parsed.detail = take.text()?,
                b'H' => parsed.hint = take.text()?,
                b'R' => parsed.is_orphaned = ORPHANED.contains(&take.cstr()?),
                _ => {
                    take.cstr()?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::reply::{self, Severity};

    #[test]
    fn an_error_reads_back_as_it_was_written() {
        let mut out = Vec::new();
        reply::error(&mut out, Severity::Fatal, SqlState::CANNOT_CONNECT_NOW, "starting", "why", "wait");
        let read = ServerMessage::parse(&out[5..]).unwrap();
        assert_eq!(
            (read.severity.as_str(), read.sqlstate, read.message.as_str(), read.detail.as_str(), read.hint.as_str()),
            ("FATAL", SqlState::CANNOT_CONNECT_NOW, "starting", "why", "wait")
        );
    }

    #[test]
    fn a_body_cut_anywhere_is_malformed_and_nothing_worse() {
        let mut out = Vec::new();
        reply::error(&mut out, Severity::Error, SqlState::SYNTAX_ERROR, "no", "d", "h");
        for end in 5..out.len() {
            assert_eq!(ServerMessage::parse(&out[5..end]), Err(Malformed("ErrorResponse")), "cut at {end}");
        }
    }
}

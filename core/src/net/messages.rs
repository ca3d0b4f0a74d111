//! Whole messages of the cold path (login, control sessions) read from a stream.
//!
//! The relay of requests has its own reader, which never waits for a whole message.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::Stream;

/// Room that the first read is given. A login's messages fit.
const READ_MIN_BYTES: usize = 1024;
/// Room that a read is given at most, once the ones before were filled.
const READ_MAX_BYTES: usize = 64 * 1024;

/// One message with a type byte.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The type byte.
    pub tag: u8,
    /// What follows the length.
    pub body: &'a [u8],
}

/// Bytes read and not yet used.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Start of what is unused.
    start: usize,
    /// Room that the last read was given, if it filled it.
    filled: usize,
}

impl Inbox {
    /// An inbox that already holds `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0, filled: 0 }
    }

    /// What has been read and not yet used.
    pub fn unused(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Marks `count` bytes of [`unused`](Self::unused) as used.
    pub fn advance(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Hands over what has been read and not yet used.
    pub fn into_unused(mut self) -> Vec<u8> {
        if self.unused().is_empty() {
            // Without the room of the reads: whoever gets this may keep it for long.
            return Vec::new();
        }
        self.bytes.drain(..self.start);
        self.bytes
    }

    /// Reads more; the peer's end is [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). May be dropped without loss.
    pub async fn read(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.reserve((self.filled * 2).clamp(READ_MIN_BYTES, READ_MAX_BYTES));
        let room = self.bytes.capacity() - self.bytes.len();
        let read = stream.read_buf(&mut self.bytes).await?;
        self.filled = if read == room { room } else { 0 };
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// The next whole message, of which the body has `most` bytes at most. May be dropped without loss.
    pub async fn message(&mut self, stream: &mut Stream, most: usize) -> io::Result<Message<'_>> {
        let body = loop {
            if let Some(header) = self.unused().first_chunk::<5>() {
                let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
                let body = length.checked_sub(4).filter(|&body| body <= most).ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes is out of bounds"))
                })?;
                if self.unused().len() >= 5 + body {
                    break body;
                }
            }
            self.read(stream).await?;
        };
        let start = self.start;
        // Not `advance`: the message is lent from where it lies; the next read makes room.
        self.start += 5 + body;
        Ok(Message { tag: self.bytes[start], body: &self.bytes[start + 5..start + 5 + body] })
    }
}

/// Writes all of `out` and empties it.
pub async fn send(stream: &mut Stream, out: &mut Vec<u8>) -> io::Result<()> {
    if !out.is_empty() {
        stream.write_all(out).await?;
        stream.flush().await?;
        out.clear();
    }
    Ok(())
}

//! Walks a run of messages by their five-byte headers.

use std::ffi::CStr;

use thiserror::Error;

/// Tag and length word.
pub const HEADER_BYTES: usize = 5;

/// Longest message that PostgreSQL itself takes (`PQ_LARGE_MESSAGE_LIMIT`: MaxAllocSize).
pub const MESSAGE_MAX_BYTES: usize = 0x3fff_ffff;

/// As many bytes of a string are looked at one by one; the search for the end of a longer one takes several at once.
const NAME_BYTES: usize = 12;

/// The header of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message's type.
    pub tag: u8,
    /// The whole message, header included.
    pub total: usize,
}

/// A length word that no message can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid message length {length} in message of type 0x{tag:02x}")]
pub struct BadLength {
    /// The type of the message.
    pub tag: u8,
    /// Its length word.
    pub length: i32,
}

/// Reads the header at the start of `bytes`; `None` while it is not all there.
#[inline]
pub fn header(bytes: &[u8]) -> Result<Option<Header>, BadLength> {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes([a, b, c, d]);
    match usize::try_from(length) {
        Ok(length) if (4..MESSAGE_MAX_BYTES).contains(&length) => Ok(Some(Header { tag, total: length + 1 })),
        _ => Err(BadLength { tag, length }),
    }
}

/// Reads a zero-terminated string at the start of `bytes`; answers it with what follows it.
#[inline]
pub fn cstr(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // Names are short, texts are not.
    match bytes.iter().take(NAME_BYTES).position(|&byte| byte == 0) {
        Some(end) => Some((&bytes[..end], &bytes[end + 1..])),
        None => long_cstr(bytes),
    }
}

#[inline(never)]
fn long_cstr(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = NAME_BYTES + CStr::from_bytes_until_nul(bytes.get(NAME_BYTES..)?).ok()?.count_bytes();
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Appends a message whose body `write` appends; fills the length in afterwards.
pub fn put(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = u32::try_from(out.len() - at).expect("our own messages are short");
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends `text` and the zero that ends it.
pub fn put_cstr(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_when_it_is_all_there() {
        assert_eq!(header(b"Q\0\0\0"), Ok(None));
        assert_eq!(header(b"Q\0\0\0\x04"), Ok(Some(Header { tag: b'Q', total: 5 })));
        assert_eq!(header(b"Q\0\0\0\x03"), Err(BadLength { tag: b'Q', length: 3 }));
        assert_eq!(header(b"Q\xff\xff\xff\xff"), Err(BadLength { tag: b'Q', length: -1 }));
        assert_eq!(header(b"Q\x7f\xff\xff\xff"), Err(BadLength { tag: b'Q', length: i32::MAX }));
    }

    #[test]
    fn a_message_is_written_with_its_length() {
        let mut out = Vec::new();
        put(&mut out, b'C', |out| put_cstr(out, b"SET"));
        assert_eq!(out, b"C\0\0\0\x08SET\0");
        assert_eq!(cstr(&out[5..]), Some((&b"SET"[..], &b""[..])));
    }

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_is() {
        for length in 0..3 * NAME_BYTES {
            let text = "x".repeat(length);
            let (ended, follows) = (format!("{text}\0rest\0"), &b"rest\0"[..]);
            assert_eq!(cstr(ended.as_bytes()), Some((text.as_bytes(), follows)), "{length}");
            assert_eq!(cstr(text.as_bytes()), None, "{length}");
        }
    }
}

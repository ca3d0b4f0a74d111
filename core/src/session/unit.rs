//! Finds where a client's request ends: a Query, or an extended batch up to its Sync or Flush.

use crate::wire::{
    frame::{BadLength, HEADER_BYTES, header},
    frontend::Bind,
};

/// What stands at the front of a client's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Not enough has come to tell.
    Partial {
        /// Bytes of complete messages that have come.
        complete: usize,
    },
    /// A Query or a FunctionCall of that many bytes.
    Simple(usize),
    /// Extended-protocol messages; the last is a Sync.
    Batch(Batch),
    /// Extended-protocol messages; the last is a Flush, more of the batch is to come.
    Flushed(usize),
    /// A Sync and nothing before it.
    Sync(usize),
    /// CopyData, CopyDone or CopyFail after the COPY has failed, or a lone Flush: to be ignored.
    Stray(usize),
    /// The client leaves.
    Terminate,
    /// A message of no type that a client may send.
    Unknown(u8),
}

/// A whole batch, and what its messages' types tell of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// How many bytes it has.
    pub len: usize,
    /// It gives or takes away a name: doing it twice is not doing it once.
    pub defines_names: bool,
    /// Something is described to the client.
    pub describes: bool,
}

/// Finds the first request in `bytes`.
#[inline]
pub fn first_unit(bytes: &[u8]) -> Result<Unit, BadLength> {
    let mut at = 0;
    let mut batch = Batch::default();
    while let Some(next) = header(&bytes[at..])? {
        let end = at + next.total;
        if end > bytes.len()
            && matches!(
                next.tag,
                b'Q' | b'F' | b'P' | b'B' | b'E' | b'D' | b'C' | b'S' | b'H' | b'd' | b'c' | b'f' | b'X'
            )
        {
            break;
        }
        match next.tag {
            b'Q' | b'F' if at == 0 => return Ok(Unit::Simple(end)),
            // A Query inside an open batch ends what came before it, as PostgreSQL does.
            b'Q' | b'F' => return Ok(Unit::Flushed(at)),
            b'B' | b'E' => {}
            b'D' => batch.describes = true,
            b'P' => batch.defines_names |= bytes.get(at + HEADER_BYTES) != Some(&0),
            b'C' => batch.defines_names = true,
            b'S' if at == 0 => return Ok(Unit::Sync(end)),
            b'S' => return Ok(Unit::Batch(Batch { len: end, ..batch })),
            b'H' if at == 0 => return Ok(Unit::Stray(end)),
            b'H' => return Ok(Unit::Flushed(end)),
            b'd' | b'c' | b'f' if at == 0 => return Ok(Unit::Stray(end)),
            b'X' if at == 0 => return Ok(Unit::Terminate),
            b'X' => return Ok(Unit::Flushed(at)),
            b'd' | b'c' | b'f' => {}
            tag => return Ok(Unit::Unknown(tag)),
        }
        at = end;
    }
    Ok(Unit::Partial { complete: at })
}

/// The messages in `bytes`, which are complete: tag, body, and the whole message.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let next = header(rest).ok().flatten().filter(|next| next.total <= rest.len())?;
        let (whole, after) = rest.split_at(next.total);
        rest = after;
        Some((next.tag, &whole[HEADER_BYTES..], whole))
    })
}

/// Whether a batch's client does not care what the result of its statements is like: it has it described, and wants all
/// columns in one format.
pub fn takes_any_result(batch: &[u8]) -> bool {
    let mut describes = false;
    for (tag, body, _) in messages(batch) {
        match tag {
            b'D' => describes = true,
            b'B' if Bind::read(body).is_none_or(|bind| bind.result_formats() > 1) => return false,
            _ => {}
        }
    }
    describes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        crate::wire::frame::put(&mut out, tag, |out| out.extend_from_slice(body));
        out
    }

    #[test]
    fn requests_end_where_the_protocol_says() {
        let query = message(b'Q', b"select 1\0");
        let mut batch = message(b'P', b"\0select 1\0\0\0");
        batch.extend(message(b'B', b"\0\0\0\0\0\0\0\0"));
        assert_eq!(first_unit(&query), Ok(Unit::Simple(query.len())));
        assert_eq!(first_unit(&query[..query.len() - 1]), Ok(Unit::Partial { complete: 0 }));
        assert_eq!(first_unit(&batch), Ok(Unit::Partial { complete: batch.len() }));
        let flushed = [batch.clone(), message(b'H', b"")].concat();
        assert_eq!(first_unit(&flushed), Ok(Unit::Flushed(flushed.len())));
        let synced = [batch.clone(), message(b'S', b""), query.clone()].concat();
        assert_eq!(first_unit(&synced), Ok(Unit::Batch(Batch { len: batch.len() + 5, ..Batch::default() })));
        assert_eq!(first_unit(&message(b'S', b"")), Ok(Unit::Sync(5)));
        assert_eq!(first_unit(&message(b'X', b"")), Ok(Unit::Terminate));
        assert_eq!(first_unit(&message(b'd', b"row")), Ok(Unit::Stray(8)));
        assert_eq!(first_unit(b"zzzzz\0\0\0\0"), Err(BadLength { tag: b'z', length: 0x7a7a_7a7a }));
        assert_eq!(first_unit(&message(b'z', b"")), Ok(Unit::Unknown(b'z')));
        assert_eq!(messages(&synced).map(|(tag, ..)| tag).collect::<Vec<_>>(), b"PBSQ");
    }

    #[test]
    fn a_batch_that_names_statements_is_done_once() {
        let whole = |tag, body: &[u8]| [message(tag, body), message(b'S', b"")].concat();
        let defines = |tag, body: &[u8]| match first_unit(&whole(tag, body)) {
            Ok(Unit::Batch(batch)) => batch.defines_names,
            other => panic!("{other:?} is no batch"),
        };
        assert!(!defines(b'P', b"\0select 1\0\0\0"));
        assert!(defines(b'P', b"a\0select 1\0\0\0"));
        assert!(defines(b'C', b"Sa\0"));
    }

    #[test]
    fn who_has_the_result_described_takes_any() {
        let one_format = message(b'B', b"\0\0\0\0\0\0\0\x01\0\x01");
        let two_formats = message(b'B', b"\0\0\0\0\0\0\0\x02\0\x01\0\0");
        let described = message(b'D', b"P\0");
        let takes = |batch: &[&[u8]]| takes_any_result(&batch.concat());
        assert!(takes(&[&one_format, &described]));
        assert!(!takes(&[&one_format]), "it believes to know");
        assert!(!takes(&[&two_formats, &described]), "it counts on the columns");
        assert!(!takes(&[b"B\0\0\0\x05x", &described]), "what cannot be read asks for anything");
    }
}

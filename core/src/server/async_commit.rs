//! Whether a server's commits may be acknowledged before they are flushed: asynchronous commit.
//! <https://www.postgresql.org/docs/current/wal-async-commit.html>
//!
//! PostgreSQL does not report `synchronous_commit`. What it is by default (the configuration's, the
//! role's or the database's) a server is asked when it is opened; what a session sets is among its
//! [`settings`](super::settings). A doubt counts as a yes.

use crate::wire::take::Take;

/// The setting that decides.
pub const SYNCHRONOUS_COMMIT: &str = "synchronous_commit";

/// Asks for it.
pub(super) const ASK: &str = "SHOW synchronous_commit";

/// What a DataRow that answers [`ASK`] says.
pub(super) fn read(row: &[u8]) -> bool {
    let mut take = Take::new(row, "DataRow");
    let mut value = || {
        take.u16().ok()?;
        let length = usize::try_from(take.i32().ok()?).ok()?;
        std::str::from_utf8(take.bytes(length).ok()?).ok().map(may_be_off)
    };
    value().unwrap_or(true)
}

/// All other values wait for the flush, and some for standbys beyond it. As PostgreSQL has it, booleans
/// in all their spellings are values too.
pub(super) fn may_be_off(value: &str) -> bool {
    let waits = ["on", "local", "remote_write", "remote_apply", "true", "yes", "1"];
    !waits.iter().any(|known| value.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_counts_as_a_yes() {
        for (value, expected) in [
            ("on", false),
            ("local", false),
            ("remote_apply", false),
            ("Yes", false),
            ("off", true),
            ("FALSE", true),
            ("some day", true),
        ] {
            assert_eq!(may_be_off(value), expected, "{value:?}");
        }
        assert!(!read(b"\0\x01\0\0\0\x02on"));
        assert!(read(b"\0\x01\0\0\0\x03off"));
        assert!(read(b"\0\x01\xff\xff\xff\xff"));
        assert!(read(b"\0"));
    }
}

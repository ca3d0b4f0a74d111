//! MD5 passwords: `md5` and the hex of MD5(password ‖ user), proven by MD5(that hex ‖ salt).
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html> under AuthenticationMD5Password.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// Length of a digest in hex.
const HEX_LENGTH: usize = 32;

/// A stored MD5 password: the hex digits after `md5`. It is as good as the password itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Md5Secret(String);

impl std::fmt::Debug for Md5Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("md5…")
    }
}

impl Md5Secret {
    /// Reads `md5` and 32 hex digits; `None` when `text` is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("md5")?;
        let is_hex = digits.len() == HEX_LENGTH && digits.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then(|| Self(digits.to_ascii_lowercase()))
    }

    /// What PostgreSQL would store for `user` with `password`.
    pub fn of(user: &str, password: &str) -> Self {
        Self(hex(&[password.as_bytes(), user.as_bytes()]))
    }

    /// What a client that knows the password answers to `salt`.
    pub fn response(&self, salt: [u8; 4]) -> String {
        format!("md5{}", hex(&[self.0.as_bytes(), &salt]))
    }

    /// Whether `response` answers `salt`. Takes the same time either way.
    pub fn accepts(&self, response: &[u8], salt: [u8; 4]) -> bool {
        self.response(salt).as_bytes().ct_eq(response).into()
    }

    /// Whether `password` is the one of `user`. Takes the same time either way.
    pub fn accepts_password(&self, user: &str, password: &str) -> bool {
        Self::of(user, password).0.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

fn hex(parts: &[&[u8]]) -> String {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_password_and_its_answer_are_postgres_ones() {
        // select 'md5' || md5('secret' || 'alice'), and 'md5' || md5(that hex || 'abcd').
        let stored = Md5Secret::of("alice", "secret");
        assert_eq!(Md5Secret::parse(&format!("md5{}", stored.0)).as_ref(), Some(&stored));
        assert!(stored.accepts(stored.response(*b"abcd").as_bytes(), *b"abcd"));
        assert!(!stored.accepts(stored.response(*b"abce").as_bytes(), *b"abcd"));
        assert!(!stored.accepts(b"", *b"abcd"));
        assert!(stored.accepts_password("alice", "secret"));
        assert!(!stored.accepts_password("bob", "secret"));
    }

    #[test]
    fn passwords_that_merely_look_like_md5_are_passwords() {
        for text in ["md5", "md5xyz", "MD5900150983cd24fb0d6963f7d28e17f72", "md5900150983cd24fb0d6963f7d28e17f7g"] {
            assert_eq!(Md5Secret::parse(text), None, "{text}");
        }
    }
}

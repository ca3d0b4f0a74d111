//! What a server stores to check SCRAM logins.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::auth::keys::{Hash, ITERATIONS_DEFAULT, ScramKeys, salt_for};

/// What a server stores: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Rounds.
    pub iterations: u32,
    /// Random bytes.
    pub salt: Vec<u8>,
    /// Checks the client's key.
    pub stored_key: Hash,
    /// Proves us to the client.
    pub server_key: Hash,
}

impl std::fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramVerifier(…)")
    }
}

impl ScramVerifier {
    /// Reads a stored verifier; `None` when `text` is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (parameters, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let hash = |text: &str| Hash::try_from(STANDARD.decode(text).ok()?).ok();
        Some(Self {
            iterations: iterations.parse().ok().filter(|&n| n > 0)?,
            salt: STANDARD.decode(salt).ok()?,
            stored_key: hash(stored_key)?,
            server_key: hash(server_key)?,
        })
    }

    /// From keys derived with `salt` and `iterations`.
    pub fn from_keys(keys: &ScramKeys, salt: Vec<u8>, iterations: u32) -> Self {
        Self { iterations, salt, stored_key: keys.stored_key, server_key: keys.server_key }
    }

    /// One that looks like a real user's and that nobody can satisfy.
    pub fn unsatisfiable(user: &str) -> Self {
        Self {
            iterations: ITERATIONS_DEFAULT,
            salt: salt_for(user),
            stored_key: rand::random(),
            server_key: rand::random(),
        }
    }
}

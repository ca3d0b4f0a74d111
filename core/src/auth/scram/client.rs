//! Convinces a server: two messages out, two in.
//!
//! The derivation of keys lies between them and is the caller's, because it takes time or a memory.

use base64::{Engine, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq;

use super::{
    SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramError,
    message::{Gs2Flag, ServerFirst, server_final},
    nonce,
};
use crate::auth::keys::{Hash, ScramKeys, hmac};

/// An exchange that we have opened.
#[derive(Debug)]
pub struct ClientExchange {
    mechanism: &'static str,
    nonce: String,
    first_bare: String,
    flag: Gs2Flag,
    end_point: Vec<u8>,
}

/// The server's challenge.
#[derive(Debug)]
pub struct Challenge {
    /// For the derivation of keys.
    pub salt: Vec<u8>,
    /// Likewise; 1 to [`ITERATIONS_MAX`](crate::auth::keys::ITERATIONS_MAX).
    pub iterations: u32,
    exchange: ClientExchange,
    server_first: String,
    nonce: String,
}

/// The signature that only a server that knows our secret can send.
#[derive(Debug)]
pub struct ExpectedSignature(Hash);

impl ClientExchange {
    /// Picks the best of the `offered` mechanisms; `None` when none of them is SCRAM.
    ///
    /// `end_point` is the hash of the server's certificate, when there is TLS and such a hash.
    pub fn start<'a>(offered: impl IntoIterator<Item = &'a str>, end_point: Option<Vec<u8>>) -> Option<Self> {
        let (mut plain, mut plus) = (false, false);
        for mechanism in offered {
            plain |= mechanism == SCRAM_SHA_256;
            plus |= mechanism == SCRAM_SHA_256_PLUS;
        }
        let (mechanism, flag, end_point) = match end_point {
            Some(hash) if plus => (SCRAM_SHA_256_PLUS, Gs2Flag::EndPoint, hash),
            Some(_) if plain => (SCRAM_SHA_256, Gs2Flag::NotOffered, Vec::new()),
            None if plain => (SCRAM_SHA_256, Gs2Flag::NotSupported, Vec::new()),
            _ => return None,
        };
        let nonce = nonce();
        // The server takes the user's name from the startup packet; libpq too leaves it out here.
        let first_bare = format!("n=,r={nonce}");
        Some(Self { mechanism, nonce, first_bare, flag, end_point })
    }

    /// The mechanism to name.
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// Our first message.
    pub fn client_first(&self) -> String {
        format!("{}{}", self.flag.header(), self.first_bare)
    }

    /// Reads the server's challenge.
    pub fn challenged(self, server_first: &[u8]) -> Result<Challenge, ScramError> {
        let parsed = ServerFirst::parse(server_first)?;
        // The server must have added to our half.
        if parsed.nonce.len() <= self.nonce.len() || !parsed.nonce.starts_with(&self.nonce) {
            return Err(ScramError::Nonce);
        }
        let nonce = parsed.nonce.to_owned();
        let server_first = String::from_utf8_lossy(server_first).into_owned();
        Ok(Challenge { salt: parsed.salt, iterations: parsed.iterations, exchange: self, server_first, nonce })
    }

    #[cfg(test)]
    pub(super) fn with_nonce(mut self, nonce: &str, first_bare: &str) -> Self {
        self.nonce = nonce.to_owned();
        self.first_bare = first_bare.to_owned();
        self
    }
}

impl Challenge {
    /// Our answer, and what the server must answer in turn.
    pub fn answer(&self, keys: &ScramKeys) -> (String, ExpectedSignature) {
        let exchange = &self.exchange;
        let binding = STANDARD.encode([exchange.flag.header().as_bytes(), &exchange.end_point].concat());
        let without_proof = format!("c={binding},r={}", self.nonce);
        let signed: [&[u8]; 5] =
            [exchange.first_bare.as_bytes(), b",", self.server_first.as_bytes(), b",", without_proof.as_bytes()];
        let mut proof = hmac(&keys.stored_key, &signed);
        for (byte, key) in proof.iter_mut().zip(keys.client_key) {
            *byte ^= key;
        }
        let expected = ExpectedSignature(hmac(&keys.server_key, &signed));
        (format!("{without_proof},p={}", STANDARD.encode(proof)), expected)
    }
}

impl ExpectedSignature {
    /// Checks the server's last message.
    pub fn verify(&self, message: &[u8]) -> Result<(), ScramError> {
        let signature = server_final(message)?;
        if signature.ct_eq(&self.0).into() { Ok(()) } else { Err(ScramError::ServerSignature) }
    }
}

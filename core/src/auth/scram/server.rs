//! Checks a client: two messages in, two out.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramError, ScramVerifier,
    message::{ClientFinal, ClientFirst, Gs2Flag},
    nonce,
};
use crate::auth::keys::{Hash, ScramKeys, hmac};

/// An exchange in which we have challenged the client.
#[derive(Debug)]
pub struct ServerExchange {
    verifier: ScramVerifier,
    client_first_bare: String,
    server_first: String,
    nonce: String,
    /// What the client must repeat in its `c` attribute.
    binding: Vec<u8>,
}

/// What a successful exchange leaves behind.
#[derive(Debug)]
pub struct Accepted {
    /// Convinces the client that we know its secret too.
    pub server_final: String,
    /// The client's keys, which open every server that stores the same verifier.
    pub keys: ScramKeys,
}

/// The mechanisms to offer, best first. `end_point` is our certificate's hash when the client came over TLS.
pub fn mechanisms(end_point: Option<&[u8]>) -> &'static [&'static str] {
    if end_point.is_some() { &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256] } else { &[SCRAM_SHA_256] }
}

impl ServerExchange {
    /// Answers the client's first message with a challenge, to be sent as [`challenge`](Self::challenge) tells.
    pub fn start(
        mechanism: &str,
        client_first: &[u8],
        verifier: ScramVerifier,
        end_point: Option<&[u8]>,
    ) -> Result<Self, ScramError> {
        let first = ClientFirst::parse(client_first)?;
        let binding = expected_binding(mechanism, first.flag, end_point)?;
        let nonce = format!("{}{}", first.nonce, nonce());
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        Ok(Self { verifier, client_first_bare: first.bare.to_owned(), server_first, nonce, binding })
    }

    /// The server's first message.
    pub fn challenge(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's answer.
    pub fn finish(self, client_final: &[u8]) -> Result<Accepted, ScramError> {
        let last = ClientFinal::parse(client_final)?;
        if !bool::from(last.binding.ct_eq(&self.binding)) {
            return Err(ScramError::ChannelBinding("data"));
        }
        if !bool::from(last.nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(ScramError::Nonce);
        }
        let signed: [&[u8]; 5] = [
            self.client_first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            last.without_proof.as_bytes(),
        ];
        let mut client_key: Hash = hmac(&self.verifier.stored_key, &signed);
        for (byte, veil) in client_key.iter_mut().zip(last.proof) {
            *byte ^= veil;
        }
        if !bool::from(Sha256::digest(client_key).ct_eq(&self.verifier.stored_key)) {
            return Err(ScramError::Proof);
        }
        let server_final = format!("v={}", STANDARD.encode(hmac(&self.verifier.server_key, &signed)));
        Ok(Accepted { server_final, keys: ScramKeys::from_client_key(client_key, self.verifier.server_key) })
    }

    #[cfg(test)]
    pub(super) fn with_challenge(mut self, nonce: &str, server_first: &str) -> Self {
        self.nonce = nonce.to_owned();
        self.server_first = server_first.to_owned();
        self
    }
}

fn expected_binding(mechanism: &str, flag: Gs2Flag, end_point: Option<&[u8]>) -> Result<Vec<u8>, ScramError> {
    let mut binding = flag.header().as_bytes().to_vec();
    match (mechanism, flag, end_point) {
        (SCRAM_SHA_256_PLUS, Gs2Flag::EndPoint, Some(hash)) => binding.extend_from_slice(hash),
        (SCRAM_SHA_256_PLUS, ..) => return Err(ScramError::ChannelBinding("missing")),
        (_, Gs2Flag::EndPoint, _) => return Err(ScramError::ChannelBinding("not part of the mechanism")),
        // Someone between us has hidden our offer from the client.
        (_, Gs2Flag::NotOffered, Some(_)) => return Err(ScramError::ChannelBinding("it was offered")),
        _ => {}
    }
    Ok(binding)
}

//! The four SCRAM messages, read. Every function takes any bytes and never panics.
//!
//! The grammar is RFC 5802 §7: attributes `x=value` joined by commas.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{CHANNEL_BINDING, MESSAGE_MAX_BYTES, ScramError};
use crate::auth::keys::{Hash, ITERATIONS_MAX};

/// What the client says about channel binding in the first letter of its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gs2Flag {
    /// It cannot bind.
    NotSupported,
    /// It could, and believes that we cannot.
    NotOffered,
    /// It binds to our certificate.
    EndPoint,
}

impl Gs2Flag {
    /// The header of the client's first message.
    pub fn header(self) -> &'static str {
        match self {
            Self::NotSupported => "n,,",
            Self::NotOffered => "y,,",
            Self::EndPoint => "p=tls-server-end-point,,",
        }
    }
}

/// `n,,n=,r=<nonce>`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// Whether it binds to the channel.
    pub flag: Gs2Flag,
    /// The message without its header, which becomes part of what is signed.
    pub bare: &'a str,
    /// The client's half of the nonce.
    pub nonce: &'a str,
}

/// `r=<nonce>,s=<salt>,i=<iterations>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFirst<'a> {
    /// Both halves.
    pub nonce: &'a str,
    /// For the derivation of keys.
    pub salt: Vec<u8>,
    /// Likewise; 1 to [`ITERATIONS_MAX`].
    pub iterations: u32,
}

/// `c=<binding>,r=<nonce>,p=<proof>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// The header of the first message and the channel's data, as the client sees them.
    pub binding: Vec<u8>,
    /// Both halves.
    pub nonce: &'a str,
    /// The client's key, veiled by its signature.
    pub proof: Hash,
    /// Everything before the proof, which is what is signed.
    pub without_proof: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// Reads `message`.
    pub fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let message = text(message)?;
        let (flag, rest) = message.split_once(',').ok_or(ScramError::Malformed("header"))?;
        let flag = match flag {
            "n" => Gs2Flag::NotSupported,
            "y" => Gs2Flag::NotOffered,
            _ => match flag.strip_prefix("p=") {
                Some(CHANNEL_BINDING) => Gs2Flag::EndPoint,
                Some(_) => return Err(ScramError::ChannelBinding("unknown type")),
                None => return Err(ScramError::Malformed("channel binding flag")),
            },
        };
        let (identity, bare) = rest.split_once(',').ok_or(ScramError::Malformed("header"))?;
        if !identity.is_empty() {
            return Err(ScramError::AuthorizationIdentity);
        }
        if bare.starts_with("m=") {
            return Err(ScramError::MandatoryExtension);
        }
        let mut parts = bare.split(',');
        // The name is in the startup packet; what stands here is ignored, as PostgreSQL does.
        value(parts.next(), "n=")?;
        let nonce = nonce(parts.next())?;
        Ok(Self { flag, bare, nonce })
    }
}

impl<'a> ServerFirst<'a> {
    /// Reads `message`.
    pub fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let message = text(message)?;
        if message.starts_with("m=") {
            return Err(ScramError::MandatoryExtension);
        }
        let mut parts = message.split(',');
        let nonce = nonce(parts.next())?;
        let salt = base64(value(parts.next(), "s=")?)?;
        let iterations: u32 = value(parts.next(), "i=")?.parse().map_err(|_| ScramError::Malformed("iterations"))?;
        match iterations {
            0 => Err(ScramError::Malformed("iterations")),
            1..=ITERATIONS_MAX => Ok(Self { nonce, salt, iterations }),
            _ => Err(ScramError::Iterations),
        }
    }
}

impl<'a> ClientFinal<'a> {
    /// Reads `message`.
    pub fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let message = text(message)?;
        // The proof is the last attribute; extensions that we skip may stand before it.
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed("proof"))?;
        let proof = Hash::try_from(base64(proof)?).map_err(|_| ScramError::Malformed("proof"))?;
        let mut parts = without_proof.split(',');
        let binding = base64(value(parts.next(), "c=")?)?;
        let nonce = nonce(parts.next())?;
        Ok(Self { binding, nonce, proof, without_proof })
    }
}

/// Reads `v=<signature>`, the server's last message.
pub fn server_final(message: &[u8]) -> Result<Hash, ScramError> {
    let message = text(message)?;
    if message.starts_with("e=") {
        return Err(ScramError::Refused);
    }
    let signature = base64(value(message.split(',').next(), "v=")?)?;
    Hash::try_from(signature).map_err(|_| ScramError::Malformed("signature"))
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_MAX_BYTES {
        return Err(ScramError::Malformed("too long"));
    }
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))
}

fn value<'a>(attribute: Option<&'a str>, name: &'static str) -> Result<&'a str, ScramError> {
    attribute.and_then(|text| text.strip_prefix(name)).ok_or(ScramError::Malformed(name))
}

fn nonce(attribute: Option<&str>) -> Result<&str, ScramError> {
    let nonce = value(attribute, "r=")?;
    let printable = !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic());
    printable.then_some(nonce).ok_or(ScramError::Malformed("nonce"))
}

fn base64(text: &str) -> Result<Vec<u8>, ScramError> {
    STANDARD.decode(text).map_err(|_| ScramError::Malformed("base64"))
}

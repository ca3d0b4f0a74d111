//! From an open stream to ReadyForQuery: introduction, proof, the server's settings.
//!
//! We ask for protocol 3.0, which every server speaks: all that 3.2 adds is longer cancel keys.

use std::sync::Arc;

use super::{ConnectError, ServerLogin, ServerTarget};
use crate::{
    auth::{
        Secret,
        keys::{self, ScramKeys},
        md5::Md5Secret,
        scram::client::{Challenge, ClientExchange, ExpectedSignature},
    },
    net::{
        messages::{Inbox, send},
        stream::Stream,
        tls,
    },
    wire::{
        ask,
        startup::{CANCEL_KEY_MAX_BYTES, CANCEL_KEY_MIN_BYTES, ProtocolVersion},
        take::{ServerMessage, Take},
    },
};

/// Longest message of a login; PostgreSQL's stay far below, but error texts may be long.
const LOGIN_MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// Most settings that we remember from a login. PostgreSQL reports some 15.
const PARAMETERS_MAX: usize = 256;

/// Logs in on a fresh stream.
pub(super) async fn login(mut stream: Stream, target: &ServerTarget) -> Result<ServerLogin, ConnectError> {
    let mut out = Vec::new();
    let introduction = [("user", &*target.user), ("database", &*target.database)]
        .into_iter()
        .chain(target.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    ask::startup(&mut out, ProtocolVersion::V3_0, introduction);
    send(&mut stream, &mut out).await?;
    let mut inbox = Inbox::default();
    Authentication::new(target).run(&mut stream, &mut inbox).await?;
    until_ready(stream, inbox).await
}

/// Where the proof of our identity stands.
#[derive(Debug)]
enum Proof {
    /// Nothing has been asked yet, or nothing more will be.
    None,
    /// We opened a SCRAM exchange.
    Opened(ClientExchange),
    /// We answered the challenge.
    Answered(ExpectedSignature),
    /// The server has shown that it knows our secret.
    Mutual,
}

struct Authentication<'a> {
    target: &'a ServerTarget,
    proof: Proof,
}

impl<'a> Authentication<'a> {
    fn new(target: &'a ServerTarget) -> Self {
        Self { target, proof: Proof::None }
    }

    /// Answers until the server says AuthenticationOk.
    async fn run(mut self, stream: &mut Stream, inbox: &mut Inbox) -> Result<(), ConnectError> {
        loop {
            let message = inbox.message(stream, LOGIN_MESSAGE_MAX_BYTES).await?;
            let mut out = Vec::new();
            match message.tag {
                b'R' => {
                    let mut take = Take::new(message.body, "Authentication");
                    let kind = take.u32()?;
                    let rest = take.rest().to_vec();
                    if self.step(kind, &rest, stream, &mut out).await? {
                        return Ok(());
                    }
                }
                b'E' => return Err(ConnectError::from_server(ServerMessage::parse(message.body)?)),
                // A server older than our version offers its own, which is the one we would fall back to.
                b'v' | b'N' => {}
                _ => return Err(ConnectError::Protocol("unexpected message during authentication")),
            }
            send(stream, &mut out).await?;
        }
    }

    /// One AuthenticationXXX message; whether it was the last.
    /// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
    async fn step(&mut self, kind: u32, rest: &[u8], stream: &Stream, out: &mut Vec<u8>) -> Result<bool, ConnectError> {
        match kind {
            0 if matches!(self.proof, Proof::None | Proof::Mutual) => return Ok(true),
            // It let us in without proving that it knows our secret. That may be an impostor.
            0 => return Err(ConnectError::Protocol("authentication ended before the SCRAM exchange did")),
            3 => self.cleartext(out)?,
            5 => self.md5(rest, out)?,
            10 => self.open_scram(rest, stream, out)?,
            11 => self.answer_challenge(rest, out).await?,
            12 => self.check_signature(rest)?,
            2 | 7 | 9 => return Err(self.no_secret("GSSAPI, Kerberos or SSPI")),
            _ => return Err(ConnectError::Protocol("unknown authentication method")),
        }
        Ok(false)
    }

    fn cleartext(&self, out: &mut Vec<u8>) -> Result<(), ConnectError> {
        let Some(Secret::Plain(password)) = &self.target.secret else {
            return Err(self.no_secret("a password in the clear"));
        };
        ask::password(out, password);
        Ok(())
    }

    fn md5(&self, rest: &[u8], out: &mut Vec<u8>) -> Result<(), ConnectError> {
        let salt: [u8; 4] = rest.try_into().map_err(|_| ConnectError::Protocol("an MD5 salt has four bytes"))?;
        let secret = match &self.target.secret {
            Some(Secret::Plain(password)) => Md5Secret::of(&self.target.user, password),
            Some(Secret::Md5(secret)) => secret.clone(),
            _ => return Err(self.no_secret("an MD5 password")),
        };
        ask::password(out, &secret.response(salt));
        Ok(())
    }

    fn open_scram(&mut self, rest: &[u8], stream: &Stream, out: &mut Vec<u8>) -> Result<(), ConnectError> {
        match &self.target.secret {
            Some(Secret::Plain(_)) => {}
            Some(Secret::Scram(verifier)) if keys::shown(&self.target.user, verifier).is_some() => {}
            Some(Secret::Scram(_)) => return Err(self.no_secret("SCRAM keys, which no client has shown yet")),
            Some(Secret::Md5(_)) | None => return Err(self.no_secret("SCRAM-SHA-256")),
        }
        if !matches!(self.proof, Proof::None) {
            return Err(ConnectError::Protocol("a second SASL exchange"));
        }
        let offered = rest.split(|&byte| byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
        let exchange = ClientExchange::start(offered, tls::server_end_point(stream))
            .ok_or_else(|| self.no_secret("a SASL mechanism other than SCRAM-SHA-256"))?;
        ask::sasl_initial_response(out, exchange.mechanism(), exchange.client_first().as_bytes());
        self.proof = Proof::Opened(exchange);
        Ok(())
    }

    async fn answer_challenge(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Result<(), ConnectError> {
        let Proof::Opened(exchange) = std::mem::replace(&mut self.proof, Proof::None) else {
            return Err(ConnectError::Protocol("a SASL challenge out of turn"));
        };
        let challenge = exchange.challenged(rest).map_err(ConnectError::Scram)?;
        let (answer, expected) = challenge.answer(&*self.keys(&challenge).await?);
        ask::sasl_response(out, answer.as_bytes());
        self.proof = Proof::Answered(expected);
        Ok(())
    }

    async fn keys(&self, challenge: &Challenge) -> Result<Arc<ScramKeys>, ConnectError> {
        match &self.target.secret {
            Some(Secret::Plain(password)) => Ok(keys::derived(password, &challenge.salt, challenge.iterations).await),
            Some(Secret::Scram(verifier)) => {
                if (&challenge.salt, challenge.iterations) != (&verifier.salt, verifier.iterations) {
                    return Err(self.no_secret("SCRAM keys of another salt or number of iterations than ours"));
                }
                keys::shown(&self.target.user, verifier).ok_or_else(|| self.no_secret("SCRAM-SHA-256"))
            }
            _ => Err(self.no_secret("SCRAM-SHA-256")),
        }
    }

    fn check_signature(&mut self, rest: &[u8]) -> Result<(), ConnectError> {
        let Proof::Answered(expected) = std::mem::replace(&mut self.proof, Proof::None) else {
            return Err(ConnectError::Protocol("a SASL outcome out of turn"));
        };
        expected.verify(rest).map_err(ConnectError::Scram)?;
        self.proof = Proof::Mutual;
        Ok(())
    }

    fn no_secret(&self, method: &'static str) -> ConnectError {
        ConnectError::NoSecret { method, user: self.target.user.to_string() }
    }
}

/// Collects what the server says between AuthenticationOk and ReadyForQuery.
async fn until_ready(mut stream: Stream, mut inbox: Inbox) -> Result<ServerLogin, ConnectError> {
    let (mut pid, mut key, mut parameters) = (0, Vec::new(), Vec::new());
    loop {
        let message = inbox.message(&mut stream, LOGIN_MESSAGE_MAX_BYTES).await?;
        match message.tag {
            b'S' if parameters.len() < PARAMETERS_MAX => {
                let mut take = Take::new(message.body, "ParameterStatus");
                parameters.push((take.text()?, take.text()?));
            }
            b'K' => {
                let mut take = Take::new(message.body, "BackendKeyData");
                pid = take.u32()?;
                key = take.rest().to_vec();
                if !(CANCEL_KEY_MIN_BYTES..=CANCEL_KEY_MAX_BYTES).contains(&key.len()) {
                    return Err(ConnectError::Protocol("a cancel key has 4 to 256 bytes"));
                }
            }
            b'Z' => break,
            b'E' => return Err(ConnectError::from_server(ServerMessage::parse(message.body)?)),
            b'N' | b'S' => {}
            _ => return Err(ConnectError::Protocol("unexpected message before ReadyForQuery")),
        }
    }
    let unread = inbox.into_unused();
    Ok(ServerLogin { stream, pid, key, parameters, protocol: ProtocolVersion::V3_0, unread })
}

//! Asks a client for proof, as is demanded of it and by what is stored about it.
//!
//! A user who does not exist is asked as others are and then fails as with a wrong password, so that
//! nobody can find out who exists.

use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::{
    HandshakeContext, HandshakeError, access,
    handshake::Introduction,
    line::{Line, PASSWORD_MAX_BYTES},
};
use crate::{
    auth::{
        Secret, Secrets,
        keys::{self, ITERATIONS_DEFAULT},
        md5::Md5Secret,
        scram::{
            MESSAGE_MAX_BYTES, ScramError, ScramVerifier,
            server::{Accepted, ServerExchange, mechanisms},
        },
    },
    config::Method,
    net::tls::Acceptor,
    wire::{reply, take::Take},
};

/// Room for the mechanism's name around a SCRAM message.
const SASL_INITIAL_MAX_BYTES: usize = MESSAGE_MAX_BYTES + 64;

/// Returns once the client has proven who it is, with what can be shown to servers in its name.
pub(super) async fn authenticate(
    line: &mut Line,
    context: &HandshakeContext<'_>,
    who: &Introduction,
) -> Result<Option<Secret>, HandshakeError> {
    let demand = access::demand(line, context, who)?;
    demand.check_name(line, &who.user).await?;
    let stored = context.stored(line, who).await?;
    let failed = || HandshakeError::Password { user: who.user.clone() };
    let proven =
        match demand.method {
            Method::Trust | Method::Cert | Method::Peer => return known(context, who, stored),
            // They have been turned away.
            Method::Reject => Err(failed()),
            Method::Password => {
                let password = ask_password(line).await?;
                let right = accepts_password(context, stored.as_ref(), &who.user, &password).await;
                if right { Ok(Some(Secret::Plain(password))) } else { Err(failed()) }
            }
            Method::Md5 if !asks_scram(context, stored.as_ref()) => {
                if ask_md5(line, stored.as_ref(), &who.user).await? { Ok(stored) } else { Err(failed()) }
            }
            Method::Md5 | Method::ScramSha256 => match scram(line, context, &who.user, stored.as_ref()).await {
                Ok(()) => Ok(stored),
                Err(HandshakeError::Scram(ScramError::Proof)) => Err(failed()),
                Err(cause) => return Err(cause),
            },
        };
    if proven.is_err() {
        context.forget(who);
    }
    proven
}

/// Somebody of whom no secret is asked must still be known, if anybody says who is.
fn known(
    context: &HandshakeContext<'_>,
    who: &Introduction,
    stored: Option<Secret>,
) -> Result<Option<Secret>, HandshakeError> {
    let anybody = context.secrets.is_none() && context.lookup.is_none();
    if stored.is_none() && !anybody && who.console.is_none() {
        return Err(HandshakeError::NoSuchUser { user: who.user.clone() });
    }
    Ok(stored)
}

/// What `md5` asks for. Users who do not exist, or have no password, look like most of those who do.
fn asks_scram(context: &HandshakeContext<'_>, stored: Option<&Secret>) -> bool {
    match stored.filter(|secret| !secret.is_none()) {
        Some(secret) => matches!(secret, Secret::Scram(_)),
        None => context.lookup.is_some() || context.secrets.is_some_and(Secrets::are_mostly_scram),
    }
}

/// The password in the clear.
async fn ask_password(line: &mut Line) -> Result<Arc<str>, HandshakeError> {
    reply::authentication_cleartext_password(&mut line.out);
    let body = line.proof(PASSWORD_MAX_BYTES).await?;
    let password = Take::new(body, "PasswordMessage").cstr()?;
    std::str::from_utf8(password)
        .map(Arc::from)
        .map_err(|_| HandshakeError::Unexpected("the password is not valid UTF-8"))
}

async fn accepts_password(
    context: &HandshakeContext<'_>,
    stored: Option<&Secret>,
    user: &str,
    password: &Arc<str>,
) -> bool {
    match stored.filter(|secret| !secret.is_none()) {
        // As slow as for most of those who exist.
        None if asks_scram(context, None) => {
            keys::accepts(password, &ScramVerifier::unsatisfiable(user)).await.is_some()
        }
        None => false,
        Some(Secret::Plain(stored)) => stored.as_bytes().ct_eq(password.as_bytes()).into(),
        Some(Secret::Md5(stored)) => stored.accepts_password(user, password),
        Some(Secret::Scram(verifier)) => match keys::accepts(password, verifier).await {
            Some(keys) => {
                keys::keep_shown(user, verifier, keys);
                true
            }
            None => false,
        },
    }
}

async fn ask_md5(line: &mut Line, stored: Option<&Secret>, user: &str) -> Result<bool, HandshakeError> {
    let salt: [u8; 4] = rand::random();
    reply::authentication_md5_password(&mut line.out, salt);
    let body = line.proof(PASSWORD_MAX_BYTES).await?;
    let response = Take::new(body, "PasswordMessage").cstr()?;
    Ok(match stored {
        Some(secret) if secret.is_none() => false,
        Some(Secret::Plain(password)) => Md5Secret::of(user, password).accepts(response, salt),
        Some(Secret::Md5(stored)) => stored.accepts(response, salt),
        _ => false,
    })
}

async fn scram(
    line: &mut Line,
    context: &HandshakeContext<'_>,
    user: &str,
    stored: Option<&Secret>,
) -> Result<(), HandshakeError> {
    let end_point = context.tls.filter(|_| line.stream.is_tls()).and_then(Acceptor::end_point);
    let offered = mechanisms(end_point);
    reply::authentication_sasl(&mut line.out, offered);

    let body = line.proof(SASL_INITIAL_MAX_BYTES).await?;
    let mut take = Take::new(body, "SASLInitialResponse");
    let chosen = take.cstr()?;
    let mechanism = *offered
        .iter()
        .find(|offered| offered.as_bytes() == chosen)
        .ok_or(HandshakeError::Unexpected("client selected an invalid SASL authentication mechanism"))?;
    let length = take.u32()? as usize;
    let client_first = take.bytes(length)?.to_vec();

    let verifier = verifier(stored, user).await;
    let exchange =
        ServerExchange::start(mechanism, &client_first, verifier, end_point).map_err(HandshakeError::Scram)?;
    reply::authentication_sasl_continue(&mut line.out, exchange.challenge().as_bytes().to_vec());

    let client_final = line.proof(MESSAGE_MAX_BYTES).await?;
    let Accepted { server_final, keys } = exchange.finish(client_final).map_err(HandshakeError::Scram)?;
    reply::authentication_sasl_final(&mut line.out, server_final.into_bytes());
    if let Some(Secret::Scram(verifier)) = stored {
        keys::keep_shown(user, verifier, Arc::new(keys));
    }
    Ok(())
}

/// What to check the client against; something that nobody can satisfy when there is nothing.
async fn verifier(stored: Option<&Secret>, user: &str) -> ScramVerifier {
    match stored.filter(|secret| !secret.is_none()) {
        Some(Secret::Scram(verifier)) => ScramVerifier::clone(verifier),
        Some(Secret::Plain(password)) => {
            let salt = keys::salt_for(user);
            let keys = keys::derived(password, &salt, ITERATIONS_DEFAULT).await;
            ScramVerifier::from_keys(&keys, salt, ITERATIONS_DEFAULT)
        }
        _ => ScramVerifier::unsatisfiable(user),
    }
}

//! Asks a client for proof, by `auth_type` and by what is stored about it.
//!
//! A user who does not exist is asked as others are and then fails as with a wrong password, so that
//! nobody can find out who exists.

use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::{
    ConsoleRole, HandshakeContext, HandshakeError,
    line::{Line, PASSWORD_MAX_BYTES},
};
use crate::{
    auth::{
        Secret,
        keys::{self, ITERATIONS_DEFAULT},
        md5::Md5Secret,
        scram::{
            MESSAGE_MAX_BYTES, ScramError, ScramVerifier,
            server::{Accepted, ServerExchange, mechanisms},
        },
    },
    config::AuthType,
    net::tls::Acceptor,
    wire::{reply, take::Take},
};

/// Room for the mechanism's name around a SCRAM message.
const SASL_INITIAL_MAX_BYTES: usize = MESSAGE_MAX_BYTES + 64;

/// Returns once `user` has proven itself, with what can be shown to servers in its name.
pub async fn authenticate(
    line: &mut Line,
    context: &HandshakeContext<'_>,
    user: &str,
    console: Option<ConsoleRole>,
) -> Result<Option<Secret>, HandshakeError> {
    let stored = context.secrets.and_then(|secrets| secrets.of(user));
    let failed = || HandshakeError::Password { user: user.to_owned() };
    match (context.auth_type, stored) {
        (AuthType::Trust, stored) => {
            if stored.is_none() && context.secrets.is_some() && console.is_none() {
                return Err(HandshakeError::NoSuchUser { user: user.to_owned() });
            }
            Ok(stored.cloned())
        }
        (AuthType::Password, stored) => {
            let password = ask_password(line).await?;
            accepts_password(stored, user, &password).await.then_some(Some(Secret::Plain(password))).ok_or_else(failed)
        }
        (AuthType::ScramSha256, stored) | (AuthType::Md5, stored @ Some(Secret::Scram(_))) => {
            match scram(line, context, user, stored).await {
                Ok(()) => Ok(stored.cloned()),
                Err(HandshakeError::Scram(ScramError::Proof)) => Err(failed()),
                Err(cause) => Err(cause),
            }
        }
        (AuthType::Md5, stored) => {
            if ask_md5(line, stored, user).await? {
                Ok(stored.cloned())
            } else {
                Err(failed())
            }
        }
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

async fn accepts_password(stored: Option<&Secret>, user: &str, password: &Arc<str>) -> bool {
    match stored {
        None => false,
        // An empty password is no password.
        Some(Secret::Plain(stored)) => !stored.is_empty() && stored.as_bytes().ct_eq(password.as_bytes()).into(),
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
        Some(Secret::Plain(password)) if !password.is_empty() => Md5Secret::of(user, password).accepts(response, salt),
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
    match stored {
        Some(Secret::Scram(verifier)) => ScramVerifier::clone(verifier),
        Some(Secret::Plain(password)) if !password.is_empty() => {
            let salt = keys::salt_for(user);
            let keys = keys::derived(password, &salt, ITERATIONS_DEFAULT).await;
            ScramVerifier::from_keys(&keys, salt, ITERATIONS_DEFAULT)
        }
        _ => ScramVerifier::unsatisfiable(user),
    }
}

//! What a client has to show: the same for all by `auth_type`, or what the first rule of `auth_hba_file` about it says.
//!
//! Names that are shown by other means than a password, by a certificate or by the kernel, are checked
//! here too; [`auth`](super::auth) asks for passwords.

use std::fmt;

use super::{HandshakeContext, HandshakeError, handshake::Introduction, line::Line};
use crate::{
    config::{Arrival, IdentMap, Method, Origin},
    net::{
        account,
        stream::{PeerAddr, Stream},
        tls,
    },
};

/// What one client has to show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand<'a> {
    pub method: Method,
    /// Whose names stand for which users; without one they are the same.
    map: Option<&'a IdentMap>,
}

/// Who came from where, as far as it knows itself: what an error may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    origin: Origin,
    user: String,
    database: String,
}

impl fmt::Display for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, user, database } = self;
        match origin {
            Origin::Local => write!(f, "host \"[local]\"")?,
            Origin::Tcp { address, .. } => write!(f, "host \"{}\"", address.to_canonical())?,
        }
        let encryption = if matches!(origin, Origin::Tcp { tls: true, .. }) { "SSL" } else { "no" };
        write!(f, ", user \"{user}\", database \"{database}\", {encryption} encryption")
    }
}

/// What this client has to show; an error when it is not to come in at all.
pub(super) fn demand<'a>(
    line: &Line,
    context: &HandshakeContext<'a>,
    who: &Introduction,
) -> Result<Demand<'a>, HandshakeError> {
    if let Some(method) = context.auth_type.method() {
        return Ok(Demand { method, map: None });
    }
    let origin = origin(&line.stream)?;
    let Introduction { user, database, replication, .. } = who;
    let visitor = || Visitor { origin, user: user.clone(), database: database.clone() };
    match context.hba.decide(&Arrival { origin, database, user, replication: *replication }) {
        None => Err(HandshakeError::NoRule(visitor())),
        Some(rule) if rule.method == Method::Reject => Err(HandshakeError::Rejected(visitor())),
        Some(rule) => Ok(Demand { method: rule.method, map: rule.map.as_deref() }),
    }
}

fn origin(stream: &Stream) -> Result<Origin, HandshakeError> {
    match stream.peer() {
        PeerAddr::Unix => Ok(Origin::Local),
        PeerAddr::Tcp(address) => Ok(Origin::Tcp { address: address.ip(), tls: stream.is_tls() }),
        PeerAddr::Gone => Err(HandshakeError::ClientLeft),
    }
}

impl Demand<'_> {
    /// Whether the client shows what is not asked for in words. Right away for passwords.
    pub(super) async fn check_name(&self, line: &Line, user: &str) -> Result<(), HandshakeError> {
        match self.method {
            Method::Cert => {
                let name = tls::client_common_name(&line.stream);
                let name = name.map_err(|tls::NoCertificate| HandshakeError::NoCertificate)?;
                let named = name.is_some_and(|name| self.stands_for(&name, user));
                if named { Ok(()) } else { Err(HandshakeError::Certificate { user: user.to_owned() }) }
            }
            Method::Peer => {
                let failed = || HandshakeError::Peer { user: user.to_owned() };
                let number = line.stream.peer_user().ok_or_else(failed)?;
                let name = line.wait(account::name(number)).await?.ok_or_else(failed)?;
                if self.stands_for(&name, user) { Ok(()) } else { Err(failed()) }
            }
            Method::Trust | Method::Reject | Method::Password | Method::Md5 | Method::ScramSha256 => Ok(()),
        }
    }

    fn stands_for(&self, name: &str, user: &str) -> bool {
        self.map.map_or(name == user, |map| map.allows(name, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_the_client_knows_itself() {
        let visitor = |origin| Visitor { origin, user: "ann".into(), database: "app".into() }.to_string();
        assert_eq!(visitor(Origin::Local), r#"host "[local]", user "ann", database "app", no encryption"#);
        let address = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(
            visitor(Origin::Tcp { address, tls: true }),
            r#"host "10.0.0.1", user "ann", database "app", SSL encryption"#
        );
    }
}

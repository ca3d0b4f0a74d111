//! Who may come in from where, and by which proof: the rules of `auth_hba_file`, the first of which decides.
//!
//! <https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>, in the part that PgBouncer knows. [`tokens`]
//! reads fields, [`rules`] makes rules of them, [`ident`] has the maps of `auth_ident_file`. Asking for
//! the proof is `client::auth`'s.

mod ident;
mod rules;
#[cfg(test)]
mod tests;
mod tokens;

use std::{net::IpAddr, path::PathBuf, sync::Arc};

pub use ident::IdentMap;
pub(super) use ident::maps;
pub(super) use rules::rules;

/// The rules of an `auth_hba_file`, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hba {
    /// Tried one after the other.
    pub rules: Vec<HbaRule>,
    /// Lists of names that the rules refer to by `@file`.
    pub lists: Vec<PathBuf>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct HbaRule {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// How clients come in whom it is about.
    pub way: Way,
    /// What they ask for.
    pub databases: Vec<DatabaseName>,
    /// Who they say they are.
    pub users: Vec<UserName>,
    /// Where they come from, over TCP.
    pub addresses: Addresses,
    /// What they have to show.
    pub method: Method,
    /// For `cert` and `peer`: whose name stands for whom. Without one the names are the same.
    pub map: Option<Arc<IdentMap>>,
}

/// The first word of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `local`: a unix socket.
    Local,
    /// `host`: TCP, with or without TLS.
    Host,
    /// `hostssl`: TCP with TLS.
    HostSsl,
    /// `hostnossl`: TCP without TLS.
    HostNoSsl,
}

/// A database in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseName {
    /// `all`: every database, but no replication.
    All,
    /// `sameuser`: the one called as the user.
    SameUser,
    /// `replication`: connections that speak the replication protocol.
    Replication,
    /// This one.
    Named(String),
}

/// A user in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserName {
    /// `all`.
    All,
    /// This one.
    Named(String),
}

/// Addresses in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// `all`, and what unix sockets have.
    All,
    /// Those that agree with `network` where `mask` has ones.
    V4 {
        /// The address as it was written.
        network: u32,
        /// Which of its bits count.
        mask: u32,
    },
    /// The same with 128 bits.
    V6 {
        /// The address as it was written.
        network: u128,
        /// Which of its bits count.
        mask: u128,
    },
}

/// What a client has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Nothing.
    Trust,
    /// It is turned away whatever it shows.
    Reject,
    /// Its password in the clear.
    Password,
    /// An answer by MD5, or by SCRAM when its secret is a SCRAM one.
    Md5,
    /// A proof by SCRAM.
    ScramSha256,
    /// A certificate in its name.
    Cert,
    /// That its process runs under its name.
    Peer,
}

impl Method {
    /// Whether somebody must have stored something about the user.
    pub fn needs_secret(self) -> bool {
        matches!(self, Self::Password | Self::Md5 | Self::ScramSha256)
    }
}

/// A client at the door.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Where it comes from.
    pub origin: Origin,
    /// What it asks for.
    pub database: &'a str,
    /// Who it says it is.
    pub user: &'a str,
    /// It wants to speak the replication protocol.
    pub replication: bool,
}

/// Where a client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A unix socket.
    Local,
    /// TCP.
    Tcp {
        /// Its address.
        address: IpAddr,
        /// Under TLS.
        tls: bool,
    },
}

impl Hba {
    /// The first rule that is about this client.
    pub fn decide(&self, arrival: &Arrival<'_>) -> Option<&HbaRule> {
        self.rules.iter().find(|rule| rule.is_about(arrival))
    }
}

impl HbaRule {
    fn is_about(&self, arrival: &Arrival<'_>) -> bool {
        self.way.is_of(arrival.origin)
            && self.databases.iter().any(|name| name.means(arrival))
            && self.users.iter().any(|name| name.means(arrival.user))
            && self.addresses.have(arrival.origin)
    }
}

impl Way {
    fn is_of(self, origin: Origin) -> bool {
        match origin {
            Origin::Local => self == Self::Local,
            Origin::Tcp { tls: true, .. } => matches!(self, Self::Host | Self::HostSsl),
            Origin::Tcp { tls: false, .. } => matches!(self, Self::Host | Self::HostNoSsl),
        }
    }
}

impl DatabaseName {
    fn means(&self, arrival: &Arrival<'_>) -> bool {
        match self {
            Self::Replication => arrival.replication,
            _ if arrival.replication => false,
            Self::All => true,
            Self::SameUser => arrival.database == arrival.user,
            Self::Named(name) => name == arrival.database,
        }
    }
}

impl UserName {
    fn means(&self, user: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => name == user,
        }
    }
}

impl Addresses {
    fn have(self, origin: Origin) -> bool {
        let Origin::Tcp { address, .. } = origin else { return true };
        // A socket for both families shows IPv4 clients as IPv6 ones.
        match (self, address.to_canonical()) {
            (Self::All, _) => true,
            (Self::V4 { network, mask }, IpAddr::V4(ip)) => (u32::from(ip) ^ network) & mask == 0,
            (Self::V6 { network, mask }, IpAddr::V6(ip)) => (u128::from(ip) ^ network) & mask == 0,
            _ => false,
        }
    }
}

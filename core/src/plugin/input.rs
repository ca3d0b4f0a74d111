//! What a routing policy may look at.

use std::sync::Arc;

/// Where a session stands in a transaction when a request arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// In none.
    #[default]
    None,
    /// The request begins one.
    Opening,
    /// Inside one.
    Active,
    /// Inside one that failed.
    Failed,
}

/// The transaction that a request belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// Where the session stands.
    pub phase: Phase,
    /// Declared READ ONLY.
    pub read_only: bool,
    /// Declared SERIALIZABLE.
    pub serializable: bool,
    /// Something was written in it already.
    pub wrote: bool,
}

/// A client session as a policy may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionAttributes {
    /// Login name.
    pub user: Arc<str>,
    /// Database asked for.
    pub database: Arc<str>,
    /// `application_name` at start.
    pub application: Arc<str>,
    /// Address without port; empty for a unix socket.
    pub client_address: Arc<str>,
    /// Subject of the client's certificate.
    pub tls_subject: Option<Arc<str>>,
    /// Startup parameters, by name.
    pub parameters: Vec<(String, String)>,
    /// What the policy attached when the session was admitted, for example ("tenant", "acme").
    pub labels: Vec<(String, String)>,
}

/// What one execution adds to its shape. Shown only to policies that asked for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The text as sent, literals included.
    pub raw_text: Option<&'a str>,
    /// Values of a Bind.
    pub parameters: &'a [Parameter<'a>],
}

/// One bound value.
#[derive(Clone, Copy, Debug)]
pub struct Parameter<'a> {
    /// Its type, zero when unknown.
    pub type_oid: u32,
    /// Its value.
    pub value: ParameterValue<'a>,
}

/// The value of a bound parameter.
#[derive(Clone, Copy, Debug)]
pub enum ParameterValue<'a> {
    /// NULL.
    Null,
    /// In text format.
    Text(&'a str),
    /// In binary format.
    Binary(&'a [u8]),
}

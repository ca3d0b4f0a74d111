//! What a routing policy may look at.

use std::{borrow::Cow, sync::Arc};

use super::binary;

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
    /// BEGIN declared it READ ONLY, and not SERIALIZABLE.
    pub read_only: bool,
    /// BEGIN declared it SERIALIZABLE, or what the client has set for all its transactions.
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
    /// What the client has set, at its start or since then, by name; the first of a name counts.
    pub parameters: Vec<(String, String)>,
    /// What the policy attached when the session was admitted, for example ("tenant", "acme").
    pub labels: Vec<(String, String)>,
}

/// What one execution adds to its shape. Shown only to policies that asked for it.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The text as sent, literals included; what is not UTF-8 is replaced.
    pub raw_text: Option<Cow<'a, str>>,
    /// Values of a Bind.
    pub parameters: Vec<Parameter<'a>>,
}

/// One bound value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its type, zero when the client left it to the server.
    pub type_oid: u32,
    /// Its value.
    pub value: ParameterValue<'a>,
}

/// The value of a bound parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterValue<'a> {
    /// NULL.
    Null,
    /// As text: it was sent so, or its type is one that we know.
    Text(Cow<'a, str>),
    /// As it was sent: binary of a type that we do not know, or no UTF-8.
    Opaque(&'a [u8]),
}

impl<'a> Parameter<'a> {
    /// A value as it stands in a Bind; no bytes are NULL.
    pub fn new(type_oid: u32, is_binary: bool, bytes: Option<&'a [u8]>) -> Self {
        let value = match bytes {
            None => ParameterValue::Null,
            Some(bytes) if is_binary => {
                let text = binary::to_text(type_oid, bytes).map(Cow::Owned);
                text.map_or(ParameterValue::Opaque(bytes), ParameterValue::Text)
            }
            Some(bytes) => std::str::from_utf8(bytes)
                .map_or(ParameterValue::Opaque(bytes), |text| ParameterValue::Text(Cow::Borrowed(text))),
        };
        Self { type_oid, value }
    }
}

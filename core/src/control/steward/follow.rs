//! How one node of a cluster follows another: `primary_conninfo` as text.
//!
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>

use crate::control::host::job::Source;

/// What a standby is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Follower {
    /// Its `primary_conninfo`.
    pub(super) conninfo: String,
    /// Its `primary_slot_name`.
    pub(super) slot: Option<String>,
    /// The upstream's port.
    pub(super) port: u16,
}

impl Follower {
    /// The standby `name` follows `source`.
    pub(super) fn new(name: &str, source: &Source, slot: Option<String>) -> Self {
        Self { conninfo: conninfo(name, source), slot, port: source.port }
    }
}

fn conninfo(name: &str, source: &Source) -> String {
    let port = source.port.to_string();
    let mut pairs = vec![("host", source.host.as_str()), ("port", &port), ("user", &source.user)];
    if let Some(password) = &source.password {
        pairs.push(("password", &password.0));
    }
    if let Some(sslmode) = &source.sslmode {
        pairs.push(("sslmode", sslmode));
    }
    pairs.push(("application_name", name));
    let words: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    words.join(" ")
}

/// A value in quotes, which spaces and nothing need.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_read_as_it_is_meant() {
        let source = Source {
            host: "127.0.0.1".into(),
            port: 5433,
            user: "it's \\ me".into(),
            database: "postgres".into(),
            password: None,
            sslmode: Some("prefer".into()),
        };
        let follower = Follower::new("n1", &source, None);
        let expected = "host='127.0.0.1' port='5433' user='it\\'s \\\\ me' sslmode='prefer' application_name='n1'";
        assert_eq!(follower.conninfo, expected);
    }
}

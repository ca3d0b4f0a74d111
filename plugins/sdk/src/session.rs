//! Questions that policies ask of a session.

use crate::{Label, Session};

impl Session {
    /// What the client has set a parameter to, by the name that [`Requirements`](crate::Requirements) has
    /// for it; none if it has not.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        value(&self.parameters, name)
    }

    /// A label that [`admit`](crate::Router::admit) attached.
    pub fn label(&self, name: &str) -> Option<&str> {
        value(&self.labels, name)
    }
}

fn value<'a>(pairs: &'a [Label], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

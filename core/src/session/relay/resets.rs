//! What a client hears of a RESET. At a server a setting goes back to the server's default, for a session to what
//! its client asked for at login: so the server's ParameterStatus is kept from the client, who is told the
//! session's value, and only if it is another than before.

use crate::wire::reply;

/// What servers of every version report and clients can set, as it is spelled there.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC>
const REPORTED: [&str; 6] =
    ["application_name", "client_encoding", "DateStyle", "IntervalStyle", "standard_conforming_strings", "TimeZone"];

/// What a client has been told of settings that it asked for at login, and which of them its request resets.
#[derive(Debug, Default)]
pub struct Resets {
    /// Values that the client was told since, by the name that servers report; others are as it asked for.
    believed: Vec<(&'static str, String)>,
    /// What is reset, and to what.
    settings: Vec<(&'static str, String)>,
    /// The request has not failed.
    pub succeeded: bool,
}

impl Resets {
    /// Nothing is reset.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    /// The next request has not said yet what it resets.
    pub fn begin(&mut self) {
        self.settings.clear();
        self.succeeded = false;
    }

    /// A setting goes back to what the client asked for.
    pub fn expect(&mut self, name: &str, value: &str) {
        if let Some(name) = reported(name) {
            self.settings.push((name, value.to_owned()));
        }
    }

    /// The server reports a setting; true if the client must not hear of it.
    pub fn hear(&mut self, name: &str, value: &str) -> bool {
        let Some(name) = reported(name) else { return false };
        if self.settings.iter().any(|(reset, _)| *reset == name) {
            return true;
        }
        self.believe(name, value);
        false
    }

    fn believe(&mut self, name: &'static str, value: &str) {
        self.believed.retain(|(known, _)| *known != name);
        self.believed.push((name, value.to_owned()));
    }

    /// What the client is told instead, in front of the ReadyForQuery.
    pub fn told(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in std::mem::take(&mut self.settings) {
            let differs = self.believed.iter().any(|(known, believed)| *known == name && *believed != value);
            if self.succeeded && differs {
                reply::parameter_status(&mut out, name, &value);
                self.believe(name, &value);
            }
        }
        out
    }
}

fn reported(name: &str) -> Option<&'static str> {
    REPORTED.into_iter().find(|reported| reported.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hears_what_it_asked_for_and_only_if_it_believes_otherwise() {
        let mut resets = Resets::default();
        assert!(!resets.hear("TimeZone", "UTC"));
        resets.begin();
        resets.expect("timezone", "America/Lima");
        resets.expect("datestyle", "German");
        resets.expect("work_mem", "1MB");
        resets.succeeded = true;

        assert!(resets.hear("DateStyle", "ISO, MDY") && !resets.hear("client_encoding", "UTF8"));

        let mut expected = Vec::new();
        reply::parameter_status(&mut expected, "TimeZone", "America/Lima");
        assert_eq!(resets.told(), expected);
        assert!(resets.is_empty());
    }

    #[test]
    fn a_client_hears_nothing_of_a_reset_that_failed() {
        let mut resets = Resets::default();
        resets.hear("TimeZone", "UTC");
        resets.expect("timezone", "America/Lima");

        assert_eq!(resets.told(), b"");
    }
}

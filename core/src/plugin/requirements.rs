//! What a policy asked to see. Everything else is blank to it, so a plan never depends on something
//! outside its key.

use super::input::SessionAttributes;

/// What `setup` asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Attributes of sessions.
    pub session: SessionNeeds,
    /// Names of session parameters, as the policy writes them, sorted.
    pub session_parameters: Vec<String>,
    /// Attributes of statements, beyond kind, traits and transaction.
    pub statement: StatementNeeds,
}

/// Attributes of sessions that a policy looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the fields of `SessionAttributes`")]
pub struct SessionNeeds {
    pub user: bool,
    pub database: bool,
    pub application: bool,
    pub client_address: bool,
    pub tls_subject: bool,
}

/// Attributes of statements that a policy looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the fields of `StatementFacts` and `Request`")]
pub struct StatementNeeds {
    pub tables: bool,
    pub functions: bool,
    pub hints: bool,
    pub normalized_text: bool,
    pub raw_text: bool,
    pub parameters: bool,
}

impl StatementNeeds {
    /// The policy looks at something that is not in the shape: no plan can be kept by the shape alone.
    pub fn beyond_the_shape(self) -> bool {
        self.raw_text || self.parameters
    }
}

impl Requirements {
    /// The session with everything blanked that the policy did not ask for. Equal classes get equal
    /// plans.
    pub fn class(&self, full: &SessionAttributes) -> SessionAttributes {
        let needs = self.session;
        // PostgreSQL does not tell upper from lower case in their names. The policy reads its own.
        let parameter = |wanted: &String| {
            let (_, value) = full.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            Some((wanted.clone(), value.clone()))
        };
        let parameters = self.session_parameters.iter().filter_map(parameter).collect();
        let given = |needed: bool, value: &std::sync::Arc<str>| {
            if needed { value.clone() } else { std::sync::Arc::default() }
        };
        SessionAttributes {
            user: given(needs.user, &full.user),
            database: given(needs.database, &full.database),
            application: given(needs.application, &full.application),
            client_address: given(needs.client_address, &full.client_address),
            tls_subject: full.tls_subject.clone().filter(|_| needs.tls_subject),
            parameters,
            labels: full.labels.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionAttributes {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        SessionAttributes {
            user: "alice".into(),
            database: "shop".into(),
            application: "web".into(),
            client_address: "::1".into(),
            tls_subject: Some("CN=alice".into()),
            parameters: vec![pair("z", "1"), pair("secret", "2"), pair("a", "3")],
            labels: vec![pair("tenant", "acme")],
        }
    }

    #[test]
    fn what_was_not_asked_for_is_blank() {
        let class = Requirements::default().class(&session());
        let only_labels = SessionAttributes { labels: session().labels, ..SessionAttributes::default() };
        assert_eq!(class, only_labels);
    }

    #[test]
    fn what_was_asked_for_is_shown() {
        let requirements = Requirements {
            session: SessionNeeds { user: true, tls_subject: true, ..SessionNeeds::default() },
            session_parameters: vec!["A".to_owned(), "not-set".to_owned(), "z".to_owned()],
            ..Requirements::default()
        };
        let class = requirements.class(&session());
        assert_eq!((&*class.user, &*class.database), ("alice", ""));
        assert_eq!(class.tls_subject.as_deref(), Some("CN=alice"));
        let parameters: Vec<_> = class.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            parameters,
            ["A=3", "z=1"],
            "by the policy's names and in their order, so that equal ones are equal"
        );
    }
}

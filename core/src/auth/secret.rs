//! What is stored about a user, in the forms that PostgreSQL and PgBouncer's `auth_file` know.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{md5::Md5Secret, scram::ScramVerifier};

/// What we know of a user's password. Printing one tells its kind only.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password.
    Plain(Arc<str>),
    /// Its MD5. Good for MD5 on both sides and for nothing else.
    Md5(Md5Secret),
    /// A SCRAM verifier. Good for checking clients; a server that stores the same one is convinced by the keys that
    /// a client has [shown](super::keys::shown).
    Scram(Arc<ScramVerifier>),
}

impl Secret {
    /// Whether it is the empty password, which is none: nothing that a client shows is right.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Plain(password) if password.is_empty())
    }

    /// Tells the kinds apart as PostgreSQL does: what is not a well-formed verifier is a password.
    pub fn parse(text: &str) -> Self {
        if let Some(md5) = Md5Secret::parse(text) {
            Self::Md5(md5)
        } else if let Some(verifier) = ScramVerifier::parse(text) {
            Self::Scram(Arc::new(verifier))
        } else {
            Self::Plain(text.into())
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(…)",
            Self::Md5(_) => "Md5(…)",
            Self::Scram(_) => "Scram(…)",
        })
    }
}

/// Every user's secret, ready for use. One per generation.
#[derive(Debug, Default)]
pub struct Secrets {
    by_user: HashMap<Box<str>, Secret>,
    /// How many of them are SCRAM verifiers.
    scram: usize,
}

impl Secrets {
    /// The secret of `user`. An empty password counts as none.
    pub fn of(&self, user: &str) -> Option<&Secret> {
        self.by_user.get(user)
    }

    /// Whether most users have a SCRAM verifier.
    pub fn are_mostly_scram(&self) -> bool {
        self.scram * 2 > self.by_user.len()
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.by_user.len()
    }

    /// Whether nobody can log in.
    pub fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }
}

impl<'a, N: AsRef<str> + 'a, S: AsRef<str> + 'a> FromIterator<(&'a N, &'a S)> for Secrets {
    /// From (user, secret as it stands in the `auth_file`).
    fn from_iter<T: IntoIterator<Item = (&'a N, &'a S)>>(pairs: T) -> Self {
        let parsed = pairs.into_iter().map(|(user, secret)| (user.as_ref().into(), Secret::parse(secret.as_ref())));
        let by_user: HashMap<_, _> = parsed.collect();
        let scram = by_user.values().filter(|secret| matches!(secret, Secret::Scram(_))).count();
        Self { by_user, scram }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn the_kind_of_a_secret_shows_in_its_form() {
        assert!(matches!(Secret::parse(VERIFIER), Secret::Scram(_)));
        assert!(matches!(Secret::parse("md5900150983cd24fb0d6963f7d28e17f72"), Secret::Md5(_)));
        for password in ["", "md5", "SCRAM-SHA-256$", "SCRAM-SHA-256$0:AAAA$AAAA:AAAA", "hunter2"] {
            assert!(matches!(Secret::parse(password), Secret::Plain(_)), "{password}");
        }
    }

    #[test]
    fn printing_secrets_tells_nothing_of_them() {
        let secrets: Secrets = [(&"a", &"hunter2"), (&"b", &VERIFIER)].into_iter().collect();
        let printed = format!("{secrets:?}");
        assert!(!printed.contains("hunter2") && !printed.contains("W22Z"), "{printed}");
    }
}

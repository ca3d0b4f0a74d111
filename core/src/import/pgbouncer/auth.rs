//! How clients prove who they are. What Howdah cannot do becomes something that lets in fewer.

use std::collections::BTreeMap;

use super::{
    super::{USERLIST, files::Files, users},
    source::Source,
};
use crate::config::{self, Form, Secret};

/// The authentication part of a configuration.
#[derive(Debug)]
pub(super) struct Auth {
    /// PgBouncer's `auth_type`, lower case.
    pub asked: String,
    /// Ours.
    pub auth_type: String,
    /// What is different about it.
    pub changed: Option<&'static str>,
    /// No `auth_file` is named, and one is needed.
    pub makes_userlist: bool,
    /// What is in the `auth_file`.
    pub secrets: BTreeMap<String, Secret>,
}

impl Auth {
    pub(super) fn of(source: &Source, files: &Files<'_>) -> Self {
        let asked = source.value("auth_type").unwrap_or("md5").to_ascii_lowercase();
        let (auth_type, changed) = nearest(&asked);
        let file = source.find("auth_file").filter(|setting| !setting.value.is_empty());
        let secrets = file.map(|file| users::secrets(files, &files.as_typed(&file.value, &file.spot.file)));
        let looked_up = source.value("auth_user").is_some() && config::form("", "auth_user").is_some();
        let makes_userlist = file.is_none() && !looked_up && needs_users(&asked, &auth_type);
        Self { asked, auth_type, changed, makes_userlist, secrets: secrets.unwrap_or_default() }
    }

    /// Whether the files that only `hba` reads are read.
    pub(super) fn reads_hba(&self) -> bool {
        self.auth_type == "hba"
    }

    /// Why there is an `auth_file` of our own making.
    pub(super) fn why_userlist(&self) -> String {
        format!("clients are known from it alone; nobody can log in before {USERLIST} lists somebody")
    }
}

/// Our `auth_type` for PgBouncer's, and what is different.
fn nearest(asked: &str) -> (String, Option<&'static str>) {
    let known = match config::form("", "auth_type") {
        Some(Form::Word(words)) => words,
        _ => Vec::new(),
    };
    if known.contains(&asked) {
        return (asked.to_owned(), None);
    }
    let (ours, what) = match asked {
        "any" => {
            ("trust", "users must be in `auth_file` when there is one, and only `admin_users` may use the console")
        }
        "cert" => (
            "scram-sha-256",
            "a certificate does not say who a client is: it needs a password as well. `client_tls_sslmode` \
             still asks for certificates",
        ),
        "hba" => ("md5", "every client gives a password (SCRAM when its secret is one), from wherever it comes"),
        "ldap" | "pam" => ("md5", "passwords are checked against `auth_file`"),
        _ => ("md5", "PgBouncer 1.25 has no such type"),
    };
    (ours.to_owned(), Some(what))
}

/// Whether nobody, or everybody, could log in without an `auth_file`. PgBouncer's `trust` lets in who is
/// listed, ours who is listed or, when there is no list, everybody.
fn needs_users(asked: &str, auth_type: &str) -> bool {
    asked != "any" && matches!(auth_type, "trust" | "password" | "plain" | "md5" | "scram-sha-256")
}

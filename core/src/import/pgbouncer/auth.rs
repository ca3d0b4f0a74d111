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
        let (auth_type, changed) = nearest(&asked, source);
        let file = source.find("auth_file").filter(|setting| !setting.value.is_empty());
        let secrets = file.map(|file| users::secrets(files, &files.as_typed(&file.value, &file.spot.file)));
        let looked_up = source.value("auth_user").is_some();
        let makes_userlist = file.is_none() && !looked_up && needs_users(&asked, &auth_type);
        Self { asked, auth_type, changed, makes_userlist, secrets: secrets.unwrap_or_default() }
    }

    /// Why there is an `auth_file` of our own making.
    pub(super) fn why_userlist(&self) -> String {
        format!("clients are known from it alone; nobody can log in before {USERLIST} lists somebody")
    }
}

/// Our `auth_type` for PgBouncer's, and what is different.
fn nearest(asked: &str, source: &Source) -> (String, Option<&'static str>) {
    let known = match config::form("", "auth_type") {
        Some(Form::Word(words)) => words,
        _ => Vec::new(),
    };
    let demands_certificates = matches!(source.value("client_tls_sslmode"), Some("verify-ca" | "verify-full"));
    let (ours, what) = match asked {
        "hba" if source.value("auth_hba_file").is_none() => {
            ("md5", "there is no `auth_hba_file`, so that PgBouncer lets nobody in")
        }
        "cert" if !demands_certificates => (
            "scram-sha-256",
            "`client_tls_sslmode` does not demand certificates, so that PgBouncer does not start; with \"verify-full\" \
             it can be \"cert\" again",
        ),
        known_too if known.contains(&known_too) => return (asked.to_owned(), None),
        "any" => {
            ("trust", "users must be in `auth_file` when there is one, and only `admin_users` may use the console")
        }
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

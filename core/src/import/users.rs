//! Who may log in, and whom the monitor may log in as.
//!
//! Neither program has a user of its own at every node as our monitor needs one, so it has to be found
//! among those that there are.

use std::collections::BTreeMap;

use super::{files::Files, page::Page, value};
use crate::config::{self, Secret};

/// The user that `config` takes when none is set.
const DEFAULT: &str = "postgres";

/// How a SCRAM verifier begins. It proves who a client is, but nobody can log in with it.
/// <https://www.postgresql.org/docs/current/catalog-pg-authid.html>
const SCRAM_VERIFIER: &str = "SCRAM-SHA-256$";

/// How the monitor logs in at the nodes of a cluster.
#[derive(Clone)]
pub(super) struct ControlUser {
    pub name: String,
    /// When it is not in `auth_file`.
    pub password: Option<String>,
    /// When it is known not to be `postgres`.
    pub database: Option<String>,
}

impl ControlUser {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), password: None, database: None }
    }

    /// The best of these secrets: those named, in their order, then `postgres`, then the first; a
    /// password before a hash, which not every node takes.
    pub(super) fn among<'a>(secrets: &'a BTreeMap<String, Secret>, named: &[&'a str]) -> Option<Self> {
        let usable = |name: &&&str| secrets.get(**name).is_some_and(|secret| !secret.starts_with(SCRAM_VERIFIER));
        let named = named.iter().chain(&[DEFAULT]).find(usable).copied();
        let others = || secrets.iter().filter(|(_, secret)| !secret.starts_with(SCRAM_VERIFIER));
        let first = || others().min_by_key(|(_, secret)| secret.starts_with("md5")).map(|(name, _)| name.as_str());
        named.or_else(first).map(Self::new)
    }

    /// Its lines in a cluster's table.
    pub(super) fn write(&self, page: &mut Page) {
        page.line(&format!("control_user = {}", value::string(&self.name)));
        if let Some(password) = &self.password {
            page.line(&format!("control_password = {}", value::string(password)));
        }
        if let Some(database) = &self.database {
            page.line(&format!("control_database = {}", value::string(database)));
        }
    }

    /// What is to be looked at before the first start, said of the clusters that it is the user of.
    pub(super) fn ask_for(&self, page: &mut Page, clusters: &[&str]) {
        page.ask_for(&format!("see that user {:?} can log in at every node of {}", self.name, clusters.join(", ")));
    }
}

/// What is new about clusters, wherever they come from.
pub(super) const WHY: &str = "Howdah asks every node for its role as this user, best a member of pg_monitor; a node \
    that refuses it counts as down";

impl Default for ControlUser {
    fn default() -> Self {
        Self::new(DEFAULT)
    }
}

/// An `auth_file` that has to be made.
#[derive(Clone)]
pub(super) struct Userlist {
    pub contents: String,
    /// It lists nobody, so one that is there already is better.
    pub is_template: bool,
}

impl Userlist {
    /// Lets nobody in until somebody is listed.
    pub(super) fn template() -> Self {
        Self { contents: TEMPLATE.to_owned(), is_template: true }
    }

    /// Lets these users in.
    pub(super) fn of(secrets: &[(String, String)]) -> Self {
        let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let lines = secrets.iter().map(|(user, secret)| format!("{} {}\n", quote(user), quote(secret)));
        Self { contents: lines.collect(), is_template: false }
    }
}

const TEMPLATE: &str = "\
; Made by `howdah import`, because the imported configuration knew its users in another way.
; One user a line; nobody else can log in: \"user\" \"password, md5 hash or SCRAM verifier\"
";

/// The users and secrets of PgBouncer's `auth_file`; none when it cannot be read.
pub(super) fn secrets(files: &Files<'_>, path: &std::path::Path) -> BTreeMap<String, Secret> {
    let contents = files.read(path).unwrap_or_default();
    config::parse_userlist(&path.display().to_string(), &contents).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets_of(all: &[(&str, &str)]) -> BTreeMap<String, Secret> {
        all.iter().map(|(name, secret)| (name.to_string(), Secret::from(*secret))).collect()
    }

    #[test]
    fn a_list_of_users_is_read_as_it_was_written() {
        let list = Userlist::of(&[("a\"b".to_owned(), "p \"; #".to_owned()), ("c".to_owned(), String::new())]);
        let (users, problems) = config::parse_userlist("f", list.contents.as_bytes());
        let users: Vec<_> = users.iter().map(|(user, secret)| (user.as_str(), &**secret)).collect();

        assert_eq!((users, problems), (vec![("a\"b", "p \"; #"), ("c", "")], vec![]));
        assert_eq!(config::parse_userlist("f", TEMPLATE.as_bytes()).0.len(), 0);
    }

    #[test]
    fn the_monitor_takes_a_user_whose_secret_it_can_use() {
        let scram = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";
        /// Secrets by user, users that are named, and what is said.
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], Option<&'a str>);
        let table: [Case<'_>; 7] = [
            (&[], &["ann"], None),
            (&[("ann", "x"), ("bob", "x")], &["bob"], Some("bob")),
            (&[("ann", "x"), ("bob", scram)], &["bob"], Some("ann")),
            (&[("ann", "x"), ("postgres", "x")], &[], Some("postgres")),
            (&[("ann", "md5aa"), ("bob", "x")], &[], Some("bob")),
            (&[("ann", "md5aa")], &[], Some("ann")),
            (&[("ann", scram)], &["ann"], None),
        ];
        for (secrets, named, expected) in table {
            let found = ControlUser::among(&secrets_of(secrets), named).map(|user| user.name);
            assert_eq!(found.as_deref(), expected, "{secrets:?}");
        }
    }
}

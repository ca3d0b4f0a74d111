//! `[pgbouncer]`: the keys at the top of our file, in the order of PgBouncer's.

use super::{
    super::{USERLIST, files::Files, page::Page, value},
    auth::Auth,
    carry::{Carried, carry},
    clusters::Clusters,
    instead::UNKNOWN,
    source::{Setting, Source},
};
use crate::config::{self, Form};

/// What is wrong with an `auth_dbname`.
pub(super) const NOT_LISTED: &str =
    "it is not in [databases], so that PgBouncer looks nobody up; the client's is asked";

/// The name of our file with the process id: PgBouncer's is in use until it is gone.
const PIDFILE: &str = "howdah.pid";

/// Keys that only `auth_type = hba` reads.
const ONLY_HBA: [&str; 2] = ["auth_hba_file", "auth_ident_file"];

/// Limits that PgBouncer counts without regard to nodes.
const PER_NODE: [&str; 3] = ["default_pool_size", "min_pool_size", "reserve_pool_size"];

/// Keys whose value may hold a password, as that of a key that nobody knows may.
const SECRET: [&str; 1] = ["auth_ldap_options"];

pub(super) fn write(page: &mut Page, source: &Source, auth: &Auth, clusters: &Clusters<'_>, files: &Files<'_>) {
    let writer = Writer { source, auth, clusters, files };
    for setting in &source.settings {
        writer.setting(page, setting);
    }
    if source.find("auth_type").is_none() && auth.makes_userlist {
        writer.auth_type(page);
    }
    if auth.makes_userlist {
        page.change("auth_file", &auth.why_userlist());
        page.line(&format!("auth_file = {}", value::string(USERLIST)));
        page.ask_for(&format!("list your users in {USERLIST}"));
    }
    if source.value("so_reuseport").is_none_or(|value| value == "0") {
        page.comment("PgBouncer has one thread. Howdah has one for each core, or as many as `workers` says.");
    }
}

struct Writer<'a> {
    source: &'a Source,
    auth: &'a Auth,
    clusters: &'a Clusters<'a>,
    files: &'a Files<'a>,
}

impl Writer<'_> {
    fn setting(&self, page: &mut Page, setting: &Setting) {
        let (key, value) = (setting.key.as_str(), setting.value.as_str());
        match key {
            "auth_type" => return self.auth_type(page),
            "auth_file" if value.is_empty() => return,
            "unix_socket_dir" if value.starts_with('@') => return abstract_socket(page, value),
            "pidfile" if !value.is_empty() => return self.pidfile(page, setting),
            "auth_dbname" if !value.is_empty() && !self.source.has_database(value) => {
                return page.drop(key, value, NOT_LISTED);
            }
            key if ONLY_HBA.contains(&key) && self.auth.asked != "hba" => {
                return page.drop(key, value, "it was not used, since `auth_type` is not hba");
            }
            _ => {}
        }
        if let Some(size) = self.capped(setting) {
            page.change(key, "more than `default_pool_size` makes no sense");
            page.line(&format!("{key} = {size}"));
            return;
        }
        let is_file = config::form("", key) == Some(Form::File) && !value.is_empty();
        let value = if is_file { self.file(setting) } else { value.to_owned() };
        match carry("", key, &value) {
            Carried::Kept(toml) => {
                if PER_NODE.contains(&key) && self.clusters.any_has_choice() {
                    page.change(key, "it counts for each database, user and node");
                    page.line(&format!("{key} = {toml}"));
                } else {
                    page.keep(key, key, &toml);
                }
            }
            Carried::Changed(toml, what) => {
                page.change(key, &what);
                page.line(&format!("{key} = {toml}"));
            }
            Carried::Unset => {}
            Carried::Dropped(why) if SECRET.contains(&key) || why == UNKNOWN => page.drop(key, "…", &why),
            Carried::Dropped(why) => page.drop(key, &value, &why),
        }
    }

    fn auth_type(&self, page: &mut Page) {
        let ours = value::string(&self.auth.auth_type);
        match self.auth.changed {
            None => page.keep("auth_type", "auth_type", &ours),
            Some(what) => {
                page.change(&format!("auth_type = {}", self.auth.asked), what);
                page.line(&format!("auth_type = {ours}"));
            }
        }
    }

    /// The path from our file on. That it leads nowhere is for the check to say.
    fn file(&self, setting: &Setting) -> String {
        let found = self.files.as_typed(&setting.value, &setting.spot.file);
        self.files.named(&setting.value, &found)
    }

    fn pidfile(&self, page: &mut Page, setting: &Setting) {
        let path = std::path::PathBuf::from(self.file(setting)).with_file_name(PIDFILE);
        page.change("pidfile", "it has another name, since PgBouncer's is in use as long as both run");
        page.line(&format!("pidfile = {}", value::string(&path.display().to_string())));
    }

    /// What `min_pool_size` comes to when it is more than a pool may have; PgBouncer caps it without a word.
    fn capped(&self, setting: &Setting) -> Option<i64> {
        let min = value::integer(&setting.value).ok().filter(|_| setting.key == "min_pool_size")?;
        let size = default_pool_size(self.source);
        (min > size).then_some(size)
    }
}

/// The general size of pools; PgBouncer's and our default is 20.
pub(super) fn default_pool_size(source: &Source) -> i64 {
    source.value("default_pool_size").and_then(|size| value::integer(size).ok()).map_or(20, |size| size.max(1))
}

fn abstract_socket(page: &mut Page, value: &str) {
    let folder = value.trim_start_matches('@');
    page.change("unix_socket_dir", "there are no abstract sockets; this is the folder of the same name");
    let folder = if folder.starts_with('/') { folder } else { "/tmp" };
    page.line(&format!("unix_socket_dir = {}", value::string(folder)));
}

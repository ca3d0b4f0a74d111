//! `[databases]`, `[users]` and `[peers]`: one table for each line.

use super::{
    super::{page::Page, value},
    carry::{Carried, carry},
    clusters::Clusters,
    instead::{UNKNOWN, instead},
    settings::{NOT_LISTED, default_pool_size},
    source::{Listed, Source},
};
use crate::config;

/// Where the reads of databases go: names and `standby`.
pub(super) type Preferences = Vec<(String, String)>;

/// Longest table that is written in one line.
const LINE_MAX_CHARS: usize = 110;

/// Keys that are the cluster's.
const ADDRESS: [&str; 2] = ["host", "port"];

/// Writes `[databases]`; which of them prefer standbys.
pub(super) fn write(page: &mut Page, source: &Source, clusters: &Clusters<'_>) -> Preferences {
    let mut preferences = Preferences::new();
    page.heading(&["databases"]);
    if source.clashes {
        page.drop("databases.howdah", "…", "the console has this name; call the database otherwise, with `dbname`");
    }
    let mut entries = Vec::new();
    for database in &source.databases {
        let mut notes = Notes::default();
        let mut keys = vec![("cluster".to_owned(), value::string(clusters.name_for(database)))];
        for (key, text) in &database.pairs {
            if ADDRESS.contains(&key.as_str()) || database.pair(key) != Some(text.as_str()) {
                continue;
            }
            match (key.as_str(), text.as_str()) {
                ("target_session_attrs", "any" | "read-write" | "primary") => notes.kept.push(key.clone()),
                ("target_session_attrs", "standby" | "read-only") => {
                    preferences.push((database.name.clone(), value::string("standby")));
                    let what = "reads go to standbys, and everything else goes to the primary nevertheless";
                    notes.changed.push((key.clone(), what.to_owned()));
                }
                ("auth_dbname", name) if !source.has_database(name) => {
                    notes.dropped.push((key.clone(), name.to_owned(), NOT_LISTED.to_owned()));
                }
                ("reserve_pool", size) => notes.take("databases", "reserve_pool_size", size, &mut keys),
                (key, text) => notes.take("databases", key, text, &mut keys),
            }
        }
        cap(&mut keys, &mut notes, source);
        entries.push((database, keys, notes));
    }
    let fits = |(database, keys, _): &(&Listed, Vec<_>, _)| line(database, keys).chars().count() <= LINE_MAX_CHARS;
    // Tables of their own have to come after the lines of the table that they are in.
    let (short, long): (Vec<_>, Vec<_>) = entries.into_iter().partition(fits);
    for (database, keys, notes) in short {
        notes.write(page, "databases", &database.name);
        page.line(&line(database, &keys));
    }
    for (database, keys, notes) in long {
        page.heading(&["databases", &database.name]);
        notes.write(page, "databases", &database.name);
        for (key, toml) in &keys {
            page.line(&format!("{} = {toml}", value::key(key)));
        }
    }
    preferences
}

fn line(database: &Listed, keys: &[(String, String)]) -> String {
    format!("{} = {}", value::key(&database.name), value::table(keys))
}

/// A pool keeps no more servers open than it may have; PgBouncer caps it without a word.
fn cap(keys: &mut Vec<(String, String)>, notes: &mut Notes, source: &Source) {
    let find = |keys: &[(String, String)], name: &str| {
        keys.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.parse::<i64>().ok())
    };
    let size = find(keys, "pool_size").unwrap_or_else(|| default_pool_size(source));
    let general = source.value("min_pool_size").and_then(|min| value::integer(min).ok()).unwrap_or(0);
    let min = find(keys, "min_pool_size").unwrap_or(general.min(default_pool_size(source)));
    if min > size {
        keys.retain(|(key, _)| key != "min_pool_size");
        keys.push(("min_pool_size".to_owned(), size.to_string()));
        notes.changed.push(("min_pool_size".to_owned(), "more than the pool's size makes no sense".to_owned()));
    }
}

/// Writes `[users]`.
pub(super) fn write_users(page: &mut Page, source: &Source) {
    if source.users.is_empty() {
        return;
    }
    page.heading(&["users"]);
    for user in &source.users {
        let (mut keys, mut notes) = (Vec::new(), Notes::default());
        for (key, text) in user.pairs.iter().filter(|(key, text)| user.pair(key) == Some(text)) {
            notes.take("users", key, text, &mut keys);
        }
        notes.write(page, "users", &user.name);
        if !keys.is_empty() {
            page.line(&line(user, &keys));
        }
    }
}

/// Writes `[peers]`. Processes that share a port are one here.
pub(super) fn write_peers(page: &mut Page, source: &Source) {
    let is_shared = source.value("so_reuseport").is_some_and(|value| value != "0");
    if !is_shared && !source.peers.is_empty() && source.value("peer_id").is_some() {
        page.heading(&["peers"]);
    }
    for peer in &source.peers {
        let place = peer.pair("host").filter(|_| !is_shared && source.value("peer_id").is_some());
        let (mut keys, mut notes) = (Vec::new(), Notes::default());
        match place {
            Some(_) => peer.pairs.iter().for_each(|(key, text)| notes.take("peers", key, text, &mut keys)),
            None => {
                let text: Vec<_> = peer.pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
                page.drop(&format!("peers.{}", peer.name), &text.join(" "), ONE_PROCESS);
            }
        }
        notes.write(page, "peers", &peer.name);
        if !keys.is_empty() {
            page.line(&line(peer, &keys));
        }
    }
}

const ONE_PROCESS: &str = "one process uses all cores, so there is nobody to pass cancel requests on to";

/// What became of the keys of one line.
#[derive(Default)]
struct Notes {
    kept: Vec<String>,
    changed: Vec<(String, String)>,
    dropped: Vec<(String, String, String)>,
}

impl Notes {
    fn take(&mut self, table: &str, key: &str, text: &str, keys: &mut Vec<(String, String)>) {
        let mut set = |toml: String| {
            keys.retain(|(name, _)| name != key);
            keys.push((key.to_owned(), toml));
        };
        match carry(table, key, text) {
            Carried::Kept(toml) => {
                set(toml);
                self.kept.push(key.to_owned());
            }
            Carried::Changed(toml, what) => {
                set(toml);
                self.changed.push((key.to_owned(), what));
            }
            Carried::Unset => {}
            Carried::Dropped(why) => {
                let shown = if is_public(table, key) { text } else { "…" };
                self.dropped.push((key.to_owned(), shown.to_owned(), why));
            }
        }
    }

    fn write(&self, page: &mut Page, table: &str, name: &str) {
        let name = |key: &str| format!("{table}.{}.{key}", value::key(name));
        for key in &self.kept {
            page.note_kept(&name(key));
        }
        for (key, what) in &self.changed {
            page.change(&name(key), what);
        }
        for (key, text, instead) in &self.dropped {
            page.drop(&name(key), text, instead);
        }
    }
}

/// Whether a value may be repeated: a key that nobody knows may be a misspelt `password`.
fn is_public(table: &str, key: &str) -> bool {
    key != "password" && (config::form(table, key).is_some() || instead(table, key) != UNKNOWN)
}

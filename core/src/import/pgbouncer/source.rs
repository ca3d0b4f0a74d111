//! PgBouncer's file sorted: settings, databases, users, peers. What is set twice counts as set last.

use super::{
    super::{ImportError, Spot, files::Files},
    connstr,
    ini::{self, Entry, syntax},
};

/// The console's name in PgBouncer.
const THEIR_CONSOLE: &str = "pgbouncer";

/// The console's name in Howdah, besides that one.
const OUR_CONSOLE: &str = "howdah";

/// Everything that the file says; there may be passwords in it, so nothing here can be printed.
pub(super) struct Source {
    /// `[pgbouncer]`.
    pub settings: Vec<Setting>,
    /// `[databases]`, at least one.
    pub databases: Vec<Listed>,
    /// A database has our console's name, and is not among the others.
    pub clashes: bool,
    /// `[users]`.
    pub users: Vec<Listed>,
    /// `[peers]`.
    pub peers: Vec<Listed>,
}

/// One key and its value.
pub(super) struct Setting {
    pub key: String,
    pub value: String,
    pub spot: Spot,
}

/// One database, user or peer and what is said about it.
pub(super) struct Listed {
    pub name: String,
    pub pairs: Vec<(String, String)>,
}

impl Listed {
    /// The value of one of its keys; of several, the last.
    pub(super) fn pair(&self, key: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl Source {
    pub(super) fn read(files: &Files<'_>) -> Result<Self, ImportError> {
        let mut source =
            Self { settings: Vec::new(), databases: Vec::new(), clashes: false, users: Vec::new(), peers: Vec::new() };
        for entry in ini::read(files)? {
            match entry.section.as_str() {
                "pgbouncer" => source.settings.push(setting(entry)),
                "databases" if entry.key == THEIR_CONSOLE => {
                    return Err(syntax(&entry.spot, "the console has this database's name"));
                }
                "databases" if entry.key == OUR_CONSOLE => source.clashes = true,
                "databases" => source.databases.push(listed(entry)?),
                "users" => source.users.push(listed(entry)?),
                "peers" => source.peers.push(listed(entry)?),
                other => return Err(syntax(&entry.spot, &format!("PgBouncer has no section [{other}]"))),
            }
        }
        keep_last(&mut source.settings, |setting| &setting.key);
        keep_last(&mut source.databases, |database| &database.name);
        keep_last(&mut source.users, |user| &user.name);
        if source.databases.is_empty() {
            let what = "there is no database in [databases], or only `howdah`, which is the console's name";
            return Err(ImportError::Empty { file: files.file.to_owned(), what });
        }
        Ok(source)
    }

    /// Whether clients can name this database.
    pub(super) fn has_database(&self, name: &str) -> bool {
        self.databases.iter().any(|database| database.name == name || database.name == "*")
    }

    /// A setting of `[pgbouncer]`, when it is there.
    pub(super) fn find(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// Its value; `None` when it is not there or empty.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.find(key).map(|setting| setting.value.as_str()).filter(|value| !value.is_empty())
    }
}

fn setting(entry: Entry) -> Setting {
    Setting { key: entry.key, value: entry.value, spot: entry.spot }
}

fn listed(entry: Entry) -> Result<Listed, ImportError> {
    let pairs = connstr::pairs(&entry.value).map_err(|what| syntax(&entry.spot, what))?;
    Ok(Listed { name: entry.key, pairs })
}

/// Drops all items but the last of each name.
fn keep_last<T>(items: &mut Vec<T>, name: impl Fn(&T) -> &String) {
    let mut seen = std::collections::BTreeSet::new();
    let mut keep: Vec<bool> = items.iter().rev().map(|item| seen.insert(name(item).clone())).collect();
    keep.reverse();
    let mut keep = keep.into_iter();
    items.retain(|_| keep.next().unwrap_or(true));
}

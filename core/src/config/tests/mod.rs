//! The whole way, from texts to a configuration or to the list of what is wrong.

mod access;
mod executors;
mod problems;
mod tables;
mod values;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{Config, ConfigErrors, Sources, load::load_with};

/// What the direction promises to work as it stands.
const MINIMAL: &str = r#"
listen_addr = "127.0.0.1"
listen_port = 6432
auth_type = "trust"
admin_users = ["postgres"]
pool_mode = "transaction"
default_pool_size = 20
workers = 1                       # 0 = one per core (the default)

[clusters.main]
nodes = [
  { name = "n0", host = "127.0.0.1", port = 5432 },
  { name = "n1", host = "127.0.0.1", port = 5433 },
]
control_user = "postgres"         # how the monitor and the actions log in

[databases]
"*" = { cluster = "main" }

[plugins.router]
component = "builtin:read-write-split"    # or a path to a .wasm
settings = { }
"#;

/// The shortest tables that a file needs.
const TABLES: &str = r#"[clusters.main]
nodes = [{ name = "n0", host = "127.0.0.1" }]
[databases]
"*" = {}
"#;

/// Sources and the files that they may read.
#[derive(Default)]
struct Given {
    sources: Sources,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// A file `howdah.toml` with this text.
fn given(text: &str) -> Given {
    Given { sources: Sources { file: Some("howdah.toml".into()), ..Sources::default() }, ..Given::default() }
        .file("howdah.toml", text)
}

impl Given {
    fn file(mut self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), contents.as_ref().to_vec());
        self
    }

    fn variable(mut self, name: &str, text: &str) -> Self {
        self.sources.environment.push((name.into(), text.into()));
        self
    }

    fn flag(mut self, text: &str) -> Self {
        self.sources.flags.push(Sources::flag(text).unwrap());
        self
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        let read = |path: &Path| self.files.get(path).cloned().ok_or(io::ErrorKind::NotFound.into());
        load_with(&self.sources, &read)
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The lines that tell what is wrong.
    #[track_caller]
    fn problems(&self) -> Vec<String> {
        match self.load() {
            Ok(_) => panic!("nothing is wrong"),
            Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
        }
    }
}

/// `keys`, and what else makes a whole configuration.
fn with_tables(keys: &str) -> String {
    let auth = if keys.contains("auth_type") { "" } else { "auth_type = \"trust\"\n" };
    format!("{keys}\n{auth}{TABLES}")
}

/// A file of `keys` and good tables has exactly these problems; `howdah.toml:` goes without saying.
#[track_caller]
fn refused(keys: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|line| format!("howdah.toml:{line}")).collect();
    assert_eq!(given(&with_tables(keys)).problems(), expected, "{keys}");
}

/// So has a file of these tables, whose line 1 is `auth_type`.
#[track_caller]
fn tables_refused(tables: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|line| format!("howdah.toml:{line}")).collect();
    assert_eq!(given(&format!("auth_type = \"trust\"\n{tables}")).problems(), expected, "{tables}");
}

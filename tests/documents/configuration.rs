//! Loads configurations that documents show, as `howdah check` does.
//!
//! A configuration may name files that only its reader will make: certificates, a list of users, a
//! component. What is not there is stood in for by something of the right kind.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use howdah::config::{Config, Sources};
use toml::{Table, Value};

/// The first line of a block that shows only a part of a configuration.
const FRAGMENT: &str = "# fragment";

/// Whether a block is to be laid over the minimal configuration.
pub fn is_fragment(text: &str) -> bool {
    text.trim_start().starts_with(FRAGMENT)
}

/// A fragment together with the configuration that it is a part of; the fragment's keys win.
pub fn laid_over(whole: &str, fragment: &str) -> Result<String, String> {
    let read = |text: &str| text.parse::<Table>().map_err(|error| error.to_string());
    let mut whole = read(whole)?;
    lay_over(&mut whole, read(fragment)?);
    toml::to_string(&whole).map_err(|error| error.to_string())
}

fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => _ = below.insert(key, value),
        }
    }
}

/// Loads a configuration; the files that it names are taken from `beside`.
pub fn load(text: &str, beside: &Path) -> Result<Config, String> {
    let folder = Folder::new();
    // What is no TOML is refused below, with a better message.
    if let Ok(table) = text.parse::<Table>() {
        folder.fetch(&table, beside);
    }
    let file = folder.0.join("howdah.toml");
    fs::write(&file, text).expect("a temporary folder can be written to");
    // What the environment says is not what the document says.
    let sources = Sources { file: Some(file), ..Sources::default() };
    howdah::config::load(&sources).map_err(|errors| errors.to_string())
}

/// A folder that goes with its owner.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("howdah-documents-{}-{}", std::process::id(), MADE.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    /// Brings here, or makes up, the files that a configuration names.
    fn fetch(&self, table: &Table, beside: &Path) {
        for (key, value) in table {
            match value {
                Value::Table(table) => self.fetch(table, beside),
                Value::String(file) if names_a_file(key, file) => {
                    let contents = fs::read(beside.join(file)).unwrap_or_else(|_| stand_in(key).into());
                    let path = self.0.join(file);
                    let folder = path.parent().expect("it is in our folder");
                    fs::create_dir_all(folder).expect("a temporary folder can be written to");
                    fs::write(path, contents).expect("a temporary folder can be written to");
                }
                _ => {}
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn names_a_file(key: &str, value: &str) -> bool {
    let is_file = key.ends_with("_file") || (key == "component" && !value.starts_with("builtin:"));
    is_file && Path::new(value).is_relative() && !value.contains("..")
}

/// Something of the kind that a key asks for.
fn stand_in(key: &str) -> String {
    let pem = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
    match key {
        "auth_file" => "\"someone\" \"something\"\n".into(),
        "auth_hba_file" => "local all all trust\n".into(),
        "auth_ident_file" => String::new(),
        _ if key.ends_with("_key_file") => pem("PRIVATE KEY"),
        _ if key.ends_with("_file") => pem("CERTIFICATE"),
        _ => String::new(),
    }
}

#[test]
fn a_fragment_adds_and_replaces() {
    let whole = "a = 1\n[t]\nx = 1\ny = 2\n[t.u]\nz = 3\n";
    let over = laid_over(whole, "# fragment\nb = 2\n[t]\ny = 4\n").unwrap().parse::<Table>().unwrap();
    let expected = "a = 1\nb = 2\n[t]\nx = 1\ny = 4\n[t.u]\nz = 3\n".parse::<Table>().unwrap();
    assert_eq!(over, expected);
}

//! The one list of keys: name, kind, default, meaning, whether it can change under way.
//!
//! Reading, defaults, `SHOW CONFIG`, the reference and the suggestions for unknown keys all come from
//! here, therefore they cannot disagree. [`proxy`] has the keys at the top of the file, [`sections`]
//! those of its tables, [`executor`] those that clusters and their nodes share, [`healing`] those of failover, [`elsewhere`] names that PgBouncer knows and we do not.

pub(super) mod elsewhere;
pub(super) mod executor;
pub(super) mod healing;
pub(super) mod proxy;
pub(super) mod sections;

use std::time::Duration;

use super::types::Config;

/// One key.
pub(super) struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As one would write it, without quotes. `None`: not set.
    pub default: Option<&'static str>,
    /// For the reference, when there is no default that could stand there.
    pub example: &'static str,
    /// What it means, in sentences.
    pub doc: &'static str,
    /// Whether its table makes no sense without it.
    pub needed: bool,
    /// Whether a change waits for the next start.
    pub restart: bool,
    /// Its value as `SHOW CONFIG` has it; keys at the top of the file have one.
    pub show: Option<fn(&Config) -> String>,
}

impl Key {
    pub(super) const fn new(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: Some(default), example: default, doc, needed: false, restart: false, show: None }
    }

    /// A key without default.
    pub(super) const fn unset(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: None, example, doc, needed: false, restart: false, show: None }
    }

    /// A key that must be set.
    pub(super) const fn needed(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: None, example, doc, needed: true, restart: false, show: None }
    }

    pub(super) const fn shown(mut self, show: fn(&Config) -> String) -> Self {
        self.show = Some(show);
        self
    }

    pub(super) const fn restart(mut self) -> Self {
        self.restart = true;
        self
    }
}

/// What may stand in one table.
pub(super) struct Table {
    /// The table at the top of the file that it belongs to; empty for the top itself.
    pub name: &'static str,
    pub groups: &'static [Group],
    /// Names of tables inside.
    pub tables: &'static [&'static str],
}

impl Table {
    pub(super) const fn new(name: &'static str, groups: &'static [Group]) -> Self {
        Self { name, groups, tables: &[] }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.groups.iter().flat_map(|group| group.keys)
    }

    pub(super) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// Keys of one table that belong together.
pub(super) struct Group {
    pub title: &'static str,
    pub keys: &'static [Key],
}

/// What a key's value may be.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Flag,
    Whole {
        min: u64,
        max: u64,
    },
    Time {
        bare: Bare,
        min: Duration,
        max: Duration,
    },
    /// Any text, also an empty one.
    Text,
    /// Text that is not empty.
    Word,
    /// A word that needs no quoting in log lines, metrics and commands.
    Name,
    Secret,
    List,
    /// One of some words.
    Choice(fn() -> Vec<&'static str>),
    /// A path; relative ones start at the configuration file's directory. Empty: not set.
    File,
    /// Where a component comes from.
    Component,
    Sha256,
    Address,
    /// An octal file mode.
    Mode,
    Nodes,
    Labels,
    Settings,
}

/// What a duration without a unit counts. PgBouncer's keys differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    Seconds,
    Milliseconds,
}

impl Bare {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
        }
    }
}

/// A whole number.
pub(super) const fn whole(min: u64, max: u64) -> Kind {
    Kind::Whole { min, max }
}

/// Any duration; bare numbers are seconds.
pub(super) const TIME: Kind = time(Duration::ZERO, LONGEST);

/// The longest duration: what fits PgBouncer's 32 bits of seconds.
pub(super) const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// A duration in a range; bare numbers are seconds.
pub(super) const fn time(min: Duration, max: Duration) -> Kind {
    Kind::Time { bare: Bare::Seconds, min, max }
}

impl Kind {
    /// Whether the value is a table or a list of tables.
    pub(super) fn is_compound(&self) -> bool {
        matches!(self, Self::Nodes | Self::Labels | Self::Settings)
    }

    /// What is accepted, for error messages and the reference.
    pub(super) fn expected(&self) -> String {
        let text = match self {
            Self::Flag => "true or false",
            Self::Whole { min, max } => return format!("a whole number from {min} to {max}"),
            Self::Time { bare, min, max } => return expected_time(*bare, *min, *max),
            Self::Text | Self::Secret => "text",
            Self::Word => "text that is not empty",
            Self::Name => "a name of at most 63 letters, digits, `_`, `-` and `.`",
            Self::List => "a list of texts",
            Self::Choice(words) => return expected_words(&words()),
            Self::File => "a path",
            Self::Component => "\"builtin:NAME\" or the path of a component",
            Self::Sha256 => "64 hexadecimal digits",
            Self::Address => "an address and a port such as \"127.0.0.1:9127\"",
            Self::Mode => "an octal file mode in quotes such as \"0777\"",
            Self::Nodes => "a list of tables such as { name = \"n0\", host = \"127.0.0.1\" }",
            Self::Labels => "a table of texts",
            Self::Settings => "a table",
        };
        text.to_owned()
    }
}

fn expected_time(bare: Bare, min: Duration, max: Duration) -> String {
    let range = range(min, max);
    format!("a duration{range}: {}, or a text such as \"200ms\", \"30s\", \"5min\" or \"1h\"", bare.word())
}

/// In words that follow "a duration" or a unit; empty when everything is accepted.
pub(super) fn range(min: Duration, max: Duration) -> String {
    match (min, max) {
        (Duration::ZERO, LONGEST) => String::new(),
        (Duration::ZERO, max) => format!(" up to {max:?}"),
        (min, LONGEST) => format!(" from {min:?}"),
        (min, max) => format!(" from {min:?} to {max:?}"),
    }
}

fn expected_words(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The key at a path, with the names of clusters, databases and so on anywhere.
pub(super) fn find(path: &[&str]) -> Option<&'static Key> {
    let (table, name) = match path {
        [name] => (&proxy::TOP, name),
        ["clusters", _, name] => (&sections::CLUSTER, name),
        ["databases", _, name] => (&sections::DATABASE, name),
        ["users", _, name] => (&sections::USER, name),
        ["peers", _, name] => (&sections::PEER, name),
        ["plugins", kind, name] => (sections::plugin(kind), name),
        _ => return None,
    };
    table.find(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TABLES: [&Table; 8] = [
        &proxy::TOP,
        &sections::CLUSTER,
        &sections::NODE,
        &sections::DATABASE,
        &sections::USER,
        &sections::PEER,
        &sections::PLUGIN,
        &sections::CONTROL_PLUGIN,
    ];

    #[test]
    fn a_key_is_listed_once() {
        for table in TABLES {
            let names: BTreeSet<_> = table.keys().map(|key| key.name).collect();
            assert_eq!(names.len(), table.keys().count(), "{}", table.name);
        }
    }

    #[test]
    fn a_key_is_described_by_sentences() {
        for key in TABLES.iter().flat_map(|table| table.keys()) {
            assert!(key.doc.ends_with('.') && !key.doc.contains("  "), "{}: {}", key.name, key.doc);
        }
    }

    #[test]
    fn a_key_that_we_have_is_not_advised_against() {
        for table in TABLES {
            for key in table.keys() {
                assert_eq!(elsewhere::advice(table.name, key.name), None, "{}", key.name);
            }
        }
    }

    #[test]
    fn a_key_is_found_by_its_path() {
        let name = |path: &[&str]| find(path).map(|key| key.name);

        assert_eq!(name(&["listen_port"]), Some("listen_port"));
        assert_eq!(name(&["databases", "listen_port"]), None);
        assert_eq!(name(&["databases", "app", "pool_size"]), Some("pool_size"));
        assert_eq!(name(&["plugins", "router", "on_failure"]), Some("on_failure"));
        assert_eq!(name(&["plugins", "failover", "on_failure"]), None);
        assert_eq!(name(&["plugins", "router", "settings", "pool_size"]), None);
    }
}

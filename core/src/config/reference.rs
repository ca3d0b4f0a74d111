//! The annotated list of all keys, a configuration file by itself: `howdah reference` prints it.

use super::keys::{Group, Key, Kind, proxy, range, sections};

/// Longest line of a comment.
const WIDTH: usize = 100;

const INTRODUCTION: &str = "All keys of Howdah's configuration. A key that is commented out shows its default, or an \
    example when it says \"not set\". Durations are numbers of seconds or texts such as \"200ms\", \"30s\", \"5min\", \
    \"1h\", \"1d\"; lists may also be texts with commas; relative paths start at this file's directory.";

const LAYERS: &str = "Every key can also be set in the environment (HOWDAH_LISTEN_PORT=6432; two underscores go one \
    table down: HOWDAH_CLUSTERS__MAIN__CONTROL_USER=monitor) and by a flag (--set listen_port=6432). Flags win over \
    the environment, the environment wins over this file.";

/// Every key with its meaning, its unit and range, and its default, commented out. What is not commented
/// out is what a configuration cannot do without.
pub fn reference() -> String {
    let mut page = Page::default();
    page.comment(INTRODUCTION);
    page.line("#");
    page.comment(LAYERS);
    for group in proxy::TOP.groups {
        page.title(group.title);
        page.keys(group, Stands::Optional);
        if group.keys.iter().any(|key| key.name == "auth_type") {
            page.line("");
            page.comment("The default asks for an auth_file; without one this has to be said:");
            page.line("auth_type = \"trust\"");
        }
    }
    page.tables();
    page.text
}

/// Whether a table stands in the reference for real or as a comment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Needed,
    Optional,
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn tables(&mut self) {
        self.title("Clusters: one [clusters.NAME] for each");
        self.line("\n[clusters.main]");
        self.keys(&sections::CLUSTER.groups[0], Stands::Needed);
        for group in &sections::CLUSTER.groups[1..] {
            self.line("");
            self.comment(&format!("{}.", group.title));
            self.keys(group, Stands::Optional);
        }
        self.line("");
        self.comment("The nodes; one line for each is as good: nodes = [{ name = \"n0\", host = \"127.0.0.1\" }].");
        self.line("[[clusters.main.nodes]]");
        self.keys(&sections::NODE.groups[0], Stands::Needed);
        self.line("");
        self.comment("And each of the executor's keys above, where a node differs from its cluster.");

        self.title("Databases: NAME = {} or [databases.NAME] for each, \"*\" for all other names");
        self.line("\n[databases]\n\"*\" = { cluster = \"main\" }\n\n#[databases.app]");
        self.keys(&sections::DATABASE.groups[0], Stands::Optional);

        self.title("Users: one [users.NAME] for each that differs");
        self.line("\n#[users.app]");
        self.keys(&sections::USER.groups[0], Stands::Optional);

        self.title("Peers: one [peers.PEER_ID] for each other proxy that clients may reach by the same address");
        self.line("\n#[peers.2]");
        self.keys(&sections::PEER.groups[0], Stands::Optional);

        self.title("Plugins: the policies. Without a router everything goes to the primary");
        self.line("\n#[plugins.router]");
        self.keys(&sections::PLUGIN.groups[0], Stands::Optional);

        self.title("Whether the primary is lost, and whom to promote. Without this policy nobody is promoted");
        self.line("\n#[plugins.failover]");
        self.keys(&sections::CONTROL_PLUGIN.groups[0], Stands::Optional);

        self.title("What standbys do after a promotion. Without this policy they are left alone");
        self.line("\n## The same keys as in [plugins.failover].");
        self.line("#[plugins.follow-primary]\n#component = \"builtin:follow-primary\"");

        self.title("For whom commits wait. Without this policy that stays as it is");
        self.line("\n## The same keys as in [plugins.failover].");
        self.line("#[plugins.sync-set]\n#component = \"builtin:sync-set\"");
    }

    fn keys(&mut self, group: &Group, table: Stands) {
        // Nodes are tables of their own here.
        for key in group.keys.iter().filter(|key| !matches!(key.kind, Kind::Nodes)) {
            self.line("");
            self.comment(key.doc);
            self.comment(&accepted(key));
            let mark = if key.needed && table == Stands::Needed { "" } else { "#" };
            self.line(&format!("{mark}{} = {}", key.name, toml(&key.kind, key.example)));
        }
    }

    fn title(&mut self, title: &str) {
        self.line(&format!("\n\n## {title}"));
    }

    /// Broken into lines of at most [`WIDTH`] characters.
    fn comment(&mut self, sentence: &str) {
        let mut line = "#".to_owned();
        for word in sentence.split_whitespace() {
            if line.len() + 1 + word.len() > WIDTH {
                self.line(&line);
                line = "#".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// The unit and range, the default, and when a change counts.
fn accepted(key: &Key) -> String {
    let mut text = capitalised(&match key.kind {
        // How durations are written has been said at the top.
        Kind::Time { bare, min, max } => format!("{}{}", bare.word(), range(min, max)),
        kind => kind.expected(),
    });
    text.push_str(match (key.needed, key.default) {
        (true, _) => ". Must be set.",
        (_, None) => ". Default: not set.",
        (_, Some("")) => ". Default: empty.",
        (_, Some(default)) => return format!("{text}. Default: {default}.{}", restart(key)),
    });
    text + restart(key)
}

fn restart(key: &Key) -> &'static str {
    if key.restart { " A change needs a restart." } else { "" }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The text as a TOML value.
fn toml(kind: &Kind, text: &str) -> String {
    match kind {
        Kind::Flag | Kind::Whole { .. } | Kind::Nodes | Kind::Labels | Kind::Settings => text.to_owned(),
        Kind::Time { .. } if text.bytes().all(|byte| byte.is_ascii_digit()) => text.to_owned(),
        Kind::List if text.is_empty() => "[]".to_owned(),
        Kind::List => format!("[{text:?}]"),
        _ => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        super::{
            Config,
            load::{Sources, load, load_with},
        },
        *,
    };

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/reference/howdah.toml");

    #[test]
    fn the_example_file_is_the_reference() {
        let file = std::fs::read_to_string(FILE).unwrap();

        assert!(file == reference(), "write it anew: howdah reference > examples/reference/howdah.toml");
    }

    #[test]
    fn the_example_file_loads() {
        let sources = Sources { file: Some(FILE.into()), ..Sources::default() };
        let config = load(&sources).unwrap_or_else(|errors| panic!("{errors}"));

        assert_eq!(config.clusters["main"].nodes.len(), 1);
    }

    /// The reference with its keys no longer commented out, where `keep` says so.
    fn uncommented(keep: impl Fn(&str) -> bool) -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(key) if !key.starts_with([' ', '#']) && !key.is_empty() && keep(key) => key.to_owned(),
            _ => line.to_owned(),
        };
        // Not twice.
        let text: Vec<String> = reference().lines().filter(|line| *line != "auth_type = \"trust\"").map(line).collect();
        text.join("\n")
    }

    fn loaded(text: &str) -> Config {
        let sources = Sources { file: Some("/howdah.toml".into()), ..Sources::default() };
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n\
                   -----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let read = |path: &Path| match path.to_str() {
            Some("/howdah.toml") => Ok(text.as_bytes().to_vec()),
            Some("/userlist.txt") => Ok(Vec::new()),
            _ => Ok(pem.as_bytes().to_vec()),
        };
        load_with(&sources, &read).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn every_key_can_be_taken_in() {
        let config = loaded(&uncommented(|_| true));

        assert_eq!(config.databases["app"].pool_size, Some(20));
        assert_eq!(config.users["app"].pool_size, Some(20));
        assert!(config.plugins.all().count() == 4 && config.metrics_listen.is_some());
    }

    #[test]
    fn the_defaults_that_it_shows_are_the_defaults() {
        let has_default = |line: &str| {
            let name = line.split(' ').next().unwrap_or_default();
            // `md5` asks for the file, too.
            name == "auth_file" || proxy::TOP.find(name).is_some_and(|key| key.default.is_some())
        };
        let text = uncommented(has_default);
        // Only the keys at the top: some of those in tables are named alike.
        let (top, _) = text.split_once("\n[clusters").unwrap();
        let tables = "[clusters.main]\nnodes = [{ name = \"n\", host = \"h\" }]\n[databases]\n\"*\" = {}";
        let config = loaded(&format!("{top}\n{tables}"));

        let expected = Config {
            auth_file: Some("/userlist.txt".into()),
            // Beside the configuration file.
            state_dir: "/howdah-state".into(),
            clusters: config.clusters.clone(),
            databases: config.databases.clone(),
            ..Config::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn every_key_is_described() {
        for key in proxy::TOP.keys() {
            let mark = format!("#{} = ", key.name);
            assert!(reference().lines().any(|line| line.starts_with(&mark)), "{}", key.name);
        }
        // A value stands in one line, however long it is.
        let page = reference();
        let mut comments = page.lines().filter(|line| line.starts_with("# "));
        assert!(comments.all(|line| line.chars().count() <= WIDTH), "a line is too long");
    }
}

//! What an operator may set in `[plugins.router] settings = { … }`.

use std::collections::BTreeMap;

use howdah_plugin::{
    Balance,
    settings::{Bytes, Millis, matches},
};
use serde::Deserialize;

/// All settings; each has a default, so that `settings = { }` works.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Reads go only to standbys at most this many bytes behind the primary: a number, or text
    /// such as `"16MB"`. Default: no limit. With no standby left, reads go to the primary.
    pub max_lag_bytes: Option<Bytes>,
    /// Reads go only to standbys whose newest replayed commit is at most this old: milliseconds,
    /// or text such as `"5s"`. Default: no limit.
    pub max_lag: Option<Millis>,
    /// `"session"` (default): a session sees its own writes on every node. `"none"`: reads may be
    /// older than the session's own last write.
    pub causal_reads: CausalReads,
    /// How long a read waits for a standby to replay the session's own writes before it goes to
    /// the primary: milliseconds, or text. Default 10 ms.
    pub causal_reads_timeout: Millis,
    /// How to choose among the standbys: `"least_busy"` (default), `"round_robin"`, `"random"`,
    /// `"session"` (each session stays with one), `"lowest_lag"`. Weights count in all of them.
    pub balance: BalanceSetting,
    /// The primary takes its share of the reads. Default false.
    pub include_primary: bool,
    /// Functions of your own that do not write, though PostgreSQL cannot know it (they are
    /// VOLATILE). `*` stands for any text. A statement counts as a read when all the functions
    /// that it calls are listed here. Default none.
    pub read_only_functions: Vec<String>,
    /// Functions that write, though they are declared STABLE or IMMUTABLE. Default none.
    pub write_functions: Vec<String>,
    /// Where reads of users go, by name or pattern: `{ report = "standby", "app_*" = "primary" }`;
    /// a value is `"primary"`, `"standby"` or the name of a node. Default none.
    ///
    /// Of several patterns that match, one without `*` wins, then the longest. Of several kinds of
    /// preference, the application's wins, then the user's, then the database's.
    pub user_preferences: Preferences,
    /// The same by database.
    pub database_preferences: Preferences,
    /// The same by `application_name` at connect.
    pub application_preferences: Preferences,
    /// Obey comments in statements: `/* route=primary */`, `/* route=standby */`,
    /// `/* route=NODE */`, `/*NO LOAD BALANCE*/`. Default true.
    pub hints: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_lag_bytes: None,
            max_lag: None,
            causal_reads: CausalReads::Session,
            causal_reads_timeout: Millis(10),
            balance: BalanceSetting::LeastBusy,
            include_primary: false,
            read_only_functions: Vec::new(),
            write_functions: Vec::new(),
            user_preferences: Preferences::default(),
            database_preferences: Preferences::default(),
            application_preferences: Preferences::default(),
            hints: true,
        }
    }
}

impl Settings {
    /// Longest wait for a standby. Beyond it the primary is the better answer.
    const CAUSAL_READS_TIMEOUT_MAX: Millis = Millis(60_000);

    /// What serde cannot check.
    pub fn check(&self) -> Result<(), String> {
        if self.causal_reads_timeout > Self::CAUSAL_READS_TIMEOUT_MAX {
            return Err("`causal_reads_timeout` is at most 60s".to_owned());
        }
        let preferences = [&self.user_preferences, &self.database_preferences, &self.application_preferences];
        let empty = preferences.iter().flat_map(|p| p.0.values()).any(|to| to.is_empty());
        if empty {
            return Err("a preference is `primary`, `standby` or the name of a node".to_owned());
        }
        Ok(())
    }

    /// Nodes that preferences name.
    pub fn preferred_nodes(&self) -> impl Iterator<Item = &str> {
        [&self.user_preferences, &self.database_preferences, &self.application_preferences]
            .into_iter()
            .flat_map(|preferences| preferences.0.values())
            .filter(|to| !matches!(to.as_str(), "primary" | "standby"))
            .map(String::as_str)
    }
}

/// Which writes a read must see.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CausalReads {
    /// None in particular.
    None,
    /// The session's own.
    Session,
}

/// How to choose among standbys.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum BalanceSetting {
    /// The fewest statements in flight for its weight.
    #[serde(alias = "least-busy")]
    LeastBusy,
    /// In turn.
    #[serde(alias = "round-robin")]
    RoundRobin,
    /// At random by weight.
    Random,
    /// Each session stays with one.
    Session,
    /// The least behind.
    #[serde(alias = "lowest-lag")]
    LowestLag,
}

impl From<BalanceSetting> for Balance {
    fn from(setting: BalanceSetting) -> Self {
        match setting {
            BalanceSetting::LeastBusy => Self::LeastBusy,
            BalanceSetting::RoundRobin => Self::RoundRobin,
            BalanceSetting::Random => Self::WeightedRandom,
            BalanceSetting::Session => Self::SessionAffine,
            BalanceSetting::LowestLag => Self::LowestLag,
        }
    }
}

/// Names or patterns, and where those that match go.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Preferences(BTreeMap<String, String>);

impl Preferences {
    /// Nobody prefers anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where this name goes: the exact entry's word, else the longest matching pattern's.
    pub fn of(&self, name: &str) -> Option<&str> {
        let exact = self.0.get(name);
        let pattern = || {
            let matching = self.0.iter().filter(|(pattern, _)| matches(pattern, name));
            matching.max_by_key(|(pattern, _)| pattern.len()).map(|(_, to)| to)
        };
        exact.or_else(pattern).map(String::as_str)
    }
}

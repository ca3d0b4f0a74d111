//! What an operator may set in `[plugins.sync-set] settings = { … }`.

use howdah_plugin::{
    settings::{Bytes, Millis},
    sync_set::SyncMethod,
};
use serde::Deserialize;

/// All settings; each has a default, so that `settings = { }` works.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `"any"` (default): a commit waits for any `count` of the members. `"first"`: for the first `count`
    /// that are there, by their order.
    pub mode: Mode,
    /// How many standbys acknowledge each commit, 1 to 100. Default 1. While fewer are there, as many as are.
    pub count: u16,
    /// Fewest standbys that acknowledge each commit, 1 to `count`. Default 1. When fewer are there, commits
    /// wait until one comes back, unless `allow_degrade` says otherwise.
    pub min_count: u16,
    /// Most members, `count` to 256. Default `count` + 1: one standby may fail and no commit waits for it. A
    /// failover needs to hear all members but `count` - 1 of them, so that more members are not safer.
    pub max_members: Option<u16>,
    /// When fewer than `min_count` standbys are there, commits wait for those, or for nobody. What is
    /// acknowledged then may be lost with the primary. Default false.
    pub allow_degrade: bool,
    /// A member that has not answered for this long leaves the set: milliseconds, or text such as `"5s"`.
    /// Default 5 s. One that the primary has lost leaves it at once.
    pub stall_timeout: Millis,
    /// A standby that has come back joins when it has been well for this long: milliseconds, or text. Default
    /// 10 s.
    pub restore_after: Millis,
    /// … and is at most this far behind: bytes, or text such as `"16MB"`. Default 16 MiB.
    pub restore_max_lag: Bytes,
}

/// `ANY` or `FIRST`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Any of them.
    Any,
    /// The first that are there.
    First,
}

impl From<Mode> for SyncMethod {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Any => Self::Any,
            Mode::First => Self::First,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Any,
            count: 1,
            min_count: 1,
            max_members: None,
            allow_degrade: false,
            stall_timeout: Millis(5_000),
            restore_after: Millis(10_000),
            restore_max_lag: Bytes(16 << 20),
        }
    }
}

impl Settings {
    /// What serde cannot check.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=100).contains(&self.count) {
            return Err("`count` is from 1 to 100".to_owned());
        }
        if !(1..=self.count).contains(&self.min_count) {
            return Err("`min_count` is from 1 to `count`".to_owned());
        }
        if self.max_members.is_some_and(|max| !(self.count..=256).contains(&max)) {
            return Err("`max_members` is from `count` to 256".to_owned());
        }
        Ok(())
    }

    /// Most members.
    pub fn members_max(&self) -> usize {
        self.max_members.unwrap_or(self.count + 1).into()
    }
}

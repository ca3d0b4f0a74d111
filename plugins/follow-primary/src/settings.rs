//! What an operator may set in `[plugins.follow-primary] settings = { … }`.

use howdah_plugin::settings::{Bytes, Millis};
use serde::Deserialize;

/// All settings; each has a default, so that `settings = { }` works.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Standbys that are repointed at once; 0 is all of them, which is the default. It is a change of two
    /// settings and takes milliseconds.
    pub parallel: u16,
    /// Make a replication slot for each standby on the new primary before it streams from there. Default true.
    pub create_slots: bool,
    /// How long a standby may take to stream from the new primary: milliseconds, or text such as `"5s"`.
    /// Default 5 s; 10 ms to 7 days, as the other two.
    pub repoint_timeout: Millis,
    /// Run pg_rewind on standbys that have received more than the new primary has, where that can be done.
    /// What they have received beyond it is thrown away. Default true.
    pub rewind: bool,
    /// How long that may take: milliseconds, or text. Default 5 min.
    pub rewind_timeout: Millis,
    /// Build standbys anew that cannot follow otherwise, where that can be done. All they have is thrown away
    /// and copied from the new primary. Default false.
    pub rebuild: bool,
    /// How long that may take: milliseconds, or text. Default 12 h.
    pub rebuild_timeout: Millis,
    /// Most bytes per second that are copied for it, in steps of 1 KiB: a number, or text such as `"64MB"`.
    /// Default no limit.
    pub rebuild_max_rate: Option<Bytes>,
    /// How many times a step is tried before the next stronger one is, or the standby is left alone: 1 to
    /// 100. Default 3.
    pub attempts: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: 0,
            create_slots: true,
            repoint_timeout: Millis(5_000),
            rewind: true,
            rewind_timeout: Millis(300_000),
            rebuild: false,
            rebuild_timeout: Millis(43_200_000),
            rebuild_max_rate: None,
            attempts: 3,
        }
    }
}

impl Settings {
    /// What serde cannot check.
    pub fn check(&self) -> Result<(), String> {
        let timeouts = [
            ("repoint_timeout", self.repoint_timeout),
            ("rewind_timeout", self.rewind_timeout),
            ("rebuild_timeout", self.rebuild_timeout),
        ];
        if let Some((name, _)) = timeouts.iter().find(|(_, time)| !(10..=604_800_000).contains(&time.0)) {
            return Err(format!("`{name}` is from 10ms to 7d"));
        }
        if self.rebuild_max_rate.is_some_and(|rate| !(1 << 10..=1 << 40).contains(&rate.0)) {
            return Err("`rebuild_max_rate` is from 1KiB to 1TiB".to_owned());
        }
        if !(1..=100).contains(&self.attempts) {
            return Err("`attempts` is from 1 to 100".to_owned());
        }
        Ok(())
    }
}

//! What an operator may set in `[plugins.failover] settings = { … }`.

use howdah_plugin::settings::{Bytes, Millis};
use serde::Deserialize;

/// All settings; each has a default, so that `settings = { }` works.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Failed checks in a row after which an observer takes the primary for lost, 1 to 100. Default 3. One is
    /// enough when it refuses connections, or gives no answer, and its standbys have lost it too.
    pub fall: u32,
    /// How long the primary must have given no answer at all before it counts as lost: milliseconds, or text
    /// such as `"2s"`. Default 2 s. Longer than any pause that its machine takes without being broken.
    pub hang_timeout: Millis,
    /// How long a primary may say that it is not ready (it starts, shuts down, or recovers from a crash)
    /// before it counts as lost: milliseconds, or text. Default 5 s; 0 fails over at once.
    pub crash_grace: Millis,
    /// Reports older than this do not count: milliseconds, or text. Default 5 s.
    pub report_max_age: Millis,
    /// What counts when standbys still hear a primary that observers have lost. `"hold"` (default): it lives,
    /// and the network between it and the observers does not. `"fail_over_if_synchronous"`: fail over all the
    /// same if commits wait for standbys, since without them it cannot acknowledge any.
    pub heard_by_standbys: HeardByStandbys,
    /// How long standbys get to notice that the primary is gone, before what they hear is taken for true:
    /// milliseconds, or text. Default 5 s. Only words and the holding of clients depend on it.
    pub witness_timeout: Millis,
    /// Shortest time between a promotion and an automatic failover: milliseconds, or text. Default 60 s.
    pub min_interval: Millis,
    /// When to look again at a primary that may be lost: milliseconds, or text. Default 200 ms; 10 ms to 10 s.
    pub recheck: Millis,
    /// Most bytes of the log that an automatic failover may lose when commits do not wait for standbys: a
    /// number, or text such as `"16MB"`. Default 1 MiB, as Patroni's. In synchronous mode nothing that was
    /// acknowledged may be lost, whatever it says.
    pub maximum_lag_on_failover: Bytes,
    /// A switchover goes to standbys at most this far behind: bytes, or text. Default 16 MiB.
    pub maximum_lag_on_switchover: Bytes,
    /// How long the candidate of a switchover may take to replay what the old primary has written:
    /// milliseconds, or text. Default 10 s; at most 1 h.
    pub catch_up: Millis,
}

/// What counts when standbys contradict the observers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum HeardByStandbys {
    /// The standbys.
    Hold,
    /// The observers, if commits wait for standbys.
    FailOverIfSynchronous,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fall: 3,
            hang_timeout: Millis(2_000),
            crash_grace: Millis(5_000),
            report_max_age: Millis(5_000),
            heard_by_standbys: HeardByStandbys::Hold,
            witness_timeout: Millis(5_000),
            min_interval: Millis(60_000),
            recheck: Millis(200),
            maximum_lag_on_failover: Bytes(1 << 20),
            maximum_lag_on_switchover: Bytes(16 << 20),
            catch_up: Millis(10_000),
        }
    }
}

impl Settings {
    /// What serde cannot check.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=100).contains(&self.fall) {
            return Err("`fall` is from 1 to 100".to_owned());
        }
        if !(10..=10_000).contains(&self.recheck.0) {
            return Err("`recheck` is from 10ms to 10s".to_owned());
        }
        if self.catch_up.0 > 3_600_000 {
            return Err("`catch_up` is at most 1h".to_owned());
        }
        Ok(())
    }
}

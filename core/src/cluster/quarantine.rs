//! Which nodes get no work, whatever they say of themselves.
//!
//! A node that was primary in an earlier term, or belongs to another cluster, or has log that the primary lacks,
//! serves rows that do not exist. It stays out until it has proved for a while that it follows.

use std::time::Duration;

use super::name::Name;

/// A node in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Which.
    pub node: Name,
    /// Why.
    pub offence: Offence,
    /// Since when, on the machine's clock.
    pub since: Duration,
    /// Since when it has followed well.
    pub well_since: Option<Duration>,
}

/// Why a node is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offence {
    /// Its `system_identifier` is another one.
    Stranger,
    /// It takes writes on an older timeline, or was deposed.
    Zombie,
    /// It takes writes, and no operation of ours promoted it.
    Rival,
    /// It has log that the primary lacks.
    Diverged,
    /// It was primary, and has not proved yet that it follows.
    Unproven,
}

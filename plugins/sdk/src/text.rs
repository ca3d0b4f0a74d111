//! A plan in one line, as `EXPLAIN ROUTE` shows it; tests compare plans by it.

use std::fmt;

use crate::{Causality, Destination, Hold, Lsn, Plan, ReplicaSet, ReuseScope, Target};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.destination {
            Destination::BuiltIn => f.write_str("built-in")?,
            Destination::To(target) => target.fmt(f)?,
            Destination::Split(shares) => {
                for (place, share) in shares.iter().enumerate() {
                    let lead = if place == 0 { "split " } else { " | " };
                    write!(f, "{lead}{} {}", share.weight, share.target)?;
                }
            }
            Destination::Refuse(refusal) => {
                write!(f, "refuse {} {:?}", refusal.sqlstate, refusal.message)?;
            }
        }
        for target in &self.fallbacks {
            write!(f, " or {target}")?;
        }
        match self.hold {
            Hold::Statement => {}
            Hold::Transaction => f.write_str(" for the transaction")?,
            Hold::Session => f.write_str(" for the session")?,
            Hold::ForTime(millis) => write!(f, " for {millis} ms")?,
        }
        for key in &self.stamp {
            write!(f, " stamp {key}")?;
        }
        match (self.reuse.scope, self.reuse.max_age) {
            (ReuseScope::Never, _) => f.write_str(" once")?,
            (ReuseScope::Shape, Some(millis)) => write!(f, " kept {millis} ms")?,
            (ReuseScope::Shape, None) => {}
        }
        for (place, index) in self.reuse.vary_parameters.iter().enumerate() {
            write!(f, "{}{index}", if place == 0 { " by parameter " } else { ", " })?;
        }
        write!(f, " [{}]", self.rule)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary => f.write_str("primary"),
            Self::Node(id) => write!(f, "node #{id}"),
            Self::Replicas(set) => set.fmt(f),
        }
    }
}

impl fmt::Display for ReplicaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.include_primary { "any node" } else { "standby" })?;
        for id in &self.selector.nodes {
            write!(f, " #{id}")?;
        }
        for (key, value) in &self.selector.labels {
            write!(f, " {key}={value}")?;
        }
        write!(f, " by {}", self.balance.name())?;
        let freshness = &self.freshness;
        if let Some(bytes) = freshness.max_lag_bytes {
            write!(f, ", at most {bytes} bytes behind")?;
        }
        if let Some(millis) = freshness.max_lag {
            write!(f, ", at most {millis} ms behind")?;
        }
        match &freshness.causality {
            Causality::None => {}
            Causality::OwnWrites => f.write_str(", with own writes")?,
            Causality::KeyWrites(key) => write!(f, ", with writes of {key}")?,
            Causality::Position(lsn) => write!(f, ", at {}", Lsn(*lsn))?,
        }
        match freshness.wait {
            0 => Ok(()),
            millis => write!(f, ", waiting {millis} ms"),
        }
    }
}

impl crate::Balance {
    fn name(self) -> &'static str {
        match self {
            Self::LeastBusy => "least-busy",
            Self::RoundRobin => "round-robin",
            Self::WeightedRandom => "weighted-random",
            Self::SessionAffine => "session-affine",
            Self::LowestLag => "lowest-lag",
        }
    }
}

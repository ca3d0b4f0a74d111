//! A plan in one line, for `EXPLAIN ROUTE` and `SHOW PLANS`.

use std::{fmt, time::Duration};

use super::plan::{Balance, Causality, Destination, Hold, Plan, ReplicaSet, Target};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.destination {
            Destination::To(target) => target.fmt(f)?,
            Destination::Split(shares) => {
                for (place, (weight, target)) in shares.iter().enumerate() {
                    let lead = if place == 0 { "split " } else { " | " };
                    write!(f, "{lead}{weight} {target}")?;
                }
            }
            Destination::Refuse(refusal) => {
                let sqlstate = String::from_utf8_lossy(&refusal.sqlstate);
                write!(f, "refuse {sqlstate} {:?}", refusal.message)?;
            }
        }
        for target in &self.fallbacks {
            write!(f, " or {target}")?;
        }
        match self.hold {
            Hold::Statement => {}
            Hold::Transaction => f.write_str(" for the transaction")?,
            Hold::Session => f.write_str(" for the session")?,
            Hold::For(time) => write!(f, " for {} ms", time.as_millis())?,
        }
        for key in &self.stamp {
            write!(f, " stamp {key}")?;
        }
        match self.reuse {
            None => f.write_str(" once")?,
            Some(Duration::MAX) => {}
            Some(time) => write!(f, " kept {} ms", time.as_millis())?,
        }
        for (place, index) in self.vary.iter().enumerate() {
            write!(f, "{}{index}", if place == 0 { " by parameter " } else { ", " })?;
        }
        write!(f, " [{}]", self.rule)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary => f.write_str("primary"),
            Self::Node(id) => write!(f, "node {id}"),
            Self::Replicas(set) => set.fmt(f),
        }
    }
}

impl fmt::Display for ReplicaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.include_primary { "any node" } else { "standby" })?;
        for id in &self.nodes {
            write!(f, " {id}")?;
        }
        for (key, value) in &self.labels {
            write!(f, " {key}={value}")?;
        }
        write!(f, " by {}", self.balance)?;
        let freshness = &self.freshness;
        if let Some(bytes) = freshness.max_lag_bytes {
            write!(f, ", at most {bytes} bytes behind")?;
        }
        if let Some(lag) = freshness.max_lag {
            write!(f, ", at most {} ms behind", lag.as_millis())?;
        }
        match &freshness.causality {
            Causality::None => {}
            Causality::OwnWrites => f.write_str(", with own writes")?,
            Causality::KeyWrites(key) => write!(f, ", with writes of {key}")?,
            Causality::Position(lsn) => write!(f, ", at {lsn}")?,
        }
        match freshness.wait {
            Duration::ZERO => Ok(()),
            wait => write!(f, ", waiting {} ms", wait.as_millis()),
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeastBusy => "least-busy",
            Self::RoundRobin => "round-robin",
            Self::WeightedRandom => "weighted-random",
            Self::SessionAffine => "session-affine",
            Self::LowestLag => "lowest-lag",
        })
    }
}

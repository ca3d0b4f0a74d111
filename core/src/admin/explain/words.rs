//! Facts of a statement and parts of a plan in words.

use std::time::Duration;

use crate::{
    id::NodeId,
    plugin::plan::{Balance, Causality, Destination, Freshness, Hold, Plan, Target},
    sql::{Kind, TableRef, Traits},
};

/// `CopyIn` is `copy in`.
pub fn kind(kind: Kind) -> String {
    let mut words = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// The traits that a statement has.
pub fn traits(traits: Traits) -> String {
    let all = [
        ("read-only", traits.read_only),
        ("row-locks", traits.row_locks),
        ("unknown-function", traits.unknown_function),
        ("session-state", traits.session_state),
        ("multi-statement", traits.multi_statement),
        ("writing-cte", traits.writing_cte),
        ("catalog-only", traits.catalog_only),
        ("streaming", traits.streaming),
        ("primary-only-relation", traits.primary_only_relation),
        ("begins-read-only", traits.begins_read_only),
        ("changes-catalog", traits.changes_catalog),
        ("defines", traits.defines),
    ];
    all.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Tables as written.
pub fn tables(tables: &[TableRef]) -> String {
    let name = |table: &TableRef| {
        let schema = table.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        format!("{schema}{}{}", table.name, if table.write { " (written)" } else { "" })
    };
    tables.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// `key=value`; a hint without a value is its key.
pub fn hints(hints: &[(String, String)]) -> String {
    let hint = |(key, value): &(String, String)| if value.is_empty() { key.clone() } else { format!("{key}={value}") };
    hints.iter().map(hint).collect::<Vec<_>>().join(", ")
}

/// Where a plan sends first.
pub fn destination(destination: &Destination, name: &impl Fn(NodeId) -> String) -> String {
    match destination {
        Destination::To(to) => target(to, name),
        Destination::Split(shares) => {
            let share = |(weight, to): &(u32, Target)| format!("{weight} to {}", target(to, name));
            format!("by shares: {}", shares.iter().map(share).collect::<Vec<_>>().join(", "))
        }
        Destination::Refuse(refusal) => {
            format!("refused with {}: {}", String::from_utf8_lossy(&refusal.sqlstate), refusal.message)
        }
    }
}

/// A target, its nodes by name.
pub fn target(target: &Target, name: &impl Fn(NodeId) -> String) -> String {
    match target {
        Target::Primary => "the primary".to_owned(),
        Target::Node(id) => format!("node {}", name(*id)),
        Target::Replicas(set) => {
            let mut words = "a standby".to_owned();
            if !set.nodes.is_empty() {
                let nodes: Vec<_> = set.nodes.iter().map(|id| name(*id)).collect();
                words.push_str(&format!(" among {}", nodes.join(", ")));
            }
            if !set.labels.is_empty() {
                let labels: Vec<_> = set.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                words.push_str(&format!(" with {}", labels.join(", ")));
            }
            words.push_str(if set.include_primary { " or the primary" } else { "" });
            words
        }
    }
}

/// How fresh a standby must be; empty when anything goes.
pub fn freshness(freshness: &Freshness) -> String {
    let mut words = Vec::new();
    if let Some(bytes) = freshness.max_lag_bytes {
        words.push(format!("at most {bytes} bytes behind"));
    }
    if let Some(lag) = freshness.max_lag {
        words.push(format!("at most {} ms behind", lag.as_millis()));
    }
    match &freshness.causality {
        Causality::None => {}
        Causality::OwnWrites => words.push("with the session's own writes".to_owned()),
        Causality::KeyWrites(key) => words.push(format!("with the writes stamped {key}")),
        Causality::Position(position) => words.push(format!("at {position} at least")),
    }
    if !freshness.wait.is_zero() {
        words.push(format!("waiting up to {} ms for that", freshness.wait.as_millis()));
    }
    words.join(", ")
}

/// How one is chosen of those that qualify.
pub fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::LeastBusy => "the least busy",
        Balance::RoundRobin => "the next in turn",
        Balance::WeightedRandom => "one at random, by weight",
        Balance::SessionAffine => "always the same for a session",
        Balance::LowestLag => "the one with the least lag",
    }
}

/// How long the node stays.
pub fn hold(hold: Hold) -> String {
    match hold {
        Hold::Statement => "for the statement".to_owned(),
        Hold::Transaction => "for the transaction".to_owned(),
        Hold::Session => "for the session".to_owned(),
        Hold::For(time) => format!("for {} ms", time.as_millis()),
    }
}

/// How long the plan itself stays, and for whom.
pub fn kept(plan: &Plan) -> String {
    let time = match plan.reuse {
        None => return "not at all: the policy is asked each time".to_owned(),
        Some(Duration::MAX) => "until the cluster or the configuration changes".to_owned(),
        Some(time) => format!("for {} ms", time.as_millis()),
    };
    // Statements number them from one.
    let names: Vec<_> = plan.vary.iter().map(|index| format!("${}", u32::from(*index) + 1)).collect();
    if names.is_empty() { time } else { format!("{time}, for each value of {}", names.join(", ")) }
}

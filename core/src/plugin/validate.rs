//! Checks everything that a guest returns, and turns it into the host's words.
//!
//! A guest may be wrong or hostile; nothing that passes here can harm: nodes exist, texts are short
//! and fit into a message of the protocol, lists are short. Pure. Routers' answers are checked here,
//! those of other roles in [`control`].

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use super::{
    plan::{Balance, Causality, Destination, Freshness, Hold, Plan, Refusal, ReplicaSet, Target},
    requirements::{Requirements, SessionNeeds, StatementNeeds},
    v0_1::{lifecycle, router as wit},
};
use crate::{
    facts::Facts,
    id::{Lsn, NodeId},
};

pub(crate) mod control;

/// Names: of rules, labels, causality keys, startup parameters.
const NAME_MAX_BYTES: usize = 128;

/// Texts that clients see.
const TEXT_MAX_BYTES: usize = 2 << 10;

/// Elements of any list in a plan but nodes.
const LIST_MAX: usize = 16;

/// Nodes that a selector names.
const NODES_MAX: usize = 256;

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// Names a node that is not there.
    #[error("there is no node {id}")]
    NoSuchNode {
        /// Its number.
        id: u32,
    },
    /// More elements than make sense.
    #[error("{list} has {count} elements; at most {max} are taken")]
    TooMany {
        /// Which list.
        list: &'static str,
        /// Its length.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Empty where a text is needed.
    #[error("{text} is empty")]
    Empty {
        /// Which text.
        text: &'static str,
    },
    /// Longer than makes sense.
    #[error("{text} has {bytes} bytes; at most {max} are taken")]
    TooLong {
        /// Which text.
        text: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Contains what would break a message or a log line.
    #[error("{text} contains a control character")]
    ControlCharacter {
        /// Which text.
        text: &'static str,
    },
    /// Not five digits and capital letters, or the code of a success or a warning.
    #[error("{sqlstate:?} is not the SQLSTATE of an error")]
    SqlState {
        /// As given.
        sqlstate: String,
    },
    /// An empty list where somebody has to be named.
    #[error("{list} names nobody")]
    Nobody {
        /// Which list.
        list: &'static str,
    },
    /// A list names a node again.
    #[error("{list} names node {node} twice")]
    Twice {
        /// Which list.
        list: &'static str,
        /// The node.
        node: NodeId,
    },
    /// Not one of those that the question was about.
    #[error("{id} is none of the standbys")]
    NoSuchStandby {
        /// Its number.
        id: u32,
    },
    /// Answers for a node that was not asked about.
    #[error("names node {other}, where only {target} was asked about")]
    NotTheTarget {
        /// Asked about.
        target: NodeId,
        /// Named.
        other: NodeId,
    },
    /// A standby of itself.
    #[error("node {node} cannot follow itself")]
    OwnUpstream {
        /// Which.
        node: NodeId,
    },
    /// Standbys of each other.
    #[error("node {node} would follow itself by way of others")]
    Circle {
        /// One of them.
        node: NodeId,
    },
    /// Backups are not kept by this version.
    #[error("there is no such backup")]
    NoSuchBackup,
    /// The primary among its own synchronous standbys.
    #[error("the primary, node {node}, cannot wait for itself")]
    WaitsForItself {
        /// The primary.
        node: NodeId,
    },
    /// More acknowledgements than members, or none.
    #[error("a commit cannot wait for {count} of {members} standbys")]
    Count {
        /// Acknowledgements.
        count: u16,
        /// Members.
        members: usize,
    },
    /// A time that nobody can mean.
    #[error("{what} is {given:?}; it is from {min:?} to {max:?}")]
    OutOfRange {
        /// Which time.
        what: &'static str,
        /// As given.
        given: Duration,
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Nothing to choose from.
    #[error("the weights of a split add up to zero")]
    Weightless,
}

/// A valid answer of `route`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// No opinion on where the statement goes; whatever the built-in policy says, these terms hold.
    BuiltIn(Terms),
    /// This plan.
    Plan(Plan),
}

/// What of a plan holds wherever the statement goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    stamp: Vec<Arc<str>>,
    reuse: Option<Duration>,
    vary: Vec<u16>,
}

impl Terms {
    /// The plan with these terms instead of its own.
    pub(crate) fn on(self, plan: Plan) -> Plan {
        let reuse = self.reuse.and_then(|time| plan.reuse.map(|own| own.min(time)));
        Plan { stamp: self.stamp, stamps_any: false, reuse, vary: self.vary, ..plan }
    }
}

/// A valid answer of `admit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The session may go on; with these labels.
    Accept(Vec<(String, String)>),
    /// It may not.
    Refuse(Refusal),
}

/// An answer of `route`.
pub(crate) fn verdict(given: wit::Plan, facts: &Facts) -> Result<Verdict, Invalid> {
    check_len("options", given.options.len(), LIST_MAX)?;
    let stamp = list("stamp", given.stamp, |key| name("a causality key", key).map(Arc::from))?;
    let (reuse, vary) = reuse(given.reuse)?;
    let check = Check { facts };
    let destination = match given.destination {
        wit::Destination::BuiltIn => return Ok(Verdict::BuiltIn(Terms { stamp, reuse, vary })),
        wit::Destination::To(to) => Destination::To(check.target(to)?),
        wit::Destination::Split(shares) => check.split(shares)?,
        wit::Destination::Refuse(no) => Destination::Refuse(refusal(no)?),
    };
    Ok(Verdict::Plan(Plan {
        destination,
        fallbacks: list("fallbacks", given.fallbacks, |to| check.target(to))?,
        hold: hold(given.hold),
        stamp,
        stamps_any: false,
        reuse,
        vary,
        rule: name("the rule's name", given.rule)?.into(),
    }))
}

/// An answer of `admit`.
pub(crate) fn admission(given: wit::Admission) -> Result<Admission, Invalid> {
    Ok(match given {
        wit::Admission::Accept(labels) => Admission::Accept(list("labels", labels, label)?),
        wit::Admission::Refuse(no) => Admission::Refuse(refusal(no)?),
    })
}

/// An answer of `describe`.
pub(crate) fn description(given: lifecycle::Description) -> Result<lifecycle::Description, Invalid> {
    name("the policy's name", given.name.clone())?;
    name("the policy's version", given.version.clone())?;
    line("the policy's summary", given.summary.clone(), TEXT_MAX_BYTES)?;
    Ok(given)
}

/// An answer of `setup`, without its probes.
pub(crate) fn requirements(given: wit::Requirements) -> Result<Requirements, Invalid> {
    use wit::{SessionAttributes as Session, StatementAttributes as Statement};
    let (session, statement) = (given.session, given.statement);
    let mut session_parameters =
        list("session-parameters", given.session_parameters, |p| name("a parameter's name", p))?;
    session_parameters.sort();
    Ok(Requirements {
        session: SessionNeeds {
            user: session.contains(Session::USER),
            database: session.contains(Session::DATABASE),
            application: session.contains(Session::APPLICATION),
            client_address: session.contains(Session::CLIENT_ADDRESS),
            tls_subject: session.contains(Session::TLS_SUBJECT),
        },
        session_parameters,
        statement: StatementNeeds {
            tables: statement.contains(Statement::TABLES),
            functions: statement.contains(Statement::FUNCTIONS),
            hints: statement.contains(Statement::HINTS),
            normalized_text: statement.contains(Statement::NORMALIZED_TEXT),
            raw_text: statement.contains(Statement::RAW_TEXT),
            parameters: statement.contains(Statement::PARAMETERS),
        },
    })
}

struct Check<'a> {
    facts: &'a Facts,
}

impl Check<'_> {
    fn node(&self, id: u32) -> Result<NodeId, Invalid> {
        let known = u16::try_from(id).map(NodeId).ok().filter(|id| self.facts.node(*id).is_some());
        known.ok_or(Invalid::NoSuchNode { id })
    }

    fn target(&self, given: wit::Target) -> Result<Target, Invalid> {
        Ok(match given {
            wit::Target::Primary => Target::Primary,
            wit::Target::Node(id) => Target::Node(self.node(id)?),
            wit::Target::Replicas(set) => Target::Replicas(self.replicas(set)?),
        })
    }

    fn replicas(&self, given: wit::ReplicaSet) -> Result<ReplicaSet, Invalid> {
        check_len("nodes", given.selector.nodes.len(), NODES_MAX)?;
        let nodes = given.selector.nodes.into_iter().map(|id| self.node(id));
        Ok(ReplicaSet {
            nodes: nodes.collect::<Result<_, _>>()?,
            labels: list("labels", given.selector.labels, label)?,
            freshness: freshness(given.freshness)?,
            balance: balance(given.balance),
            include_primary: given.include_primary,
        })
    }

    fn split(&self, shares: Vec<wit::Share>) -> Result<Destination, Invalid> {
        if shares.iter().all(|share| share.weight == 0) {
            return Err(Invalid::Weightless);
        }
        let share = |share: wit::Share| Ok((share.weight, self.target(share.target)?));
        list("shares", shares, share).map(Destination::Split)
    }
}

fn freshness(given: wit::Freshness) -> Result<Freshness, Invalid> {
    Ok(Freshness {
        max_lag_bytes: given.max_lag_bytes,
        max_lag: given.max_lag.map(millis),
        causality: match given.causality {
            wit::Causality::None => Causality::None,
            wit::Causality::OwnWrites => Causality::OwnWrites,
            wit::Causality::KeyWrites(key) => Causality::KeyWrites(name("a causality key", key)?.into()),
            wit::Causality::Position(lsn) => Causality::Position(Lsn(lsn)),
        },
        wait: millis(given.wait),
    })
}

fn balance(given: wit::Balance) -> Balance {
    match given {
        wit::Balance::LeastBusy => Balance::LeastBusy,
        wit::Balance::RoundRobin => Balance::RoundRobin,
        wit::Balance::WeightedRandom => Balance::WeightedRandom,
        wit::Balance::SessionAffine => Balance::SessionAffine,
        wit::Balance::LowestLag => Balance::LowestLag,
    }
}

fn hold(given: wit::Hold) -> Hold {
    match given {
        wit::Hold::Statement => Hold::Statement,
        wit::Hold::Transaction => Hold::Transaction,
        wit::Hold::Session => Hold::Session,
        wit::Hold::ForTime(time) => Hold::For(millis(time)),
    }
}

/// For how long, and by which parameters, in order.
fn reuse(given: wit::Reuse) -> Result<(Option<Duration>, Vec<u16>), Invalid> {
    check_len("vary-parameters", given.vary_parameters.len(), LIST_MAX)?;
    Ok(match given.scope {
        wit::ReuseScope::Never => (None, Vec::new()),
        wit::ReuseScope::Shape => {
            let mut vary = given.vary_parameters;
            vary.sort_unstable();
            vary.dedup();
            (Some(given.max_age.map_or(Duration::MAX, millis)), vary)
        }
    })
}

fn refusal(given: wit::Refusal) -> Result<Refusal, Invalid> {
    Ok(Refusal {
        sqlstate: sqlstate(given.sqlstate)?,
        message: line("the message", given.message, TEXT_MAX_BYTES)?,
        detail: given.detail.map(|text| lines("the detail", text)).transpose()?,
        hint: given.hint.map(|text| lines("the hint", text)).transpose()?,
        close_session: given.close_session,
    })
}

/// Classes 00, 01 and 02 are success, warning and no data.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn sqlstate(given: String) -> Result<[u8; 5], Invalid> {
    let syntax = |code: &[u8; 5]| code.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let error = |code: &[u8; 5]| !matches!(code, [b'0', b'0'..=b'2', ..]);
    <[u8; 5]>::try_from(given.as_bytes())
        .ok()
        .filter(|code| syntax(code) && error(code))
        .ok_or(Invalid::SqlState { sqlstate: super::host::one_line(&given, NAME_MAX_BYTES) })
}

fn label((key, value): (String, String)) -> Result<(String, String), Invalid> {
    let value = line_or_nothing("a label's value", value, NAME_MAX_BYTES)?;
    Ok((name("a label's name", key)?, value))
}

fn name(text: &'static str, given: String) -> Result<String, Invalid> {
    line(text, given, NAME_MAX_BYTES)
}

fn line(text: &'static str, given: String, max: usize) -> Result<String, Invalid> {
    if given.is_empty() { Err(Invalid::Empty { text }) } else { line_or_nothing(text, given, max) }
}

fn line_or_nothing(text: &'static str, given: String, max: usize) -> Result<String, Invalid> {
    if given.len() > max {
        Err(Invalid::TooLong { text, bytes: given.len(), max })
    } else if given.chars().any(char::is_control) {
        Err(Invalid::ControlCharacter { text })
    } else {
        Ok(given)
    }
}

/// PostgreSQL's own details and hints have line breaks.
fn lines(text: &'static str, given: String) -> Result<String, Invalid> {
    given.split('\n').try_for_each(|part| line_or_nothing(text, part.to_owned(), TEXT_MAX_BYTES).map(drop))?;
    check_text(text, given.len())?;
    Ok(given)
}

fn check_text(text: &'static str, bytes: usize) -> Result<(), Invalid> {
    let max = TEXT_MAX_BYTES;
    if bytes > max { Err(Invalid::TooLong { text, bytes, max }) } else { Ok(()) }
}

fn check_len(list: &'static str, count: usize, max: usize) -> Result<(), Invalid> {
    if count > max { Err(Invalid::TooMany { list, count, max }) } else { Ok(()) }
}

fn list<G, R>(
    which: &'static str,
    given: Vec<G>,
    check: impl FnMut(G) -> Result<R, Invalid>,
) -> Result<Vec<R>, Invalid> {
    check_len(which, given.len(), LIST_MAX)?;
    given.into_iter().map(check).collect()
}

fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

#[cfg(test)]
mod tests;

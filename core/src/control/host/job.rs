//! What can be asked of a node's machine: a job is a few fixed steps, and its answer is what the machine looks like
//! afterwards.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Most bytes of an operation's name; it becomes part of file names.
const OP_MAX_BYTES: usize = 64;

/// Steps to take on one node's machine, one after the other, as one piece of work.
///
/// They go together because not every executor reaches a node twice: one that works through the node's own SQL has
/// nobody to talk to once the node is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The operation in the cluster's log that this belongs to; `HOWDAH_OP_ID` for commands of the operator.
    pub op: String,
    /// The epoch in which it was decided; `HOWDAH_EPOCH`.
    pub epoch: u64,
    /// What to do. All of them may be repeated: what is done already is not done again.
    pub steps: Vec<Step>,
    /// Longest time for all of them together.
    pub limit: Duration,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Nothing but the look around that ends every job.
    Status,
    /// Stop the server, if it runs.
    Stop(StopMode),
    /// Start the server, if it does not run. Only as a standby: without `standby.signal` the step fails.
    Start(Warrant),
    /// `standby.signal`, and whom to follow, in the data directory of a node that is down or up.
    Follow(Upstream),
    /// No `standby.signal` and nobody to follow any more, on a primary that runs: it stays one.
    Disarm,
    /// `pg_rewind` a node that is down to the history of `source`. Its configuration files stay as they are.
    Rewind(Rewind),
    /// `pg_basebackup` in the place of what is there. Its configuration files stay as they are.
    Rebuild(Rebuild),
}

impl Step {
    /// Its name in scripts and log lines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Stop(_) => "stop",
            Self::Start(_) => "start",
            Self::Follow(_) => "follow",
            Self::Disarm => "disarm",
            Self::Rewind(_) => "rewind",
            Self::Rebuild(_) => "rebuild",
        }
    }
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopMode {
    /// Sessions are ended; the last record of the log is the shutdown's, and standbys have it.
    Fast,
    /// As a crash: nothing more is written.
    Immediate,
}

impl StopMode {
    /// `pg_ctl`'s word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// On whose account a node that is down is started. There is no other account, whatever the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warrant {
    /// An operator's REJOIN.
    Rejoin,
    /// An operator's REINIT.
    Reinit,
    /// An operator's SWITCHOVER, which stopped the node itself.
    Switchover,
}

impl fmt::Display for Warrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejoin => "REJOIN",
            Self::Reinit => "REINIT",
            Self::Switchover => "SWITCHOVER",
        })
    }
}

/// How one node reaches another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Host name, address or the directory of a unix socket, as seen from the machine of the job.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whom to log in as.
    pub user: String,
    /// The database, for what reads more than the log.
    pub database: String,
    /// The password; `None` leaves it to the password file of the machine.
    pub password: Option<Password>,
    /// libpq's `sslmode`; `None` leaves it to libpq.
    pub sslmode: Option<String>,
}

/// A password on its way to a machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Whom a standby follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// From where.
    pub source: Source,
    /// The follower's own name, its `application_name` there.
    pub name: String,
    /// Its slot there, which exists already.
    pub slot: Option<String>,
    /// Others that may be the primary by the time that the follower looks; it follows the one that is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Address>,
}

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// As [`Source::host`].
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What `pg_rewind` needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewind {
    /// The node whose history wins.
    pub source: Source,
    /// Keep the log from here on, which nobody else has.
    pub keep: Option<KeepFrom>,
}

/// What `pg_basebackup` needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuild {
    /// The node that is copied.
    pub source: Source,
    /// A slot on it that keeps the log meanwhile, which exists already.
    pub slot: Option<String>,
    /// Kibibytes per second at most.
    pub max_rate_kib: Option<u32>,
    /// Keep the log from here on, which nobody else has.
    pub keep: Option<KeepFrom>,
}

/// A place in the log: its segment's name begins with the timeline, and later segments have greater names.
///
/// <https://www.postgresql.org/docs/current/continuous-archiving.html>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepFrom {
    /// The name of the first segment to keep.
    pub segment: String,
}

/// Why a job makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not what a job accepts")]
pub struct Unfit {
    /// Which part of it.
    pub what: &'static str,
}

impl Job {
    /// What ends up in names and files is of the form that it must have. Whoever carries out a job asks this first,
    /// wherever the job comes from.
    pub fn check(&self) -> Result<(), Unfit> {
        let fit = |is: bool, what| if is { Ok(()) } else { Err(Unfit { what }) };
        let is_op = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        fit((1..=OP_MAX_BYTES).contains(&self.op.len()) && self.op.chars().all(is_op), "the operation's name")?;
        fit(!self.limit.is_zero(), "the time limit")?;
        for step in &self.steps {
            match step {
                Step::Status | Step::Stop(_) | Step::Start(_) | Step::Disarm => {}
                Step::Follow(upstream) => {
                    upstream.source.check()?;
                    fit(is_line(&upstream.name), "the follower's name")?;
                    fit(upstream.slot.as_deref().is_none_or(is_slot), "the slot's name")?;
                    let are_hosts = upstream.others.iter().all(|other| is_line(&other.host) && !other.host.is_empty());
                    fit(are_hosts, "another source's host")?;
                }
                Step::Rewind(rewind) => {
                    rewind.source.check()?;
                    fit(rewind.keep.as_ref().is_none_or(KeepFrom::is_segment), "the segment to keep")?;
                }
                Step::Rebuild(rebuild) => {
                    rebuild.source.check()?;
                    fit(rebuild.slot.as_deref().is_none_or(is_slot), "the slot's name")?;
                    fit(rebuild.keep.as_ref().is_none_or(KeepFrom::is_segment), "the segment to keep")?;
                }
            }
        }
        Ok(())
    }

    /// Whether anything would be different afterwards.
    pub fn is_a_look(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Status))
    }
}

impl Source {
    fn check(&self) -> Result<(), Unfit> {
        let fit = |is: bool, what| if is { Ok(()) } else { Err(Unfit { what }) };
        fit(is_line(&self.host) && !self.host.is_empty(), "the source's host")?;
        fit(is_line(&self.user) && is_line(&self.database), "the source's user or database")?;
        fit(self.password.as_ref().is_none_or(|password| is_line(&password.0)), "the source's password")?;
        fit(self.sslmode.as_deref().is_none_or(is_line), "the source's sslmode")
    }
}

impl KeepFrom {
    fn is_segment(&self) -> bool {
        self.segment.len() == 24 && self.segment.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
    }
}

/// Configuration files and password files know no newline inside of a value.
fn is_line(text: &str) -> bool {
    !text.contains(['\0', '\n', '\r'])
}

/// <https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION>
fn is_slot(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

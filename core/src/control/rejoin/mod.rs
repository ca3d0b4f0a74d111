//! Brings a node back as a standby of the primary: REJOIN, and REINIT, which rebuilds without asking further.
//!
//! [`Rejoin::run`] is the story. [`decide`] chooses the course by the fork, [`facts`] has the SQL, the
//! [`host`](super::host) does the rest. Nobody comes here but on an operator's order: nothing else starts a node that
//! is down.

pub mod decide;
mod facts;
pub mod history;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::{
    decide::{Activity, Course, Decision, PrimaryFacts, ReturningNode, Stranger, decide},
    facts::{Talk, returning_by},
};
use super::{
    ControlLogin,
    host::{
        Host, HostError, Job, KeepFrom, Listen, Password, Rebuild, Rewind, Source, Step, StopMode, Upstream, Warrant,
    },
};
use crate::{
    auth::Secret,
    config::{Cluster, Node},
    net::tls,
    server::{ConnectError, simple::QueryError},
};

/// Since this version `pg_rewind` does not rely on the source's control file.
const REWIND_READS_HISTORY: u32 = 160_000;

/// Between two looks whether the node streams.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The whole undertaking.
pub struct Rejoin<'a, H> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The node that comes back.
    pub node: &'a Node,
    /// The primary, which the caller knows to be one.
    pub primary: &'a Node,
    /// How to log in to either.
    pub login: &'a ControlLogin,
    /// The node's machine.
    pub host: &'a H,
    /// The operation in the cluster's log.
    pub op: String,
    /// Its epoch.
    pub epoch: u64,
    /// The node's slot on the primary, made if need be.
    pub slot: Option<String>,
    /// What the operator ordered.
    pub order: Order,
    /// Kibibytes per second that a rebuild may read.
    pub max_rate_kib: Option<u32>,
    /// Limit of each connect.
    pub connect_timeout: Duration,
    /// How long the node has, once it runs, until it streams.
    pub streaming_timeout: Duration,
}

/// What an operator may order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The gentlest way back, but nothing is rebuilt.
    Rejoin,
    /// The gentlest way back, and if that is a rebuild, a rebuild.
    RejoinOrRebuild,
    /// A rebuild.
    Reinit,
}

/// How the node came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejoined {
    /// What was done, and why.
    pub decision: Decision,
    /// The timeline that it streams on.
    pub timeline: u32,
}

/// Why the node is not back.
#[derive(Debug, thiserror::Error)]
pub enum RejoinError {
    /// It is none of ours.
    #[error("{node} is left alone")]
    Stranger {
        /// The node.
        node: String,
        /// Whose it is.
        #[source]
        cause: Stranger,
    },
    /// The primary is none.
    #[error("{node} is not a primary")]
    NoPrimary {
        /// The supposed primary.
        node: String,
    },
    /// It has to be rebuilt, and that was not ordered.
    #[error("{node} has to be rebuilt: {why}; REINIT does that")]
    NeedsRebuild {
        /// The node.
        node: String,
        /// Why.
        why: String,
    },
    /// A node could not be asked.
    #[error("could not log in to {node}")]
    Connect {
        /// Which.
        node: String,
        /// Why.
        #[source]
        cause: Box<ConnectError>,
    },
    /// A node refused.
    #[error("{node} refused {what}")]
    Query {
        /// Which.
        node: String,
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        cause: Box<QueryError>,
    },
    /// A node answered what makes no sense.
    #[error("{node}: the answer about {what} makes no sense")]
    Nonsense {
        /// Which.
        node: String,
        /// About what.
        what: &'static str,
    },
    /// The machine.
    #[error("the work on the machine of {node} failed")]
    Host {
        /// Whose.
        node: String,
        /// Why.
        #[source]
        cause: Box<HostError>,
    },
    /// All was done, and it does not stream. It is not to be trusted with reads.
    #[error("{node} does not stream from {primary} after {limit:?}: {why}")]
    NotStreaming {
        /// The node.
        node: String,
        /// Its primary.
        primary: String,
        /// How long it had.
        limit: Duration,
        /// What it does instead.
        why: String,
    },
}

impl<H: Host> Rejoin<'_, H> {
    /// Looks, decides, acts, and then believes only what the node says itself.
    pub async fn run(&self, listen: &mut dyn Listen) -> Result<Rejoined, RejoinError> {
        let mut primary = self.talk(self.primary).await.map_err(|cause| self.connect(self.primary, cause))?;
        let facts = primary.primary().await?;
        let node = self.look(&facts, listen).await?;
        let decision = self.choose(&node, &facts)?;
        listen.line(&format!("{}: {}, because {}", self.node.name, decision.course, decision.why));

        if let Some(slot) = &self.slot {
            primary.have_slot(slot).await?;
        }
        if decision.course == Course::Rewind && facts.version < REWIND_READS_HISTORY {
            listen.line(&format!("CHECKPOINT on {}, so that its control file tells its timeline", self.primary.name));
            primary.checkpoint().await?;
        }
        if decision.course == Course::Follow && node.activity == Activity::Standby {
            let mut talk = self.talk(self.node).await.map_err(|cause| self.connect(self.node, cause))?;
            talk.follow(&self.upstream()).await?;
        } else {
            self.work(self.steps(&node, &decision, &facts), listen).await?;
        }
        self.verify(facts.timeline).await?;
        Ok(Rejoined { decision, timeline: facts.timeline })
    }

    /// What the node is. One that has to go down anyway is stopped first: what it has written last is then known.
    async fn look(&self, facts: &PrimaryFacts, listen: &mut dyn Listen) -> Result<ReturningNode, RejoinError> {
        let by_sql = match self.talk(self.node).await {
            Ok(mut talk) => Some(talk.returning().await?),
            // Over SQL alone nothing can be done for a node that does not answer.
            Err(cause) if !self.host.reaches_a_node_that_is_down() => return Err(self.connect(self.node, cause)),
            Err(_) => None,
        };
        if let Some(node) = by_sql {
            if self.is_left_running(&node, facts) || !self.host.reaches_a_node_that_is_down() {
                return Ok(node);
            }
            let state = self.work(vec![Step::Stop(self.stop_mode(&node, facts))], listen).await?;
            return Ok(returning_by(&state));
        }
        let state = self.work(vec![Step::Status], listen).await?;
        if !state.running {
            return Ok(returning_by(&state));
        }
        if state.control.as_ref().is_some_and(|control| control.system != facts.system) {
            return Ok(returning_by(&state));
        }
        let state = self.work(vec![Step::Stop(StopMode::Immediate)], listen).await?;
        Ok(returning_by(&state))
    }

    /// A standby that only has to be told whom to follow goes on running, and so does what we are going to refuse.
    fn is_left_running(&self, node: &ReturningNode, facts: &PrimaryFacts) -> bool {
        match (decide(node, facts).map(|decision| decision.course), self.order) {
            (Err(_), _) | (Ok(Course::Rebuild), Order::Rejoin) => true,
            (Ok(Course::Follow), Order::Rejoin | Order::RejoinOrRebuild) => node.activity == Activity::Standby,
            _ => false,
        }
    }

    fn choose(&self, node: &ReturningNode, facts: &PrimaryFacts) -> Result<Decision, RejoinError> {
        let stranger = |cause| RejoinError::Stranger { node: self.node.name.to_string(), cause };
        let decision = decide(node, facts).map_err(stranger)?;
        match (self.order, decision.course) {
            (Order::Reinit, _) => {
                Ok(Decision { course: Course::Rebuild, why: "REINIT was ordered".into(), fork: decision.fork })
            }
            (Order::Rejoin, Course::Rebuild) => {
                Err(RejoinError::NeedsRebuild { node: self.node.name.to_string(), why: decision.why })
            }
            _ => Ok(decision),
        }
    }

    /// A shutdown writes one more record. Where nothing is beyond the fork yet, that one would be the first.
    fn stop_mode(&self, node: &ReturningNode, facts: &PrimaryFacts) -> StopMode {
        let follows = decide(node, facts).is_ok_and(|decision| decision.course == Course::Follow);
        if follows && node.activity == Activity::Primary { StopMode::Immediate } else { StopMode::Fast }
    }

    fn steps(&self, node: &ReturningNode, decision: &Decision, facts: &PrimaryFacts) -> Vec<Step> {
        let mut steps = Vec::new();
        if decision.course == Course::Follow {
            // First, so that whoever restarts it gets a standby.
            steps.push(Step::Follow(self.upstream()));
        }
        if node.activity != Activity::Down {
            steps.push(Step::Stop(self.stop_mode(node, facts)));
        }
        let keep = self.keep_from(node, decision, facts);
        match decision.course {
            Course::Follow => {}
            Course::Rewind => steps.push(Step::Rewind(Rewind { source: self.source(), keep })),
            Course::Rebuild => steps.push(Step::Rebuild(Rebuild {
                source: self.replication_source(),
                slot: self.slot.clone(),
                max_rate_kib: self.max_rate_kib,
                keep,
            })),
        }
        let warrant = if self.order == Order::Reinit { Warrant::Reinit } else { Warrant::Rejoin };
        if decision.course != Course::Follow {
            steps.push(Step::Follow(self.upstream()));
        }
        steps.push(Step::Start(warrant));
        steps
    }

    /// The segment that the fork is in; all of the timeline when it has none.
    fn keep_from(&self, node: &ReturningNode, decision: &Decision, facts: &PrimaryFacts) -> Option<KeepFrom> {
        let is_wanted = self.node.executor.keep_diverged && decision.course != Course::Follow && node.system.is_some();
        let number = decision.fork.map_or(0, |fork| fork.0.checked_div(facts.segment_bytes).unwrap_or(0));
        let in_one_file = 0x1_0000_0000_u64.checked_div(facts.segment_bytes).unwrap_or(1).max(1);
        let (high, low) = (number / in_one_file, number % in_one_file);
        is_wanted.then(|| KeepFrom { segment: format!("{:08X}{high:08X}{low:08X}", node.timeline) })
    }

    async fn work(&self, steps: Vec<Step>, listen: &mut dyn Listen) -> Result<super::host::NodeState, RejoinError> {
        let job = Job { op: self.op.clone(), epoch: self.epoch, steps, limit: self.node.executor.timeout };
        let failed = |cause| RejoinError::Host { node: self.node.name.to_string(), cause: Box::new(cause) };
        self.host.carry_out(&job, listen).await.map_err(failed)
    }

    async fn verify(&self, timeline: u32) -> Result<(), RejoinError> {
        let end = Instant::now() + self.streaming_timeout;
        let mut talk = None;
        loop {
            let why = match self.ask_whether_it_streams(&mut talk, timeline).await {
                Ok(None) => return Ok(()),
                Ok(Some(why)) => why,
                Err(error) => {
                    talk = None;
                    error.to_string()
                }
            };
            if Instant::now() >= end {
                let (node, primary) = (self.node.name.to_string(), self.primary.name.to_string());
                return Err(RejoinError::NotStreaming { node, primary, limit: self.streaming_timeout, why });
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn ask_whether_it_streams(
        &self,
        talk: &mut Option<Talk>,
        timeline: u32,
    ) -> Result<Option<String>, RejoinError> {
        let mut open = match talk.take() {
            Some(open) => open,
            None => self.talk(self.node).await.map_err(|cause| self.connect(self.node, cause))?,
        };
        let answer = open.not_streaming(timeline).await?;
        *talk = Some(open);
        Ok(answer)
    }

    async fn talk(&self, node: &Node) -> Result<Talk, ConnectError> {
        Talk::open(&self.login.target(self.cluster, node, self.connect_timeout)).await
    }

    fn connect(&self, node: &Node, cause: ConnectError) -> RejoinError {
        RejoinError::Connect { node: node.name.to_string(), cause: Box::new(cause) }
    }

    fn source(&self) -> Source {
        source(self.cluster, self.primary, self.login)
    }

    fn replication_source(&self) -> Source {
        replication_source(self.cluster, self.primary, self.login)
    }

    fn upstream(&self) -> Upstream {
        let source = self.replication_source();
        Upstream { source, name: self.node.name.to_string(), slot: self.slot.clone(), others: Vec::new() }
    }
}

/// A node as `pg_rewind` reaches it: as the control user.
pub fn source(cluster: &Cluster, node: &Node, login: &ControlLogin) -> Source {
    let password = match &login.secret {
        Some(Secret::Plain(password)) => Some(Password(password.to_string())),
        // What is stored is not the password; the machine has to know it.
        _ => None,
    };
    Source {
        host: node.host.to_string(),
        port: node.port,
        user: cluster.control_user.clone(),
        database: cluster.control_database.clone(),
        password,
        sslmode: Some(tls::word(login.tls.mode).to_owned()),
    }
}

/// A node as standbys reach it.
pub fn replication_source(cluster: &Cluster, node: &Node, login: &ControlLogin) -> Source {
    let as_control_user = source(cluster, node, login);
    match &cluster.replication_user {
        None => as_control_user,
        Some(user) => {
            let password = cluster.replication_password.as_deref().map(|password| Password(password.to_owned()));
            Source { user: user.clone(), password, ..as_control_user }
        }
    }
}

//! Who carries out effects: over a node's [`Voice`], on its machine, or on the traffic of this proxy.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    effects,
    voice::{Turn, Voice, VoiceError},
};
use crate::{
    cluster::action::{Effect, Finding, Outcome, Task},
    config::types::{Cluster, SwitchoverPinned},
    control::{
        dial::{ControlLogin, in_words},
        host::{Address, Executor, Host, Job, Step, StopMode, Upstream, Warrant},
        monitor::MonitorHandle,
        rejoin::{self, Rejoin},
    },
    facts::Traffic,
};

/// How often the traffic of a node is looked at while it ends.
const DRAIN_LOOK: Duration = Duration::from_millis(2);

/// Limit of a connect on the way to a machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a node that comes back has, once it runs, until it streams.
const STREAMING_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Hands {
    cluster: Mutex<Arc<Cluster>>,
    monitor: Arc<MonitorHandle>,
    traffic: Arc<dyn Traffic>,
    login: Mutex<ControlLogin>,
    pinned: Mutex<SwitchoverPinned>,
    voices: Mutex<HashMap<Arc<str>, Arc<Voice>>>,
}

impl Hands {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        monitor: Arc<MonitorHandle>,
        traffic: Arc<dyn Traffic>,
        login: ControlLogin,
        pinned: SwitchoverPinned,
    ) -> Self {
        let (cluster, login) = (Mutex::new(Arc::clone(cluster)), Mutex::new(login));
        Self { cluster, monitor, traffic, login, pinned: Mutex::new(pinned), voices: Mutex::default() }
    }

    /// Another configuration of the cluster.
    pub(super) fn reconfigure(&self, cluster: &Arc<Cluster>, login: ControlLogin, pinned: SwitchoverPinned) {
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(cluster);
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = login;
        *self.pinned.lock().unwrap_or_else(PoisonError::into_inner) = pinned;
    }

    fn login(&self) -> ControlLogin {
        self.login.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cluster(&self) -> Arc<Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Carries out one effect; says how it ended.
    pub(super) async fn carry_out(self: Arc<Self>, task: Task, warrant: Warrant) -> Outcome {
        let until = Instant::now() + task.within;
        match &task.effect {
            Effect::CloseServers => {
                self.traffic.close_servers(&self.cluster().name, &task.node);
                Outcome::Done(Finding::Nothing)
            }
            Effect::Drain => self.drain(&task, until).await,
            Effect::Stop | Effect::Start | Effect::Rewind { .. } | Effect::Rebuild { .. } => {
                outcome(self.on_the_machine(&task, until, warrant).await)
            }
            Effect::Arm { .. } | Effect::Disarm => outcome(self.arm(&task, until, warrant).await),
            _ => outcome(self.over_sql(&task, until).await),
        }
    }

    async fn over_sql(&self, task: &Task, until: Instant) -> Result<Finding, VoiceError> {
        let voice = self.voice(&task.node)?;
        let mut turn = voice.turn(task.term, until).await?;
        if let Some(outcome) = effects::carry_out(&mut turn, &task.effect).await {
            return outcome;
        }
        match &task.effect {
            Effect::Reattach { upstream, slot } => {
                let follower = self.upstream(&task.node, upstream, slot.clone())?;
                effects::attach(&mut turn, &follower).await
            }
            Effect::FastForward { upstream, until } => {
                let follower = self.upstream(&task.node, upstream, None)?;
                effects::fast_forward(&mut turn, &follower, *until).await
            }
            Effect::RecordFork => self.record_fork(&mut turn).await,
            Effect::Repoint { upstream, slot, create_slot } => {
                let follower = self.upstream(&task.node, upstream, slot.clone())?;
                let voice = self.voice(upstream)?;
                // One turn at a time: the upstream's is given back before the standby is waited for.
                let timeline = {
                    let mut above = voice.turn(task.term, until).await?;
                    effects::receive_at(&mut above, slot.as_deref().filter(|_| *create_slot)).await?
                };
                effects::repoint(&mut turn, &follower, timeline).await
            }
            Effect::DropSlots => effects::drop_slots(&mut turn, &self.slots()).await,
            other => Err(VoiceError::Refused(format!("{} is not done over SQL", other.word()))),
        }
    }

    async fn record_fork(&self, turn: &mut Turn<'_>) -> Result<Finding, VoiceError> {
        let timeline = effects::timeline(turn).await?;
        let fork = effects::fork_of(turn, timeline).await?;
        effects::record_fork(turn, fork).await
    }

    /// Waits until nobody is in a transaction at the node.
    async fn drain(&self, task: &Task, until: Instant) -> Outcome {
        let cluster = self.cluster().name.clone();
        if let Err(why) = self.part_from_servers(&cluster, &task.node) {
            return Outcome::Failed(why);
        }
        loop {
            let left = self.traffic.in_transaction(&cluster, &task.node);
            if left == 0 {
                return Outcome::Done(Finding::Nothing);
            }
            if Instant::now() >= until {
                return Outcome::Failed(format!("{left} clients are still in a transaction"));
            }
            sleep(DRAIN_LOOK).await;
        }
    }

    /// Sessions that keep a server of the node do not let go of it by themselves.
    fn part_from_servers(&self, cluster: &str, node: &str) -> Result<(), String> {
        let kept = self.traffic.kept_servers(cluster, node);
        let pinned = *self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        match (kept.first(), pinned) {
            (None, _) => Ok(()),
            (Some(_), SwitchoverPinned::Disconnect) => {
                self.traffic.dismiss(cluster, node);
                Ok(())
            }
            (Some(first), SwitchoverPinned::Refuse) => Err(format!(
                "{} sessions keep their server, client {} of {}@{} for one ({}): SHOW PINS has them all, and \
                 switchover_pinned = \"disconnect\" ends them",
                kept.len(),
                first.client,
                first.user,
                first.database,
                first.causes.join(", ")
            )),
        }
    }

    /// The settings by SQL, because the server runs; what makes a standby of it at its next start, on its machine.
    async fn arm(&self, task: &Task, until: Instant, warrant: Warrant) -> Result<Finding, VoiceError> {
        let upstream = self.whom_it_will_follow(task)?;
        let voice = self.voice(&task.node)?;
        effects::aim(&mut voice.turn(task.term, until).await?, upstream.as_ref()).await?;
        self.on_the_machine(task, until, warrant).await?;
        // What a standby must have before the primary's place is its own.
        effects::end_of_log(&mut voice.turn(task.term, until).await?).await
    }

    /// Something on the node's machine.
    async fn on_the_machine(&self, task: &Task, until: Instant, warrant: Warrant) -> Result<Finding, VoiceError> {
        match timeout_at(until, self.with_the_executor(task, warrant)).await {
            Ok(Ok(())) => Ok(Finding::Nothing),
            Ok(Err(why)) => Err(VoiceError::Refused(why)),
            Err(_) => Err(VoiceError::Lost("it did not end in time".to_owned())),
        }
    }

    async fn with_the_executor(&self, task: &Task, warrant: Warrant) -> Result<(), String> {
        let (cluster, login) = (self.cluster(), self.login());
        let find = |name: &str| {
            let found = cluster.nodes.iter().find(|node| *node.name == *name);
            found.ok_or_else(|| format!("no node is named {name}"))
        };
        let node = find(&task.node)?;
        let executor =
            Executor::of(&cluster, node, &login, CONNECT_TIMEOUT).map_err(|error| in_words(&error).to_string())?;
        let op = format!("op-{}", task.operation);
        let mut hear = |line: &str| tracing::info!(node = &*task.node, op, "{line}");
        let (source, slot, order, max_rate_kib) = match &task.effect {
            Effect::Rewind { source, slot, .. } => (source, slot, rejoin::Order::Rejoin, None),
            Effect::Rebuild { source, slot, max_rate_kib, .. } => (source, slot, rejoin::Order::Reinit, *max_rate_kib),
            effect => {
                let mut steps = vec![self.step(task, effect, warrant).map_err(|error| error.to_string())?];
                if matches!(effect, Effect::Stop) && !executor.reaches_a_node_that_is_down() {
                    // Nobody could start it later. It comes up as the standby that it was armed to be.
                    steps.push(Step::Start(warrant));
                }
                let job = Job { op: op.clone(), epoch: task.term, steps, limit: task.within };
                let done = executor.carry_out(&job, &mut hear).await;
                return done.map(drop).map_err(|error| in_words(&error).to_string());
            }
        };
        let back = Rejoin {
            cluster: &cluster,
            node,
            primary: find(source)?,
            login: &login,
            host: &executor,
            op: op.clone(),
            epoch: task.term,
            slot: slot.clone(),
            order,
            max_rate_kib,
            connect_timeout: CONNECT_TIMEOUT,
            streaming_timeout: STREAMING_TIMEOUT,
        };
        back.run(&mut hear).await.map(drop).map_err(|error| in_words(&error).to_string())
    }

    fn step(&self, task: &Task, effect: &Effect, warrant: Warrant) -> Result<Step, VoiceError> {
        Ok(match effect {
            Effect::Stop => Step::Stop(StopMode::Fast),
            Effect::Start => Step::Start(warrant),
            Effect::Arm { .. } | Effect::Disarm => self.whom_it_will_follow(task)?.map_or(Step::Disarm, Step::Follow),
            other => return Err(VoiceError::Refused(format!("{} is not done on a machine", other.word()))),
        })
    }

    /// Nobody, when it is disarmed.
    fn whom_it_will_follow(&self, task: &Task) -> Result<Option<Upstream>, VoiceError> {
        match &task.effect {
            Effect::Arm { upstream: Some(upstream), slot } => {
                self.upstream(&task.node, upstream, slot.clone()).map(Some)
            }
            Effect::Arm { upstream: None, slot } => self.whoever_leads(&task.node, slot.clone()).map(Some),
            _ => Ok(None),
        }
    }

    /// A sign of life on the primary; on others only the session is kept.
    pub(super) async fn beat(&self, node: &str, term: u64, is_primary: bool, within: Duration) {
        let Ok(voice) = self.voice(node) else { return };
        let Ok(mut turn) = voice.turn(term, Instant::now() + within).await else { return };
        let beaten = if is_primary { effects::heartbeat(&mut turn, term).await } else { turn.ready().await };
        if let Err(error) = beaten {
            tracing::debug!(node, "no sign of life: {error}");
        }
    }

    fn voice(&self, node: &str) -> Result<Arc<Voice>, VoiceError> {
        let target = self.monitor.target(node);
        let target = target.ok_or_else(|| VoiceError::Refused(format!("no node is named {node}")))?;
        let mut voices = self.voices.lock().unwrap_or_else(PoisonError::into_inner);
        let voice = match voices.get(node) {
            Some(voice) => {
                voice.aim(target);
                voice
            }
            None => voices.entry(node.into()).or_insert_with(|| Arc::new(Voice::new(target))),
        };
        Ok(Arc::clone(voice))
    }

    /// How that node follows another.
    fn upstream(&self, node: &str, upstream: &str, slot: Option<String>) -> Result<Upstream, VoiceError> {
        let (cluster, login) = (self.cluster(), self.login());
        let found = cluster.nodes.iter().find(|other| *other.name == *upstream);
        let found = found.ok_or_else(|| VoiceError::Refused(format!("no node is named {upstream}")))?;
        let source = rejoin::replication_source(&cluster, found, &login);
        Ok(Upstream { source, name: node.to_owned(), slot, others: Vec::new() })
    }

    /// How that node follows whichever of the others is the primary.
    fn whoever_leads(&self, node: &str, slot: Option<String>) -> Result<Upstream, VoiceError> {
        let cluster = self.cluster();
        let mut others = cluster.nodes.iter().filter(|other| *other.name != *node);
        let first = others.next().ok_or_else(|| VoiceError::Refused("it is the only node".to_owned()))?;
        let mut upstream = self.upstream(node, &first.name, slot)?;
        upstream.others = others.map(|other| Address { host: other.host.to_string(), port: other.port }).collect();
        Ok(upstream)
    }

    /// The slots of all nodes.
    fn slots(&self) -> Vec<String> {
        super::settings::of(&self.cluster()).nodes.into_iter().filter_map(|node| node.slot).collect()
    }
}

fn outcome(done: Result<Finding, VoiceError>) -> Outcome {
    match done {
        Ok(finding) => Outcome::Done(finding),
        Err(VoiceError::Refused(why) | VoiceError::NotEntered(why)) => Outcome::Failed(why),
        Err(VoiceError::Lost(why)) => Outcome::Unknown(why),
    }
}

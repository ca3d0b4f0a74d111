//! The steward of one cluster: carries out what the [`Machine`] decides, and tells it what came of it.
//!
//! It keeps the four promises of [`cluster::action`](crate::cluster::action). [`log`] is what outlives the
//! proxy, [`voice`] the one session over which a node is acted on, [`effects`] what is done over it, [`hands`]
//! who does it, [`publish`] what sessions and operators hear.

mod alarm;
mod effects;
mod hands;
mod log;
mod publish;
mod settings;
mod voice;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

pub use self::log::LogError;
use self::{hands::Hands, log::OperationLog, publish::Publisher};
use super::{dial::ControlLogin, host::Warrant, monitor::MonitorHandle, task::Task};
use crate::{
    cluster::{
        action::{Action, Ask, Event, Order, QuestionId, Ticket},
        machine::Machine,
        operation::{Kind, Record},
        sight::Sight,
        state::State,
    },
    config::types::{Cluster, SwitchoverPinned},
    facts::{StatusCell, Traffic},
    plugin::ControlPolicies,
};

/// Orders and outcomes that may wait. A task whose outcome finds no room waits itself.
const WAITING_MAX: usize = 256;

/// How often the nodes are looked at although nothing was heard: silence makes no sound.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The same while clients wait. Each node is asked as often: 0.1 ms of its time.
const LOOK_IN_HASTE: Duration = Duration::from_millis(20);

/// From one sign of life in the log to the next; standbys that hear none for two of them have lost the primary.
const PULSE: Duration = Duration::from_secs(1);

/// From one attempt to write a record that could not be written to the next.
const LOG_RETRY: Duration = Duration::from_secs(1);

/// Longest time that a policy may take. Its own limits are shorter; this is for a machine that has no time.
const POLICY_PATIENCE: Duration = Duration::from_secs(5);

/// What operators can order, with the answer's way.
type Ordered = (Order, oneshot::Sender<Result<String, String>>);

/// Where the policies of the running generation are.
pub trait PolicySource: Send + Sync {
    /// Those of the cluster.
    fn policies(&self) -> ControlPolicies;
}

/// What a steward needs to begin.
pub struct StewardSpec {
    /// Which nodes, and how they are healed.
    pub cluster: Arc<Cluster>,
    /// Where its log is.
    pub folder: PathBuf,
    /// What sees the nodes, and tells sessions.
    pub monitor: Arc<MonitorHandle>,
    /// What operators see.
    pub status: Arc<StatusCell>,
    /// Clients and their servers.
    pub traffic: Arc<dyn Traffic>,
    /// Who decides what there is to decide.
    pub policies: Arc<dyn PolicySource>,
    /// How nodes are entered.
    pub login: ControlLogin,
    /// What becomes of sessions that keep a server of the old primary in a switchover.
    pub pinned: SwitchoverPinned,
}

/// A running steward. It ends when this is dropped; what was begun goes on with the next that reads the log.
#[derive(Debug)]
pub struct StewardHandle {
    messages: mpsc::Sender<Message>,
    _task: Task,
}

enum Message {
    Ordered(Ordered),
    Happened(Event),
    Reconfigured(Arc<Cluster>, Box<ControlLogin>, SwitchoverPinned),
    LogBack,
}

impl StewardHandle {
    /// Starts on the runtime that this is called on.
    pub fn start(spec: StewardSpec) -> Result<Self, LogError> {
        let (log, record) = OperationLog::open(&spec.folder, &spec.cluster.name)?;
        let (messages, inbox) = mpsc::channel(WAITING_MAX);
        let steward = Steward::new(spec, log, record, messages.clone());
        Ok(Self { messages, _task: Task::start(&Handle::current(), steward.serve(inbox)) })
    }

    /// Orders something; the answer comes when it is over.
    pub fn order(&self, order: Order, answer: oneshot::Sender<Result<String, String>>) {
        if let Err(error) = self.messages.try_send(Message::Ordered((order, answer))) {
            let (mpsc::error::TrySendError::Full(message) | mpsc::error::TrySendError::Closed(message)) = error;
            if let Message::Ordered((_, answer)) = message {
                let _ = answer.send(Err("the cluster's steward takes no orders now".to_owned()));
            }
        }
    }

    /// Another configuration of the same cluster.
    pub fn update(&self, cluster: Arc<Cluster>, login: ControlLogin, pinned: SwitchoverPinned) {
        let messages = self.messages.clone();
        tokio::spawn(async move { messages.send(Message::Reconfigured(cluster, Box::new(login), pinned)).await });
    }
}

struct Steward {
    machine: Machine,
    log: Arc<OperationLog>,
    /// The record that could not be written, until it can.
    unwritten: Option<Box<Record>>,
    began: Instant,
    messages: mpsc::Sender<Message>,
    hands: Arc<Hands>,
    publisher: Publisher,
    monitor: Arc<MonitorHandle>,
    policies: Arc<dyn PolicySource>,
    /// An operation keeps the policies that it began with.
    kept_policies: Option<(u64, ControlPolicies)>,
    answers: HashMap<Ticket, oneshot::Sender<Result<String, String>>>,
    tickets: u64,
}

impl Steward {
    fn new(spec: StewardSpec, log: OperationLog, record: Option<Record>, messages: mpsc::Sender<Message>) -> Self {
        let StewardSpec { cluster, monitor, status, traffic, policies, login, pinned, .. } = spec;
        let drained: Vec<_> = record.iter().flat_map(|record| &record.drained).cloned().collect();
        for node in &drained {
            // It was taken out before the proxy was started anew.
            let _ = monitor.detach(node);
        }
        Self {
            machine: Machine::new(settings::of(&cluster), record),
            log: Arc::new(log),
            unwritten: None,
            began: Instant::now(),
            messages,
            hands: Arc::new(Hands::new(&cluster, Arc::clone(&monitor), traffic, login, pinned)),
            publisher: Publisher::new(&cluster, Arc::clone(&monitor), status),
            monitor,
            policies,
            kept_policies: None,
            answers: HashMap::new(),
            tickets: 0,
        }
    }

    async fn serve(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let look_every = if self.machine.in_haste() { LOOK_IN_HASTE } else { LOOK_EVERY };
            let look_at = Instant::now() + look_every;
            let wake_at = self.machine.wake_at().map_or(look_at, |at| (self.began + at).min(look_at));
            let event = tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => self.event(message).await,
                    None => return,
                },
                () = self.monitor.seen() => Some(Event::Sight(self.monitor.sight())),
                _ = pulse.tick() => {
                    self.beat();
                    None
                }
                () = sleep_until(wake_at) => Some(Event::Sight(self.look())),
            };
            if let Some(event) = event {
                self.take(event).await;
            }
        }
    }

    /// The nodes as they are known to be now. Who is in haste has them asked anew as well, and hears of it later.
    fn look(&self) -> Sight {
        if self.machine.in_haste() {
            self.monitor.look();
        }
        self.monitor.sight()
    }

    /// What a message means to the machine.
    async fn event(&mut self, message: Message) -> Option<Event> {
        match message {
            Message::Happened(event) => Some(event),
            Message::Ordered((order, answer)) => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.answers.insert(ticket, answer);
                Some(Event::Ordered(ticket, order))
            }
            Message::Reconfigured(cluster, login, pinned) => {
                self.hands.reconfigure(&cluster, *login, pinned);
                self.publisher.reconfigure(&cluster);
                Some(Event::Reconfigured(settings::of(&cluster)))
            }
            Message::LogBack => {
                let record = self.unwritten.take()?;
                match self.write(record.clone()).await {
                    Ok(()) => Some(Event::LogBack),
                    Err(_) => {
                        self.retry_log(record);
                        None
                    }
                }
            }
        }
    }

    /// Has the machine decide, and carries it out.
    async fn take(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let actions = self.machine.take(self.began.elapsed(), event);
            next = self.carry_out(actions).await;
        }
        self.publisher.publish(&self.machine.standing(), self.began);
    }

    /// In their order. What stands behind a record that cannot be written is dropped.
    async fn carry_out(&mut self, actions: Vec<Action>) -> Option<Event> {
        for action in actions {
            match action {
                Action::Log(record) => {
                    if let Err(cause) = self.write(record.clone()).await {
                        tracing::error!(cluster = %self.publisher.cluster(), "the operation log cannot be written: {cause}");
                        self.retry_log(record);
                        return Some(Event::LogLost(cause.to_string()));
                    }
                }
                Action::Publish(_) => self.publisher.publish(&self.machine.standing(), self.began),
                Action::Ask(question, ask) => self.ask(question, *ask),
                Action::Do(task) => {
                    let (id, messages) = (task.id, self.messages.clone());
                    let work = Arc::clone(&self.hands).carry_out(task, self.warrant());
                    tokio::spawn(async move {
                        let outcome = work.await;
                        let _ = messages.send(Message::Happened(Event::Done(id, outcome))).await;
                    });
                }
                Action::Tell(told) => self.publisher.tell(&told),
                Action::Answer(ticket, answer) => {
                    if let Some(waiting) = self.answers.remove(&ticket) {
                        let _ = waiting.send(answer.map_err(|refusal| refusal.to_string()));
                    }
                }
            }
        }
        None
    }

    /// Writing waits for the disk, and the probes of all clusters run on this thread.
    async fn write(&self, record: Box<Record>) -> io::Result<()> {
        let log = Arc::clone(&self.log);
        let written = tokio::task::spawn_blocking(move || log.write(&record)).await;
        written.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }

    fn retry_log(&mut self, record: Box<Record>) {
        self.unwritten = Some(record);
        let messages = self.messages.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LOG_RETRY).await;
            let _ = messages.send(Message::LogBack).await;
        });
    }

    /// Asks a policy, apart from everything else: it may take its time.
    fn ask(&mut self, question: QuestionId, ask: Ask) {
        let policies = self.policies_now();
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let answer = tokio::task::spawn_blocking(move || answer(&policies, question, ask));
            let event = match tokio::time::timeout(POLICY_PATIENCE, answer).await {
                Ok(Ok(event)) => event,
                // Without an answer the machine goes on as if the policy had failed.
                Ok(Err(_)) | Err(_) => return,
            };
            let _ = messages.send(Message::Happened(event)).await;
        });
    }

    /// Those of the running generation; of the one that began it, while an operation is under way.
    fn policies_now(&mut self) -> ControlPolicies {
        let operation = self.machine.standing().operation.map(|operation| operation.id);
        match (operation, &self.kept_policies) {
            (Some(running), Some((kept, policies))) if running == *kept => policies.clone(),
            (Some(running), _) => {
                let policies = self.policies.policies();
                self.kept_policies = Some((running, policies.clone()));
                policies
            }
            (None, _) => {
                self.kept_policies = None;
                self.policies.policies()
            }
        }
    }

    /// On whose account a node would be started now.
    fn warrant(&self) -> Warrant {
        match self.machine.standing().operation.map(|operation| operation.kind) {
            Some(Kind::Rejoin) => Warrant::Rejoin,
            Some(Kind::Reinit) => Warrant::Reinit,
            _ => Warrant::Switchover,
        }
    }

    /// Signs of life, and sessions that are open before they are needed.
    fn beat(&self) {
        let standing = self.machine.standing();
        if matches!(standing.state, State::Learning | State::CoordLost) {
            return;
        }
        let primary = standing.route.primary.clone();
        for node in self.monitor.sight().nodes.iter().filter(|node| node.answers()) {
            let is_primary = primary.as_deref() == Some(&*node.viewed.name) && node.claims();
            let hands = Arc::clone(&self.hands);
            let (name, term) = (node.viewed.name.clone(), standing.route.term);
            tokio::spawn(async move { hands.beat(&name, term, is_primary, PULSE).await });
        }
    }
}

fn answer(policies: &ControlPolicies, question: QuestionId, ask: Ask) -> Event {
    match ask {
        Ask::Assess(view) => Event::Assessed(question, Ok(policies.failover.assess(&view))),
        Ask::Elect { view, trigger, target } => {
            Event::Elected(question, Ok(policies.failover.elect(&view, trigger, target)))
        }
        Ask::Follow(event) => Event::Planned(question, Ok(policies.follow_primary.plan(&event))),
        Ask::Retry(..) if policies.follow_primary.is_null() => Event::Retried(question, Err("no policy".into())),
        Ask::Retry(event, failure) => Event::Retried(question, Ok(policies.follow_primary.retry(&event, &failure))),
        Ask::Sync { view, current } => {
            Event::SyncDecided(question, Ok(policies.sync_set.decide(&view, current.as_ref())))
        }
    }
}

/// Wall-clock time so long ago.
fn ago(age: Duration) -> SystemTime {
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}

//! The monitor's promises, against nodes that the test plays itself, with the clock in its hand.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::*;
use crate::{
    cluster::sight::Held,
    config::types::Node,
    control::{
        dial::Link,
        observation::{Failure, FailureKind, Loss},
        question::{HOW_ARE_YOU, PREPARE},
    },
    facts::{NodeFacts, Reports, Role},
    id::NodeId,
    net::stream::SocketOptions,
    server::{ServerTls, simple::Row},
};

const INTERVAL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(2);

/// Longest that a test waits; virtual time, so it costs nothing.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug, PartialEq)]
enum Mood {
    /// Answers probes with this row.
    Answers(&'static str),
    /// Nobody listens, and sessions break.
    Refuses,
    /// Says nothing.
    Hangs,
    /// Answers in sessions that are open, and opens no other.
    Shut(&'static str),
    /// Lets nobody in.
    Rejects,
}

const PRIMARY: Mood = Mood::Answers("f 0/100 - - 1 -");
const STANDBY: Mood = Mood::Answers("t 0/100 0/100 0 1 t");

struct Played {
    mood: watch::Sender<Mood>,
    /// Ends all sessions, as a restart does.
    end: Notify,
    dials: AtomicU32,
    probes: AtomicU32,
}

/// The nodes, by name.
#[derive(Clone, Default)]
struct Stage(Arc<Mutex<BTreeMap<String, Arc<Played>>>>);

impl Stage {
    fn node(&self, name: &str) -> Arc<Played> {
        let played = || {
            let mood = watch::channel(Mood::Refuses).0;
            Arc::new(Played { mood, end: Notify::new(), dials: 0.into(), probes: 0.into() })
        };
        self.0.lock().unwrap().entry(name.into()).or_insert_with(played).clone()
    }

    fn set(&self, name: &str, mood: Mood) {
        self.node(name).mood.send_replace(mood);
    }

    fn probes(&self, name: &str) -> u32 {
        self.node(name).probes.load(Ordering::Relaxed)
    }

    fn dials(&self, name: &str) -> u32 {
        self.node(name).dials.load(Ordering::Relaxed)
    }
}

impl Dial for Stage {
    type Link = PlayedLink;

    async fn dial(&self, target: &ServerTarget) -> Result<PlayedLink, Failure> {
        let node = self.node(&target.node);
        node.dials.fetch_add(1, Ordering::Relaxed);
        let shut = matches!(*node.mood.borrow(), Mood::Shut(_));
        if shut {
            return Err(silence(target.connect_timeout).await);
        }
        respond(&node, target.connect_timeout).await?;
        Ok(PlayedLink(node))
    }
}

struct PlayedLink(Arc<Played>);

impl Link for PlayedLink {
    async fn ask(&mut self, sql: &str, limit: Duration) -> Result<Vec<Row>, Failure> {
        let answer = respond(&self.0, limit).await?;
        let values = match sql {
            HOW_ARE_YOU => answer,
            PREPARE => return Ok(Vec::new()),
            _ => "150018 7 8192 16777216 t",
        };
        if sql == HOW_ARE_YOU {
            self.0.probes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(vec![Row(values.split(' ').map(|value| (value != "-").then(|| value.into())).collect())])
    }

    async fn over(&mut self) -> Loss {
        let mut mood = self.0.mood.subscribe();
        tokio::select! {
            _ = mood.wait_for(|mood| *mood == Mood::Refuses) => {}
            () = self.0.end.notified() => {}
        }
        Loss::Reset
    }
}

async fn respond(node: &Played, limit: Duration) -> Result<&'static str, Failure> {
    let fail = |kind| Err(Failure { kind, why: format!("{kind:?}").into() });
    let mood = node.mood.borrow().clone();
    match mood {
        Mood::Answers(values) | Mood::Shut(values) => Ok(values),
        Mood::Refuses => fail(FailureKind::Refused),
        Mood::Rejects => fail(FailureKind::Rejected),
        Mood::Hangs => Err(silence(limit).await),
    }
}

async fn silence(limit: Duration) -> Failure {
    tokio::time::sleep(limit).await;
    Failure { kind: FailureKind::Silent(limit), why: "silence".into() }
}

fn timings() -> Timings {
    Timings {
        probe_interval: INTERVAL,
        probe_timeout: TIMEOUT,
        probe_rise: 3,
        probe_fall: 2,
        slow_start: Duration::from_secs(10),
    }
}

fn cluster(names: &[&str]) -> Arc<Cluster> {
    let node = |name: &&str| Node {
        name: (*name).into(),
        host: "127.0.0.1".into(),
        port: 5432,
        weight: 100,
        labels: [].into(),
        executor: Arc::default(),
    };
    Arc::new(Cluster {
        name: "main".into(),
        nodes: names.iter().map(node).collect(),
        control_user: "postgres".into(),
        control_password: None,
        control_database: "postgres".into(),
        failover: Default::default(),
        healing: Default::default(),
        replication_user: None,
        replication_password: None,
    })
}

fn login() -> ControlLogin {
    ControlLogin { secret: None, tls: ServerTls::DISABLED, socket: SocketOptions::default() }
}

struct Play {
    stage: Stage,
    facts: Arc<FactsCell>,
    reports: Reports,
    handle: MonitorHandle<Stage>,
}

impl Play {
    /// n0 is the primary, n1 and n2 follow it.
    async fn begin() -> Self {
        let stage = Stage::default();
        stage.set("n0", PRIMARY);
        stage.set("n1", STANDBY);
        stage.set("n2", STANDBY);
        let cluster = cluster(&["n0", "n1", "n2"]);
        let facts = Arc::new(FactsCell::new(Monitor::first_facts(&cluster, timings())));
        let (reports, receiver) = Reports::channel();
        let spec = MonitorSpec { cluster, timings: timings(), login: login(), facts: facts.clone(), reports: receiver };
        let handle = Monitor::start_with(spec, stage.clone());
        let play = Self { stage, facts, reports, handle };
        play.until(|facts| facts.nodes.iter().all(|node| node.health == Health::Up)).await;
        play
    }

    /// Waits for facts like these; how long it took.
    async fn until(&self, expected: impl Fn(&Facts) -> bool) -> Duration {
        let start = Instant::now();
        let wait = async {
            loop {
                let changed = self.facts.changed();
                if expected(&self.facts.load()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the facts never became so");
        start.elapsed()
    }

    async fn until_health(&self, node: usize, health: Health) -> Duration {
        self.until(|facts| facts.nodes[node].health == health).await
    }

    fn node(&self, node: usize) -> NodeFacts {
        self.facts.load().nodes[node].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_answers_make_the_facts() {
    let play = Play::begin().await;

    let facts = play.facts.load();
    assert_eq!((facts.primary, facts.epoch), (Some(NodeId(0)), 1));
    assert_eq!((facts.nodes[2].role, facts.nodes[2].lag_bytes), (Role::Standby, Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_hung_node_is_down_after_the_timeout_and_delays_no_other() {
    let play = Play::begin().await;
    play.stage.set("n1", Mood::Hangs);

    let detected = play.until_health(1, Health::Down).await;

    assert!(detected >= TIMEOUT && detected <= TIMEOUT + INTERVAL, "{detected:?}");
    for place in [0, 2] {
        let age = play.node(place).sampled_at.elapsed();
        assert!(age <= INTERVAL, "n{place} was asked {age:?} ago");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_began_with_the_question_that_was_not_answered() {
    let play = Play::begin().await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    play.stage.set("n1", Mood::Hangs);

    play.until_health(1, Health::Down).await;

    let held = play.handle.sight().nodes[1].held;
    let Held::Reset(silence) = held else { panic!("{held:?}") };
    assert!(silence >= TIMEOUT && silence <= TIMEOUT + INTERVAL, "{silence:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_node_is_down_at_once_and_back_after_three_good_probes() {
    let play = Play::begin().await;
    play.stage.set("n1", Mood::Refuses);
    assert!(play.until_health(1, Health::Down).await < Duration::from_millis(5));

    tokio::time::sleep(Duration::from_secs(60)).await;
    play.stage.set("n1", STANDBY);
    assert!(play.until_health(1, Health::Degraded).await <= Duration::from_secs(1));
    let proven = play.until_health(1, Health::Up).await;

    assert!(proven >= 2 * INTERVAL && proven < 3 * INTERVAL, "{proven:?}");
    assert_eq!(play.node(1).ramp_percent, 10);
    play.until(|facts| facts.nodes[1].ramp_percent == 100).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_node_is_not_asked_all_the_time() {
    let play = Play::begin().await;
    play.stage.set("n1", Mood::Refuses);
    let before = play.stage.dials("n1");

    tokio::time::sleep(Duration::from_secs(100)).await;

    let dials = play.stage.dials("n1") - before;
    assert!((95..=140).contains(&dials), "{dials} connects in 100 s");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_breaks_at_a_healthy_node_is_no_event() {
    let play = Play::begin().await;
    let epoch = play.facts.load().epoch;
    for _ in 0..10 {
        tokio::time::sleep(INTERVAL / 2).await;
        play.stage.node("n1").end.notify_waiters();
    }

    tokio::time::sleep(INTERVAL / 2).await;
    assert_eq!(play.stage.dials("n1"), 11);
    assert_eq!((play.node(1).health, play.facts.load().epoch), (Health::Up, epoch));
}

#[tokio::test(start_paused = true)]
async fn a_control_user_that_is_rejected_is_told_in_words() {
    let play = Play::begin().await;
    play.stage.set("n1", Mood::Refuses);
    play.until_health(1, Health::Down).await;
    play.stage.set("n1", Mood::Rejects);

    play.until(|facts| facts.nodes[1].why.as_deref() == Some("Rejected")).await;

    assert_eq!((play.node(1).role, play.node(1).health), (Role::Unknown, Health::Down));
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_fresh_positions_gets_them_at_once_but_nobody_is_flooded() {
    let play = Play::begin().await;
    tokio::time::sleep(INTERVAL / 2).await;
    let (before, start) = (play.stage.probes("n1"), Instant::now());

    while start.elapsed() < Duration::from_secs(1) {
        let wished_at = Instant::now();
        play.facts.want_fresh();
        let fresh = |facts: &Facts| facts.nodes.iter().all(|node| node.sampled_at >= wished_at);
        assert!(play.until(fresh).await <= Duration::from_millis(5));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    let probes = play.stage.probes("n1") - before;
    assert!((200..=510).contains(&probes), "{probes} probes in a second");
}

#[tokio::test(start_paused = true)]
async fn trouble_that_a_session_met_is_looked_into_at_once() {
    let play = Play::begin().await;
    for report in [Report::ConnectFailed(NodeId(1)), Report::ConnectionLost(NodeId(1)), Report::ReadOnly(NodeId(0))] {
        tokio::time::sleep(INTERVAL / 2).await;
        let reported_at = Instant::now();
        play.reports.send(report);
        let took = play.until(|facts| facts.nodes[1].sampled_at >= reported_at).await;
        assert!(took <= Duration::from_millis(5), "{report:?}: {took:?}");
    }
    play.reports.send(Report::ConnectFailed(NodeId(999)));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_works_but_opens_no_new_session_is_the_last_choice_until_it_does() {
    let play = Play::begin().await;
    play.stage.set("n1", Mood::Shut("t 0/100 0/100 0 1 t"));
    play.reports.send(Report::ConnectFailed(NodeId(1)));

    assert!(play.until_health(1, Health::Degraded).await <= TIMEOUT + INTERVAL);
    assert!(play.node(1).sampled_at.elapsed() <= INTERVAL, "its session still answers");

    play.stage.set("n1", STANDBY);
    assert!(play.until_health(1, Health::Up).await <= TIMEOUT + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_promotion_moves_the_primary() {
    let play = Play::begin().await;
    play.stage.set("n0", Mood::Hangs);
    play.until(|facts| facts.primary.is_none()).await;

    play.stage.set("n1", Mood::Answers("f 0/110 - - 2 -"));
    play.until(|facts| facts.primary == Some(NodeId(1))).await;

    play.stage.set("n0", PRIMARY);
    play.until(|facts| facts.nodes[0].why.as_deref().is_some_and(|why| why.contains("old timeline"))).await;
    assert_eq!(play.facts.load().primary, Some(NodeId(1)));
}

#[tokio::test(start_paused = true)]
async fn an_operator_drains_a_node_across_reloads() {
    let play = Play::begin().await;
    play.handle.detach("n1").unwrap();
    assert_eq!(play.node(1).health, Health::Draining);

    play.handle.update(&cluster(&["n1", "n0"]), timings(), &login());
    assert_eq!((&*play.node(0).name, play.node(0).health), ("n1", Health::Draining));

    play.handle.attach("n1").unwrap();
    assert_eq!(play.node(0).health, Health::Up);
    assert!(play.handle.detach("n2").is_err(), "it has left");
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_sessions_of_the_nodes_that_stay() {
    let play = Play::begin().await;
    let epoch = play.facts.load().epoch;
    play.stage.set("n3", STANDBY);

    play.handle.update(&cluster(&["n3", "n0", "n1"]), timings(), &login());
    play.until_health(0, Health::Up).await;
    tokio::time::sleep(Duration::from_secs(10)).await;

    assert_eq!((play.stage.dials("n0"), play.stage.dials("n1"), play.stage.dials("n3")), (1, 1, 1));
    let facts = play.facts.load();
    assert_eq!(facts.primary, Some(NodeId(1)));
    assert!(facts.epoch > epoch);
    assert!(facts.nodes.iter().all(|node| node.sampled_at.elapsed() <= INTERVAL));
    let last = play.stage.probes("n2");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(play.stage.probes("n2"), last, "it has left");
}

#[tokio::test(start_paused = true)]
async fn another_control_user_logs_in_anew() {
    let play = Play::begin().await;
    let mut other = Cluster::clone(&cluster(&["n0", "n1", "n2"]));
    other.control_user = "monitor".into();

    play.handle.update(&other, timings(), &login());
    tokio::time::sleep(INTERVAL).await;

    assert_eq!(play.stage.dials("n0"), 2);
    assert_eq!(play.facts.load().primary, Some(NodeId(0)), "nothing that is known is forgotten");
}

#[tokio::test(start_paused = true)]
async fn everything_stops_with_the_handle() {
    let play = Play::begin().await;
    drop(play.handle);
    tokio::time::sleep(INTERVAL).await;
    let probes = play.stage.probes("n0");

    tokio::time::sleep(Duration::from_secs(10)).await;

    assert_eq!(play.stage.probes("n0"), probes);
}

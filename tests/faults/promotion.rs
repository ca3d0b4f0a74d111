//! A candidate is chosen, but does not become primary.

use std::{
    fs,
    os::unix::fs::symlink,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use howdah::demo::{PgCluster, PgNode, process};
use howdah_tests::{
    PATIENCE, Signal,
    history::{History, Load},
    relay::{Cut, Relay},
};

use super::{AT_WORK, ERRORS_PER_LOSS, READERS, Scene, WRITERS, impatient, left_out, logged, measured, synchronous};

/// What a server logs that has been promoted; a standby says that it accepts read-only connections.
const PROMOTED: &str = "ready to accept connections";

/// What a standby logs that cannot be promoted.
const REFUSED: &str = "could not create file \"promote\"";

/// From one look at a log to the next: a promotion is published within milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A cluster at rest, and clients that are there when its primary goes.
struct Loss {
    scene: Scene,
    before: History,
    readers: Load,
    lost: Instant,
    /// The end of its processes is waited for, which may take longer than all that is looked at meanwhile.
    burial: JoinHandle<()>,
}

impl Loss {
    /// Both standbys have everything, so that either can take over; something is done to them, and the primary is killed.
    fn of_the_primary(scene: Scene, prepare: impl FnOnce(&[PgNode])) -> Self {
        let before = scene.load().stop();
        let readers = Load::start(scene.proxy.port(), 0, READERS);
        for standby in scene.cluster.standbys() {
            scene.cluster.wait_until_replayed(standby, PATIENCE).unwrap();
        }
        prepare(scene.cluster.standbys());
        let lost = Instant::now();
        let primary = scene.cluster.primary().clone();
        let burial = thread::spawn(move || primary.kill9().unwrap());
        Self { scene, before, readers, lost, burial }
    }

    /// Clients write to that node, nobody failed, and the others follow once they were told to come back. A rival was
    /// promoted to the same timeline, so all that it has is doubtful.
    #[track_caller]
    fn end(self, new: &str, rival: Option<&str>, scenario: &str) {
        let Self { scene, before, readers, lost, burial } = self;
        let writers = Load::start(scene.proxy.port(), WRITERS, 0);
        writers.await_commits(AT_WORK, PATIENCE);
        let outage = lost.elapsed();
        assert_eq!(scene.primary().name, new, "{}", scene.story());
        // Commits may lack standbys to wait for, but nothing is under way.
        scene.until("at rest", || ["Steady", "DegradedSync"].contains(&scene.state().as_str()));
        burial.join().unwrap();
        for node in scene.standbys() {
            if rival == Some(&node.name) {
                let refused = scene.proxy.console().ask(&format!("REJOIN {}", node.name)).unwrap_err().to_string();
                assert!(refused.contains("it took writes on timeline 2, as the primary does"), "{refused}");
                scene.order(&format!("REINIT {}", node.name));
            } else {
                scene.order(&format!("REJOIN {}", node.name));
            }
        }
        scene.await_whole(2);
        let history = scene.settle(writers);
        let reads = readers.stop();
        before.check(scene.primary());

        measured(scenario, format_args!("writes again after {outage:?}; {} reads", reads.requests.len()));
        assert!(history.most_errors_of_a_writer() <= ERRORS_PER_LOSS, "{:?}", history.failed_writes());
        assert!(reads.failed_reads().is_empty(), "{:?}\n{}", reads.failed_reads(), scene.story());
        // Each was promoted from the first timeline.
        assert_eq!(scene.promotions(), 1, "{}", scene.story());
        let published = scene.proxy.log_lines().into_iter().filter(|line| line.contains("action publish node="));
        assert_eq!(published.count(), 1, "{}", scene.story());
    }
}

/// The proxy cannot read where a timeline began, since replication sessions hang, and tries again: so long the candidate is
/// primary, and not published.
#[test]
fn a_candidate_that_dies_before_clients_reach_it_is_followed_by_the_next() {
    let cluster = PgCluster::start(synchronous(2)).unwrap();
    let ways: Vec<_> = cluster.standbys().iter().map(|node| (node.port, Relay::to(node.port))).collect();
    let scene = Scene::around(cluster, true, |config| {
        ways.iter().fold(impatient(config), |config, (port, relay)| config.through(*port, relay.port()))
    });
    let cut = |what| ways.iter().for_each(|(_, relay)| relay.cut(what));
    let loss = Loss::of_the_primary(scene, |_| cut(Cut::Replication));

    let [first, second] = first_of(&loss.scene, |node| logged(node, PROMOTED) > 0);
    first.kill9().unwrap();
    cut(Cut::Nothing);
    let (first, second) = (first.name.clone(), second.name.clone());
    loss.scene.until("promoted", || loss.scene.told(&format!("action publish node={second}")).is_some());

    assert!(loss.scene.told(&format!("action publish node={first}")).is_none(), "{}", loss.scene.story());
    loss.end(&second, Some(&first), "candidate killed after its promotion, before its publication");
}

/// Of two standbys the one of which that holds first, then the other.
fn first_of(scene: &Scene, holds: impl Fn(&PgNode) -> bool) -> [&PgNode; 2] {
    let [one, other] = scene.cluster.standbys() else { panic!("two standbys") };
    let began = Instant::now();
    loop {
        if holds(one) {
            return [one, other];
        }
        if holds(other) {
            return [other, one];
        }
        assert!(began.elapsed() < PATIENCE, "neither\n{}", scene.story());
        thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn a_candidate_that_cannot_be_promoted_makes_way_for_the_next() {
    // A promotion begins with a file of this name, which cannot be made.
    let obstacle = |node: &PgNode| node.data.join("promote");
    let loss = Loss::of_the_primary(Scene::start(), |standbys| {
        standbys.iter().for_each(|node| symlink("nowhere/promote", obstacle(node)).unwrap());
    });

    let [first, second] = first_of(&loss.scene, |node| logged(node, REFUSED) > 0);
    fs::remove_file(obstacle(second)).unwrap();
    loss.scene.until("promoted", || loss.scene.told(&format!("action publish node={}", second.name)).is_some());
    assert_eq!(first.psql("SELECT pg_is_in_recovery()").unwrap(), "t", "it never was primary");
    fs::remove_file(obstacle(first)).unwrap();

    let second = second.name.clone();
    loss.end(&second, None, "candidate refuses to be promoted");
}

/// Nobody knows whether it will be promoted yet, and after all it is: when another one is primary.
#[test]
fn a_candidate_whose_promotion_stands_still_makes_way_for_the_next() {
    if left_out("a promotion that stands still") {
        return;
    }
    let loss = Loss::of_the_primary(Scene::start(), |standbys| {
        standbys.iter().for_each(|node| process::signal(Signal::Stop, &[startup(node)]));
    });

    let [first, second] = first_of(&loss.scene, |node| node.data.join("promote").exists());
    process::signal(Signal::Continue, &[startup(second)]);
    let scene = &loss.scene;
    scene.until("promoted", || scene.told(&format!("action publish node={}", second.name)).is_some());
    assert!(scene.told("has replayed nothing for").is_some(), "{}", scene.story());
    process::signal(Signal::Continue, &[startup(first)]);
    scene.until("found out", || scene.of_node(&first.name, "quarantine").contains("takes writes"));

    let (first, second) = (first.name.clone(), second.name.clone());
    loss.end(&second, Some(&first), "candidate's promotion stands still");
}

/// The process that replays.
fn startup(node: &PgNode) -> u32 {
    let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'";
    node.psql(sql).unwrap().parse().unwrap()
}

//! The judge's promises, as short stories of what probes saw.

use super::*;
use crate::control::observation::Failure;

const INTERVAL: Duration = Duration::from_millis(200);

fn timings() -> Timings {
    Timings {
        probe_interval: INTERVAL,
        probe_timeout: Duration::from_secs(2),
        probe_rise: 3,
        probe_fall: 2,
        slow_start: Duration::from_secs(10),
    }
}

fn node(name: &str, port: u16) -> Node {
    Node { name: name.into(), host: "127.0.0.1".into(), port, weight: 100, labels: [].into(), executor: Arc::default() }
}

fn primary(timeline: u32, flushed: u64) -> Sample {
    let position = Position::Primary { flushed: Lsn(flushed), inserted: Some(Lsn(flushed + 5)), async_commit: false };
    Sample { server_version: 150_018, system: Some(7), timeline: Some(timeline), position, cluster: None }
}

fn standby(timeline: u32, received: u64, replayed: u64) -> Sample {
    let (received, replayed) = (Some(Lsn(received)), Some(Lsn(replayed)));
    let position = Position::Standby { received, replayed, age: None, receiving: true };
    Sample { server_version: 150_018, system: Some(7), timeline: Some(timeline), position, cluster: None }
}

fn unplugged(sample: Sample) -> Sample {
    match sample.position {
        Position::Standby { received, replayed, age, .. } => {
            Sample { position: Position::Standby { received, replayed, age, receiving: false }, ..sample }
        }
        Position::Primary { .. } => sample,
    }
}

/// A cluster whose probes the test answers.
struct Lab {
    judge: Judge,
    now: Instant,
}

impl Lab {
    fn of(nodes: usize) -> Self {
        let now = Instant::now();
        let nodes: Vec<Node> = (0..nodes).map(|place| node(&format!("n{place}"), 5432 + place as u16)).collect();
        Self { judge: Judge::new(&nodes, timings(), now), now }
    }

    /// n0 is the primary on timeline 1 at 100, the others have it all.
    fn at_work(nodes: usize) -> Self {
        let mut lab = Self::of(nodes);
        lab.sees(0, primary(1, 100));
        (1..nodes).for_each(|place| lab.sees(place, standby(1, 100, 100)));
        assert_eq!(lab.facts().primary, Some(NodeId(0)));
        lab
    }

    fn sees(&mut self, place: usize, sample: Sample) {
        self.judge.observe(place, Observation { asked_at: self.now, ended_at: self.now, outcome: Ok(sample) });
    }

    fn misses(&mut self, place: usize, kind: FailureKind) {
        let failure = Failure { kind, why: format!("{kind:?}").into() };
        self.judge.observe(place, Observation { asked_at: self.now, ended_at: self.now, outcome: Err(failure) });
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn facts(&mut self) -> Facts {
        self.judge.conclude(self.now).expect("settled")
    }

    fn health(&mut self, place: usize) -> Health {
        self.facts().nodes[place].health
    }
}

#[test]
fn the_first_good_probe_at_the_start_is_enough() {
    let facts = Lab::at_work(3).facts();

    for node in &facts.nodes {
        assert_eq!((node.health, node.ramp_percent, &node.why), (Health::Up, 100, &None), "{}", node.name);
    }
    assert_eq!(facts.epoch, 1);
}

#[test]
fn the_first_election_waits_for_the_others_but_not_for_long() {
    let mut lab = Lab::of(2);
    lab.sees(0, primary(1, 100));
    assert!(lab.judge.conclude(lab.now).is_none(), "an old primary may have answered first");

    lab.pass(FIRST_ELECTION_WAIT);

    assert_eq!(lab.judge.wake_at(), Some(lab.now));
    assert_eq!(lab.facts().primary, Some(NodeId(0)));
    assert_eq!(lab.judge.wake_at(), None);
}

#[test]
fn each_kind_of_failure_has_its_weight() {
    for (kind, failures_until_down) in [
        (FailureKind::Refused, 1),
        (FailureKind::NotReady, 1),
        (FailureKind::Rejected, 1),
        (FailureKind::Silent(Duration::from_secs(2)), 1),
        (FailureKind::Silent(Duration::from_millis(100)), 2),
        (FailureKind::Broken, 2),
    ] {
        let mut lab = Lab::at_work(2);
        for failure in 1..=failures_until_down {
            assert_eq!(lab.health(1), Health::Up, "{kind:?}, before failure {failure}");
            lab.misses(1, kind);
        }
        assert_eq!(lab.health(1), Health::Down, "{kind:?}");
    }
}

#[test]
fn a_node_without_room_for_the_control_user_stays_as_it_is() {
    let mut lab = Lab::at_work(2);
    (0..100).for_each(|_| lab.misses(1, FailureKind::Full));
    assert_eq!(lab.health(1), Health::Up);
}

#[test]
fn a_node_that_takes_no_new_sessions_is_the_last_choice_until_it_does() {
    let mut lab = Lab::at_work(2);
    let failure = Failure { kind: FailureKind::Silent(Duration::from_secs(2)), why: "not connected".into() };
    lab.judge.take_in(1, Finding::Entry(Err(failure)));
    lab.sees(1, standby(1, 100, 100));

    assert_eq!(lab.health(1), Health::Degraded);
    assert_eq!(lab.facts().nodes[1].why.as_deref(), Some("takes no new sessions: not connected"));

    lab.judge.take_in(1, Finding::Entry(Ok(())));
    assert_eq!(lab.health(1), Health::Up);
}

#[test]
fn good_probes_between_failures_keep_a_node_up() {
    let mut lab = Lab::at_work(2);
    for _ in 0..10 {
        lab.misses(1, FailureKind::Broken);
        lab.sees(1, standby(1, 100, 100));
    }
    assert_eq!(lab.health(1), Health::Up);
}

#[test]
fn a_node_comes_back_after_enough_good_probes_and_warms_up() {
    let mut lab = Lab::at_work(2);
    lab.misses(1, FailureKind::Refused);
    let down = lab.facts().epoch;

    for expected in [Health::Degraded, Health::Degraded, Health::Up] {
        lab.sees(1, standby(1, 100, 100));
        assert_eq!(lab.health(1), expected);
    }

    assert_eq!(lab.facts().nodes[1].ramp_percent, 10);
    lab.pass(Duration::from_secs(5));
    assert_eq!(lab.facts().nodes[1].ramp_percent, 55);
    lab.pass(Duration::from_secs(5));
    assert_eq!(lab.facts().nodes[1].ramp_percent, 100);
    assert_eq!(lab.facts().epoch, down + 2, "the ramp is no change of topology");
}

#[test]
fn a_failure_while_it_proves_itself_starts_the_count_again() {
    let mut lab = Lab::at_work(2);
    lab.misses(1, FailureKind::Refused);
    for _ in 0..5 {
        lab.sees(1, standby(1, 100, 100));
        lab.sees(1, standby(1, 100, 100));
        lab.misses(1, FailureKind::Broken);
        assert_eq!(lab.health(1), Health::Down);
    }
}

#[test]
fn rejected_credentials_leave_the_role_unknown_and_say_why() {
    let mut lab = Lab::at_work(2);
    lab.misses(1, FailureKind::Rejected);

    let facts = lab.facts();
    assert_eq!((facts.nodes[1].role, facts.nodes[1].health), (Role::Unknown, Health::Down));
    assert_eq!(facts.nodes[1].why.as_deref(), Some("Rejected"));
}

#[test]
fn a_primary_that_fails_is_none_while_it_is_down_and_is_back_with_its_first_good_probe() {
    let mut lab = Lab::at_work(2);
    lab.misses(0, FailureKind::Broken);
    assert_eq!(lab.facts().primary, Some(NodeId(0)), "one failure is none");
    lab.misses(0, FailureKind::Broken);
    assert_eq!(lab.facts().primary, None);

    lab.sees(0, primary(1, 110));

    assert_eq!((lab.facts().primary, lab.health(0)), (Some(NodeId(0)), Health::Degraded));
}

#[test]
fn samples_alone_never_move_the_epoch() {
    let mut lab = Lab::at_work(3);
    let epoch = lab.facts().epoch;
    for round in 0..100 {
        lab.pass(INTERVAL);
        lab.sees(0, primary(1, 100 + round * 10));
        lab.sees(1, standby(1, 100 + round * 5, 100 + round));
        assert_eq!(lab.facts().epoch, epoch);
    }
}

#[test]
fn a_promotion_moves_the_primary_and_the_old_one_is_never_used_again() {
    let mut lab = Lab::at_work(3);
    lab.misses(0, FailureKind::Silent(Duration::from_secs(2)));
    lab.sees(1, primary(2, 105));
    assert_eq!(lab.facts().primary, Some(NodeId(1)));

    for _ in 0..10 {
        lab.sees(0, primary(1, 500));
        let facts = lab.facts();
        assert_eq!((facts.primary, facts.nodes[0].health), (Some(NodeId(1)), Health::Down));
        let why = facts.nodes[0].why.clone().unwrap();
        assert_eq!(&*why, "takes writes on the old timeline 1, the cluster is on 2");
    }

    lab.misses(1, FailureKind::Refused);
    lab.sees(0, primary(1, 600));
    assert_eq!(lab.facts().primary, None, "not even when the new one is away");
}

#[test]
fn a_promotion_is_noticed_through_a_standby_before_the_new_primary_answers() {
    let mut lab = Lab::at_work(3);
    lab.sees(2, standby(2, 105, 105));
    assert_eq!(lab.facts().primary, None);

    lab.sees(1, primary(2, 105));
    assert_eq!(lab.facts().primary, Some(NodeId(1)));
}

#[test]
fn a_second_primary_on_the_same_timeline_is_refused() {
    let mut lab = Lab::at_work(2);
    lab.sees(1, primary(1, 900));

    let facts = lab.facts();
    assert_eq!((facts.primary, facts.nodes[1].health), (Some(NodeId(0)), Health::Down));
    let why = facts.nodes[1].why.clone().unwrap();
    assert_eq!(&*why, "a second node that takes writes on timeline 1; n0 is the primary");
}

#[test]
fn a_node_of_another_cluster_is_refused_whatever_it_claims() {
    let mut lab = Lab::at_work(3);
    lab.sees(2, Sample { system: Some(8), ..primary(9, 900) });

    let facts = lab.facts();
    assert_eq!((facts.primary, facts.nodes[2].health), (Some(NodeId(0)), Health::Down));
    let why = facts.nodes[2].why.clone().unwrap();
    assert_eq!(&*why, "belongs to another cluster: its system identifier is 8, ours is 7");
}

#[test]
fn at_the_start_the_cluster_is_the_one_most_nodes_belong_to() {
    let mut lab = Lab::of(3);
    lab.sees(0, Sample { system: Some(8), ..primary(9, 900) });
    lab.sees(1, primary(1, 100));
    lab.sees(2, standby(1, 100, 100));
    assert_eq!(lab.facts().primary, Some(NodeId(1)));
}

#[test]
fn a_cluster_that_was_wholly_rebuilt_is_accepted_once_every_node_agrees() {
    let mut lab = Lab::at_work(2);
    let rebuilt = |sample: Sample| Sample { system: Some(8), ..sample };
    lab.sees(0, rebuilt(primary(1, 10)));
    assert_eq!(lab.facts().primary, None, "n1 is still of the old cluster");

    lab.sees(1, rebuilt(standby(1, 10, 10)));

    let facts = lab.facts();
    assert_eq!((facts.primary, facts.nodes[1].lag_bytes), (Some(NodeId(0)), Some(0)));
}

#[test]
fn a_standby_that_went_on_with_the_old_primary_is_refused() {
    let mut lab = Lab::at_work(3);
    lab.sees(1, primary(2, 105));
    lab.sees(2, standby(1, 104, 104));
    assert_eq!((lab.facts().primary, lab.health(2)), (Some(NodeId(1)), Health::Up), "it is only behind");

    lab.sees(2, standby(1, 120, 120));

    let why = lab.facts().nodes[2].why.clone().unwrap();
    assert_eq!(&*why, "follows the old timeline 1 beyond where 2, the cluster's, began");
}

#[test]
fn a_standby_that_lost_its_primary_is_still_on_the_timeline_it_told_before() {
    let mut lab = Lab::at_work(3);
    lab.sees(1, primary(2, 105));
    lab.sees(2, standby(2, 110, 110));
    lab.misses(1, FailureKind::Refused);

    lab.sees(2, unplugged(standby(1, 110, 110)));

    let facts = lab.facts();
    assert_eq!((facts.nodes[2].timeline, facts.nodes[2].health), (Some(2), Health::Up));
}

#[test]
fn an_operator_drains_a_node_and_puts_it_back() {
    let mut lab = Lab::at_work(2);
    let epoch = lab.facts().epoch;
    lab.judge.drain("n1", true, lab.now).unwrap();
    assert_eq!((lab.health(1), lab.facts().epoch), (Health::Draining, epoch + 1));

    lab.misses(1, FailureKind::Refused);
    assert_eq!(lab.health(1), Health::Down, "dead is more than drained");
    (0..3).for_each(|_| lab.sees(1, standby(1, 100, 100)));
    assert_eq!(lab.health(1), Health::Draining, "a return does not put it back");

    lab.judge.drain("n1", false, lab.now).unwrap();
    assert_eq!((lab.health(1), lab.facts().nodes[1].ramp_percent), (Health::Up, 10));
    assert_eq!(lab.judge.drain("n7", true, lab.now), Err(NoSuchNode { name: "n7".into() }));
}

#[test]
fn a_drained_primary_stays_the_primary() {
    let mut lab = Lab::at_work(2);
    lab.judge.drain("n0", true, lab.now).unwrap();
    assert_eq!((lab.facts().primary, lab.health(0)), (Some(NodeId(0)), Health::Draining));
}

#[test]
fn a_reload_keeps_what_is_known_of_the_nodes_that_stay() {
    let mut lab = Lab::at_work(3);
    lab.judge.drain("n2", true, lab.now).unwrap();
    let before = lab.facts();

    let nodes = [node("n3", 9), node("n2", 5434), node("n0", 5432)];
    lab.judge.replace(&nodes, timings(), lab.now);

    let facts = lab.facts();
    let seen: Vec<_> = facts.nodes.iter().map(|node| (&*node.name, node.id.0, node.health)).collect();
    assert_eq!(seen, [("n3", 0, Health::Down), ("n2", 1, Health::Draining), ("n0", 2, Health::Up)]);
    assert_eq!((facts.primary, facts.epoch), (Some(NodeId(2)), before.epoch + 1));

    lab.sees(0, standby(1, 100, 100));
    let joined = &lab.facts().nodes[0];
    assert_eq!((joined.health, joined.ramp_percent), (Health::Up, 10), "it warms up");
}

#[test]
fn a_node_under_a_new_address_is_a_new_node_that_is_still_drained() {
    let mut lab = Lab::at_work(2);
    lab.judge.drain("n1", true, lab.now).unwrap();

    lab.judge.replace(&[node("n0", 5432), node("n1", 6000)], timings(), lab.now);

    assert_eq!((lab.facts().nodes[1].role, lab.health(1)), (Role::Unknown, Health::Down));
    lab.sees(1, standby(1, 100, 100));
    assert_eq!(lab.health(1), Health::Draining);
}

#[test]
fn lag_is_counted_from_the_newest_position_of_the_primary() {
    let mut lab = Lab::at_work(2);
    lab.pass(INTERVAL);
    lab.sees(0, primary(1, 1_000));
    lab.sees(1, standby(1, 950, 900));

    let standby = &lab.facts().nodes[1];
    assert_eq!((standby.received, standby.replayed), (Some(Lsn(950)), Some(Lsn(900))));
    assert_eq!((standby.lag_bytes, standby.lag), (Some(100), Some(INTERVAL)));
}

#[test]
fn lag_stands_still_while_the_primary_is_away_and_starts_anew_with_another() {
    let mut lab = Lab::at_work(3);
    lab.pass(INTERVAL);
    lab.sees(0, primary(1, 1_000));
    lab.misses(0, FailureKind::Refused);
    lab.pass(Duration::from_secs(60));
    lab.sees(1, unplugged(standby(1, 900, 900)));
    assert_eq!(lab.facts().nodes[1].lag, Some(INTERVAL));

    lab.sees(1, primary(2, 920));
    lab.sees(2, standby(2, 920, 920));

    let standby = &lab.facts().nodes[2];
    assert_eq!((standby.lag_bytes, standby.lag), (Some(0), Some(Duration::ZERO)));
}

/// A random but reproducible sequence of what five probes can see, with real promotions in between.
#[test]
fn whatever_happens_the_timeline_never_goes_back_and_the_epoch_never_shrinks() {
    for seed in 1..=500_u64 {
        let mut random = Xorshift(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut lab = Lab::at_work(5);
        let (mut timeline, mut epoch) = (1, 0);
        let mut history = 1_u32;
        for _ in 0..200 {
            lab.pass(Duration::from_millis(random.below(300)));
            let (place, position) = (random.below(5) as usize, 100 + random.below(1_000));
            match random.below(10) {
                0 => lab.misses(place, FailureKind::Refused),
                1 => lab.misses(place, FailureKind::Broken),
                2 => lab.misses(place, FailureKind::Silent(Duration::from_secs(2))),
                3 => {
                    history += 1;
                    lab.sees(place, primary(history, position));
                }
                4 | 5 => lab.sees(place, primary(1 + random.below(u64::from(history)) as u32, position)),
                _ => lab.sees(place, standby(1 + random.below(u64::from(history)) as u32, position, position)),
            }
            let told = |seat: &Seat| seat.answer().and_then(|sample| sample.timeline);
            if lab.judge.seats.iter().all(|seat| told(seat).is_some_and(|told| told < timeline)) {
                timeline = 0; // Operators went back in history on purpose: no node has it any more.
            }
            let facts = lab.facts();
            assert!(facts.epoch >= epoch, "seed {seed}");
            epoch = facts.epoch;
            if let Some(primary) = facts.primary() {
                let is = primary.timeline.unwrap();
                assert!(is >= timeline, "seed {seed}: {timeline} to {is}");
                assert!(primary.role == Role::Primary && primary.health != Health::Down, "seed {seed}");
                timeline = is;
            }
            let usable = |node: &&NodeFacts| node.role == Role::Primary && node.health != Health::Down;
            assert!(facts.nodes.iter().filter(usable).count() <= 1, "seed {seed}: two primaries");
        }
    }
}

struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

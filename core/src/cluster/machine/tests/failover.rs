//! From the loss of a primary to clients at another.

use std::time::Duration;

use super::{
    super::super::{
        action::{Event, Order},
        operation::Step,
        settings::SyncMode,
        state::State,
    },
    lab,
    lab::{Lab, settings},
};
use crate::id::Lsn;
#[test]
fn a_killed_primary_is_replaced_without_waiting_for_anything() {
    let mut lab = lab(SyncMode::On);

    lab.kill("n1");

    let expected = [
        "close-servers n1",
        "detach n2",
        "detach n3",
        "preset-sync n2",
        "promote n2",
        "record-fork n2",
        "publish n2",
        "repoint n3",
    ];
    assert_eq!(lab.done, expected);
    assert_eq!(lab.machine.standing().hold, None);
    assert!(lab.told.contains(&"action promote node=n2 op=1 epoch=2 done".to_owned()));
}

#[test]
fn a_candidate_replays_first_what_the_policy_wants_as_long_as_it_waits() {
    for (replays, after_ms) in [(true, 1_000), (false, 2_000)] {
        let mut lab = lab(SyncMode::On);
        lab.wait_for = Some((Lsn(100), Duration::from_secs(2)));
        lab.node("n2").viewed.replayed = Some(Lsn(90));
        lab.kill("n1");
        lab.pass(900);
        assert!(!lab.did("promote n2"));

        if replays {
            lab.node("n2").viewed.replayed = Some(Lsn(100));
        }
        lab.pass(after_ms - 900);

        assert!(lab.did("publish n2"), "{:?}", lab.done);
    }
}

#[test]
fn a_primary_that_returns_before_the_choice_stays_primary() {
    let mut lab = lab(SyncMode::On);
    lab.stuck = vec![("detach", "n3")];
    lab.kill("n1");
    assert_eq!(lab.state(), State::Fence);

    lab.wake("n1");
    lab.pass(100);

    assert_eq!(lab.state(), State::Steady);
    assert!(lab.did("reattach n2") && !lab.did("promote n2"));
    assert_eq!(lab.machine.standing().route.term, 1);
}

#[test]
fn without_those_who_must_be_heard_an_operator_decides() {
    let mut lab = lab(SyncMode::On);
    lab.kill("n3");
    lab.kill("n1");
    lab.node("n2").viewed.received = Some(Lsn(60));
    lab.pass(1_000);
    assert_eq!(lab.state(), State::NoPrimarySafe);

    lab.order(Order::Failover { to: None, allow_loss: true });

    assert!(lab.did("publish n2"));
    let answer = lab.answers.pop().unwrap().unwrap();
    assert!(answer.contains("bytes of log lost at most"), "{answer}");
}

#[test]
fn an_asynchronous_cluster_loses_no_more_than_allowed() {
    let mut settings = settings(SyncMode::Off);
    settings.max_loss_bytes = 39;
    let mut lab = Lab::at_work(settings);
    lab.node("n2").viewed.received = Some(Lsn(50));
    lab.node("n3").viewed.received = Some(Lsn(60));
    lab.kill("n1");
    lab.pass(1_000);
    assert_eq!(lab.state(), State::NoPrimarySafe);
    assert!(lab.machine.standing().why.contains("40 bytes"), "{}", lab.machine.standing().why);
}

#[test]
fn another_candidate_takes_over_from_one_that_is_gone_or_refuses() {
    let mut refuses = lab(SyncMode::On);
    refuses.failing = vec![("promote", "n2")];
    refuses.kill("n1");
    assert_eq!(refuses.state(), State::Promote, "it is tried again first");
    refuses.pass(2_000);
    assert!(refuses.did("publish n3"));

    let mut gone = lab(SyncMode::On);
    gone.stuck = vec![("promote", "n2")];
    gone.kill("n1");
    gone.pass(5_000);
    assert_eq!(gone.state(), State::Promote, "as long as it answers it may be promoted any moment");
    gone.kill("n2");
    gone.pass(2_000);
    assert!(gone.did("publish n3"));
    assert!(gone.machine.standing().route.is_deposed("n2"), "whatever it claims when it returns");
}

#[test]
fn a_candidate_that_lacks_something_gets_it_from_another_standby_first() {
    let mut lab = lab(SyncMode::On);
    lab.node("n2").viewed.received = Some(Lsn(90));

    lab.stuck = vec![("fast-forward", "n2")];
    lab.kill("n1");

    assert_eq!(lab.state(), State::FastForward);
    assert_eq!(lab.machine.standing().operation.unwrap().candidate, Some("n2".into()));
}

#[test]
fn a_failover_interrupted_at_any_step_goes_on_from_the_log() {
    for (stuck, step) in [
        (("detach", "n2"), Step::Fence),
        (("preset-sync", "n2"), Step::PresetSync),
        (("promote", "n2"), Step::PresetSync),
        (("record-fork", "n2"), Step::RecordFork),
        (("repoint", "n3"), Step::Repair),
    ] {
        let mut lab = lab(SyncMode::On);
        lab.stuck = vec![stuck];
        lab.kill("n1");
        lab.stuck.clear();
        lab.restart();
        lab.pass(1_500);

        let standing = lab.machine.standing();
        assert_eq!(standing.route.primary, Some("n2".into()), "{step:?}");
        assert_eq!((standing.state, standing.operation), (State::Steady, None), "{step:?}");
        assert_eq!(
            lab.done.iter().filter(|done| *done == "publish n2").count(),
            if step == Step::Repair { 2 } else { 1 }
        );
    }
}

#[test]
fn nothing_is_done_while_the_log_cannot_be_written() {
    let mut lab = lab(SyncMode::On);
    lab.take(Event::LogLost("disk full".into()));
    lab.kill("n1");
    lab.pass(10_000);
    assert_eq!((lab.state(), lab.done.is_empty()), (State::CoordLost, true));

    lab.take(Event::LogBack);
    lab.pass(500);

    assert!(lab.did("publish n2"));
}

#[test]
fn a_candidate_that_replays_nothing_makes_way_unless_it_is_the_only_one() {
    let standstill = |lab: &Lab| lab.told.iter().filter(|told| told.contains("has replayed nothing for")).count();
    let mut still = lab(SyncMode::On);
    still.stuck = vec![("promote", "n2")];
    still.kill("n1");
    for replayed in 50..54 {
        still.node("n2").viewed.replayed = Some(Lsn(replayed));
        still.pass(9_000);
    }
    assert_eq!((still.state(), standstill(&still)), (State::Promote, 0), "it is on its way");
    still.pass(3_000);
    assert!(still.did("publish n3"));
    assert!(still.machine.standing().route.is_deposed("n2"), "whatever it claims when it gets on");

    let mut alone = lab(SyncMode::On);
    alone.stuck = vec![("promote", "n2")];
    alone.kill("n1");
    alone.kill("n3");
    alone.pass(30_000);
    assert_eq!((alone.state(), standstill(&alone)), (State::Promote, 1));
}

#[test]
fn a_pause_of_the_replay_is_ended_only_when_nobody_else_is_left() {
    let paused = || {
        let mut lab = Lab::at_work(settings(SyncMode::Off));
        lab.node("n2").replay_paused = true;
        lab
    };
    let mut other = paused();
    other.kill("n1");
    assert!(other.did("publish n3"));

    let mut behind = paused();
    behind.node("n3").viewed.received = Some(Lsn(90));
    behind.stuck = vec![("fast-forward", "n3")];
    behind.kill("n1");
    assert_eq!(behind.machine.standing().operation.unwrap().candidate, Some("n3".into()));

    let mut alone = paused();
    alone.kill("n3");
    alone.kill("n1");
    assert!(alone.did("publish n2"));
    assert!(alone.told.iter().any(|told| told.contains("its promotion ends that")), "{:?}", alone.told);
}

//! When a primary counts as lost, and who may say otherwise.

use std::time::Duration;

use super::{
    super::super::{
        action::{Event, Order},
        settings::{FailoverMode, SyncMode},
        sight::{Door, Held},
        standing::HoldCause,
        state::State,
        verdict::Verdict,
    },
    lab,
    lab::{Lab, settings},
};
use crate::id::Lsn;

const SECOND: Duration = Duration::from_secs(1);
/// What happens, in words, and how.
type Story = (&'static str, fn(&mut Lab));

#[test]
fn what_is_no_death_is_left_alone() {
    let stories: [Story; 6] = [
        ("a stall of 1.5 s", |lab| {
            lab.hang("n1");
            lab.standbys_heard(Duration::from_millis(2_500));
            lab.pass(1_500);
        }),
        ("crash recovery within its grace", |lab| {
            lab.node("n1").held = Held::Crashed(Duration::ZERO);
            lab.node("n1").door = Door::NotReady("in recovery".into());
            lab.pass(4_500);
        }),
        ("a restart within the grace", |lab| {
            lab.kill("n1");
        }),
        ("a postmaster that stands still", |lab| {
            lab.node("n1").door = Door::TimedOut;
            lab.pass(10_000);
        }),
        ("no connection left", |lab| {
            lab.node("n1").held = Held::Reset(Duration::ZERO);
            lab.node("n1").door = Door::Full;
            lab.pass(10_000);
        }),
        ("wrong credentials", |lab| {
            lab.node("n1").held = Held::Reset(Duration::ZERO);
            lab.node("n1").door = Door::Misconfigured("password".into());
            lab.pass(10_000);
        }),
    ];
    for (what, happen) in stories {
        let mut lab = lab(SyncMode::On);
        if what.starts_with("a restart") {
            lab.node("n1").held = Held::Stopped(Duration::ZERO);
            lab.node("n1").door = Door::Refused;
            lab.node("n2").receiver = None;
            lab.node("n3").receiver = None;
            lab.pass(4_500);
        } else {
            happen(&mut lab);
        }
        assert!(lab.done.is_empty(), "{what}: {:?}", lab.done);
        lab.wake("n1");
        lab.look();
        assert!(matches!(lab.state(), State::Steady | State::DegradedSync), "{what}");
    }
}

#[test]
fn a_standby_whose_receiver_has_ended_says_that_it_hears_nobody() {
    let mut lab = lab(SyncMode::On);
    lab.node("n2").receiver = None;
    lab.node("n3").receiver = None;
    lab.node("n3").held = Held::Reset(Duration::ZERO);
    lab.look();

    let view = lab.machine.view().unwrap();
    let streaming: Vec<_> = view.reports[0].nodes.iter().map(|report| report.streaming).collect();
    assert_eq!(streaming, [None, Some(false), None], "who does not answer says nothing");
}

#[test]
fn a_hang_is_a_death_once_the_standbys_hear_nothing_either() {
    let mut lab = lab(SyncMode::On);
    lab.hang("n1");
    lab.pass(1_900);
    assert_eq!(lab.state(), State::Suspect);
    assert_eq!(lab.machine.standing().hold.unwrap().cause, HoldCause::Suspect);

    lab.standbys_heard(3 * SECOND);
    lab.pass(200);

    assert!(lab.did("publish n2"));
}

#[test]
fn policies_hear_of_a_silence_from_its_first_question_on() {
    let mut lab = lab(SyncMode::On);
    lab.pass(10_000);
    let n1 = lab.node("n1");
    (n1.door, n1.door_for, n1.held) = (Door::TimedOut, Duration::from_millis(700), Held::Silent(SECOND));
    lab.look();

    let view = lab.machine.view().unwrap();

    assert_eq!(view.reports[0].nodes[0].lasting, SECOND);
}

#[test]
fn policies_hear_of_a_standbys_silence_from_what_it_told_the_primary_last() {
    let mut lab = lab(SyncMode::On);
    lab.pass(10_000);
    lab.look();
    let replied = |lab: &mut Lab, ago: Duration| {
        let mut sight = lab.sight.clone();
        sight.nodes[0].senders.iter_mut().for_each(|sender| sender.replied = Some(ago));
        lab.take(Event::Sight(sight));
        lab.machine.view().unwrap().reports[0].nodes[2].lasting
    };
    assert_eq!(replied(&mut lab, 5 * SECOND), lab.sight.nodes[2].door_for, "one that answers is not silent");

    let n3 = lab.node("n3");
    (n3.door, n3.door_for, n3.held) = (Door::TimedOut, SECOND, Held::Silent(4 * SECOND));

    assert_eq!(replied(&mut lab, 5 * SECOND), 5 * SECOND);
    assert_eq!(replied(&mut lab, SECOND), 4 * SECOND);
}

#[test]
fn a_primary_that_only_we_cannot_reach_is_replaced_only_if_standbys_can_fence_it() {
    for (sync, replaced) in [(SyncMode::Off, false), (SyncMode::On, true)] {
        let mut lab = lab(sync);
        lab.hang("n1");
        lab.pass(5_000);

        assert_eq!(lab.did("publish n2"), replaced, "{sync:?}");
        assert_eq!(lab.said("refused: the policy says to fail over"), !replaced);
    }
}

#[test]
fn our_own_pause_is_nobodys_hang() {
    let mut lab = lab(SyncMode::On);
    lab.hang("n1");
    lab.standbys_heard(60 * SECOND);
    lab.node("n1").held = Held::Silent(60 * SECOND);
    lab.now += 60 * SECOND;

    lab.look();

    assert_eq!(lab.state(), State::Suspect);
    assert!(lab.done.is_empty());
}

#[test]
fn the_policy_may_veto_and_delay() {
    for verdict in [Verdict::Hold("ours".into()), Verdict::Wait(SECOND, "later".into()), Verdict::Healthy] {
        let mut lab = lab(SyncMode::On);
        lab.verdict = verdict;
        lab.kill("n1");
        lab.pass(3_000);
        assert!(lab.done.is_empty());
        assert_eq!(lab.state(), State::Confirm);

        lab.verdict = Verdict::FailOver("now".into());
        lab.pass(1_100);

        assert!(lab.did("publish n2"));
    }
}

#[test]
fn nothing_fails_over_by_itself_when_it_is_off_or_paused() {
    let mut off = settings(SyncMode::On);
    off.failover = FailoverMode::Off;
    let mut paused = lab(SyncMode::On);
    paused.order(Order::Pause);
    for mut lab in [Lab::at_work(off), paused] {
        lab.kill("n1");
        lab.pass(20_000);

        assert_eq!((lab.state(), lab.done.is_empty()), (State::Paused, true));
        assert_eq!(lab.machine.standing().hold, None, "nothing is coming that would be worth a wait");
    }
}

#[test]
fn one_automatic_failover_follows_another_only_after_a_minute() {
    let mut lab = lab(SyncMode::Off);
    lab.kill("n1");
    lab.pass(5_000);
    lab.node("n3").viewed.received = Some(Lsn(100));
    lab.done.clear();

    lab.kill("n2");
    lab.pass(50_000);
    assert_eq!((lab.state(), lab.done.is_empty()), (State::Confirm, true));
    lab.pass(10_000);

    assert_eq!(lab.machine.standing().operation.unwrap().id, 2);
}

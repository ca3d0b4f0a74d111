//! What goes on between failovers: who follows, who is kept out, for whom commits wait.

use std::time::Duration;

use super::{
    super::super::{
        action::{Event, Order, Refusal},
        quarantine::Offence,
        settings::{FailoverMode, RejoinMode, Settings, SyncMode},
        sight::Held,
        state::State,
        sync_set::Electorate,
        verdict::FollowAction,
        view::Role,
    },
    lab,
    lab::{Lab, any, settings},
};
use crate::id::NodeId;

#[test]
fn the_electorate_is_nobody_until_the_new_set_has_everything() {
    let mut lab = lab(SyncMode::On);
    let both = Electorate::Quorum { members: vec!["n2".into(), "n3".into()], hear: 2 };
    assert_eq!(lab.machine.standing().electorate, both);
    lab.stuck = vec![("repoint", "n3")];

    lab.kill("n1");
    assert_eq!(lab.machine.standing().electorate, Electorate::Nobody);
    lab.wanted = any(&["n3"]);
    lab.stuck.clear();
    lab.pass(8_000);

    assert_eq!(lab.machine.standing().electorate, Electorate::Quorum { members: vec!["n3".into()], hear: 1 });
}

#[test]
fn a_promotion_by_others_is_a_split_unless_the_old_primary_is_one_no_more() {
    let promoted = |lab: &mut Lab| {
        let node = lab.node("n2");
        (node.viewed.role, node.viewed.timeline, node.receiver) = (Role::Primary, Some(2), None);
        lab.look();
    };
    let mut split = lab(SyncMode::On);
    promoted(&mut split);
    assert_eq!(split.state(), State::Split);
    assert_eq!(split.machine.standing().quarantine[0].offence, Offence::Rival);
    split.order(Order::Failover { to: Some("n2".into()), allow_loss: false });
    assert!(matches!(split.answers.pop(), Some(Err(Refusal::NotNow(_)))));
    split.order(Order::Failover { to: Some("n2".into()), allow_loss: true });
    assert!(split.did("publish n2"));

    let mut demoted = lab(SyncMode::On);
    demoted.stuck = vec![("detach", "n1"), ("detach", "n2"), ("detach", "n3")];
    demoted.node("n1").viewed.role = Role::Standby;
    promoted(&mut demoted);
    assert!(demoted.did("publish n2"));

    let mut settings = settings(SyncMode::Off);
    settings.failover = FailoverMode::Off;
    let mut elsewhere = Lab::at_work(settings);
    promoted(&mut elsewhere);
    assert!(elsewhere.did("publish n2"), "somebody else fails over");
}

#[test]
fn a_full_disk_is_told_of_once_and_nobody_is_replaced_for_it() {
    let mut lab = lab(SyncMode::On);
    for ago in [0, 1, 0, 59] {
        lab.node("n1").disk_full = Some(Duration::from_secs(ago));
        lab.look();
    }
    let told = |lab: &Lab| lab.told.iter().filter(|told| told.contains("disk-full")).count();
    assert_eq!(told(&lab), 1, "{:?}", lab.told);

    lab.node("n1").disk_full = Some(Duration::from_secs(60));
    lab.pass(5_000);

    assert_eq!(told(&lab), 2, "it is over: {:?}", lab.told);
    assert_eq!(lab.state(), State::Steady);
    assert!(lab.done.is_empty(), "{:?}", lab.done);
}

#[test]
fn an_old_primary_that_returns_gets_no_work() {
    let mut lab = lab(SyncMode::On);
    lab.kill("n1");
    lab.wake("n1");
    lab.pass(2_000);

    let standing = lab.machine.standing();
    assert_eq!(standing.quarantine.len(), 1);
    assert_eq!((standing.quarantine[0].node.clone(), standing.quarantine[0].offence), ("n1".into(), Offence::Zombie));
    assert_eq!(standing.state, State::Steady, "it is no rival");
}

#[test]
fn a_returned_node_is_released_once_it_has_followed_for_a_while() {
    let mut lab = lab(SyncMode::On);
    lab.kill("n1");
    lab.wake("n1");
    lab.node("n1").viewed.role = Role::Standby;
    lab.node("n1").viewed.timeline = Some(2);
    lab.node("n1").receiver = lab.sight.node("n3").unwrap().receiver;

    lab.pass(4_500);
    assert_eq!(lab.machine.standing().quarantine[0].offence, Offence::Unproven);
    lab.pass(1_000);

    assert!(lab.machine.standing().quarantine.is_empty());
    assert!(lab.disk.unwrap().route.deposed.is_empty());
}

#[test]
fn a_node_that_is_down_is_started_by_order_alone() {
    let mut lab = lab(SyncMode::On);
    lab.kill("n1");
    lab.pass(60_000);
    assert!(!lab.done.iter().any(|done| done.starts_with("start")));

    lab.order(Order::Rejoin { node: "n1".into() });

    assert!(lab.did("rewind n1") && lab.did("start n1"));
}

#[test]
fn a_synchronous_standby_that_goes_is_not_waited_for_and_comes_back_after_a_while() {
    let mut lab = lab(SyncMode::On);
    lab.node("n3").receiver = None;
    lab.node("n3").held = Held::Reset(Duration::ZERO);
    lab.wanted = any(&["n2"]);
    lab.look();
    assert_eq!(lab.done, ["set-sync n1"]);
    lab.pass(100);
    assert_eq!(lab.machine.standing().electorate, Electorate::Quorum { members: vec!["n2".into()], hear: 1 });

    lab.node("n3").receiver = lab.sight.node("n2").unwrap().receiver;
    lab.wake("n3");
    lab.wanted = any(&["n2", "n3"]);
    lab.pass(9_000);
    assert_eq!(lab.done, ["set-sync n1"], "it has to behave well for a while first");
    lab.pass(3_000);

    assert_eq!(lab.done, ["set-sync n1", "set-sync n1"]);
}

#[test]
fn in_strict_mode_commits_always_wait_for_somebody() {
    let mut lab = lab(SyncMode::Strict);
    lab.wanted = None;
    lab.pass(2_000);
    assert!(lab.done.is_empty() && lab.said("refused: commits always wait for somebody in strict mode"));
}

#[test]
fn a_standby_that_does_not_receive_is_reported_and_started_anew_by_order() {
    let mut lab = lab(SyncMode::On);
    lab.stuck = vec![("repoint", "n3")];
    lab.kill("n1");
    let reported = (0..30).any(|_| {
        lab.pass(1_000);
        lab.told.iter().any(|told| told.contains("does not receive from the primary"))
    });
    assert!(reported, "{:?}", lab.told);
    assert!(!lab.did("stop n3"), "readers are there");

    lab.order(Order::Rejoin { node: "n3".into() });
    lab.pass(8_000);

    assert!(lab.did("stop n3") && lab.did("start n3"), "{:?}", lab.done);
    assert_eq!(lab.answers.pop(), Some(Ok("n3 follows the primary".into())));
}

#[test]
fn a_node_that_is_silent_for_a_moment_is_made_to_follow_nonetheless() {
    for (silent_ms, answer) in [
        (3_000, Ok("n3 follows the primary".to_owned())),
        (6_000, Err(Refusal::Failed("n3 does not answer any more".into()))),
    ] {
        let mut lab = lab(SyncMode::On);
        lab.failing = vec![("repoint", "n3")];
        lab.order(Order::Rejoin { node: "n3".into() });
        lab.hang("n3");
        lab.pass(silent_ms);
        lab.failing.clear();
        lab.wake("n3");
        lab.pass(1_000);
        assert_eq!(lab.answers.pop(), Some(answer));
    }
}

/// n3 does not follow after a failover, though it can be told to.
fn lab_of_a_deaf_standby(wanted: Settings) -> Lab {
    let mut lab = Lab::at_work(wanted);
    lab.failing = vec![("repoint", "n3")];
    lab.kill("n1");
    lab
}

#[test]
fn the_policy_says_how_often_a_step_is_tried() {
    let mut lab = lab_of_a_deaf_standby(settings(SyncMode::On));
    let again = FollowAction::Repoint { upstream: NodeId(1), create_slot: true };
    lab.next_action = Some(again.clone());
    lab.pass(5_000);
    let expected: Vec<_> = (1..=lab.failures.len()).map(|attempt| format!("{again:?} {attempt}")).collect();
    assert_eq!(lab.failures, expected);
    assert!(lab.failures.len() > 3, "{:?}", lab.failures);
    assert!(!lab.said("does not receive from the primary"));

    lab.next_action = Some(FollowAction::LeaveAlone);
    lab.pass(1_000);

    assert_eq!(lab.told.iter().filter(|told| told.contains("does not receive from the primary")).count(), 1);
    assert!(lab.said("done: everybody follows who can"), "{:?}", lab.told);
}

#[test]
fn a_policy_that_goes_to_and_fro_is_stopped() {
    let mut lab = lab(SyncMode::On);
    lab.failing = vec![("repoint", "n3"), ("rewind", "n3")];
    lab.to_and_fro = true;
    lab.order(Order::Rejoin { node: "n3".into() });
    lab.pass(60_000);
    assert!(matches!(lab.answers.pop(), Some(Err(Refusal::Failed(_)))), "{:?}", lab.done);
}

#[test]
fn a_stronger_step_is_taken_where_that_is_allowed() {
    for (rejoin, allowed) in [(RejoinMode::Follow, false), (RejoinMode::Repair, true)] {
        let mut lab = lab_of_a_deaf_standby(Settings { rejoin, ..settings(SyncMode::On) });
        lab.next_action = Some(FollowAction::Rewind { upstream: NodeId(1), create_slot: true });
        lab.pass(5_000);
        assert!(lab.said("does not receive from the primary"), "{:?}", lab.told);
        assert!(!lab.did("rewind n3"), "a failover stops nobody");

        lab.pass(10_000);

        assert_eq!(lab.did("stop n3") && lab.did("rewind n3") && lab.did("start n3"), allowed, "{:?}", lab.done);
        assert_eq!(lab.said("which auto_rejoin does not allow: REJOIN does"), !allowed, "{:?}", lab.told);
    }
}

#[test]
fn a_rewind_that_fails_becomes_what_the_policy_says() {
    let rebuild = FollowAction::Rebuild { source: NodeId(1), upstream: NodeId(1), max_rate_kib: Some(512) };
    let given_up = Err(Refusal::Failed("rewind on n1: because".into()));
    for (next, answer) in [(rebuild, Ok("n1 follows the primary".into())), (FollowAction::LeaveAlone, given_up)] {
        let mut lab = lab(SyncMode::On);
        lab.failing = vec![("rewind", "n1")];
        lab.kill("n1");
        lab.pass(9_000);
        lab.next_action = Some(next);

        lab.order(Order::Rejoin { node: "n1".into() });
        lab.pass(9_000);

        assert!(lab.did("rewind n1 failed"), "{:?}", lab.done);
        assert_eq!(lab.did("rebuild n1"), answer.is_ok(), "{:?}", lab.done);
        assert_eq!(lab.answers.pop(), Some(answer));
    }
}

#[test]
fn the_primary_is_armed_in_each_term_and_disarmed_when_that_is_not_wanted() {
    let mut wanted = settings(SyncMode::On);
    wanted.armed_primary = true;
    let mut lab = Lab::with(wanted.clone(), None);
    lab.pass(5_000);
    assert!(lab.did("arm n1"), "{:?}", lab.done);

    lab.kill("n1");
    lab.pass(8_000);
    let arms = |lab: &Lab| lab.done.iter().filter(|done| done.starts_with("arm ")).cloned().collect::<Vec<_>>();
    assert_eq!(arms(&lab).len(), 2, "{:?}", lab.done);

    wanted.armed_primary = false;
    lab.take(Event::Reconfigured(wanted));
    lab.pass(1_000);
    assert!(lab.done.last().is_some_and(|done| done.starts_with("disarm ")), "{:?}", lab.done);
    assert_eq!(arms(&lab).len(), 2);
}

#[test]
fn a_primary_that_an_earlier_proxy_armed_is_disarmed() {
    let mut wanted = settings(SyncMode::On);
    wanted.armed_primary = true;
    let mut lab = Lab::with(wanted.clone(), None);
    lab.pass(5_000);
    let record = lab.disk.clone().unwrap();
    assert_eq!(record.armed.as_deref(), Some("n1"));

    wanted.armed_primary = false;
    let mut lab = Lab::with(wanted, Some(record));
    lab.pass(5_000);

    assert!(lab.did("disarm n1"), "{:?}", lab.done);
    assert_eq!(lab.disk.as_ref().unwrap().armed, None);
    assert_eq!(lab.done.iter().filter(|done| done.starts_with("disarm ")).count(), 1, "{:?}", lab.done);
}

#[test]
fn a_primary_that_cannot_be_armed_is_tried_now_and_then() {
    let mut wanted = settings(SyncMode::On);
    wanted.armed_primary = true;
    let mut lab = Lab::with(wanted, None);
    lab.failing = vec![("arm", "n1")];
    lab.pass(20_000);
    let tries = lab.done.iter().filter(|done| *done == "arm n1 failed").count();
    assert_eq!(tries, 1, "and then once every half minute: {:?}", lab.done);
    assert_eq!(lab.state(), State::Steady);
}

//! The machine's promises, as short stories.

mod every;
mod lab;

use std::time::Duration;

use self::lab::{Lab, any, settings};
use super::super::{
    action::{Event, Order, Refusal},
    name::Name,
    operation::{Kind, Step},
    quarantine::Offence,
    settings::{FailoverMode, SyncMode},
    sight::{Door, Held},
    standing::HoldCause,
    state::State,
    sync_set::Electorate,
    verdict::Verdict,
    view::Role,
};
use crate::id::Lsn;

const SECOND: Duration = Duration::from_secs(1);

fn lab(sync: SyncMode) -> Lab {
    Lab::at_work(settings(sync))
}

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
fn what_is_no_death_is_left_alone() {
    let stories: [(&str, fn(&mut Lab)); 6] = [
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
fn a_switchover_asks_for_a_way_to_stop_the_primary() {
    let mut settings = settings(SyncMode::On);
    settings.nodes[0].controlled = false;
    let mut lab = Lab::at_work(settings);

    lab.order(Order::Switchover { to: None });

    assert_eq!(lab.answers, [Err(Refusal::NotControlled("n1".into()))]);
}

#[test]
fn a_switchover_stops_the_old_primary_before_anybody_is_promoted() {
    let mut lab = lab(SyncMode::On);

    lab.order(Order::Switchover { to: Some("n3".into()) });
    lab.look();
    lab.pass(1_000);

    let story: Vec<&str> = lab.done.iter().map(String::as_str).filter(|done| !done.contains("sync")).collect();
    let expected =
        ["checkpoint n1", "checkpoint n3", "drain n1", "arm n1", "stop n1", "catch-up n3", "detach n2", "detach n3"];
    assert_eq!(story[..expected.len()], expected);
    let place = |what: &str| story.iter().position(|done| *done == what).unwrap_or_else(|| panic!("{what}: {story:?}"));
    assert!(place("stop n1") < place("promote n3"));
    assert!(place("publish n3") < place("repoint n2") && place("publish n3") < place("start n1"));
    assert_eq!(lab.answers, [Ok("n3 is primary on timeline 2".into())]);
}

#[test]
fn a_switchover_that_cannot_drain_is_called_off() {
    let mut lab = lab(SyncMode::On);
    lab.stuck = vec![("drain", "n1")];
    lab.order(Order::Switchover { to: Some("n2".into()) });
    assert_eq!(lab.machine.standing().hold.unwrap().cause, HoldCause::Switchover);

    lab.pass(6_500);

    assert_eq!(lab.state(), State::Steady);
    assert_eq!(lab.machine.standing().hold, None);
    assert!(lab.did("disarm n1") && !lab.did("stop n1"));
    assert!(matches!(lab.answers[..], [Err(Refusal::Failed(_))]));
}

#[test]
fn after_the_stop_and_without_its_candidate_the_old_primary_comes_back() {
    let mut lab = lab(SyncMode::On);
    lab.stuck = vec![("catch-up", "n2")];
    lab.order(Order::Switchover { to: Some("n2".into()) });
    lab.look();
    assert!(lab.did("stop n1"));
    lab.kill("n3");

    lab.kill("n2");
    lab.pass(5_000);

    assert!(lab.did("start n1") && lab.did("promote n1") && lab.did("publish n1"), "{:?}", lab.done);
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
fn an_order_for_what_is_not_there_or_not_now_says_why() {
    let mut lab = lab(SyncMode::Off);
    let nobody = Name::from("n9");
    for (order, words) in [
        (Order::Switchover { to: Some(nobody.clone()) }, "no node is named \"n9\""),
        (Order::Switchover { to: Some("n1".into()) }, "n1 is the primary already"),
        (Order::Rejoin { node: "n1".into() }, "n1 is the primary"),
        (
            Order::Failover { to: None, allow_loss: false },
            "the primary is healthy and commits wait for no standby: use SWITCHOVER, or ALLOW DATA LOSS",
        ),
    ] {
        lab.order(order);
        assert_eq!(lab.answers.pop().unwrap().unwrap_err().to_string(), words);
    }
    lab.stuck = vec![("drain", "n1")];
    lab.order(Order::Switchover { to: Some("n2".into()) });
    lab.order(Order::Failover { to: None, allow_loss: true });
    let busy = Refusal::Busy { operation: 1, kind: Kind::Switchover.word() };
    assert_eq!(lab.answers.pop(), Some(Err(busy)));
}

//! An operator's orders, a planned switchover first.

use super::{
    super::super::{
        action::{Order, Refusal},
        name::Name,
        operation::Kind,
        settings::SyncMode,
        standing::HoldCause,
        state::State,
    },
    lab,
    lab::{Lab, settings},
};
use crate::id::Lsn;

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
fn the_old_primary_is_helped_to_follow_unless_it_may_have_been_promoted_itself() {
    // The new timeline begins at 100.
    for (received, helped) in [(100, true), (101, false)] {
        let mut lab = lab(SyncMode::On);
        lab.order(Order::Switchover { to: Some("n2".into()) });
        let n1 = lab.node("n1");
        (n1.receiver, n1.viewed.timeline, n1.viewed.received) = (None, Some(2), Some(Lsn(received)));

        lab.pass(20_000);

        assert_eq!(lab.did("repoint n1"), helped, "{received}: {:?}", lab.done);
    }
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

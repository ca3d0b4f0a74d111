//! Policies of the control plane that misbehave cost a counter, and nothing is done.

use std::time::Duration;

use howdah::{
    cluster::{
        verdict::{Election, FollowAction, SyncDecision, Trigger, Verdict},
        view::View,
    },
    id::NodeId,
    plugin::{
        FailoverPolicy, FollowPolicy, PluginError, PluginState, PolicyNumbers, PolicySpec, SyncSetPolicy, builtin,
    },
};
use serde_json::{Value, json};

use crate::{
    follow::{event, failure, line},
    follow_case::Standby,
    setup::{CHAOS, CHAOS_CONTROL, cluster, engine, spec},
    view::three_nodes,
};

fn failover_with(settings: &Value) -> Result<FailoverPolicy, PluginError> {
    FailoverPolicy::load(engine(), &spec(CHAOS_CONTROL, settings), &cluster())
}

fn failover(misbehave: &str) -> FailoverPolicy {
    failover_with(&json!({ "misbehave": misbehave })).unwrap()
}

fn follow(misbehave: &str) -> FollowPolicy {
    let settings = json!({ "misbehave": misbehave });
    FollowPolicy::load(engine(), &spec(CHAOS_CONTROL, &settings), &cluster()).unwrap()
}

fn sync_set(misbehave: &str) -> SyncSetPolicy {
    let settings = json!({ "misbehave": misbehave });
    SyncSetPolicy::load(engine(), &spec(CHAOS_CONTROL, &settings), &cluster()).unwrap()
}

/// That exactly one call failed, and why.
fn complaint(numbers: Option<PolicyNumbers>) -> String {
    let status = numbers.unwrap().status;
    assert_eq!((status.calls, status.failures), (1, 1), "{status:?}");
    status.last_error.unwrap()
}

fn view() -> View {
    three_nodes()
}

#[test]
fn nobody_fails_over_because_the_policy_fails() {
    let cases = [
        ("trap", "it trapped: panicked: told to trap"),
        ("loop", "it did not finish within 200ms of CPU time"),
        ("error", "told to fail"),
        ("long-wait", "the wait is 4294967.295s; it is from 10ms to 600s"),
        ("no-wait", "the wait is 0ns; it is from 10ms to 600s"),
        ("use-sql", "Err(SqlError::NotGranted)"),
    ];
    for (misbehave, expected) in cases {
        let policy = failover(misbehave);
        let Verdict::Hold(why) = policy.assess(&view()) else { panic!("{misbehave}: fails over") };
        assert!(why.starts_with("the policy gave no answer ("), "{misbehave}: {why}");
        assert!(why.contains(expected), "{misbehave}: {why}");
        assert!(complaint(policy.numbers()).contains(expected));
    }
}

#[test]
fn nobody_is_promoted_whom_the_policy_cannot_mean() {
    let cases = [
        ("trap", "told to trap"),
        ("unknown-node", "there is no node 4711"),
        ("twice", "candidates names node #1 twice"),
        ("nobody", "candidates names nobody"),
        ("long-wait", "the time to catch up is 4294967.295s"),
        ("no-wait", "the wait is 0ns"),
    ];
    for (misbehave, expected) in cases {
        let policy = failover(misbehave);
        let Election::Abstain(why) = policy.elect(&view(), Trigger::Automatic, None) else {
            panic!("{misbehave}: promotes")
        };
        assert!(why.contains(expected), "{misbehave}: {why}");
        assert!(complaint(policy.numbers()).contains(expected));
    }
}

#[test]
fn an_operators_choice_stands_whatever_the_policy_says() {
    for misbehave in ["other-node", "trap", "none"] {
        let policy = failover(misbehave);
        let Election::Promote(promotion) = policy.elect(&view(), Trigger::Forced, Some(NodeId(1))) else {
            panic!("{misbehave}: does not promote")
        };
        assert_eq!(promotion.candidates.iter().map(|c| c.node).collect::<Vec<_>>(), [NodeId(1)], "{misbehave}");
    }
}

#[test]
fn words_do_not_spoil_a_decision() {
    let policy = failover("long-text");
    let Verdict::FailOver(why) = policy.assess(&view()) else { panic!("holds") };
    assert!(why.starts_with("two lines two lines ") && why.len() == 2 << 10, "{} bytes", why.len());
    let SyncDecision::Nobody(why) = sync_set("long-text").decide(&view(), None) else { panic!("keeps") };
    assert!(why.starts_with("two lines two lines "), "{why}");
}

#[test]
fn standbys_are_left_alone_when_a_plan_makes_no_sense() {
    let cases = [
        ("trap", "told to trap"),
        ("loop", "it did not finish"),
        ("error", "told to fail"),
        ("unknown-node", "4711 is none of the standbys"),
        ("old-primary", "0 is none of the standbys"),
        ("twice", "plans names node #2 twice"),
        ("own-upstream", "node #2 cannot follow itself"),
        ("circle", "node #2 would follow itself by way of others"),
        ("from-backup", "there is no such backup"),
        ("long-wait", "the timeout is 4294967.295s; it is from 10ms to 604800s"),
        ("no-wait", "the timeout is 0ns"),
    ];
    let event = event(&[Standby::default(), Standby::default(), Standby::default()]);
    for (misbehave, expected) in cases {
        let policy = follow(misbehave);
        assert_eq!(policy.plan(&event), [], "{misbehave}");
        let complaint = complaint(policy.numbers());
        assert!(complaint.contains(expected), "{misbehave}: {complaint}");
    }
    assert_eq!(follow("none").plan(&event).len(), 3);
}

#[test]
fn a_standby_is_given_up_when_the_next_step_makes_no_sense() {
    let event = event(&[Standby::default(), Standby::default()]);
    for (misbehave, expected) in [("trap", "told to trap"), ("other-node", "names node #3, where only #2 was asked")] {
        let policy = follow(misbehave);
        let answer = policy.retry(&event, &failure("repoint", 1, true));
        assert_eq!(answer.action, FollowAction::LeaveAlone);
        assert!(line(&answer).contains(expected), "{}", line(&answer));
    }
}

#[test]
fn the_set_stays_when_another_makes_no_sense() {
    let cases = [
        ("trap", "told to trap"),
        ("loop", "it did not finish"),
        ("unknown-node", "there is no node 4711"),
        ("twice", "members names node #1 twice"),
        ("nobody", "members names nobody"),
        ("wait-for-itself", "the primary, node #0, cannot wait for itself"),
        ("wait-for-more-than-all", "a commit cannot wait for 3 of 2 standbys"),
    ];
    for (misbehave, expected) in cases {
        let policy = sync_set(misbehave);
        assert_eq!(policy.decide(&view(), None), SyncDecision::Keep, "{misbehave}");
        let complaint = complaint(policy.numbers());
        assert!(complaint.contains(expected), "{misbehave}: {complaint}");
    }
    assert!(matches!(sync_set("none").decide(&view(), None), SyncDecision::Change(_)));
}

#[test]
fn a_policy_that_keeps_failing_is_left_alone_for_a_while_and_then_asked_again() {
    let policy = failover("trap");
    for _ in 0..5 {
        policy.assess(&view());
    }
    assert_eq!(policy.numbers().unwrap().status.state, PluginState::Broken);
    let Verdict::Hold(why) = policy.assess(&view()) else { panic!("fails over") };
    assert!(why.starts_with("the policy gave no answer (circuit open): it trapped"), "{why}");
    assert_eq!(policy.numbers().unwrap().status.traps, 5, "it was not called");
}

#[test]
fn what_a_policy_does_wrong_at_the_start_refuses_it() {
    let cases = [
        (json!({ "misbehave": "ask-for-probe" }), "asks for the probe `bloat`, but this version runs no probes"),
        (json!({ "misbehave": "tick-too-fast" }), "setup failed: its answer is invalid: the tick is 0ns"),
        (json!({ "misbehave": "trap", "at_once": true }), "the first assess failed: it trapped: panicked"),
        (json!({ "misbehave": "long-wait", "at_once": true }), "the first assess failed: its answer is invalid"),
        (json!({ "misbehave": "what" }), "configure failed: unknown variant `what`"),
    ];
    for (settings, expected) in cases {
        let text = failover_with(&settings).unwrap_err().to_string();
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn a_policy_of_another_role_is_named() {
    let refused = |component: &[u8]| {
        let settings = Value::Null;
        FailoverPolicy::load(engine(), &spec(component, &settings), &cluster()).unwrap_err().to_string()
    };
    for component in [CHAOS, builtin("sync-set").unwrap()] {
        let text = refused(component);
        assert!(text.starts_with("not a failover policy: it does not export howdah:plugin/failover; "), "{text}");
    }
}

#[test]
fn sql_has_to_be_granted_and_is_not() {
    let grants = ["node-sql".to_owned()];
    let settings = json!({ "misbehave": "none" });
    let spec = PolicySpec { grants: &grants, ..spec(CHAOS_CONTROL, &settings) };
    let text = FailoverPolicy::load(engine(), &spec, &cluster()).unwrap_err().to_string();
    assert_eq!(text, "unknown grant `node-sql`: a policy may be granted `state`");
}

#[test]
fn a_call_waits_its_turn() {
    let policy = failover("none");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(matches!(policy.assess(&view()), Verdict::FailOver(_))));
        }
    });
    let status = policy.numbers().unwrap().status;
    assert_eq!((status.calls, status.failures, status.instances), (8, 0, 1));
    assert_eq!(policy.tick(), Duration::from_millis(500));
}

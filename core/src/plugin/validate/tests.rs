//! What a hostile guest may answer, and what becomes of it.

use super::*;
use crate::facts::{Health, NodeFacts, Role};
use wit::{
    Admission as WitAdmission, Causality as WitCausality, Destination as WitDestination, Freshness as WitFreshness,
    Hold as WitHold, Plan as WitPlan, Refusal as WitRefusal, ReplicaSet as WitReplicaSet, Reuse, ReuseScope, Selector,
    Share, Target as WitTarget,
};

fn facts(nodes: u16) -> Facts {
    let node = |id| NodeFacts {
        id: NodeId(id),
        name: format!("n{id}").into(),
        host: "127.0.0.1".into(),
        port: 5432 + id,
        weight: 100,
        labels: [].into(),
        role: Role::Standby,
        health: Health::Up,
        ramp_percent: 100,
        server_version: None,
        timeline: None,
        received: None,
        replayed: None,
        inserted: None,
        async_commit: false,
        lag_bytes: None,
        lag: None,
        sampled_at: tokio::time::Instant::now(),
        why: None,
    };
    Facts { epoch: 1, nodes: (0..nodes).map(node).collect(), ..Facts::default() }
}

fn plan(destination: WitDestination) -> WitPlan {
    WitPlan {
        destination,
        fallbacks: Vec::new(),
        hold: WitHold::Statement,
        stamp: Vec::new(),
        reuse: Reuse { scope: ReuseScope::Shape, max_age: None, vary_parameters: Vec::new() },
        rule: "rule".to_owned(),
        options: Vec::new(),
    }
}

fn primary() -> WitPlan {
    plan(WitDestination::To(WitTarget::Primary))
}

fn replicas(nodes: Vec<u32>) -> WitReplicaSet {
    WitReplicaSet {
        selector: Selector { nodes, labels: Vec::new() },
        freshness: WitFreshness {
            max_lag_bytes: None,
            max_lag: Some(500),
            causality: WitCausality::OwnWrites,
            wait: 10,
        },
        balance: wit::Balance::LeastBusy,
        include_primary: false,
    }
}

fn refuse(sqlstate: &str, message: &str) -> WitRefusal {
    WitRefusal {
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
        detail: None,
        hint: None,
        close_session: false,
    }
}

/// What becomes of a plan, with two nodes in the cluster.
fn judge(given: WitPlan) -> Result<String, String> {
    match verdict(given, &facts(2)) {
        Ok(Verdict::Plan(plan)) => Ok(plan.to_string()),
        Ok(Verdict::BuiltIn(terms)) => Ok(terms.on(Plan::primary("built-in")).to_string()),
        Err(invalid) => Err(invalid.to_string()),
    }
}

#[test]
fn a_valid_plan_comes_through_as_it_is() {
    let given = WitPlan {
        fallbacks: vec![WitTarget::Node(0), WitTarget::Primary],
        hold: WitHold::ForTime(1_500),
        stamp: vec!["acme".to_owned()],
        reuse: Reuse { scope: ReuseScope::Shape, max_age: Some(250), vary_parameters: Vec::new() },
        ..plan(WitDestination::To(WitTarget::Replicas(replicas(vec![1]))))
    };
    assert_eq!(
        judge(given).unwrap(),
        "standby #1 by least-busy, at most 500 ms behind, with own writes, waiting 10 ms \
         or node #0 or primary for 1500 ms stamp acme kept 250 ms [rule]"
    );
}

#[test]
fn a_policy_without_opinion_is_not_asked_for_the_rest() {
    let nonsense = WitPlan { rule: String::new(), ..plan(WitDestination::BuiltIn) };
    assert_eq!(judge(nonsense).unwrap(), "primary [built-in]");
}

#[test]
fn what_a_policy_stamps_and_how_long_it_is_kept_hold_without_an_opinion_too() {
    let reuse = Reuse { scope: ReuseScope::Shape, max_age: Some(250), vary_parameters: vec![0] };
    let given = WitPlan { stamp: vec!["acme".to_owned()], reuse, ..plan(WitDestination::BuiltIn) };
    assert_eq!(judge(given).unwrap(), "primary stamp acme kept 250 ms by parameter 0 [built-in]");
    let never = Reuse { scope: ReuseScope::Never, max_age: None, vary_parameters: Vec::new() };
    assert_eq!(judge(WitPlan { reuse: never, ..plan(WitDestination::BuiltIn) }).unwrap(), "primary once [built-in]");
}

#[test]
fn nodes_must_exist_wherever_they_are_named() {
    let everywhere = [
        plan(WitDestination::To(WitTarget::Node(2))),
        plan(WitDestination::To(WitTarget::Node(u32::MAX))),
        plan(WitDestination::To(WitTarget::Replicas(replicas(vec![0, 2])))),
        plan(WitDestination::Split(vec![Share { weight: 1, target: WitTarget::Node(65_536) }])),
        WitPlan { fallbacks: vec![WitTarget::Node(7)], ..primary() },
    ];
    for given in everywhere {
        assert!(judge(given).unwrap_err().starts_with("there is no node "));
    }
}

#[test]
fn lists_are_short() {
    let lists = [
        WitPlan { fallbacks: vec![WitTarget::Primary; 17], ..primary() },
        WitPlan { stamp: vec!["key".to_owned(); 17], ..primary() },
        WitPlan { options: vec![("a".to_owned(), "b".to_owned()); 17], ..primary() },
        WitPlan { reuse: Reuse { vary_parameters: vec![0; 17], ..primary().reuse }, ..primary() },
        plan(WitDestination::Split(vec![Share { weight: 1, target: WitTarget::Primary }; 17])),
        plan(WitDestination::To(WitTarget::Replicas(replicas(vec![0; 257])))),
    ];
    for given in lists {
        assert!(judge(given).unwrap_err().contains("at most"));
    }
}

#[test]
fn texts_fit_into_a_message_of_the_protocol() {
    let bad = [
        ("42501", "zero\0byte", "the message contains a control character"),
        ("42501", "line\r\nbreak", "the message contains a control character"),
        ("42501", "", "the message is empty"),
        ("4250", "no", "\"4250\" is not the SQLSTATE of an error"),
        ("42\u{e9}1", "no", "\"42\u{e9}1\" is not the SQLSTATE of an error"),
        ("42p01", "no", "\"42p01\" is not the SQLSTATE of an error"),
        ("00000", "no", "\"00000\" is not the SQLSTATE of an error"),
        ("01000", "no", "\"01000\" is not the SQLSTATE of an error"),
    ];
    for (sqlstate, message, complaint) in bad {
        let given = plan(WitDestination::Refuse(refuse(sqlstate, message)));
        assert_eq!(judge(given).unwrap_err(), complaint);
    }
    let long = "x".repeat(3_000);
    assert!(judge(plan(WitDestination::Refuse(refuse("42501", &long)))).is_err());

    let detail = |text: &str| WitRefusal { detail: Some(text.to_owned()), ..refuse("42501", "no") };
    assert!(judge(plan(WitDestination::Refuse(detail("two\nlines")))).is_ok());
    assert!(judge(plan(WitDestination::Refuse(detail("zero\0byte")))).is_err());
    assert!(judge(plan(WitDestination::Refuse(detail(&"x\n".repeat(2_000))))).is_err());
}

#[test]
fn every_plan_names_its_rule() {
    for rule in ["", "two\nlines", &"x".repeat(129)] {
        assert!(judge(WitPlan { rule: rule.to_owned(), ..primary() }).is_err(), "{rule:?}");
    }
}

#[test]
fn a_split_has_weight() {
    let share = |weight| Share { weight, target: WitTarget::Primary };
    let split = |weights: &[u32]| judge(plan(WitDestination::Split(weights.iter().map(|w| share(*w)).collect())));
    assert_eq!(split(&[]).unwrap_err(), split(&[0, 0]).unwrap_err());
    assert_eq!(split(&[0, 9]).unwrap(), "split 0 primary | 9 primary [rule]");
}

#[test]
fn a_plan_is_kept_as_it_says() {
    let reuse = |scope, max_age, vary: &[u16]| Reuse { scope, max_age, vary_parameters: vary.to_vec() };
    let cases = [
        (reuse(ReuseScope::Never, None, &[0]), "primary once [rule]"),
        (reuse(ReuseScope::Shape, None, &[]), "primary [rule]"),
        (reuse(ReuseScope::Shape, Some(0), &[]), "primary kept 0 ms [rule]"),
        (reuse(ReuseScope::Shape, None, &[7, 0, 7]), "primary by parameter 0, 7 [rule]"),
    ];
    for (reuse, plan) in cases {
        assert_eq!(judge(WitPlan { reuse, ..primary() }).unwrap(), plan);
    }
}

#[test]
fn labels_of_an_admission_are_names_with_short_values() {
    let accept = |key: &str, value: &str| admission(WitAdmission::Accept(vec![(key.to_owned(), value.to_owned())]));
    assert!(accept("tenant", "acme").is_ok());
    assert!(accept("tenant", "").is_ok());
    for (key, value) in [("", "acme"), ("ten\nant", "acme"), ("tenant", "ac\0me")] {
        assert!(accept(key, value).is_err(), "{key:?} {value:?}");
    }
    assert!(admission(WitAdmission::Refuse(refuse("28000", "not you"))).is_ok());
    assert!(admission(WitAdmission::Refuse(refuse("28", "not you"))).is_err());
}

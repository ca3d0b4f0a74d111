//! The default failover policy as the component that the program embeds, and the null policy.

use std::time::Duration;

use howdah::{
    cluster::verdict::{Election, Trigger, Verdict},
    id::NodeId,
    plugin::{FailoverPolicy, PolicySpec, builtin},
};
use serde_json::{Value, json};

use crate::{
    failover_case::Cases,
    setup::{cluster, engine, spec},
    view::{three_nodes, view},
};

fn load(settings: &Value) -> FailoverPolicy {
    let spec = PolicySpec { name: "failover", ..spec(builtin("failover").unwrap(), settings) };
    FailoverPolicy::load(engine(), &spec, &cluster()).unwrap()
}

fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Healthy => "healthy".to_owned(),
        Verdict::Wait(time, why) => format!("wait {} ms: {why}", time.as_millis()),
        Verdict::Hold(why) => format!("hold: {why}"),
        Verdict::FailOver(why) => format!("fail over: {why}"),
    }
}

fn election(election: Election) -> String {
    match election {
        Election::Promote(promotion) => {
            let nodes: Vec<_> = promotion.candidates.iter().map(|c| format!("n{} ({})", c.node.0, c.why)).collect();
            let wait = promotion.wait_for.map(|lsn| format!(", at {}", lsn.0)).unwrap_or_default();
            format!("promote {}, losing at most {}{wait}", nodes.join(" or "), promotion.max_loss_bytes)
        }
        Election::Retry(time, why) => format!("retry in {} ms: {why}", time.as_millis()),
        Election::Abstain(why) => format!("abstain: {why}"),
    }
}

fn trigger(name: &str) -> Trigger {
    match name {
        "automatic" => Trigger::Automatic,
        "switchover" => Trigger::Switchover,
        "forced" => Trigger::Forced,
        other => panic!("no trigger `{other}`"),
    }
}

#[test]
fn the_component_decides_as_the_cases_say() {
    for policy in Cases::load().policy {
        let loaded = load(&serde_json::to_value(&policy.settings).unwrap());
        for case in &policy.case {
            let view = view(&case.cluster);
            let title = format!("{}: {}", policy.title, case.title);
            if let Some(expected) = &case.verdict {
                assert_eq!(&verdict(loaded.assess(&view)), expected, "{title}");
            }
            for question in &case.elect {
                let answer = loaded.elect(&view, trigger(&question.trigger), question.target.map(NodeId));
                assert_eq!(election(answer), question.answer, "{title}: {}", question.trigger);
            }
        }
        assert_eq!(loaded.numbers().unwrap().status.failures, 0, "{}", policy.title);
    }
}

#[test]
fn it_says_how_often_to_ask() {
    assert_eq!(load(&json!({})).tick(), Duration::from_millis(200));
    assert_eq!(load(&json!({ "recheck": "1s" })).tick(), Duration::from_secs(1));
}

#[test]
fn without_a_policy_nobody_is_promoted_but_whom_an_operator_names() {
    let (null, view) = (FailoverPolicy::null(), three_nodes());
    assert_eq!(verdict(null.assess(&view)), "hold: there is no failover policy");
    for trigger in [Trigger::Automatic, Trigger::Switchover, Trigger::Forced] {
        assert_eq!(election(null.elect(&view, trigger, None)), "abstain: there is no failover policy");
    }
    let named = null.elect(&view, Trigger::Switchover, Some(NodeId(2)));
    let expected = "promote n2 (named by the operator; there is no failover policy), losing at most 0";
    assert_eq!(election(named), expected);
    assert!(null.is_null() && null.numbers().is_none());
}

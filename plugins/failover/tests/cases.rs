//! `cases.toml`, asked of the policy natively. `tests/plugins.rs` asks the component.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod case;
#[path = "case/native.rs"]
mod native;
#[path = "case/observed.rs"]
mod observed;

use case::Cases;
use failover::{Settings, assess::assess, elect::elect};
use howdah_plugin::{
    Policy,
    failover::{Election, Trigger, Verdict},
    settings,
};

fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Healthy => "healthy".to_owned(),
        Verdict::Wait((millis, why)) => format!("wait {millis} ms: {why}"),
        Verdict::Hold(why) => format!("hold: {why}"),
        Verdict::FailOver(why) => format!("fail over: {why}"),
    }
}

fn election(election: Election) -> String {
    match election {
        Election::Promote(promotion) => {
            let nodes: Vec<_> = promotion.candidates.iter().map(|c| format!("n{} ({})", c.node, c.why)).collect();
            let wait = promotion.wait_for.map(|lsn| format!(", at {lsn}")).unwrap_or_default();
            format!("promote {}, losing at most {}{wait}", nodes.join(" or "), promotion.max_loss_bytes)
        }
        Election::Retry((millis, why)) => format!("retry in {millis} ms: {why}"),
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
fn the_policy_decides_as_the_cases_say() {
    for policy in Cases::load().policy {
        let settings: Settings = settings::parse(&serde_json::to_string(&policy.settings).unwrap()).unwrap();
        for case in &policy.case {
            let cluster = native::cluster(&case.cluster);
            let title = format!("{}: {}", policy.title, case.title);
            if let Some(expected) = &case.verdict {
                assert_eq!(&verdict(assess(&settings, &cluster)), expected, "{title}");
            }
            for question in &case.elect {
                let target = question.target.map(u32::from);
                let answer = election(elect(&settings, &cluster, trigger(&question.trigger), target));
                assert_eq!(answer, question.answer, "{title}: {}", question.trigger);
            }
        }
    }
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refused = [
        (r#"{"crash_gracee": 5}"#, "crash_gracee"),
        (r#"{"fall": 0}"#, "`fall`"),
        (r#"{"recheck": "1min"}"#, "`recheck`"),
        (r#"{"catch_up": "2h"}"#, "`catch_up`"),
        (r#"{"heard_by_standbys": "ignore"}"#, "ignore"),
        (r#"{"maximum_lag_on_failover": "much"}"#, "much"),
    ];
    for (json, named) in refused {
        let outcome = settings::parse(json).and_then(failover::QuorumFailover::configure);
        assert!(outcome.as_ref().is_err_and(|e| e.contains(named)), "{json}: {outcome:?}");
    }
}

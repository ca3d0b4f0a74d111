//! `cases.toml`, asked of the policy natively. `tests/plugins.rs` asks the component.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod case;
#[path = "../../failover/tests/case/native.rs"]
mod native;
#[path = "../../failover/tests/case/observed.rs"]
mod observed;

use case::Cases;
use howdah_plugin::{
    Policy, settings,
    sync_set::{Decision, StandbySet, SyncMethod},
};
use sync_set::{QuorumSet, Settings, decide::decide};

fn set(text: &str) -> StandbySet {
    let (is_first, count, members) = case::set(text);
    let method = if is_first { SyncMethod::First } else { SyncMethod::Any };
    StandbySet { method, count, members: members.into_iter().map(u32::from).collect() }
}

fn line(decision: &Decision) -> String {
    match decision {
        Decision::Keep => "keep".to_owned(),
        Decision::Change(set) => {
            let method = if set.method == SyncMethod::First { "first" } else { "any" };
            let members: Vec<_> = set.members.iter().map(ToString::to_string).collect();
            format!("{method} {} of {}", set.count, members.join(", "))
        }
        Decision::None(why) => format!("nobody: {why}"),
    }
}

#[test]
fn the_policy_decides_as_the_cases_say() {
    for policy in Cases::load().policy {
        let settings: Settings = settings::parse(&serde_json::to_string(&policy.settings).unwrap()).unwrap();
        for case in &policy.case {
            let current = case.current.as_deref().map(set);
            let decision = decide(&settings, &native::cluster(&case.cluster), current.as_ref());
            assert_eq!(line(&decision), case.decision, "{}: {}", policy.title, case.title);
        }
    }
}

#[test]
fn what_was_decided_is_kept() {
    for policy in Cases::load().policy {
        let settings: Settings = settings::parse(&serde_json::to_string(&policy.settings).unwrap()).unwrap();
        for case in &policy.case {
            let cluster = native::cluster(&case.cluster);
            let current = case.current.as_deref().map(set);
            if let Decision::Change(set) = decide(&settings, &cluster, current.as_ref()) {
                let again = decide(&settings, &cluster, Some(&set));
                assert_eq!(line(&again), "keep", "{}: {}", policy.title, case.title);
            }
        }
    }
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refused = [
        (r#"{"cuont": 5}"#, "cuont"),
        (r#"{"count": 0}"#, "`count`"),
        (r#"{"count": 2, "min_count": 3}"#, "`min_count`"),
        (r#"{"count": 2, "max_members": 1}"#, "`max_members`"),
        (r#"{"mode": "all"}"#, "all"),
    ];
    for (json, named) in refused {
        let outcome = settings::parse(json).and_then(QuorumSet::configure);
        assert!(outcome.as_ref().is_err_and(|e| e.contains(named)), "{json}: {outcome:?}");
    }
}

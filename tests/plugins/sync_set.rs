//! The default policy for the synchronous set as the component that the program embeds.

use howdah::{
    cluster::verdict::{StandbySet, SyncDecision, SyncMethod},
    plugin::{PolicySpec, SyncSetPolicy, builtin},
};
use serde_json::Value;

use crate::{
    setup::{cluster, engine, spec},
    sync_set_case::{Cases, set as parse},
    view::{three_nodes, view},
};

fn load(settings: &Value) -> SyncSetPolicy {
    let spec = PolicySpec { name: "sync-set", ..spec(builtin("sync-set").unwrap(), settings) };
    SyncSetPolicy::load(engine(), &spec, &cluster()).unwrap()
}

pub fn set(text: &str) -> StandbySet {
    let (is_first, count, members) = parse(text);
    let method = if is_first { SyncMethod::First } else { SyncMethod::Any };
    StandbySet { method, count, members: members.iter().map(|id| format!("n{id}")).collect() }
}

fn line(decision: &SyncDecision) -> String {
    match decision {
        SyncDecision::Keep => "keep".to_owned(),
        SyncDecision::Change(set) => {
            let method = if set.method == SyncMethod::First { "first" } else { "any" };
            let members: Vec<_> = set.members.iter().map(|name| name.trim_start_matches('n')).collect();
            format!("{method} {} of {}", set.count, members.join(", "))
        }
        SyncDecision::Nobody(why) => format!("nobody: {why}"),
    }
}

#[test]
fn the_component_decides_as_the_cases_say() {
    for policy in Cases::load().policy {
        let loaded = load(&serde_json::to_value(&policy.settings).unwrap());
        for case in &policy.case {
            let current = case.current.as_deref().map(set);
            let decision = loaded.decide(&view(&case.cluster), current.as_ref());
            assert_eq!(line(&decision), case.decision, "{}: {}", policy.title, case.title);
        }
        assert_eq!(loaded.numbers().unwrap().status.failures, 0, "{}", policy.title);
    }
}

#[test]
fn without_a_policy_the_set_stays() {
    let null = SyncSetPolicy::null();
    for current in [None, Some(set("any 1 of 1, 2"))] {
        assert_eq!(null.decide(&three_nodes(), current.as_ref()), SyncDecision::Keep);
    }
    assert!(null.is_null() && null.numbers().is_none());
}

//! `cases.toml`, asked of the policy natively. `tests/plugins.rs` asks the component.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod case;

use case::{Case, Cases};
use follow_primary::{FollowAll, Settings, decide};
use howdah_plugin::{
    Node, NodeHealth, NodeRole, Policy,
    follow_primary::{
        Action, Capabilities, Divergence, PromotionEvent, Rebuild, RebuildSource, Repoint, Standby, StandbyPlan,
        StepFailure,
    },
    settings,
};

fn node(id: u32) -> Node {
    Node {
        id,
        name: format!("n{id}"),
        role: NodeRole::Standby,
        health: NodeHealth::Up,
        sync: None,
        weight: 100,
        server_version: Some(150_018),
        timeline: Some(1),
        upstream: None,
        received: Some(1_000),
        replayed: Some(1_000),
        lag_bytes: Some(0),
        lag: None,
        labels: Vec::new(),
    }
}

fn standby(id: u32, given: &case::Standby) -> Standby {
    let can = given.cannot.iter().fold(Capabilities::all(), |can, name| {
        let flag = name.to_uppercase().replace('-', "_");
        can - Capabilities::from_name(&flag).unwrap_or_else(|| panic!("no capability `{name}`"))
    });
    Standby {
        node: Node {
            upstream: given.upstream.map(u32::from),
            health: if given.down { NodeHealth::Down } else { NodeHealth::Up },
            role: if given.role.as_deref() == Some("primary") { NodeRole::Primary } else { NodeRole::Standby },
            ..node(id)
        },
        divergence: match given.ahead {
            0 => Divergence::None,
            -1 => Divergence::Unknown,
            bytes => Divergence::Ahead(bytes.try_into().unwrap()),
        },
        capabilities: can,
        following: given.following,
        downstream: Vec::new(),
        data_bytes: None,
    }
}

fn event(case: &Case) -> PromotionEvent {
    PromotionEvent {
        now: 0,
        term: 2,
        new_primary: Node { role: NodeRole::Primary, timeline: Some(2), ..node(1) },
        fork_timeline: 1,
        fork: 1_000,
        standbys: (2..).zip(&case.standbys).map(|(id, given)| standby(id, given)).collect(),
        backups: Vec::new(),
    }
}

fn line(plan: &StandbyPlan) -> String {
    let to = |to: &Repoint| format!("to n{}{}", to.upstream, if to.create_slot { " with a slot" } else { "" });
    let action = match &plan.action {
        Action::LeaveAlone => "leave alone".to_owned(),
        Action::Repoint(repoint) => format!("repoint {}", to(repoint)),
        Action::Rewind(repoint) => format!("rewind {}", to(repoint)),
        Action::Rebuild(Rebuild { source: RebuildSource::CopyFrom(node), max_rate_kib, .. }) => {
            let rate = max_rate_kib.map(|rate| format!(" at {rate} kiB/s")).unwrap_or_default();
            format!("rebuild from n{node}{rate}")
        }
        Action::Rebuild(_) => "rebuild from a backup".to_owned(),
    };
    let serves = if plan.keep_routing { ", serves" } else { "" };
    format!("n{}: {action}, wave {}, {} ms{serves}: {}", plan.node, plan.wave, plan.timeout, plan.why)
}

/// A step of n2 that failed.
fn failure(failed: &str, attempt: u16, settings: &Settings) -> StepFailure {
    let repoint = Repoint { upstream: 1, create_slot: settings.create_slots };
    let source = RebuildSource::CopyFrom(1);
    let action = match failed {
        "repoint" => Action::Repoint(repoint),
        "rewind" => Action::Rewind(repoint),
        "rebuild" => Action::Rebuild(Rebuild { source, upstream: 1, max_rate_kib: None }),
        other => panic!("no step `{other}`"),
    };
    let plan =
        StandbyPlan { node: 2, action, wave: 0, timeout: 5_000, keep_routing: true, why: "as before".to_owned() };
    StepFailure { plan, attempt, message: "it does not stream".to_owned(), labels: Vec::new() }
}

#[test]
fn the_policy_decides_as_the_cases_say() {
    for policy in Cases::load().policy {
        let settings: Settings = settings::parse(&serde_json::to_string(&policy.settings).unwrap()).unwrap();
        for case in &policy.case {
            let title = format!("{}: {}", policy.title, case.title);
            let plans: Vec<_> = decide::plan(&settings, &event(case)).iter().map(line).collect();
            assert_eq!(plans, case.plans, "{title}");
            for retry in &case.retry {
                let failure = failure(&retry.failed, retry.attempt, &settings);
                let answer = line(&decide::retry(&settings, &event(case), &failure));
                assert_eq!(answer, retry.answer, "{title}: {}", retry.failed);
            }
        }
    }
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refused = [
        (r#"{"paralel": 5}"#, "paralel"),
        (r#"{"repoint_timeout": 0}"#, "`repoint_timeout`"),
        (r#"{"rebuild_timeout": "30d"}"#, "`rebuild_timeout`"),
        (r#"{"rebuild_max_rate": "1B"}"#, "`rebuild_max_rate`"),
        (r#"{"attempts": 0}"#, "`attempts`"),
    ];
    for (json, named) in refused {
        let outcome = settings::parse(json).and_then(FollowAll::configure);
        assert!(outcome.as_ref().is_err_and(|e| e.contains(named)), "{json}: {outcome:?}");
    }
}

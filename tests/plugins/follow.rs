//! The default policy for what follows a promotion as the component that the program embeds.

use std::time::Duration;

use howdah::{
    cluster::{
        verdict::{Capabilities, Divergence, FollowAction, FollowingStandby, PromotionEvent, StandbyPlan, StepFailure},
        view::{Health, Role, ViewedNode},
    },
    id::{Lsn, NodeId},
    plugin::{FollowPolicy, PolicySpec, builtin},
};
use serde_json::Value;

use crate::{
    follow_case::{Cases, Standby},
    setup::{cluster, engine, spec},
    view::three_nodes,
};

fn load(settings: &Value) -> FollowPolicy {
    let spec = PolicySpec { name: "follow-primary", ..spec(builtin("follow-primary").unwrap(), settings) };
    FollowPolicy::load(engine(), &spec, &cluster()).unwrap()
}

fn node(id: u16) -> ViewedNode {
    let model = three_nodes().nodes.pop().unwrap();
    ViewedNode { id: NodeId(id), name: format!("n{id}").into(), ..model }
}

fn standby(id: u16, given: &Standby) -> FollowingStandby {
    let can = |name: &str| !given.cannot.iter().any(|cannot| cannot == name);
    FollowingStandby {
        node: ViewedNode {
            upstream: given.upstream.map(NodeId),
            health: if given.down { Health::Down } else { Health::Up },
            role: if given.role.as_deref() == Some("primary") { Role::Primary } else { Role::Standby },
            ..node(id)
        },
        divergence: match given.ahead {
            0 => Divergence::None,
            -1 => Divergence::Unknown,
            bytes => Divergence::Ahead(bytes.try_into().unwrap()),
        },
        capabilities: Capabilities {
            reconfigure: can("reconfigure"),
            restart: can("restart"),
            rewind: can("rewind"),
            rebuild: can("rebuild"),
            wal_available: can("wal-available"),
            follows_latest: can("follows-latest"),
        },
        following: given.following,
        downstream: Vec::new(),
        data_bytes: None,
    }
}

/// n1 was promoted, n0 was the primary before.
pub fn event(standbys: &[Standby]) -> PromotionEvent {
    PromotionEvent {
        now_unix_ms: 0,
        term: 2,
        new_primary: ViewedNode { role: Role::Primary, timeline: Some(2), ..node(1) },
        fork_timeline: 1,
        fork: Lsn(1_000),
        standbys: (2..).zip(standbys).map(|(id, given)| standby(id, given)).collect(),
    }
}

pub fn line(plan: &StandbyPlan) -> String {
    let to = |upstream: NodeId, slot: bool| format!("to n{}{}", upstream.0, if slot { " with a slot" } else { "" });
    let action = match plan.action {
        FollowAction::LeaveAlone => "leave alone".to_owned(),
        FollowAction::Repoint { upstream, create_slot } => format!("repoint {}", to(upstream, create_slot)),
        FollowAction::Rewind { upstream, create_slot } => format!("rewind {}", to(upstream, create_slot)),
        FollowAction::Rebuild { source, max_rate_kib, .. } => {
            let rate = max_rate_kib.map(|rate| format!(" at {rate} kiB/s")).unwrap_or_default();
            format!("rebuild from n{}{rate}", source.0)
        }
    };
    let serves = if plan.keep_routing { ", serves" } else { "" };
    let millis = plan.timeout.as_millis();
    format!("n{}: {action}, wave {}, {millis} ms{serves}: {}", plan.node.0, plan.wave, plan.why)
}

/// A step of n2 that failed.
pub fn failure(failed: &str, attempt: u16, create_slot: bool) -> StepFailure {
    let upstream = NodeId(1);
    let action = match failed {
        "repoint" => FollowAction::Repoint { upstream, create_slot },
        "rewind" => FollowAction::Rewind { upstream, create_slot },
        "rebuild" => FollowAction::Rebuild { source: upstream, upstream, max_rate_kib: None },
        other => panic!("no step `{other}`"),
    };
    let plan = StandbyPlan {
        node: NodeId(2),
        action,
        wave: 0,
        timeout: Duration::from_secs(5),
        keep_routing: true,
        why: "as before".to_owned(),
    };
    StepFailure { plan, attempt, message: "it does not stream".to_owned() }
}

#[test]
fn the_component_decides_as_the_cases_say() {
    for policy in Cases::load().policy {
        let loaded = load(&serde_json::to_value(&policy.settings).unwrap());
        let slots = policy.settings.get("create_slots").is_none_or(|given| given.as_bool().unwrap());
        for case in &policy.case {
            let title = format!("{}: {}", policy.title, case.title);
            let event = event(&case.standbys);
            let plans: Vec<_> = loaded.plan(&event).iter().map(line).collect();
            assert_eq!(plans, case.plans, "{title}");
            for retry in &case.retry {
                let answer = loaded.retry(&event, &failure(&retry.failed, retry.attempt, slots));
                assert_eq!(line(&answer), retry.answer, "{title}: {}", retry.failed);
            }
        }
        assert_eq!(loaded.numbers().unwrap().status.failures, 0, "{}", policy.title);
    }
}

#[test]
fn what_a_server_said_harms_no_answer() {
    let loaded = load(&Value::Null);
    let message = "FATAL:  no\0such slot\n".repeat(10_000);
    let answer = loaded.retry(&event(&[Standby::default()]), &StepFailure { message, ..failure("rewind", 9, true) });
    assert!(answer.why.starts_with("tried 9 times: FATAL:  no such slot FATAL:"), "{}", answer.why);
    assert_eq!(loaded.numbers().unwrap().status.failures, 0);
}

#[test]
fn without_a_policy_standbys_are_left_alone() {
    let (null, event) = (FollowPolicy::null(), event(&[Standby::default()]));
    assert_eq!(null.plan(&event), []);
    let answer = null.retry(&event, &failure("repoint", 1, true));
    assert_eq!(line(&answer), "n2: leave alone, wave 0, 5000 ms, serves: there is no follow-primary policy");
    assert!(null.is_null() && null.numbers().is_none());
}

//! What is taken, and what is not; what a component makes of it is in `tests/plugins/unruly.rs`.

use super::*;
use crate::cluster::{
    verdict::{Capabilities, Divergence, FollowingStandby},
    view::{Health, Quorum, Role, ViewedNode},
};

fn node(id: u16) -> ViewedNode {
    ViewedNode {
        id: NodeId(id),
        name: format!("n{id}").into(),
        role: Role::Standby,
        health: Health::Up,
        sync: None,
        weight: 100,
        server_version: None,
        timeline: None,
        upstream: None,
        received: None,
        replayed: None,
        lag_bytes: None,
        lag: None,
        labels: [].into(),
    }
}

fn view() -> View {
    View {
        now_unix_ms: 0,
        term: 1,
        leader: true,
        primary: Some(NodeId(0)),
        nodes: (0..4).map(node).collect(),
        reports: Vec::new(),
        quorum: Quorum { observers: 1, fresh: 1, needed: 1 },
        acknowledged: None,
        synchronous: false,
        last_promotion_unix_ms: None,
        paused: false,
    }
}

/// n1 was promoted; n2 and n3 follow.
fn event() -> PromotionEvent {
    let standby = |id| FollowingStandby {
        node: node(id),
        divergence: Divergence::None,
        capabilities: Capabilities::default(),
        following: false,
        downstream: Vec::new(),
        data_bytes: None,
    };
    PromotionEvent {
        now_unix_ms: 0,
        term: 2,
        new_primary: node(1),
        fork_timeline: 1,
        fork: Lsn(0),
        standbys: vec![standby(2), standby(3)],
    }
}

fn step(node: u32, action: follow::Action) -> follow::StandbyPlan {
    follow::StandbyPlan { node, action, wave: 0, timeout: 1_000, keep_routing: true, why: String::new() }
}

fn repoint(node: u32, upstream: u32) -> follow::StandbyPlan {
    step(node, follow::Action::Repoint(follow::Repoint { upstream, create_slot: true }))
}

fn rebuild(source: u32) -> follow::StandbyPlan {
    let source = follow::RebuildSource::CopyFrom(source);
    step(2, follow::Action::Rebuild(follow::Rebuild { source, upstream: 1, max_rate_kib: Some(0) }))
}

#[test]
fn a_standby_may_follow_another_but_not_in_a_circle_and_never_the_old_primary() {
    let upstreams = |given: &[(u32, u32)]| {
        let plans = given.iter().map(|(node, upstream)| repoint(*node, *upstream)).collect();
        plans_of(plans).map(|plans| plans.len())
    };
    assert_eq!(upstreams(&[]), Ok(0));
    assert_eq!(upstreams(&[(2, 1), (3, 2)]), Ok(2));
    assert_eq!(upstreams(&[(3, 2)]), Ok(1), "n2 is left alone");
    assert_eq!(upstreams(&[(2, 3), (3, 2)]), Err(Invalid::Circle { node: NodeId(2) }));
    assert_eq!(upstreams(&[(2, 0)]), Err(Invalid::NoSuchStandby { id: 0 }));
    assert_eq!(upstreams(&[(0, 1)]), Err(Invalid::NoSuchStandby { id: 0 }));
    assert_eq!(upstreams(&[(1, 2)]), Err(Invalid::NoSuchStandby { id: 1 }), "it was promoted");
    assert_eq!(upstreams(&[(2, 1), (2, 1)]), Err(Invalid::Twice { list: "plans", node: NodeId(2) }));
}

fn plans_of(given: Vec<follow::StandbyPlan>) -> Result<Vec<StandbyPlan>, Invalid> {
    plans(given, &event())
}

#[test]
fn a_copy_comes_from_another_node_and_no_rate_is_no_limit() {
    let copied = plans_of(vec![rebuild(3)]).unwrap();
    let expected = FollowAction::Rebuild { source: NodeId(3), upstream: NodeId(1), max_rate_kib: None };
    assert_eq!(copied[0].action, expected);
    assert_eq!(plans_of(vec![rebuild(2)]), Err(Invalid::OwnUpstream { node: NodeId(2) }));
    assert_eq!(plans_of(vec![rebuild(0)]), Err(Invalid::NoSuchStandby { id: 0 }));
}

#[test]
fn a_set_has_members_that_are_no_primaries_and_no_more_acknowledgements_than_members() {
    let set = |count, members: &[u32]| {
        let method = sync_set::SyncMethod::Any;
        let given = sync_set::StandbySet { method, count, members: members.to_vec() };
        match sync_decision(sync_set::Decision::Change(given), &view()) {
            Ok(SyncDecision::Change(set)) => Ok(set.members.join(" ")),
            Ok(other) => panic!("{other:?}"),
            Err(invalid) => Err(invalid),
        }
    };
    assert_eq!(set(2, &[3, 1]), Ok("n3 n1".to_owned()), "in the policy's order");
    assert_eq!(set(1, &[]), Err(Invalid::Nobody { list: "members" }));
    assert_eq!(set(0, &[1]), Err(Invalid::Count { count: 0, members: 1 }));
    assert_eq!(set(2, &[1]), Err(Invalid::Count { count: 2, members: 1 }));
    assert_eq!(set(1, &[0, 1]), Err(Invalid::WaitsForItself { node: NodeId(0) }));
    assert_eq!(set(1, &[4]), Err(Invalid::NoSuchNode { id: 4 }));
    assert_eq!(set(1, &[u32::MAX]), Err(Invalid::NoSuchNode { id: u32::MAX }));
    let many = [1].repeat(NODES_MAX + 1);
    assert_eq!(set(1, &many), Err(Invalid::TooMany { list: "members", count: NODES_MAX + 1, max: NODES_MAX }));
}

#[test]
fn times_have_bounds() {
    for millis in [10, 600_000] {
        assert_eq!(tick(millis), Ok(Duration::from_millis(millis.into())));
    }
    for millis in [0, 9, 600_001, u32::MAX] {
        assert!(matches!(tick(millis), Err(Invalid::OutOfRange { .. })), "{millis}");
    }
}

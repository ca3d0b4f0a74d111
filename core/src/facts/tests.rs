//! What is ruled holds over what is seen.

use tokio::time::Instant;

use super::*;
use crate::id::{Lsn, NodeId};

fn node(number: u16, role: Role, health: Health) -> NodeFacts {
    NodeFacts {
        id: NodeId(number),
        name: format!("n{number}").into(),
        host: "h".into(),
        port: number,
        weight: 100,
        labels: [].into(),
        role,
        health,
        ramp_percent: 100,
        server_version: None,
        timeline: Some(1),
        received: None,
        replayed: None,
        inserted: None,
        async_commit: false,
        lag_bytes: None,
        lag: None,
        sampled_at: Instant::now(),
        why: None,
    }
}

/// A primary and two standbys.
fn seen() -> Facts {
    let nodes = vec![
        node(0, Role::Primary, Health::Up),
        node(1, Role::Standby, Health::Up),
        node(2, Role::Standby, Health::Down),
    ];
    Facts { epoch: 1, term: 1, primary: Some(NodeId(0)), nodes, ..Facts::default() }
}

fn ruled(ruling: &Ruling) -> Facts {
    let mut facts = seen();
    ruling.rule(&mut facts);
    facts
}

#[test]
fn without_a_ruling_the_facts_are_what_is_seen() {
    let facts = ruled(&Ruling::default());
    assert_eq!((facts.term, facts.primary, facts.hold.is_some()), (1, Some(NodeId(0)), false));
    assert_eq!(facts.open_primary(), Some(NodeId(0)));
}

#[test]
fn nobody_begins_a_transaction_at_a_primary_that_is_on_hold() {
    let hold = Some(Hold { since: Instant::now(), why: "switchover".into() });
    let facts = ruled(&Ruling { hold, ..Ruling::default() });
    assert_eq!((facts.primary, facts.open_primary()), (Some(NodeId(0)), None));
}

#[test]
fn a_ruled_primary_counts_before_its_probe_and_the_one_that_was_seen_no_more() {
    for (name, number) in [("n1", 1), ("n2", 2)] {
        let facts = ruled(&Ruling { primary: RuledPrimary::Node(name.into()), term: 2, ..Ruling::default() });
        assert_eq!((facts.term, facts.open_primary()), (2, Some(NodeId(number))));
        let new = facts.primary().unwrap();
        assert_eq!((new.role, new.health, new.why.as_deref()), (Role::Primary, Health::Up, None));
        let old = &facts.nodes[0];
        let why = format!("takes writes, but {name} is the primary");
        assert_eq!((old.health, old.why.as_deref()), (Health::Down, Some(&*why)));
    }
    let nobody = ruled(&Ruling { primary: RuledPrimary::Nobody, ..Ruling::default() });
    assert_eq!((nobody.primary, nobody.nodes[0].health), (None, Health::Up));
    let stranger = ruled(&Ruling { primary: RuledPrimary::Node("gone".into()), ..Ruling::default() });
    assert_eq!(stranger.primary, None);
}

#[test]
fn what_is_in_quarantine_gets_no_work() {
    let quarantine = vec![("n0".into(), "has more than the others".into()), ("n1".into(), "comes back".into())];
    let facts = ruled(&Ruling { quarantine, ..Ruling::default() });
    assert_eq!(facts.primary, None);
    assert_eq!((facts.nodes[1].health, facts.nodes[1].why.as_deref()), (Health::Down, Some("comes back")));
}

#[test]
fn what_a_later_term_did_not_have_is_lost() {
    let fork = |term, at, next_xid| Fork { term, at: Lsn(at), next_xid };
    let forks = [fork(2, 100, 10), fork(3, 80, 9), fork(4, 300, 50)].into();
    let facts = ruled(&Ruling { forks, term: 4, ..Ruling::default() });
    let end = |term| facts.end_of_term(term).map(|lsn| lsn.0);
    assert_eq!([end(1), end(2), end(3), end(4)], [Some(80), Some(80), Some(300), None]);
    for (term, xid, lost) in [
        (1, 8, Some(false)),
        (1, 9, Some(true)),
        (2, 9, Some(true)),
        (3, 49, Some(false)),
        (3, 50, Some(true)),
        (4, 99, None),
    ] {
        assert_eq!(facts.lost(term, xid), lost, "transaction {xid} of term {term}");
    }
}

use std::time::Duration;

use super::*;
use crate::{
    admin::fixture,
    id::Lsn,
    plugin::plan::{Balance, Causality, Freshness, ReplicaSet},
};

fn replicas() -> ReplicaSet {
    ReplicaSet {
        nodes: Vec::new(),
        labels: Vec::new(),
        freshness: Freshness {
            max_lag_bytes: Some(1024),
            max_lag: None,
            causality: Causality::OwnWrites,
            wait: Duration::from_millis(50),
        },
        balance: Balance::LeastBusy,
        include_primary: false,
    }
}

fn plan(destination: Destination, fallbacks: Vec<Target>) -> Plan {
    Plan { destination, fallbacks, reuse: None, ..Plan::primary("read") }
}

fn told(facts: &Facts, plan: &Plan) -> Vec<String> {
    let (shared, _commands) = fixture::shared();
    let set = fixture::pools(&shared, "app", "alice");
    let keys = KeyReader { writes: &shared.keys.of(&"main".into()), router: None };
    let chooser = Chooser { facts, set: &set, own_writes: MustSee::Nothing, keys, affinity: 0, avoid: None };
    let mut page = Page::default();
    page.plan(plan, facts);
    page.choice(&chooser, plan);
    lines(&page.rows)
}

fn lines(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| row.iter().filter_map(|value| value.text()).collect::<Vec<_>>().join(": ");
    rows.iter().map(line).collect()
}

#[tokio::test]
async fn a_read_goes_to_the_standby_that_qualifies() {
    let plan = plan(Destination::To(Target::Replicas(replicas())), vec![Target::Primary]);
    assert_eq!(
        told(&fixture::facts(), &plan),
        [
            "rule: read",
            "destination: a standby",
            "freshness: at most 1024 bytes behind, with the session's own writes, waiting up to 50 ms for that",
            "balance: the least busy",
            "fallbacks: the primary",
            "hold: for the statement",
            "kept: not at all: the policy is asked each time",
            "node: n1",
            "because: it is the only one that qualifies",
            "not n0: is the primary",
            "not n2: is down: connection refused",
        ]
    );
}

#[tokio::test]
async fn a_read_falls_back_to_the_primary_and_says_why() {
    let mut facts = fixture::facts();
    facts.nodes[1].lag_bytes = Some(4096);
    let plan = plan(Destination::To(Target::Replicas(replicas())), vec![Target::Primary]);
    assert_eq!(
        told(&facts, &plan)[7..],
        [
            "node: n0",
            "because: it is the primary; nothing that the plan prefers qualifies",
            "not n1: lags by too many bytes; is not the primary",
            "not n2: is down: connection refused",
        ]
    );
}

#[tokio::test]
async fn a_standby_that_lacks_what_must_be_seen_is_passed_over() {
    let cases = [
        (
            Causality::Position(Lsn(0x16_0000_0001)),
            "not n1: has not replayed the position asked for; is not the primary",
        ),
        (Causality::KeyWrites("acme".into()), "not n1: may not have replayed the key's writes; is not the primary"),
    ];
    for (causality, why_not) in cases {
        let freshness = Freshness { causality, ..replicas().freshness };
        let plan = plan(Destination::To(Target::Replicas(ReplicaSet { freshness, ..replicas() })), Vec::new());
        let told = told(&fixture::facts(), &plan);
        for line in ["node: n0", why_not] {
            assert!(told.iter().any(|it| it == line), "{line} is not in {told:#?}");
        }
    }
    let here = Freshness { causality: Causality::Position(Lsn(0x16_0000_0000)), ..replicas().freshness };
    let plan = plan(Destination::To(Target::Replicas(ReplicaSet { freshness: here, ..replicas() })), Vec::new());
    assert!(told(&fixture::facts(), &plan).contains(&"node: n1".to_owned()));
}

#[tokio::test]
async fn without_a_primary_a_write_goes_nowhere() {
    let mut facts = fixture::facts();
    facts.primary = None;
    facts.nodes[0].health = Health::Draining;
    let told = told(&facts, &plan(Destination::To(Target::Primary), Vec::new()));
    assert_eq!(
        told[4..],
        [
            "node: none: no primary is known",
            "not n0: is detached",
            "not n1: is not the primary",
            "not n2: is down: connection refused",
        ]
    );
}

#[tokio::test]
async fn a_statement_is_explained_with_its_facts() {
    let (shared, _commands) = fixture::shared();
    let table = explain_route(&shared, None, "alice", "UPDATE s.t SET a = f(7) WHERE b = 'x'").unwrap();
    let told = lines(&table.rows);
    for line in [
        "database: app",
        "user: alice",
        "cluster: main",
        "kind: update",
        "tables: s.t (written)",
        "functions: f",
        "policy: none: everything goes to the primary",
        "destination: the primary",
        "node: n0",
        "not n1: is not the primary",
    ] {
        assert!(told.iter().any(|it| it == line), "{line} is not in {told:#?}");
    }
    assert_eq!(table.columns, COLUMNS);
    assert!(shared.registry.sets().is_empty(), "looking makes no pools");
}

//! Generations with policies: all of them, or none.

use std::{collections::HashMap, path::Path, sync::Arc};

use super::super::{
    CatalogSource, Generation,
    builder::{BuildError, ClusterParts, build},
};
use crate::{
    cluster::{
        verdict::{Election, SyncDecision, Trigger, Verdict},
        view::{Quorum, View},
    },
    config::{Config, Sources},
    facts::{Facts, FactsCell, Reading, Reports},
    id::NodeId,
    plugin::Engine,
    sql::Catalog,
};

const BASE: &str = "auth_type = \"trust\"\n[clusters.main]\nnodes = [{ name = \"n0\", host = \"h\" }]\n\
                    [databases]\n\"*\" = {}\n";

const ALL: &str = "[plugins.failover]\ncomponent = \"builtin:failover\"\nsettings = { recheck = \"300ms\" }\n\
                   [plugins.follow-primary]\ncomponent = \"builtin:follow-primary\"\n\
                   [plugins.sync-set]\ncomponent = \"builtin:sync-set\"\n";

struct NoCatalog;

impl CatalogSource for NoCatalog {
    fn changes(&self) -> u64 {
        0
    }

    fn catalog(&self, _dbname: &str) -> Arc<Catalog> {
        Arc::new(Catalog::empty())
    }

    fn refresh(&self, _dbname: &str, _unflushed: bool) -> Option<Reading> {
        None
    }
}

fn config(plugins: &str) -> Config {
    let text = format!("{BASE}{plugins}");
    let sources = Sources { file: Some("/howdah.toml".into()), ..Sources::default() };
    crate::config::load_with(&sources, &|_: &Path| Ok(text.clone().into_bytes())).unwrap()
}

fn generation(engine: &Engine, plugins: &str) -> Result<Generation, BuildError> {
    let facts = Facts { epoch: 1, ..Facts::default() };
    build(engine, config(plugins), 1, "start", |_| ClusterParts {
        status: Arc::default(),
        facts: Arc::new(FactsCell::new(facts.clone())),
        catalogs: Arc::new(NoCatalog),
        reports: Reports::channel().0,
    })
}

#[test]
fn each_cluster_has_the_configured_policies_under_their_names() {
    let engine = Engine::new().unwrap();
    let generation = generation(&engine, ALL).unwrap();

    let policies = &generation.clusters["main"].policies;

    assert_eq!(policies.failover.tick().as_millis(), 300);
    let names: HashMap<_, _> = policies
        .numbers()
        .map(|policy| (policy.status.name, (policy.status.policy, policy.status.generation)))
        .collect();
    let expected = ["failover", "follow-primary", "sync-set"].map(|name| (name.to_owned(), (name.to_owned(), 1)));
    assert_eq!(names, HashMap::from(expected));
}

#[test]
fn without_policies_nothing_is_done() {
    let engine = Engine::new().unwrap();
    let generation = generation(&engine, "").unwrap();
    let policies = &generation.clusters["main"].policies;
    assert!(policies.failover.is_null() && policies.follow_primary.is_null() && policies.sync_set.is_null());
    assert_eq!(policies.numbers().count(), 0);
}

#[test]
fn one_policy_that_is_refused_refuses_the_generation_and_is_named() {
    let engine = Engine::new().unwrap();
    let cases = [
        (
            "settings = { recheck = \"300ms\" }",
            "settings = { recheck = 1 }",
            "plugins.failover: configure failed: `recheck`",
        ),
        ("builtin:sync-set", "builtin:failover", "plugins.sync-set: not a sync-set policy: it does not export"),
        (
            "builtin:follow-primary",
            "builtin:nobody",
            "plugins.follow-primary.component: there is no builtin \"nobody\"",
        ),
    ];
    for (good, bad, complaint) in cases {
        let error = generation(&engine, &ALL.replace(good, bad)).unwrap_err().to_string();
        assert!(error.starts_with(complaint), "{error}");
    }
}

#[test]
fn a_run_ends_with_the_policies_that_it_began_with() {
    let engine = Engine::new().unwrap();
    let policies = generation(&engine, ALL).unwrap().clusters["main"].policies.clone();

    // The generation is gone, and another has come.
    let next = generation(&engine, "").unwrap();
    let view = View {
        now_unix_ms: 0,
        term: 1,
        leader: true,
        primary: Some(NodeId(0)),
        nodes: Vec::new(),
        reports: Vec::new(),
        quorum: Quorum { observers: 1, fresh: 0, needed: 1 },
        acknowledged: None,
        synchronous: false,
        last_promotion_unix_ms: None,
        paused: false,
    };

    assert_ne!(policies.failover.assess(&view), next.clusters["main"].policies.failover.assess(&view));
    assert!(matches!(policies.failover.assess(&view), Verdict::Wait(..)));
    assert!(matches!(policies.failover.elect(&view, Trigger::Switchover, None), Election::Abstain(_)));
    assert_eq!(policies.sync_set.decide(&view, None), SyncDecision::Keep);
}

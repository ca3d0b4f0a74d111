//! The default policy as the component that the program embeds.

use howdah::{
    plugin::{
        DecidedBy, Router, builtin, builtin_names,
        input::{Phase, SessionAttributes, Transaction},
    },
    sql::{Kind, StatementFacts, Traits},
};
use serde_json::json;

use crate::{
    case::{Case, Cases, named},
    setup::{ask, cluster, load, select},
};

const KINDS: &[Kind] = &[
    Kind::Select,
    Kind::Insert,
    Kind::Update,
    Kind::Delete,
    Kind::Merge,
    Kind::CopyIn,
    Kind::CopyOut,
    Kind::Begin,
    Kind::Commit,
    Kind::Rollback,
    Kind::Savepoint,
    Kind::Set,
    Kind::Show,
    Kind::DeclareCursor,
    Kind::Fetch,
    Kind::Call,
    Kind::DoBlock,
    Kind::Listen,
    Kind::Notify,
    Kind::Lock,
    Kind::Explain,
    Kind::Ddl,
    Kind::Maintenance,
    Kind::Other,
    Kind::Unparsed,
];

const PHASES: &[Phase] = &[Phase::None, Phase::Opening, Phase::Active, Phase::Failed];

fn default_policy() -> &'static [u8] {
    builtin("read-write-split").unwrap()
}

fn traits(names: &[String]) -> Traits {
    let mut traits = Traits::default();
    for name in names {
        *match name.as_str() {
            "read-only" => &mut traits.read_only,
            "row-locks" => &mut traits.row_locks,
            "unknown-function" => &mut traits.unknown_function,
            "session-state" => &mut traits.session_state,
            "multi-statement" => &mut traits.multi_statement,
            "writing-cte" => &mut traits.writing_cte,
            "catalog-only" => &mut traits.catalog_only,
            "streaming" => &mut traits.streaming,
            "primary-only-relation" => &mut traits.primary_only_relation,
            "begins-read-only" => &mut traits.begins_read_only,
            _ => panic!("no trait `{name}`"),
        } = true;
    }
    traits
}

fn statement(case: &Case) -> StatementFacts {
    StatementFacts {
        kind: named(KINDS, &case.kind),
        traits: traits(&case.traits),
        functions: case.functions.clone(),
        hints: case.hints.clone().into_iter().collect(),
        ..select()
    }
}

fn decide(router: &Router, case: &Case) -> String {
    let session = SessionAttributes {
        user: case.user.as_str().into(),
        database: case.database.as_str().into(),
        application: case.application.as_str().into(),
        ..SessionAttributes::default()
    };
    let transaction = Transaction {
        phase: named(PHASES, &case.phase),
        read_only: case.read_only,
        serializable: case.serializable,
        wrote: false,
    };
    let routed = router.route(&cluster(), &session, &statement(case), transaction);
    assert_eq!(routed.decided_by, DecidedBy::Plugin, "{}: {:?}", case.sql, router.status());
    routed.plan.to_string()
}

#[test]
fn the_component_decides_as_the_cases_say() {
    for policy in Cases::load().policy {
        let settings = serde_json::to_value(&policy.settings).unwrap();
        let router = load(default_policy(), &settings).unwrap();
        for case in &policy.case {
            assert_eq!(decide(&router, case), case.plan, "{}: {}", policy.title, case.sql);
        }
    }
}

#[test]
fn a_wrong_setting_refuses_the_policy_and_names_the_key() {
    let refused = load(default_policy(), &json!({ "max_lagg": 5 })).unwrap_err();
    let text = refused.to_string();
    assert!(text.starts_with("configure failed: unknown field `max_lagg`"), "{text}");
    assert!(text.contains("`max_lag_bytes`"), "{text}: says what there is");
}

#[test]
fn it_is_shown_what_its_settings_need_and_nothing_else() {
    let router = load(default_policy(), &json!({})).unwrap();
    let needs = router.requirements();
    assert!(needs.statement.hints && !needs.statement.tables && !needs.session.user);

    let router = load(default_policy(), &json!({ "user_preferences": { "a": "primary" } })).unwrap();
    assert!(router.requirements().session.user);
}

#[test]
fn it_comes_with_the_program_and_says_who_it_is() {
    let names: Vec<_> = builtin_names().collect();
    assert_eq!(names, ["read-write-split", "failover", "follow-primary", "sync-set"]);
    assert_eq!(builtin("no-such-policy"), None);
    let status = load(default_policy(), &json!({})).unwrap().status();
    assert_eq!((&*status.policy, status.api, status.sha256.len()), ("read-write-split", "0.1", 64));
    assert!(status.memory_bytes > 0, "an instance waits for work");
}

#[test]
fn without_a_policy_everything_goes_to_the_primary() {
    let plan = ask(&Router::null(), "alice");
    assert_eq!(plan, ("primary [null]".to_owned(), DecidedBy::BuiltIn("no policy")));
}

#[test]
fn workers_share_a_policy() {
    let router = load(default_policy(), &json!({})).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(ask(&router, "alice").1, DecidedBy::Plugin);
                }
            });
        }
    });
    let status = router.status();
    assert_eq!((status.calls, status.failures), (3_200, 0));
    assert!(status.instances <= 4, "{status:?}");
}

#[test]
fn a_changed_cluster_is_known_before_the_next_decision() {
    let settings = json!({ "user_preferences": { "alice": "spare" } });
    let router = load(default_policy(), &settings).unwrap();
    let (before, _) = ask(&router, "alice");
    assert!(before.starts_with("standby by"), "{before}");

    let mut changed = cluster();
    changed.epoch += 1;
    changed.nodes[2].name = "spare".into();
    let session = crate::setup::session("alice");
    let after = router.route(&changed, &session, &select(), Transaction::default());

    assert!(after.plan.to_string().starts_with("any node #2 by"), "{}", after.plan);
}

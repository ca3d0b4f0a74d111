//! `cases.toml`, asked of the policy natively. `tests/plugins.rs` asks the component.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod case;

use case::{Case, Cases, named};
use howdah_plugin::{
    Policy, Router, Session, Statement, StatementKind as Kind, StatementTraits as Traits, Transaction,
    TransactionPhase as Phase, settings,
};
use read_write_split::{ReadWriteSplit, decide::decide};

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

fn traits(names: &[String]) -> Traits {
    names.iter().fold(Traits::empty(), |all, name| {
        let flag = name.to_uppercase().replace('-', "_");
        all | Traits::from_name(&flag).unwrap_or_else(|| panic!("no trait `{name}`"))
    })
}

fn session(case: &Case) -> Session {
    Session {
        user: case.user.clone(),
        database: case.database.clone(),
        application: case.application.clone(),
        client_address: String::new(),
        tls_subject: None,
        parameters: Vec::new(),
        labels: Vec::new(),
    }
}

fn statement(case: &Case) -> Statement {
    Statement {
        functions: case.functions.clone(),
        hints: case.hints.clone().into_iter().collect(),
        transaction: Transaction {
            phase: named(PHASES, &case.phase),
            read_only: case.read_only,
            serializable: case.serializable,
            wrote: false,
        },
        ..Statement::new(named(KINDS, &case.kind), traits(&case.traits))
    }
}

#[test]
fn the_policy_decides_as_the_cases_say() {
    for policy in Cases::load().policy {
        let json = serde_json::to_string(&policy.settings).unwrap();
        let mut router = ReadWriteSplit::configure(settings::parse(&json).unwrap()).unwrap();
        router.nodes = [("n0".to_owned(), 0), ("n1".to_owned(), 1), ("n2".to_owned(), 2)].into();
        for case in &policy.case {
            let plan = decide(&router, &session(case), &statement(case));
            assert_eq!(plan.to_string(), case.plan, "{}: {}", policy.title, case.sql);
        }
    }
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refused = [
        (r#"{"max_lagg": 5}"#, "max_lagg"),
        (r#"{"max_lag": "5 parsecs"}"#, "parsecs"),
        (r#"{"balance": "leastconn"}"#, "leastconn"),
        (r#"{"causal_reads": "cluster"}"#, "cluster"),
        (r#"{"causal_reads_timeout": "5min"}"#, "causal_reads_timeout"),
        (r#"{"user_preferences": {"alice": ""}}"#, "preference"),
    ];
    for (json, named) in refused {
        let outcome = settings::parse(json).and_then(ReadWriteSplit::configure);
        assert!(outcome.as_ref().is_err_and(|e| e.contains(named)), "{json}: {outcome:?}");
    }
}

#[test]
fn a_policy_asks_only_for_what_its_settings_use() {
    let requirements = |json| {
        let router = ReadWriteSplit::configure(settings::parse(json).unwrap()).unwrap();
        let needs = router.setup();
        (needs.session.bits(), format!("{:?}", needs.statement))
    };
    assert_eq!(requirements(r#"{"hints": false}"#), (0, "StatementAttributes(0x0)".to_owned()));
    let (session, _) = requirements(r#"{"user_preferences": {"alice": "primary"}}"#);
    assert_eq!(session, howdah_plugin::SessionAttributes::USER.bits());
}

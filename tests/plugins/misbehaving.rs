//! A policy that is loaded and then misbehaves costs a counter and the built-in plan.

use std::time::{Duration, Instant};

use howdah::{
    config::OnFailure,
    plugin::{
        Admission, DecidedBy, PluginState, PolicySpec, Router,
        input::{SessionAttributes, Transaction},
        plan::{Destination, Plan},
    },
    sql::{StatementFacts, TableRef},
};
use serde_json::json;

use crate::setup::{CHAOS, ask, cluster, engine, load, select, session, spec};

const DEFAULT_PLAN: &str = "standby by least-busy, with own writes, waiting 10 ms";
const WELL_BEHAVED: &str = "primary [well-behaved]";

fn chaos(misbehave: &str) -> Router {
    load(CHAOS, &json!({ "misbehave": misbehave })).unwrap()
}

fn strict_chaos(misbehave: &str) -> Router {
    let settings = json!({ "misbehave": misbehave });
    Router::load(engine(), &spec(CHAOS, &settings), OnFailure::Refuse, &cluster()).unwrap()
}

/// The reason, the cause as the operator sees it, and the counters (traps, timeouts).
fn suffer(misbehave: &str) -> (&'static str, String, (u64, u64)) {
    let router = chaos(misbehave);
    let (plan, decided_by) = ask(&router, "mallory");
    let DecidedBy::BuiltIn(reason) = decided_by else { panic!("{misbehave}: {plan}") };
    assert!(plan.starts_with(DEFAULT_PLAN), "{misbehave}: {plan}");
    assert!(plan.ends_with(" kept 10000 ms [read]"), "{misbehave}: the key rests: {plan}");
    assert_eq!(ask(&router, "alice"), (WELL_BEHAVED.to_owned(), DecidedBy::Plugin));
    let status = router.status();
    assert_eq!(status.failures, 1, "{misbehave}");
    (reason, status.last_error.unwrap(), (status.traps, status.timeouts))
}

#[test]
fn a_trap_is_told_with_the_panic_and_its_place() {
    let (reason, cause, counters) = suffer("trap");
    assert_eq!((reason, counters), ("trap", (1, 0)));
    assert!(cause.contains("panicked: told to trap"), "{cause}");
    assert!(cause.contains("location=plugins/chaos/src/lib.rs:"), "{cause}");
    assert!(cause.contains(", in <chaos::Chaos as howdah_plugin::router::Router>::route"), "{cause}");
}

#[test]
fn an_endless_loop_ends_at_the_deadline() {
    let (reason, cause, counters) = suffer("loop");
    assert_eq!((reason, counters), ("timeout", (0, 1)));
    assert!(cause.contains("5ms"), "{cause}");
}

#[test]
fn endless_recursion_ends_with_the_stack() {
    let (reason, cause, _) = suffer("recursion");
    assert_eq!(reason, "trap");
    assert!(cause.contains("stack"), "{cause}");
}

#[test]
fn memory_has_a_limit() {
    let (reason, _, counters) = suffer("memory-bomb");
    // Filling the memory may take longer than the deadline.
    assert!(matches!((reason, counters), ("trap", (1, 0)) | ("timeout", (0, 1))), "{reason}");
}

#[test]
fn an_error_is_shown_in_the_words_of_the_policy() {
    assert_eq!(suffer("error"), ("error", "told to fail".to_owned(), (0, 0)));
}

#[test]
fn what_a_guest_sends_is_bounded() {
    for misbehave in ["huge-error", "huge-list"] {
        let (_, cause, _) = suffer(misbehave);
        assert!(cause.len() < 2_000, "{misbehave}: {} bytes", cause.len());
    }
}

#[test]
fn nonsense_is_not_executed() {
    let cases = [
        ("unknown-node", "there is no node 4711"),
        ("zero-byte", "the message contains a control character"),
        ("no-rule", "the rule's name is empty"),
        ("bad-sqlstate", "\"oops!\" is not the SQLSTATE of an error"),
    ];
    for (misbehave, complaint) in cases {
        let (reason, cause, _) = suffer(misbehave);
        assert_eq!(reason, "invalid plan");
        assert!(cause.contains(complaint), "{cause}");
    }
}

#[test]
fn a_flood_of_log_lines_harms_nobody() {
    let router = chaos("log-flood");
    let (plan, _) = ask(&router, "mallory");
    assert!(plan == "primary [survived]" || plan.starts_with(DEFAULT_PLAN), "{plan}");
}

#[test]
fn a_policy_without_opinion_leaves_it_to_the_default() {
    let router = chaos("no-opinion");
    let (plan, decided_by) = ask(&router, "mallory");
    assert_eq!(plan, format!("{DEFAULT_PLAN} [read]"));
    assert_eq!(decided_by, DecidedBy::BuiltIn("no opinion"));
    assert_eq!(router.status().failures, 0);
}

#[test]
fn a_policy_may_refuse_a_statement() {
    let (plan, decided_by) = ask(&chaos("refuse"), "mallory");
    assert_eq!((&*plan, decided_by), ("refuse 42501 \"not for you\" [refuse]", DecidedBy::Plugin));
}

#[test]
fn a_policy_that_must_not_be_replaced_refuses_when_it_fails() {
    let router = strict_chaos("trap");
    let routed = router.route(&cluster(), &session("mallory"), &select(), Transaction::default());
    let Plan { destination: Destination::Refuse(refusal), reuse: Some(rest), .. } = &*routed.plan else {
        panic!("{}", routed.plan)
    };
    assert_eq!((&refusal.sqlstate, *rest), (b"38000", Duration::from_secs(10)));
    assert!(refusal.message.starts_with("policy \"router\" gave no answer: it trapped: panicked"));
}

#[test]
fn a_policy_that_keeps_failing_is_left_alone_for_a_while() {
    let router = chaos("trap");
    for _ in 0..5 {
        assert_eq!(ask(&router, "mallory").1, DecidedBy::BuiltIn("trap"));
    }
    assert_eq!(router.status().state, PluginState::Broken);
    let (plan, decided_by) = ask(&router, "alice");
    assert!(plan.starts_with(DEFAULT_PLAN), "{plan}");
    assert_eq!(decided_by, DecidedBy::BuiltIn("circuit open"));
    assert_eq!(router.status().traps, 5, "it was not called");

    let opened = Instant::now();
    while ask(&router, "alice").1 != DecidedBy::Plugin {
        assert!(opened.elapsed() < Duration::from_secs(5), "the breaker never closed");
        std::thread::yield_now();
    }
    assert_eq!(router.status().state, PluginState::Running);
}

#[test]
fn a_failing_admission_lets_the_session_in_unless_told_otherwise() {
    let admitted = Admission::Accept(vec![("admitted-by".to_owned(), "chaos".to_owned())]);
    let router = chaos("trap-in-admit");
    assert_eq!(router.admit(&session("alice")), admitted);
    assert_eq!(router.admit(&session("mallory")), Admission::Accept(Vec::new()));

    let strict = strict_chaos("trap-in-admit");
    assert!(matches!(strict.admit(&session("mallory")), Admission::Refuse(_)));
}

#[test]
fn a_policy_sees_only_what_it_asked_for() {
    let router = chaos("sees-too-much");
    let table = TableRef { schema: None, name: "secret".to_owned(), write: false };
    let full = SessionAttributes {
        database: "db".into(),
        application: "app".into(),
        client_address: "::1".into(),
        ..session("mallory")
    };
    let statement = StatementFacts { tables: vec![table], functions: vec!["f".to_owned()], ..select() };
    let routed = router.route(&cluster(), &full, &statement, Transaction::default());
    assert_eq!(routed.plan.to_string(), "primary [saw []]");
    assert_eq!(router.class(&full), session("mallory"));
}

#[test]
fn state_needs_its_grant_and_survives_a_reload() {
    let denied = chaos("use-state");
    assert_eq!(ask(&denied, "mallory").1, DecidedBy::BuiltIn("error"));
    let cause = denied.status().last_error.unwrap();
    assert!(cause.contains("NotGranted"), "{cause}");

    let grants = ["state".to_owned()];
    let settings = json!({ "misbehave": "use-state" });
    let granted = |generation| {
        let spec = PolicySpec { name: "stateful", grants: &grants, generation, ..spec(CHAOS, &settings) };
        Router::load(engine(), &spec, OnFailure::BuiltIn, &cluster()).unwrap()
    };
    let first = granted(1);
    assert_eq!(ask(&first, "mallory").0, "primary [call-1]");
    assert_eq!(ask(&first, "mallory").0, "primary [call-2]");
    let samples = first.samples();
    assert_eq!((&*samples[0].name, samples[0].value), ("calls", 2.0));
    assert_eq!(ask(&granted(2), "mallory").0, "primary [call-3]");
}

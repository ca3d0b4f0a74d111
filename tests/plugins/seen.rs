//! What a policy sees beyond the shape, and how long its plans are kept then.

use std::time::Duration;

use howdah::{
    plugin::{
        DecidedBy, Router,
        input::{Parameter, Request, SessionAttributes, Transaction},
    },
    sql::{Kind, StatementFacts, Traits},
};
use serde_json::{Value, json};

use crate::setup::{BY_VALUE, cluster, load, select, session};

const KEY_READ: &str = "standby by least-busy, with writes of";

fn policy(settings: &Value) -> Router {
    load(BY_VALUE, settings).unwrap()
}

fn update() -> StatementFacts {
    StatementFacts { kind: Kind::Update, traits: Traits::default(), ..select() }
}

fn ask_about(router: &Router, statement: &StatementFacts, request: &Request<'_>) -> String {
    let routed = router.route_request(&cluster(), &session("alice"), statement, Transaction::default(), request);
    assert_eq!(routed.decided_by, DecidedBy::Plugin, "{:?}", router.status());
    routed.plan.to_string()
}

fn bound(type_oid: u32, is_binary: bool, bytes: Option<&[u8]>) -> Request<'_> {
    Request { raw_text: None, parameters: vec![Parameter::new(type_oid, is_binary, bytes)] }
}

fn text(value: &str) -> Request<'_> {
    bound(25, false, Some(value.as_bytes()))
}

#[test]
fn a_policy_that_asks_for_the_raw_text_sees_it_for_every_execution() {
    let router = policy(&json!({ "see": "raw-text" }));
    assert!(router.looks_closer());
    let sent = |text: &'static str| Request { raw_text: Some(text.into()), parameters: Vec::new() };
    assert_eq!(ask_about(&router, &select(), &sent("SELECT 'n1'")), "node #1 once [node]");
    assert_eq!(ask_about(&router, &select(), &sent("SELECT 'n2'")), "node #2 once [node]");
    assert_eq!(ask_about(&router, &select(), &text("n1")), "primary once [no-value]", "parameters it does not see");
}

#[test]
fn a_policy_sees_values_as_text_whether_they_came_as_text_or_in_binary() {
    let router = policy(&json!({ "see": "parameters" }));
    let cases = [
        (bound(25, false, Some(b"acme")), "acme"),
        (bound(23, false, Some(b"7")), "7"),
        (bound(23, true, Some(&[0, 0, 0, 7])), "7"),
        (bound(0, true, Some(&[0, 0, 0, 7])), "opaque [0, 0, 0, 7]"),
        (bound(1700, true, Some(&[0, 1])), "opaque [0, 1]"),
        (bound(25, false, Some(&[0xff])), "opaque [255]"),
        (bound(25, false, None), "null"),
    ];
    for (request, value) in cases {
        assert_eq!(ask_about(&router, &select(), &request), format!("{KEY_READ} {value} once [key]"));
    }
    let prepared = Request::default();
    assert_eq!(ask_about(&router, &select(), &prepared), "primary once [no-value]", "it is only being prepared");
}

#[test]
fn a_plan_is_kept_by_the_parameters_that_the_policy_names() {
    let router = policy(&json!({ "see": "parameters", "kept": true }));
    assert_eq!(ask_about(&router, &select(), &text("n1")), "node #1 by parameter 0 [node]");
    assert_eq!(ask_about(&router, &update(), &text("acme")), "primary stamp acme by parameter 0 [write]");

    let unseeing = policy(&json!({ "see": "hints", "kept": true }));
    assert!(!unseeing.looks_closer());
    let plan = ask_about(&unseeing, &select(), &text("n1"));
    assert_eq!(plan, "primary [no-value]", "what is not shown makes no difference");
}

#[test]
fn without_an_opinion_the_stamps_and_the_keeping_hold() {
    let router = policy(&json!({ "see": "parameters", "kept": true }));
    let request = text("no-opinion");
    let routed = router.route_request(&cluster(), &session("a"), &update(), Transaction::default(), &request);
    assert_eq!(routed.decided_by, DecidedBy::BuiltIn("no opinion"));
    assert_eq!(routed.plan.to_string(), "primary stamp no-opinion by parameter 0 [write]");
}

#[test]
fn a_policy_that_fails_for_one_execution_is_asked_about_the_next() {
    let router = policy(&json!({ "see": "parameters", "kept": true }));
    let request = text("fail");
    let routed = router.route_request(&cluster(), &session("a"), &update(), Transaction::default(), &request);
    assert_eq!(routed.decided_by, DecidedBy::BuiltIn("error"));
    assert_eq!(routed.plan.reuse, None, "{}", routed.plan);
    assert!(routed.plan.stamps_any, "what it would have stamped is not known");
    assert!(!router.route(&cluster(), &session("a"), &select(), Transaction::default()).plan.stamps_any);

    let by_shape = policy(&json!({ "see": "hints" }));
    let statement = StatementFacts { hints: vec![("value".to_owned(), "fail".to_owned())], ..select() };
    let plan = by_shape.route(&cluster(), &session("a"), &statement, Transaction::default()).plan;
    assert_eq!(plan.reuse, Some(Duration::from_secs(10)), "its shape rests");
}

#[test]
fn a_key_of_any_text_is_one_that_is_taken() {
    let router = policy(&json!({ "see": "parameters" }));
    for value in ["", "two\nlines", &"x".repeat(1_000)] {
        let (written, read) =
            (ask_about(&router, &update(), &text(value)), ask_about(&router, &select(), &text(value)));
        let key = written.strip_prefix("primary stamp ").unwrap().strip_suffix(" once [write]").unwrap();
        assert_eq!(read, format!("{KEY_READ} {key} once [key]"));
    }
}

#[test]
fn a_session_parameter_is_part_of_the_class_whatever_case_it_is_written_in() {
    let router = policy(&json!({ "see": "session-parameter", "session_parameter": "TimeZone" }));
    let with = |value: &str| SessionAttributes {
        parameters: vec![("timezone".to_owned(), value.to_owned()), ("app.secret".to_owned(), "x".to_owned())],
        ..session("alice")
    };
    assert_eq!(router.class(&with("n1")).parameters, [("TimeZone".to_owned(), "n1".to_owned())]);
    assert_ne!(router.class(&with("n1")), router.class(&with("n2")));
    let ask =
        |full: &SessionAttributes| router.route(&cluster(), full, &select(), Transaction::default()).plan.to_string();
    assert_eq!(ask(&with("n1")), "node #1 [node]");
    assert_eq!(ask(&session("alice")), "primary [no-value]");
}

#[test]
fn the_first_read_by_key_has_everything_looked_at_from_then_on() {
    let router = policy(&json!({ "see": "hints" }));
    assert!(!router.looks_closer() && !router.watches_keys());
    assert!(router.watch_keys(), "it is the first");
    assert!(!router.watch_keys());
    assert!(router.looks_closer() && router.watches_keys());
}

//! Components that are refused before they run, and what the operator is told.

use howdah::{
    config::OnFailure,
    plugin::{PolicySpec, Router},
};
use serde_json::{Value, json};

use crate::setup::{CHAOS, cluster, engine, load, spec};

fn refusal(component: &[u8]) -> String {
    load(component, &Value::Null).unwrap_err().to_string()
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn what_is_no_component_is_named() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "it is empty"),
        (b"hello", "it does not begin like one"),
        (b"\0asm\x01\0\0\0", "it is a core module"),
        (b"\x7fELF\x02\x01\x01", "precompiled components are never loaded"),
        (b"\0asm\x0d\0\x01\0\xff\xff\xff", "the component is malformed"),
    ];
    for (bytes, complaint) in cases {
        let text = refusal(bytes);
        assert!(text.contains(complaint), "{text}");
    }
}

#[test]
fn a_component_that_is_cut_off_or_changed_anywhere_is_refused() {
    for length in (0..CHAOS.len()).step_by(CHAOS.len() / 20) {
        assert!(load(&CHAOS[..length], &Value::Null).is_err(), "{length}");
    }
    let mut survivors = 0;
    for at in (0..CHAOS.len()).step_by(CHAOS.len() / 20) {
        let mut changed = CHAOS.to_vec();
        changed[at] ^= 0x55;
        // Some bytes are names or constants; what must not happen is a panic.
        survivors += usize::from(load(&changed, &json!({ "misbehave": "none" })).is_ok());
    }
    assert!(survivors < 15, "most changes are noticed");
}

#[test]
fn a_component_that_is_too_large_is_not_even_looked_at() {
    let text = refusal(&vec![0; (32 << 20) + 1]);
    assert!(text.contains("33554433 bytes"), "{text}");
}

#[test]
fn wasi_is_refused_with_the_flag_that_mends_it() {
    let text = refusal(&wat(r#"(component (import "wasi:io/poll@0.2.6" (instance)))"#));
    assert!(text.contains("imports wasi:io/poll@0.2.6"), "{text}");
    for flag in ["--stub-wasi", "-s", "wasm32-unknown-unknown"] {
        assert!(text.contains(flag), "{text}");
    }
}

#[test]
fn another_version_of_the_contract_is_named() {
    for component in [
        r#"(component (import "howdah:plugin/log@0.2.0" (instance)))"#,
        r#"(component (import "howdah:plugin/log@1.0.0" (instance)))"#,
        r#"(component
            (instance $i) (export "howdah:plugin/lifecycle@0.2.0" (instance $i)))"#,
    ] {
        let text = refusal(&wat(component));
        assert!(text.contains("this host speaks 0.1"), "{text}");
    }
}

#[test]
fn an_interface_that_routers_do_not_get_is_named() {
    for name in ["howdah:plugin/node-sql@0.1.0", "howdah:plugin/telepathy@0.1.0", "acme:db/sql@1.0.0"] {
        let text = refusal(&wat(&format!(r#"(component (import "{name}" (instance)))"#)));
        assert!(text.contains(&format!("imports {name}")), "{text}");
    }
}

#[test]
fn a_plugin_of_another_kind_is_named() {
    let text = refusal(&wat(r#"(component
            (instance $i)
            (export "howdah:plugin/lifecycle@0.1.0" (instance $i))
            (export "howdah:plugin/failover@0.1.0" (instance $i)))"#));
    assert!(text.contains("does not export howdah:plugin/router"), "{text}");
    assert!(text.contains("howdah:plugin/failover@0.1.0"), "{text}");
}

#[test]
fn another_revision_of_the_same_version_is_told_apart() {
    let missing = refusal(&wat(r#"(component
            (instance $i)
            (export "howdah:plugin/lifecycle@0.1.0" (instance $i))
            (export "howdah:plugin/router@0.1.0" (instance $i)))"#));
    assert!(missing.contains("another revision of plugin API 0.1"), "{missing}");

    let newer = refusal(&wat(r#"(component
            (import "howdah:plugin/log@0.1.7" (instance (export "flush" (func))))
            (instance $i)
            (export "howdah:plugin/lifecycle@0.1.0" (instance $i))
            (export "howdah:plugin/router@0.1.0" (instance $i)))"#));
    assert!(newer.contains("another revision of plugin API 0.1"), "{newer}");
    assert!(newer.contains("flush"), "{newer}");
}

#[test]
fn a_component_that_is_not_the_pinned_one_is_refused() {
    let settings = json!({ "misbehave": "none" });
    let pinned = |sha256: &str| {
        let spec = PolicySpec { sha256: Some(sha256), ..spec(CHAOS, &settings) };
        Router::load(engine(), &spec, OnFailure::BuiltIn, &cluster())
    };
    let right = load(CHAOS, &settings).unwrap().status().sha256;
    assert!(pinned(&right.to_uppercase()).is_ok());
    let text = pinned(&"0".repeat(64)).unwrap_err().to_string();
    assert!(text.contains(&right), "{text}");
}

#[test]
fn what_a_policy_does_wrong_at_the_start_refuses_it() {
    let cases = [
        ("trap-in-setup", "setup failed: it trapped: panicked: told to trap in setup"),
        ("loop-in-configure", "configure failed: it did not finish within 1s of CPU time"),
        ("error-in-topology", "update-topology failed: told not to like any topology"),
        ("ask-for-probe", "asks for the probe `bloat`"),
    ];
    for (misbehave, complaint) in cases {
        let text = describe(load(CHAOS, &json!({ "misbehave": misbehave })).unwrap_err());
        assert!(text.contains(complaint), "{text}");
    }
}

#[test]
fn a_policy_that_fails_its_first_question_is_refused() {
    for misbehave in ["trap", "loop", "error", "unknown-node", "memory-bomb"] {
        let settings = json!({ "misbehave": misbehave, "towards": "" });
        let text = describe(load(CHAOS, &settings).unwrap_err());
        assert!(text.starts_with("route of SELECT 1 failed: "), "{text}");
    }
}

#[test]
fn an_unknown_grant_is_refused() {
    let settings = json!({ "misbehave": "none" });
    let grants = ["stat".to_owned()];
    let spec = PolicySpec { grants: &grants, ..spec(CHAOS, &settings) };
    let text = Router::load(engine(), &spec, OnFailure::BuiltIn, &cluster()).unwrap_err().to_string();
    assert!(text.contains("unknown grant `stat`"), "{text}");
}

fn describe(error: impl std::error::Error) -> String {
    error.to_string()
}

//! A part of PostgreSQL's own regression tests; `cargo xtask conformance` runs them all, and the drivers' suites.

use std::path::PathBuf;

use howdah_tests::{
    conformance::{self, Job, Schedule, Suite, Way, material::Material, outcome::Outcome},
    drivers,
};

/// Tests that need no others but the one that makes the common tables, and that are over in a second or two.
const TESTS: [&str; 13] = [
    "boolean",
    "int4",
    "text",
    "uuid",
    "numeric",
    "regex",
    "insert_conflict",
    "select_having",
    "case",
    "delete",
    "merge",
    "async",
    "jsonpath",
];

#[test]
fn regression_tests_of_postgresql_pass_in_session_mode() {
    pass(Way::Session);
}

#[test]
fn regression_tests_of_postgresql_pass_in_transaction_mode() {
    pass(Way::Transaction);
}

fn pass(way: Way) {
    let material = Material::of_this_machine();
    if let Err(missing) = material.postgresql() {
        assert!(!drivers::in_ci(), "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    let results = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("regression-suite-{way}"));
    let tests = TESTS.map(str::to_owned).to_vec();
    let job = Job { suite: Suite::Regress, way, schedule: Schedule::Serial, tests, results };

    let run = conformance::run(&job, &material, &mut |text| eprintln!("{way}: {text}")).unwrap();

    let unhappy: Vec<_> = run.outcomes.unhappy().collect();
    assert!(unhappy.is_empty(), "{way}: {unhappy:?}; see {}", job.results.join("regression.diffs").display());
    assert_eq!(run.outcomes.count(Outcome::Passed), 1 + TESTS.len(), "{way}: {:?}", run.outcomes);
}

//! Drivers of other languages do through the proxy what they do at a server, in either pool mode.
//!
//! What each does is in its program below `drivers/`: it fails with the first difference.

use std::{path::Path, process::Command};

use howdah_tests::{Proxy, drivers::Driver, fresh_database, shared_cluster};

#[test]
fn psql_works_in_either_pool_mode() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers/with_psql.sh");
    in_either_mode(|proxy, arguments| {
        let psql = proxy.client().command().get_program().to_owned();
        let output = Command::new("sh").arg(&script).args(arguments).env("PSQL", psql).output().unwrap();
        let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "with_psql.sh failed: {said}\n{out}");
        Some(out.into_owned())
    });
}

#[test]
fn psycopg_3_works_in_either_pool_mode() {
    runs(Driver::Python, "with_psycopg3.py");
}

#[test]
fn psycopg2_works_in_either_pool_mode() {
    runs(Driver::Python, "with_psycopg2.py");
}

#[test]
fn node_postgres_works_in_either_pool_mode() {
    runs(Driver::Node, "with_node_postgres.js");
}

#[test]
fn jdbc_works_in_either_pool_mode() {
    runs(Driver::Jdbc, "WithJdbc.java");
}

fn runs(driver: Driver, program: &str) {
    in_either_mode(|_, arguments| driver.run(program, arguments));
}

/// Has a program go through its parts, of which each prints a line; cancelling is one of them.
fn in_either_mode(program: impl Fn(&Proxy, &[&str]) -> Option<String>) {
    let database = fresh_database();
    for pool_mode in ["session", "transaction"] {
        let proxy = Proxy::start(shared_cluster(), |config| config.set("pool_mode", &format!("{pool_mode:?}")));
        let port = proxy.port().to_string();
        let Some(out) = program(&proxy, &["127.0.0.1", &port, "postgres", &database]) else { return };
        assert!(out.lines().any(|line| line == "OK cancels"), "{pool_mode}: {out}");
    }
}

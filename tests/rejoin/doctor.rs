//! The rights that `howdah cluster grant-sql` gives are enough, and `howdah cluster doctor` says what is not.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use howdah::{
    config::ExecutorKind,
    control::rejoin::{Order, decide::Course},
    demo::wait,
};
use howdah_tests::{PATIENCE, program};

use super::lab::{Lab, bin_dir, owner, text};

/// A configuration for the lab's cluster, whose control user is `ha`.
fn configuration(lab: &Lab, executor: &str) -> PathBuf {
    let nodes: Vec<String> = lab
        .postgres
        .nodes()
        .iter()
        .map(|node| {
            let (name, host, port, data) = (&node.name, &node.host, node.port, text(&node.data));
            format!("  {{ name = {name:?}, host = {host:?}, port = {port}, data_dir = {data:?} }},\n")
        })
        .collect();
    let run_as = owner(&lab.node(0).data).map(|user| format!("run_as = {user:?}\n")).unwrap_or_default();
    let text = format!(
        "auth_type = \"trust\"\n[clusters.main]\nnodes = [\n{}]\ncontrol_user = \"ha\"\nexecutor = {executor:?}\n\
         bin_dir = {:?}\n{run_as}[databases]\n\"*\" = {{ cluster = \"main\" }}\n",
        nodes.concat(),
        text(&bin_dir(lab.node(0)))
    );
    let file = lab.postgres.folder().join(format!("{executor}.toml"));
    fs::write(&file, text).unwrap();
    file
}

fn cluster_command(words: &[&str], config: &Path) -> Output {
    Command::new(program::howdah()).arg("cluster").args(words).arg("--config").arg(config).output().unwrap()
}

/// Runs what `grant-sql` prints, as it says, with psql as a superuser.
fn grant(lab: &Lab, config: &Path, level: &str) {
    let printed = cluster_command(&["grant-sql", "--level", level], config);
    assert!(printed.status.success(), "{printed:?}");
    let file = lab.postgres.folder().join("grants.sql");
    fs::write(&file, printed.stdout).unwrap();
    lab.own(&file);
    let mut psql = lab.node(0).command("psql");
    psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres", "-d", "template1"]);
    let done = psql.args(["-p", &lab.node(0).port.to_string(), "-f"]).arg(&file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for standby in lab.postgres.standbys() {
        lab.postgres.wait_until_replayed(standby, PATIENCE).unwrap();
    }
}

#[test]
fn the_doctor_says_what_is_missing_until_nothing_is() {
    let lab = Lab::with(1, &[("wal_log_hints", "off")]);
    let config = configuration(&lab, "exec");

    let nobody = cluster_command(&["doctor"], &config);
    let said = String::from_utf8(nobody.stdout).unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(said.contains("ha cannot log in") && said.contains("howdah cluster grant-sql"), "{said}");

    lab.node(0).psql("CREATE ROLE ha LOGIN").unwrap();
    lab.postgres.wait_until_replayed(lab.node(1), PATIENCE).unwrap();
    let powerless = cluster_command(&["doctor"], &config);
    let said = String::from_utf8(powerless.stdout).unwrap();
    for missing in [
        "it is not a member of pg_checkpoint",
        "it may not ALTER SYSTEM SET primary_conninfo",
        "it may not call pg_promote(boolean, integer)",
        "neither wal_log_hints nor data checksums are on",
        "no replication connection",
    ] {
        assert!(said.contains(missing), "{missing}: {said}");
    }

    grant(&lab, &config, "rejoin");
    for node in lab.postgres.nodes() {
        fs::write(node.data.join("postgresql.auto.conf"), with_hints(&node.data)).unwrap();
        node.stop().unwrap();
        node.start().unwrap();
    }
    let all_well = wait::until(PATIENCE, || {
        let healthy = cluster_command(&["doctor", "--json"], &config);
        healthy.status.success().then_some(healthy)
    });
    let healthy = all_well.unwrap_or_else(|| panic!("{:?}", cluster_command(&["doctor"], &config)));
    let found: serde_json::Value = serde_json::from_slice(&healthy.stdout).unwrap();
    assert_eq!(found["ok"], true);
    let nodes = found["clusters"][0]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    assert_eq!(nodes[0]["system"], nodes[1]["system"]);
}

fn with_hints(data: &Path) -> String {
    fs::read_to_string(data.join("postgresql.auto.conf")).unwrap() + "wal_log_hints = 'on'\n"
}

#[test]
fn a_cluster_that_is_not_there_is_an_error() {
    let lab = Lab::start(0);
    let config = configuration(&lab, "none");

    for command in [&["doctor", "--cluster", "x"][..], &["grant-sql", "--cluster", "x"]] {
        let refused = cluster_command(command, &config);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no cluster \"x\""), "{refused:?}");
    }
}

#[test]
fn the_granted_rights_are_enough_for_a_rejoin_through_sql_alone() {
    let lab = Lab::start(1);
    let config = configuration(&lab, "sql-program");
    grant(&lab, &config, "switchover");
    let healthy = cluster_command(&["doctor"], &config);
    assert!(healthy.status.success(), "{}", String::from_utf8_lossy(&healthy.stdout));
    lab.promote();
    lab.write_on_old_primary();
    let lab = lab.with_user("ha");

    let host = lab.executor(ExecutorKind::SqlProgram, 0);
    let (outcome, heard) = lab.rejoin_with(&host, ExecutorKind::SqlProgram, Order::Rejoin);

    assert_eq!(outcome.unwrap().decision.course, Course::Rewind, "{heard:?}");
    lab.assert_follows();
}

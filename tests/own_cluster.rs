//! The cluster that everything else is proved on: it replicates, it can be hurt, it leaves nothing behind.

use std::time::Duration;

use howdah::demo::{Auth, ClusterOptions, PgCluster, Synchronous};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn standbys_follow_the_primary_and_return_after_a_crash() {
    let cluster = PgCluster::start(ClusterOptions { auth: Auth::Scram, ..Default::default() }).unwrap();
    let (primary, standby) = (cluster.primary(), cluster.node("n1").unwrap());
    primary.psql("CREATE TABLE t (x int); INSERT INTO t VALUES (1)").unwrap();
    cluster.wait_until_replayed(standby, PATIENCE).unwrap();
    assert_eq!(standby.psql("SELECT x, pg_is_in_recovery() FROM t").unwrap(), "1|t");

    standby.kill9().unwrap();
    assert!(standby.postmaster().is_none());
    assert!(standby.psql("SELECT 1").is_err());
    standby.start().unwrap();

    cluster.wait_until_streaming(2, PATIENCE).unwrap();
}

#[test]
fn a_frozen_standby_answers_again_when_it_thaws() {
    let cluster = PgCluster::start(ClusterOptions { standbys: 1, ..Default::default() }).unwrap();
    let standby = &cluster.standbys()[0];

    standby.sigstop();
    assert!(standby.psql("SELECT 1").is_err(), "the connection attempt times out");
    standby.sigcont();

    assert_eq!(standby.psql("SELECT 1").unwrap(), "1");
}

#[test]
fn a_setting_is_in_force_when_alter_system_returns() {
    let options = ClusterOptions { standbys: 1, sync: Synchronous::Any(1), ..Default::default() };
    let cluster = PgCluster::start(options).unwrap();

    cluster.standbys()[0].alter_system("recovery_min_apply_delay", "500ms").unwrap();

    assert_eq!(cluster.primary().psql("SHOW synchronous_standby_names").unwrap(), "ANY 1 (n1)");
    assert_eq!(cluster.standbys()[0].psql("SHOW recovery_min_apply_delay").unwrap(), "500ms");
}

#[test]
fn nothing_is_left_of_a_dropped_cluster() {
    let options =
        ClusterOptions { standbys: 0, extra_conf: vec![("work_mem".into(), "7MB".into())], ..Default::default() };
    let cluster = PgCluster::start(options).unwrap();
    let (folder, node) = (cluster.folder().to_owned(), cluster.primary().clone());
    assert_eq!(node.psql("SHOW work_mem").unwrap(), "7MB");
    let postmaster = node.postmaster().unwrap();

    drop(cluster);

    assert!(!folder.exists());
    assert!(!howdah::demo::process::is_alive(postmaster));
}

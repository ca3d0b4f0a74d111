//! A commit whose wait for its standbys was cancelled is not taken for one that lasts.

use howdah::demo::{PgCluster, wait};
use howdah_tests::{
    PATIENCE, Proxy,
    raw::{Raw, bind, execute, parse, query, sync, tags},
};

use super::{error, synchronous, told};

/// Cancels the one commit that waits for the frozen standby.
fn cancel_wait(cluster: &PgCluster) {
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let cancelled = || (cluster.primary().psql(cancel).unwrap() == "1").then_some(());
    wait::until(PATIENCE, cancelled).expect("a commit waits");
}

#[test]
fn a_cancelled_wait_is_a_warning_or_an_error_as_configured() {
    let cluster = synchronous();
    let start = |how: &str| {
        Proxy::start(&cluster, |config| config.without_router().set("unacknowledged_commit", &format!("{how:?}")))
    };
    let (warning, failing) = (start("warn"), start("error"));
    warning.client().ask("CREATE TABLE t (x int)").unwrap();
    let mut clients = [Raw::login(warning.port(), "postgres"), Raw::login(failing.port(), "postgres")];
    for client in &mut clients {
        client.query("SELECT 1");
    }
    cluster.standbys()[0].sigstop();
    let mut ask = |client: usize, bytes: &[u8]| {
        clients[client].send(bytes).unwrap();
        cancel_wait(&cluster);
        clients[client].until_ready()
    };
    let batch = [parse("", "INSERT INTO t VALUES (2)"), bind("", &[]), execute(), sync()].concat();
    let insert = query("INSERT INTO t VALUES (1)");

    let warned = ask(0, &insert);
    assert_eq!((tags(&warned), warned[0].sqlstate()), ("NCZ".into(), "01000".into()));

    let failed = ask(1, &insert);
    assert_eq!((tags(&failed), told(&failed)), ("NEZ".into(), error("40003", "I")));
    // The commit of a batch comes behind the answers to its messages.
    let failed = ask(1, &batch);
    assert_eq!((tags(&failed), told(&failed)), ("12CNEZ".into(), error("40003", "I")));
    clients[1].query("BEGIN");
    clients[1].query("INSERT INTO t VALUES (3)");
    let mut ask = |bytes: &[u8]| {
        clients[1].send(bytes).unwrap();
        cancel_wait(&cluster);
        clients[1].until_ready()
    };
    let failed = ask(&query("COMMIT"));
    assert_eq!((tags(&failed), told(&failed)), ("NEZ".into(), error("40003", "I")));
    assert_eq!(clients[1].query("SELECT count(*) FROM t")[1].value(), "4", "it is there for now");
    cluster.standbys()[0].sigcont();
}

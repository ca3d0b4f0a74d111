//! What cannot be carried keeps the session at its server, for as long as it is there.

use howdah::demo::wait;
use howdah_tests::{
    PATIENCE,
    clients::{ask, sqlstate},
    raw::{Raw, tags},
};
use tokio_postgres::Client;

use super::{client, pid, proxy};

/// Makes something, checks that it is still there after others were served, takes it away.
async fn keeps_its_server(name: &str, cause: &str, make: &str, check: &str, unmake: &str) {
    let proxy = proxy(2, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute(make).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    let server = pid(&one).await;
    for _ in 0..3 {
        assert_ne!(pid(&other).await, server, "{name}: nobody else gets the server");
    }
    let shown = proxy.console().ask("SHOW PINS").unwrap();
    assert!(shown.contains(cause), "{name}: {shown}");
    ask(&one, check).await.unwrap_or_else(|error| panic!("{name}: {error}"));

    one.batch_execute(unmake).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    let free = wait::until(PATIENCE, || proxy.console().ask("SHOW PINS").unwrap().is_empty().then_some(()));
    free.unwrap_or_else(|| panic!("{name}: still pinned"));
}

#[tokio::test]
async fn until_its_temporary_tables_are_gone() {
    keeps_its_server(
        "table",
        "temporary object",
        "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1)",
        "SELECT a FROM t",
        "DROP TABLE t",
    )
    .await;
    keeps_its_server("into", "temporary object", "SELECT 1 AS a INTO TEMP x", "SELECT a FROM x", "DISCARD TEMP").await;
}

#[tokio::test]
async fn a_table_that_is_dropped_on_commit_keeps_nothing() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("BEGIN; CREATE TEMP TABLE t (a int) ON COMMIT DROP; COMMIT").await.unwrap();
    assert_eq!(ask(&other, "SELECT 1").await.unwrap(), "1");
    one.batch_execute("BEGIN; CREATE TEMP TABLE t (a int); ROLLBACK").await.unwrap();
    assert_eq!(ask(&other, "SELECT 1").await.unwrap(), "1");
}

#[tokio::test]
async fn until_its_cursors_are_closed() {
    keeps_its_server(
        "cursor",
        "cursor with hold",
        "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT",
        "FETCH c",
        "CLOSE c",
    )
    .await;
}

#[tokio::test]
async fn until_its_advisory_locks_are_given_back() {
    keeps_its_server(
        "lock",
        "advisory lock",
        "SELECT pg_advisory_lock(4711)",
        "SELECT 1",
        "SELECT pg_advisory_unlock(4711)",
    )
    .await;
    keeps_its_server(
        "locks",
        "advisory lock",
        "DO $$ BEGIN PERFORM pg_advisory_lock(4712); END $$",
        "SELECT 1",
        "SELECT pg_advisory_unlock_all()",
    )
    .await;
}

#[tokio::test]
async fn a_session_that_leaves_leaves_nothing_behind() {
    // Whatever the operator has clients in session mode leave with.
    let proxy = proxy(1, |config| config.set("server_reset_query", "\"\""));
    let one = client(&proxy).await;
    one.batch_execute("CREATE TEMP TABLE left_behind (a int); SET work_mem = '5MB'; SELECT pg_advisory_lock(1)")
        .await
        .unwrap();
    drop(one);
    let other = client(&proxy).await;
    assert_eq!(ask(&other, "SELECT to_regclass('left_behind') IS NULL").await.unwrap(), "t");
    assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "4MB");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    assert_eq!(ask(&other, locks).await.unwrap(), "0");
}

async fn refuses(client: &Client, sql: &str, code: &str) {
    let refused = client.batch_execute(sql).await.unwrap_err();
    assert_eq!(sqlstate(&refused), code, "{sql}: {refused}");
}

#[tokio::test]
async fn operators_may_refuse_it() {
    let proxy = proxy(2, |config| config.set("server_pin", "\"refuse\""));
    let one = client(&proxy).await;
    refuses(&one, "CREATE TEMP TABLE t (a int)", "0A000").await;
    refuses(&one, "SELECT pg_advisory_lock(1)", "0A000").await;
    assert_eq!(ask(&one, "SELECT pg_advisory_xact_lock(1) IS NULL").await.unwrap(), "f");
    one.batch_execute("SET work_mem = '5MB'").await.unwrap();
}

#[tokio::test]
async fn operators_may_limit_it() {
    let proxy = proxy(3, |config| config.set("pin_limit", "1"));
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("CREATE TEMP TABLE t (a int)").await.unwrap();
    // Its next statement waits until the session has been looked at.
    ask(&one, "SELECT 1").await.unwrap();
    refuses(&other, "CREATE TEMP TABLE t (a int)", "53300").await;
    one.batch_execute("DROP TABLE t").await.unwrap();
    ask(&one, "SELECT 1").await.unwrap();
    other.batch_execute("CREATE TEMP TABLE t (a int)").await.unwrap();
}

#[tokio::test]
async fn operators_may_limit_how_long_it_lasts() {
    let proxy = proxy(2, |config| config.set("pin_timeout", "\"200ms\""));
    let one = client(&proxy).await;
    one.batch_execute("CREATE TEMP TABLE t (a int)").await.unwrap();
    // Its next statement waits until the session has been looked at.
    ask(&one, "SELECT 1").await.unwrap();
    let gone = wait::until(PATIENCE, || proxy.console().ask("SHOW PINS").unwrap().is_empty().then_some(()));
    gone.expect("who keeps a server and does nothing is sent away");
    assert!(ask(&one, "SELECT 1").await.is_err());
}

#[test]
fn regression_who_has_heard_a_notification_is_served_at_once() {
    let proxy = proxy(2, |config| config);
    let (mut one, mut other) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    one.query("LISTEN heard_while_idle");
    for _ in 0..20 {
        other.query("NOTIFY heard_while_idle");
        assert_eq!(one.next().map(|message| message.tag), Some('A'));
        assert_eq!(tags(&one.query("SELECT 1")), "TDCZ");
    }
}

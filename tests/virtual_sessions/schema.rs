//! A session's own change of the schema counts for its next statement.
//!
//! What statements leave behind unseen, the proxy reads in the catalog, which takes a while. The tests have it take as
//! long as they need by a lock on a table that nobody but the proxy reads.

use howdah::demo::wait;
use howdah_tests::{
    PATIENCE, Proxy,
    clients::{ask, connect},
    fresh_database, shared_cluster,
};
use tokio_postgres::Client;

use super::{disturb, pid, proxy};

/// Has whoever reads the catalog wait until the client rolls back.
async fn stop_readers(database: &str) -> Client {
    let client = connect(shared_cluster().primary().port, database).await;
    client.batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_extension IN ACCESS EXCLUSIVE MODE").await.unwrap();
    client
}

fn wait_for_pins(proxy: &Proxy, what: &str, are_right: impl Fn(&str) -> bool) {
    let pins = || proxy.console().ask("SHOW PINS").unwrap();
    wait::until(PATIENCE, || are_right(&pins()).then_some(())).unwrap_or_else(|| panic!("{what}: {}", pins()));
}

#[tokio::test]
async fn a_sequence_of_a_default_that_was_just_made_is_asked_where_it_was_moved() {
    let database = fresh_database();
    let proxy = proxy(2, |config| config);
    let (one, other) = (connect(proxy.port(), &database).await, connect(proxy.port(), &database).await);
    let readers = stop_readers(&database).await;
    one.batch_execute("CREATE SEQUENCE s").await.unwrap();
    one.batch_execute("CREATE TABLE t (x int DEFAULT nextval('s'), y int DEFAULT -1 * currval('s'))").await.unwrap();
    let inserts_right = async || {
        let moved: i32 = ask(&one, "INSERT INTO t DEFAULT VALUES RETURNING x").await.unwrap().parse().unwrap();
        other.batch_execute("BEGIN; SELECT 1").await.unwrap();
        let recalled = ask(&one, "INSERT INTO t (x) VALUES (0) RETURNING y").await.unwrap();
        other.batch_execute("COMMIT").await.unwrap();
        assert_eq!(recalled, (-moved).to_string());
    };

    // Nobody knows of the default yet.
    let shown = proxy.console().ask("SHOW PINS").unwrap();
    assert!(shown.contains("schema change"), "{shown}");
    inserts_right().await;
    inserts_right().await;

    // It is known, and what was moved before counts.
    readers.batch_execute("ROLLBACK").await.unwrap();
    wait_for_pins(&proxy, "for the sequence only", |pins| pins.contains("sequence") && !pins.contains("schema"));
    inserts_right().await;
}

#[tokio::test]
async fn what_a_trigger_sets_that_was_just_made_is_the_sessions_own() {
    let database = fresh_database();
    let proxy = proxy(2, |config| config);
    let (one, other) = (connect(proxy.port(), &database).await, connect(proxy.port(), &database).await);
    one.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    wait_for_pins(&proxy, "the catalog is read", str::is_empty);
    let readers = stop_readers(&database).await;
    one.batch_execute(
        "CREATE FUNCTION sets() RETURNS trigger LANGUAGE plpgsql AS \
         $$BEGIN PERFORM set_config('work_mem', '5MB', false); RETURN NEW; END$$",
    )
    .await
    .unwrap();
    one.batch_execute("CREATE TRIGGER sets BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION sets()").await.unwrap();
    one.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "4MB");

    readers.batch_execute("ROLLBACK").await.unwrap();
    wait_for_pins(&proxy, "nothing keeps it at its server", str::is_empty);

    for _ in 0..3 {
        assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "5MB");
        disturb(&other).await;
        assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "4MB");
    }
}

#[tokio::test]
async fn who_changed_nothing_keeps_no_server_for_it() {
    let database = fresh_database();
    let proxy = proxy(2, |config| config);
    let (one, other) = (connect(proxy.port(), &database).await, connect(proxy.port(), &database).await);
    let third = connect(proxy.port(), &database).await;
    let readers = stop_readers(&database).await;
    one.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    let server = pid(&one).await;
    // There is one more server, and the others share it.
    for client in [&other, &third, &other] {
        client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
        assert_ne!(pid(client).await, server);
    }
    assert_eq!(proxy.console().ask("SHOW PINS").unwrap().lines().count(), 1);

    // It waits for no reading when it leaves.
    drop(one);
    wait_for_pins(&proxy, "nobody is left that changed something", str::is_empty);
    readers.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn who_only_drops_things_keeps_no_server_for_it() {
    let database = fresh_database();
    let proxy = proxy(2, |config| config);
    let one = connect(proxy.port(), &database).await;
    one.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    wait_for_pins(&proxy, "the catalog is read", str::is_empty);
    let readers = stop_readers(&database).await;

    for sql in ["DROP TABLE t", "CREATE TEMP TABLE t (a int); DROP TABLE t"] {
        one.batch_execute(sql).await.unwrap();
        // Its next statement waits until the session has been looked at.
        ask(&one, "SELECT 1").await.unwrap();
        assert_eq!(proxy.console().ask("SHOW PINS").unwrap(), "", "{sql}");
    }
    readers.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_session_outlives_the_server_that_it_keeps_for_the_schema_alone() {
    let database = fresh_database();
    let proxy = proxy(2, |config| config);
    let one = connect(proxy.port(), &database).await;
    let readers = stop_readers(&database).await;
    one.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    let server = pid(&one).await;

    readers.batch_execute(&format!("SELECT pg_terminate_backend({server})")).await.unwrap();
    wait_for_pins(&proxy, "its server is gone", str::is_empty);

    assert_ne!(pid(&one).await, server);
    readers.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn who_lingers_makes_way_for_who_waits() {
    let database = fresh_database();
    let proxy = proxy(1, |config| config);
    let (one, other) = (connect(proxy.port(), &database).await, connect(proxy.port(), &database).await);
    let readers = stop_readers(&database).await;
    one.batch_execute("CREATE TABLE t (a int)").await.unwrap();

    // The catalog cannot be read before this is answered.
    assert_eq!(ask(&other, "SELECT 1").await.unwrap(), "1");

    assert_eq!(proxy.console().ask("SHOW PINS").unwrap(), "");
    readers.batch_execute("ROLLBACK").await.unwrap();
}

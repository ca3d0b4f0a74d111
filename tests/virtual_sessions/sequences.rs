//! What a sequence answered before is the session's own.

use howdah_tests::{
    PATIENCE,
    clients::{ask, connect, sqlstate},
    fresh_database, shared_cluster,
};

use super::{client, proxy};

#[tokio::test]
async fn nobody_is_told_what_a_sequence_answered_another() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("DROP TABLE IF EXISTS own_sequence; CREATE TABLE own_sequence (id serial, a int)").await.unwrap();
    other.batch_execute("INSERT INTO own_sequence (a) VALUES (1)").await.unwrap();

    // The only server has moved the sequence, but not for this client.
    assert_eq!(sqlstate(&one.batch_execute("SELECT lastval()").await.unwrap_err()), "55000");
    drop(other);

    // From now on it is known that clients ask, and who moves a sequence keeps its server.
    one.batch_execute("INSERT INTO own_sequence (a) VALUES (2)").await.unwrap();
    assert_eq!(ask(&one, "SELECT lastval()").await.unwrap(), "2");
    assert!(proxy.console().ask("SHOW PINS").unwrap().contains("sequence"));
    one.batch_execute("DISCARD SEQUENCES").await.unwrap();
    assert_eq!(sqlstate(&one.batch_execute("SELECT lastval()").await.unwrap_err()), "55000");
    assert_eq!(proxy.console().ask("SHOW PINS").unwrap(), "");
    one.batch_execute("DROP TABLE own_sequence").await.unwrap();
}

#[tokio::test]
async fn a_session_finds_the_server_on_which_it_moved_a_sequence() {
    let proxy = proxy(3, |config| config);
    let (one, two, three) = (client(&proxy).await, client(&proxy).await, client(&proxy).await);
    one.batch_execute("DROP SEQUENCE IF EXISTS found_sequence; CREATE SEQUENCE found_sequence").await.unwrap();
    // All three servers are open, and the last one that was used is not the one to be found.
    for client in [&one, &two, &three] {
        client.batch_execute("BEGIN; SELECT 1").await.unwrap();
    }
    for client in [&one, &two, &three] {
        client.batch_execute("COMMIT").await.unwrap();
    }
    assert_eq!(ask(&one, "SELECT nextval('found_sequence')").await.unwrap(), "1");
    two.batch_execute("BEGIN; SELECT 1").await.unwrap();
    three.batch_execute("BEGIN; SELECT 1").await.unwrap();
    two.batch_execute("COMMIT").await.unwrap();
    three.batch_execute("COMMIT").await.unwrap();
    assert_eq!(ask(&one, "SELECT currval('found_sequence')").await.unwrap(), "1");
    one.batch_execute("DROP SEQUENCE found_sequence").await.unwrap();
}

#[tokio::test]
async fn a_default_that_asks_what_a_sequence_answered_has_its_session_keep_the_server() {
    let database = fresh_database();
    let primary = shared_cluster().primary().client().database(&database);
    primary.ask("CREATE SEQUENCE s").unwrap();
    primary.ask("CREATE TABLE t (x int DEFAULT nextval('s'), y int DEFAULT currval('s'))").unwrap();
    let proxy = proxy(2, |config| config);
    let (one, other) = (connect(proxy.port(), &database).await, connect(proxy.port(), &database).await);
    // Once the catalog has been read.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !proxy.console().ask("SHOW PINS").unwrap().contains("sequence") {
        assert!(tokio::time::Instant::now() < deadline, "it keeps its server");
        one.batch_execute("INSERT INTO t (x) VALUES (nextval('s'))").await.unwrap();
    }
    let moved: i32 = ask(&one, "SELECT currval('s')").await.unwrap().parse().unwrap();
    for round in moved + 1..moved + 4 {
        one.batch_execute("INSERT INTO t (x) VALUES (nextval('s'))").await.unwrap();
        other.batch_execute("BEGIN; SELECT 1").await.unwrap();
        assert_eq!(ask(&one, "INSERT INTO t (x) VALUES (0) RETURNING y").await.unwrap(), round.to_string());
        other.batch_execute("COMMIT").await.unwrap();
    }
}

//! What is lost with a server is told once, as it is.

use howdah::demo::wait;
use howdah_tests::{
    PATIENCE,
    raw::{Raw, bind, describe, execute, parse, query, sync, tags},
};

use super::{error, healing, promote, synchronous, told, until_console_says};

#[test]
fn a_transaction_whose_primary_died_fails_once_and_is_over_when_its_client_ends_it() {
    let cluster = synchronous();
    let proxy = healing(&cluster, |config| config);
    proxy.client().ask("CREATE TABLE t (x int)").unwrap();
    let mut clients: Vec<_> = (0..4).map(|_| Raw::login(proxy.port(), "postgres")).collect();
    for client in &mut clients {
        client.query("BEGIN");
        assert_eq!(told(&client.query("INSERT INTO t VALUES (1)")), error("", "T"));
    }
    cluster.primary().kill9().unwrap();
    promote(&cluster);

    let [a, b, c, d] = &mut clients[..] else { unreachable!() };
    assert_eq!(told(&a.query("SELECT 1")), error("08006", "E"));
    assert_eq!(told(&a.query("SELECT 1")), error("25P02", "E"));
    assert_eq!(tags(&a.query("ROLLBACK")), "CZ");
    assert_eq!(told(&b.query("COMMIT")), error("40001", "I"), "nobody takes it for committed");
    assert_eq!(told(&c.query("ROLLBACK")), error("", "I"));
    // As drivers do it.
    let batch = |sql: &str| [parse("", sql), bind("", &[]), describe('P', ""), execute(), sync()].concat();
    d.send(&batch("SELECT 1")).unwrap();
    assert_eq!(told(&d.until_ready()), error("08006", "E"));
    d.send(&batch("ROLLBACK")).unwrap();
    assert_eq!(tags(&d.until_ready()), "12nCZ");
    for client in &mut clients {
        let answer = client.query("SELECT count(*) FROM t");
        assert_eq!((tags(&answer), answer[1].value()), ("TDCZ".into(), "0".into()));
    }
}

#[test]
fn who_waits_for_an_answer_of_a_frozen_primary_is_told_when_another_reigns() {
    let cluster = synchronous();
    let proxy = healing(&cluster, |config| config);
    proxy.client().ask("CREATE TABLE t (x int)").unwrap();
    let (mut alone, mut inside) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    let mut reading = Raw::login(proxy.port(), "postgres");
    let mut idle = Raw::login(proxy.port(), "postgres");
    for client in [&mut inside, &mut idle] {
        client.query("BEGIN");
        client.query("INSERT INTO t VALUES (1)");
    }
    // Then there is a server for each.
    for client in [&mut alone, &mut reading] {
        client.query("BEGIN");
        client.query("SELECT 1");
    }
    for client in [&mut alone, &mut reading] {
        client.query("COMMIT");
    }
    cluster.primary().sigstop();
    alone.send(&query("INSERT INTO t VALUES (2)")).unwrap();
    reading.send(&query("SELECT 3")).unwrap();
    inside.send(&query("INSERT INTO t VALUES (4)")).unwrap();

    promote(&cluster);

    // Nobody has let the old primary go on, and no time limit has passed.
    assert_eq!(told(&inside.until_ready()), error("08006", "E"));
    assert_eq!(told(&alone.until_ready()), error("40003", "I"));
    assert_eq!(tags(&reading.until_ready()), "TDCZ");
    assert_eq!(told(&idle.query("SELECT 1")), error("08006", "E"));
    cluster.primary().sigcont();
}

#[test]
fn a_transaction_on_its_way_to_be_committed_says_that_nobody_knows() {
    let cluster = synchronous();
    let proxy = healing(&cluster, |config| config);
    proxy.client().ask("CREATE TABLE t (x int)").unwrap();
    let (mut writing, mut reading) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    writing.query("BEGIN");
    writing.query("INSERT INTO t VALUES (1)");
    reading.query("BEGIN");
    reading.query("SELECT count(*) FROM t");
    // The commit waits for the standby.
    cluster.standbys()[0].sigstop();
    writing.send(&query("COMMIT")).unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let waiting = || (cluster.primary().psql(waits).unwrap() == "1").then_some(());
    wait::until(PATIENCE, waiting).expect("it waits");

    cluster.primary().kill9().unwrap();

    assert_eq!(told(&writing.until_ready()), error("40003", "I"));
    assert_eq!(told(&reading.query("COMMIT")).1, "I");
    cluster.standbys()[0].sigcont();
    promote(&cluster);
    assert_eq!(tags(&writing.query("SELECT count(*) FROM t")), "TDCZ");
}

#[test]
fn a_session_that_kept_its_server_ends_with_it_and_others_do_not_notice() {
    let cluster = synchronous();
    let proxy = healing(&cluster, |config| config);
    let (mut pinned, mut free) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    pinned.query("CREATE TEMPORARY TABLE own (x int)");
    free.query("SELECT 1");
    until_console_says(&proxy, "SHOW PINS", |shown| shown.contains("temporary"));

    cluster.primary().psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()").unwrap();

    let ended = pinned.until_end();
    assert_eq!(ended.last().map(|last| (last.tag, last.sqlstate())), Some(('E', "57P01".into())), "{ended:?}");
    assert_eq!(tags(&free.query("SELECT 1")), "TDCZ");
}

#[test]
fn a_statement_whose_server_is_told_to_go_is_made_again_if_nothing_of_it_lasts() {
    let cluster = synchronous();
    let proxy = healing(&cluster, |config| config);
    proxy.client().ask("CREATE TABLE t (x int)").unwrap();
    let mut client = Raw::login(proxy.port(), "postgres");
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' \
                     AND state = 'active' AND pid <> pg_backend_pid()";
    let kill_one = || {
        let killed = || (cluster.primary().psql(terminate).unwrap() == "1").then_some(());
        wait::until(PATIENCE, killed).expect("a query to kill");
    };

    client.send(&query("INSERT INTO t SELECT 1 FROM pg_sleep(2)")).unwrap();
    kill_one();
    assert_eq!(told(&client.until_ready()), error("", "I"), "a single statement");

    client.query("BEGIN");
    client.send(&query("INSERT INTO t SELECT 2 FROM pg_sleep(2)")).unwrap();
    kill_one();
    assert_eq!(told(&client.until_ready()), error("", "T"), "the first of a transaction");
    client.send(&query("INSERT INTO t SELECT 3 FROM pg_sleep(2)")).unwrap();
    kill_one();
    assert_eq!(told(&client.until_ready()), error("08006", "E"), "the second");
    assert_eq!(told(&client.query("ROLLBACK")), error("", "I"));

    client.send(&query("DO $$ BEGIN INSERT INTO t VALUES (4); COMMIT; PERFORM pg_sleep(2); END $$")).unwrap();
    kill_one();
    assert_eq!(told(&client.until_ready()), error("40003", "I"), "a block commits on its own");
    assert_eq!(client.query("SELECT string_agg(x::text, ' ' ORDER BY x) FROM t")[1].value(), "1 4");
}

//! What the protocol allows, through few servers that many share.

use std::{io::Cursor, pin::pin};

use futures_util::{SinkExt as _, TryStreamExt as _};
use howdah_tests::{
    clients::{ask, connect},
    fresh_database,
    raw::{Raw, bind, copy_data, copy_done, describe, execute, flush, parse, query, sync, tags},
};

use tokio_postgres::types::ToSql;

use super::proxy;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn copy_out_gives_what_copy_in_took() {
    let database = fresh_database();
    let proxy = proxy(1, |config| config);
    let client = connect(proxy.port(), &database).await;
    client.simple_query("CREATE TABLE t (id int PRIMARY KEY, text text)").await.unwrap();
    let rows: String = (0..100_000).map(|id| format!("{id}\t{id:0>98}\n")).collect();
    assert!(rows.len() > 10_000_000);

    let mut sink = pin!(client.copy_in::<_, Cursor<Vec<u8>>>("COPY t FROM STDIN").await.unwrap());
    for piece in rows.as_bytes().chunks(50_000) {
        sink.send(Cursor::new(piece.to_vec())).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 100_000);
    let out = client.copy_out("COPY (SELECT * FROM t ORDER BY id) TO STDOUT").await.unwrap();
    let copied: Vec<_> = out.try_collect().await.unwrap();

    assert!(copied.concat() == rows.as_bytes(), "what came back differs");
    assert_eq!(ask(&client, "SELECT count(*) FROM t").await.unwrap(), "100000");
}

#[tokio::test]
async fn statements_and_parameters_may_be_large() {
    let proxy = proxy(1, |config| config);
    let client = connect(proxy.port(), "postgres").await;
    let long = "x".repeat(MIB);

    assert_eq!(ask(&client, &format!("SELECT length('{long}')")).await.unwrap(), MIB.to_string());
    let row = client.query_one(&format!("SELECT length('{long}'), $1::int"), &[&7]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (MIB as i32, 7));
    let row = client.query_one("SELECT length($1::text), $1", &[&long.repeat(2)]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 2 * MIB as i32);
    assert_eq!(row.get::<_, &str>(1).len(), 2 * MIB);
}

#[tokio::test]
async fn a_client_may_prepare_more_than_a_server_keeps() {
    let proxy = proxy(2, |config| config.set("max_prepared_statements", "20"));
    let clients = [connect(proxy.port(), "postgres").await, connect(proxy.port(), "postgres").await];
    let mut statements = Vec::new();
    for number in 0..200_i32 {
        let text = format!("SELECT {number} + $1::int");
        statements.push((clients[0].prepare(&text).await.unwrap(), clients[1].prepare(&text).await.unwrap()));
    }

    for round in 0..2_i32 {
        for (number, (first, second)) in (0_i32..).zip(&statements) {
            let parameters: [&(dyn ToSql + Sync); 2] = [&round, &1000_i32];
            let answers = tokio::join!(
                clients[0].query_one(first, &parameters[..1]),
                clients[1].query_one(second, &parameters[1..]),
            );
            assert_eq!(answers.0.unwrap().get::<_, i32>(0), number + round);
            assert_eq!(answers.1.unwrap().get::<_, i32>(0), number + 1000);
        }
    }
    let kept = ask(&clients[0], "SELECT count(*) FROM pg_prepared_statements").await.unwrap();
    assert!(kept.parse::<u32>().unwrap() <= 20, "{kept} are kept on a server");
}

#[test]
fn an_unnamed_statement_lives_on_though_others_use_the_server() {
    let proxy = proxy(1, |config| config);
    let (mut one, mut two) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    for (client, offset) in [(&mut one, "100"), (&mut two, "200")] {
        client.send(&[parse("", &format!("SELECT $1::int + {offset}")), sync()].concat()).unwrap();
        assert_eq!(tags(&client.until_ready()), "1Z");
    }

    for number in 0..20 {
        for (client, offset) in [(&mut one, 100), (&mut two, 200)] {
            client.send(&[bind("", &[&number.to_string()]), execute(), sync()].concat()).unwrap();
            let answer = client.until_ready();
            assert_eq!(tags(&answer), "2DCZ");
            assert_eq!(answer[1].body[6..], *(number + offset).to_string().as_bytes());
        }
    }
}

#[test]
fn an_error_ends_its_pipeline_and_nothing_after_its_sync() {
    let database = fresh_database();
    let proxy = proxy(1, |config| config);
    let mut client = Raw::login(proxy.port(), &database);
    client.query("CREATE TABLE t (x int)");
    let step = |sql: &str| [parse("", sql), bind("", &[]), execute()].concat();
    let failing = [step("INSERT INTO t VALUES (1)"), step("SELECT 1/0"), step("INSERT INTO t VALUES (2)"), sync()];
    let working = [step("INSERT INTO t VALUES (3)"), sync(), query("SELECT x FROM t")];

    client.send(&[failing.concat(), working.concat()].concat()).unwrap();

    let failed = client.until_ready();
    // Constant folding fails at Bind or, on other versions, at Execute.
    assert!(["12C1EZ", "12C12EZ"].contains(&&*tags(&failed)), "{failed:?}");
    assert_eq!(failed[failed.len() - 2].sqlstate(), "22012");
    assert_eq!(tags(&client.until_ready()), "12CZ");
    let rows = client.until_ready();
    assert_eq!(tags(&rows), "TDCZ", "the failed batch was one transaction");
    assert_eq!(rows[1].body[6..], *b"3");
}

#[test]
fn a_named_statement_of_a_failed_batch_can_be_prepared_again() {
    let proxy = proxy(1, |config| config);
    let mut client = Raw::login(proxy.port(), "postgres");
    let run = |name: &str| [bind(name, &[]), execute(), sync()].concat();

    client.send(&[parse("s", "SELECT nonsense"), run("s")].concat()).unwrap();
    assert_eq!(tags(&client.until_ready()), "EZ");
    client.send(&[parse("s", "SELECT 1"), run("s")].concat()).unwrap();
    assert_eq!(tags(&client.until_ready()), "12DCZ");
    client.send(&run("s")).unwrap();
    assert_eq!(tags(&client.until_ready()), "2DCZ");
}

#[test]
fn a_query_in_a_batch_that_has_failed_is_ignored_and_a_sync_ends_it() {
    let proxy = proxy(1, |config| config);
    let mut client = Raw::login(proxy.port(), "postgres");
    let failing = [parse("", "SELECT nonsense"), flush()].concat();
    // The error is there before the Query is sent, or comes while it is on its way.
    client.send(&failing).unwrap();
    assert_eq!(client.next().unwrap().sqlstate(), "42703");
    client.send(&query("SELECT 1")).unwrap();
    client.send(&sync()).unwrap();
    assert_eq!(tags(&client.until_ready()), "Z");
    client.send(&[failing, query("SELECT 1")].concat()).unwrap();
    assert_eq!(client.next().unwrap().sqlstate(), "42703");
    client.send(&[query("SELECT 2"), sync()].concat()).unwrap();
    assert_eq!(tags(&client.until_ready()), "Z");

    // One that has not failed is ended by it.
    client.send(&[parse("", "SELECT 3"), bind("", &[]), execute(), flush(), query("SELECT 4")].concat()).unwrap();
    assert_eq!(tags(&client.until_ready()), "12DCTDCZ");
    assert_eq!(tags(&client.query("SELECT 5")), "TDCZ");
}

/// As asyncpg sends it without a cache of statements: what comes behind the Query belongs to its COPY.
#[test]
fn a_copy_of_a_query_that_ends_a_batch_takes_what_was_sent_with_it() {
    let proxy = proxy(1, |config| config);
    let mut client = Raw::login(proxy.port(), "postgres");
    client.query("DROP TABLE IF EXISTS sent_ahead; CREATE TABLE sent_ahead (x int)");
    let copy = [query("COPY sent_ahead FROM STDIN"), copy_data("1\n2\n"), copy_done()].concat();
    for next in [&[][..], &query("SELECT count(*) FROM sent_ahead")] {
        client.send(&[parse("", "SELECT 1"), describe('S', ""), flush()].concat()).unwrap();
        assert_eq!([(); 3].map(|()| client.next().unwrap().tag), ['1', 't', 'T']);
        client.send(&[&copy, next].concat()).unwrap();
        assert_eq!(tags(&client.until_ready()), "GCZ");
    }
    assert_eq!(client.until_ready()[1].value(), "4");
    assert_eq!(tags(&client.query("DROP TABLE sent_ahead")), "CZ");
}

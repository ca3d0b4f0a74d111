//! Prepared statements survive what happens to the schema and to servers.

use howdah_tests::{
    clients::{ask, sqlstate},
    raw::{Raw, bind, execute, message, parse, sync, tags},
};

use super::{client, disturb, proxy};

/// Bind, Describe, Execute of a statement without parameters, as libpq sends them.
fn run_described(statement: &str) -> Vec<u8> {
    [bind(statement, &[]), message(b'D', b"P\0"), execute(), sync()].concat()
}

#[test]
fn a_changed_result_is_prepared_anew_without_an_error() {
    let proxy = proxy(2, |config| config);
    let (mut one, mut other) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    one.query("DROP TABLE IF EXISTS stale_plan; CREATE TABLE stale_plan AS SELECT 1 AS a");
    one.send(&[parse("all", "SELECT * FROM stale_plan"), sync()].concat()).unwrap();
    assert_eq!(tags(&one.until_ready()), "1Z");
    one.send(&run_described("all")).unwrap();
    assert_eq!(tags(&one.until_ready()), "2TDCZ");

    other.query("ALTER TABLE stale_plan ADD b text");
    one.send(&run_described("all")).unwrap();
    let answer = one.until_ready();
    assert_eq!(tags(&answer), "2TDCZ");
    assert_eq!(answer[2].body[..2], [0, 2], "the row has both columns");

    // A client that believes to know the columns is told, as without a proxy, until it asks again.
    other.query("ALTER TABLE stale_plan ADD c text");
    for _ in 0..2 {
        one.send(&[bind("all", &[]), execute(), sync()].concat()).unwrap();
        let answer = one.until_ready();
        assert_eq!((tags(&answer).as_str(), answer[0].sqlstate().as_str()), ("EZ", "0A000"));
    }
    // In a transaction the error cannot be taken back, but it comes once.
    one.query("BEGIN; SELECT 1");
    one.send(&run_described("all")).unwrap();
    let answer = one.until_ready();
    assert_eq!(tags(&answer), "2TDCZ", "the name was renewed already");
    one.query("COMMIT");
    other.query("DROP TABLE stale_plan");
}

#[tokio::test]
async fn the_same_text_under_another_path_is_another_statement() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    for schema in ["path_one", "path_two"] {
        let make = format!(
            "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; CREATE TABLE {schema}.t AS SELECT '{schema}' AS a"
        );
        one.batch_execute(&make).await.unwrap();
    }
    one.batch_execute("SET search_path = path_one").await.unwrap();
    other.batch_execute("SET search_path = path_two").await.unwrap();
    let first = one.prepare("SELECT a FROM t").await.unwrap();
    let second = other.prepare("SELECT a FROM t").await.unwrap();
    for _ in 0..3 {
        disturb(&other).await;
        assert_eq!(one.query_one(&first, &[]).await.unwrap().get::<_, &str>(0), "path_one");
        assert_eq!(other.query_one(&second, &[]).await.unwrap().get::<_, &str>(0), "path_two");
    }
    ask(&one, "DROP SCHEMA path_one, path_two CASCADE").await.unwrap();
}

#[tokio::test]
async fn statements_of_sql_are_the_sessions_own() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("PREPARE p (int) AS SELECT $1 + 1").await.unwrap();
    other.batch_execute("PREPARE p AS SELECT 'other'").await.unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&one, "EXECUTE p (1)").await.unwrap(), "2");
        assert_eq!(ask(&other, "EXECUTE p").await.unwrap(), "other");
    }
    let listed = "SELECT string_agg(statement, '|') FROM pg_prepared_statements WHERE from_sql";
    assert_eq!(ask(&one, listed).await.unwrap(), "PREPARE p (int) AS SELECT $1 + 1");
    one.batch_execute("BEGIN; DEALLOCATE p; ROLLBACK").await.unwrap();
    assert_eq!(sqlstate(&one.batch_execute("EXECUTE p (1)").await.unwrap_err()), "26000");
    assert_eq!(ask(&other, "EXECUTE p").await.unwrap(), "other");
    other.batch_execute("DISCARD ALL").await.unwrap();
    assert_eq!(sqlstate(&other.batch_execute("EXECUTE p").await.unwrap_err()), "26000");
    assert_eq!(proxy.console().ask("SHOW PINS").unwrap(), "");
}

#[test]
fn sql_deallocates_what_the_protocol_prepared() {
    let proxy = proxy(1, |config| config);
    let mut one = Raw::login(proxy.port(), "postgres");
    one.send(&[parse("_pg3_0", "SELECT 1"), sync()].concat()).unwrap();
    one.until_ready();
    let answer = one.query("DEALLOCATE \"_pg3_0\"");
    assert_eq!((tags(&answer).as_str(), &answer[0].body[..]), ("CZ", &b"DEALLOCATE\0"[..]));
    one.send(&[bind("_pg3_0", &[]), execute(), sync()].concat()).unwrap();
    assert_eq!(one.until_ready()[0].sqlstate(), "26000");
}

#[test]
fn sql_executes_what_the_protocol_prepared() {
    let proxy = proxy(1, |config| config.set("max_prepared_statements", "2"));
    let (mut one, mut other) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    one.send(&[parse("Add \"up\"", "SELECT $1::int + 1"), sync()].concat()).unwrap();
    one.until_ready();
    other.send(&[parse("add", "SELECT $1::int + 2"), parse("path", "SHOW search_path"), sync()].concat()).unwrap();
    other.until_ready();
    for _ in 0..2 {
        // The one server has room for two of the three.
        assert_eq!(other.query("EXECUTE path")[1].value(), "\"$user\", public");
        let answer = one.query("/* no */ SELECT 1");
        assert_eq!(tags(&answer), "TDCZ");
        let answer = one.query("  execute \"Add \"\"up\"\"\" (41)");
        assert_eq!((tags(&answer).as_str(), answer[1].value().as_str()), ("TDCZ", "42"));
        assert_eq!(other.query("EXECUTE ADD(40)")[1].value(), "42");
        one.query("BEGIN");
        let make = "CREATE TEMP TABLE executed ON COMMIT DROP AS /* execute \"Add \"\"up\"\"\" */ EXECUTE \"Add \"\"up\"\"\" (1)";
        assert_eq!(tags(&one.query(make)), "CZ");
        assert_eq!(one.query("TABLE executed")[1].value(), "2");
        one.query("COMMIT");
    }
    let answer = one.query("EXECUTE add (1)");
    assert_eq!((tags(&answer).as_str(), answer[0].sqlstate().as_str()), ("EZ", "26000"), "another session's");
    let text = one.query("EXECUTE \"Add \"\"up\"\"\"")[0].text();
    assert!(text.contains("Add \"up\""), "it has the client's name: {text}");

    // A statement that cannot be prepared any more fails, and the session goes on.
    one.query("CREATE TABLE soon_gone (a int)");
    one.send(&[parse("gone", "SELECT a FROM soon_gone"), sync()].concat()).unwrap();
    one.until_ready();
    other.query("EXECUTE path");
    other.query("EXECUTE add (1)");
    one.query("DROP TABLE soon_gone");
    assert_eq!(tags(&one.query("EXECUTE gone")), "EZ");
    assert_eq!(one.query("EXECUTE \"Add \"\"up\"\"\" (1)")[1].value(), "2");
}

#[test]
fn statements_of_the_protocol_execute_what_it_prepared() {
    let proxy = proxy(1, |config| config.set("max_prepared_statements", "2"));
    let (mut one, mut other) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    one.send(&[parse("add", "SELECT $1::int + 1"), sync()].concat()).unwrap();
    one.until_ready();
    let crowd_out = |other: &mut Raw| {
        for number in 1..=2 {
            other
                .send(
                    &[parse("", "SELECT 0"), parse(&format!("s{number}"), &format!("SELECT {number}")), sync()]
                        .concat(),
                )
                .unwrap();
            other.until_ready();
        }
        other.send(&[message(b'C', b"Ss1\0"), message(b'C', b"Ss2\0"), sync()].concat()).unwrap();
        other.until_ready();
    };
    for _ in 0..2 {
        crowd_out(&mut other);
        one.send(&[parse("", "EXECUTE add (41)"), bind("", &[]), message(b'D', b"P\0"), execute(), sync()].concat())
            .unwrap();
        let answer = one.until_ready();
        assert_eq!((tags(&answer).as_str(), answer[3].value().as_str()), ("12TDCZ", "42"));
        // In later batches the server may know neither the one nor the other.
        for _ in 0..2 {
            crowd_out(&mut other);
            one.send(&run_described("")).unwrap();
            let answer = one.until_ready();
            assert_eq!((tags(&answer).as_str(), answer[2].value().as_str()), ("2TDCZ", "42"));
        }
        one.send(&[parse("", "SELECT 7"), bind("", &[]), execute(), sync()].concat()).unwrap();
        assert_eq!(tags(&one.until_ready()), "12DCZ");
    }
    // One with a name, as asyncpg and pgx make of each text.
    one.send(&[parse("again", "EXECUTE add (42)"), message(b'D', b"Sagain\0"), sync()].concat()).unwrap();
    assert_eq!(tags(&one.until_ready()), "1tTZ");
    for _ in 0..3 {
        one.send(&run_described("again")).unwrap();
        let answer = one.until_ready();
        assert_eq!((tags(&answer).as_str(), answer[2].value().as_str()), ("2TDCZ", "43"));
        crowd_out(&mut other);
    }
    one.send(&[parse("", "EXECUTE nobody"), bind("", &[]), message(b'D', b"P\0"), execute(), sync()].concat()).unwrap();
    assert_eq!(one.until_ready().iter().find(|answer| answer.tag == 'E').unwrap().sqlstate(), "26000");
}

#[test]
fn nobody_runs_the_unnamed_statement_of_another() {
    let proxy = proxy(1, |config| config);
    let (mut one, mut other) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    let run = [bind("", &[]), execute(), sync()].concat();
    one.send(&[parse("", "SELECT 'one'"), sync()].concat()).unwrap();
    one.until_ready();

    other.send(&run).unwrap();
    assert_eq!(other.until_ready()[0].sqlstate(), "26000");
    one.send(&run).unwrap();
    assert_eq!(tags(&one.until_ready()), "2DCZ");

    // A Query takes it away.
    one.query("SELECT 1");
    one.send(&run).unwrap();
    assert_eq!(one.until_ready()[0].sqlstate(), "26000");
}

#[test]
fn an_error_names_a_statement_as_its_client_does() {
    let proxy = proxy(1, |config| config);
    let mut one = Raw::login(proxy.port(), "postgres");
    one.send(&[parse("mine", "SELECT $1::int"), bind("mine", &[]), sync()].concat()).unwrap();
    let text = one.until_ready()[1].text();
    assert!(text.contains("prepared statement \"mine\" requires 1"), "{text}");
}

#[tokio::test]
async fn sql_statements_are_prepared_again_with_the_sessions_settings() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("DROP SCHEMA IF EXISTS narrow CASCADE; DROP SCHEMA IF EXISTS wide CASCADE").await.unwrap();
    one.batch_execute("CREATE SCHEMA narrow CREATE TABLE scoped (a int)").await.unwrap();
    one.batch_execute("CREATE SCHEMA wide CREATE TABLE scoped (a text)").await.unwrap();
    for _ in 0..2 {
        // The second time the pool's servers have taken the settings before.
        one.batch_execute("SET search_path = narrow; DEALLOCATE ALL").await.unwrap();
        one.batch_execute("PREPARE scope AS SELECT a FROM scoped").await.unwrap();
        other.batch_execute("SET search_path = wide; SELECT a FROM scoped").await.unwrap();
        one.batch_execute("EXECUTE scope").await.unwrap();
    }
    one.batch_execute("DROP SCHEMA narrow CASCADE; DROP SCHEMA wide CASCADE").await.unwrap();
}

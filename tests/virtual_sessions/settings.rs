//! Settings are the session's own, wherever it runs.

use howdah_tests::{
    Proxy,
    clients::{ask, config, connect, connect_with},
    fresh_database,
    raw::{Raw, bind, execute, message, parse, sync, tags},
    shared_cluster,
};

use super::{client, proxy};

#[tokio::test]
async fn what_one_session_sets_another_does_not_see() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    ask(&one, "SET work_mem = '7MB'").await.unwrap();
    ask(&one, "SELECT set_config('app.tenant', 'acme', false)").await.unwrap();
    ask(&other, "SET search_path = pg_catalog, public").await.unwrap();

    assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "4MB");
    assert_eq!(ask(&other, "SELECT coalesce(current_setting('app.tenant', true), '')").await.unwrap(), "");
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "7MB");
    assert_eq!(ask(&one, "SHOW search_path").await.unwrap(), "\"$user\", public");
    assert_eq!(ask(&one, "SELECT current_setting('app.tenant')").await.unwrap(), "acme");
    assert_eq!(ask(&other, "SHOW search_path").await.unwrap(), "pg_catalog, public");
}

#[tokio::test]
async fn a_rollback_undoes_settings_as_postgresql_does() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("SET work_mem = '5MB'").await.unwrap();
    one.batch_execute("BEGIN; SET work_mem = '6MB'; SAVEPOINT a; SET work_mem = '7MB'; ROLLBACK TO a; COMMIT")
        .await
        .unwrap();
    assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "4MB");
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "6MB");

    one.batch_execute("BEGIN; SET work_mem = '8MB'; SET LOCAL enable_seqscan = off; ROLLBACK").await.unwrap();
    assert_eq!(ask(&other, "SHOW enable_seqscan").await.unwrap(), "on");
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "6MB");
    one.batch_execute("RESET work_mem").await.unwrap();
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "4MB");
}

#[tokio::test]
async fn what_is_set_where_no_statement_says_so_is_carried_too() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("DO $$ BEGIN PERFORM set_config('work_mem', '9MB', false); END $$").await.unwrap();
    assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "4MB");
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "9MB");
}

#[tokio::test]
async fn what_a_trigger_or_a_function_of_a_function_sets_is_carried_too() {
    let database = fresh_database();
    let primary = shared_cluster().primary().client().database(&database);
    for sql in [
        "CREATE FUNCTION inner_set() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '5MB'; END $$",
        "CREATE FUNCTION outer_set() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM inner_set(); END $$",
        "CREATE FUNCTION parsed_set() RETURNS text BEGIN ATOMIC SELECT set_config('work_mem', '6MB', false); END",
        "CREATE FUNCTION set_by_trigger() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM set_config('work_mem', '7MB', false); RETURN NEW; END $$",
        "CREATE TABLE t (x int)",
        "CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION set_by_trigger()",
    ] {
        primary.ask(sql).unwrap();
    }
    let proxy = proxy(1, |config| config);
    let (one, other) = (connect(proxy.port(), &database).await, connect(proxy.port(), &database).await);
    for (sql, value) in [
        ("INSERT INTO t VALUES (1)", "7MB"),
        ("SELECT outer_set()", "5MB"),
        ("SELECT parsed_set()", "6MB"),
        ("COPY t FROM PROGRAM 'echo 1'", "7MB"),
    ] {
        one.batch_execute(sql).await.unwrap();
        assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "4MB", "{sql}");
        assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), value, "{sql}");
    }
}

#[tokio::test]
async fn reset_goes_back_to_what_the_client_asked_for_at_login() {
    let proxy = proxy(1, |config| config);
    let mut own = config(proxy.port(), "postgres");
    own.options("-c work_mem=3MB -c statement_timeout=1min").application_name("mine");
    let (one, other) = (connect_with(own).await, client(&proxy).await);
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "3MB");
    assert_eq!(ask(&one, "SHOW statement_timeout").await.unwrap(), "1min");
    assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "4MB");

    one.batch_execute("SET work_mem = '5MB'; RESET ALL").await.unwrap();
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "3MB");
    one.batch_execute("DISCARD ALL").await.unwrap();
    assert_eq!(ask(&one, "SHOW statement_timeout").await.unwrap(), "1min");
    assert_eq!(ask(&one, "SHOW application_name").await.unwrap(), "mine");

    one.batch_execute("BEGIN").await.unwrap();
    one.batch_execute("SET work_mem = '6MB'").await.unwrap();
    one.batch_execute("RESET work_mem").await.unwrap();
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "3MB");
    one.batch_execute("COMMIT").await.unwrap();
    assert_eq!(ask(&one, "SHOW work_mem").await.unwrap(), "3MB");
}

#[tokio::test]
async fn a_role_is_the_sessions_own() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("DROP ROLE IF EXISTS settings_role; CREATE ROLE settings_role").await.unwrap();
    one.batch_execute("SET ROLE settings_role").await.unwrap();
    assert_eq!(ask(&other, "SELECT current_user").await.unwrap(), "postgres");
    other.batch_execute("SET log_statement = 'none'").await.unwrap();
    assert_eq!(ask(&one, "SELECT current_user").await.unwrap(), "settings_role");
    one.batch_execute("RESET ROLE").await.unwrap();
    one.batch_execute("SET SESSION AUTHORIZATION settings_role").await.unwrap();
    assert_eq!(ask(&other, "SELECT session_user").await.unwrap(), "postgres");
    assert_eq!(ask(&one, "SELECT session_user").await.unwrap(), "settings_role");
    one.batch_execute("RESET SESSION AUTHORIZATION").await.unwrap();
    one.batch_execute("DROP ROLE settings_role").await.unwrap();
}

#[test]
fn what_comes_behind_a_flush_is_noticed_too() {
    let proxy = proxy(1, |config| config);
    let (mut one, mut other) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    let flush = message(b'H', b"");
    one.send(&[parse("", "SELECT 1"), bind("", &[]), execute(), flush].concat()).unwrap();
    let first: Vec<_> = (0..4).map(|_| one.next().unwrap()).collect();
    assert_eq!(tags(&first), "12DC");
    one.send(&[parse("", "SET work_mem = '11MB'"), bind("", &[]), execute(), sync()].concat()).unwrap();
    assert_eq!(tags(&one.until_ready()), "12CZ");
    assert_eq!(value(&other.query("SHOW work_mem")), "4MB");
    assert_eq!(value(&one.query("SHOW work_mem")), "11MB");
}

#[test]
fn a_function_that_is_called_by_its_number_leaves_no_setting_behind() {
    let proxy = proxy(1, |config| config);
    let (mut one, mut other) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    // set_config(text, text, bool) is 2078; arguments in text form.
    let mut body = 2078_u32.to_be_bytes().to_vec();
    body.extend([0, 0, 0, 3]);
    for argument in ["work_mem", "12MB", "false"] {
        body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend(argument.bytes());
    }
    body.extend([0, 0]);
    one.send(&message(b'F', &body)).unwrap();
    assert_eq!(tags(&one.until_ready()), "VZ");
    assert_eq!(value(&other.query("SHOW work_mem")), "4MB");
    assert_eq!(value(&one.query("SHOW work_mem")), "12MB");
}

#[tokio::test]
async fn regression_what_could_not_be_set_is_not_set_at_the_next_server() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("SET shared_buffers = '1GB'").await.unwrap_err();
    ask(&one, "SELECT set_config('application_name', 'port', false)").await.unwrap();

    assert_eq!(ask(&other, "SHOW application_name").await.unwrap(), "");
    assert_eq!(ask(&one, "SHOW application_name").await.unwrap(), "port");
}

#[tokio::test]
async fn what_is_set_where_nobody_looks_is_not_seen_by_others() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("DO $$ BEGIN PERFORM set_config('app.hidden', 'mine', false); END $$").await.unwrap();

    let seen = "SELECT coalesce(current_setting('app.hidden', true), '')";
    assert_eq!(ask(&other, seen).await.unwrap(), "");
    ask(&other, "SET work_mem = '9MB'").await.unwrap();
    assert_eq!(ask(&one, seen).await.unwrap(), "mine");
    assert_eq!(ask(&other, "SHOW work_mem").await.unwrap(), "9MB");
}

/// A driver that is told of another zone or encoding than its server has would misread what comes.
#[test]
fn a_reset_is_reported_as_what_the_client_asked_for_at_login() {
    let proxy = proxy(1, |config| config);
    let login = [("user", "postgres"), ("database", "postgres"), ("TimeZone", "America/Lima")];
    let (mut one, _) = Raw::greet(proxy.port(), &login);
    assert_eq!(tags(&one.query("RESET TimeZone")), "CZ");
    assert_eq!(tags(&one.query("DISCARD ALL")), "CZ");
    assert_eq!(tags(&one.query("SET TimeZone = 'Etc/UTC'")), "CSZ");
    let answer = one.query("RESET ALL");
    assert_eq!((tags(&answer).as_str(), &answer[1].body[..]), ("CSZ", &b"TimeZone\0America/Lima\0"[..]));
    assert_eq!(tags(&one.query("BEGIN; SELECT 1")), "CTDCZ");
    assert_eq!(tags(&one.query("RESET TimeZone")), "CZ");
    assert_eq!(value(&one.query("SHOW TimeZone")), "America/Lima");
}

#[test]
fn text_beyond_ascii_means_the_same_whatever_the_last_client_spoke() {
    let proxy = proxy(1, |config| config);
    let mut latin = Raw::open(proxy.port());
    let login = [("user", "postgres"), ("database", "postgres"), ("client_encoding", "LATIN1"), ("my.text", "\u{fc}")];
    latin.send(&howdah_tests::raw::startup(&login)).unwrap();
    latin.until_ready();
    let length = "SELECT length(current_setting('my.text'))";
    for _ in 0..2 {
        assert_eq!(value(&latin.query(length)), "1");
        let mut other = Raw::login(proxy.port(), "postgres");
        assert_eq!(value(&other.query("SHOW client_encoding")), "UTF8");
    }
}

/// The first value of the first row.
fn value(answer: &[howdah_tests::raw::Message]) -> String {
    let row = answer.iter().find(|message| message.tag == 'D').unwrap_or_else(|| panic!("{answer:?}"));
    String::from_utf8(row.body[6..].to_vec()).unwrap()
}

#[tokio::test]
async fn who_wants_serializable_reads_on_the_primary() {
    let proxy = Proxy::start(shared_cluster(), |config| config.set("pool_mode", "\"transaction\""));
    let one = connect(proxy.port(), "postgres").await;
    one.batch_execute("SET default_transaction_isolation = serializable").await.unwrap();
    for _ in 0..4 {
        assert_eq!(ask(&one, "SELECT pg_is_in_recovery()").await.unwrap(), "f");
    }
    let admin = connect(proxy.port(), "postgres").await;
    admin.batch_execute("DROP ROLE IF EXISTS always_serializable").await.unwrap();
    admin.batch_execute("CREATE ROLE always_serializable LOGIN").await.unwrap();
    admin
        .batch_execute("ALTER ROLE always_serializable SET default_transaction_isolation = serializable")
        .await
        .unwrap();
    let mut login = config(proxy.port(), "postgres");
    login.user("always_serializable");
    let other = connect_with(login).await;
    for _ in 0..4 {
        assert_eq!(ask(&other, "SELECT count(*) FROM pg_class WHERE relname = 'pg_class'").await.unwrap(), "1");
    }
    admin.batch_execute("DROP ROLE always_serializable").await.unwrap();
}

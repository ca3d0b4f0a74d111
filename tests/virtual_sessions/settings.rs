//! Settings are the session's own, wherever it runs.

use howdah_tests::clients::{ask, config, connect_with};

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

//! A transaction takes a server when it has something to ask.

use howdah_tests::clients::{ask, sqlstate};

use super::{client, proxy};

#[tokio::test]
async fn a_client_that_only_says_begin_keeps_no_server() {
    let proxy = proxy(1, |config| config);
    let (one, other) = (client(&proxy).await, client(&proxy).await);
    one.batch_execute("BEGIN").await.unwrap();
    assert_eq!(ask(&other, "SELECT 1").await.unwrap(), "1");
    one.batch_execute("COMMIT").await.unwrap();

    one.batch_execute("START TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    assert_eq!(ask(&other, "SELECT 2").await.unwrap(), "2");
    assert_eq!(ask(&one, "SHOW transaction_isolation").await.unwrap(), "repeatable read");
    one.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(ask(&one, "SHOW transaction_isolation").await.unwrap(), "read committed");
}

#[tokio::test]
async fn what_comes_with_a_begin_in_one_text_is_not_lost() {
    let proxy = proxy(1, |config| config);
    let one = client(&proxy).await;
    assert_eq!(ask(&one, "BEGIN; SELECT 5").await.unwrap(), "5");
    assert_eq!(ask(&one, "COMMIT; SELECT 6").await.unwrap(), "6");
    one.batch_execute("BEGIN").await.unwrap();
    assert_eq!(ask(&one, "COMMIT; SELECT 7").await.unwrap(), "7");
    assert_eq!(ask(&one, "SHOW transaction_isolation").await.unwrap(), "read committed");
}

#[tokio::test]
async fn an_error_in_the_first_statement_fails_the_transaction() {
    let proxy = proxy(1, |config| config);
    let one = client(&proxy).await;
    one.batch_execute("BEGIN").await.unwrap();
    assert_eq!(sqlstate(&one.batch_execute("SELECT 1/0").await.unwrap_err()), "22012");
    assert_eq!(sqlstate(&one.batch_execute("SELECT 1").await.unwrap_err()), "25P02");
    one.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(ask(&one, "SELECT 1").await.unwrap(), "1");
}

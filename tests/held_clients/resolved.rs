//! What `commit_outcome = "resolve"` asks in front of a COMMIT is nobody's business but the proxy's.

use howdah_tests::raw::{Raw, bind, describe, execute, parse, query, sync, tags};

use super::{error, healing, told};

#[test]
fn a_client_hears_nothing_of_the_question_in_front_of_its_commit() {
    let cluster = howdah_tests::shared_cluster();
    let database = howdah_tests::fresh_database();
    let proxy = healing(cluster, |config| config.set("commit_outcome", "\"resolve\""));
    let mut client = Raw::login(proxy.port(), &database);
    client.query("CREATE TABLE t (x int PRIMARY KEY)");
    let batch = |sql: &str| [parse("", sql), bind("", &[]), describe('P', ""), execute(), sync()].concat();

    for turn in 0..3 {
        client.query("BEGIN");
        client.query(&format!("INSERT INTO t VALUES ({turn})"));
        assert_eq!(tags(&client.query("COMMIT")), "CZ");
        client.query("BEGIN");
        client.query(&format!("INSERT INTO t VALUES ({})", turn + 10));
        client.send(&batch("COMMIT")).unwrap();
        assert_eq!(tags(&client.until_ready()), "12nCZ");
        // It has failed, and nothing may be asked in it.
        client.query("BEGIN");
        client.query(&format!("INSERT INTO t VALUES ({turn})"));
        let ended = client.query("COMMIT");
        assert_eq!((tags(&ended), String::from_utf8_lossy(&ended[0].body)), ("CZ".into(), "ROLLBACK\0".into()));
        // Not asked for what has not written.
        client.query("BEGIN");
        client.query("SELECT 1");
        assert_eq!(tags(&client.query("COMMIT")), "CZ");
        client.send(&query(&format!("BEGIN; INSERT INTO t VALUES ({}); COMMIT", turn + 20))).unwrap();
        assert_eq!(told(&client.until_ready()), error("", "I"));
    }
    assert_eq!(client.query("SELECT count(*) FROM t")[1].value(), "9");
}

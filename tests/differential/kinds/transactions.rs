//! Transactions, their parts and their ends; texts of several statements; what goes wrong.

use super::super::{
    case::Mark,
    script::{Script, once},
    sent::{SIDE, Sent},
};

/// How transactions begin.
const BEGINS: [&str; 10] = [
    "BEGIN",
    "BEGIN",
    "BEGIN",
    "START TRANSACTION",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "BEGIN READ ONLY",
    // A serializable one would wait for other sessions' transactions.
    "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY, DEFERRABLE",
    "BEGIN READ WRITE",
    "BEGIN; SET LOCAL work_mem = '7MB'",
];

/// Statements that fail, each in its way.
const FAILURES: [&str; 16] = [
    "SELECT 1 / 0",
    "SELECT nothing FROM nowhere",
    "SELECT v FROM t WHERE",
    "SELEKT 1",
    "INSERT INTO t VALUES (1, 'again', 1)",
    "INSERT INTO t VALUES (77, NULL, 1)",
    "INSERT INTO t VALUES (78, 'negative', -1)",
    "SELECT 'banana'::int",
    "SELECT common.fail('as asked')",
    "SELECT 9223372036854775807 + 1",
    "SELECT 'furious'::mood",
    "SELECT no_such_function(1)",
    "DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '22012', HINT = 'none'; END $$",
    "SELECT * FROM t WHERE id = 'x'",
    "CREATE TABLE pg_catalog.made (x int)",
    "SELECT chr(300), convert_from('\\xff', 'UTF8')",
];

/// A transaction with other requests in it.
pub fn transactions(script: &mut Script<'_>) {
    begin(script);
    let count = script.random.between(1, 4);
    script.write_inside(count);
    if script.chance(20) {
        let failure = script.pick(&FAILURES);
        script.either(&[Mark::Pins], failure);
        script.write_inside(1);
    }
    end(script);
    if script.chance(20) {
        // Nothing is left of it.
        script.query("SELECT v, n FROM t ORDER BY id; SHOW work_mem");
    }
}

fn begin(script: &mut Script<'_>) {
    let sql = script.pick(&BEGINS);
    script.either(&[Mark::Begins], sql);
    (script.in_transaction, script.read_only) = (true, sql.contains("READ ONLY"));
    if script.chance(15) {
        let sql = script.pick(&[
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "SET TRANSACTION READ ONLY",
            "SHOW transaction_isolation",
            "BEGIN",
            "SET LOCAL TimeZone = 'Asia/Tokyo'; SHOW TimeZone",
        ]);
        script.query(sql);
    }
}

fn end(script: &mut Script<'_>) {
    let sql = script.pick(&["COMMIT", "COMMIT", "COMMIT", "END", "ROLLBACK", "ABORT", "CHAIN"]);
    if sql == "CHAIN" {
        let sql = script.pick(&["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"]);
        script.either(&[Mark::Begins], sql);
        script.query("SHOW transaction_isolation");
        script.write_inside(1);
        script.query("COMMIT");
    } else {
        script.either(&[], sql);
    }
    (script.in_transaction, script.read_only) = (false, false);
}

/// Savepoints, and settings around them.
pub fn savepoints(script: &mut Script<'_>) {
    script.marked(&[Mark::Begins], vec![vec![Sent::Query("BEGIN".into())]]);
    script.in_transaction = true;
    for _ in 0..script.random.between(3, 9) {
        let name = script.pick(&["a", "b", "a", "\"A b\""]);
        match script.random.below(9) {
            0..=2 => script.either(&[], format!("SAVEPOINT {name}")),
            3 => script.either(&[], format!("ROLLBACK TO SAVEPOINT {name}")),
            4 => script.either(&[], format!("RELEASE {name}")),
            5 => {
                let value = script.random.between(1, 9);
                let scope = script.pick(&["", "LOCAL "]);
                script.either(&[], format!("SET {scope}work_mem = '{value}MB'"));
            }
            6 => {
                let zone = script.pick(&["Asia/Tokyo", "Europe/Oslo", "UTC"]);
                script.either(&[], format!("SET TimeZone = '{zone}'"));
            }
            7 => {
                let failure = script.pick(&FAILURES);
                script.query(format!("SAVEPOINT {name}"));
                script.either(&[Mark::Pins], failure);
                script.query(format!("ROLLBACK TO {name}"));
            }
            _ => script.write_inside(1),
        }
    }
    script.query("SELECT current_setting('work_mem'), current_setting('TimeZone')");
    end(script);
    script.query("SELECT current_setting('work_mem'), current_setting('TimeZone')");
}

/// A transaction that outlives its session's interest.
pub fn two_phase(script: &mut Script<'_>) {
    let id = format!("gid_{SIDE}_{}", script.session);
    script.marked(&[Mark::Begins], vec![vec![Sent::Query("BEGIN".into())]]);
    script.in_transaction = true;
    // Nobody ever waits for what it locks, should it never end.
    script.query("INSERT INTO p VALUES (1)");
    if script.chance(30) {
        script.query("SET work_mem = '6MB'; SET LOCAL TimeZone = 'Asia/Tokyo'");
    }
    script.either(&[], format!("PREPARE TRANSACTION '{id}'"));
    script.in_transaction = false;
    script.query("SELECT current_setting('work_mem'), current_setting('TimeZone'), (SELECT count(*) FROM p)");
    let sql = script.pick(&["COMMIT PREPARED", "ROLLBACK PREPARED"]);
    script.either(&[], format!("{sql} '{id}'"));
    if script.chance(20) {
        script.query(format!("{sql} '{id}'"));
    }
    script.query("SELECT count(*) FROM p");
}

/// Several statements in one text, transactions that begin and end within it among them.
pub fn multi(script: &mut Script<'_>) {
    let zone = script.pick(&["Asia/Tokyo", "Europe/Oslo", "America/Lima"]);
    let sql = match script.random.below(14) {
        0 => "SELECT 1; SELECT v FROM t WHERE id = 1; SELECT 2".into(),
        1 => format!("SET TimeZone = '{zone}'; SHOW TimeZone"),
        2 => format!("SET TimeZone = '{zone}'; SELECT 1 / 0; SELECT 2"),
        3 => format!("BEGIN; SET TimeZone = '{zone}'; COMMIT; SELECT 1 / 0"),
        4 => format!("BEGIN; SET TimeZone = '{zone}'; ROLLBACK; SHOW TimeZone"),
        5 => format!("SET LOCAL TimeZone = '{zone}'; SHOW TimeZone"),
        6 => "UPDATE t SET n = n + 1 WHERE id = 2; BEGIN; UPDATE t SET n = n + 1 WHERE id = 2; ROLLBACK".into(),
        7 => "UPDATE t SET n = n + 1 WHERE id = 3; COMMIT; SELECT 1 / 0".into(),
        8 => "; ;".into(),
        9 => "-- nothing\n/* at all */".into(),
        10 => "SELECT 1; SELEKT 2".into(),
        11 => "PREPARE several AS SELECT v FROM t WHERE id = 4; EXECUTE several; DEALLOCATE several".into(),
        12 => {
            "CREATE TEMP TABLE brief (x int) ON COMMIT DROP; INSERT INTO brief VALUES (1); SELECT x FROM brief".into()
        }
        _ => "COMMIT; SELECT 1; ROLLBACK; SELECT 2; ROLLBACK AND CHAIN".into(),
    };
    script.pinning(sql);
    if script.chance(30) {
        script.marked(&[Mark::Begins], vec![vec![Sent::Query("BEGIN; SELECT 1 / 0; COMMIT".into())]]);
        script.query("SELECT 1; ROLLBACK; SELECT 2");
        script.query("ROLLBACK");
    }
    script.query("SELECT n, current_setting('TimeZone') FROM t ORDER BY id LIMIT 4");
}

/// What fails.
pub fn errors(script: &mut Script<'_>) {
    let failure = script.pick(&FAILURES);
    match script.random.below(5) {
        0 | 1 => script.pinning(failure),
        2 => script.marked(&[Mark::Pins], vec![once(failure, &[])]),
        3 => {
            script.marked(&[Mark::Begins], vec![vec![Sent::Query("BEGIN".into())]]);
            script.pinning(failure);
            script.either(&[], "SELECT 'never'");
            script.query(script_end(script.session));
        }
        _ => {
            // Ends early by a time limit of its own.
            let sql = "BEGIN; SET LOCAL statement_timeout = '15ms'; SELECT pg_sleep(5)";
            script.marked(&[Mark::Begins], vec![vec![Sent::Query(sql.into())]]);
            script.query("ROLLBACK");
        }
    }
    script.query("SHOW statement_timeout");
}

/// A failed transaction is rolled back by any end.
fn script_end(session: usize) -> &'static str {
    ["COMMIT", "ROLLBACK", "END"][session % 3]
}

//! SQL's own prepared statements, beside those of the protocol; what takes them away; what changes under them.

use super::super::{
    case::Mark,
    script::{Script, bind, close, describe, execute, parse},
    sent::Sent,
};

/// PREPARE, EXECUTE and DEALLOCATE, and the protocol's messages for such statements.
///
/// The protocol's own statements have other names here: behind the proxy SQL does not know them.
pub fn sql_prepare(script: &mut Script<'_>) {
    for _ in 0..script.random.between(2, 5) {
        let name = script.pick(&["p", "q", "Q", "\"Q\""]);
        let unquoted = if name.starts_with('"') { "Q" } else { &name.to_lowercase() };
        let id = script.random.between(1, 3);
        match script.random.below(12) {
            0 => script.pinning(format!("PREPARE {name} AS SELECT v FROM t WHERE id = $1")),
            1 => script.pinning(format!("PREPARE {name} (int) AS SELECT n, $1 FROM t WHERE id = $1")),
            2 => script.pinning(format!("PREPARE {name} (int) AS UPDATE t SET n = n + 1 WHERE id = $1")),
            3..=5 => script.either(&[Mark::Pins], format!("EXECUTE {name} ({id})")),
            6 => script.either(&[Mark::Pins], format!("DEALLOCATE {name}")),
            // The protocol's name for it.
            7 => {
                let step = vec![bind("", unquoted, &[&id.to_string()]), describe('P', ""), execute("", 0), Sent::Sync];
                script.marked(&[Mark::Pins], vec![step]);
            }
            8 => script.marked(&[Mark::Pins], vec![vec![describe('S', unquoted), Sent::Sync]]),
            9 => script.marked(&[Mark::Pins], vec![vec![close('S', unquoted), Sent::Sync]]),
            _ => {
                script.pinning("SELECT name, parameter_types FROM pg_prepared_statements WHERE from_sql ORDER BY name")
            }
        }
    }
}

/// DISCARD and DEALLOCATE ALL, and looks at what is left.
pub fn discard(script: &mut Script<'_>) {
    script.query("SET work_mem = '9MB'; SET app.user = 'discarded'");
    script.marked(&[Mark::Pins], vec![vec![close('S', "a"), parse("a", "SELECT v FROM t WHERE id = 1"), Sent::Sync]]);
    script.statements.remove("a");
    match script.random.below(8) {
        0 | 1 => script.discard_all(),
        2 => {
            let step = super::super::script::once("DISCARD ALL", &[]);
            script.statements.clear();
            script.marked(&[Mark::Public], vec![step]);
        }
        3 => script.query("DISCARD PLANS"),
        4 => script.query("DISCARD TEMPORARY"),
        5 => script.query("DISCARD SEQUENCES"),
        6 => {
            script.statements.clear();
            script.either(&[], "DEALLOCATE ALL");
        }
        _ => {
            script.marked(&[Mark::Begins], vec![vec![Sent::Query("BEGIN".into())]]);
            script.query("DISCARD ALL");
            script.query("ROLLBACK");
        }
    }
    script.step(vec![bind("", "a", &[]), execute("", 0), Sent::Sync]);
    script.query("SELECT current_setting('work_mem'), coalesce(current_setting('app.user', true), '')");
}

/// Statements whose tables change between two runs, and that are prepared and described again then. A client that
/// does not may be told of the change later than on a direct connection, or once more: each server has its own plan.
pub fn schema_change(script: &mut Script<'_>) {
    let schema = script.schema();
    let text = script.pick(&["SELECT * FROM u ORDER BY a", "SELECT a FROM u"]);
    let again =
        vec![close('S', "u"), parse("u", text), describe('S', "u"), bind("", "u", &[]), execute("", 0), Sent::Sync];
    script.step(again.clone());
    for _ in 0..script.random.between(1, 3) {
        let sql = script.pick(&[
            "ALTER TABLE {s}.u ADD COLUMN c int DEFAULT 7",
            "ALTER TABLE {s}.u DROP COLUMN IF EXISTS c",
            "ALTER TABLE {s}.u RENAME COLUMN b TO bb",
            "ALTER TABLE {s}.u RENAME COLUMN bb TO b",
            "ALTER TABLE {s}.u ALTER COLUMN a TYPE bigint",
            "DROP TABLE {s}.u; CREATE TABLE {s}.u (a int, b text); INSERT INTO {s}.u VALUES (3, 'three')",
            "CREATE INDEX ON {s}.u (a)",
            "CREATE OR REPLACE VIEW {s}.w AS SELECT a FROM {s}.u",
            "DROP VIEW IF EXISTS {s}.w",
            "BEGIN; ALTER TABLE {s}.u ADD COLUMN d int; ROLLBACK",
        ]);
        script.marked(&[Mark::Begins], vec![vec![Sent::Query(sql.replace("{s}", &schema))]]);
        script.query("ROLLBACK");
        script.step(again.clone());
    }
    script.query("SELECT * FROM u ORDER BY a");
}

//! Reading and writing as everybody does, COPY, function calls.

use super::super::{
    case::Mark,
    script::{Script, bind, describe, execute, once, parse},
    sent::Sent,
};

/// OIDs of functions that are the same everywhere.
const INT4PL: u32 = 177;
const UPPER: u32 = 871;
const SET_CONFIG: u32 = 2078;
const INT4DIV: u32 = 154;

/// Reads, writes, notices.
pub fn data(script: &mut Script<'_>) {
    let id = script.random.between(1, 8);
    match script.random.below(14) {
        0 => script.either(&[], format!("SELECT id, v, n FROM t WHERE id = {id}")),
        1 => script.either(&[], format!("UPDATE t SET v = v || '.', n = n + 1 WHERE id = {id} RETURNING v, n")),
        2 => script.either(&[], format!("INSERT INTO t VALUES ({}, 'new', 1) ON CONFLICT DO NOTHING", 30 + id)),
        3 => script.either(&[], format!("DELETE FROM t WHERE id = {}", 30 + id)),
        4 => script.either(&[], "SELECT count(*), sum(n) FROM t WHERE id < 9"),
        5 => script.either(&[], "WITH w AS (UPDATE t SET n = n + 1 WHERE id = 6 RETURNING n) SELECT n FROM w"),
        6 => script.either(&[], format!("SELECT v FROM t WHERE id = {id} FOR UPDATE")),
        7 => script.either(&[], "SELECT repeat('long ', 4000), g FROM generate_series(1, 3) g"),
        8 => script.either(&[Mark::Pins], format!("SELECT common.say('{id}'), common.say('more')")),
        9 => script.either(&[Mark::Pins], "DO $$ BEGIN RAISE WARNING 'warned' USING HINT = 'mind'; END $$"),
        10 => script.query("DROP TABLE IF EXISTS not_there, not_there_either"),
        11 => script.either(&[], "SELECT NULL, '', ARRAY[1, NULL], ROW(1, 'x'), 'happy'::mood"),
        12 => script.either(&[], "SELECT a.v FROM t a JOIN t b ON a.id = b.id AND b.id = 2"),
        _ => script.step(once("SELECT $1::text, $2::int", &["größer", "7"])),
    }
}

/// COPY in both directions, by both protocols, with rows in the same packet or after the answer.
pub fn copy(script: &mut Script<'_>) {
    match script.random.below(10) {
        0 => script.either(&[], "COPY (SELECT * FROM t ORDER BY id) TO STDOUT"),
        1 => script.either(&[], "COPY (SELECT id, v FROM t ORDER BY id) TO STDOUT (FORMAT csv, HEADER)"),
        2 => script.query("COPY (SELECT 1 / 0) TO STDOUT"),
        3 => script.query("SELECT 1; COPY (SELECT id FROM t ORDER BY id) TO STDOUT; SELECT 2"),
        4 => script.query("COPY (SELECT repeat('x', 5000) FROM generate_series(1, 10)) TO STDOUT (FORMAT binary)"),
        _ => copy_in(script),
    }
    script.query("SELECT count(*), max(id) FROM t");
}

fn copy_in(script: &mut Script<'_>) {
    let into = script.pick(&["t", "t", "t", "nowhere", "t (id, nothing)"]);
    let sql = format!("COPY {into} FROM STDIN");
    let rows = rows(script);
    let (end, then) = match script.random.below(5) {
        0 => (Sent::CopyFail("it was not meant".into()), None),
        1 => (Sent::CopyDone, Some(Sent::Query("SELECT 'behind'".into()))),
        _ => (Sent::CopyDone, None),
    };
    let mut data: Vec<_> = rows.into_iter().map(Sent::CopyData).collect();
    data.push(end);
    let batch = vec![parse("", &sql), bind("", "", &[]), describe('P', ""), execute("", 0)];
    match script.random.below(5) {
        // All at once.
        0 => {
            data.insert(0, Sent::Query(sql));
            data.extend(then);
            script.step(data);
        }
        1 => script.step([batch, data, vec![Sent::Sync]].concat()),
        // The rows when they are asked for.
        2 => {
            data.extend(then);
            script.marked(&[], vec![vec![Sent::Query(sql)], data]);
        }
        3 => script.marked(&[], vec![[batch, vec![Sent::Flush]].concat(), [data, vec![Sent::Sync]].concat()]),
        // As libpq does: a Sync that the COPY ignores, and one behind it.
        _ => script.marked(&[], vec![[batch, vec![Sent::Sync]].concat(), [data, vec![Sent::Sync]].concat()]),
    }
    script.query("DELETE FROM t WHERE id >= 1000");
}

fn rows(script: &mut Script<'_>) -> Vec<String> {
    let first = 1000 + script.random.below(1000);
    let mut rows: Vec<_> =
        (0..script.random.between(0, 5)).map(|row| format!("{}\tcopied\t3\n", first + row)).collect();
    match script.random.below(8) {
        0 => rows.push("1\tagain\t1\n".into()),
        1 => rows.push("banana\n".into()),
        2 => rows.push(format!("{}\tcut in", first + 10)),
        3 => rows.push("\\.\n".into()),
        _ => {}
    }
    if rows.last().is_some_and(|last| last.ends_with("cut in")) {
        rows.push(" two\t3\n".into());
    }
    rows
}

/// FunctionCall, which is a request of its own.
pub fn calls(script: &mut Script<'_>) {
    let number = script.random.below(50).to_string();
    let (function, arguments) = match script.random.below(7) {
        0 | 1 => (INT4PL, vec![number, "1".into()]),
        2 => (UPPER, vec!["shout".into()]),
        3 => (INT4DIV, vec![number, "0".into()]),
        4 => (SET_CONFIG, vec!["app.user".into(), format!("called {number}"), "false".into()]),
        5 => (1, vec![]),
        _ => (INT4PL, vec!["banana".into(), "1".into()]),
    };
    script.marked(&[Mark::Pins], vec![vec![Sent::Call { function, arguments }]]);
    script.query("SELECT coalesce(current_setting('app.user', true), '')");
}

//! What lasts longer than a transaction and stays on its server: temporary objects, held cursors, sequences'
//! last values.

use super::super::{
    case::Mark,
    script::{Script, bind, execute, once, parse},
    sent::Sent,
};

/// Temporary tables and their like; their names are those of other sessions, and of a table that stays.
///
/// Nobody says `pg_temp` of what may not be there: whether there is such a schema depends on what the server
/// process has done before.
pub fn temporary(script: &mut Script<'_>) {
    let name = script.pick(&["tmp", "tmp", "tmp2", "t"]);
    let number = script.session * 100 + script.random.below(100);
    make(script, name, number);
    for _ in 0..script.random.between(2, 5) {
        match script.random.below(10) {
            0 | 1 => script.either(&[Mark::Pins], format!("INSERT INTO {name} (id) VALUES ({number})")),
            2..=4 => script.query(format!("SELECT * FROM {name} ORDER BY id")),
            5 => script.query(format!("SELECT to_regclass('pg_temp.{name}') IS NULL, count(*) FROM {name}")),
            6 => script.step(once(&format!("UPDATE {name} SET id = id + $1"), &["1000"])),
            7 => script.pinning(format!("COPY (SELECT * FROM {name} ORDER BY id) TO STDOUT")),
            8 if name != "t" => script.pinning(format!("ALTER TABLE {name} ADD COLUMN more int")),
            _ => {
                let sql = format!("INSERT INTO {name} (id) SELECT count(*) FROM {name}; SELECT count(*) FROM {name}");
                script.pinning(sql);
            }
        }
    }
    match script.random.below(5) {
        0 | 1 if name != "t" => script.pinning(format!("DROP TABLE IF EXISTS {name}")),
        2 if !script.in_transaction => script.query("DISCARD TEMP"),
        _ => {}
    }
    script.query(format!("SELECT * FROM {name} ORDER BY id"));
}

fn make(script: &mut Script<'_>, name: &str, number: usize) {
    let sql = match script.random.below(10) {
        0..=2 => format!("CREATE TEMP TABLE {name} (id int)"),
        3 => format!("CREATE TEMP TABLE {name} (id int) ON COMMIT DELETE ROWS"),
        4 => format!("CREATE TEMP TABLE {name} (id int) ON COMMIT DROP"),
        5 => format!("CREATE TEMPORARY TABLE {name} ON COMMIT PRESERVE ROWS AS SELECT {number} AS id"),
        6 => format!("SELECT {number} AS id INTO TEMP {name}"),
        7 => format!("CREATE TABLE pg_temp.{name} (id serial, v text DEFAULT 'mine')"),
        8 => format!("CREATE TEMP VIEW {name} AS SELECT {number} AS id"),
        _ => format!("CREATE FUNCTION pg_temp.{name}_id() RETURNS int LANGUAGE sql AS 'SELECT {number}'"),
    };
    if script.in_transaction || script.chance(60) {
        script.either(&[Mark::Pins], sql);
    } else {
        script.marked(&[Mark::Begins, Mark::Pins], vec![vec![Sent::Query("BEGIN".into())]]);
        script.pinning(sql);
        script.query(format!("INSERT INTO {name} (id) VALUES ({number}); SELECT count(*) FROM {name}"));
        let end = script.pick(&["COMMIT", "COMMIT", "ROLLBACK"]);
        script.query(end);
    }
}

/// Cursors, some of which outlive their transaction.
pub fn cursors(script: &mut Script<'_>) {
    let name = script.pick(&["c", "d"]);
    let hold = script.chance(50);
    let options = script.pick(&["", "SCROLL ", "NO SCROLL ", "BINARY ", "INSENSITIVE "]);
    let with_hold = if hold { " WITH HOLD" } else { "" };
    let declare = format!("DECLARE {name} {options}CURSOR{with_hold} FOR SELECT id, v FROM t ORDER BY id");
    if hold && script.chance(50) {
        script.either(&[Mark::Pins], declare);
        read(script, name);
    } else {
        script.marked(&[Mark::Begins, Mark::Pins], vec![vec![Sent::Query("BEGIN".into())]]);
        script.in_transaction = true;
        script.pinning(declare);
        read(script, name);
        if script.chance(20) {
            // Only of such a cursor is it certain that it can be updated, however it is planned.
            script.query("DECLARE e CURSOR FOR SELECT id FROM t WHERE id = 2 FOR UPDATE");
            script.query("FETCH e; UPDATE t SET v = v || '+' WHERE CURRENT OF e");
        }
        let end = script.pick(&["COMMIT", "COMMIT", "ROLLBACK"]);
        script.query(end);
        script.in_transaction = false;
    }
    read(script, name);
    script.query("SELECT name, statement, is_holdable FROM pg_cursors WHERE name <> '' ORDER BY name");
    if script.chance(60) {
        let sql = script.pick(&["CLOSE c", "CLOSE d", "CLOSE ALL"]);
        script.either(&[Mark::Pins], sql);
    }
    read(script, name);
}

fn read(script: &mut Script<'_>, name: &str) {
    let sql = match script.random.below(7) {
        0 => format!("FETCH {name}"),
        1 => format!("FETCH 3 FROM {name}"),
        2 => format!("FETCH BACKWARD 1 FROM {name}"),
        3 => format!("MOVE 2 IN {name}"),
        4 => format!("FETCH ALL IN {name}"),
        5 => format!("FETCH ABSOLUTE 2 FROM {name}"),
        _ => return script.step(vec![execute(name, 2), Sent::Sync]),
    };
    script.either(&[Mark::Pins], sql);
}

/// Sequences, whose last value is known only where they were asked.
pub fn sequences(script: &mut Script<'_>) {
    for _ in 0..script.random.between(2, 5) {
        match script.random.below(8) {
            0 | 1 => script.either(&[Mark::Pins], "SELECT nextval('seq')"),
            2 => script.either(&[Mark::Pins], "SELECT currval('seq')"),
            3 => script.either(&[Mark::Pins], "SELECT lastval()"),
            4 => {
                let value = script.random.between(200, 300);
                script.pinning(format!("SELECT setval('seq', {value})"));
            }
            5 => script.pinning("INSERT INTO numbered (v) VALUES ('x') RETURNING id"),
            6 => {
                let (insert, ask) = ("INSERT INTO numbered (v) VALUES ($1)", "SELECT currval('numbered_id_seq')");
                let step = vec![parse("", insert), bind("", "", &["y"]), execute("", 0), Sent::Sync];
                script.marked(&[Mark::Pins], vec![step]);
                script.pinning(ask);
            }
            _ if !script.in_transaction => script.query("DISCARD SEQUENCES"),
            _ => script.pinning("SELECT last_value, is_called FROM seq"),
        }
    }
}

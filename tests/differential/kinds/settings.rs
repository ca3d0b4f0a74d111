//! What a session sets: by SET in all its forms, by functions, for the session or a transaction; and who it is.

use super::super::{
    case::Mark,
    script::{Script, once},
    sent::Sent,
};

/// Settings with values that differ in what they do, reported ones and others.
const SETTINGS: [(&str, &[&str]); 26] = [
    ("TimeZone", &["UTC", "Asia/Tokyo", "America/Lima", "Europe/Oslo", "-7"]),
    ("DateStyle", &["ISO, DMY", "German", "SQL, MDY", "Postgres, YMD", "dmy"]),
    ("IntervalStyle", &["postgres", "iso_8601", "sql_standard", "postgres_verbose"]),
    ("application_name", &["one", "two", "it''s three", "", "größer"]),
    ("client_encoding", &["UTF8", "LATIN1", "utf-8"]),
    ("standard_conforming_strings", &["on", "off"]),
    ("extra_float_digits", &["0", "1", "3", "-5"]),
    ("bytea_output", &["hex", "escape"]),
    ("work_mem", &["64kB", "1MB", "5432kB", "2GB"]),
    ("maintenance_work_mem", &["2MB", "3MB"]),
    ("statement_timeout", &["0", "10min", "3h"]),
    ("lock_timeout", &["0", "5min"]),
    ("idle_in_transaction_session_timeout", &["0", "1h"]),
    ("default_transaction_isolation", &["read committed", "repeatable read", "serializable"]),
    ("client_min_messages", &["notice", "warning", "error"]),
    ("search_path", &["common", "{schema}", "\"$user\", {schema}", "pg_catalog, {schema}", "common, {schema}"]),
    ("row_security", &["on", "off"]),
    ("transform_null_equals", &["on", "off"]),
    ("array_nulls", &["on", "off"]),
    ("xmloption", &["content", "document"]),
    ("enable_seqscan", &["on", "off"]),
    ("plan_cache_mode", &["auto", "force_generic_plan", "force_custom_plan"]),
    ("synchronous_commit", &["on", "local"]),
    ("quote_all_identifiers", &["on", "off"]),
    ("check_function_bodies", &["on", "off"]),
    ("default_transaction_read_only", &["off", "on"]),
];

/// Names that no server knows before somebody sets them. Few, so that sessions use the same.
const CUSTOM: [&str; 3] = ["app.user", "app.tenant", "howdah_test.trace"];

/// SET and its relatives, and looks at what they did.
pub fn settings(script: &mut Script<'_>) {
    let (name, values) = script.pick(&SETTINGS);
    let value = script.pick(values).replace("{schema}", &script.schema());
    match script.random.below(13) {
        0..=3 => set(script, name, &value),
        4 => function(script, name, &value),
        5 => {
            let sql = if script.chance(50) { format!("RESET {name}") } else { format!("SET {name} TO DEFAULT") };
            script.either(&[], sql);
        }
        6 => script.query("RESET ALL"),
        7 => other_words(script),
        8 => refused(script, name),
        9 => {
            // An error takes back what was set beside it.
            script.query(format!("SET {name} = {}; SELECT 1 / 0", list(name, &value)));
        }
        _ => {}
    }
    look(script, name);
}

fn set(script: &mut Script<'_>, name: &str, value: &str) {
    let scope = script.pick(&["", "", "SESSION ", "LOCAL "]);
    let sign = script.pick(&["=", "TO"]);
    script.either(&[], format!("SET {scope}{name} {sign} {}", list(name, value)));
}

/// A list stays a list, everything else is quoted.
fn list(name: &str, value: &str) -> String {
    if name == "search_path" || value.contains(", ") { value.to_owned() } else { format!("'{value}'") }
}

fn function(script: &mut Script<'_>, name: &str, value: &str) {
    let within = script.pick(&["true", "false"]);
    if script.chance(60) {
        script.either(&[], format!("SELECT set_config('{name}', '{value}', {within})"));
    } else {
        let parameters = [name, &value.replace("''", "'"), within];
        script.step(once("SELECT set_config($1, $2, $3)", &parameters));
    }
}

fn other_words(script: &mut Script<'_>) {
    let sql = script.pick(&[
        "SET TIME ZONE 'Asia/Kolkata'",
        "SET TIME ZONE LOCAL",
        "SET TIME ZONE DEFAULT",
        "SET TIME ZONE INTERVAL '-03:30' HOUR TO MINUTE",
        "SET NAMES 'LATIN1'",
        "SET NAMES 'UTF8'",
        "SET XML OPTION DOCUMENT",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
        "SET SCHEMA 'common'",
        "SET SEED TO 0.5",
        "UPDATE pg_settings SET setting = 'German, DMY' WHERE name = 'DateStyle'",
        "SET search_path FROM CURRENT",
    ]);
    script.pinning(sql);
}

fn refused(script: &mut Script<'_>, name: &str) {
    let sql = match script.random.below(5) {
        0 => "SET nonsense = 1".to_owned(),
        1 => format!("SET {name} = 'banana, of course, not'"),
        2 => "SET TimeZone = 'Mars/Olympus_Mons'".to_owned(),
        3 => "SET shared_buffers = '1GB'".to_owned(),
        _ => "SET work_mem TO".to_owned(),
    };
    script.either(&[], sql);
}

fn look(script: &mut Script<'_>, name: &str) {
    match script.random.below(4) {
        0 => script.either(&[], format!("SHOW {name}")),
        1 => script.either(&[], format!("SELECT current_setting('{name}'), current_setting('work_mem')")),
        2 => script.query(
            "SELECT '2023-02-01 12:30:00+00'::timestamptz, '02/03/2024'::date, '1 day 02:03'::interval, \
             0.1::float8 + 0.2, '\\x01ff'::bytea, 'back\\\\slash', NULL = NULL",
        ),
        _ => script.query("SELECT v, n FROM t ORDER BY id LIMIT 1"),
    }
}

/// Settings that exist because somebody has set them.
///
/// One that only other sessions have set is empty behind a pooler, and unknown on a direct connection: a server
/// never forgets a name. That limit is documented, so nobody looks at the difference here.
pub fn custom(script: &mut Script<'_>) {
    let name = script.pick(&CUSTOM);
    let value = format!("{}-{}", script.session, script.random.below(100));
    match script.random.below(8) {
        0 | 1 => script.either(&[], format!("SET {name} = '{value}'")),
        2 => script.either(&[], format!("SET LOCAL {name} = '{value}'")),
        3 => script.either(&[], format!("SELECT set_config('{name}', '{value}', false)")),
        4 => script.either(&[], format!("SELECT set_config('{name}', '{value}', true)")),
        5 => script.either(&[], format!("RESET {name}")),
        6 => script.query(format!("SET {name} = '{value}'; SHOW {name}")),
        _ => {}
    }
    script.either(&[], format!("SELECT coalesce(current_setting('{name}', true), '')"));
}

/// Who the session is, and what it may.
pub fn roles(script: &mut Script<'_>) {
    let sql = script.pick(&[
        "SET ROLE howdah_reader",
        "SET ROLE howdah_reader",
        "SET LOCAL ROLE howdah_reader",
        "SET SESSION AUTHORIZATION howdah_writer",
        "SET LOCAL SESSION AUTHORIZATION howdah_writer",
        "SELECT set_config('role', 'howdah_reader', false)",
        "SET ROLE nobody_at_all",
        "SET ROLE NONE",
    ]);
    script.either(&[], sql);
    for _ in 0..script.random.between(1, 3) {
        let sql = script.pick(&[
            "SELECT current_user, session_user, current_setting('role'), current_setting('is_superuser')",
            "INSERT INTO t VALUES (50, 'fifty', 50) ON CONFLICT DO NOTHING",
            "SELECT v FROM t ORDER BY id LIMIT 1",
            "SHOW session_authorization",
        ]);
        script.either(&[], sql);
    }
    if script.chance(80) {
        let sql = script.pick(&["RESET ROLE", "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION DEFAULT"]);
        script.either(&[], sql);
        script.query("RESET ROLE");
    }
}

/// State that changes inside of functions and blocks, where no proxy reads.
pub fn hidden(script: &mut Script<'_>) {
    let value = script.random.below(100);
    let sql = match script.random.below(9) {
        0 => format!("SELECT common.put('app.user', 'hidden {value}', false)"),
        1 => format!("SELECT common.put('work_mem', '{}kB', false)", 100 + value),
        2 => "SELECT common.put('DateStyle', 'German', true)".into(),
        3 => format!("DO $$ BEGIN SET work_mem = '{}kB'; END $$", 200 + value),
        4 => "DO $$ BEGIN EXECUTE 'SET statement_timeout = ''20min'''; END $$".into(),
        5 => "SELECT common.with_own_setting(), current_setting('work_mem')".into(),
        6 => format!("DO $$ BEGIN CREATE TEMP TABLE hidden AS SELECT {value} AS x; END $$"),
        7 => format!("DO $$ BEGIN PERFORM pg_advisory_lock({}); END $$", 9000 + script.session),
        _ => "DO $$ BEGIN EXECUTE 'PREPARE hidden AS SELECT 42'; END $$".into(),
    };
    script.either(&[Mark::Pins], sql);
    for _ in 0..script.random.between(1, 2) {
        let sql = script.pick(&[
            "SELECT coalesce(current_setting('app.user', true), ''), current_setting('work_mem')",
            "SELECT current_setting('DateStyle')",
            "SELECT current_setting('statement_timeout')",
            "SELECT x FROM hidden",
            "EXECUTE hidden",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        ]);
        script.step(vec![Sent::Query(sql.into())]);
    }
}

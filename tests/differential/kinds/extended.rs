//! The extended protocol: prepared statements that many sessions have in common, pipelines, portals.

use super::super::{
    case::Mark,
    script::{Script, bind, close, describe, execute, once, parse, unsynced},
    sent::Sent,
};

/// A text that is prepared, and parameters that it may be given.
struct Text {
    sql: &'static str,
    parameters: &'static [&'static [&'static str]],
}

const fn text(sql: &'static str, parameters: &'static [&'static [&'static str]]) -> Text {
    Text { sql, parameters }
}

/// Texts that all sessions prepare. What many of them mean depends on the session: on its search path, where
/// `n` is of another type in every other schema, or on settings that are looked at when a text is analysed.
const TEXTS: [Text; 21] = [
    text("SELECT v FROM t WHERE id = $1", &[&["1"], &["2"], &["99"], &["x"]]),
    text("SELECT id, n FROM t WHERE n > $1 ORDER BY id", &[&["20"], &["3000000000"], &["-1"]]),
    text("SELECT $1::int + $2::int", &[&["1", "2"], &["2147483647", "1"], &["1"]]),
    text("SELECT * FROM t WHERE n = $1 ORDER BY id", &[&["21"], &["12"]]),
    text("SELECT '02/03/2023'::date, '2023-06-01 12:00'::timestamptz", &[&[]]),
    text("SELECT 'a\\\\b', '1 2'::interval", &[&[]]),
    text("SELECT $1::timestamptz, $2::interval", &[&["2023-06-01 12:00+00", "P1D"], &["01/02/2023", "1 day"]]),
    text("SELECT current_setting('TimeZone'), $1::text", &[&["x"], &["ünï"]]),
    text("SHOW TimeZone", &[&[]]),
    text("SET TimeZone = 'Africa/Nairobi'", &[&[]]),
    text(
        "INSERT INTO t VALUES ($1, $2, 5) ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id",
        &[&["20", "twenty"], &["21", "twenty-one"], &["1", "first"]],
    ),
    text("UPDATE t SET v = v || $1 WHERE id = $2", &[&["!", "3"], &["?", "4"]]),
    text("DELETE FROM t WHERE id = $1", &[&["20"], &["21"]]),
    text("SELECT * FROM generate_series(1, $1::int)", &[&["3"], &["0"], &["40"]]),
    text("SELECT 10 / (n - n) FROM t WHERE id = $1", &[&["1"], &["99"]]),
    text("SELECT $1 = NULL", &[&["1"]]),
    text("", &[&[]]),
    text("SELECT v FROM nowhere WHERE id = $1", &[&["1"]]),
    text("SELECT 1; SELECT 2", &[&[]]),
    text("SELECT 'happy'::mood, enum_last(NULL::mood)", &[&[]]),
    text("SELECT oid::regclass::text FROM pg_class WHERE oid = 't'::regclass", &[&[]]),
];

/// Names of statements; all sessions use the same.
const NAMES: [&str; 4] = ["a", "b", "c", "S_1"];

/// Named and unnamed statements: prepared, described, run, closed, over many batches.
pub fn prepared(script: &mut Script<'_>) {
    for _ in 0..script.random.between(1, 4) {
        match script.random.below(12) {
            0..=2 => prepare(script),
            3..=7 => run(script),
            8 => {
                let name = any_name(script);
                script.step(vec![describe('S', name), Sent::Sync]);
            }
            9 => {
                let name = any_name(script);
                script.statements.remove(name);
                script.step(vec![close('S', name), Sent::Sync]);
            }
            10 => unnamed(script),
            _ => flushed(script),
        }
    }
}

fn any_name(script: &mut Script<'_>) -> &'static str {
    script.pick(&NAMES)
}

/// One that is prepared, as far as we know; most of the time.
fn known_name(script: &mut Script<'_>) -> &'static str {
    let known: Vec<_> = script.statements.keys().copied().collect();
    if known.is_empty() || script.chance(5) { any_name(script) } else { script.pick(&known) }
}

fn some_text(script: &mut Script<'_>) -> usize {
    script.random.below(TEXTS.len())
}

fn parameters_of(script: &mut Script<'_>, text: Option<usize>) -> &'static [&'static str] {
    text.map_or(&[], |text| script.pick(TEXTS[text].parameters))
}

fn prepare(script: &mut Script<'_>) {
    let (name, text) = (any_name(script), some_text(script));
    let mut step = Vec::new();
    // Of a name that is taken and a text that is wrong, one or the other may be said.
    let is_wrong = TEXTS[text].sql.contains("nowhere") || TEXTS[text].sql.contains(';');
    if script.statements.contains_key(name) && (script.chance(90) || is_wrong) {
        step.push(close('S', name));
    }
    step.push(parse(name, TEXTS[text].sql));
    if script.chance(50) {
        step.push(describe('S', name));
    }
    if script.chance(50) {
        step.extend([bind("", name, parameters_of(script, Some(text))), execute("", 0)]);
    }
    step.push(Sent::Sync);
    script.statements.insert(name, text);
    script.step(step);
}

fn run(script: &mut Script<'_>) {
    let name = known_name(script);
    let parameters = parameters_of(script, script.statements.get(name).copied());
    let parameters = parameters.iter().map(|parameter| Some((*parameter).to_owned())).collect();
    let binary = script.chance(20);
    let mut step = vec![Sent::Bind { portal: String::new(), statement: name.into(), parameters, binary }];
    if script.chance(50) {
        step.push(describe('P', ""));
    }
    step.extend([execute("", 0), Sent::Sync]);
    script.step(step);
}

/// The unnamed statement is prepared in one request and used in a later one.
fn unnamed(script: &mut Script<'_>) {
    let text = some_text(script);
    script.step(vec![parse("", TEXTS[text].sql), describe('S', ""), Sent::Sync]);
    for _ in 0..script.random.between(1, 2) {
        let parameters = parameters_of(script, Some(text));
        script.step(vec![bind("", "", parameters), execute("", 0), Sent::Sync]);
    }
    if script.chance(30) {
        // A Query takes the unnamed statement away.
        let parameters = parameters_of(script, Some(text));
        script.query("SELECT 1");
        script.step(vec![bind("", "", parameters), execute("", 0), Sent::Sync]);
    }
}

/// As drivers do that want to know the types first: the answers come before the Sync.
fn flushed(script: &mut Script<'_>) {
    let (name, text) = (known_name(script), some_text(script));
    let (name, text) = match script.statements.get(name) {
        Some(text) if script.random.chance(50) => (name, *text),
        _ => ("", text),
    };
    let parameters = parameters_of(script, Some(text));
    let mut first = vec![describe('S', name), Sent::Flush];
    if name.is_empty() {
        first.insert(0, parse(name, TEXTS[text].sql));
    }
    let second = vec![bind("", name, parameters), execute("", 0), Sent::Flush];
    script.marked(&[], vec![first, second, vec![Sent::Sync]]);
}

/// Several batches sent at once, with errors and transactions in the middle.
pub fn pipelines(script: &mut Script<'_>) {
    let mut step = Vec::new();
    let mut marks = Vec::new();
    for _ in 0..script.random.between(1, 3) {
        for _ in 0..script.random.between(1, 4) {
            let part = part(script, &mut marks);
            step.extend(part);
        }
        step.push(Sent::Sync);
    }
    script.marked(&marks, vec![step]);
    if script.in_transaction || script.chance(30) {
        script.query("SELECT n, current_setting('TimeZone'), current_setting('work_mem') FROM t WHERE id = 5");
    }
    if marks.contains(&Mark::Begins) && !script.in_transaction {
        script.query("ROLLBACK");
    }
}

fn part(script: &mut Script<'_>, marks: &mut Vec<Mark>) -> Vec<Sent> {
    match script.random.below(12) {
        0..=2 => unsynced("SELECT v FROM t WHERE id = $1", &[script.pick(&["1", "2", "x"])]),
        3 => unsynced("UPDATE t SET n = n + 1 WHERE id = 5", &[]),
        4 => unsynced("SET TimeZone = 'Asia/Tokyo'", &[]),
        5 => unsynced("SELECT set_config('work_mem', '4MB', false)", &[]),
        6 => unsynced(script.pick(&["SELECT 1 / 0", "SELECT nonsense", "INSERT INTO t VALUES (1, 'x', 1)"]), &[]),
        7 => vec![bind("", "missing", &[]), execute("", 0)],
        8 => {
            let (name, text) = (any_name(script), some_text(script));
            script.statements.insert(name, text);
            vec![close('S', name), parse(name, TEXTS[text].sql), describe('S', name)]
        }
        9 => {
            let name = known_name(script);
            let parameters = parameters_of(script, script.statements.get(name).copied());
            vec![bind("", name, parameters), execute("", 0), execute("", 0)]
        }
        10 => {
            marks.push(Mark::Begins);
            unsynced(script.pick(&["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT piped"]), &[])
        }
        _ => unsynced("SELECT id FROM t ORDER BY id", &[]),
    }
}

/// Portals that are read bit by bit, within a batch and across batches of a transaction.
pub fn portals(script: &mut Script<'_>) {
    let rows = script.pick(&[1, 2, 5]);
    let sql = script.pick(&["SELECT id, v FROM t ORDER BY id", "SELECT * FROM generate_series(1, 7)"]);
    if script.chance(40) {
        let mut step = vec![parse("", sql), bind("p", "", &[]), describe('P', "p")];
        step.extend([execute("p", rows), execute("p", rows), close('P', "p"), execute("p", 0), Sent::Sync]);
        return script.step(step);
    }
    script.marked(&[Mark::Begins], vec![once("BEGIN", &[])]);
    script.in_transaction = true;
    script.step(vec![parse("", sql), bind("p", "", &[]), bind("q", "", &[]), execute("p", rows), Sent::Sync]);
    for _ in 0..script.random.between(1, 4) {
        match script.random.below(7) {
            0..=2 => {
                let portal = script.pick(&["p", "q", "r"]);
                script.step(vec![execute(portal, rows), Sent::Sync]);
            }
            3 => script.query("FETCH 2 FROM p"),
            4 => script.query("DECLARE r CURSOR FOR SELECT v FROM t ORDER BY id DESC"),
            5 => script.step(vec![bind("p", "", &[]), Sent::Sync]),
            _ => script.query("SELECT name, is_holdable FROM pg_cursors WHERE name <> '' ORDER BY name"),
        }
    }
    let end = script.pick(&["COMMIT", "ROLLBACK"]);
    script.either(&[], end);
    script.in_transaction = false;
    script.step(vec![execute("p", 1), Sent::Sync]);
}

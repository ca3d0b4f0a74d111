//! What a client was told of a statement holds at whatever server it is used, or the client hears that it does not.

use howdah_tests::{
    Proxy,
    raw::{Format, Message, Raw, bind, bind_to, close, describe, execute, flush, parse, sync, tags},
    shared_cluster,
};

use super::proxy;

/// A client whose statements may run at either of two servers, and who decides at which.
struct Scene {
    one: Raw,
    /// Keep servers from `one`.
    holders: [Raw; 2],
    /// Connected to the primary itself.
    direct: Raw,
    table: &'static str,
    _proxy: Proxy,
}

impl Scene {
    /// With a table of that name.
    fn new(table: &'static str, columns: &str) -> Self {
        let proxy = proxy(2, |config| config);
        let mut direct = Raw::login(shared_cluster().primary().port, "postgres");
        direct.query(&format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} AS SELECT {columns}"));
        let one = Raw::login(proxy.port(), "postgres");
        let holders = [(); 2].map(|()| Raw::login(proxy.port(), "postgres"));
        Self { one, holders, direct, table, _proxy: proxy }
    }

    /// Has the client prepare a statement, and be told of it.
    fn prepare(&mut self, name: &str, sql: &str) {
        let answer = self.answer(&[parse(name, sql), describe('S', name), sync()]);
        assert!(["1tTZ", "1tnZ"].contains(&&*tags(&answer)), "{answer:?}");
    }

    /// Has the client's next transaction run at another server than its last.
    fn move_on(&mut self) {
        let pid = "SELECT pg_backend_pid()";
        let before = self.one.query(pid)[1].value();
        self.release();
        for holder in &mut self.holders {
            let held = holder.query(&format!("BEGIN; {pid}"));
            assert_eq!(tags(&held), "CTDCZ", "{held:?}");
        }
        let other =
            self.holders.iter_mut().find_map(|holder| (holder.query(pid)[1].value() != before).then_some(holder));
        other.expect("there are two servers").query("ROLLBACK");
        assert_ne!(self.one.query(pid)[1].value(), before);
    }

    /// Lets it have both servers.
    fn release(&mut self) {
        self.holders.iter_mut().for_each(|holder| drop(holder.query("ROLLBACK")));
    }

    fn change(&mut self, sql: &str) {
        let done = self.direct.query(&format!("ALTER TABLE {} {sql}", self.table));
        assert_eq!(tags(&done), "CZ", "{done:?}");
    }

    fn answer(&mut self, messages: &[Vec<u8>]) -> Vec<Message> {
        self.one.send(&messages.concat()).unwrap();
        self.one.until_ready()
    }

    /// Has the client use a statement by what it was told.
    fn run(&mut self, name: &str) -> Vec<Message> {
        self.answer(&[bind(name, &[]), execute(), sync()])
    }
}

/// PostgreSQL's own words for it, with nothing in front.
#[track_caller]
fn has_changed(answer: &[Message], end: &str) {
    assert_eq!(tags(answer), format!("E{end}"), "{answer:?}");
    let said = (answer[0].sqlstate(), answer[0].text(), answer[0].field(b'R'));
    let words = ("0A000", "cached plan must not change result type", "RevalidateCachedQuery");
    assert_eq!((said.0.as_str(), said.1.as_str(), said.2.as_str()), words);
}

#[track_caller]
fn gives(answer: &[Message], values: &[&str]) {
    assert_eq!(tags(answer), "2DCZ", "{answer:?}");
    assert_eq!(answer[1].values().into_iter().flatten().collect::<Vec<_>>(), values);
}

#[test]
fn a_statement_is_used_elsewhere_as_long_as_it_is_what_the_client_was_told() {
    let mut scene = Scene::new("told_same", "1 AS a");
    scene.prepare("s", "SELECT * FROM told_same");
    scene.move_on();
    gives(&scene.run("s"), &["1"]);
    scene.change("ADD b int DEFAULT 2");
    scene.prepare("t", "SELECT a FROM told_same");
    scene.move_on();
    gives(&scene.run("t"), &["1"]);
}

#[test]
fn a_server_that_never_had_the_statement_does_not_pass_a_new_result_for_the_old_one() {
    let mut scene = Scene::new("told_changed", "1 AS a");
    scene.prepare("s", "SELECT * FROM told_changed");
    scene.move_on();
    scene.change("ADD b int DEFAULT 2");

    // Each time, as on a connection of its own.
    has_changed(&scene.run("s"), "Z");
    has_changed(&scene.run("s"), "Z");
    // In a transaction it fails with that error, once.
    scene.one.query("BEGIN; SELECT 1");
    has_changed(&scene.run("s"), "Z");
    assert_eq!(scene.run("s")[0].sqlstate(), "25P02");
    scene.one.query("ROLLBACK");
    // What goes before it in its batch is done.
    let batch = [parse("", "SELECT 7"), bind("", &[]), execute(), bind("s", &[]), execute(), sync()];
    let answer = scene.answer(&batch);
    assert_eq!((tags(&answer).as_str(), answer[2].value().as_str()), ("12DCEZ", "7"));
    has_changed(&answer[4..], "Z");
    // Who asks again knows.
    let asked = scene.answer(&[bind("s", &[]), describe('P', ""), execute(), sync()]);
    assert_eq!(tags(&asked), "2TDCZ");
    scene.answer(&[close('S', "s"), sync()]);
    scene.prepare("s", "SELECT * FROM told_changed");
    gives(&scene.run("s"), &["1", "2"]);
    scene.move_on();
    gives(&scene.run("s"), &["1", "2"]);
}

#[test]
fn names_and_types_of_columns_count() {
    for (at, change) in ["RENAME a TO c", "ALTER a TYPE bigint"].into_iter().enumerate() {
        let mut scene = Scene::new(["told_names", "told_types"][at], "1 AS a");
        let sql = format!("SELECT * FROM {}", scene.table);
        scene.prepare("s", &sql);
        scene.move_on();
        scene.change(change);
        has_changed(&scene.run("s"), "Z");
    }
}

#[test]
fn types_of_parameters_count() {
    let mut scene = Scene::new("told_parameters", "1 AS a");
    scene.prepare("s", "INSERT INTO told_parameters VALUES ($1)");
    scene.move_on();
    scene.change("ALTER a TYPE float8");
    let answer = scene.answer(&[bind("s", &["7"]), execute(), sync()]);
    has_changed(&answer, "Z");
    assert_eq!(scene.direct.query("SELECT count(*) FROM told_parameters")[1].value(), "1");
}

#[test]
fn who_was_told_of_a_portal_counts_on_it_too() {
    let mut scene = Scene::new("told_portal", "1 AS a");
    let batch = [parse("s", "SELECT * FROM told_portal"), bind("s", &[]), describe('P', ""), execute(), sync()];
    assert_eq!(tags(&scene.answer(&batch)), "12TDCZ");
    scene.move_on();
    gives(&scene.run("s"), &["1"]);
    scene.move_on();
    scene.change("ADD b int DEFAULT 2");
    // Both servers had it: PostgreSQL itself says so.
    has_changed(&scene.run("s"), "Z");

    let named = [parse("t", "TABLE told_portal"), bind_to("p", "t", &[], Format::Text), describe('P', "p"), sync()];
    assert_eq!(tags(&scene.answer(&named)), "12TZ");
    scene.move_on();
    scene.change("ADD c int DEFAULT 3");
    has_changed(&scene.run("t"), "Z");
}

#[test]
fn a_server_that_has_an_older_result_gets_the_statement_anew() {
    let mut scene = Scene::new("told_anew", "1 AS a");
    let sql = "SELECT * FROM told_anew";
    scene.prepare("old", sql);
    scene.move_on();
    scene.change("ADD b int DEFAULT 2");
    scene.prepare("new", sql);
    gives(&scene.run("new"), &["1", "2"]);
    scene.move_on();

    // The server that it is at now prepared the same text before the change.
    gives(&scene.run("new"), &["1", "2"]);
    has_changed(&scene.run("old"), "Z");
    gives(&scene.run("new"), &["1", "2"]);
}

#[test]
fn the_unnamed_statement_too_is_what_the_client_was_told() {
    let mut scene = Scene::new("told_unnamed", "1 AS a");
    scene.prepare("", "SELECT * FROM told_unnamed");
    // Another client's, at the same server.
    let others = [parse("", "SELECT 1"), sync()].concat();
    let overwrite = |scene: &mut Scene| {
        scene.holders[0].send(&others).unwrap();
        assert_eq!(tags(&scene.holders[0].until_ready()), "1Z");
    };
    overwrite(&mut scene);
    gives(&scene.run(""), &["1"]);
    scene.change("ADD b int DEFAULT 2");
    overwrite(&mut scene);
    has_changed(&scene.run(""), "Z");
    has_changed(&scene.run(""), "Z");
    scene.prepare("", "SELECT * FROM told_unnamed");
    gives(&scene.run(""), &["1", "2"]);
}

#[test]
fn a_batch_that_is_still_open_waits_for_the_answer() {
    let mut scene = Scene::new("told_open", "1 AS a");
    scene.prepare("s", "SELECT * FROM told_open");
    scene.prepare("t", "SELECT a FROM told_open");
    scene.move_on();
    scene.change("ADD b int DEFAULT 2");

    scene.one.send(&[bind("t", &[]), execute(), flush()].concat()).unwrap();
    let answered: Vec<_> = std::iter::from_fn(|| scene.one.next()).take(3).collect();
    assert_eq!((tags(&answered).as_str(), answered[1].value().as_str()), ("2DC", "1"));
    has_changed(&scene.run("s"), "Z");
    gives(&scene.run("t"), &["1"]);
}

#[test]
fn a_bind_that_is_too_long_to_be_kept_waits_for_the_answer() {
    let mut scene = Scene::new("told_long", "'a'::text AS a");
    let long = "x".repeat(2_000_000);
    scene.prepare("s", "SELECT *, length($1::text) FROM told_long");
    scene.move_on();
    gives(&scene.answer(&[bind("s", &[&long]), execute(), sync()]), &["a", "2000000"]);
    scene.prepare("t", "SELECT *, length($1::text) + 1 FROM told_long");
    scene.move_on();
    scene.change("ADD b int DEFAULT 2");
    has_changed(&scene.answer(&[bind("t", &[&long]), execute(), sync()]), "Z");
    assert_eq!(scene.one.query("SELECT 5")[1].value(), "5");
}

#[test]
fn a_statement_that_cannot_be_prepared_any_more_says_why() {
    let mut scene = Scene::new("told_gone", "1 AS a, 2 AS b");
    scene.prepare("s", "SELECT b FROM told_gone");
    scene.move_on();
    scene.change("DROP b");
    for _ in 0..2 {
        let answer = scene.run("s");
        assert_eq!((tags(&answer).as_str(), answer[0].sqlstate().as_str()), ("EZ", "42703"), "{answer:?}");
    }
    scene.one.query("BEGIN; SELECT 1");
    assert_eq!(scene.run("s")[0].sqlstate(), "42703");
    assert_eq!(scene.run("s")[0].sqlstate(), "25P02");
    scene.one.query("ROLLBACK");
}

use super::*;
use crate::sql::effect::{Discard, Isolation, Scope, TransactionModes};

fn facts(text: &str) -> StatementFacts {
    of(text, &Catalog::empty())
}

/// The names of the traits that hold, but for `read_only`, which is `write` when it does not.
fn traits(text: &str) -> String {
    let Traits {
        read_only,
        row_locks,
        unknown_function,
        session_state,
        multi_statement,
        writing_cte,
        catalog_only,
        streaming,
        primary_only_relation,
        begins_read_only,
        changes_catalog,
        defines,
    } = facts(text).traits;
    let named = [
        (!read_only, "write"),
        (row_locks, "locks"),
        (unknown_function, "unknown"),
        (session_state, "session"),
        (multi_statement, "multi"),
        (writing_cte, "cte"),
        (catalog_only, "catalog"),
        (streaming, "streaming"),
        (primary_only_relation, "primary"),
        (begins_read_only, "begins"),
        (changes_catalog, "changes"),
        (changes_catalog && !defines, "drops"),
        (defines && !changes_catalog, "nowhere"),
    ];
    named.into_iter().filter(|(holds, _)| *holds).map(|(_, name)| name).collect::<Vec<_>>().join(" ")
}

/// Kind and traits of each text.
fn assert_all(kind: Kind, expected: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!((facts(text).kind, traits(text).as_str()), (kind, expected), "{text}");
    }
}

#[test]
fn plain_reads_are_read_only() {
    assert_all(
        Kind::Select,
        "",
        &[
            "select 1",
            "SELECT abalance FROM pgbench_accounts WHERE aid = 1",
            "values (1), (2)",
            "table t",
            "select count(*), lower(a), now(), random(), coalesce(a, b) from t group by 2 having sum(x) > 1 order by 1 limit 5",
            "with a as (select 1), b as (select * from a) select * from b, c",
            "with recursive r as (select 1 union all select n + 1 from r) search depth first by n set o select * from r",
            "with recursive r(n) as (select 1) cycle n set c to true default false using p select * from r",
            "select * from a join b using (x) left join lateral (select * from c) d on true, generate_series(1, 2) g(x)",
            "select case when a then b else c end, array[1,2], a[1:2], row(1,2), (x).y, x::int[], nullif(1, 2), greatest(1, 2) from t",
            "select x is null, x is true, x between 1 and 2, x in (select 1), exists (select 1), x = any (array[1]), not x from t",
            "select sum(x) over w, rank() over (partition by a order by b rows between 1 preceding and current row) from t window w as ()",
            "select percentile_cont(0.5) within group (order by x) filter (where y) from t",
            "select a, grouping(a) from t group by grouping sets ((a), ()), rollup (b), cube (c)",
            "select extract(year from a), substring(a from 1 for 2), trim(both from a), position('a' in b), overlay(a placing b from 1)",
            "select a at time zone 'x', a collate \"C\", a like b escape 'c', (a, b) overlaps (c, d), current_date, current_user",
            "select xmlelement(name a, b), xmlserialize(content a as text), xmlparse(document a), xmlforest(a as b)",
            "select * from xmltable('/a' passing x columns y int path 'z' default 1)",
            "select * from json_table(x, '$' columns (a int path '$.a', nested '$.b' columns (c for ordinality)))",
            "select json_object('a': 1), json_array(1, 2), json_array(select 1), json_arrayagg(x), json_objectagg('k': v)",
            "select json_value(x, '$' passing 1 as y returning int default 2 on empty), json_query(x, '$'), json_exists(x, '$')",
            "select json('1'), json_scalar(1), json_serialize('1'), x is json object",
            "select * from rows from (generate_series(1, 2), json_to_record('1') as (a int)) with ordinality",
            "select * from t tablesample system (1) repeatable (2)",
            "select distinct on (a) b from t union select 1 except all (select 2 intersect select 3) order by 1 fetch first 2 rows with ties",
            "select a::numeric(10, 2), cast(b as varchar(5)), interval '1' day",
            "select * from only t where current_setting('x') = 'y'",
        ],
    );
    assert_all(Kind::Show, "", &["show all", "show search_path", "show transaction isolation level"]);
    assert_all(Kind::Other, "", &["", " ; ", "-- nothing", "/* nothing */"]);
}

#[test]
fn catalogs_are_told_apart() {
    assert_all(
        Kind::Select,
        "catalog",
        &["select * from pg_class", "select * from pg_catalog.pg_class c, information_schema.tables"],
    );
    assert_all(Kind::Select, "", &["select * from pg_class, t", "select * from public.pg_class"]);
    assert_all(Kind::Select, "session catalog", &["select * from pg_prepared_statements", "select * from pg_cursors"]);
}

#[test]
fn writes_are_writes_wherever_they_hide() {
    assert_all(
        Kind::Insert,
        "write",
        &[
            "insert into t values (1)",
            "insert into t select * from u returning *",
            "insert into t (a) values (1) on conflict (a) where b do update set c = excluded.c where d",
            "insert into t default values",
        ],
    );
    assert_all(
        Kind::Update,
        "write",
        &["update t set a = 1", "update t set (a, b) = (select 1, 2) from u where current of c"],
    );
    assert_all(Kind::Delete, "write", &["delete from t", "delete from only t using u where a = b returning a"]);
    assert_all(
        Kind::Merge,
        "write",
        &[
            "merge into t using u on t.a = u.a when matched then delete when not matched and x then insert values (1)",
            "merge into t using u on true when not matched by source then update set a = 1 returning merge_action()",
        ],
    );
    assert_all(
        Kind::Select,
        "write cte",
        &[
            "with x as (insert into t values (1) returning *) select * from x",
            "with x as (select 1), y as (delete from t returning *) select * from x, y",
            "with x as (merge into t using u on true when matched then delete returning t.*) select 1",
        ],
    );
    assert_all(
        Kind::Select,
        "write locks",
        &[
            "select * from t for update",
            "select * from t for share of t nowait",
            "select * from t for no key update skip locked",
            "select * from (select * from t for key share) x",
            "select 1 where exists (select 1 from t for update)",
            "with x as (select * from t for update) select * from x",
            "(select * from t for update) union all select 1",
        ],
    );
    assert_all(
        Kind::Ddl,
        "write changes",
        &["select 1 into t", "select 1 into unlogged t", "create table t as select 1"],
    );
    assert_all(Kind::Ddl, "write session", &["select 1 into temp t", "create temp table t as select 1"]);
    assert_all(Kind::Ddl, "write session primary", &["select 1 into pg_temp.t", "create table pg_temp.t (a int)"]);
}

#[test]
fn functions_that_may_write_make_a_write() {
    assert_all(
        Kind::Select,
        "write unknown",
        &[
            "select mine()",
            "select public.lower('x')",
            "select nextval('s')",
            "select pg_catalog.setval('s', 1)",
            "select pg_notify('a', 'b')",
            "select txid_current()",
            "select pg_advisory_xact_lock(1)",
            "select lo_create(0)",
            "select 1 from t where a = (select max(f(b)) from u)",
            "select * from mine() with ordinality",
            "select 1 from t order by mine(a)",
            "select 1 limit mine()",
            "select array[mine()]",
            "select case when true then 1 else mine() end",
            "select sum(1) filter (where mine()) over (order by mine())",
            "select json_object('a': mine())",
            "with x as (select mine()) select 1",
            "values (mine())",
            "select 1 from t tablesample system (mine())",
            "select a[mine()], (mine()).x",
            "select 1 group by cube (mine())",
        ],
    );
    assert_all(Kind::Select, "session", &["select set_config('a', 'b', false)"]);
    assert_all(
        Kind::Select,
        "write unknown session",
        &[
            "select currval('s')",
            "select lastval()",
            "select pg_advisory_lock(1)",
            "select pg_catalog.pg_try_advisory_lock_shared(1, 2)",
            "select pg_advisory_unlock_all()",
            "select setseed(1)",
        ],
    );
}

#[test]
fn explain_runs_its_statement_only_with_analyze() {
    assert_all(
        Kind::Explain,
        "",
        &[
            "explain select 1",
            "explain (verbose, costs off) insert into t values (1)",
            "explain select mine(), nextval('s')",
            "explain (analyze false) delete from t",
            "explain (analyze off) delete from t",
            "explain create table t as select 1",
            "explain analyze select 1",
        ],
    );
    assert_all(Kind::Explain, "locks", &["explain select * from t for update"]);
    assert_all(
        Kind::Explain,
        "write",
        &[
            "explain analyze insert into t values (1)",
            "explain (analyze) delete from t",
            "explain (analyze on) delete from t",
            "explain (analyze 0) delete from t",
        ],
    );
    assert_all(Kind::Explain, "write unknown", &["explain analyze select mine()"]);
    assert_all(Kind::Explain, "write changes", &["explain analyze create table t as select 1"]);
    assert_all(Kind::Explain, "session", &["explain execute p"]);
    assert_all(Kind::Explain, "write unknown session", &["explain analyze execute p"]);
    assert_all(Kind::Explain, "", &["explain declare c cursor for select 1"]);
}

#[test]
fn copies_and_cursors_stream() {
    assert_all(
        Kind::CopyOut,
        "streaming",
        &["copy t to stdout", "copy (select 1) to stdout", "copy t (a) to stdout with (format csv)"],
    );
    assert_all(
        Kind::CopyOut,
        "write streaming",
        &["copy t to '/tmp/x'", "copy t to program 'x'", "copy (insert into t values (1) returning *) to stdout"],
    );
    assert_all(Kind::CopyOut, "write unknown streaming", &["copy (select mine()) to stdout"]);
    assert_all(Kind::CopyIn, "write streaming", &["copy t from stdin", "copy t from '/tmp/x' where a > 1"]);
    assert_all(
        Kind::DeclareCursor,
        "streaming",
        &["declare c cursor for select 1", "declare c scroll cursor without hold for select 1"],
    );
    assert_all(Kind::DeclareCursor, "session streaming", &["declare c cursor with hold for select 1"]);
    assert_all(Kind::DeclareCursor, "write locks streaming", &["declare c cursor for select * from t for update"]);
    assert_all(Kind::Fetch, "streaming", &["fetch 10 from c", "move all in c", "fetch backward 3 c"]);
}

#[test]
fn session_commands_change_the_session() {
    assert_all(
        Kind::Set,
        "session",
        &["set a = 1", "reset a", "reset all", "set time zone 'x'", "discard all", "set role x"],
    );
    assert_all(Kind::Set, "", &["set local a = 1", "set transaction read only", "set transaction_read_only = on"]);
    assert_all(Kind::Set, "write", &["set transaction snapshot 'x'", "set constraints all immediate"]);
    assert_all(Kind::Other, "session", &["deallocate p", "deallocate all", "close c", "prepare p as select 1"]);
    assert_all(Kind::Other, "write session", &["prepare p as insert into t values ($1)", "load 'x'"]);
    assert_all(Kind::Other, "write unknown session", &["execute p(1)", "execute p(mine())"]);
    assert_all(Kind::Listen, "write session", &["listen a"]);
    assert_all(Kind::Listen, "session", &["unlisten a", "unlisten *"]);
    assert_all(
        Kind::Ddl,
        "write session",
        &[
            "create temp table t (a int)",
            "create temp view v as select 1",
            "create temporary sequence s",
            "create function pg_temp.f() returns int language sql as 'select 1'",
            "create type pg_temp.e as enum ('a')",
        ],
    );
}

#[test]
fn commands_that_change_the_cluster_write() {
    assert_all(Kind::Notify, "write", &["notify a", "notify a, 'b'"]);
    assert_all(Kind::Lock, "write", &["lock table t in access share mode"]);
    assert_all(Kind::Call, "write unknown", &["call p(1)"]);
    assert_all(Kind::DoBlock, "write unknown", &["do 'begin end'"]);
    assert_all(
        Kind::Maintenance,
        "write",
        &[
            "vacuum",
            "vacuum full t",
            "analyze t (a)",
            "reindex table t",
            "cluster t",
            "checkpoint",
            "refresh materialized view v",
            "alter system set a = 1",
        ],
    );
    assert_all(
        Kind::Ddl,
        "write",
        &["truncate t, u", "grant select on t to u", "create index on t (a)", "comment on table t is 'x'"],
    );
    assert_all(
        Kind::Ddl,
        "write changes",
        &[
            "create table t (a int)",
            "create unlogged table t (a int)",
            "alter table t set unlogged",
            "create view v as select 1",
            "create or replace function f() returns int language sql as 'select 1'",
            "alter function f volatile",
            "create extension x",
            "alter table t rename to u",
            "create schema s create table t (a int)",
            "create aggregate a(int) (sfunc = x, stype = int)",
            "create rule r as on insert to t do nothing",
        ],
    );
    assert_all(
        Kind::Ddl,
        "write changes drops",
        &["drop table t", "drop function f", "drop schema s cascade", "drop trigger r on t", "drop owned by u"],
    );
    assert_all(Kind::Other, "write", &["commit prepared 'x'", "rollback prepared 'x'", "prepare transaction 'x'"]);
    assert_eq!(facts("commit prepared 'x'").effects, [Effect::CommitPrepared]);
}

#[test]
fn a_begin_tells_its_isolation_level() {
    assert_eq!(facts("begin isolation level serializable read only").isolation(), Some(Isolation::Serializable));
    assert_eq!(facts("start transaction isolation level repeatable read").isolation(), Some(Isolation::RepeatableRead));
    assert_eq!(facts("begin").isolation(), None);
    assert_eq!(facts("set transaction isolation level serializable").isolation(), None);
}

#[test]
fn of_several_statements_the_heaviest_is_the_kind() {
    assert_all(Kind::Select, "multi", &["select 1; select 2", "begin; select 1; commit"]);
    assert_all(
        Kind::Insert,
        "write multi",
        &["select 1; insert into t values (1)", "begin; insert into t values (1); commit; show a"],
    );
    assert_all(Kind::Ddl, "write multi changes drops", &["insert into t values (1); drop table t; select 1"]);
    assert_all(Kind::Ddl, "write multi changes", &["drop table t; create table t (a int)"]);
    assert_all(Kind::Select, "session multi", &["select 1; set a = 1"]);
}

#[test]
fn what_does_not_parse_is_unparsed_and_goes_to_the_primary() {
    let nested = format!("select {}1{}", "(".repeat(2_000), ")".repeat(2_000));
    let deep = format!("select {}1", "- ".repeat(30_000));
    let chained = format!("select 1{}", " + 1".repeat(10_000));
    let selects = format!("select {}1{}", "(select ".repeat(3_000), ")".repeat(3_000));
    for text in ["selct 1", "select 'x", "select 1abc", "select 1; selct", "a\0b", &deep, &chained, &selects] {
        assert_all(Kind::Unparsed, "write", &[text]);
    }
    // Parentheses alone make no tree.
    assert_eq!(facts(&nested).kind, Kind::Select);
    assert_all(Kind::Unparsed, "write session", &["set x to to", "create temp table t (a a a)"]);
    assert_eq!(facts("set x to to").effects, [Effect::Unknown]);
}

#[test]
fn tables_are_named_as_written_once_and_without_common_table_expressions() {
    let table = |name: &str, write| {
        let (schema, name) =
            name.split_once('.').map_or((None, name), |(schema, name)| (Some(schema.to_owned()), name));
        TableRef { schema, name: name.to_owned(), write }
    };
    for (text, expected) in [
        ("select * from A, \"B\", s.c, a", vec![table("a", false), table("B", false), table("s.c", false)]),
        ("insert into t select * from t", vec![table("t", true)]),
        ("insert into t select * from u", vec![table("t", true), table("u", false)]),
        ("with x as (select * from a) select * from x, s.x", vec![table("a", false), table("s.x", false)]),
        ("with x as (select * from x) select * from x", vec![table("x", false)]),
        ("with recursive x as (select * from x) select * from x", vec![]),
        ("with a as (select * from b), b as (select 1) select * from a, b", vec![table("b", false)]),
        ("select * from (with x as (select 1) select * from x) y, x", vec![table("x", false)]),
        ("with t as (select 1) update t set a = 1 from t", vec![table("t", true)]),
        ("with t as (select 1) insert into t select * from t", vec![table("t", true)]),
        (
            "delete from t using u where exists (select 1 from v)",
            vec![table("t", true), table("u", false), table("v", false)],
        ),
        ("merge into t using u on true when matched then delete", vec![table("t", true), table("u", false)]),
        ("truncate a, b.c", vec![table("a", true), table("b.c", true)]),
        ("drop table a, s.b", vec![table("a", true), table("s.b", true)]),
        ("drop function f", vec![]),
        ("create table x as select * from y", vec![table("x", true), table("y", false)]),
        ("create view v as select * from y", vec![table("v", true), table("y", false)]),
        ("copy t from stdin", vec![table("t", true)]),
        ("copy t to stdout", vec![table("t", false)]),
        ("lock table a, b", vec![table("a", false), table("b", false)]),
        ("explain select * from a", vec![table("a", false)]),
        ("select * from db.s.t", vec![table("s.t", false)]),
        ("vacuum t", vec![table("t", true)]),
        ("alter table t add column a int", vec![table("t", true)]),
    ] {
        assert_eq!(facts(text).tables, expected, "{text}");
    }
}

#[test]
fn functions_are_named_as_written() {
    for (text, expected) in [
        ("select F(1), f(2), s.\"G\"(h(3))", vec!["f", "s.G", "h"]),
        ("call p(q())", vec!["p", "q"]),
        ("select extract(year from a)", vec!["pg_catalog.extract"]),
        ("select * from t where not exists (select f())", vec!["f"]),
        ("insert into t values (f()) returning g()", vec!["f", "g"]),
    ] {
        assert_eq!(facts(text).functions, expected, "{text}");
    }
}

#[test]
fn hints_are_found_wherever_the_comment_stands() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(facts("/*NO LOAD BALANCE*/ select 1").hints, [pair("no-load-balance", "")]);
    assert_eq!(
        facts("select 1 /* route=primary, tenant=acme */ -- a='b'").hints,
        [pair("route", "primary"), pair("tenant", "acme"), pair("a", "b"),]
    );
    assert_eq!(facts("select '/* a=b */', \"/* c=d */\"").hints, []);
    assert_eq!(facts("selct 1 /* route=primary */").hints, [pair("route", "primary")]);
}

#[test]
fn effects_follow_the_order_of_the_statements() {
    let set = |name: &str, scope| Effect::Set { name: name.to_owned(), scope };
    let reset = |name: &str, scope| Effect::Reset { name: name.to_owned(), scope };
    let name = |name: &str| name.to_owned();
    for (text, expected) in [
        ("begin", vec![Effect::Begin(TransactionModes::default())]),
        (
            "begin; savepoint a; rollback to a; release a; end",
            vec![
                Effect::Begin(TransactionModes::default()),
                Effect::Savepoint(name("a")),
                Effect::RollbackTo(name("a")),
                Effect::Release(name("a")),
                Effect::Commit { chain: false },
            ],
        ),
        (
            "start transaction isolation level serializable, read only, deferrable",
            vec![Effect::Begin(TransactionModes {
                isolation: Some(Isolation::Serializable),
                read_only: Some(true),
                deferrable: Some(true),
            })],
        ),
        (
            "set transaction isolation level repeatable read read write",
            vec![Effect::SetTransaction(TransactionModes {
                isolation: Some(Isolation::RepeatableRead),
                read_only: Some(false),
                deferrable: None,
            })],
        ),
        ("commit and chain", vec![Effect::Commit { chain: true }]),
        ("abort and chain", vec![Effect::Rollback { chain: true }]),
        ("prepare transaction 'x'", vec![Effect::PrepareTransaction]),
        ("set search_path = a, b", vec![set("search_path", Scope::Session)]),
        ("set session Work_Mem to '1MB'", vec![set("work_mem", Scope::Session)]),
        ("set local my.var = 1", vec![set("my.var", Scope::Local)]),
        ("set time zone 'x'", vec![set("timezone", Scope::Session)]),
        ("set names 'x'", vec![set("client_encoding", Scope::Session)]),
        ("set role x", vec![set("role", Scope::Session)]),
        ("set session authorization x", vec![set("session_authorization", Scope::Session)]),
        (
            "set session characteristics as transaction read only, isolation level serializable",
            vec![
                set("default_transaction_read_only", Scope::Session),
                set("default_transaction_isolation", Scope::Session),
            ],
        ),
        ("set transaction_read_only = on", vec![set("transaction_read_only", Scope::Local)]),
        ("reset a", vec![reset("a", Scope::Session)]),
        ("set local a to default", vec![reset("a", Scope::Local)]),
        ("reset session authorization", vec![reset("session_authorization", Scope::Session)]),
        ("reset all", vec![Effect::ResetAll]),
        ("discard all", vec![Effect::Discard(Discard::All)]),
        ("discard temp", vec![Effect::Discard(Discard::Temporary)]),
        (
            "prepare p as select pg_advisory_lock(1)",
            vec![Effect::Prepare { name: name("p"), effects: vec![Effect::AdvisoryLock] }],
        ),
        ("execute p", vec![Effect::Execute(name("p"))]),
        ("create table t as execute p", vec![Effect::Execute(name("p"))]),
        ("deallocate p; deallocate all", vec![Effect::Deallocate(name("p")), Effect::DeallocateAll]),
        ("declare c cursor with hold for select 1", vec![Effect::DeclareCursor { name: name("c"), hold: true }]),
        ("close c; close all", vec![Effect::CloseCursor(name("c")), Effect::CloseAllCursors]),
        (
            "listen a; unlisten a; unlisten *",
            vec![Effect::Listen(name("a")), Effect::Unlisten(name("a")), Effect::UnlistenAll],
        ),
        ("select set_config('a', 'b', true)", vec![Effect::SetByFunction]),
        ("select pg_advisory_lock(1), pg_advisory_unlock(1)", vec![Effect::AdvisoryLock, Effect::AdvisoryUnlock]),
        // What nobody knows may do anything to its session, but not where it is only explained.
        ("select mine.pg_advisory_lock(1)", vec![Effect::Unknown]),
        ("explain select mine()", vec![]),
        ("do 'begin end'", vec![Effect::Unknown]),
        ("call p(1)", vec![Effect::Unknown, Effect::Unknown]),
        ("select currval('s'), lastval()", vec![Effect::RecallSequence, Effect::RecallSequence]),
        ("select * from pg_listening_channels()", vec![Effect::RecallChannels]),
        ("explain select pg_advisory_lock(1)", vec![]),
        ("select nextval('s')", vec![Effect::UseSequence]),
        ("select 1 into temp t", vec![Effect::CreateTemporary]),
        ("create temp table t (a int) on commit drop", vec![Effect::CreateTemporary]),
        ("load 'x'", vec![Effect::Load]),
        ("select 1", vec![]),
    ] {
        assert_eq!(facts(text).effects, expected, "{text}");
    }
}

#[test]
fn only_a_read_only_transaction_that_is_not_serializable_may_begin_on_a_standby() {
    for (text, expected) in [
        ("begin read only", true),
        ("start transaction read only, isolation level repeatable read", true),
        ("begin read only; select 1; commit; begin read only", true),
        ("begin", false),
        ("begin read write", false),
        ("begin isolation level serializable read only", false),
        ("begin read only; commit; begin", false),
        ("begin; commit; begin read only", false),
        ("begin read only; set transaction read write", false),
        ("set transaction read only", false),
    ] {
        assert_eq!(facts(text).traits.begins_read_only, expected, "{text}");
    }
}

#[test]
fn a_fingerprint_does_not_depend_on_literals_or_spacing() {
    let fingerprint = |text: &str| facts(text).fingerprint;
    assert_eq!(fingerprint("select a from t where b = 1"), fingerprint("select a  from t\nwhere b=2 -- c"));
    assert_ne!(fingerprint("select a from t where b = 1"), fingerprint("select a from t where c = 1"));
    assert_eq!(&*facts("create role r password 'secret'").normalized, "create role r password $1");
}

#[test]
fn the_catalog_speaks_for_names_that_the_parser_cannot_know() {
    let functions = [("public", "writes", 'v'), ("public", "reads", 's'), ("pg_catalog", "count", 'i')];
    let relations = [("public", "fast", 'u'), ("public", "log_view", 'w')];
    let catalog = Catalog::from_rows(functions, relations);
    let traits = |text: &str| of(text, &catalog).traits;

    assert!(traits("select reads(), count(*) from t").read_only);
    assert!(traits("select writes()").unknown_function);
    assert!(!traits("select writes()").read_only);
    assert!(traits("select * from t, fast").primary_only_relation);
    assert!(traits("select * from public.fast").read_only);
    assert!(!traits("select * from other.fast").primary_only_relation);
    assert!(traits("with fast as (select 1) select * from fast").read_only);
    assert!(!traits("with fast as (select 1) select * from fast").primary_only_relation);
    assert!(!traits("select * from log_view").read_only);
    assert!(traits("select * from log_view").unknown_function);
    assert!(traits("explain select * from log_view").read_only);
    assert!(traits("explain select * from fast").primary_only_relation);
}

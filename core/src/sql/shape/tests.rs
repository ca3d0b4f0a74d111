use super::*;
use crate::sql::facts::Kind;

fn shapes() -> Shapes {
    Shapes::new(Arc::new(SharedShapes::default()))
}

fn id(shapes: &mut Shapes, text: &str) -> ShapeId {
    shapes.look_up(text.as_bytes(), &Catalog::empty()).id
}

#[test]
fn texts_that_differ_in_literals_alone_have_one_shape() {
    let mut shapes = shapes();
    let first = id(&mut shapes, "select a from t where b = 1 and c = 'x' and d in (1, 2)");
    assert_eq!(first, id(&mut shapes, "select a from t where b = 2.5 and c = 'it''s' and d in (3,4,5,6)"));
    assert_ne!(first, id(&mut shapes, "select a from t where b = 1 and e = 'x' and d in (1, 2)"));
    assert_eq!((shapes.counters().hits, shapes.counters().misses), (1, 2));
}

#[test]
fn a_bulk_insert_has_one_shape_however_long_it_is() {
    let mut shapes = shapes();
    let mut insert = |rows: usize| {
        let rows: Vec<_> = (0..rows).map(|row| format!("({row}, 'name {row}', null)")).collect();
        id(&mut shapes, &format!("insert into t values {}", rows.join(", ")))
    };
    assert_eq!(insert(2), insert(500));
}

#[test]
fn facts_never_depend_on_the_literals_of_the_first_text_seen() {
    // The grammar refuses `float(60)`; nobody else's shape may suffer from it.
    let mut shapes = shapes();
    let first = shapes.look_up(b"create temp table t (a float(60))", &Catalog::empty());
    let second = shapes.look_up(b"create temp table t (a float(10))", &Catalog::empty());
    assert_eq!(first.id, second.id);
    assert_eq!(second.facts.kind, Kind::Ddl);
    assert!(second.facts.traits.session_state);

    let explain = shapes.look_up(b"explain (analyze 'off') delete from t", &Catalog::empty());
    assert!(!explain.facts.traits.read_only);
}

#[test]
fn forms_with_a_grammar_of_their_own_survive_the_lists() {
    let mut shapes = shapes();
    for text in [
        "select nullif(1, 2), coalesce('a', 'b', 'c')",
        "select (1, 2) overlaps (3, 4)",
        "select row(1, 2, 3) = row('a', 'b')",
        "update t set (a, b) = (1, 2)",
        "select json_value('{}', '$.a'), substring('abc', 1, 2), x::numeric(10, 2)",
        "values (1, 2, 3), (4, 5, 6), (7, 8, 9)",
        "select array[1, 2, 3], x[1:2], -1, .5, 1., 1e10, $1.5",
        "select interval '1' day, date '2020-01-01', 'a' 'b', time with time zone 'x', interval(3) 'y'",
    ] {
        let shape = shapes.look_up(text.as_bytes(), &Catalog::empty());
        let direct = facts::of(text, &Catalog::empty());
        assert_eq!((shape.facts.kind, shape.facts.traits), (direct.kind, direct.traits), "{text}");
    }
}

#[test]
fn a_copy_to_a_file_is_not_one_to_the_client() {
    let mut shapes = shapes();
    assert!(!shapes.look_up(b"copy t to '/tmp/x'", &Catalog::empty()).facts.traits.read_only);
    assert!(shapes.look_up(b"copy t to stdout", &Catalog::empty()).facts.traits.read_only);
}

#[test]
fn literals_that_the_scanner_refuses_make_no_shapes_of_their_own() {
    let mut shapes = shapes();
    let first = id(&mut shapes, "select a from t where b = 'x' and c = 1");
    for text in [
        r"select a from t where b = e'it\'s' and c = 1",
        r#"select a from t where b = '{"a": "\"b\""}' and c = 0x1F"#,
        "select a from t where b = $$x$$ and c = 1_000",
        "select a from t where b = U&'x' and c = 2",
    ] {
        assert_eq!(first, id(&mut shapes, text), "{text}");
    }
}

#[test]
fn what_stays_refused_has_a_shape_of_its_exact_text() {
    let mut shapes = shapes();
    let first = id(&mut shapes, "select n'a'");
    assert_eq!(first, id(&mut shapes, "select n'a'"));
    assert_ne!(first, id(&mut shapes, "select n'b'"));
    let facts = shapes.look_up(b"select n'b'", &Catalog::empty()).facts.clone();
    assert_eq!((facts.kind, &*facts.normalized), (Kind::Select, "select n $1"));
    assert_eq!(shapes.look_up(b"select 'b", &Catalog::empty()).facts.kind, Kind::Unparsed);
}

#[test]
fn an_exact_text_is_never_taken_for_a_blanked_one() {
    let mut shapes = shapes();
    let blanked = id(&mut shapes, "select 1");
    let exact = shapes.look_up(b"select \x01", &Catalog::empty());
    assert_ne!(blanked, exact.id);
    assert_eq!(exact.facts.kind, Kind::Unparsed);
}

#[test]
fn bytes_that_are_no_text_are_unparsed() {
    let mut shapes = shapes();
    for text in [&b"select '\xff'"[..], b"\0", b"select 1\0"] {
        assert_eq!(shapes.look_up(text, &Catalog::empty()).facts.kind, Kind::Unparsed);
    }
}

#[test]
fn long_texts_are_not_looked_into() {
    let mut shapes = shapes();
    let long = |start: &str| format!("{start} '{}'", "x".repeat(TEXT_MAX_BYTES));
    assert_eq!(id(&mut shapes, &long("insert into t select")), ShapeId::OPAQUE);
    assert_eq!(id(&mut shapes, &long("create temp table t as select")), ShapeId::OPAQUE_SESSION);
    let facts = shapes.look_up(long("select").as_bytes(), &Catalog::empty()).facts.clone();
    assert_eq!((facts.kind, facts.traits.read_only), (Kind::Unparsed, false));
    assert_eq!((shapes.counters().opaque, shapes.counters().entries), (3, 0));
}

#[test]
fn a_change_of_the_catalog_makes_new_shapes() {
    let mut shapes = shapes();
    let before = Catalog::from_rows([("public", "f", 's')], []);
    let after = Catalog::from_rows([("public", "f", 'v')], []);
    let first = shapes.look_up(b"select f(1)", &before);
    let second = shapes.look_up(b"select f(1)", &after);
    assert!(first.facts.traits.read_only && !second.facts.traits.read_only);
    assert_ne!(first.id, second.id);
    // Sessions of two databases do not push each other out.
    assert_eq!(shapes.look_up(b"select f(2)", &before).id, first.id);
}

#[test]
fn workers_share_what_one_of_them_parsed() {
    let shared = Arc::new(SharedShapes::default());
    let mut one = Shapes::new(Arc::clone(&shared));
    let mut other = Shapes::new(shared);
    let first = one.look_up(b"select 1 from t", &Catalog::empty());
    let second = other.look_up(b"select 2 from t", &Catalog::empty());
    assert_eq!(first.id, second.id);
    assert!(Arc::ptr_eq(&first.facts, &second.facts));
}

#[test]
fn workers_that_parse_the_same_text_at_once_agree_on_its_shape() {
    let shared = Arc::new(SharedShapes::default());
    let ids: Vec<Vec<ShapeId>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let shared = Arc::clone(&shared);
                scope.spawn(move || {
                    let mut shapes = Shapes::new(shared);
                    (0..200).map(|n| id(&mut shapes, &format!("select a{n} from t{n}"))).collect()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    });
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_cache_is_bounded_and_counts_what_it_forgets() {
    let bounds = Bounds { entries: 10, bytes: 100_000 };
    let mut shapes = Shapes::new(Arc::new(SharedShapes::new(bounds)));
    for number in 0..50 {
        id(&mut shapes, &format!("select a{number}"));
    }
    let counters = shapes.counters();
    assert!(counters.entries <= 10);
    assert_eq!(counters.entries + counters.evictions, 50);
}

//! What knowing a statement costs: the scan, a look-up that hits, one that the other workers'
//! cache answers, one that parses.

use std::{hint::black_box, sync::Arc};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use howdah::sql::{
    Catalog, Shapes, SharedShapes,
    shape::{Bounds, blank_literals},
};

/// pgbench's read.
const READ: &[u8] = b"SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";
/// A little longer, with strings.
const SEARCH: &[u8] = b"select id, name from people where town = 'Oslo' and age > 41 limit 20";
/// As an object mapper writes it.
const MAPPER: &[u8] = b"SELECT \"orders\".\"id\", \"orders\".\"customer_id\", \"orders\".\"status\", \"orders\".\"created_at\" \
    FROM \"orders\" INNER JOIN \"customers\" ON \"customers\".\"id\" = \"orders\".\"customer_id\" \
    WHERE \"customers\".\"email\" = 'someone@example.org' AND \"orders\".\"status\" IN ('new', 'paid', 'sent') \
    AND \"orders\".\"id\" IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10) ORDER BY \"orders\".\"created_at\" DESC LIMIT 50 OFFSET 100";

const TEXTS: [(&str, &[u8]); 3] = [("read", READ), ("search", SEARCH), ("mapper", MAPPER)];

fn scan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("blank_literals");
    for (name, text) in TEXTS {
        let mut out = Vec::new();
        group.bench_function(name, |bencher| bencher.iter(|| blank_literals(black_box(text), &mut out)));
    }
    group.finish();
}

fn hit(criterion: &mut Criterion) {
    let catalog = Catalog::empty();
    let mut shapes = Shapes::new(Arc::new(SharedShapes::default()));
    // A cache with a thousand other shapes in it.
    for number in 0..1_000 {
        shapes.look_up(format!("select a{number} from t{number}").as_bytes(), &catalog);
    }
    let mut group = criterion.benchmark_group("look_up_hit");
    for (name, text) in TEXTS {
        group.bench_function(name, |bencher| bencher.iter(|| shapes.look_up(black_box(text), &catalog)));
    }
    group.finish();
}

fn miss(criterion: &mut Criterion) {
    let catalog = Catalog::empty();
    let parsed = Arc::new(SharedShapes::default());
    // Nothing fits in it, so that each look-up parses.
    let empty = Arc::new(SharedShapes::new(Bounds { entries: 0, bytes: 0 }));
    for (group, shared) in [("look_up_shared", parsed), ("look_up_miss", empty)] {
        let mut group = criterion.benchmark_group(group);
        for (name, text) in TEXTS {
            group.bench_function(name, |bencher| {
                let worker = || Shapes::new(Arc::clone(&shared));
                bencher.iter_batched_ref(
                    worker,
                    |shapes| shapes.look_up(black_box(text), &catalog),
                    BatchSize::SmallInput,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, scan, hit, miss);
criterion_main!(benches);

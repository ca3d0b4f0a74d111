//! What finding a plan costs that a worker keeps, which every routed request pays for.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use howdah::{
    plugin::{
        input::{SessionAttributes, Transaction},
        plan::Plan,
    },
    session::plans::{PlanCache, PlanKey},
    sql::ShapeId,
};

/// Shapes of an application.
const SHAPES: u64 = 1_000;

/// Generation, epoch, cluster.
const VALID_FOR: (u64, u64, usize) = (1, 1, 1);

fn session(user: u32) -> SessionAttributes {
    SessionAttributes {
        user: format!("user{user}").into(),
        database: "shop".into(),
        application: "psql".into(),
        ..SessionAttributes::default()
    }
}

fn key(class: u32, shape: u64) -> PlanKey {
    PlanKey { class, shape: ShapeId(shape), transaction: Transaction::default() }
}

/// Two classes of sessions, each with a plan for every shape.
fn filled() -> (PlanCache, u32) {
    let mut plans = PlanCache::default();
    let classes = [0, 1].map(|user| plans.class(1, &session(user)));
    plans.find(VALID_FOR, &key(0, 0));
    let plan = Arc::new(Plan::primary("default"));
    for class in classes {
        (0..SHAPES).for_each(|shape| plans.keep(key(class, shape), &plan));
    }
    (plans, classes[1])
}

fn look_ups(criterion: &mut Criterion) {
    let (mut plans, class) = filled();

    criterion
        .bench_function("plan/find/same", |b| b.iter(|| plans.find(VALID_FOR, black_box(&key(class, 7))).unwrap()));

    let mut shape = 0;
    criterion.bench_function("plan/find/each", |b| {
        b.iter(|| {
            // An odd step through all of them.
            shape = (shape + 617) % SHAPES;
            plans.find(VALID_FOR, black_box(&key(class, shape))).unwrap()
        });
    });

    criterion.bench_function("plan/find/none", |b| b.iter(|| plans.find(VALID_FOR, black_box(&key(class, SHAPES)))));

    let known = session(1);
    criterion.bench_function("plan/class", |b| b.iter(|| plans.class(1, black_box(&known))));
}

criterion_group!(benches, look_ups);
criterion_main!(benches);

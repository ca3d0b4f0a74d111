use tokio::time::advance;

use super::*;

const VALID: (u64, u64, usize) = (1, 1, 1);

fn key(shape: u64) -> PlanKey {
    PlanKey { class: 1, shape: ShapeId(shape), transaction: Transaction::default() }
}

fn plan(rule: &str, vary: &[u16]) -> Arc<Plan> {
    Arc::new(Plan { vary: vary.to_vec(), ..Plan::primary(rule) })
}

fn text(value: &str) -> Parameter<'_> {
    Parameter { type_oid: 25, value: ParameterValue::Text(value.into()) }
}

/// The rule of the plan that is kept for these values.
fn rule(cache: &mut PlanCache, shape: u64, parameters: &[Parameter<'_>]) -> Option<String> {
    assert_eq!(cache.find(VALID, &key(shape)), None, "none is kept by the shape alone");
    cache.find_varied(&key(shape), parameters).map(|plan| plan.rule.to_string())
}

#[test]
fn a_plan_is_found_by_the_values_that_it_varies_with() {
    let mut cache = PlanCache::default();
    cache.find(VALID, &key(1));
    cache.keep_varied(key(1), &[text("a"), text("x")], &plan("a", &[0]));
    cache.keep_varied(key(1), &[text("b"), text("x")], &plan("b", &[0]));

    assert_eq!(rule(&mut cache, 1, &[text("a"), text("y")]).as_deref(), Some("a"), "the other value plays no part");
    assert_eq!(rule(&mut cache, 1, &[text("b")]).as_deref(), Some("b"));
    assert_eq!(rule(&mut cache, 1, &[text("c")]), None);
    assert_eq!(rule(&mut cache, 2, &[text("a")]), None);
    assert_eq!(cache.list().count(), 2);
}

#[test]
fn values_that_differ_in_any_way_never_share_a_plan() {
    let null = Parameter { type_oid: 25, value: ParameterValue::Null };
    let typed = |type_oid| Parameter { type_oid, value: ParameterValue::Text("7".into()) };
    let opaque = Parameter { type_oid: 25, value: ParameterValue::Opaque(b"7") };
    let all: [&[Parameter<'_>]; 9] = [
        &[],
        std::slice::from_ref(&null),
        &[text("")],
        &[typed(25)],
        &[typed(23)],
        &[opaque],
        &[text("ab"), text("c")],
        &[text("a"), text("bc")],
        &[null.clone(), null.clone()],
    ];
    let keys: Vec<_> = all.iter().map(|parameters| values(&[0, 1], parameters).unwrap()).collect();
    for (at, one) in keys.iter().enumerate() {
        assert!(keys[at + 1..].iter().all(|other| one != other), "{:?}", all[at]);
    }
}

#[test]
fn values_that_are_too_long_are_asked_about_each_time() {
    let mut cache = PlanCache::default();
    cache.find(VALID, &key(1));
    let long = "x".repeat(VALUES_MAX_BYTES + 1);
    cache.keep_varied(key(1), &[text(&long)], &plan("long", &[0]));
    assert_eq!(rule(&mut cache, 1, &[text(&long)]), None);
    assert_eq!(cache.list().count(), 0);
}

#[test]
fn plans_that_vary_with_different_parameters_are_kept_by_all_of_them() {
    let mut cache = PlanCache::default();
    cache.find(VALID, &key(1));
    cache.keep_varied(key(1), &[text("a"), text("x")], &plan("first", &[0]));
    cache.keep_varied(key(1), &[text("b"), text("x")], &plan("second", &[1]));
    assert_eq!(rule(&mut cache, 1, &[text("a"), text("x")]), None, "what was kept by fewer is forgotten");
    assert_eq!(rule(&mut cache, 1, &[text("b"), text("x")]).as_deref(), Some("second"));
    assert_eq!(rule(&mut cache, 1, &[text("b"), text("y")]), None);

    cache.keep_varied(key(1), &[text("a"), text("x")], &plan("third", &[0]));
    assert_eq!(rule(&mut cache, 1, &[text("a"), text("x")]).as_deref(), Some("third"));
    assert_eq!(rule(&mut cache, 1, &[text("b"), text("x")]).as_deref(), Some("second"));
}

#[test]
fn a_shape_is_kept_by_a_few_parameters_at_most() {
    let mut cache = PlanCache::default();
    cache.find(VALID, &key(1));
    for index in 0..1_000 {
        cache.keep_varied(key(1), &[], &plan("any", &[index]));
        assert!(cache.varied[&key(1)].by.len() <= VARY_MAX);
        assert_eq!(rule(&mut cache, 1, &[]).as_deref(), Some("any"), "{index}");
    }
}

#[test]
fn no_more_plans_are_kept_than_there_is_room_for() {
    let mut cache = PlanCache::default();
    cache.find(VALID, &key(1));
    for value in 0..2 * PLANS_MAX {
        cache.keep_varied(key(1), &[text(&value.to_string())], &plan("any", &[0]));
        assert!(cache.varied_plans <= PLANS_MAX);
    }
    assert_eq!(cache.varied_plans, cache.list().count());
}

#[test]
fn what_has_changed_forgets_them() {
    let mut cache = PlanCache::default();
    cache.find(VALID, &key(1));
    cache.keep_varied(key(1), &[text("a")], &plan("a", &[0]));
    cache.find((1, 2, 1), &key(1));
    assert_eq!(cache.find_varied(&key(1), &[text("a")]), None);
    assert_eq!((cache.varied_plans, cache.list().count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_not_kept_longer_than_it_says() {
    let day = Duration::from_secs(86_400);
    let mut cache = PlanCache::default();
    cache.find(VALID, &key(1));
    let aging = |time| Arc::new(Plan { reuse: Some(time), ..(*plan("aging", &[0])).clone() });
    cache.keep_varied(key(1), &[], &aging(Duration::from_millis(250)));
    cache.keep(key(2), &aging(2 * day));
    cache.keep(key(3), &aging(Duration::MAX));

    advance(Duration::from_millis(249)).await;
    assert!(cache.find_varied(&key(1), &[]).is_some());
    advance(Duration::from_millis(1)).await;
    assert_eq!(cache.find_varied(&key(1), &[]), None);
    assert_eq!(cache.varied_plans, 0);

    advance(2 * day).await;
    assert_eq!(cache.find(VALID, &key(2)), None);
    assert!(cache.find(VALID, &key(3)).is_some());
}

//! SHOW STATS and its parts: what was counted for each database, and the averages of late.

use std::time::Duration;

use tokio::time::Instant;

use super::{Column, Context, Row, Type};
use crate::{
    admin::table::Value,
    telemetry::{averages::ByDatabase, stats::Totals},
};

/// How many of PgBouncer's numbers there are.
const NUMBERS: usize = 12;

/// What is counted, as SHOW STATS_TOTALS and SHOW TOTALS name it; the same order everywhere.
pub(super) const TOTALS_BY_DATABASE: [Column; 1 + NUMBERS] = [
    ("database", Type::Text),
    ("server_assignment_count", Type::Numeric),
    ("xact_count", Type::Numeric),
    ("query_count", Type::Numeric),
    ("bytes_received", Type::Numeric),
    ("bytes_sent", Type::Numeric),
    ("xact_time", Type::Numeric),
    ("query_time", Type::Numeric),
    ("wait_time", Type::Numeric),
    ("client_parse_count", Type::Numeric),
    ("server_parse_count", Type::Numeric),
    ("bind_count", Type::Numeric),
    ("client_login_count", Type::Numeric),
];

pub(super) const STATS: [Column; 28] = [
    ("database", Type::Text),
    ("total_server_assignment_count", Type::Numeric),
    ("total_xact_count", Type::Numeric),
    ("total_query_count", Type::Numeric),
    ("total_received", Type::Numeric),
    ("total_sent", Type::Numeric),
    ("total_xact_time", Type::Numeric),
    ("total_query_time", Type::Numeric),
    ("total_wait_time", Type::Numeric),
    ("total_client_parse_count", Type::Numeric),
    ("total_server_parse_count", Type::Numeric),
    ("total_bind_count", Type::Numeric),
    ("total_client_login_count", Type::Numeric),
    ("avg_server_assignment_count", Type::Numeric),
    ("avg_xact_count", Type::Numeric),
    ("avg_query_count", Type::Numeric),
    ("avg_recv", Type::Numeric),
    ("avg_sent", Type::Numeric),
    ("avg_xact_time", Type::Numeric),
    ("avg_query_time", Type::Numeric),
    ("avg_wait_time", Type::Numeric),
    ("avg_client_parse_count", Type::Numeric),
    ("avg_server_parse_count", Type::Numeric),
    ("avg_bind_count", Type::Numeric),
    ("avg_client_login_count", Type::Numeric),
    ("total_standby_query_count", Type::Numeric),
    ("total_rerouted_query_count", Type::Numeric),
    ("total_error_count", Type::Numeric),
];

pub(super) const TOTALS: [Column; 2] = [("name", Type::Text), ("value", Type::Numeric)];

/// As SHOW TOTALS names them, behind `total_` and `avg_`.
const NAMES: [&str; NUMBERS] = [
    "server_assignment_count",
    "xact_count",
    "query_count",
    "client_bytes",
    "server_bytes",
    "xact_time",
    "query_time",
    "wait_time",
    "ps_client_parse_count",
    "ps_server_parse_count",
    "ps_bind_count",
    "client_login_count",
];

/// PgBouncer's numbers in their order; times are microseconds.
fn numbers(totals: &Totals) -> [u64; NUMBERS] {
    [
        totals.assignments,
        totals.transactions,
        totals.queries,
        totals.received,
        totals.sent,
        micros(totals.transaction_time.sum),
        micros(totals.query_time.sum),
        micros(totals.wait_time.sum),
        totals.client_parses,
        totals.server_parses,
        totals.binds,
        totals.logins,
    ]
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Counts are per second; times are for one transaction, one query, one assignment.
fn rates(now: &Totals, then: &Totals, elapsed: Duration) -> [u64; NUMBERS] {
    let (now, then) = (numbers(now), numbers(then));
    // A pool that went with a reload takes its numbers with it.
    let grown: [u64; NUMBERS] = std::array::from_fn(|at| now[at].saturating_sub(then[at]));
    let per_second = |count: u64| {
        let rate = u128::from(count) * 1_000_000 / elapsed.as_micros().max(1);
        u64::try_from(rate).unwrap_or(u64::MAX)
    };
    let each = |time: u64, count: u64| time.checked_div(count).unwrap_or(0);
    let mut rates = grown.map(per_second);
    rates[5] = each(grown[5], grown[1]);
    rates[6] = each(grown[6], grown[2]);
    rates[7] = each(grown[7], grown[0]);
    rates
}

/// The counters of each database with their averages.
fn by_database<T>(context: &Context, each: impl Fn(&str, &Totals, [u64; NUMBERS]) -> T) -> Vec<T> {
    let shared = &context.worker.shared;
    let start = shared.averages.start(Instant::now());
    let totals: ByDatabase = shared.registry.totals();
    totals.iter().map(|(name, now)| each(name, now, rates(now, &start.of(name), start.elapsed))).collect()
}

fn values(numbers: [u64; NUMBERS]) -> impl Iterator<Item = Value> {
    numbers.into_iter().map(Value::Numeric)
}

pub(super) fn stats(context: &Context) -> Vec<Row> {
    by_database(context, |name, totals, averages| {
        let ours = [totals.standby_queries, totals.rerouted, totals.errors].map(Value::Numeric);
        let database = Value::from(name);
        [database].into_iter().chain(values(numbers(totals))).chain(values(averages)).chain(ours).collect()
    })
}

pub(super) fn totals(context: &Context) -> Vec<Row> {
    by_database(context, |name, totals, _| [Value::from(name)].into_iter().chain(values(numbers(totals))).collect())
}

pub(super) fn averages(context: &Context) -> Vec<Row> {
    by_database(context, |name, _, averages| [Value::from(name)].into_iter().chain(values(averages)).collect())
}

/// Over all databases together.
pub(super) fn sums(context: &Context) -> Vec<Row> {
    let shared = &context.worker.shared;
    let start = shared.averages.start(Instant::now());
    let (mut now, mut then) = (Totals::default(), Totals::default());
    for (name, totals) in shared.registry.totals() {
        now.merge(&totals);
        then.merge(&start.of(&name));
    }
    let row = |prefix: &str, name: &str, value: u64| vec![format!("{prefix}_{name}").into(), Value::Numeric(value)];
    let totals = NAMES.iter().zip(numbers(&now)).map(|(name, value)| row("total", name, value));
    let averages = rates(&now, &then, start.elapsed);
    totals.chain(NAMES.iter().zip(averages).map(|(name, value)| row("avg", name, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_per_second_and_times_per_piece() {
        let mut now = Totals { transactions: 30, queries: 60, assignments: 30, received: 6_000, ..Totals::default() };
        now.transaction_time.sum = Duration::from_micros(3_000);
        now.query_time.sum = Duration::from_micros(2_000);
        now.wait_time.sum = Duration::from_micros(1_500);
        let then = Totals { transactions: 10, queries: 20, assignments: 10, ..Totals::default() };

        let rates = rates(&now, &then, Duration::from_secs(10));

        assert_eq!(rates, [2, 2, 4, 600, 0, 150, 50, 75, 0, 0, 0, 0]);
        assert_eq!(super::rates(&then, &now, Duration::from_secs(1)), [0; NUMBERS]);
    }
}

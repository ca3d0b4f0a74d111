use std::collections::HashSet;

use super::*;
use crate::{admin::fixture, facts::Facts};

#[test]
fn names_are_unique_and_say_what_they_are() {
    let mut seen = HashSet::new();
    for Metric { name, kind, help, .. } in list::METRICS {
        assert!(seen.insert(*name), "{name} is there twice");
        assert!(name.starts_with("howdah_") || name.starts_with("pgbouncer_"), "{name}");
        assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert!(help.ends_with('.'), "{name}");
    }
    let theirs = "stats_queries_pooled_total stats_queries_duration_seconds_total stats_received_bytes_total \
        stats_sent_bytes_total stats_client_wait_seconds_total stats_sql_transactions_pooled_total \
        stats_server_in_transaction_seconds_total pools_client_active_connections pools_client_waiting_connections \
        pools_server_active_connections pools_server_idle_connections pools_server_used_connections \
        pools_server_testing_connections pools_server_login_connections pools_client_maxwait_seconds";
    for name in theirs.split_whitespace() {
        assert!(seen.contains(format!("pgbouncer_{name}").as_str()), "{name}");
    }
}

#[tokio::test]
async fn a_page_has_every_pool_and_every_node() {
    let (shared, _commands) = fixture::shared();
    let set = fixture::pools(&shared, "app", "al\"ice");
    set.stats.shard(0).queries.add(2);
    set.stats.shard(0).query_time.observe(400);
    let text = render(&shared);
    for line in [
        "howdah_generation 1",
        "howdah_queries_total{database=\"app\",user=\"al\\\"ice\"} 2",
        "howdah_query_seconds_bucket{database=\"app\",user=\"al\\\"ice\",le=\"0.00025\"} 0",
        "howdah_query_seconds_bucket{database=\"app\",user=\"al\\\"ice\",le=\"0.0005\"} 1",
        "howdah_query_seconds_count{database=\"app\",user=\"al\\\"ice\"} 1",
        "howdah_pool_servers_idle{database=\"app\",user=\"al\\\"ice\",node=\"n1\"} 0",
        "howdah_node_up{cluster=\"main\",node=\"n2\"} 0",
        "howdah_node_role{cluster=\"main\",node=\"n0\",role=\"primary\"} 1",
        "howdah_node_lag_bytes{cluster=\"main\",node=\"n1\"} 0",
        "pgbouncer_stats_queries_pooled_total{database=\"app\"} 2",
        "pgbouncer_pools_client_maxwait_seconds{database=\"app\",user=\"al\\\"ice\"} 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("howdah_node_lag_bytes{cluster=\"main\",node=\"n2\"}"), "what is not known is not told");
}

#[tokio::test]
async fn no_series_is_told_twice() {
    let (shared, _commands) = fixture::shared();
    fixture::pools(&shared, "app", "alice");
    fixture::pools(&shared, "app", "bob");
    fixture::pools(&shared, "other", "bob");
    let text = render(&shared);
    let mut seen = HashSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "{series}");
    }
}

#[tokio::test]
async fn it_is_ready_while_every_cluster_has_a_node_and_nobody_wants_it_to_end() {
    let (shared, _commands) = fixture::shared();
    assert_eq!(readiness(&shared).status, 200);

    let facts = Arc::clone(&shared.generation.load().clusters["main"].facts);
    let mut nodes = fixture::facts().nodes;
    nodes.iter_mut().for_each(|node| node.health = Health::Down);
    facts.publish(Facts { nodes, ..fixture::facts() });
    assert_eq!(readiness(&shared), Page::text(503, "no node can be reached of cluster main\n"));

    facts.publish(fixture::facts());
    shared.shutdown.advance(Phase::Leaving);
    assert_eq!(readiness(&shared).status, 503);
}

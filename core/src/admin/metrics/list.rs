//! The list.

use super::*;
use crate::{facts::StatusCell, session::traces::Causes};

/// All metrics, in the order of the page; those that policies keep themselves follow.
pub(super) const METRICS: &[Metric] = &[
    gauge("howdah_build_info", "Always 1; the labels say what is running.", |_, to| {
        to.count(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    }),
    gauge("howdah_generation", "Number of the running generation of the configuration.", |scene, to| {
        to.count(&[], scene.generation);
    }),
    gauge("howdah_leaving", "1 while the proxy takes no new clients because it is going to end.", |scene, to| {
        to.yes(&[], scene.shared.is_leaving());
    }),
    gauge("howdah_clients", "Clients that are connected, those that are logging in included.", |scene, to| {
        to.count(&[], scene.shared.clients.count() as u64);
    }),
    gauge("howdah_clients_max", "The most clients at once: max_client_conn.", |scene, to| {
        to.count(&[], scene.max_clients as u64);
    }),
    counter("howdah_connections_accepted_total", "Connections of clients that were accepted.", |scene, to| {
        process(scene, to, |counters| &counters.accepted);
    }),
    counter("howdah_logins_failed_total", "Connections of clients that never logged in.", |scene, to| {
        process(scene, to, |counters| &counters.failed_logins);
    }),
    counter("howdah_cancels_total", "Cancel requests that were passed on.", |scene, to| {
        process(scene, to, |counters| &counters.cancels);
    }),
    counter("howdah_plan_hits_total", "Requests whose plan was kept.", |scene, to| {
        process(scene, to, |counters| &counters.plan_hits);
    }),
    counter("howdah_plan_misses_total", "Requests for which the policy was asked.", |scene, to| {
        process(scene, to, |counters| &counters.plan_misses);
    }),
    counter("howdah_generations_refused_total", "New configurations that were refused.", |scene, to| {
        process(scene, to, |counters| &counters.refused_generations);
    }),
    counter("howdah_transactions_total", "Transactions that ended.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.transactions));
    }),
    counter("howdah_queries_total", "Requests that were answered.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.queries));
    }),
    counter("howdah_standby_queries_total", "Requests that a standby answered.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.standby_queries));
    }),
    counter("howdah_rerouted_queries_total", "Requests that one node refused and another took over.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.rerouted));
    }),
    counter("howdah_errors_total", "Errors of our own that clients were told.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.errors));
    }),
    counter("howdah_held_requests_total", "Requests that waited for a primary.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.held));
    }),
    counter(
        "howdah_retried_requests_total",
        "Requests that were made again because their server was lost.",
        |scene, to| {
            each_set(scene, |labels, _, totals| to.count(labels, totals.retried));
        },
    ),
    counter("howdah_lost_servers_told_total", "Clients that were told that their server was lost.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.losses));
    }),
    counter(
        "howdah_commits_resolved_total",
        "COMMITs on their way to a lost server of which it is known what became of them.",
        |scene, to| each_set(scene, |labels, _, totals| to.count(labels, totals.resolved)),
    ),
    counter(
        "howdah_commits_unacknowledged_total",
        "Commits whose wait for synchronous standbys was cancelled.",
        |scene, to| each_set(scene, |labels, _, totals| to.count(labels, totals.unacknowledged)),
    ),
    counter("howdah_lost_writes_total", "Sessions whose last write a failover has lost.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.lost_writes));
    }),
    counter("howdah_pins_total", "Sessions that came to keep their server, by cause.", |scene, to| {
        each_set(scene, |labels, _, totals| {
            for ((_, cause), count) in Causes::WORDS.into_iter().zip(totals.pins) {
                to.count(&[labels, &[("cause", cause)]].concat(), count);
            }
        });
    }),
    gauge("howdah_sessions_pinned", "Sessions that keep their server.", |scene, to| {
        each_set(scene, |labels, numbers, _| to.count(labels, numbers.set.shared.pinned() as u64));
    }),
    gauge("howdah_listen_connections", "Connections that listen for sessions in transaction mode.", |scene, to| {
        each_set(scene, |labels, numbers, _| to.yes(labels, numbers.set.shared.listen.numbers().connected));
    }),
    gauge("howdah_listen_channels", "Channels that these connections listen to.", |scene, to| {
        each_set(scene, |labels, numbers, _| to.count(labels, numbers.set.shared.listen.numbers().channels as u64));
    }),
    gauge("howdah_listen_sessions", "Sessions that they listen for.", |scene, to| {
        each_set(scene, |labels, numbers, _| to.count(labels, numbers.set.shared.listen.numbers().sessions as u64));
    }),
    counter(
        "howdah_listen_gaps_total",
        "Times that notifications may have been lost with a connection.",
        |scene, to| {
            each_set(scene, |labels, numbers, _| to.count(labels, numbers.set.shared.listen.numbers().gaps));
        },
    ),
    counter("howdah_logins_total", "Clients that logged in.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.logins));
    }),
    counter("howdah_received_bytes_total", "Bytes from clients.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.received));
    }),
    counter("howdah_sent_bytes_total", "Bytes to clients.", |scene, to| {
        each_set(scene, |labels, _, totals| to.count(labels, totals.sent));
    }),
    histogram("howdah_hold_seconds", "Time that requests waited for a primary.", |scene, to| {
        each_set(scene, |labels, _, totals| to.durations(labels, &totals.hold_time));
    }),
    histogram("howdah_wait_seconds", "Time that clients waited for a server.", |scene, to| {
        each_set(scene, |labels, _, totals| to.durations(labels, &totals.wait_time));
    }),
    histogram("howdah_query_seconds", "Time from a request to the end of its answer.", |scene, to| {
        each_set(scene, |labels, _, totals| to.durations(labels, &totals.query_time));
    }),
    histogram("howdah_transaction_seconds", "Time from a transaction's first request to its end.", |scene, to| {
        each_set(scene, |labels, _, totals| to.durations(labels, &totals.transaction_time));
    }),
    gauge(
        "howdah_pool_clients_active",
        "Clients that have a server at the node, or none and want none.",
        |scene, to| {
            each_pool(scene, |labels, pool| to.count(labels, pool.clients_active as u64));
        },
    ),
    gauge("howdah_pool_clients_waiting", "Clients that wait for a server.", |scene, to| {
        each_pool(scene, |labels, pool| to.count(labels, pool.clients_waiting as u64));
    }),
    gauge("howdah_pool_servers_active", "Servers that a client has.", |scene, to| {
        each_pool(scene, |labels, pool| to.count(labels, pool.servers_active as u64));
    }),
    gauge("howdah_pool_servers_idle", "Servers that nobody has.", |scene, to| {
        each_pool(scene, |labels, pool| to.count(labels, pool.servers_idle as u64));
    }),
    gauge("howdah_pool_servers_login", "Servers on their way up.", |scene, to| {
        each_pool(scene, |labels, pool| to.count(labels, pool.servers_login as u64));
    }),
    gauge("howdah_pool_longest_wait_seconds", "How long the first in line has waited.", |scene, to| {
        each_pool(scene, |labels, pool| to.seconds(labels, pool.longest_wait));
    }),
    gauge("howdah_pool_paused", "1 while the pool lends no servers.", |scene, to| {
        each_pool(scene, |labels, pool| to.yes(labels, pool.is_paused));
    }),
    gauge("howdah_cluster_state", "1 for the state that the cluster is in, as SHOW CLUSTER has it.", |scene, to| {
        each_cluster(scene, |name, status| to.yes(&[("cluster", name), ("state", &status.load().state)], true));
    }),
    counter("howdah_cluster_promotions_total", "Promotions that Howdah has made in the cluster.", |scene, to| {
        each_cluster(scene, |name, status| to.count(&[("cluster", name)], status.load().term));
    }),
    gauge("howdah_cluster_held", "1 while transactions that need the primary wait.", |scene, to| {
        each_cluster(scene, |name, status| to.yes(&[("cluster", name)], status.load().hold.is_some()));
    }),
    gauge("howdah_cluster_failover_paused", "1 while nothing is decided automatically.", |scene, to| {
        each_cluster(scene, |name, status| to.yes(&[("cluster", name)], status.load().paused));
    }),
    counter("howdah_cluster_events_total", "Events of the cluster; SHOW EVENTS has the last of them.", |scene, to| {
        each_cluster(scene, |name, status| to.count(&[("cluster", name)], status.events_told()));
    }),
    gauge("howdah_node_quarantined", "1 while the node answers and gets no work all the same.", |scene, to| {
        each_cluster(scene, |name, status| {
            for node in &status.load().nodes {
                to.yes(&[("cluster", name), ("node", &node.name)], node.quarantine.is_some());
            }
        });
    }),
    gauge("howdah_node_up", "1 while the node gets work.", |scene, to| {
        each_node(scene, |labels, node| to.yes(labels, node.node.health == Health::Up));
    }),
    gauge("howdah_node_health", "1 for the health that the node has.", |scene, to| {
        each_node(scene, |labels, node| {
            for health in [Health::Up, Health::Degraded, Health::Draining, Health::Down] {
                let word = ("health", nodes::health_word(health));
                to.yes(&[labels, &[word]].concat(), node.node.health == health);
            }
        });
    }),
    gauge("howdah_node_role", "1 for the role that the node says it has.", |scene, to| {
        each_node(scene, |labels, node| {
            for role in [Role::Primary, Role::Standby, Role::Unknown] {
                to.yes(&[labels, &[("role", nodes::role_word(role))]].concat(), node.node.role == role);
            }
        });
    }),
    gauge("howdah_node_primary", "1 for the node that takes the cluster's writes.", |scene, to| {
        each_node(scene, |labels, node| to.yes(labels, node.is_primary));
    }),
    gauge("howdah_node_timeline", "The node's timeline.", |scene, to| {
        each_node(scene, |labels, node| {
            node.node.timeline.into_iter().for_each(|timeline| to.count(labels, u64::from(timeline)));
        });
    }),
    gauge("howdah_node_lag_bytes", "Bytes that the node is behind the primary.", |scene, to| {
        each_node(scene, |labels, node| node.node.lag_bytes.into_iter().for_each(|lag| to.count(labels, lag)));
    }),
    gauge("howdah_node_lag_seconds", "Age of the newest commit that the node has replayed.", |scene, to| {
        each_node(scene, |labels, node| node.node.lag.into_iter().for_each(|lag| to.seconds(labels, lag)));
    }),
    gauge("howdah_node_ramp_ratio", "Share of its weight that the node gets while it warms up.", |scene, to| {
        each_node(scene, |labels, node| to.level(labels, f64::from(node.node.ramp_percent) / 100.0));
    }),
    gauge("howdah_node_servers_active", "Servers at the node that clients have.", |scene, to| {
        each_node(scene, |labels, node| to.count(labels, node.counts.busy as u64));
    }),
    gauge("howdah_node_servers_idle", "Servers at the node that nobody has.", |scene, to| {
        each_node(scene, |labels, node| to.count(labels, node.counts.idle as u64));
    }),
    counter("howdah_node_queries_total", "Requests that the node's servers were given.", |scene, to| {
        each_node(scene, |labels, node| to.count(labels, node.requests));
    }),
    gauge("howdah_plugin_running", "1 while the policy is called, 0 while its circuit is broken.", |scene, to| {
        each_plugin(scene, |labels, plugin| to.yes(labels, plugin.numbers.status.state == PluginState::Running));
    }),
    counter("howdah_plugin_calls_total", "Calls of the policy.", |scene, to| {
        each_plugin(scene, |labels, plugin| to.count(labels, plugin.numbers.status.calls));
    }),
    counter("howdah_plugin_failures_total", "Calls that gave no usable answer.", |scene, to| {
        each_plugin(scene, |labels, plugin| to.count(labels, plugin.numbers.status.failures));
    }),
    counter("howdah_plugin_traps_total", "Calls that trapped.", |scene, to| {
        each_plugin(scene, |labels, plugin| to.count(labels, plugin.numbers.status.traps));
    }),
    counter("howdah_plugin_timeouts_total", "Calls that were not done in time.", |scene, to| {
        each_plugin(scene, |labels, plugin| to.count(labels, plugin.numbers.status.timeouts));
    }),
    histogram("howdah_plugin_call_seconds", "Time that calls of the policy took.", |scene, to| {
        each_plugin(scene, |labels, plugin| {
            to.histogram(labels, plugin.numbers.times.ranges.iter().copied(), plugin.numbers.times.sum)
        });
    }),
    gauge("howdah_plugin_instances", "Instances of the policy.", |scene, to| {
        each_plugin(scene, |labels, plugin| to.count(labels, plugin.numbers.status.instances as u64));
    }),
    gauge("howdah_plugin_memory_bytes", "Linear memory of the policy's idle instances.", |scene, to| {
        each_plugin(scene, |labels, plugin| to.count(labels, plugin.numbers.status.memory_bytes as u64));
    }),
    gauge("pgbouncer_up", "Always 1.", |_, to| to.count(&[], 1)),
    gauge("pgbouncer_config_max_client_connections", "As howdah_clients_max.", |scene, to| {
        to.count(&[], scene.max_clients as u64);
    }),
    gauge("pgbouncer_used_clients", "As howdah_clients.", |scene, to| {
        to.count(&[], scene.shared.clients.count() as u64);
    }),
    counter("pgbouncer_stats_server_assignments_total", "Servers that were lent.", |scene, to| {
        each_database(scene, |labels, totals| to.count(labels, totals.assignments));
    }),
    counter("pgbouncer_stats_sql_transactions_pooled_total", "Transactions that ended.", |scene, to| {
        each_database(scene, |labels, totals| to.count(labels, totals.transactions));
    }),
    counter("pgbouncer_stats_queries_pooled_total", "Requests that were answered.", |scene, to| {
        each_database(scene, |labels, totals| to.count(labels, totals.queries));
    }),
    counter("pgbouncer_stats_received_bytes_total", "Bytes from clients.", |scene, to| {
        each_database(scene, |labels, totals| to.count(labels, totals.received));
    }),
    counter("pgbouncer_stats_sent_bytes_total", "Bytes to clients.", |scene, to| {
        each_database(scene, |labels, totals| to.count(labels, totals.sent));
    }),
    counter("pgbouncer_stats_server_in_transaction_seconds_total", "Time in transactions.", |scene, to| {
        each_database(scene, |labels, totals| to.seconds(labels, totals.transaction_time.sum));
    }),
    counter("pgbouncer_stats_queries_duration_seconds_total", "Time of requests.", |scene, to| {
        each_database(scene, |labels, totals| to.seconds(labels, totals.query_time.sum));
    }),
    counter("pgbouncer_stats_client_wait_seconds_total", "Time that clients waited for servers.", |scene, to| {
        each_database(scene, |labels, totals| to.seconds(labels, totals.wait_time.sum));
    }),
    gauge("pgbouncer_pools_client_active_connections", "Clients that wait for no server.", |scene, to| {
        each_pgbouncer_pool(scene, |labels, pool| to.count(labels, pool.clients_active as u64));
    }),
    gauge("pgbouncer_pools_client_waiting_connections", "Clients that wait for a server.", |scene, to| {
        each_pgbouncer_pool(scene, |labels, pool| to.count(labels, pool.clients_waiting as u64));
    }),
    gauge("pgbouncer_pools_server_active_connections", "Servers that a client has.", |scene, to| {
        each_pgbouncer_pool(scene, |labels, pool| to.count(labels, pool.servers_active as u64));
    }),
    gauge("pgbouncer_pools_server_idle_connections", "Servers that nobody has.", |scene, to| {
        each_pgbouncer_pool(scene, |labels, pool| to.count(labels, pool.servers_idle as u64));
    }),
    gauge("pgbouncer_pools_server_used_connections", "Always 0: servers are checked as they are lent.", |scene, to| {
        each_pgbouncer_pool(scene, |labels, _| to.count(labels, 0));
    }),
    gauge(
        "pgbouncer_pools_server_testing_connections",
        "Always 0: servers are checked as they are lent.",
        |scene, to| {
            each_pgbouncer_pool(scene, |labels, _| to.count(labels, 0));
        },
    ),
    gauge("pgbouncer_pools_server_login_connections", "Servers on their way up.", |scene, to| {
        each_pgbouncer_pool(scene, |labels, pool| to.count(labels, pool.servers_login as u64));
    }),
    gauge("pgbouncer_pools_client_maxwait_seconds", "How long the first in line has waited.", |scene, to| {
        each_pgbouncer_pool(scene, |labels, pool| to.seconds(labels, pool.longest_wait));
    }),
];

type Sampling = fn(&Scene<'_>, &mut Samples<'_>);

const fn gauge(name: &'static str, help: &'static str, samples: Sampling) -> Metric {
    Metric { name, kind: Kind::Gauge, help, samples }
}

const fn counter(name: &'static str, help: &'static str, samples: Sampling) -> Metric {
    Metric { name, kind: Kind::Counter, help, samples }
}

const fn histogram(name: &'static str, help: &'static str, samples: Sampling) -> Metric {
    Metric { name, kind: Kind::Histogram, help, samples }
}

type Pairs<'a> = [(&'a str, &'a str)];

fn process(scene: &Scene<'_>, to: &mut Samples<'_>, counter: fn(&Counters) -> &AtomicU64) {
    to.count(&[], counter(&scene.shared.counters).load(Relaxed));
}

fn each_set(scene: &Scene<'_>, mut sample: impl FnMut(&Pairs<'_>, &SetNumbers, &Totals)) {
    for (numbers, totals) in &scene.sets {
        sample(&[("database", &numbers.set.database), ("user", &numbers.set.user)], numbers, totals);
    }
}

fn each_pool(scene: &Scene<'_>, mut sample: impl FnMut(&Pairs<'_>, &PoolNumbers)) {
    each_set(scene, |labels, numbers, _| {
        for (node, pool) in &numbers.pools {
            sample(&[labels, &[("node", node)]].concat(), pool);
        }
    });
}

/// A pool of PgBouncer's is a (database, user): all nodes together.
fn each_pgbouncer_pool(scene: &Scene<'_>, mut sample: impl FnMut(&Pairs<'_>, &PoolNumbers)) {
    each_set(scene, |labels, numbers, _| {
        let mut all = PoolNumbers::default();
        numbers.pools.iter().for_each(|(_, pool)| all.merge(pool));
        sample(labels, &all);
    });
}

fn each_database(scene: &Scene<'_>, mut sample: impl FnMut(&Pairs<'_>, &Totals)) {
    for (database, totals) in &scene.databases {
        sample(&[("database", database)], totals);
    }
}

fn each_cluster(scene: &Scene<'_>, mut sample: impl FnMut(&str, &StatusCell)) {
    let generation = scene.shared.generation.load();
    let mut clusters: Vec<_> = generation.clusters.values().collect();
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    for cluster in clusters {
        sample(&cluster.name, &cluster.status);
    }
}

fn each_node(scene: &Scene<'_>, mut sample: impl FnMut(&Pairs<'_>, &NodeNumbers)) {
    for node in &scene.nodes {
        sample(&[("cluster", &node.cluster), ("node", &node.node.name)], node);
    }
}

fn each_plugin(scene: &Scene<'_>, mut sample: impl FnMut(&Pairs<'_>, &PluginNumbers)) {
    for plugin in &scene.plugins {
        let labels = [
            ("cluster", &*plugin.cluster),
            ("plugin", &*plugin.numbers.status.name),
            ("policy", &*plugin.numbers.status.policy),
        ];
        sample(&labels, plugin);
    }
}

/// What policies count and show themselves, under `howdah_plugin_NAME_…`.
pub(super) fn of_plugins(scene: &Scene<'_>, text: &mut String) {
    let mut names: Vec<(String, bool)> = Vec::new();
    let full = |plugin: &PluginNumbers, sample: &Sample| {
        let counts = if sample.is_counter && !sample.name.ends_with("_total") { "_total" } else { "" };
        format!("howdah_plugin_{}_{}{counts}", plain(&plugin.numbers.status.name), plain(&sample.name))
    };
    for plugin in &scene.plugins {
        names.extend(plugin.numbers.samples.iter().map(|sample| (full(plugin, sample), sample.is_counter)));
    }
    names.sort();
    names.dedup_by(|a, b| a.0 == b.0);
    for (name, is_counter) in names {
        let kind = if is_counter { Kind::Counter } else { Kind::Gauge };
        exposition::metric(text, &name, kind, "Kept by the policy itself.", |to| {
            for plugin in &scene.plugins {
                for sample in plugin.numbers.samples.iter().filter(|sample| full(plugin, sample) == name) {
                    let own: Vec<_> = sample.labels.iter().map(|(label, value)| (plain(label), value)).collect();
                    let own = own.iter().map(|(label, value)| (label.as_str(), value.as_str()));
                    let labels: Vec<_> = [("cluster", &*plugin.cluster)].into_iter().chain(own).collect();
                    to.level(&labels, sample.value);
                }
            }
        });
    }
}

/// A name that Prometheus takes.
fn plain(name: &str) -> String {
    let fits = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    name.chars().map(fits).collect()
}

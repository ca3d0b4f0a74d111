//! What Prometheus is told: one list of all metrics, each with what it means and where it comes from.
//!
//! `howdah_*` are ours; `pgbouncer_*` are those of the exporter that people have dashboards for.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::show::{
    nodes::{self, NodeNumbers},
    pools::{self, PoolNumbers, SetNumbers},
};
use crate::{
    facts::{Health, Role},
    plugin::{PluginState, PolicyNumbers, Sample},
    shutdown::{Phase, Shutdown},
    telemetry::{
        averages::ByDatabase,
        exposition::{self, Kind, Samples},
        http::{self, Page},
        stats::Totals,
    },
    worker::{Counters, Shared},
};

mod list;

/// Everything that metrics are made of, taken at one go.
struct Scene<'a> {
    shared: &'a Shared,
    generation: u64,
    max_clients: usize,
    sets: Vec<(SetNumbers, Totals)>,
    databases: ByDatabase,
    nodes: Vec<NodeNumbers>,
    plugins: Vec<PluginNumbers>,
}

/// A policy of a cluster.
struct PluginNumbers {
    cluster: Arc<str>,
    numbers: PolicyNumbers,
}

impl<'a> Scene<'a> {
    fn of(shared: &'a Shared) -> Self {
        let generation = shared.generation.load_full();
        let sets = pools::numbers(shared).into_iter().map(|numbers| {
            let totals = numbers.set.stats.totals();
            (numbers, totals)
        });
        let mut clusters: Vec<_> = generation.clusters.values().collect();
        clusters.sort_by(|a, b| a.name.cmp(&b.name));
        let plugins = clusters.into_iter().flat_map(|cluster| {
            let numbers = cluster.router.numbers().into_iter().chain(cluster.policies.numbers());
            numbers.map(|numbers| PluginNumbers { cluster: Arc::clone(&cluster.name), numbers })
        });
        Self {
            shared,
            generation: generation.number,
            max_clients: generation.config.max_client_conn,
            sets: sets.collect(),
            databases: shared.registry.totals(),
            nodes: nodes::numbers(shared),
            plugins: plugins.collect(),
        }
    }
}

/// One metric: its name, what it is, and how it is sampled.
struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    samples: fn(&Scene<'_>, &mut Samples<'_>),
}

/// All metrics as they are now.
pub fn render(shared: &Shared) -> String {
    let scene = Scene::of(shared);
    let mut text = String::new();
    for metric in list::METRICS {
        exposition::metric(&mut text, metric.name, metric.kind, metric.help, |samples| {
            (metric.samples)(&scene, samples)
        });
    }
    list::of_plugins(&scene, &mut text);
    text
}

/// Serves `/metrics`, `/healthz` (well as long as the process lives) and `/readyz` (well while it
/// takes clients and has a node for each cluster), until the very end.
pub async fn serve(shared: Arc<Shared>, address: SocketAddr, shutdown: Shutdown) {
    let pages = move |path: &str| match path {
        "/metrics" => Some(Page { status: 200, kind: exposition::CONTENT_TYPE, body: render(&shared) }),
        "/healthz" => Some(Page::text(200, "alive\n")),
        "/readyz" => Some(readiness(&shared)),
        _ => None,
    };
    if let Err(error) = http::serve(address, pages, shutdown.reached(Phase::Now)).await {
        tracing::error!(%address, %error, "could not serve metrics");
    }
}

fn readiness(shared: &Shared) -> Page {
    if shared.is_leaving() {
        return Page::text(503, "shutting down\n");
    }
    let generation = shared.generation.load();
    let is_reachable = |health| matches!(health, Health::Up | Health::Degraded);
    let dark = |cluster: &&Arc<crate::generation::ClusterRuntime>| {
        !cluster.facts.load().nodes.iter().any(|node| is_reachable(node.health))
    };
    let mut dark: Vec<_> = generation.clusters.values().filter(dark).map(|cluster| &*cluster.name).collect();
    dark.sort_unstable();
    match dark.as_slice() {
        [] => Page::text(200, "ready\n"),
        names => Page::text(503, format!("no node can be reached of cluster {}\n", names.join(", "))),
    }
}

#[cfg(test)]
mod tests;

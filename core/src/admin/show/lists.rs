//! SHOW LISTS, MEM, STATE and COUNTERS: a name and a number or two.

use std::sync::atomic::Ordering::Relaxed;

use super::{Column, Context, Row, Type};
use crate::{
    admin::table::Value,
    plugin::plan::Plan,
    pool::Pool,
    server::{Server, info::ServerInfo},
    session::info::ClientInfo,
};

pub(super) const LISTS: [Column; 2] = [("list", Type::Text), ("items", Type::Int4)];

pub(super) const MEM: [Column; 5] =
    [("name", Type::Text), ("size", Type::Int4), ("used", Type::Int4), ("free", Type::Int4), ("memtotal", Type::Int4)];

pub(super) const STATE: [Column; 2] = [("key", Type::Text), ("value", Type::Text)];

pub(super) const COUNTERS: [Column; 2] = [("counter", Type::Text), ("value", Type::Int8)];

pub(super) fn lists(context: &Context) -> Vec<Row> {
    let shared = &context.worker.shared;
    let generation = shared.generation.load();
    let clients = shared.clients.list().len();
    let lists = [
        ("databases", generation.config.databases.len()),
        ("users", generation.config.users.keys().chain(generation.config.secrets.keys()).count()),
        ("peers", generation.config.peers.len()),
        ("pools", shared.registry.pools().len()),
        ("peer_pools", 0),
        // Nothing is kept for those that are not here.
        ("free_clients", 0),
        ("used_clients", clients),
        ("login_clients", shared.clients.count().saturating_sub(clients)),
        ("free_servers", 0),
        ("used_servers", ServerInfo::list().len()),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ];
    lists.into_iter().map(|(list, items)| vec![list.into(), Value::int(items)]).collect()
}

/// What is kept for each of them, buffers and names aside. Shapes and plans are this worker's.
pub(super) fn mem(context: &Context) -> Vec<Row> {
    let worker = &context.worker;
    let shapes = worker.shapes.borrow().counters();
    let shape_bytes = usize::try_from(shapes.bytes).unwrap_or(usize::MAX);
    let shape_count = usize::try_from(shapes.entries).unwrap_or(usize::MAX);
    let row = |name: &str, size: usize, used: usize| {
        vec![name.into(), Value::int(size), Value::int(used), Value::int(0), Value::int(size.saturating_mul(used))]
    };
    let mut rows = vec![
        row("client_cache", size_of::<ClientInfo>(), worker.shared.clients.list().len()),
        row("server_cache", size_of::<Server>() + size_of::<ServerInfo>(), ServerInfo::list().len()),
        row("pool_cache", size_of::<Pool>(), worker.shared.registry.pools().len()),
        row("plan_cache", size_of::<Plan>(), worker.plans.borrow().list().count()),
        row("shape_cache", shape_bytes.checked_div(shape_count).unwrap_or(0), shape_count),
    ];
    rows.sort_by_key(|row| row[0].text());
    rows
}

pub(super) fn state(context: &Context) -> Vec<Row> {
    let shared = &context.worker.shared;
    let is_paused = shared.registry.is_paused();
    let yes = |yes: bool| Value::from(if yes { "yes" } else { "no" });
    vec![
        vec!["active".into(), yes(!is_paused)],
        vec!["paused".into(), yes(is_paused)],
        vec!["suspended".into(), yes(false)],
        vec!["leaving".into(), yes(shared.is_leaving())],
    ]
}

pub(super) fn counters(context: &Context) -> Vec<Row> {
    let counters = &context.worker.shared.counters;
    let all = [
        ("accepted", &counters.accepted),
        ("failed_logins", &counters.failed_logins),
        ("cancels", &counters.cancels),
        ("plan_hits", &counters.plan_hits),
        ("plan_misses", &counters.plan_misses),
        ("refused_generations", &counters.refused_generations),
    ];
    all.into_iter().map(|(counter, value)| vec![counter.into(), Value::big(value.load(Relaxed))]).collect()
}

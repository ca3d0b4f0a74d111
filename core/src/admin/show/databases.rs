//! SHOW DATABASES and SHOW USERS: what the configuration says of each name, and how much is in use.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{Column, Context, Row, Type, pools::mode_word};
use crate::{
    admin::table::Value,
    config::{Config, Database},
    generation::Generation,
    pool::{PoolSet, registry::database_entry},
};

pub(super) const DATABASES: [Column; 18] = [
    ("name", Type::Text),
    ("host", Type::Text),
    ("port", Type::Int4),
    ("database", Type::Text),
    ("force_user", Type::Text),
    ("pool_size", Type::Int4),
    ("min_pool_size", Type::Int4),
    ("reserve_pool_size", Type::Int4),
    ("server_lifetime", Type::Int4),
    ("pool_mode", Type::Text),
    ("load_balance_hosts", Type::Text),
    ("max_connections", Type::Int4),
    ("current_connections", Type::Int4),
    ("max_client_connections", Type::Int4),
    ("current_client_connections", Type::Int4),
    ("paused", Type::Int4),
    ("disabled", Type::Int4),
    ("cluster", Type::Text),
];

pub(super) const USERS: [Column; 8] = [
    ("name", Type::Text),
    ("pool_size", Type::Text),
    ("reserve_pool_size", Type::Text),
    ("pool_mode", Type::Text),
    ("max_user_connections", Type::Int4),
    ("current_connections", Type::Int4),
    ("max_user_client_connections", Type::Int4),
    ("current_client_connections", Type::Int4),
];

/// Servers and clients at present.
#[derive(Clone, Copy, Default)]
struct InUse {
    servers: usize,
    clients: usize,
}

fn in_use(sets: &[Arc<PoolSet>], name: impl Fn(&PoolSet) -> &Arc<str>) -> BTreeMap<&str, InUse> {
    let mut in_use: BTreeMap<&str, InUse> = BTreeMap::new();
    for set in sets {
        let of_name = in_use.entry(name(set)).or_default();
        of_name.servers += set.pools.iter().map(|pool| pool.open()).sum::<usize>();
        of_name.clients += set.shared.clients.load(Relaxed);
    }
    in_use
}

/// Those that the configuration names, and those that clients have used by its `"*"`.
pub(super) fn databases(context: &Context) -> Vec<Row> {
    let shared = &context.worker.shared;
    let generation = shared.generation.load();
    let config = &generation.config;
    let sets = shared.registry.sets();
    let in_use = in_use(&sets, |set| &set.database);
    let named = config.databases.keys().map(String::as_str).filter(|name| *name != "*");
    let names: BTreeSet<&str> = named.chain(in_use.keys().copied()).collect();
    let row = |name: &str| {
        let entry = database_entry(config, name)?;
        let in_use = in_use.get(name).copied().unwrap_or_default();
        let mut row = database(&generation, name, &entry, in_use);
        row.push(Value::int(i32::from(shared.registry.pauses(name))));
        row.push(Value::int(i32::from(shared.registry.disables(name))));
        row.push((&entry.cluster).into());
        Some(row)
    };
    names.into_iter().filter_map(row).collect()
}

/// Everything up to `current_client_connections`.
fn database(generation: &Generation, name: &str, entry: &Database, in_use: InUse) -> Row {
    let config = &generation.config;
    let (host, port) = home(generation, entry);
    vec![
        name.into(),
        host,
        port,
        entry.dbname.as_deref().unwrap_or(name).into(),
        entry.user.as_deref().into(),
        Value::int(entry.pool_size.unwrap_or(config.default_pool_size)),
        Value::int(entry.min_pool_size.unwrap_or(config.min_pool_size)),
        Value::int(entry.reserve_pool_size.unwrap_or(config.reserve_pool_size)),
        Value::int(entry.server_lifetime.unwrap_or(config.server_lifetime).as_secs()),
        entry.pool_mode.map(mode_word).into(),
        Value::Null,
        Value::int(entry.max_db_connections.unwrap_or(config.max_db_connections)),
        Value::int(in_use.servers),
        Value::int(entry.max_db_client_connections.unwrap_or(config.max_db_client_connections)),
        Value::int(in_use.clients),
    ]
}

/// PgBouncer shows one host: here the primary's, or the first node's while none is known.
fn home(generation: &Generation, entry: &Database) -> (Value, Value) {
    let primary = generation.clusters.get(&entry.cluster).and_then(|cluster| cluster.facts.load().primary);
    let nodes = generation.config.clusters.get(&*entry.cluster).map(|cluster| cluster.nodes.as_slice());
    let place = primary.map_or(0, |id| id.index());
    match nodes.unwrap_or_default().get(place) {
        Some(node) => ((&node.host).into(), Value::int(node.port)),
        None => (Value::Null, Value::Null),
    }
}

/// Those of the `auth_file`, those that the configuration names, and those that are here.
pub(super) fn users(context: &Context) -> Vec<Row> {
    let shared = &context.worker.shared;
    let generation = shared.generation.load();
    let config: &Config = &generation.config;
    let sets = shared.registry.sets();
    let in_use = in_use(&sets, |set| &set.user);
    let listed = config.users.keys().chain(config.secrets.keys()).map(String::as_str);
    let names: BTreeSet<&str> = listed.chain(in_use.keys().copied()).collect();
    let row = |name: &str| {
        let entry = config.users.get(name);
        let in_use = in_use.get(name).copied().unwrap_or_default();
        let size = |size: Option<usize>| size.map_or_else(String::new, |size| size.to_string());
        vec![
            name.into(),
            size(entry.and_then(|user| user.pool_size)).into(),
            size(entry.and_then(|user| user.reserve_pool_size)).into(),
            entry.and_then(|user| user.pool_mode).map(mode_word).into(),
            Value::int(entry.and_then(|user| user.max_user_connections).unwrap_or(config.max_user_connections)),
            Value::int(in_use.servers),
            Value::int(
                entry.and_then(|user| user.max_user_client_connections).unwrap_or(config.max_user_client_connections),
            ),
            Value::int(in_use.clients),
        ]
    };
    names.into_iter().map(row).collect()
}

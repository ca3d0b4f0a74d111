//! `[clusters]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use figment::value::{Dict, Value};

use super::{
    super::{
        healing::Healing,
        keys::{Kind, sections},
        layer::Part,
        path::KeyPath,
        section::{Context, Section},
        types::{Cluster, Executor, ExecutorKind, Node},
        value::is_name,
    },
    executor, refuse_name,
};

/// The most nodes of one cluster.
const NODES_MAX: usize = 1000;

/// How a node is written.
const NODE: &str = "{ name = \"n0\", host = \"127.0.0.1\" }";

pub(super) fn clusters(context: &Context<'_>, table: &Dict) -> BTreeMap<String, Arc<Cluster>> {
    let path = KeyPath::root().key("clusters");
    if table.is_empty() {
        refuse_name(context, &path, "no cluster: add [clusters.main] with `nodes`".to_owned());
    }
    let clusters = table.iter().filter_map(|(name, value)| {
        let table = context.table(&path, name, value)?;
        let path = path.key(name);
        if !is_name(name) {
            refuse_name(context, &path, format!("`{path}` is not {}", Kind::Name.expected()));
        }
        let section = Section::new(context, table, path, &sections::CLUSTER);
        Some((name.clone(), Arc::new(cluster(context, name, &section))))
    });
    clusters.collect()
}

fn cluster(context: &Context<'_>, name: &str, section: &Section<'_>) -> Cluster {
    let executor = executor::of_cluster(section);
    let nodes = nodes(context, section, &executor);
    let healing = healing(section);
    if healing.armed_primary
        && let Some(node) = nodes.iter().find(|node| node.executor.kind == ExecutorKind::None)
    {
        let path = section.path.key("armed_primary");
        section.refuse("armed_primary", format!("`{path}` needs an executor, and {:?} has none", node.name));
    }
    Cluster {
        name: name.into(),
        nodes,
        control_user: section.value("control_user"),
        control_password: section.maybe("control_password"),
        control_database: section.value("control_database"),
        failover: section.value("failover"),
        healing,
        replication_user: section.maybe("replication_user"),
        replication_password: section.maybe("replication_password"),
    }
}

fn healing(section: &Section<'_>) -> Healing {
    Healing {
        synchronous_mode: section.value("synchronous_mode"),
        auto_rejoin: section.value("auto_rejoin"),
        replication_slots: section.value("replication_slots"),
        crash_grace: section.value("crash_grace"),
        hang_timeout: section.value("hang_timeout"),
        failover_interval: section.value("failover_interval"),
        maximum_lag_on_failover: section.value("maximum_lag_on_failover"),
        drain_timeout: section.value("drain_timeout"),
        fence_timeout: section.value("fence_timeout"),
        sync_stall_timeout: section.value("sync_stall_timeout"),
        sync_restore_after: section.value("sync_restore_after"),
        armed_primary: section.value("armed_primary"),
        event_command: section.value("event_command"),
    }
}

fn nodes(context: &Context<'_>, section: &Section<'_>, executor: &Executor) -> Vec<Node> {
    let items: Vec<Value> = section.needed("nodes").unwrap_or_default();
    let path = section.path.key("nodes");
    if items.is_empty() && section.is_accepted::<Vec<Value>>("nodes") && section.raw("nodes").is_some() {
        section.refuse("nodes", format!("`{path}` is empty, a cluster has at least one node"));
    }
    if items.len() > NODES_MAX {
        section.refuse("nodes", format!("`{path}` has {} nodes, at most {NODES_MAX} are accepted", items.len()));
        return Vec::new();
    }
    let mut seen = Seen::default();
    let nodes = items.iter().enumerate().filter_map(|(index, value)| {
        let path = path.index(index);
        let Value::Dict(_, table) = value else {
            context.refuse(&path, Some(value.tag()), Part::Value, format!("`{path}` is no table, expected {NODE}"));
            return None;
        };
        let section = Section::new(context, table.clone(), path, &sections::NODE);
        Some(node(&section, executor, &mut seen))
    });
    nodes.collect()
}

fn node(section: &Section<'_>, executor: &Executor, seen: &mut Seen) -> Node {
    let name: Option<String> = section.needed("name");
    let host: Option<String> = section.needed("host");
    let port: u16 = section.value("port");
    if let Some(name) = &name
        && !seen.names.insert(name.clone())
    {
        section
            .refuse("name", format!("`{}`: another node of the cluster is called {name:?}", section.path.key("name")));
    }
    if let Some(host) = &host
        && section.is_accepted::<u16>("port")
        && !seen.addresses.insert((host.clone(), port))
    {
        section.refuse(
            "host",
            format!("`{}`: another node of the cluster is at {host:?}, port {port}", section.path.key("host")),
        );
    }
    Node {
        name: name.unwrap_or_default().into(),
        host: host.unwrap_or_default().into(),
        port,
        weight: section.value("weight"),
        labels: section.maybe::<Vec<_>>("labels").unwrap_or_default().into(),
        executor: Arc::new(executor::of_node(section, executor)),
    }
}

/// What must not come twice.
#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    addresses: BTreeSet<(String, u16)>,
}

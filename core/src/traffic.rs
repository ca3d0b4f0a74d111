//! What the control plane may ask of clients and of the servers that they use, and what is done by itself when a
//! node has lost its place as the primary: its servers are cut, so that nobody waits for what never comes.

use std::{
    collections::{HashMap, HashSet},
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{sync::futures::Notified, time::timeout};

use crate::{
    config::PoolMode,
    facts::{KeptServer, Traffic},
    id::PoolKey,
    server::info::ServerInfo,
    session::info::{ClientInfo, ClientState, Order},
    worker::Shared,
};

/// How soon the watch over primaries hears of a new generation, which may have other clusters.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The traffic of this proxy.
pub struct OwnTraffic(pub Arc<Shared>);

impl OwnTraffic {
    /// The open servers of the node.
    fn servers(&self, cluster: &str, node: &str) -> Vec<Arc<ServerInfo>> {
        let pools = self.0.registry.pools_at(cluster, node);
        let keys: HashSet<&PoolKey> = pools.iter().map(|pool| &pool.key).collect();
        let mut servers = ServerInfo::list();
        servers.retain(|server| keys.contains(&server.pool));
        servers
    }

    /// The clients that have one of these servers.
    fn users<'s>(&self, servers: &'s [Arc<ServerInfo>]) -> Vec<(Arc<ClientInfo>, &'s ServerInfo)> {
        let by_id: HashMap<u64, &ServerInfo> = servers.iter().map(|server| (server.id, &**server)).collect();
        let clients = self.0.clients.list().into_iter();
        clients.filter_map(|client| Some((*by_id.get(&client.server())?, client))).map(|(s, c)| (c, s)).collect()
    }

    /// The client neither asks its server for anything nor is in a transaction at it.
    fn is_at_rest(&self, client: &ClientInfo, server: &ServerInfo) -> bool {
        let keeps = || {
            let set = self.0.registry.find(&server.pool.database, &server.pool.user);
            !client.pins().0.is_none() || set.is_some_and(|set| set.mode == PoolMode::Session)
        };
        client.state().0 == ClientState::Idle && keeps()
    }
}

impl Traffic for OwnTraffic {
    fn in_transaction(&self, cluster: &str, node: &str) -> usize {
        let servers = self.servers(cluster, node);
        let users = self.users(&servers);
        let at_work = users.iter().filter(|(client, server)| !self.is_at_rest(client, server)).count();
        // Their clients have left; they are rolled back or reset.
        let left = servers.iter().filter(|server| {
            let client = u32::try_from(server.client()).unwrap_or_default();
            client != 0 && self.0.clients.find(client).is_none()
        });
        at_work + left.count()
    }

    fn kept_servers(&self, cluster: &str, node: &str) -> Vec<KeptServer> {
        let servers = self.servers(cluster, node);
        let pinned = self.users(&servers).into_iter().filter(|(client, _)| !client.pins().0.of_loss().is_none());
        let mut kept: Vec<_> = pinned
            .map(|(client, _)| KeptServer {
                client: client.pid,
                user: Arc::clone(&client.user),
                database: Arc::clone(&client.database),
                causes: client.pins().0.of_loss().words().collect(),
            })
            .collect();
        kept.sort_by_key(|kept| kept.client);
        kept
    }

    fn close_servers(&self, cluster: &str, node: &str) {
        self.0.registry.pools_at(cluster, node).iter().for_each(|pool| pool.reconnect());
    }

    fn dismiss(&self, cluster: &str, node: &str) {
        let servers = self.servers(cluster, node);
        for (client, _) in self.users(&servers) {
            if !client.pins().0.of_loss().is_none() {
                client.order(Order::Switchover);
            }
        }
    }

    fn cut(&self, cluster: &str, node: &str) {
        self.close_servers(cluster, node);
        let servers = self.servers(cluster, node);
        servers.iter().for_each(|server| server.cut());
        self.users(&servers).iter().for_each(|(client, _)| client.look_at_server());
    }
}

impl std::fmt::Debug for OwnTraffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnTraffic").finish_non_exhaustive()
    }
}

/// Cuts the servers of each node whose place as the primary another has taken, for as long as the proxy runs.
///
/// What such a node still does, it does for nobody: its term is over.
pub async fn watch_primaries(shared: Arc<Shared>) {
    let traffic = OwnTraffic(Arc::clone(&shared));
    let mut reigns = Reigns::default();
    loop {
        let generation = shared.generation.load_full();
        let cells: Vec<_> = generation.clusters.values().map(|cluster| Arc::clone(&cluster.facts)).collect();
        let mut changes: Vec<_> = cells.iter().map(|cell| Box::pin(cell.changed())).collect();
        // Whoever is not waited for yet hears of nothing.
        changes.iter_mut().for_each(|change| {
            change.as_mut().enable();
        });
        for (name, cluster) in &generation.clusters {
            let facts = cluster.facts.load();
            let Some(primary) = facts.primary() else { continue };
            if let Some(deposed) = reigns.follow(name, &primary.name)
                && facts.nodes.iter().any(|node| node.name == deposed)
            {
                tracing::info!(cluster = &**name, "{deposed} is the primary no more; its connections are closed");
                traffic.cut(name, &deposed);
            }
        }
        reigns.0.retain(|name, _| generation.clusters.contains_key(name));
        let any = poll_fn(|cx| {
            let rang = |change: &mut Pin<Box<Notified<'_>>>| change.as_mut().poll(cx).is_ready();
            if changes.iter_mut().any(rang) { Poll::Ready(()) } else { Poll::Pending }
        });
        let _ = timeout(LOOK_EVERY, any).await;
    }
}

/// The last primary of each cluster.
///
/// Terms say nothing here: a term is known as soon as a promoted node was seen, which may be before that node is the
/// primary.
#[derive(Debug, Default)]
struct Reigns(HashMap<Arc<str>, Arc<str>>);

impl Reigns {
    /// Takes note of who is the primary; the name of the one whose place it has taken, or that had another name.
    fn follow(&mut self, cluster: &Arc<str>, primary: &Arc<str>) -> Option<Arc<str>> {
        let before = self.0.insert(Arc::clone(cluster), Arc::clone(primary))?;
        (before != *primary).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_is_deposed_when_another_reigns() {
        let mut reigns = Reigns::default();
        let mut follow = |primary: &str| reigns.follow(&"main".into(), &primary.into());
        assert_eq!(follow("n0"), None);
        assert_eq!(follow("n0"), None, "it is so still");
        assert_eq!(follow("n1").as_deref(), Some("n0"));
        assert_eq!(follow("n0").as_deref(), Some("n1"), "it is back");
    }
}

//! Cancel requests: each to the server that works for its client, to the client that waits for one, or to the
//! proxy whose client it is.
//!
//! A request that is too late finds nothing to stop: never what the client, or another one, has asked since.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    config::Peer,
    generation::Generation,
    net::stream::SocketOptions,
    server::{ServerTarget, cancel::cancel, info::ServerInfo},
    session::info::{Order, peer_of},
    worker::Worker,
};

/// Longest wait when `cancel_wait_timeout` sets no limit.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Most requests on their way to peers. Two proxies that each take the other for a third would send one to and fro.
const TO_PEERS_MAX: usize = 64;

/// Sends the request where it belongs; who sent it is told nothing, as by PostgreSQL.
pub async fn pass_on(worker: &Worker, generation: &Generation, pid: u32, key: &[u8]) {
    let Some(client) = worker.shared.clients.find(pid) else {
        let id = peer_of(pid);
        if id != generation.config.peer_id
            && let Some(peer) = generation.config.peers.get(&id)
        {
            pass_to_peer(worker, generation, peer, pid, key).await;
        }
        return;
    };
    if !client.owns_key(key) {
        return;
    }
    if client.console {
        client.order(Order::Query);
        return;
    }
    if client.cancel_wait() {
        worker.shared.counters.cancels.fetch_add(1, Relaxed);
        return;
    }
    let Some(server) = ServerInfo::find(client.server()) else { return };
    // Announced first, checked second: a server that was given back in between is either seen here
    // to serve the client no more, or waits for the announcement to be taken back.
    let announced = server.begin_cancel();
    if client.server() == server.id {
        worker.shared.counters.cancels.fetch_add(1, Relaxed);
        send(&server.target, server.pid, &server.key, generation.config.cancel_wait_timeout).await;
    }
    drop(announced);
}

async fn pass_to_peer(worker: &Worker, generation: &Generation, peer: &Arc<Peer>, pid: u32, key: &[u8]) {
    static ON_THEIR_WAY: AtomicUsize = AtomicUsize::new(0);
    struct Place;
    impl Drop for Place {
        fn drop(&mut self) {
            ON_THEIR_WAY.fetch_sub(1, Relaxed);
        }
    }
    let place = ON_THEIR_WAY.fetch_update(Relaxed, Relaxed, |count| (count < TO_PEERS_MAX).then_some(count + 1));
    let Ok(_place) = place.map(|_| Place) else {
        tracing::warn!(host = &*peer.host, "too many cancel requests for peers; this one is dropped");
        return;
    };
    worker.shared.counters.cancels.fetch_add(1, Relaxed);
    let config = &generation.config;
    let target = ServerTarget {
        node: Arc::clone(&peer.host),
        host: Arc::clone(&peer.host),
        port: peer.port,
        user: Arc::from(""),
        database: Arc::from(""),
        secret: None,
        tls: generation.server_tls.clone(),
        connect_timeout: config.server_connect_timeout,
        socket: SocketOptions::from(&**config),
        parameters: Arc::from([]),
    };
    send(&target, pid, key, config.cancel_wait_timeout).await;
}

async fn send(target: &ServerTarget, pid: u32, key: &[u8], wait: Duration) {
    let limit = if wait.is_zero() { WAIT_MAX } else { wait };
    if !matches!(timeout(limit, cancel(target, pid, key)).await, Ok(Ok(()))) {
        tracing::warn!(node = &*target.node, "a cancel request did not arrive");
    }
}

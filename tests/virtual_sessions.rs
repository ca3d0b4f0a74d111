//! In transaction mode a session is what it would be on a connection of its own.

mod begin;
mod described;
mod listen;
mod pins;
mod schema;
mod sequences;
mod settings;
mod statements;

use howdah::demo::ProxyConfig;
use howdah_tests::{
    Proxy,
    clients::{ask, connect},
    shared_cluster,
};
use tokio_postgres::Client;

/// Transaction mode with that many servers to a pool, so that sessions share them.
fn proxy(servers: usize, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Proxy {
    Proxy::start(shared_cluster(), |config| {
        let config = config.without_router().set("pool_mode", "\"transaction\"");
        change(config.set("default_pool_size", &servers.to_string()))
    })
}

async fn client(proxy: &Proxy) -> Client {
    connect(proxy.port(), "postgres").await
}

/// Has another client use the server that the first one had.
async fn disturb(other: &Client) {
    ask(other, "BEGIN").await.unwrap();
    ask(other, "SELECT 1").await.unwrap();
    ask(other, "COMMIT").await.unwrap();
}

/// The server processes on which statements of the client run, one after the other.
async fn pid(client: &Client) -> String {
    ask(client, "SELECT pg_backend_pid()").await.unwrap()
}

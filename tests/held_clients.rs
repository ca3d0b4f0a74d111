//! Clients outlive the loss of their primary: they wait for the next one, and what is lost is told once.

mod lost;
mod resolved;
mod unacknowledged;
mod waiting;

use howdah::demo::{ClusterOptions, PgCluster, ProxyConfig, Synchronous, wait};
use howdah_tests::{PATIENCE, Proxy, raw::Message};

/// A primary and a standby of one's own, whose commits wait for the standby: nothing that was acknowledged is lost.
fn synchronous() -> PgCluster {
    let options = ClusterOptions { standbys: 1, sync: Synchronous::First(1), durable: true, ..Default::default() };
    PgCluster::start(options).unwrap()
}

/// A proxy whose clients wait for a new primary, which the test promotes.
fn healing(cluster: &PgCluster, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Proxy {
    Proxy::start(cluster, |config| {
        let config = config.in_cluster("failover", "\"external\"").without_router();
        change(config.set("pool_mode", "\"transaction\"").set("probe_timeout", "\"500ms\""))
    })
}

/// Makes the first standby the primary.
fn promote(cluster: &PgCluster) {
    cluster.standbys()[0].psql("SELECT pg_promote()").unwrap();
}

fn until_console_says(proxy: &Proxy, what: &str, holds: impl Fn(&str) -> bool) {
    let mut last = String::new();
    let said = wait::until(PATIENCE, || {
        last = proxy.console().ask(what).unwrap();
        holds(&last).then_some(())
    });
    said.unwrap_or_else(|| panic!("{what}: {last}"));
}

/// Until so many clients wait.
fn until_waiting(proxy: &Proxy, clients: usize) {
    until_console_says(proxy, "SHOW CLIENTS", |shown| shown.matches("waiting").count() == clients);
}

/// The SQLSTATE of the error among messages, and the state in which they leave the session.
fn told(messages: &[Message]) -> (String, String) {
    let errors: Vec<_> = messages.iter().filter(|message| message.tag == 'E').map(Message::sqlstate).collect();
    let state = messages.last().filter(|last| last.tag == 'Z').map(|last| String::from_utf8_lossy(&last.body).into());
    (errors.join(" "), state.unwrap_or_default())
}

fn error(sqlstate: &str, state: &str) -> (String, String) {
    (sqlstate.to_owned(), state.to_owned())
}

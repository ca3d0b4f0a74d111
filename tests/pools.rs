//! Pools keep their limits, sessions keep what is theirs, and nobody pays for another's trouble.

mod cancels;
mod limits;
mod operators;
mod protocol;
mod quotas;
mod vanishing;

use howdah::demo::{ProxyConfig, wait};
use howdah_tests::{PATIENCE, Proxy, shared_cluster};

/// Transaction mode, everything to the primary, so many servers.
fn small(servers: usize) -> impl FnOnce(ProxyConfig) -> ProxyConfig {
    move |config| {
        let config = config.without_router().set("pool_mode", "\"transaction\"");
        config.set("default_pool_size", &servers.to_string())
    }
}

fn proxy(servers: usize, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Proxy {
    Proxy::start(shared_cluster(), |config| change(small(servers)(config)))
}

/// Waits until the primary's answer is this.
fn until_primary_says(sql: &str, answer: &str) {
    let primary = shared_cluster().primary();
    let mut last = String::new();
    let said = wait::until(PATIENCE, || {
        last = primary.psql(sql).unwrap();
        (last == answer).then_some(())
    });
    said.unwrap_or_else(|| panic!("{sql}: {last}, never {answer}"));
}

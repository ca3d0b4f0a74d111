//! A worker's housekeeping: time limits of its clients, age and health of its servers.

use std::{rc::Rc, sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    clock::Moment,
    config::Config,
    session::info::{ClientInfo, ClientState, Order},
    worker::Worker,
};

/// How often servers are looked after.
const SERVERS_EVERY: Duration = Duration::from_secs(1);

/// Time limits are kept to about this.
const CLIENTS_EVERY: Duration = Duration::from_millis(100);

/// Looks after one worker's share for as long as the proxy runs.
pub async fn upkeep(worker: Rc<Worker>) {
    let mut ticks = interval(CLIENTS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut servers_at = Instant::now();
    loop {
        let now = ticks.tick().await;
        let config = std::sync::Arc::clone(&worker.shared.generation.load().config);
        if has_limits(&config) {
            keep_limits(&worker, &config);
        }
        if now >= servers_at {
            servers_at = now + SERVERS_EVERY;
            count(&worker, now, config.stats_period);
            if worker.id == 0 {
                worker.shared.lookups.close_idle();
            }
            for set in worker.shared.registry.sets() {
                let in_use = set.shared.clients.load(Relaxed) > 0;
                for pool in &set.pools {
                    pool.upkeep(worker.id, now, in_use);
                }
            }
        }
    }
}

/// Hands on what the worker has counted by itself; the first worker samples all counters.
fn count(worker: &Worker, now: Instant, period: Duration) {
    let shared = &worker.shared;
    let (hits, misses) = worker.plans.borrow_mut().take_counts();
    shared.counters.plan_hits.fetch_add(hits, Relaxed);
    shared.counters.plan_misses.fetch_add(misses, Relaxed);
    if worker.id == 0 {
        shared.averages.sample(now, period, || shared.registry.totals());
    }
}

fn has_limits(config: &Config) -> bool {
    let limits = [
        config.client_idle_timeout,
        config.idle_transaction_timeout,
        config.pin_timeout,
        config.query_timeout,
        config.transaction_timeout,
    ];
    limits.iter().any(|limit| !limit.is_zero())
}

fn keep_limits(worker: &Worker, config: &Config) {
    let now = Moment::now().micros();
    for client in worker.shared.clients.list() {
        if usize::from(client.worker) == worker.id
            && !client.console
            && let Some(order) = overdue(&client, config, now)
        {
            client.order(order);
        }
    }
}

/// The limit that a client has overstepped.
fn overdue(client: &ClientInfo, config: &Config, now: u64) -> Option<Order> {
    let (state, since) = client.state();
    let over =
        |limit: Duration, since: u64| !limit.is_zero() && u128::from(now.saturating_sub(since)) >= limit.as_micros();
    let transaction = client.transaction_since();
    if transaction > 0 && over(config.transaction_timeout, transaction) {
        return Some(Order::Transaction);
    }
    match state {
        ClientState::Idle if !client.pins().0.is_none() && over(config.pin_timeout, since) => Some(Order::Pin),
        ClientState::Idle => over(config.client_idle_timeout, since).then_some(Order::Idle),
        ClientState::IdleInTransaction => {
            over(config.idle_transaction_timeout, since).then_some(Order::IdleTransaction)
        }
        ClientState::Active => over(config.query_timeout, since).then_some(Order::Query),
        ClientState::Waiting => None,
    }
}

//! A worker's housekeeping: time limits of its clients, age and health of its servers.

use std::{collections::HashMap, rc::Rc, sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    clock::Moment,
    config::{Config, User},
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
        TimeLimits::of(&config).keep(&worker);
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

/// The time limits of one user's clients; zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    idle: Duration,
    idle_transaction: Duration,
    pin: Duration,
    query: Duration,
    transaction: Duration,
}

impl Limits {
    /// The user's own, where it has some, otherwise the general ones.
    fn of(config: &Config, user: Option<&User>) -> Self {
        let own = |limit: fn(&User) -> Option<Duration>| user.and_then(limit);
        Self {
            idle: own(|user| user.client_idle_timeout).unwrap_or(config.client_idle_timeout),
            idle_transaction: own(|user| user.idle_transaction_timeout).unwrap_or(config.idle_transaction_timeout),
            pin: config.pin_timeout,
            query: own(|user| user.query_timeout).unwrap_or(config.query_timeout),
            transaction: own(|user| user.transaction_timeout).unwrap_or(config.transaction_timeout),
        }
    }

    fn are_none(&self) -> bool {
        [self.idle, self.idle_transaction, self.pin, self.query, self.transaction].iter().all(Duration::is_zero)
    }
}

/// The time limits of all clients.
struct TimeLimits<'a> {
    general: Limits,
    /// Of users for whom something else counts.
    own: HashMap<&'a str, Limits>,
}

impl<'a> TimeLimits<'a> {
    fn of(config: &'a Config) -> Self {
        let general = Limits::of(config, None);
        let own = config.users.iter().map(|(name, user)| (name.as_str(), Limits::of(config, Some(user))));
        Self { general, own: own.filter(|(_, limits)| *limits != general).collect() }
    }

    fn keep(&self, worker: &Worker) {
        if self.general.are_none() && self.own.is_empty() {
            return;
        }
        let now = Moment::now().micros();
        for client in worker.shared.clients.list() {
            if usize::from(client.worker) == worker.id
                && !client.console
                && let Some(order) = overdue(&client, self.of_user(&client.user), now)
            {
                client.order(order);
            }
        }
    }

    fn of_user(&self, user: &str) -> Limits {
        self.own.get(user).copied().unwrap_or(self.general)
    }
}

/// The limit that a client has overstepped.
fn overdue(client: &ClientInfo, limits: Limits, now: u64) -> Option<Order> {
    let (state, since) = client.state();
    let over =
        |limit: Duration, since: u64| !limit.is_zero() && u128::from(now.saturating_sub(since)) >= limit.as_micros();
    let transaction = client.transaction_since();
    if transaction > 0 && over(limits.transaction, transaction) {
        return Some(Order::Transaction);
    }
    match state {
        ClientState::Idle if !client.pins().0.of_loss().is_none() && over(limits.pin, since) => Some(Order::Pin),
        ClientState::Idle => over(limits.idle, since).then_some(Order::Idle),
        ClientState::IdleInTransaction => over(limits.idle_transaction, since).then_some(Order::IdleTransaction),
        ClientState::Active => over(limits.query, since).then_some(Order::Query),
        ClientState::Waiting => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_users_own_limits_replace_the_general_ones_also_by_none() {
        let seconds = Duration::from_secs;
        let own = User { query_timeout: Some(seconds(1)), client_idle_timeout: Some(seconds(0)), ..User::default() };
        let config = Config {
            query_timeout: seconds(5),
            client_idle_timeout: seconds(6),
            users: [("ann".to_owned(), Arc::new(own)), ("bob".to_owned(), Arc::default())].into(),
            ..Config::default()
        };

        let limits = TimeLimits::of(&config);

        let of_user = |user| (limits.of_user(user).query, limits.of_user(user).idle);
        assert_eq!(of_user("ann"), (seconds(1), seconds(0)));
        assert_eq!(of_user("bob"), (seconds(5), seconds(6)));
        assert_eq!(of_user("carl"), (seconds(5), seconds(6)));
        assert_eq!(limits.own.len(), 1, "only those are kept who differ");
        assert!(TimeLimits::of(&Config::default()).general.are_none());
    }
}

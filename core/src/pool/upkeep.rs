//! Closes servers that are too old, idle for too long or broken, and keeps the minimum open.

use std::sync::Arc;

use tokio::time::Instant;

use super::Pool;
use crate::clock::Moment;

impl Pool {
    /// One round of upkeep, by one worker for its own servers. `in_use` says that clients of the
    /// pool are connected, so that `min_pool_size` applies.
    pub fn upkeep(self: &Arc<Self>, worker: usize, now: Instant, in_use: bool) {
        let limits = self.limits().clone();
        let moment = Moment::now();
        let mut closing = Vec::new();
        let mut line = self.lock();
        line.failing_since = line.failing_since.filter(|since| now - *since < limits.login_retry);
        let mut spare = line.open.saturating_sub(limits.min_size);
        if let Some(idle) = line.idle.get_mut(worker) {
            let mut kept = Vec::with_capacity(idle.len());
            for mut server in idle.drain(..) {
                let idle_for = moment.since(server.idle_since);
                let age = moment.since(server.born);
                let expired = !limits.lifetime.is_zero() && age >= limits.lifetime;
                let unused = !limits.idle_timeout.is_zero() && idle_for >= limits.idle_timeout && spare > 0;
                if unused {
                    spare -= 1;
                }
                if expired || unused || !server.is_quiet() {
                    closing.push(server);
                } else {
                    kept.push(server);
                }
            }
            *idle = kept;
        }
        line.forget_the_gone();
        let short = in_use && line.open < limits.min_size;
        drop(line);
        drop(closing);
        if short {
            self.open_spare();
        }
        self.ask_again();
    }
}

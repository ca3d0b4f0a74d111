//! Brings servers back into order after a session, off the session's own path.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    clock::Moment,
    config::Config,
    pool::Lease,
    server::{RunError, cancel::cancel},
    wire::reply::TxStatus,
};

/// Longest time that a server may take to roll back or reset before it is closed.
const CLEAN_UP_MAX: Duration = Duration::from_secs(10);

/// Rolls back and, with `reset`, runs `server_reset_query`, then gives the server back.
pub(super) fn clean_up(lease: Lease, reset: bool, config: Arc<Config>) {
    let always = config.server_reset_query_always;
    let wants_reset = (reset || always) && !config.server_reset_query.is_empty();
    if lease.status == TxStatus::Idle && !wants_reset {
        lease.give_back(Moment::now());
        return;
    }
    tokio::spawn(async move {
        let mut lease = lease;
        let cleaned = timeout(CLEAN_UP_MAX, async {
            if lease.status != TxStatus::Idle {
                lease.run("ROLLBACK").await?;
            }
            if wants_reset {
                lease.run(&config.server_reset_query).await?;
                lease.forget_session();
            }
            Ok::<(), RunError>(())
        });
        // A server that can't be cleaned is closed by dropping it.
        if matches!(cleaned.await, Ok(Ok(()))) {
            lease.give_back(Moment::now());
        }
    });
}

/// Cancels what a vanished client left running and closes the server.
pub(super) fn abandon(lease: Lease) {
    let info = Arc::clone(&lease.info);
    tokio::spawn(async move {
        let guard = info.begin_cancel();
        let _ = timeout(CLEAN_UP_MAX, cancel(&info.target, info.pid, &info.key)).await;
        drop(guard);
        // The connection is closed only now, so that the process id cannot belong to another yet.
        drop(lease);
    });
}

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

/// What a server needs before somebody else may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// Nothing was left on it.
    Nothing,
    /// What the operator wants at the end of a client's stay: `server_reset_query`.
    Configured,
    /// Something is left that nobody else may see, whatever the operator wants.
    Everything,
}

/// Rolls back and resets, then gives the server back.
pub(super) fn clean_up(lease: Lease, reset: Reset, config: &Config) {
    let query = match reset {
        Reset::Everything => "DISCARD ALL",
        Reset::Configured => &config.server_reset_query,
        Reset::Nothing if config.server_reset_query_always => &config.server_reset_query,
        Reset::Nothing => "",
    };
    if lease.status == TxStatus::Idle && query.is_empty() {
        lease.give_back(Moment::now());
        return;
    }
    let query = query.to_owned();
    tokio::spawn(async move {
        let mut lease = lease;
        let cleaned = timeout(CLEAN_UP_MAX, async {
            if lease.status != TxStatus::Idle {
                lease.run("ROLLBACK").await?;
            }
            if !query.is_empty() {
                lease.run(&query).await?;
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

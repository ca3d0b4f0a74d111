//! What signals mean: PgBouncer's meanings.
//!
//! SIGHUP reloads; SIGTERM waits for clients and SIGINT for servers, the second of either ends at
//! once; SIGQUIT ends at once; SIGUSR1 pauses, SIGUSR2 resumes.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use crate::{operate::Ending, session::info::Order, shutdown::Phase, worker::Shared};

/// How long clients that are told to leave at once get to hear it.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Obeys signals for as long as the proxy runs.
pub async fn obey(shared: Arc<Shared>) {
    let kinds = [
        SignalKind::hangup(),
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ];
    let mut signals = Vec::new();
    for kind in kinds {
        match signal(kind) {
            Ok(signal) => signals.push(signal),
            Err(error) => {
                tracing::error!(%error, "could not listen to signals");
                return;
            }
        }
    }
    let [hangup, terminate, interrupt, quit, pause, resume] = signals.as_mut_slice() else { return };
    loop {
        tokio::select! {
            Some(()) = hangup.recv() => {
                notify_reloading();
                // The outcome has been logged.
                let _ = shared.commands.reload("SIGHUP").await;
                notify("READY=1");
            }
            Some(()) = terminate.recv() => return leave(&shared, terminate, Ending::ClientsGone).await,
            Some(()) = interrupt.recv() => return leave(&shared, interrupt, Ending::TransactionsOver).await,
            Some(()) = quit.recv() => return end_now(&shared).await,
            Some(()) = pause.recv() => {
                let paused = shared.registry.pause(None);
                debug_assert!(paused.is_ok(), "only databases that are paused by name are bounded");
            }
            Some(()) = resume.recv() => {
                shared.registry.resume(None);
            }
        }
    }
}

async fn leave(shared: &Arc<Shared>, again: &mut Signal, when: Ending) {
    tokio::select! {
        () = shut_down(shared, when) => {}
        _ = again.recv() => end_now(shared).await,
    }
}

/// Ends the proxy as an operator asked.
pub async fn end(shared: Arc<Shared>, ending: Ending) {
    match ending {
        Ending::Now => end_now(&shared).await,
        ending => shut_down(&shared, ending).await,
    }
}

/// Takes no new clients, waits as asked (and as long as `shutdown_timeout` allows), then ends.
pub async fn shut_down(shared: &Arc<Shared>, when: Ending) {
    notify("STOPPING=1");
    tracing::info!(?when, "shutting down");
    shared.end(Phase::Leaving);
    let limit = shared.generation.load().config.shutdown_timeout;
    let limit = if limit.is_zero() { Duration::MAX } else { limit };
    let gone = timeout(limit, async {
        loop {
            let left = shared.client_left.notified();
            if when == Ending::TransactionsOver {
                shared.clients.list().iter().for_each(|client| client.order(Order::Leave));
            }
            // An operator may watch to the end.
            if shared.clients.list().iter().all(|client| client.console) {
                return;
            }
            left.await;
        }
    });
    if gone.await.is_err() {
        tracing::warn!("shutdown_timeout has passed");
    }
    end_now(shared).await;
}

/// Sends everybody away and ends.
pub async fn end_now(shared: &Arc<Shared>) {
    shared.end(Phase::Leaving);
    shared.clients.list().iter().for_each(|client| client.order(Order::Kill));
    let gone = async {
        loop {
            let left = shared.client_left.notified();
            if shared.clients.list().is_empty() {
                return;
            }
            left.await;
        }
    };
    // A client that does not take its farewell is no reason to stay.
    let _ = timeout(LAST_WORDS, gone).await;
    shared.end(Phase::Now);
}

/// Tells systemd, if it is there.
/// <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>
pub fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| send_to(&socket, &path, state));
    if let Err(error) = told {
        tracing::warn!(%error, "could not notify the service manager");
    }
}

fn send_to(socket: &std::os::unix::net::UnixDatagram, path: &std::ffi::OsStr, state: &str) -> std::io::Result<usize> {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, net::SocketAddr},
    };
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.send_to_addr(state.as_bytes(), &SocketAddr::from_abstract_name(name)?),
        None => socket.send_to(state.as_bytes(), path),
    }
}

/// A reload has begun, on the clock that the service manager reads.
fn notify_reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

//! Accepts clients, has them greeted, and hands each over to its session.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use crate::{
    auth_query::AuthQuery,
    cancels,
    client::{ClientHello, Greeted, HandshakeContext, Lookup, Refusal, handshake},
    generation::Generation,
    net::{listener::Listener, stream::Stream},
    session::start,
    shutdown::Shutdown,
    wire::sqlstate::SqlState,
    worker::Worker,
};

/// How long accepting rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Accepts clients of one listener until the proxy takes no more.
pub async fn accept(worker: Rc<Worker>, listener: Listener, shutdown: Shutdown) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.no_more_clients() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                worker.shared.counters.accepted.fetch_add(1, Relaxed);
                tokio::task::spawn_local(greet(Rc::clone(&worker), stream));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a client");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// From a connection's first byte to its session, which runs in a task of its own, so that what a
/// login needs is not kept for as long as the client stays.
async fn greet(worker: Rc<Worker>, stream: Stream) {
    let shared = Arc::clone(&worker.shared);
    let generation = shared.generation.load_full();
    let counted = shared.clients.admit(generation.config.max_client_conn);
    let refusal = refusal(&worker, counted);
    let secrets = generation.config.auth_file.is_some().then_some(&*generation.secrets);
    let lookup = AuthQuery::new(&shared.lookups, &generation, worker.id);
    let context = HandshakeContext {
        auth_type: generation.config.auth_type,
        hba: &generation.config.hba,
        secrets,
        lookup: lookup.as_ref().map(|lookup| lookup as &dyn Lookup),
        admin_users: &generation.config.admin_users,
        stats_users: &generation.config.stats_users,
        ignored: &generation.config.ignore_startup_parameters,
        tls: generation.client_tls.as_ref(),
        login_timeout: generation.config.client_login_timeout,
        refusal: refusal.as_ref(),
    };
    match handshake(stream, &context).await {
        Ok(Greeted::Client(hello)) => {
            start_session(worker, generation, hello, counted).await;
            return;
        }
        Ok(Greeted::Cancel { pid, key, stream }) => {
            cancels::pass_on(&worker, &generation, pid, &key).await;
            drop(stream);
        }
        Err(error) => {
            shared.counters.failed_logins.fetch_add(1, Relaxed);
            if generation.config.log_pooler_errors {
                tracing::info!(%error, "a client did not log in");
            }
        }
    }
    if counted {
        shared.clients.dismiss();
    }
}

fn refusal(worker: &Worker, counted: bool) -> Option<Refusal> {
    if worker.shared.is_leaving() {
        let message = "the proxy is shutting down".into();
        Some(Refusal { sqlstate: SqlState::ADMIN_SHUTDOWN, message })
    } else if counted {
        None
    } else {
        let message = "no more connections allowed (max_client_conn)".into();
        Some(Refusal { sqlstate: SqlState::TOO_MANY_CONNECTIONS, message })
    }
}

async fn start_session(worker: Rc<Worker>, generation: Arc<Generation>, hello: Box<ClientHello>, counted: bool) {
    let shared = Arc::clone(&worker.shared);
    if hello.console.is_some() {
        crate::admin::serve(worker, *hello).await;
    } else if let Some((session, places)) = Box::pin(start::start(worker, generation, hello)).await {
        tokio::task::spawn_local(async move {
            let info = Arc::clone(session.info());
            let ended = session.serve().await;
            drop(places);
            log_end(&shared, &info, &ended);
            shared.clients.dismiss();
            shared.client_left.notify_waiters();
        });
        return;
    }
    if counted {
        shared.clients.dismiss();
    }
    shared.client_left.notify_waiters();
}

fn log_end(
    shared: &crate::worker::Shared,
    info: &crate::session::info::ClientInfo,
    ended: &Result<crate::session::Farewell, crate::session::error::SessionError>,
) {
    let config = &shared.generation.load().config;
    match ended {
        Err(error) if config.log_pooler_errors && error.reaches_client() => {
            tracing::info!(user = &*info.user, database = &*info.database, from = %info.address, error = error.told(), "session failed");
        }
        _ if config.log_disconnections => {
            tracing::info!(user = &*info.user, database = &*info.database, from = %info.address, "client left");
        }
        _ => {}
    }
}

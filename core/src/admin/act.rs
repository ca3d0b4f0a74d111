//! Commands that change something, with PgBouncer's meaning where PgBouncer has them.

use std::{fmt::Display, time::Duration};

use tokio::time::timeout;

use super::{command::Command, complaint::Complaint, execute::Answer};
use crate::{
    client::handshake::CONSOLE_DATABASES,
    config,
    operate::ClusterOrder,
    pool::{registry::database_entry, server_closed},
    session::info::Order,
    worker::Shared,
};

/// How often a wait for servers looks again though none has been closed: a cancel request on its
/// way keeps what is known of a server a little longer than the server.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Obeys a command that changes something.
pub(super) async fn run(shared: &Shared, command: &Command) -> Result<Answer, Complaint> {
    tracing::info!(?command, "console");
    match command {
        Command::Reload => reload(shared).await,
        Command::Rollback(to) => rollback(shared, *to).await,
        Command::Pause(database) => pause(shared, database.as_deref()).await,
        Command::Resume(database) => resume(shared, database.as_deref()),
        Command::Reconnect(database) => {
            check(shared, database.as_deref())?;
            shared.registry.reconnect(database.as_deref());
            Ok(Answer::done("RECONNECT"))
        }
        Command::Kill(database) => kill(shared, database.as_deref()),
        Command::KillClient(id) => kill_client(shared, *id),
        Command::WaitClose(database) => {
            check(shared, database.as_deref())?;
            wait_until(|| !shared.registry.has_old_servers(database.as_deref())).await;
            Ok(Answer::done("WAIT_CLOSE"))
        }
        Command::Disable(database) => set_disabled(shared, database, true),
        Command::Enable(database) => set_disabled(shared, database, false),
        Command::Suspend => Err(Complaint::Unsupported("SUSPEND", "PAUSE holds clients; nothing is buffered here.")),
        Command::Shutdown(ending) => Ok(Answer { then: Some(*ending), ..Answer::done("SHUTDOWN") }),
        Command::Detach(node) => of_node("DETACH NODE", shared.commands.detach(node).await),
        Command::Attach(node) => of_node("ATTACH NODE", shared.commands.attach(node).await),
        Command::Steer { cluster, order } => steer(shared, cluster.as_deref(), order).await,
        other => unreachable!("{other:?} changes nothing"),
    }
}

async fn steer(shared: &Shared, cluster: Option<&str>, order: &ClusterOrder) -> Result<Answer, Complaint> {
    let command = match order {
        ClusterOrder::Switchover { .. } => "SWITCHOVER",
        ClusterOrder::Failover { .. } => "FAILOVER",
        ClusterOrder::Rejoin { .. } => "REJOIN",
        ClusterOrder::Reinit { .. } => "REINIT",
        ClusterOrder::PauseFailover => "PAUSE FAILOVER",
        ClusterOrder::ResumeFailover => "RESUME FAILOVER",
    };
    match shared.commands.steer(cluster, order.clone()).await {
        Ok(done) => Ok(Answer::done(command).noting(done)),
        Err(cause) => Err(Complaint::Cluster { command, cause }),
    }
}

async fn reload(shared: &Shared) -> Result<Answer, Complaint> {
    let before = shared.generation.load_full();
    let number = shared.commands.reload("RELOAD").await.map_err(|cause| refused("RELOAD", &cause))?;
    let after = shared.generation.load_full();
    let mut answer = Answer::done("RELOAD").noting(format!("generation {number} is running"));
    for key in config::restart_needed(&before.config, &after.config) {
        answer = answer.noting(format!("\"{key}\" takes effect at the next start"));
    }
    Ok(answer)
}

async fn rollback(shared: &Shared, to: Option<u64>) -> Result<Answer, Complaint> {
    let number = shared.commands.rollback(to).await.map_err(|cause| refused("ROLLBACK", &cause))?;
    Ok(Answer::done("ROLLBACK").noting(format!("generation {number} is running")))
}

/// The first line is the message, the others are its detail.
fn refused(command: &'static str, cause: &str) -> Complaint {
    let (cause, more) = cause.split_once('\n').unwrap_or((cause, ""));
    Complaint::Configuration { command, cause: cause.to_owned(), more: more.to_owned() }
}

async fn pause(shared: &Shared, database: Option<&str>) -> Result<Answer, Complaint> {
    check(shared, database)?;
    if shared.registry.is_paused() {
        return Err(Complaint::AlreadyPaused);
    }
    shared.registry.pause(database)?;
    wait_until(|| shared.registry.is_empty_of_servers(database)).await;
    Ok(Answer::done("PAUSE"))
}

fn resume(shared: &Shared, database: Option<&str>) -> Result<Answer, Complaint> {
    if shared.is_leaving() {
        return Err(Complaint::ShuttingDown);
    }
    check(shared, database)?;
    if shared.registry.resume(database) {
        return Ok(Answer::done("RESUME"));
    }
    Err(match database {
        Some(database) => Complaint::DatabaseNotPaused(database.to_owned()),
        None => Complaint::NotPaused { paused: shared.registry.paused().iter().map(ToString::to_string).collect() },
    })
}

fn kill(shared: &Shared, database: Option<&str>) -> Result<Answer, Complaint> {
    check(shared, database)?;
    if shared.registry.is_paused() {
        return Err(Complaint::AlreadyPaused);
    }
    // Paused first, so that what the clients leave behind is closed and not lent again.
    shared.registry.pause(database)?;
    let concerned = |name: &str| database.is_none_or(|database| database == name);
    for client in shared.clients.list() {
        if !client.console && concerned(&client.database) {
            client.order(Order::Kill);
        }
    }
    Ok(Answer::done("KILL"))
}

fn kill_client(shared: &Shared, id: u64) -> Result<Answer, Complaint> {
    let client = u32::try_from(id).ok().and_then(|id| shared.clients.find(id)).ok_or(Complaint::NoSuchClient)?;
    client.order(Order::Kill);
    Ok(Answer::done("KILL_CLIENT"))
}

fn set_disabled(shared: &Shared, database: &str, disabled: bool) -> Result<Answer, Complaint> {
    check(shared, Some(database))?;
    shared.registry.set_disabled(database, disabled)?;
    Ok(Answer::done(if disabled { "DISABLE" } else { "ENABLE" }))
}

fn of_node(command: &'static str, outcome: Result<(), impl Display>) -> Result<Answer, Complaint> {
    match outcome {
        Ok(()) => Ok(Answer::done(command)),
        Err(cause) => Err(Complaint::Node { command, cause: cause.to_string() }),
    }
}

/// A database that clients may ask for.
fn check(shared: &Shared, database: Option<&str>) -> Result<(), Complaint> {
    let Some(database) = database else { return Ok(()) };
    let generation = shared.generation.load();
    let is_known = database_entry(&generation.config, database).is_some() && !CONSOLE_DATABASES.contains(&database);
    if is_known { Ok(()) } else { Err(Complaint::NoSuchDatabase(database.to_owned())) }
}

async fn wait_until(done: impl Fn() -> bool) {
    loop {
        let closed = server_closed();
        if done() {
            return;
        }
        let _ = timeout(LOOK_AGAIN, closed).await;
    }
}

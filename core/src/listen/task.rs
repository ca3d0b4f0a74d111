//! Keeps the hub's connection: to the primary, wherever that is, for as long as somebody listens.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{
    Hub, Primary,
    mailbox::{Notification, Parcel},
    push_command,
    table::Due,
};
use crate::{
    server::{
        ConnectError, ServerTarget,
        simple::{ControlSession, News, QueryError},
    },
    wire::reply,
};

/// Rest after a first failure to connect; doubles with each that follows.
const REST_MIN: Duration = Duration::from_millis(50);
/// Longest rest: after a failover nobody waits longer than this for the new primary.
const REST_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether the primary is still where the connection goes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long nothing may be heard before the server is asked whether it still lives.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// How long a connection that nobody needs is kept for who comes next.
const UNUSED_MAX: Duration = Duration::from_secs(30);

/// Said first on each connection. It is idle most of the time, which must not end it; PostgreSQL 13 has no
/// such limit yet.
const HELLO: &str = "SET application_name = 'howdah-listen'; SELECT pg_catalog.set_config(name, '0', false) \
    FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'";

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("nobody listens any more")]
    Unused,
    #[error("the primary is elsewhere")]
    Moved,
    #[error("no primary is known")]
    NoPrimary,
    #[error("could not connect")]
    Connect(#[from] ConnectError),
    #[error("the connection broke")]
    Query(#[from] QueryError),
    #[error("the server does not answer")]
    Silent,
}

/// Keeps the connection until nobody listens any more.
pub(super) async fn keep(hub: Arc<Hub>, primary: Arc<dyn Primary>) {
    let mut rest = REST_MIN;
    while !may_leave(&hub) {
        let began = Instant::now();
        let Err(ended) = connect(&hub, &*primary).await;
        match ended {
            Ended::Unused | Ended::Moved => rest = REST_MIN,
            ended => {
                if began.elapsed() > REST_MAX {
                    rest = REST_MIN;
                }
                if rest == REST_MIN {
                    tracing::warn!(error = %told(&ended), "the connection that listens has ended");
                }
                tokio::time::sleep(rest).await;
                rest = (rest * 2).min(REST_MAX);
            }
        }
    }
}

/// Whether the task may end; whoever comes next starts another.
fn may_leave(hub: &Hub) -> bool {
    let mut table = hub.table();
    let idle = table.is_idle();
    table.kept &= !idle;
    idle
}

fn told(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", told(cause)))
}

/// One connection, from its login to its end.
async fn connect(hub: &Hub, primary: &dyn Primary) -> Result<std::convert::Infallible, Ended> {
    let target = primary.target().ok_or(Ended::NoPrimary)?;
    let mut session = ControlSession::connect(&target).await?;
    ask(&mut session, HELLO).await?;
    tracing::debug!(node = &*target.node, pid = session.pid(), "listens");
    hub.table().connect(session.parameter("client_encoding").unwrap_or_default());
    let ended = serve(hub, primary, &target, &mut session).await;
    hub.lose();
    ended
}

async fn serve(
    hub: &Hub,
    primary: &dyn Primary,
    target: &ServerTarget,
    session: &mut ControlSession,
) -> Result<std::convert::Infallible, Ended> {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard_at, mut used_at) = (Instant::now(), Instant::now());
    loop {
        let due = hub.table().due();
        if due != Due::default() {
            ask(session, &due.sql()).await?;
            hub.confirm(&due.listen);
            heard_at = Instant::now();
            continue;
        }
        if let Some(asked) = hub.asked() {
            // What was committed before is in front of the answer.
            ask(session, "").await?;
            while let Some(news) = session.heard() {
                tell(hub, news);
            }
            hub.answer(asked);
            heard_at = Instant::now();
            continue;
        }
        tokio::select! {
            news = session.news() => {
                heard_at = Instant::now();
                tell(hub, news?);
            }
            () = hub.wanted.notified() => {}
            now = looks.tick() => {
                if !hub.table().is_idle() {
                    used_at = now;
                } else if now - used_at >= UNUSED_MAX {
                    return Err(Ended::Unused);
                }
                if primary.target().is_some_and(|newer| !is_same_node(&newer, target)) {
                    return Err(Ended::Moved);
                }
                if now - heard_at >= SILENCE_MAX {
                    ask(session, "").await?;
                    heard_at = now;
                }
            }
        }
    }
}

async fn ask(session: &mut ControlSession, sql: &str) -> Result<(), Ended> {
    timeout(ANSWER_MAX, session.query(sql)).await.map_err(|_| Ended::Silent)??;
    Ok(())
}

fn is_same_node(a: &ServerTarget, b: &ServerTarget) -> bool {
    (&a.host, a.port, &a.user, &a.database) == (&b.host, b.port, &b.user, &b.database)
}

fn tell(hub: &Hub, news: News) {
    if let News::Notification { pid, channel, payload } = news {
        hand_out(hub, pid, &channel, &payload);
    }
}

/// Encodes a notification once, for all who want it.
fn hand_out(hub: &Hub, pid: u32, channel: &str, payload: &[u8]) {
    let Some((channel, mailboxes)) = hub.table().subscribers(channel) else { return };
    let mut message = Vec::new();
    reply::notification(&mut message, pid, &channel, payload);
    let heard = Arc::new(Notification { channel, message: message.into() });
    for mailbox in mailboxes {
        mailbox.put(Parcel::Notification(Arc::clone(&heard)));
    }
}

impl Due {
    fn sql(&self) -> String {
        let mut sql = String::new();
        self.unlisten.iter().for_each(|channel| push_command(&mut sql, "UNLISTEN", channel));
        self.listen.iter().for_each(|channel| push_command(&mut sql, "LISTEN", channel));
        sql
    }
}

//! SHOW PINS: which sessions keep their server, and what for.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Column, Context, Row, Type};
use crate::{
    admin::{table::Value, time},
    clock::Moment,
    server::info::ServerInfo,
    session::info::ClientInfo,
};

pub(super) const COLUMNS: [Column; 9] = [
    ("id", Type::Int8),
    ("user", Type::Text),
    ("database", Type::Text),
    ("application_name", Type::Text),
    ("cause", Type::Text),
    ("since", Type::Text),
    ("seconds", Type::Int8),
    ("node", Type::Text),
    ("remote_pid", Type::Int4),
];

/// One row for each session, the longest first.
pub(super) fn rows(context: &Context) -> Vec<Row> {
    let servers: HashMap<u64, Arc<ServerInfo>> =
        ServerInfo::list().into_iter().map(|server| (server.id, server)).collect();
    let mut pinned: Vec<_> =
        context.worker.shared.clients.list().into_iter().filter(|client| !client.pins().0.is_none()).collect();
    pinned.sort_by_key(|client| client.pins().1);
    let now = Moment::now().micros();
    pinned.iter().map(|client| row(client, servers.get(&client.server()), now)).collect()
}

fn row(client: &ClientInfo, server: Option<&Arc<ServerInfo>>, now_micros: u64) -> Row {
    let (causes, since) = client.pins();
    let lasted = Duration::from_micros(now_micros.saturating_sub(since));
    let words: Vec<_> = causes.words().collect();
    let began = SystemTime::now().checked_sub(lasted).unwrap_or(client.connected);
    vec![
        Value::big(client.pid),
        (&client.user).into(),
        (&client.database).into(),
        (&client.application).into(),
        words.join(", ").into(),
        time::utc(began).into(),
        Value::big(lasted.as_secs()),
        server.map(|server| &server.pool.node).into(),
        server.map_or(Value::Null, |server| Value::int(server.pid)),
    ]
}

//! SHOW CLIENTS, SERVERS, SOCKETS: every connection.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Column, Context, Row, Type};
use crate::{
    admin::{table::Value, time},
    clock::Moment,
    net::stream::PeerAddr,
    server::info::ServerInfo,
    session::info::{ClientInfo, ClientState},
};

pub(super) const COLUMNS: [Column; 22] = columns();

/// Those of PgBouncer's SHOW SOCKETS: what its buffers hold. We show nothing there: an idle
/// connection has none, and a busy one's are its worker's alone.
pub(super) const SOCKET_COLUMNS: [Column; 29] = {
    let first: [Column; 22] = columns();
    let mut all = [("", Type::Int4); 29];
    let mut at = 0;
    while at < 21 {
        all[at] = first[at];
        at += 1;
    }
    all[21] = ("recv_pos", Type::Int4);
    all[22] = ("pkt_pos", Type::Int4);
    all[23] = ("pkt_remain", Type::Int4);
    all[24] = ("send_pos", Type::Int4);
    all[25] = ("send_remain", Type::Int4);
    all[26] = ("pkt_avail", Type::Int4);
    all[27] = ("send_avail", Type::Int4);
    all[28] = first[21];
    all
};

const fn columns() -> [Column; 22] {
    [
        ("type", Type::Text),
        ("user", Type::Text),
        ("database", Type::Text),
        ("replication", Type::Text),
        ("state", Type::Text),
        ("addr", Type::Text),
        ("port", Type::Int4),
        ("local_addr", Type::Text),
        ("local_port", Type::Int4),
        ("connect_time", Type::Text),
        ("request_time", Type::Text),
        ("wait", Type::Int4),
        ("wait_us", Type::Int4),
        ("close_needed", Type::Int4),
        ("ptr", Type::Text),
        ("link", Type::Text),
        ("remote_pid", Type::Int4),
        ("tls", Type::Text),
        ("application_name", Type::Text),
        ("prepared_statements", Type::Int4),
        ("id", Type::Int8),
        ("node", Type::Text),
    ]
}

/// All connections at one moment.
struct Scene {
    clients: Vec<Arc<ClientInfo>>,
    servers: Vec<Arc<ServerInfo>>,
    now: SystemTime,
    now_micros: u64,
}

impl Scene {
    fn of(context: &Context) -> Self {
        let mut clients = context.worker.shared.clients.list();
        clients.sort_by_key(|client| client.connected);
        let mut servers = ServerInfo::list();
        servers.sort_by_key(|server| server.id);
        Self { clients, servers, now: SystemTime::now(), now_micros: Moment::now().micros() }
    }

    fn clients(&self) -> Vec<Row> {
        let nodes: HashMap<u64, &Arc<str>> = self.servers.iter().map(|server| (server.id, &server.pool.node)).collect();
        self.clients.iter().map(|client| self.client(client, &nodes)).collect()
    }

    fn client(&self, client: &ClientInfo, nodes: &HashMap<u64, &Arc<str>>) -> Row {
        let (state, since) = client.state();
        let server = client.server();
        let in_state = Duration::from_micros(self.now_micros.saturating_sub(since));
        let waited = if state == ClientState::Waiting { in_state } else { Duration::ZERO };
        let requested = self.now.checked_sub(in_state).unwrap_or(self.now);
        let (address, port) = place(client.address);
        let (local_address, local_port) = place(client.local);
        vec![
            "C".into(),
            (&client.user).into(),
            (&client.database).into(),
            "none".into(),
            state.word().into(),
            address.into(),
            port,
            local_address.into(),
            local_port,
            time::utc(client.connected).into(),
            time::utc(requested).into(),
            Value::int(waited.as_secs()),
            Value::int(waited.subsec_micros()),
            Value::int(0),
            client_name(client.pid).into(),
            if server == 0 { String::new() } else { server_name(server) }.into(),
            Value::int(0),
            tls(client.tls).into(),
            (&client.application).into(),
            Value::int(client.statements()),
            Value::big(client.pid),
            nodes.get(&server).copied().into(),
        ]
    }

    fn servers(&self, context: &Context) -> Vec<Row> {
        let registry = &context.worker.shared.registry;
        let clients: HashMap<u64, &ClientInfo> =
            self.clients.iter().map(|client| (u64::from(client.pid), &**client)).collect();
        let row = |server: &Arc<ServerInfo>| {
            let client = clients.get(&server.client()).copied();
            self.server(server, client, registry.is_old(server))
        };
        self.servers.iter().map(row).collect()
    }

    fn server(&self, server: &ServerInfo, client: Option<&ClientInfo>, is_old: bool) -> Row {
        let busy = server.client() != 0;
        let state = match (busy, server.is_being_canceled()) {
            (true, _) => "active",
            (false, true) => "being_canceled",
            (false, false) => "idle",
        };
        let requested = client.map(|client| {
            let in_state = Duration::from_micros(self.now_micros.saturating_sub(client.state().1));
            self.now.checked_sub(in_state).unwrap_or(self.now)
        });
        vec![
            "S".into(),
            (&server.target.user).into(),
            (&server.pool.database).into(),
            "none".into(),
            state.into(),
            (&server.target.host).into(),
            Value::int(server.target.port),
            // Not asked of the system for each server.
            Value::Null,
            Value::Null,
            time::utc(server.connected).into(),
            time::utc(requested.unwrap_or(server.connected)).into(),
            Value::int(0),
            Value::int(0),
            Value::int(i32::from(is_old)),
            server_name(server.id).into(),
            client.map_or_else(String::new, |client| client_name(client.pid)).into(),
            Value::int(server.pid),
            tls(server.tls).into(),
            client.map_or_else(String::new, |client| client.application.to_string()).into(),
            Value::int(server.statements()),
            Value::big(server.id),
            (&server.pool.node).into(),
        ]
    }
}

/// PgBouncer shows addresses in memory; ours are names as good, which do not give the memory away.
fn client_name(pid: u32) -> String {
    format!("c{pid:x}")
}

fn server_name(id: u64) -> String {
    format!("s{id:x}")
}

fn tls(under_tls: bool) -> &'static str {
    if under_tls { "TLS" } else { "" }
}

fn place(address: PeerAddr) -> (String, Value) {
    match address {
        PeerAddr::Tcp(address) => (address.ip().to_string(), Value::int(address.port())),
        PeerAddr::Unix => ("unix".to_owned(), Value::int(0)),
        PeerAddr::Gone => (String::new(), Value::int(0)),
    }
}

pub(super) fn clients(context: &Context) -> Vec<Row> {
    Scene::of(context).clients()
}

pub(super) fn servers(context: &Context) -> Vec<Row> {
    Scene::of(context).servers(context)
}

pub(super) fn sockets(context: &Context) -> Vec<Row> {
    let scene = Scene::of(context);
    let rows = scene.clients().into_iter().chain(scene.servers(context));
    rows.map(|mut row| {
        let node = row.pop().unwrap_or(Value::Null);
        row.extend(std::iter::repeat_n(Value::Null, SOCKET_COLUMNS.len() - COLUMNS.len()));
        row.push(node);
        prefix_state(&mut row);
        row
    })
    .collect()
}

/// SOCKETS says whose state it is: `cl_active`, `sv_idle`.
fn prefix_state(row: &mut Row) {
    let prefix = if row[0] == Value::from("C") { "cl" } else { "sv" };
    if let Value::Text(state) = &mut row[4] {
        *state = format!("{prefix}_{state}");
    }
}

/// Those in whose buffers something is: here, those that work.
pub(super) fn active_sockets(context: &Context) -> Vec<Row> {
    let is_active = |row: &Row| matches!(&row[4], Value::Text(state) if state.ends_with("_active"));
    sockets(context).into_iter().filter(is_active).collect()
}

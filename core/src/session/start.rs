//! From a client that has proven who it is to its session: pools, settings, welcome.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::io::AsyncWriteExt;

use super::{
    NewSession, Session, WAIT_FOR_NODE_MAX,
    info::{CANCEL_KEY_BYTES, NewClient},
};
use crate::{
    client::{
        ClientHello,
        greet::{parameter_messages, welcome},
    },
    clock::Moment,
    generation::{ClusterRuntime, Generation},
    id::NodeId,
    net::stream::{PeerAddr, Stream},
    plugin::{Admission, input::SessionAttributes},
    pool::{PoolSet, clients::Place, registry::Welcome},
    server::{RunError, settings::Settings},
    wire::{
        reply::{self, Severity},
        sqlstate::SqlState,
    },
    worker::Worker,
};

/// Why an authenticated client is turned away.
struct TurnedAway {
    sqlstate: SqlState,
    message: String,
}

impl TurnedAway {
    fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into() }
    }
}

/// Starts the session of a client, or tells the client why not. The client's places are given up when it has left.
pub async fn start(
    worker: Rc<Worker>,
    generation: Arc<Generation>,
    hello: Box<ClientHello>,
) -> Option<(Box<Session>, [Place; 2])> {
    let mut hello = *hello;
    match prepare(&worker, &generation, &hello).await {
        Ok(ready) => enter(worker, &generation, hello, ready).await,
        Err(away) => {
            reply::error(&mut hello.out, Severity::Fatal, away.sqlstate, &away.message, "", "");
            let _ = hello.stream.write_all(&hello.out).await;
            let _ = hello.stream.shutdown().await;
            None
        }
    }
}

struct Ready {
    set: Arc<PoolSet>,
    cluster: Arc<ClusterRuntime>,
    welcome: Welcome,
    attributes: Arc<SessionAttributes>,
    places: [Place; 2],
}

async fn prepare(worker: &Worker, generation: &Generation, hello: &ClientHello) -> Result<Ready, TurnedAway> {
    if hello.replication {
        return Err(TurnedAway::new(SqlState::FEATURE_NOT_SUPPORTED, "replication connections are not supported"));
    }
    let set = worker
        .shared
        .registry
        .set(
            &generation.config,
            &hello.database,
            &hello.user,
            hello.secret.as_ref(),
            &|config, entry, database, user, node, shown| generation.target(config, entry, database, user, node, shown),
        )
        .map_err(|error| TurnedAway::new(SqlState::INVALID_CATALOG_NAME, error.to_string()))?;
    if set.shared.disabled.load(Relaxed) {
        let message = format!("database \"{}\" does not allow connections", hello.database);
        return Err(TurnedAway::new(SqlState::CANNOT_CONNECT_NOW, message));
    }
    let places = set.admit().map_err(|full| TurnedAway::new(SqlState::TOO_MANY_CONNECTIONS, full.to_string()))?;
    let cluster =
        generation.clusters.get(&set.cluster).cloned().ok_or_else(|| {
            TurnedAway::new(SqlState::INVALID_CATALOG_NAME, format!("no such cluster: {}", set.cluster))
        })?;
    let mut attributes = attributes_of(hello);
    match cluster.router.admit(&cluster.router.class(&attributes)) {
        Admission::Accept(labels) => attributes.labels = labels,
        Admission::Refuse(refusal) => {
            let sqlstate = SqlState::parse(&refusal.sqlstate).unwrap_or(SqlState::INSUFFICIENT_PRIVILEGE);
            return Err(TurnedAway::new(sqlstate, refusal.message));
        }
    }
    let attributes = Arc::new(attributes);
    let ignored = &generation.config.ignore_startup_parameters;
    let wanted = Settings::new(
        hello
            .parameters
            .iter()
            .filter(|(name, _)| !ignored.iter().any(|ignored| ignored.eq_ignore_ascii_case(name)))
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let mut welcome = match set.shared.welcome(&wanted) {
        Some(welcome) => welcome,
        None => learn_welcome(worker, &set, &cluster, wanted).await?,
    };
    if generation.config.application_name_add_host {
        welcome = with_host(welcome, hello.address);
    }
    Ok(Ready { set, cluster, welcome, attributes, places })
}

/// Tries the client's settings on a server, which tells what they mean.
async fn learn_welcome(
    worker: &Worker,
    set: &PoolSet,
    cluster: &ClusterRuntime,
    wanted: Settings,
) -> Result<Welcome, TurnedAway> {
    let nodes = wait_for_nodes(cluster).await;
    let mut trouble = TurnedAway::new(SqlState::CANNOT_CONNECT_NOW, "no node of the cluster can be reached");
    for node in nodes {
        let pool = cluster.facts.load().node(node).and_then(|node| set.pool(node)).cloned();
        let Some(pool) = pool else { continue };
        let mut lease = match pool.checkout(worker.id, || ()).await {
            Ok(lease) => lease,
            Err(error) => {
                let error = super::error::SessionError::Checkout(error);
                trouble = TurnedAway::new(error.sqlstate(), error.told());
                continue;
            }
        };
        let sql = lease.settings.sql_towards(&wanted);
        let mut notices = Vec::new();
        let tried = if sql.is_empty() {
            Ok(())
        } else {
            let keep = |tag, message: &[u8]| {
                if tag == b'N' && notices.len() + message.len() <= NOTICES_MAX_BYTES {
                    notices.extend_from_slice(message);
                }
            };
            lease.ask_aside(&sql, |_| (), keep).await
        };
        return match tried {
            Ok(()) => {
                let mut welcome = canonical(&lease.settings, &lease.reported, &wanted);
                if !notices.is_empty() {
                    welcome.parameters = [&notices, &*welcome.parameters].concat().into();
                }
                lease.settings = welcome.settings.clone();
                lease.give_back(Moment::now());
                set.shared.remember(wanted, welcome.clone());
                Ok(welcome)
            }
            Err(RunError::Server { message, sqlstate }) => {
                // What had been set before the refusal was rolled back with it.
                lease.give_back(Moment::now());
                let sqlstate = SqlState::parse(sqlstate.as_bytes()).unwrap_or(SqlState::INTERNAL_ERROR);
                Err(TurnedAway::new(sqlstate, message))
            }
            Err(error) => Err(TurnedAway::new(SqlState::CONNECTION_FAILURE, error.to_string())),
        };
    }
    Err(trouble)
}

/// The nodes to try; waits a while for the first to be known, as after a start.
async fn wait_for_nodes(cluster: &ClusterRuntime) -> Vec<NodeId> {
    let found = async {
        loop {
            let newer = cluster.facts.changed();
            let nodes = login_nodes(cluster);
            if !nodes.is_empty() {
                return nodes;
            }
            newer.await;
        }
    };
    tokio::time::timeout(WAIT_FOR_NODE_MAX, found).await.unwrap_or_default()
}

/// The primary first, then whoever else lives.
fn login_nodes(cluster: &ClusterRuntime) -> Vec<NodeId> {
    let facts = cluster.facts.load();
    let only = (facts.nodes.len() == 1).then_some(NodeId(0));
    let mut nodes: Vec<_> = facts.primary.or(only).into_iter().collect();
    let alive = facts.nodes.iter().filter(|node| node.health != crate::facts::Health::Down).map(|node| node.id);
    nodes.extend(alive.filter(|node| Some(*node) != facts.primary));
    nodes
}

/// The settings as the server reported them back, and all that a client is told of them.
fn canonical(on_server: &Settings, reported: &[(String, String)], wanted: &Settings) -> Welcome {
    let mut settings = wanted.clone();
    let mut parameters = reported.to_vec();
    for (name, value) in &mut parameters {
        if let Some(set) = on_server.value(&name.to_ascii_lowercase()) {
            set.clone_into(value);
            if wanted.value(&name.to_ascii_lowercase()).is_some() {
                settings = settings.with(name, value);
            }
        }
    }
    // What the server had from others is not this client's.
    for (name, value) in &mut parameters {
        if wanted.value(&name.to_ascii_lowercase()).is_none()
            && let Some((_, first)) = reported.iter().find(|(reported, _)| reported == name)
        {
            first.clone_into(value);
        }
    }
    Welcome { settings, parameters: parameter_messages(&parameters).into() }
}

/// Most of what a server says about settings at login that clients with the same ones are told too.
const NOTICES_MAX_BYTES: usize = 4_096;

/// Longest application_name: PostgreSQL cuts what is longer (NAMEDATALEN - 1).
const APPLICATION_NAME_MAX_BYTES: usize = 63;

/// `application_name_add_host`, after the settings have been tried, so that all clients with the same ones are told
/// the same. The host stays whole: of a long name the end is cut.
fn with_host(welcome: Welcome, peer: PeerAddr) -> Welcome {
    const NAME: &str = "application_name";
    let host = format!(" - {peer}");
    let own = welcome.settings.value(NAME).filter(|own| !own.is_empty()).unwrap_or("app");
    let room = APPLICATION_NAME_MAX_BYTES.saturating_sub(host.len());
    let name = format!("{}{host}", &own[..own.floor_char_boundary(room)]);
    // Of two messages about a parameter the last counts.
    let parameters = [&*welcome.parameters, &parameter_messages(&[(NAME.to_owned(), name.clone())])].concat();
    Welcome { settings: welcome.settings.with(NAME, &name), parameters: parameters.into() }
}

fn attributes_of(hello: &ClientHello) -> SessionAttributes {
    let application = hello.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("application_name"));
    let client_address = match hello.address {
        PeerAddr::Tcp(address) => address.ip().to_string(),
        PeerAddr::Unix | PeerAddr::Gone => String::new(),
    };
    SessionAttributes {
        user: hello.user.as_str().into(),
        database: hello.database.as_str().into(),
        application: application.map(|(_, value)| value.as_str()).unwrap_or_default().into(),
        client_address: client_address.into(),
        tls_subject: hello.tls_subject.as_deref().map(Arc::from),
        parameters: hello.parameters.clone(),
        ..SessionAttributes::default()
    }
}

async fn enter(
    worker: Rc<Worker>,
    generation: &Generation,
    mut hello: ClientHello,
    ready: Ready,
) -> Option<(Box<Session>, [Place; 2])> {
    let key_bytes = hello.protocol.cancel_key(&[0; CANCEL_KEY_BYTES]).len();
    let info = worker.shared.clients.register(NewClient {
        user: Arc::clone(&ready.set.user),
        database: Arc::clone(&ready.set.database),
        application: Arc::clone(&ready.attributes.application),
        address: hello.address,
        local: hello.stream.local(),
        tls: hello.stream.is_tls(),
        console: false,
        worker: u16::try_from(worker.id).unwrap_or(u16::MAX),
        key_bytes,
        peer_id: generation.config.peer_id,
    });
    ready.set.shared.clients.fetch_add(1, Relaxed);
    ready.set.stats.shard(worker.id).logins.add(1);
    if generation.config.log_connections {
        tracing::info!(user = &*info.user, database = &*info.database, from = %info.address, "client came");
    }
    welcome(&mut hello.out, &ready.welcome.parameters, info.pid, &info.key, hello.protocol);
    // In a box of its own: futures keep what they are given more than once.
    let session = Box::new(Session::new(
        worker,
        NewSession {
            client: hello.stream,
            info,
            set: ready.set,
            cluster: ready.cluster,
            generation: generation.number,
            settings: ready.welcome.settings,
            attributes: ready.attributes,
            unread: hello.unread,
        },
    ));
    Some((session.greeted(&hello.out).await?, ready.places))
}

impl Session {
    /// Sends the welcome; a client that is gone by then has no session.
    async fn greeted(mut self: Box<Self>, out: &[u8]) -> Option<Box<Self>> {
        let sent: std::io::Result<()> = async {
            self.client.write_all(out).await?;
            match &mut self.client {
                Stream::Tcp(_) | Stream::Unix(_) => Ok(()),
                tls => tls.flush().await,
            }
        }
        .await;
        sent.ok().map(|()| self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_address_is_added_whole_to_an_applications_name() {
        let peer = PeerAddr::Tcp("10.0.0.1:1234".parse().unwrap());
        let name = |settings: &[(&str, &str)]| {
            let settings = Settings::new(settings.iter().copied());
            let welcome = with_host(Welcome { settings, parameters: Arc::from(*b"before") }, peer);
            let name = welcome.settings.value("application_name").unwrap().to_owned();
            let told = format!("\0application_name\0{name}\0");
            assert!(
                welcome.parameters.starts_with(b"before")
                    && welcome.parameters.ends_with(told.as_bytes()[1..].as_ref())
            );
            name
        };
        assert_eq!(name(&[("application_name", "psql")]), "psql - 10.0.0.1:1234");
        assert_eq!(name(&[]), "app - 10.0.0.1:1234");
        let long = name(&[("application_name", &"ä".repeat(40))]);
        assert_eq!(long, format!("{} - 10.0.0.1:1234", "ä".repeat(23)));
        assert!(long.len() <= APPLICATION_NAME_MAX_BYTES);
    }
}

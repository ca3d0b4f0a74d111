//! The two sides that a case is run on, and what its sessions find there.

use std::{
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use howdah::demo::PgCluster;
use howdah_tests::{
    PATIENCE, Proxy, fresh_database,
    raw::{Message, Raw, query, tags},
};

use super::{
    case::{Case, Mode, ProxyKind},
    peer::{Answer, Peer},
};

/// Names of the sides; of one length, so that positions in statements are equal.
const SIDES: [&str; 2] = ["a", "b"];

/// Roles belong to the cluster, so they are made once.
const ROLES: &str = "CREATE ROLE howdah_reader; CREATE ROLE howdah_writer LOGIN; GRANT howdah_reader TO howdah_writer";

/// Between two looks at a standby.
const PAUSE: Duration = Duration::from_millis(1);

/// Direct connections, and the connections that they are compared with.
pub struct Bed {
    direct: Side,
    other: Side,
    console: Option<Raw>,
    standbys: Vec<Raw>,
    /// Names of prepared transactions are the cluster's, so that two beds would be in each other's way.
    _turn: MutexGuard<'static, ()>,
    /// Startup parameters of the other side's sessions alone, to make them differ on purpose.
    pub flaw: Vec<(&'static str, &'static str)>,
}

/// Where one side's sessions connect, and a connection that makes what they find.
struct Side {
    port: u16,
    database: String,
    maker: Raw,
}

impl Bed {
    /// Direct connections against connections through the proxy.
    pub fn with_proxy(cluster: &PgCluster, proxy: &Proxy) -> Self {
        let standbys = cluster.standbys().iter().map(|node| Raw::login(node.port, "postgres")).collect();
        let console = Some(Raw::login(proxy.port(), "howdah"));
        Self { console, standbys, ..Self::make(cluster, Some(proxy.port())) }
    }

    /// Direct connections against other direct connections.
    pub fn without_proxy(cluster: &PgCluster) -> Self {
        Self::make(cluster, None)
    }

    fn make(cluster: &PgCluster, proxy: Option<u16>) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static MADE_ROLES: Once = Once::new();
        // Whoever failed before us has left nothing that matters to us.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        MADE_ROLES.call_once(|| drop(cluster.primary().psql(ROLES).expect("the roles can be made")));
        let (direct, other) = (Side::make(cluster, None), Side::make(cluster, proxy));
        Self { direct, other, console: None, standbys: Vec::new(), _turn: turn, flaw: Vec::new() }
    }

    /// Makes what the case's sessions find, and has the proxy begin with fresh servers.
    pub fn prepare(&mut self, case: &Case) {
        if let Some(console) = &mut self.console {
            must_work("RECONNECT", &console.query("RECONNECT"));
        }
        let setup = setup(case);
        for side in [&mut self.direct, &mut self.other] {
            side.roll_back_prepared();
            side.maker.send(&query(&setup)).expect("the maker is connected");
        }
        for side in [&mut self.direct, &mut self.other] {
            must_work("the schemas", &side.maker.until_ready());
        }
        if case.stage.proxy.policy {
            self.wait_for_standbys();
        }
    }

    /// A session's two connections, and what they are told when they come in.
    pub fn greet(&self, case: &Case, session: usize) -> [(Peer, Answer); 2] {
        let schema = schema(session);
        let of_case = case.stage.sessions[session].iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let parameters: Vec<_> = [("search_path", schema.as_str())].into_iter().chain(of_case).collect();
        let greet = |side: &Side, name, flaw: &[(&str, &str)]| {
            let login = [("user", case.stage.user.as_str()), ("database", side.database.as_str())];
            Peer::greet(side.port, &[&login, &parameters[..], flaw].concat(), name)
        };
        [greet(&self.direct, SIDES[0], &[]), greet(&self.other, SIDES[1], &self.flaw)]
    }

    fn wait_for_standbys(&mut self) {
        let position = self.other.maker.query("SELECT pg_current_wal_flush_lsn()")[1].value();
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{position}'");
        let begun = Instant::now();
        for standby in &mut self.standbys {
            while standby.query(&replayed)[1].value() != "t" {
                assert!(begun.elapsed() < PATIENCE, "a standby does not replay");
                thread::sleep(PAUSE);
            }
        }
    }
}

impl Side {
    fn make(cluster: &PgCluster, port: Option<u16>) -> Self {
        let (primary, database) = (cluster.primary().port, fresh_database());
        let mut maker = Raw::login(primary, &database);
        must_work("common.sql", &maker.query(include_str!("common.sql")));
        must_work("a limit", &maker.query("SET lock_timeout = '10s'; SET client_min_messages = 'warning'"));
        Self { port: port.unwrap_or(primary), database, maker }
    }

    /// Prepared transactions outlive their sessions, and the locks that they hold would stop us.
    fn roll_back_prepared(&mut self) {
        let left = self.maker.query("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()");
        for row in left.iter().filter(|message| message.tag == 'D') {
            must_work("ROLLBACK PREPARED", &self.maker.query(&format!("ROLLBACK PREPARED '{}'", row.value())));
        }
    }
}

/// The proxy that a case asks for.
pub fn start_proxy(cluster: &PgCluster, kind: ProxyKind) -> Proxy {
    Proxy::start(cluster, |config| {
        let mode = match kind.mode {
            Mode::Session => "\"session\"",
            Mode::Transaction => "\"transaction\"",
        };
        let config = if kind.policy { config } else { config.without_router() };
        let config = config.set("pool_mode", mode).set("workers", "2").set("query_wait_timeout", "6");
        let config = config.set("default_pool_size", &kind.servers.to_string());
        config.set("max_prepared_statements", &kind.statements.to_string()).set("log_connections", "false")
    })
}

fn setup(case: &Case) -> String {
    let one = |session: usize| {
        let kind = if session.is_multiple_of(2) { "int" } else { "bigint" };
        let sql = include_str!("setup.sql").replace("{schema}", &schema(session)).replace("{kind}", kind);
        sql.replace("{number}", &session.to_string()).replace("{user}", &case.stage.user)
    };
    case.sessions().into_iter().map(one).collect()
}

fn schema(session: usize) -> String {
    format!("s{session}")
}

fn must_work(what: &str, answer: &[Message]) {
    let complaint = answer.iter().find(|message| message.tag == 'E');
    assert!(complaint.is_none(), "{what}: {} ({})", complaint.map(Message::text).unwrap_or_default(), tags(answer));
    assert_eq!(answer.last().map(|last| last.tag), Some('Z'), "{what}: the connection ended");
}

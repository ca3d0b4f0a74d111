//! The catalogs' promises, against a database that the test plays itself.

use std::sync::{Mutex, atomic::AtomicU32};

use super::*;
use crate::{
    control::observation::Loss,
    facts::{Facts, Health, NodeFacts, Role},
    id::NodeId,
    net::stream::SocketOptions,
    server::ServerTls,
    sql::catalog::Knowledge,
};

/// Every database has the function `own`, or none can be reached. There may be a standby.
#[derive(Clone, Default)]
struct Archive {
    reachable: Arc<AtomicBool>,
    volatility: Arc<Mutex<&'static str>>,
    standby: Arc<Mutex<Option<Standby>>>,
    dials: Arc<AtomicU32>,
    dials_of_standby: Arc<AtomicU32>,
}

/// What a standby has of it.
#[derive(Clone, Copy)]
struct Standby {
    replayed: Lsn,
    volatility: &'static str,
}

/// A session with the primary, or with the standby.
struct Reader {
    archive: Archive,
    at_standby: bool,
}

impl Archive {
    fn open() -> Self {
        let archive = Self::default();
        archive.reachable.store(true, Ordering::Relaxed);
        *archive.volatility.lock().unwrap() = "s";
        archive
    }

    /// A change has been committed, up to which the primary has flushed; the standby does not have it yet.
    fn changed_before_standby() -> Self {
        let archive = Self::open();
        *archive.volatility.lock().unwrap() = "v";
        archive.replay(FLUSHED.0 - 1, "s");
        archive
    }

    fn replay(&self, position: u64, volatility: &'static str) {
        *self.standby.lock().unwrap() = Some(Standby { replayed: Lsn(position), volatility });
    }

    fn dials(&self) -> u32 {
        self.dials.load(Ordering::Relaxed)
    }

    fn dials_of_standby(&self) -> u32 {
        self.dials_of_standby.load(Ordering::Relaxed)
    }

    fn catalogs(&self) -> Catalogs {
        let has_standby = self.standby.lock().unwrap().is_some();
        let target = move |database: &str, source| {
            Some(ServerTarget {
                node: if has_standby && source == Source::Near { "standby" } else { "primary" }.into(),
                host: "h".into(),
                port: 1,
                user: "u".into(),
                database: database.into(),
                secret: None,
                tls: ServerTls::DISABLED,
                connect_timeout: Duration::from_secs(1),
                socket: SocketOptions::default(),
                parameters: [].into(),
            })
        };
        Catalogs::start(&Handle::current(), self.clone(), sampled_when_wanted(), target)
    }
}

/// How far the primary has flushed.
const FLUSHED: Lsn = Lsn(100);

/// The primary's position, as of a moment after somebody wanted to know it.
fn sampled_when_wanted() -> Arc<FactsCell> {
    let sampled_at =
        |sampled_at| Facts { primary: Some(NodeId(0)), nodes: vec![primary(sampled_at)], ..Facts::default() };
    let cell = Arc::new(FactsCell::new(sampled_at(Instant::now())));
    let monitor = Arc::clone(&cell);
    tokio::spawn(async move {
        loop {
            monitor.wanted().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            monitor.publish(sampled_at(Instant::now()));
        }
    });
    cell
}

fn primary(sampled_at: Instant) -> NodeFacts {
    NodeFacts {
        id: NodeId(0),
        name: "primary".into(),
        host: "h".into(),
        port: 1,
        weight: 100,
        labels: [].into(),
        role: Role::Primary,
        health: Health::Up,
        ramp_percent: 100,
        server_version: None,
        timeline: Some(1),
        received: Some(FLUSHED),
        replayed: None,
        inserted: Some(FLUSHED),
        async_commit: false,
        lag_bytes: None,
        lag: None,
        sampled_at,
        why: None,
    }
}

impl Dial for Archive {
    type Link = Reader;

    async fn dial(&self, target: &ServerTarget) -> Result<Reader, Failure> {
        let at_standby = &*target.node == "standby";
        let dials = if at_standby { &self.dials_of_standby } else { &self.dials };
        dials.fetch_add(1, Ordering::Relaxed);
        let refused = || Failure { kind: FailureKind::Refused, why: "closed".into() };
        let reader = || Reader { archive: self.clone(), at_standby };
        self.reachable.load(Ordering::Relaxed).then(reader).ok_or_else(refused)
    }
}

impl Link for Reader {
    async fn ask(&mut self, sql: &str, _: Duration) -> Result<Vec<Row>, Failure> {
        let standby = (*self.archive.standby.lock().unwrap()).filter(|_| self.at_standby);
        let volatility = standby.map_or_else(|| *self.archive.volatility.lock().unwrap(), |standby| standby.volatility);
        let row = ["public", "own", volatility].map(|value| Some(value.to_owned())).to_vec();
        let replayed = standby.map(|standby| Row(vec![Some(format!("0/{:X}", standby.replayed.0))]));
        Ok(match sql {
            FUNCTIONS_SQL => vec![Row(row)],
            REPLAYED_SQL => replayed.into_iter().collect(),
            _ => Vec::new(),
        })
    }

    async fn over(&mut self) -> Loss {
        std::future::pending().await
    }
}

async fn eventually(catalogs: &Catalogs, expected: Knowledge) {
    while catalogs.get("shop").function(None, "own") != expected {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_catalog_is_empty_at_first_and_read_without_anybody_waiting() {
    let archive = Archive::open();
    let catalogs = archive.catalogs();
    assert_eq!(catalogs.get("shop").function(None, "own"), Knowledge::Unknown);

    eventually(&catalogs, Knowledge::Reads).await;

    assert_eq!(archive.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_catalog_is_read_again_when_told_but_not_for_each_statement() {
    let archive = Archive::open();
    let catalogs = archive.catalogs();
    catalogs.get("shop");
    eventually(&catalogs, Knowledge::Reads).await;

    *archive.volatility.lock().unwrap() = "v";
    for _ in 0..1_000 {
        catalogs.refresh("shop", false);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    assert_eq!(catalogs.get("shop").function(None, "own"), Knowledge::MayWrite);
    assert!(archive.dials() <= 12, "{} readings in ten seconds", archive.dials());
}

/// Reads the catalog once, then tells of a change.
async fn told_of_a_change(catalogs: &Catalogs, unflushed: bool) -> Reading {
    catalogs.get("shop");
    while catalogs.get("shop").version() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    catalogs.refresh("shop", unflushed).expect("it is kept")
}

#[tokio::test(start_paused = true)]
async fn a_reading_at_a_standby_counts_when_that_has_the_change() {
    let archive = Archive::changed_before_standby();
    let catalogs = archive.catalogs();
    let reading = told_of_a_change(&catalogs, false).await;
    let mut done = tokio::spawn(reading.done());

    let early = timeout(REFRESH_SPACING + REPLAY_PATIENCE / 2, &mut done).await;
    assert!(early.is_err(), "the standby does not have it");
    archive.replay(FLUSHED.0, "v");
    done.await.unwrap();

    assert_eq!(catalogs.get("shop").function(None, "own"), Knowledge::MayWrite);
    assert_eq!((archive.dials_of_standby(), archive.dials()), (2, 0), "the primary is spared");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_does_not_come_to_the_standby_is_read_at_the_primary() {
    for unflushed in [false, true] {
        let archive = Archive::changed_before_standby();
        let catalogs = archive.catalogs();

        told_of_a_change(&catalogs, unflushed).await.done().await;

        assert_eq!(catalogs.get("shop").function(None, "own"), Knowledge::MayWrite);
        assert_eq!(archive.dials(), 1);
        let tries_at_standby = if unflushed { 1 } else { 2 };
        assert_eq!(archive.dials_of_standby(), tries_at_standby, "what may not have been flushed is not waited for");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_read_once_however_often_it_was_told_of() {
    let archive = Archive::open();
    let catalogs = archive.catalogs();
    let first = told_of_a_change(&catalogs, false).await;
    let mut last = None;
    for _ in 0..100 {
        last = catalogs.refresh("shop", false);
    }

    first.done().await;
    last.expect("it is kept").done().await;
    tokio::time::sleep(REFRESH_SPACING * 3).await;

    assert_eq!(archive.dials(), 2, "the first one and this one");
    assert!(catalogs.refresh("unknown", false).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_did_not_change_keeps_its_identity() {
    let archive = Archive::open();
    let catalogs = archive.catalogs();
    eventually(&catalogs, Knowledge::Reads).await;
    let before = catalogs.get("shop");

    tokio::time::sleep(REFRESH_INTERVAL * 3).await;

    assert!(archive.dials() >= 2);
    assert!(Arc::ptr_eq(&before, &catalogs.get("shop")));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_tried_again_and_the_last_known_stays() {
    let archive = Archive::open();
    archive.reachable.store(false, Ordering::Relaxed);
    let catalogs = archive.catalogs();
    catalogs.get("shop");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!((10..=13).contains(&archive.dials()), "{} tries in a minute", archive.dials());

    archive.reachable.store(true, Ordering::Relaxed);
    eventually(&catalogs, Knowledge::Reads).await;
    archive.reachable.store(false, Ordering::Relaxed);
    catalogs.refresh("shop", false);
    tokio::time::sleep(Duration::from_secs(60)).await;

    assert_eq!(catalogs.get("shop").function(None, "own"), Knowledge::Reads);
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_nobody_wants_is_forgotten() {
    let archive = Archive::open();
    let catalogs = archive.catalogs();
    eventually(&catalogs, Knowledge::Reads).await;

    tokio::time::sleep(REFRESH_INTERVAL * (IDLE_INTERVALS_MAX + 2)).await;

    assert_eq!(catalogs.shelf.books.load().len(), 0);
    assert!(archive.dials() <= 3);
    assert_eq!(catalogs.get("shop").function(None, "own"), Knowledge::Unknown, "and read anew on demand");
    eventually(&catalogs, Knowledge::Reads).await;
}

#[tokio::test(start_paused = true)]
async fn the_number_of_catalogs_is_bounded() {
    let catalogs = Archive::open().catalogs();
    for database in 0..CATALOGS_MAX + 100 {
        catalogs.get(&format!("db{database}"));
    }
    assert_eq!(catalogs.shelf.books.load().len(), CATALOGS_MAX);
}

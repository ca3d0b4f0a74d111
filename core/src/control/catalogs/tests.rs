//! The catalogs' promises, against a database that the test plays itself.

use std::sync::{Mutex, atomic::AtomicU32};

use super::*;
use crate::{control::observation::Loss, net::stream::SocketOptions, server::ServerTls, sql::catalog::Knowledge};

/// Every database has the function `own`, or none can be reached.
#[derive(Clone, Default)]
struct Archive {
    reachable: Arc<AtomicBool>,
    volatility: Arc<Mutex<&'static str>>,
    dials: Arc<AtomicU32>,
}

impl Archive {
    fn open() -> Self {
        let archive = Self::default();
        archive.reachable.store(true, Ordering::Relaxed);
        *archive.volatility.lock().unwrap() = "s";
        archive
    }

    fn dials(&self) -> u32 {
        self.dials.load(Ordering::Relaxed)
    }

    fn catalogs(&self) -> Catalogs {
        let target = |database: &str| {
            Some(ServerTarget {
                node: "n0".into(),
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
        Catalogs::start(&Handle::current(), self.clone(), target)
    }
}

impl Dial for Archive {
    type Link = Self;

    async fn dial(&self, _: &ServerTarget) -> Result<Self, Failure> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        let refused = || Failure { kind: FailureKind::Refused, why: "closed".into() };
        self.reachable.load(Ordering::Relaxed).then(|| self.clone()).ok_or_else(refused)
    }
}

impl Link for Archive {
    async fn ask(&mut self, sql: &str, _: Duration) -> Result<Vec<Row>, Failure> {
        let volatility = *self.volatility.lock().unwrap();
        let row = ["public", "own", volatility].map(|value| Some(value.to_owned())).to_vec();
        Ok(if sql == FUNCTIONS_SQL { vec![Row(row)] } else { Vec::new() })
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
        catalogs.refresh("shop");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    assert_eq!(catalogs.get("shop").function(None, "own"), Knowledge::MayWrite);
    assert!(archive.dials() <= 12, "{} readings in ten seconds", archive.dials());
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
    catalogs.refresh("shop");
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

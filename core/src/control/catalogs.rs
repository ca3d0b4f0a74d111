//! Keeps what only the databases know of names in statements: one [`Catalog`] for each database
//! that sessions ask about, read on demand and again from time to time.
//!
//! Sessions never wait here: until a catalog is read they get the empty one, with which a router
//! sends what it does not know to the primary.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    dial::{Dial, Link},
    observation::{Failure, FailureKind},
    task::Task,
};
use crate::{
    facts::{FactsCell, Reading},
    id::Lsn,
    server::{ServerTarget, simple::Row},
    sql::catalog::{Catalog, FUNCTIONS_SQL, RELATIONS_SQL},
};

/// Most databases of one cluster whose catalogs are kept. Statements in others go to the primary.
pub const CATALOGS_MAX: usize = 1_000;

/// A catalog is read again after this: somebody may have changed it behind our back.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// Least time between two readings of one catalog, however many statements change it.
const REFRESH_SPACING: Duration = Duration::from_secs(1);

/// The same after one that failed.
const RETRY_SPACING: Duration = Duration::from_secs(5);

/// A catalog that nobody asked for in so many refresh intervals is forgotten.
const IDLE_INTERVALS_MAX: u32 = 10;

/// Longest wait for one of the two answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Longest wait for a standby to have what is to be read; then the primary is read.
const REPLAY_PATIENCE: Duration = Duration::from_secs(1);

/// How often the standby is asked meanwhile.
const REPLAY_ASK_EVERY: Duration = Duration::from_millis(5);

/// How far a standby is; nothing at a primary.
///
/// <https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL>
const REPLAYED_SQL: &str = "SELECT pg_catalog.pg_last_wal_replay_lsn() WHERE pg_catalog.pg_is_in_recovery()";

/// Which node a catalog is read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A standby that is not far behind, if there is one.
    Near,
    /// The one that has everything, if it is there.
    Newest,
}

/// The catalogs of one cluster's databases. Reading takes no lock.
pub struct Catalogs {
    shelf: Arc<Shelf>,
    _librarian: Task,
}

impl Catalogs {
    /// Begins with none. `find` says where to read one: a node of the cluster, for that database. `facts` say how
    /// far the primary is.
    pub(super) fn start<D, F>(runtime: &Handle, dial: D, facts: Arc<FactsCell>, find: F) -> Self
    where
        D: Dial,
        F: Fn(&str, Source) -> Option<ServerTarget> + Send + Sync + 'static,
    {
        let shelf = Arc::new(Shelf::default());
        let librarian = Librarian { shelf: shelf.clone(), dial, facts, find, visits: HashMap::new() };
        Self { shelf, _librarian: Task::start(runtime, librarian.serve()) }
    }

    /// What is known of a database, by its name on the servers. The first question for one has it
    /// read; until that is done, and for databases beyond [`CATALOGS_MAX`], it is the empty catalog.
    pub fn get(&self, database: &str) -> Arc<Catalog> {
        match self.shelf.books.load().get(database) {
            Some(book) => book.open(),
            None => {
                self.shelf.add(database);
                self.shelf.empty.clone()
            }
        }
    }

    /// Changes when an answer of [`get`](Self::get) may have changed, and at least once in a refresh
    /// interval: whoever keeps an answer asks again then, and so tells that it is in use.
    pub fn changes(&self) -> u64 {
        self.shelf.changes.load(Ordering::Acquire)
    }

    /// Has a catalog read again soon: a statement that changed it has been committed. `unflushed` says that the
    /// commit may have been acknowledged before it was flushed. None for a database whose catalog is not kept.
    pub fn refresh(&self, database: &str, unflushed: bool) -> Option<Reading> {
        let books = self.shelf.books.load();
        let book = books.get(database)?;
        book.unflushed.fetch_or(unflushed, Ordering::Relaxed);
        let change = book.changes.fetch_add(1, Ordering::AcqRel) + 1;
        self.shelf.wishes.notify_one();
        Some(Reading::of(change, book.included.subscribe()))
    }
}

impl fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogs").field("kept", &self.shelf.books.load().len()).finish_non_exhaustive()
    }
}

type Books = HashMap<Arc<str>, Arc<Book>, RandomState>;

/// What sessions and the librarian share.
#[derive(Default)]
struct Shelf {
    books: ArcSwap<Books>,
    empty: Arc<Catalog>,
    changes: AtomicU64,
    wishes: Notify,
}

impl Shelf {
    /// Makes room for a catalog, if there is some.
    fn add(&self, database: &str) {
        let database: Arc<str> = database.into();
        let added = Arc::new(Book::new(&self.empty));
        self.books.rcu(|books| {
            let mut books = Books::clone(books);
            if books.len() < CATALOGS_MAX {
                books.entry(database.clone()).or_insert_with(|| added.clone());
            }
            books
        });
        self.count_change();
        self.wishes.notify_one();
    }

    fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    fn remove(&self, database: &str) {
        self.books.rcu(|books| {
            let mut books = Books::clone(books);
            books.remove(database);
            books
        });
        self.count_change();
    }
}

/// One database's catalog.
struct Book {
    catalog: ArcSwap<Catalog>,
    /// How many changes have been told of.
    changes: AtomicU64,
    /// How many of them are in it.
    included: watch::Sender<u64>,
    /// A change that is not in it may not have been flushed when it was told of.
    unflushed: AtomicBool,
    /// Somebody asked for it since the last refresh.
    used: AtomicBool,
}

impl Book {
    fn new(empty: &Arc<Catalog>) -> Self {
        Self {
            catalog: ArcSwap::new(empty.clone()),
            changes: 0.into(),
            included: watch::Sender::new(0),
            unflushed: false.into(),
            used: true.into(),
        }
    }

    /// It lacks changes.
    fn is_behind(&self) -> bool {
        self.changes.load(Ordering::Acquire) > *self.included.borrow()
    }

    fn open(&self) -> Arc<Catalog> {
        // Most find it set; a store would take the cache line from other threads.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        self.catalog.load_full()
    }
}

/// Reads catalogs, one after the other.
struct Librarian<D, F> {
    shelf: Arc<Shelf>,
    dial: D,
    facts: Arc<FactsCell>,
    find: F,
    visits: HashMap<Arc<str>, Visit>,
}

/// The last reading of a catalog.
#[derive(Clone, Debug)]
struct Visit {
    at: Instant,
    spacing: Duration,
    idle_intervals: u32,
    /// What went wrong, so that it is told once.
    complaint: Option<Arc<str>>,
}

impl<D: Dial, F: Fn(&str, Source) -> Option<ServerTarget> + Send + Sync + 'static> Librarian<D, F> {
    async fn serve(mut self) {
        loop {
            let next = self.read_what_is_due().await;
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.shelf.wishes.notified() => {}
            }
        }
    }

    /// Returns when to look again.
    async fn read_what_is_due(&mut self) -> Instant {
        let books = self.shelf.books.load_full();
        self.visits.retain(|database, _| books.contains_key(database));
        for (database, book) in books.iter() {
            if self.due(database, book) <= Instant::now() {
                self.attend(database, book).await;
            }
        }
        let next = books.iter().map(|(database, book)| self.due(database, book)).min();
        next.unwrap_or_else(|| Instant::now() + REFRESH_INTERVAL)
    }

    fn due(&self, database: &str, book: &Book) -> Instant {
        match self.visits.get(database) {
            None => Instant::now(),
            Some(visit) if visit.complaint.is_some() || book.is_behind() => visit.at + visit.spacing,
            Some(visit) => visit.at + REFRESH_INTERVAL,
        }
    }

    async fn attend(&mut self, database: &Arc<str>, book: &Book) {
        let changes = book.changes.load(Ordering::Acquire);
        let behind = book.is_behind();
        let used = book.used.swap(false, Ordering::Relaxed);
        self.shelf.count_change();
        let before = self.visits.get(database).cloned();
        let failed = before.as_ref().is_some_and(|visit| visit.complaint.is_some());
        if !behind && !used && !failed {
            return self.pass_over(database);
        }
        let unflushed = behind && book.unflushed.swap(false, Ordering::Relaxed);
        let outcome = if behind { self.read_behind(database, unflushed).await } else { self.read(database).await };
        let (spacing, complaint) = match &outcome {
            Ok(_) => (REFRESH_SPACING, None),
            Err(failure) => (RETRY_SPACING, Some(failure.why.clone())),
        };
        if let Ok(catalog) = outcome {
            // The same content keeps its identity, and with it what was concluded from it.
            if catalog.version() != book.catalog.load().version() {
                book.catalog.store(Arc::new(catalog));
                self.shelf.count_change();
            }
            book.included.send_replace(changes);
        }
        // It may be that of a change that was told of meanwhile.
        if book.is_behind() {
            book.unflushed.fetch_or(unflushed, Ordering::Relaxed);
        }
        let told = before.and_then(|visit| visit.complaint);
        match &complaint {
            Some(why) if told.as_ref() != Some(why) => {
                tracing::warn!(database = &**database, "could not read the catalog: {why}");
            }
            None if told.is_some() => tracing::info!(database = &**database, "the catalog is read again"),
            _ => {}
        }
        let visit = Visit { at: Instant::now(), spacing, idle_intervals: 0, complaint };
        self.visits.insert(database.clone(), visit);
    }

    /// Nobody asked for it; it is not worth a connection, and in the end not its place either.
    fn pass_over(&mut self, database: &Arc<str>) {
        let Some(visit) = self.visits.get_mut(database) else { return };
        visit.at = Instant::now();
        visit.idle_intervals += 1;
        if visit.idle_intervals >= IDLE_INTERVALS_MAX {
            self.shelf.remove(database);
        }
    }

    /// Reads it at a node that is near.
    async fn read(&self, database: &str) -> Result<Catalog, Failure> {
        read(&mut self.dial(database, Source::Near).await?).await
    }

    /// Reads it with all that has been committed by now: at a standby when that has it, else at the primary.
    async fn read_behind(&self, database: &str, unflushed: bool) -> Result<Catalog, Failure> {
        // What was acknowledged before it was flushed may take its time to come to a standby.
        if !unflushed {
            let since = Instant::now();
            let mut near = self.dial(database, Source::Near).await?;
            if self.has_replayed(&mut near, since).await? {
                return read(&mut near).await;
            }
        }
        read(&mut self.dial(database, Source::Newest).await?).await
    }

    async fn dial(&self, database: &str, source: Source) -> Result<D::Link, Failure> {
        let nowhere = || Failure { kind: FailureKind::NotReady, why: "no node is up".into() };
        let target = (self.find)(database, source).ok_or_else(nowhere)?;
        self.dial.dial(&target).await
    }

    /// Waits a moment until that node has all that had been committed by then.
    async fn has_replayed(&self, link: &mut D::Link, since: Instant) -> Result<bool, Failure> {
        if replayed(link).await?.is_none() {
            // It is the primary.
            return Ok(true);
        }
        let Some(flushed) = self.flushed_after(since).await else { return Ok(false) };
        let arrives = async {
            while replayed(link).await?.is_some_and(|replayed| replayed < flushed) {
                sleep(REPLAY_ASK_EVERY).await;
            }
            Ok(true)
        };
        timeout(REPLAY_PATIENCE, arrives).await.unwrap_or(Ok(false))
    }

    /// What the primary had flushed when it was asked after that moment; unknown if commits need not wait for that.
    async fn flushed_after(&self, since: Instant) -> Option<Lsn> {
        let deadline = since + REPLAY_PATIENCE;
        loop {
            let newer = self.facts.changed();
            let facts = self.facts.newest();
            let primary = facts.primary()?;
            if primary.async_commit {
                return None;
            }
            if primary.sampled_at > since {
                return primary.received;
            }
            self.facts.want_fresh();
            timeout_at(deadline, newer).await.ok()?;
        }
    }
}

/// How far a standby is; none at a primary.
async fn replayed(link: &mut impl Link) -> Result<Option<Lsn>, Failure> {
    let rows = link.ask(REPLAYED_SQL, ANSWER_LIMIT).await?;
    let position = rows.into_iter().next().map(|Row(values)| values.into_iter().next().flatten());
    // One that has replayed nothing yet says nothing.
    Ok(position.map(|position| position.and_then(|position| position.parse().ok()).unwrap_or_default()))
}

async fn read(link: &mut impl Link) -> Result<Catalog, Failure> {
    let functions = link.ask(FUNCTIONS_SQL, ANSWER_LIMIT).await?;
    let relations = link.ask(RELATIONS_SQL, ANSWER_LIMIT).await?;
    // A hundred thousand functions take a while; probes must not wait for them.
    let sorted = spawn_blocking(move || Catalog::from_rows(names(functions), names(relations))).await;
    sorted.map_err(|_| Failure { kind: FailureKind::Broken, why: "the proxy is stopping".into() })
}

/// (schema, name, code) of each row that is one.
fn names(rows: Vec<Row>) -> impl Iterator<Item = (String, String, char)> {
    rows.into_iter().filter_map(|Row(values)| {
        let mut values = values.into_iter().flatten();
        Some((values.next()?, values.next()?, values.next()?.chars().next()?))
    })
}

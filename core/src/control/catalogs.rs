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
    sync::Notify,
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use super::{
    dial::{Dial, Link},
    observation::{Failure, FailureKind},
    task::Task,
};
use crate::{
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

/// The catalogs of one cluster's databases. Reading takes no lock.
pub struct Catalogs {
    shelf: Arc<Shelf>,
    _librarian: Task,
}

impl Catalogs {
    /// Begins with none. `find` says where to read one: a node of the cluster, for that database.
    pub(super) fn start<D, F>(runtime: &Handle, dial: D, find: F) -> Self
    where
        D: Dial,
        F: Fn(&str) -> Option<ServerTarget> + Send + Sync + 'static,
    {
        let shelf = Arc::new(Shelf::default());
        let librarian = Librarian { shelf: shelf.clone(), dial, find, visits: HashMap::new() };
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

    /// Has a catalog read again soon: a statement that changed it has been committed.
    pub fn refresh(&self, database: &str) {
        if let Some(book) = self.shelf.books.load().get(database) {
            book.wanted.store(true, Ordering::Relaxed);
            self.shelf.wishes.notify_one();
        }
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
    /// To be read again before its time.
    wanted: AtomicBool,
    /// Somebody asked for it since the last refresh.
    used: AtomicBool,
}

impl Book {
    fn new(empty: &Arc<Catalog>) -> Self {
        Self { catalog: ArcSwap::new(empty.clone()), wanted: true.into(), used: true.into() }
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
    find: F,
    visits: HashMap<Arc<str>, Visit>,
}

/// The last reading of a catalog.
#[derive(Clone, Debug)]
struct Visit {
    at: Instant,
    spacing: Duration,
    idle_intervals: u32,
    /// To be read once more: what was just changed may not have reached the standby that was read.
    again: bool,
    /// What went wrong, so that it is told once.
    complaint: Option<Arc<str>>,
}

impl<D: Dial, F: Fn(&str) -> Option<ServerTarget> + Send + Sync + 'static> Librarian<D, F> {
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
            Some(visit) if visit.again || book.wanted.load(Ordering::Relaxed) => visit.at + visit.spacing,
            Some(visit) => visit.at + REFRESH_INTERVAL,
        }
    }

    async fn attend(&mut self, database: &Arc<str>, book: &Book) {
        let wanted = book.wanted.swap(false, Ordering::Relaxed);
        let used = book.used.swap(false, Ordering::Relaxed);
        self.shelf.count_change();
        let before = self.visits.get(database).cloned();
        let again = before.as_ref().is_some_and(|visit| visit.again);
        if !wanted && !used && !again {
            return self.pass_over(database);
        }
        let outcome = self.read(database).await;
        let (spacing, complaint) = match &outcome {
            Ok(_) => (REFRESH_SPACING, None),
            Err(failure) => (RETRY_SPACING, Some(failure.why.clone())),
        };
        match outcome {
            // The same content keeps its identity, and with it what was concluded from it.
            Ok(catalog) if catalog.version() == book.catalog.load().version() => {}
            Ok(catalog) => {
                book.catalog.store(Arc::new(catalog));
                self.shelf.count_change();
            }
            Err(_) => book.wanted.store(true, Ordering::Relaxed),
        }
        let told = before.and_then(|visit| visit.complaint);
        match &complaint {
            Some(why) if told.as_ref() != Some(why) => {
                tracing::warn!(database = &**database, "could not read the catalog: {why}");
            }
            None if told.is_some() => tracing::info!(database = &**database, "the catalog is read again"),
            _ => {}
        }
        let visit = Visit { at: Instant::now(), spacing, idle_intervals: 0, again: wanted, complaint };
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

    async fn read(&self, database: &str) -> Result<Catalog, Failure> {
        let nowhere = || Failure { kind: FailureKind::NotReady, why: "no node is up".into() };
        let target = (self.find)(database).ok_or_else(nowhere)?;
        let mut link = self.dial.dial(&target).await?;
        let functions = link.ask(FUNCTIONS_SQL, ANSWER_LIMIT).await?;
        let relations = link.ask(RELATIONS_SQL, ANSWER_LIMIT).await?;
        // A hundred thousand functions take a while; probes must not wait for them.
        let sorted = spawn_blocking(move || Catalog::from_rows(names(functions), names(relations))).await;
        sorted.map_err(|_| Failure { kind: FailureKind::Broken, why: "the proxy is stopping".into() })
    }
}

/// (schema, name, code) of each row that is one.
fn names(rows: Vec<Row>) -> impl Iterator<Item = (String, String, char)> {
    rows.into_iter().filter_map(|Row(values)| {
        let mut values = values.into_iter().flatten();
        Some((values.next()?, values.next()?, values.next()?.chars().next()?))
    })
}

//! Clients that write and read through a proxy while a cluster is hurt, and what became of every write.
//!
//! Each writer appends rows with ids of its own; what it was told of each is kept. Afterwards the ids that are
//! stored are compared with those that were acknowledged. Rows with negative ids stand for what only a node has that
//! is not in use; a reader that sees one has read what does not exist.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use howdah::demo::{ClusterError, PgNode};
use tokio::runtime::Builder;
use tokio_postgres::Client;

use crate::clients::{ask, config, sqlstate};

/// Pause of a client that could not connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// From one read of a client to its next: readers are there to be hurt, not to keep the machine busy.
const READER_PAUSE: Duration = Duration::from_millis(5);

/// What a reader is said to have been told that saw a row that does not exist.
const PHANTOM: &str = "phantom";

/// The table that is written to.
pub const TABLE: &str = "history";

/// What a writer was told of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is committed.
    Committed,
    /// It is not, or nobody knows: the SQLSTATE, empty when the connection broke.
    Failed(String),
}

impl Told {
    /// Why it failed, if it did; empty when the connection broke.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Committed => None,
            Self::Failed(state) => Some(state),
        }
    }
}

/// One write, or one read.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asked.
    pub client: usize,
    /// The row; none of a read.
    pub id: Option<u64>,
    /// When it was sent.
    pub sent: Instant,
    /// When the answer was there.
    pub answered: Instant,
    /// What the client was told.
    pub told: Told,
}

/// Everything that the clients asked.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of the answers.
    pub requests: Vec<Request>,
    /// Connections that ended or could not be made, by client.
    pub disconnects: Vec<usize>,
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    history: Arc<Mutex<History>>,
    /// Acknowledged writes. Who waits for them asks often, and must not hold the clients up by it.
    commits: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Makes the table and starts clients of the proxy on that port.
    pub fn start(port: u16, writers: usize, readers: usize) -> Self {
        let (stop, history) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(History::default())));
        let commits = Arc::new(AtomicUsize::new(0));
        let (stopped, shared, counted) = (Arc::clone(&stop), Arc::clone(&history), Arc::clone(&commits));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let client = crate::clients::connect(port, "postgres").await;
                client
                    .batch_execute(&format!("CREATE TABLE IF NOT EXISTS {TABLE} (id bigint)"))
                    .await
                    .expect("a table");
                // Readers look for rows that must not be there.
                let index = format!("CREATE INDEX IF NOT EXISTS {TABLE}_phantoms ON {TABLE} (id) WHERE id < 0");
                client.batch_execute(&index).await.expect("an index");
                ready.send(()).expect("somebody waits");
                let clients: Vec<_> = (0..writers + readers)
                    .map(|number| {
                        let first_id = FIRST_ID.fetch_add(IDS_PER_CLIENT, Relaxed);
                        let (history, commits) = (Arc::clone(&shared), Arc::clone(&counted));
                        let worker = Worker { number, first_id, port, writes: number < writers, history, commits };
                        tokio::spawn(worker.run(Arc::clone(&stopped)))
                    })
                    .collect();
                for client in clients {
                    client.await.expect("no client panics");
                }
            });
        });
        is_ready.recv().expect("the table is made");
        Self { stop, history, commits, thread }
    }

    /// Waits until so many more writes have been acknowledged.
    pub fn await_commits(&self, count: usize, limit: Duration) {
        let from = self.commits();
        let deadline = Instant::now() + limit;
        while self.commits() < from + count {
            assert!(Instant::now() < deadline, "{} of {count} more commits within {limit:?}", self.commits() - from);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What has been asked so far.
    pub fn so_far(&self) -> History {
        self.history.lock().expect("no client panics").clone()
    }

    /// Writes that were acknowledged so far.
    pub fn commits(&self) -> usize {
        self.commits.load(Relaxed)
    }

    /// The longest time without an acknowledged write from that moment until now.
    pub fn longest_gap(&self, from: Instant) -> Duration {
        self.history.lock().expect("no client panics").longest_gap(from, Instant::now())
    }

    /// Stops all clients behind their last answer.
    pub fn stop(self) -> History {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("the clients end");
        let history = self.history.lock().expect("no client panics");
        history.clone()
    }
}

impl Request {
    /// A row that a client was told is committed.
    pub fn is_committed_write(&self) -> bool {
        self.id.is_some() && self.told == Told::Committed
    }
}

impl History {
    /// The longest time without an acknowledged write from one moment to another.
    pub fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        let begin = self.requests.partition_point(|request| request.answered < from);
        let within = self.requests[begin..].iter().filter(|request| request.is_committed_write());
        let within = within.map(|request| request.answered).filter(|at| *at < to);
        let (mut last, mut longest) = (from, Duration::ZERO);
        for at in within {
            longest = longest.max(at - last);
            last = at;
        }
        longest.max(to - last)
    }

    /// Failed writes.
    pub fn failed_writes(&self) -> Vec<&Request> {
        self.requests.iter().filter(|request| request.id.is_some() && request.told != Told::Committed).collect()
    }

    /// Failed reads.
    pub fn failed_reads(&self) -> Vec<&Request> {
        self.requests.iter().filter(|request| request.id.is_none() && request.told != Told::Committed).collect()
    }

    /// The most errors that one writer saw.
    pub fn most_errors_of_a_writer(&self) -> usize {
        let failed = self.failed_writes();
        let of = |client| failed.iter().filter(|request| request.client == client).count();
        failed.iter().map(|request| of(request.client)).max().unwrap_or(0)
    }

    /// The SQLSTATEs of what failed, each once.
    pub fn sqlstates(&self) -> BTreeSet<String> {
        self.requests.iter().filter_map(|request| request.told.sqlstate()).map(str::to_owned).collect()
    }

    /// Compares with what is stored on that node.
    ///
    /// # Panics
    ///
    /// When a row that was acknowledged is missing, or one is there twice.
    pub fn check(&self, primary: &PgNode) {
        let Stored { lost, twice, .. } = self.compare(primary).expect("the rows can be read");
        assert_eq!(twice, 0, "a row is there twice");
        assert!(lost.is_empty(), "{} acknowledged rows are lost: {lost:?}", lost.len());
    }

    /// The same for who wants to know.
    pub fn compare(&self, primary: &PgNode) -> Result<Stored, ClusterError> {
        let stored = primary.psql(&format!("SELECT id FROM {TABLE}"))?;
        let rows: Vec<u64> = stored.lines().map(|line| line.parse().expect("a number")).collect();
        let stored: BTreeSet<u64> = rows.iter().copied().collect();
        let acknowledged = self.requests.iter().filter(|request| request.is_committed_write());
        let lost = acknowledged.filter_map(|request| request.id).filter(|id| !stored.contains(id)).collect();
        Ok(Stored { rows: rows.len(), twice: rows.len() - stored.len(), lost })
    }
}

/// What is stored beside what was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Rows that are there.
    pub rows: usize,
    /// Those that are there more than once.
    pub twice: usize,
    /// Ids of rows that were acknowledged and are missing.
    pub lost: Vec<u64>,
}

/// Ids of one client differ from those of the others by this.
const IDS_PER_CLIENT: u64 = 1_000_000_000;

/// Where the next client begins; a table may be written to by one load after the other.
static FIRST_ID: AtomicU64 = AtomicU64::new(0);

struct Worker {
    number: usize,
    first_id: u64,
    port: u16,
    writes: bool,
    history: Arc<Mutex<History>>,
    commits: Arc<AtomicUsize>,
}

impl Worker {
    async fn run(self, stop: Arc<AtomicBool>) {
        let mut client: Option<Client> = None;
        let mut id = self.first_id;
        while !stop.load(Relaxed) {
            let connected = match client.take() {
                Some(client) if !client.is_closed() => client,
                lost => match self.connect(lost.is_some()).await {
                    Some(client) => client,
                    None => continue,
                },
            };
            id += 1;
            let sql = match self.writes {
                true => format!("INSERT INTO {TABLE} VALUES ({id})"),
                false => format!("SELECT count(*) FROM {TABLE} WHERE id < 0"),
            };
            let sent = Instant::now();
            let told = match ask(&connected, &sql).await {
                Ok(count) if !self.writes && count != "0" => Told::Failed(PHANTOM.to_owned()),
                Ok(_) => Told::Committed,
                Err(error) => Told::Failed(sqlstate(&error).to_owned()),
            };
            let request =
                Request { client: self.number, id: self.writes.then_some(id), sent, answered: Instant::now(), told };
            self.commits.fetch_add(usize::from(request.is_committed_write()), Relaxed);
            self.history().requests.push(request);
            client = Some(connected);
            if !self.writes {
                tokio::time::sleep(READER_PAUSE).await;
            }
        }
    }

    async fn connect(&self, again: bool) -> Option<Client> {
        if again {
            self.history().disconnects.push(self.number);
        }
        match config(self.port, "postgres").connect(tokio_postgres::NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(async { connection.await.ok() });
                Some(client)
            }
            Err(_) => {
                self.history().disconnects.push(self.number);
                tokio::time::sleep(RECONNECT_PAUSE).await;
                None
            }
        }
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().expect("no client panics")
    }
}

//! Looks at the proxy's console all the time and notes when what it shows has changed.
//!
//! SHOW EVENTS tells whole seconds, so an event is dated by when it was there first.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use howdah_tests::clients;
use tokio::runtime::Builder;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

/// A quarter of what the pictures can show; a tenth would cost the machine more than the clients do.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Something that happened, by our doing or the proxy's.
#[derive(Clone, Debug)]
pub struct Happening {
    /// When it was seen.
    pub at: Instant,
    /// What SHOW EVENTS calls it, or one of `fault`, `hold`, `resume`, `follow`, `down` and `up`.
    pub kind: String,
    /// The node that it is about.
    pub node: String,
    /// The rest.
    pub words: String,
}

/// What SHOW CLUSTER says of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    pub health: String,
    pub role: String,
    pub sync: String,
    pub quarantine: String,
    upstream: String,
    replication: String,
}

/// What SHOW CLUSTER says.
#[derive(Clone, Debug, Default)]
pub struct Sighting {
    pub state: String,
    pub nodes: Vec<Seen>,
    hold: String,
}

#[derive(Default)]
struct Notes {
    sighting: Sighting,
    /// Rows of SHOW EVENTS that are known.
    events: usize,
    happenings: Vec<Happening>,
}

/// Somebody who looks.
pub struct Watch {
    notes: Arc<Mutex<Notes>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Watch {
    /// On the console of the proxy on that port.
    pub fn start(port: u16) -> Self {
        let (notes, stop) = (Arc::new(Mutex::new(Notes::default())), Arc::new(AtomicBool::new(false)));
        let (kept, stopped) = (Arc::clone(&notes), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(look(port, &kept, &stopped))
        });
        Self { notes, stop, thread }
    }

    /// How it was a moment ago.
    pub fn sighting(&self) -> Sighting {
        lock(&self.notes).sighting.clone()
    }

    /// The first such happening since then.
    pub fn find(&self, since: Instant, is_it: impl Fn(&Happening) -> bool) -> Option<Happening> {
        let notes = lock(&self.notes);
        notes.happenings.iter().find(|happening| happening.at >= since && is_it(happening)).cloned()
    }

    /// All that happened.
    pub fn end(self) -> Result<Vec<Happening>> {
        self.stop.store(true, Relaxed);
        let ended = self.thread.join().expect("it does not panic");
        ended.context("the console could not be looked at any more")?;
        Ok(lock(&self.notes).happenings.clone())
    }
}

impl Seen {
    /// It streams from that node.
    pub fn follows(&self, upstream: &str) -> bool {
        self.replication == "streaming" && self.upstream == upstream
    }
}

impl Sighting {
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Seen> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The node that takes writes.
    pub fn primary(&self) -> Option<&str> {
        let takes_writes = |node: &&Seen| node.role == "primary" && node.health == "up" && node.quarantine.is_empty();
        self.nodes.iter().find(takes_writes).map(|node| node.name.as_str())
    }

    fn of(rows: &[SimpleQueryRow]) -> Self {
        let first = |column| rows.first().map(|row| value(row, column)).unwrap_or_default();
        let seen = |row| Seen {
            name: value(row, "node"),
            health: value(row, "health"),
            role: value(row, "role"),
            sync: value(row, "sync"),
            quarantine: value(row, "quarantine"),
            upstream: value(row, "upstream"),
            replication: value(row, "replication"),
        };
        Self { state: first("state"), hold: first("hold"), nodes: rows.iter().map(seen).collect() }
    }
}

impl Notes {
    fn note(&mut self, kind: &str, node: &str, words: &str) {
        let (kind, node, words) = (kind.to_owned(), node.to_owned(), words.to_owned());
        self.happenings.push(Happening { at: Instant::now(), kind, node, words });
    }

    fn add_events(&mut self, rows: &[SimpleQueryRow]) {
        for row in rows.iter().skip(self.events) {
            self.note(&value(row, "event"), &value(row, "node"), &value(row, "message"));
        }
        self.events = rows.len();
    }

    fn compare(&mut self, now: Sighting) {
        let before = std::mem::replace(&mut self.sighting, now.clone());
        match (before.hold.is_empty(), now.hold.is_empty()) {
            (true, false) => self.note("hold", "", &now.hold),
            (false, true) => self.note("resume", "", ""),
            _ => {}
        }
        for (old, new) in before.nodes.iter().zip(&now.nodes) {
            if old.health != new.health && ["up", "down"].contains(&new.health.as_str()) {
                self.note(&new.health, &new.name, "");
            }
            if !new.upstream.is_empty() && new.follows(&new.upstream) && !old.follows(&new.upstream) {
                self.note("follow", &new.name, &format!("streams from {}", new.upstream));
            }
        }
    }
}

async fn look(port: u16, notes: &Mutex<Notes>, stop: &AtomicBool) -> Result<()> {
    let console = clients::connect(port, "howdah").await;
    while !stop.load(Relaxed) {
        let events = rows(&console, "SHOW EVENTS").await?;
        let cluster = rows(&console, "SHOW CLUSTER").await?;
        {
            let mut notes = lock(notes);
            notes.add_events(&events);
            notes.compare(Sighting::of(&cluster));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn rows(console: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
    let messages = console.simple_query(sql).await?;
    let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
    Ok(messages.into_iter().filter_map(row).collect())
}

fn value(row: &SimpleQueryRow, column: &str) -> String {
    row.get(column).unwrap_or_default().to_owned()
}

fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

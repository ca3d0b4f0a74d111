//! What the sessions of one thread share without locks, and what all threads share.

pub mod inquiry;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use tokio::sync::Notify;

use self::inquiry::Inquiries;
use crate::{
    auth_query::Lookups,
    generation::{Generation, RunningGeneration, last_catalog::LastCatalog},
    operate::Commands,
    pool::Registry,
    session::{info::Clients, keys::KeyTables, plans::PlanCache},
    shutdown::{Phase, Shutdown},
    sql::{Shapes, SharedShapes},
    telemetry::averages::Averages,
};

/// Generations that ROLLBACK can go back to, the running one included.
pub const HISTORY_MAX: usize = 4;

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The running generation.
    pub generation: RunningGeneration,
    /// The last generations, the oldest first, the running one last.
    pub history: Mutex<VecDeque<Arc<Generation>>>,
    /// All pools.
    pub registry: Registry,
    /// All clients.
    pub clients: Clients,
    /// What has been found of users that are not in the `auth_file`.
    pub lookups: Lookups,
    /// What has been written, by causality key.
    pub keys: KeyTables,
    /// Shapes that some worker has parsed.
    pub shapes: Arc<SharedShapes>,
    /// The way to the control plane.
    pub commands: Commands,
    /// How near the end is.
    pub shutdown: Shutdown,
    /// Rings when a client has left.
    pub client_left: Notify,
    /// What the console counts of the whole process.
    pub counters: Counters,
    /// What the counters of databases were a while ago.
    pub averages: Averages,
    /// The way to what only single workers have.
    pub inquiries: Inquiries,
}

/// Counters of the whole process.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that were accepted.
    pub accepted: AtomicU64,
    /// Connections that never logged in.
    pub failed_logins: AtomicU64,
    /// Cancel requests that were passed on.
    pub cancels: AtomicU64,
    /// Requests that found their plan in a worker's cache.
    pub plan_hits: AtomicU64,
    /// Requests for which the policy was asked.
    pub plan_misses: AtomicU64,
    /// Generations that were refused.
    pub refused_generations: AtomicU64,
}

impl Shared {
    /// At the first generation.
    pub fn new(first: Arc<Generation>, commands: Commands, shutdown: Shutdown) -> Self {
        Self {
            history: Mutex::new(VecDeque::from([Arc::clone(&first)])),
            generation: RunningGeneration::new(first),
            registry: Registry::default(),
            clients: Clients::default(),
            lookups: Lookups::default(),
            keys: KeyTables::default(),
            shapes: Arc::default(),
            commands,
            shutdown,
            client_left: Notify::new(),
            counters: Counters::default(),
            averages: Averages::default(),
            inquiries: Inquiries::default(),
        }
    }

    /// The proxy is shutting down.
    pub fn is_leaving(&self) -> bool {
        self.shutdown.phase() != Phase::Running
    }
}

/// One thread's part.
pub struct Worker {
    /// Its number, from 0.
    pub id: usize,
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// The shapes of statements seen on this thread.
    pub shapes: RefCell<Shapes>,
    /// The plans of shapes seen on this thread.
    pub plans: RefCell<PlanCache>,
    /// The catalog that was used last on this thread.
    pub last_catalog: RefCell<LastCatalog>,
    /// For ids of unnamed statements, unique in the process.
    pub next_unnamed: Cell<u64>,
}

impl Worker {
    /// An idle worker.
    pub fn new(id: usize, shared: Arc<Shared>) -> Self {
        let shapes = Shapes::new(Arc::clone(&shared.shapes));
        Self {
            id,
            shared,
            shapes: RefCell::new(shapes),
            plans: RefCell::default(),
            last_catalog: RefCell::default(),
            next_unnamed: Cell::new((id as u64) << 48),
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("id", &self.id).finish_non_exhaustive()
    }
}

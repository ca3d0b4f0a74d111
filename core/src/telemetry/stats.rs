//! Counters of one (database, user), each worker its own so that they share no cache line.

use super::{
    counter::Counter,
    histogram::{Histogram, Snapshot},
};

/// Causes for which a session keeps its server.
pub const PIN_CAUSES: usize = 10;

/// One worker's share.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Shard {
    /// Transactions that ended.
    pub transactions: Counter,
    /// Requests that were answered.
    pub queries: Counter,
    /// Bytes from clients.
    pub received: Counter,
    /// Bytes to clients.
    pub sent: Counter,
    /// Servers that were lent.
    pub assignments: Counter,
    /// Parse messages of clients for named statements.
    pub client_parses: Counter,
    /// Parse messages to servers for named statements.
    pub server_parses: Counter,
    /// Bind messages of clients.
    pub binds: Counter,
    /// Logins.
    pub logins: Counter,
    /// Requests that were sent to a standby.
    pub standby_queries: Counter,
    /// Requests that a standby refused and the primary took over.
    pub rerouted: Counter,
    /// ErrorResponses of our own.
    pub errors: Counter,
    /// Requests that waited for a primary.
    pub held: Counter,
    /// Requests that were made again because their server was lost.
    pub retried: Counter,
    /// Clients that were told of a lost server.
    pub losses: Counter,
    /// COMMITs on their way to a lost server of which it is known what became of them.
    pub resolved: Counter,
    /// Commits whose wait for synchronous standbys was cancelled.
    pub unacknowledged: Counter,
    /// Sessions whose last write a failover has lost.
    pub lost_writes: Counter,
    /// Sessions that came to keep their server, by cause, in the order of `Causes::WORDS`.
    pub pins: [Counter; PIN_CAUSES],
    /// Time in transactions.
    pub transaction_time: Histogram,
    /// Time at servers.
    pub query_time: Histogram,
    /// Time in line for a server.
    pub wait_time: Histogram,
    /// Time without a primary.
    pub hold_time: Histogram,
}

/// The sum of all shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of a shard")]
pub struct Totals {
    pub transactions: u64,
    pub queries: u64,
    pub received: u64,
    pub sent: u64,
    pub assignments: u64,
    pub client_parses: u64,
    pub server_parses: u64,
    pub binds: u64,
    pub logins: u64,
    pub standby_queries: u64,
    pub rerouted: u64,
    pub errors: u64,
    pub held: u64,
    pub retried: u64,
    pub losses: u64,
    pub resolved: u64,
    pub unacknowledged: u64,
    pub lost_writes: u64,
    pub pins: [u64; PIN_CAUSES],
    pub transaction_time: Snapshot,
    pub query_time: Snapshot,
    pub wait_time: Snapshot,
    pub hold_time: Snapshot,
}

/// Counters of one (database, user).
#[derive(Debug)]
pub struct Stats {
    shards: Box<[Shard]>,
}

impl Stats {
    /// Zeros, for that many workers.
    pub fn new(workers: usize) -> Self {
        Self { shards: (0..workers.max(1)).map(|_| Shard::default()).collect() }
    }

    /// The share of a worker.
    #[inline]
    pub fn shard(&self, worker: usize) -> &Shard {
        // No division where a request passes.
        self.shards.get(worker).unwrap_or_else(|| &self.shards[worker % self.shards.len()])
    }

    /// The sum of all shards.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in &self.shards {
            totals.add(shard);
        }
        totals
    }
}

impl Totals {
    /// Adds those of another (database, user).
    pub fn merge(&mut self, other: &Self) {
        self.transactions += other.transactions;
        self.queries += other.queries;
        self.received += other.received;
        self.sent += other.sent;
        self.assignments += other.assignments;
        self.client_parses += other.client_parses;
        self.server_parses += other.server_parses;
        self.binds += other.binds;
        self.logins += other.logins;
        self.standby_queries += other.standby_queries;
        self.rerouted += other.rerouted;
        self.errors += other.errors;
        self.held += other.held;
        self.retried += other.retried;
        self.losses += other.losses;
        self.resolved += other.resolved;
        self.unacknowledged += other.unacknowledged;
        self.lost_writes += other.lost_writes;
        for (sum, more) in self.pins.iter_mut().zip(other.pins) {
            *sum += more;
        }
        self.transaction_time.merge(&other.transaction_time);
        self.query_time.merge(&other.query_time);
        self.wait_time.merge(&other.wait_time);
        self.hold_time.merge(&other.hold_time);
    }

    fn add(&mut self, shard: &Shard) {
        self.transactions += shard.transactions.get();
        self.queries += shard.queries.get();
        self.received += shard.received.get();
        self.sent += shard.sent.get();
        self.assignments += shard.assignments.get();
        self.client_parses += shard.client_parses.get();
        self.server_parses += shard.server_parses.get();
        self.binds += shard.binds.get();
        self.logins += shard.logins.get();
        self.standby_queries += shard.standby_queries.get();
        self.rerouted += shard.rerouted.get();
        self.errors += shard.errors.get();
        self.held += shard.held.get();
        self.retried += shard.retried.get();
        self.losses += shard.losses.get();
        self.resolved += shard.resolved.get();
        self.unacknowledged += shard.unacknowledged.get();
        self.lost_writes += shard.lost_writes.get();
        for (sum, more) in self.pins.iter_mut().zip(&shard.pins) {
            *sum += more.get();
        }
        shard.transaction_time.add_to(&mut self.transaction_time);
        shard.query_time.add_to(&mut self.query_time);
        shard.wait_time.add_to(&mut self.wait_time);
        shard.hold_time.add_to(&mut self.hold_time);
    }
}

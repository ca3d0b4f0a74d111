//! Bounds on the servers of several pools together: `max_db_connections`, `max_user_connections`.
//!
//! All quotas of a node are kept in one [`Ledger`], so that a server's place is counted in both of its
//! pool's quotas or in none. Its lock is taken when a server opens or closes, not when one is lent.
//! Whoever holds it may lock one pool at a time; nobody takes it while holding a pool.
//!
//! Who gets a place when none is left is in [`opening`](super::opening).

use std::sync::{
    Arc, Mutex, MutexGuard, Weak,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::Pool;
use crate::{clock::Moment, server::Server};

/// The quotas of one node.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: Mutex<Vec<Account>>,
}

/// How many servers of a database, or of a user, a node may have.
#[derive(Debug)]
pub struct Quota {
    ledger: Arc<Ledger>,
    /// Its account in the ledger.
    at: usize,
    /// When the first of all who wait for a place came, in microseconds of [`Moment`]; or earlier, since
    /// it is put right only with the ledger in hand. 0 while nobody waits.
    hungry_since: AtomicU64,
    /// When somebody last looked who that is, because a server might make way.
    looked_micros: AtomicU64,
}

/// Time between two such looks, which lock every pool that waits: where all are in need, each server
/// that comes back would be a reason for one.
const LOOK_EVERY_MICROS: u64 = 1_000;

/// What the ledger says of a quota.
#[derive(Debug, Default)]
struct Account {
    /// 0 is no bound.
    max: usize,
    /// Servers that are open, on their way up, or being closed.
    used: usize,
    /// The pools under it.
    pools: Vec<Weak<Pool>>,
    /// Those of them that need a server and found no place.
    hungry: Vec<Weak<Pool>>,
}

/// The ledger, in hand.
pub(super) struct Accounts<'l>(MutexGuard<'l, Vec<Account>>);

impl Ledger {
    /// A quota of `max` servers; 0 is no bound.
    pub fn quota(self: &Arc<Self>, max: usize) -> Quota {
        let mut accounts = self.open();
        let at = accounts.0.len();
        accounts.0.push(Account { max, ..Account::default() });
        drop(accounts);
        Quota { ledger: Arc::clone(self), at, hungry_since: AtomicU64::new(0), looked_micros: AtomicU64::new(0) }
    }

    fn open(&self) -> Accounts<'_> {
        Accounts(self.accounts.lock().expect("nothing panics while it holds the ledger"))
    }
}

impl Quota {
    /// Changes the bound; what is open beyond it stays until it closes.
    pub fn resize(&self, max: usize) {
        self.ledger().0[self.at].max = max;
    }

    /// How many servers are open, on their way up, or being closed. One more than allowed while an
    /// evicted one says goodbye, whose place another has been promised.
    pub fn used(&self) -> usize {
        self.ledger().0[self.at].used
    }

    /// Puts a pool under it.
    pub(super) fn cover(&self, pool: &Arc<Pool>) {
        let pools = &mut self.ledger().0[self.at].pools;
        pools.retain(|known| known.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    pub(super) fn ledger(&self) -> Accounts<'_> {
        self.ledger.open()
    }

    /// The same quota.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.at == other.at && Arc::ptr_eq(&self.ledger, &other.ledger)
    }

    /// Somebody may wait for a place. All that a request pays for quotas.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.hungry_since.load(Relaxed) != 0
    }

    /// Somebody may wait who came before that moment.
    pub(super) fn is_wanted_since(&self, before_micros: u64) -> bool {
        let since = self.hungry_since.load(Relaxed);
        since != 0 && since < before_micros
    }

    /// Nobody has looked who that is for [`LOOK_EVERY_MICROS`], nor does anybody else now.
    pub(super) fn may_look(&self, now_micros: u64) -> bool {
        let looked = self.looked_micros.load(Relaxed);
        now_micros.saturating_sub(looked) >= LOOK_EVERY_MICROS
            && self.looked_micros.compare_exchange(looked, now_micros, Relaxed, Relaxed).is_ok()
    }

    /// Says that somebody looks for a place. Whoever makes a server idle from now on sees it, so that
    /// it is enough to look once.
    fn announce(&self, since: Moment) {
        if !self.is_wanted() {
            self.hungry_since.store(since.micros(), Relaxed);
        }
    }
}

impl Accounts<'_> {
    /// Counts one server more in both quotas.
    pub(super) fn take(&mut self, quotas: &[Arc<Quota>; 2]) {
        quotas.iter().for_each(|quota| self.0[quota.at].used += 1);
    }

    /// Counts one server less in both quotas.
    pub(super) fn give(&mut self, quotas: &[Arc<Quota>; 2]) {
        quotas.iter().for_each(|quota| self.0[quota.at].used -= 1);
    }

    /// There is a place that nobody has.
    pub(super) fn has_room(&self, quota: &Quota) -> bool {
        let Account { max, used, .. } = self.0[quota.at];
        max == 0 || used < max
    }

    /// Takes the server that has been idle for longest from the other pools under a quota. `since` is
    /// when the first in line for its place came.
    pub(super) fn evict(&self, quota: &Quota, pool: &Pool, since: Moment) -> Option<Evicted> {
        quota.announce(since);
        let others = || {
            let covered = self.0[quota.at].pools.iter().filter_map(Weak::upgrade);
            covered.filter(|other| !std::ptr::eq(&raw const **other, pool))
        };
        loop {
            let idle = others().filter_map(|other| {
                let since = other.lock().oldest_idle()?;
                Some((since, other))
            });
            let (_, other) = idle.min_by_key(|(since, _)| *since)?;
            // A session may have been faster.
            let server = other.lock().take_oldest_idle();
            if let Some(server) = server {
                return Some(Evicted { pool: other, server });
            }
        }
    }

    /// Has a pool wait for a place in this quota, and in no other.
    pub(super) fn await_place(&mut self, quota: &Quota, pool: &Arc<Pool>) {
        for other in &pool.quotas {
            let hungry = &mut self.0[other.at].hungry;
            let known = hungry.iter().position(|known| known.as_ptr() == Arc::as_ptr(pool));
            match known {
                Some(known) if !other.is(quota) => drop(hungry.swap_remove(known)),
                None if other.is(quota) => hungry.push(Arc::downgrade(pool)),
                _ => {}
            }
        }
    }

    /// The pool whose first in line has waited longest for a place in this quota, if it came before
    /// that moment. Forgets those that need none any more.
    pub(super) fn hungriest(&mut self, quota: &Quota, before_micros: Option<u64>) -> Option<Arc<Pool>> {
        let mut first: Option<(Moment, Arc<Pool>)> = None;
        self.0[quota.at].hungry.retain(|pool| {
            let Some(pool) = pool.upgrade() else { return false };
            let Some(since) = pool.still_hungry_since() else { return false };
            if first.as_ref().is_none_or(|(earliest, _)| since < *earliest) {
                first = Some((since, pool));
            }
            true
        });
        quota.hungry_since.store(first.as_ref().map_or(0, |(since, _)| since.micros()), Relaxed);
        let (since, pool) = first?;
        before_micros.is_none_or(|before| since.micros() < before).then_some(pool)
    }
}

/// An idle server that makes way for one of another pool.
#[derive(Debug)]
pub(super) struct Evicted {
    /// Whose it was.
    pub(super) pool: Arc<Pool>,
    /// To be closed before its place is used.
    pub(super) server: Box<Server>,
}

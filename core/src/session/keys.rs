//! How far the writes of causality keys have come, for all sessions of the proxy.
//!
//! A policy stamps statements with keys, and plans reads that must see what was stamped, by any
//! session on any worker. What is forgotten, or was never known, counts for every key: there is a
//! floor, a moment before which anything may have been written to any of them.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::time::Instant;

use super::mark::{Mark, MustSee, Sample};
use crate::{facts::Facts, plugin::Router};

/// Most keys of a cluster that are known one by one. A key takes two hundred bytes or so.
pub const KEYS_MAX: usize = 20_000;

/// Most samples of the primary that are kept. A write is placed at the first sample after it; one
/// that is older than all of them, at the oldest. At a probe every second it is a minute.
const SAMPLES_MAX: usize = 64;

/// The tables of all clusters, by their names.
#[derive(Debug, Default)]
pub struct KeyTables(Mutex<HashMap<Arc<str>, Arc<KeyWrites>>>);

impl KeyTables {
    /// The table of a cluster. One that no session uses may be forgotten: the next knows that
    /// anything may have been written before it was made.
    pub fn of(&self, cluster: &Arc<str>) -> Arc<KeyWrites> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(cluster) {
            return Arc::clone(table);
        }
        tables.retain(|_, table| Arc::strong_count(table) > 1);
        Arc::clone(tables.entry(Arc::clone(cluster)).or_default())
    }
}

/// What is known of one cluster's keys.
#[derive(Debug, Default)]
pub struct KeyWrites {
    table: Mutex<Table>,
    /// Sessions whose commits will be noted later than they are acknowledged.
    doubts: AtomicUsize,
    /// A policy has asked for the writes of a key, be it one of another generation.
    are_read: AtomicBool,
}

impl KeyWrites {
    /// Notes that what was stamped with these keys is committed by now; `unflushed` says that it may
    /// not be flushed yet.
    pub fn stamp(&self, keys: &[Arc<str>], unflushed: bool, facts: &Facts) {
        let mut table = self.lock();
        table.hear(facts);
        // Taking thousands of entries apart is left until the lock is free.
        let forgotten: Vec<_> = keys.iter().filter_map(|key| table.stamp(key, Instant::now(), unflushed)).collect();
        drop(table);
        drop(forgotten);
    }

    /// Notes that something is committed by now, and nobody knows with which keys.
    pub fn stamp_all(&self, unflushed: bool) {
        self.lock().floor.raise(Instant::now(), unflushed);
    }

    /// What a read of a key must see. `first_reader` says whether nobody has asked before, so that
    /// nothing has been noted yet.
    pub fn must_see(&self, key: &str, facts: &Facts, first_reader: impl FnOnce() -> bool) -> MustSee {
        let mut table = self.lock();
        table.hear(facts);
        // Under the lock, so that whoever is the second finds the floor raised.
        if first_reader() {
            self.are_read.store(true, Ordering::Release);
            table.floor.raise(Instant::now(), true);
        }
        if self.doubts.load(Ordering::Acquire) > 0 { MustSee::Unknown } else { table.must_see(key) }
    }

    /// Whether a policy has asked for the writes of a key, of whatever generation.
    #[inline]
    pub fn are_read(&self) -> bool {
        self.are_read.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, a commit may have been acknowledged that has not been noted: reads by key go to
/// the primary.
#[derive(Debug)]
pub struct Doubt {
    keys: Arc<KeyWrites>,
    is_settled: bool,
}

impl Doubt {
    /// Begins before the commit is sent.
    pub fn about(keys: &Arc<KeyWrites>) -> Self {
        keys.doubts.fetch_add(1, Ordering::AcqRel);
        Self { keys: Arc::clone(keys), is_settled: false }
    }

    /// All that was committed has been noted.
    pub fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Doubt {
    /// A session that ends in doubt may have written anything.
    fn drop(&mut self) {
        if !self.is_settled {
            self.keys.stamp_all(true);
        }
        self.keys.doubts.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A cluster's keys, for those who choose nodes.
#[derive(Clone, Copy, Debug)]
pub struct KeyReader<'a> {
    /// What is known of them.
    pub writes: &'a KeyWrites,
    /// The policy whose plans name them; none for those who only want to know.
    pub router: Option<&'a Router>,
}

impl KeyReader<'_> {
    /// What a read of a key must see.
    pub fn must_see(&self, key: &str, facts: &Facts) -> MustSee {
        self.writes.must_see(key, facts, || self.router.is_some_and(Router::watch_keys))
    }
}

/// Two maps: new keys go to the young one, and when that is full it becomes the old one, and what
/// the old one held is forgotten.
#[derive(Debug, Default)]
struct Table {
    young: Generation,
    old: Generation,
    floor: Floor,
    /// What the primary said; the newest last.
    samples: VecDeque<Sample>,
}

type Marks = HashMap<Arc<str>, Mark>;

#[derive(Debug, Default)]
struct Generation {
    marks: Marks,
    /// When the last of them was written.
    newest: Option<Instant>,
    /// Some of them may not have been flushed then.
    unflushed: bool,
}

/// Until then anything may have been written to any key.
#[derive(Debug)]
struct Floor {
    at: Instant,
    mark: Mark,
}

impl Default for Floor {
    /// Nothing is known of what was before.
    fn default() -> Self {
        let (at, mut mark) = (Instant::now(), Mark::default());
        mark.wrote(at, true);
        Self { at, mark }
    }
}

impl Floor {
    fn raise(&mut self, to: Instant, unflushed: bool) {
        if to > self.at || unflushed {
            self.at = self.at.max(to);
            self.mark.wrote(self.at, unflushed);
        }
    }
}

impl Table {
    /// Notes a write at a moment that is not before any noted already; what is forgotten for it.
    fn stamp(&mut self, key: &Arc<str>, now: Instant, unflushed: bool) -> Option<Marks> {
        let mut forgotten = None;
        match self.young.marks.get_mut(key) {
            Some(mark) => mark.wrote(now, unflushed),
            None => {
                if self.young.marks.len() >= KEYS_MAX / 2 {
                    forgotten = Some(self.forget_oldest());
                }
                // Where it was written before may not be flushed even now.
                let mut mark = self.old.marks.get(key).copied().unwrap_or_default();
                mark.wrote(now, unflushed);
                self.young.marks.insert(Arc::clone(key), mark);
            }
        }
        self.young.newest = Some(now);
        self.young.unflushed |= unflushed;
        forgotten
    }

    /// Makes room. What goes was written before all that stays, so the floor harms nobody else.
    fn forget_oldest(&mut self) -> Marks {
        if let Some(newest) = self.old.newest {
            self.floor.raise(newest, self.old.unflushed);
        }
        let young = mem::take(&mut self.young);
        mem::replace(&mut self.old, young).marks
    }

    fn must_see(&mut self, key: &str) -> MustSee {
        let samples = &self.samples;
        let sampled_after = |wrote: Instant| {
            let first = samples.partition_point(|sample| sample.asked <= wrote);
            samples.get(first).copied()
        };
        let mark = self.young.marks.get_mut(key).or_else(|| self.old.marks.get_mut(key));
        let written = mark.map_or(MustSee::Nothing, |mark| mark.must_see(sampled_after));
        match written.max(self.floor.mark.must_see(sampled_after)) {
            // What the primary itself does not have, no standby will: its history is another one.
            MustSee::Position(position) => {
                let end = samples.back().and_then(Sample::end);
                MustSee::Position(end.map_or(position, |end| position.min(end)))
            }
            other => other,
        }
    }

    fn hear(&mut self, facts: &Facts) {
        let Some(sample) = Sample::of(facts).filter(|sample| sample.end().is_some()) else { return };
        if self.samples.back().is_some_and(|newest| sample.asked <= newest.asked) {
            return;
        }
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

#[cfg(test)]
mod tests;

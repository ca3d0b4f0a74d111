//! A map with a bound, which forgets what was not asked for lately.
//!
//! Two maps: new entries go to the young one, and when that is full it becomes the old one and
//! what the old one held is forgotten. An entry found in the old map moves to the young one. It
//! costs no list to maintain and never holds more than its bounds.

use std::{collections::HashMap, mem, sync::Arc};

use foldhash::fast::RandomState;

/// How much a [`Generations`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most entries.
    pub entries: usize,
    /// Most bytes, by the sizes given with the entries.
    pub bytes: usize,
}

type Map<V> = HashMap<Arc<[u8]>, (V, usize), RandomState>;

pub(super) struct Generations<V> {
    young: Map<V>,
    young_bytes: usize,
    old: Map<V>,
    old_bytes: usize,
    bounds: Bounds,
    evictions: u64,
}

impl<V: Clone> Generations<V> {
    pub fn new(bounds: Bounds) -> Self {
        Self { young: Map::default(), young_bytes: 0, old: Map::default(), old_bytes: 0, bounds, evictions: 0 }
    }

    /// Finds what is kept under `key`, which counts as asking for it.
    pub fn find(&mut self, key: &[u8]) -> Option<V> {
        match self.young.get(key) {
            Some((value, _)) => Some(value.clone()),
            None => self.find_old(key),
        }
    }

    #[inline(never)]
    fn find_old(&mut self, key: &[u8]) -> Option<V> {
        let (key, (value, bytes)) = self.old.remove_entry(key)?;
        self.old_bytes -= bytes;
        self.insert(key, value.clone(), bytes);
        Some(value)
    }

    /// Keeps `value` under `key`; `bytes` is what both take. One that alone takes more than half
    /// of the bound is not kept.
    pub fn insert(&mut self, key: Arc<[u8]>, value: V, bytes: usize) {
        if bytes > self.bounds.bytes / 2 {
            return;
        }
        if self.young.len() >= self.bounds.entries / 2 || self.young_bytes + bytes > self.bounds.bytes / 2 {
            self.evictions += self.old.len() as u64;
            self.old = mem::take(&mut self.young);
            self.old_bytes = mem::take(&mut self.young_bytes);
        }
        self.young_bytes += bytes;
        if let Some((_, replaced)) = self.young.insert(key, (value, bytes)) {
            self.young_bytes -= replaced;
        }
    }

    /// What is kept, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values()).map(|(value, _)| value)
    }

    /// Entries kept now.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Bytes kept now.
    pub fn bytes(&self) -> usize {
        self.young_bytes + self.old_bytes
    }

    /// Entries forgotten for want of room so far.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Arc<[u8]> {
        Arc::from(number.to_le_bytes())
    }

    fn bounded(entries: usize, bytes: usize) -> Generations<usize> {
        Generations::new(Bounds { entries, bytes })
    }

    #[test]
    fn it_never_holds_more_entries_than_its_bound() {
        let mut map = bounded(10, 1_000);
        for number in 0..100 {
            map.insert(key(number), number, 1);
            assert!(map.len() <= 10);
        }
        assert_eq!(map.evictions() + map.len() as u64, 100);
        assert_eq!(map.find(&key(99)), Some(99));
        assert_eq!(map.find(&key(0)), None);
    }

    #[test]
    fn it_never_holds_more_bytes_than_its_bound() {
        let mut map = bounded(1_000, 100);
        for number in 0..100 {
            map.insert(key(number), number, 7 + number % 20);
            assert!(map.bytes() <= 100);
        }
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut map = bounded(10, 1_000);
        map.insert(key(0), 0, 1);
        for number in 1..100 {
            map.insert(key(number), number, 1);
            assert_eq!(map.find(&key(0)), Some(0));
        }
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut map = bounded(10, 100);
        map.insert(key(0), 0, 51);
        assert_eq!(map.find(&key(0)), None);
        let mut nothing = bounded(0, 0);
        nothing.insert(key(0), 0, 1);
        assert_eq!((nothing.len(), nothing.bytes()), (0, 0));
    }

    #[test]
    fn an_entry_replaced_counts_once() {
        let mut map = bounded(10, 100);
        map.insert(key(0), 0, 10);
        map.insert(key(0), 1, 20);
        assert_eq!((map.find(&key(0)), map.len(), map.bytes()), (Some(1), 1, 20));
    }
}

//! What a plugin may keep outside its instances: the `state` interface, behind a grant.
//!
//! One store per plugin name. It survives traps and reloads, and is lost with the process.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Longest key.
const KEY_MAX_BYTES: usize = 256;

/// Longest value.
const VALUE_MAX_BYTES: usize = 64 << 10;

/// Keys and values of one plugin together.
const QUOTA_BYTES: usize = 1 << 20;

/// What an entry costs beyond its key and value, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 64;

/// Why the store did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreError {
    /// Key or value too long, or the quota is used up.
    OverQuota,
    /// There is another value.
    Conflict,
}

/// Keys and values of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    expires: Option<Instant>,
}

impl Entry {
    fn is_over(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

fn cost(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD_BYTES
}

impl Store {
    pub(crate) fn get(&self, key: &str, now: Instant) -> Option<Vec<u8>> {
        self.lock().current(key, now).map(<[u8]>::to_vec)
    }

    pub(crate) fn put(
        &self,
        key: String,
        value: Vec<u8>,
        ttl: Option<Duration>,
        now: Instant,
    ) -> Result<(), StoreError> {
        // A lifetime beyond what the clock can hold is as good as none.
        let expires = ttl.and_then(|ttl| now.checked_add(ttl));
        self.lock().put(key, Entry { value, expires }, now)
    }

    pub(crate) fn delete(&self, key: &str) {
        self.lock().remove(key);
    }

    /// Puts the value if the present one is as expected; `None` means that there is none.
    pub(crate) fn replace(
        &self,
        key: String,
        expected: Option<&[u8]>,
        value: Vec<u8>,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut entries = self.lock();
        if entries.current(&key, now) != expected {
            return Err(StoreError::Conflict);
        }
        entries.put(key, Entry { value, expires: None }, now)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn current(&self, key: &str, now: Instant) -> Option<&[u8]> {
        self.by_key.get(key).filter(|entry| !entry.is_over(now)).map(|entry| &*entry.value)
    }

    fn put(&mut self, key: String, entry: Entry, now: Instant) -> Result<(), StoreError> {
        if key.len() > KEY_MAX_BYTES || entry.value.len() > VALUE_MAX_BYTES {
            return Err(StoreError::OverQuota);
        }
        let wanted = cost(&key, &entry.value);
        if self.bytes_without(&key) + wanted > QUOTA_BYTES {
            self.forget_expired(now);
        }
        if self.bytes_without(&key) + wanted > QUOTA_BYTES {
            return Err(StoreError::OverQuota);
        }
        self.remove(&key);
        self.bytes += wanted;
        self.by_key.insert(key, entry);
        Ok(())
    }

    fn bytes_without(&self, key: &str) -> usize {
        self.bytes - self.by_key.get(key).map_or(0, |entry| cost(key, &entry.value))
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= cost(key, &entry.value);
        }
    }

    fn forget_expired(&mut self, now: Instant) {
        let freed = &mut 0;
        self.by_key.retain(|key, entry| {
            let over = entry.is_over(now);
            *freed += if over { cost(key, &entry.value) } else { 0 };
            !over
        });
        self.bytes -= *freed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_value_is_there_until_it_is_deleted() {
        let (store, now) = (Store::default(), Instant::now());
        store.put("k".into(), b"v".to_vec(), None, now).unwrap();
        assert_eq!(store.get("k", now), Some(b"v".to_vec()));
        store.delete("k");
        assert_eq!(store.get("k", now), None);
        assert_eq!(store.lock().bytes, 0);
    }

    #[test]
    fn a_value_ends_with_its_lifetime() {
        let (store, now) = (Store::default(), Instant::now());
        store.put("k".into(), b"v".to_vec(), Some(SECOND), now).unwrap();
        assert_eq!(store.get("k", now + SECOND / 2), Some(b"v".to_vec()));
        assert_eq!(store.get("k", now + SECOND), None);
    }

    #[test]
    fn replace_notices_that_somebody_was_faster() {
        let (store, now) = (Store::default(), Instant::now());
        let replace = |expected: Option<&[u8]>, value: &[u8]| store.replace("k".into(), expected, value.to_vec(), now);
        assert_eq!(replace(None, b"1"), Ok(()));
        assert_eq!(replace(None, b"2"), Err(StoreError::Conflict));
        assert_eq!(replace(Some(b"1"), b"2"), Ok(()));
        assert_eq!(store.get("k", now), Some(b"2".to_vec()));
    }

    #[test]
    fn the_quota_holds_and_expired_values_do_not_count() {
        let (store, now) = (Store::default(), Instant::now());
        let value = || vec![0; VALUE_MAX_BYTES];
        let put = |key: &str, now| store.put(key.into(), value(), Some(SECOND), now);
        let full = (0..100).find(|i| put(&i.to_string(), now).is_err());
        assert_eq!(full, Some(15));
        assert_eq!(put("0", now), Ok(()), "replacing needs no more room");

        assert_eq!(put("new", now + SECOND), Ok(()));

        let too_long = store.put("x".repeat(KEY_MAX_BYTES + 1), Vec::new(), None, now);
        assert_eq!(too_long, Err(StoreError::OverQuota));
    }
}

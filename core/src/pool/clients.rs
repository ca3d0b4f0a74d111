//! How many clients there are of a database and of a user: `max_db_client_connections`, `max_user_client_connections`.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// How many clients there are, and how many may be; by default as many as like.
#[derive(Debug, Default)]
pub struct ClientQuota {
    /// 0 is no bound.
    max: AtomicUsize,
    used: AtomicUsize,
}

impl ClientQuota {
    /// A place for one more client, unless that is one too many.
    pub fn place(self: &Arc<Self>) -> Option<Place> {
        let max = self.max.load(Relaxed);
        let taken = self.used.fetch_update(Relaxed, Relaxed, |used| (max == 0 || used < max).then_some(used + 1));
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }
}

/// A client's place, given up when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<ClientQuota>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Relaxed);
    }
}

/// Quotas by the name of a database or of a user.
#[derive(Debug, Default)]
pub(super) struct ClientQuotas(HashMap<Arc<str>, Arc<ClientQuota>>);

impl ClientQuotas {
    /// The one of this name, with this bound from now on; those who are beyond it stay.
    pub(super) fn of(&mut self, name: &Arc<str>, max: usize) -> Arc<ClientQuota> {
        let quota = self.0.entry(Arc::clone(name)).or_default();
        quota.max.store(max, Relaxed);
        Arc::clone(quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_exactly_and_given_up_with_their_owners() {
        let mut quotas = ClientQuotas::default();
        let quota = quotas.of(&"ann".into(), 1);
        let place = quota.place();
        assert!(place.is_some() && quotas.of(&"ann".into(), 1).place().is_none());
        assert!(quotas.of(&"bob".into(), 1).place().is_some());
        drop(place);
        assert!(quota.place().is_some());

        quotas.of(&"ann".into(), 0);
        let places: Vec<_> = (0..5).filter_map(|_| quota.place()).collect();
        assert_eq!(places.len(), 5);
    }
}

//! The catalog that a worker used last: most requests want the same one as the request before.

use std::sync::{Arc, Weak};

use super::ClusterRuntime;
use crate::{id::is_same_name, sql::Catalog};

/// Remembers one catalog.
#[derive(Default)]
pub struct LastCatalog {
    cluster: Weak<ClusterRuntime>,
    dbname: Arc<str>,
    changes: u64,
    catalog: Arc<Catalog>,
}

impl LastCatalog {
    /// What is known of a database now.
    #[inline]
    pub fn get(&mut self, cluster: &Arc<ClusterRuntime>, dbname: &Arc<str>) -> Arc<Catalog> {
        let changes = cluster.catalogs.changes();
        let same = self.changes == changes
            && self.cluster.as_ptr() == Arc::as_ptr(cluster)
            && is_same_name(&self.dbname, dbname);
        if !same {
            *self = Self::read(cluster, dbname, changes);
        }
        Arc::clone(&self.catalog)
    }

    #[cold]
    fn read(cluster: &Arc<ClusterRuntime>, dbname: &Arc<str>, changes: u64) -> Self {
        Self {
            cluster: Arc::downgrade(cluster),
            dbname: Arc::clone(dbname),
            changes,
            catalog: cluster.catalogs.catalog(dbname),
        }
    }
}

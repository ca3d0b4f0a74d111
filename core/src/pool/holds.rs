//! What operators ask of databases: to pause, to let nobody in, to begin afresh.
//!
//! An order holds for the pools that are there and for those that are still to come.

use std::{collections::HashSet, sync::Arc};

use super::{Pool, Registry};
use crate::server::info::ServerInfo;

/// Most databases that are paused or disabled by name at once.
pub const HELD_MAX: usize = 10_000;

/// The orders that hold now.
#[derive(Debug, Default)]
pub(super) struct Holds {
    everything_paused: bool,
    paused: HashSet<Arc<str>>,
    disabled: HashSet<Arc<str>>,
}

/// More than [`HELD_MAX`] databases would be held.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {HELD_MAX} databases are paused or disabled")]
pub struct TooManyHeld;

impl Holds {
    pub(super) fn pauses(&self, database: &str) -> bool {
        self.everything_paused || self.paused.contains(database)
    }

    pub(super) fn disables(&self, database: &str) -> bool {
        self.disabled.contains(database)
    }
}

fn hold(held: &mut HashSet<Arc<str>>, database: &str) -> Result<(), TooManyHeld> {
    if held.len() >= HELD_MAX && !held.contains(database) {
        return Err(TooManyHeld);
    }
    held.insert(database.into());
    Ok(())
}

impl Registry {
    /// Lends no servers of a database, or of any, until [`resume`](Self::resume); closes each as it
    /// comes back.
    pub fn pause(&self, database: Option<&str>) -> Result<(), TooManyHeld> {
        let mut tables = self.lock();
        match database {
            None => tables.holds.everything_paused = true,
            Some(database) => hold(&mut tables.holds.paused, database)?,
        }
        drop(tables);
        self.pools_of(database).iter().for_each(|pool| pool.pause());
        Ok(())
    }

    /// Takes back the same order; false when it was not given. A database that is paused by its name
    /// stays so when everything else goes on.
    pub fn resume(&self, database: Option<&str>) -> bool {
        let mut tables = self.lock();
        let was_paused = match database {
            None => std::mem::take(&mut tables.holds.everything_paused),
            Some(database) => tables.holds.paused.remove(database),
        };
        let free = |pool: &Arc<Pool>| !tables.holds.pauses(&pool.key.database);
        let pools: Vec<_> = tables.pools.values().filter(|pool| free(pool)).cloned().collect();
        drop(tables);
        pools.iter().filter(|pool| pool.is_paused()).for_each(Pool::resume);
        was_paused
    }

    /// Whether everything is paused.
    pub fn is_paused(&self) -> bool {
        self.lock().holds.everything_paused
    }

    /// The databases that are paused by their names, in order.
    pub fn paused(&self) -> Vec<Arc<str>> {
        let mut paused: Vec<_> = self.lock().holds.paused.iter().cloned().collect();
        paused.sort();
        paused
    }

    /// Whether a database is paused, by its name or with all others.
    pub fn pauses(&self, database: &str) -> bool {
        self.lock().holds.pauses(database)
    }

    /// Lets no new clients into a database, or lets them in again.
    pub fn set_disabled(&self, database: &str, disabled: bool) -> Result<(), TooManyHeld> {
        let mut tables = self.lock();
        if disabled {
            hold(&mut tables.holds.disabled, database)?;
        } else {
            tables.holds.disabled.remove(database);
        }
        for set in tables.sets.values().filter(|set| *set.database == *database) {
            set.shared.disabled.store(disabled, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether a database lets no new clients in.
    pub fn disables(&self, database: &str) -> bool {
        self.lock().holds.disables(database)
    }

    /// Closes the servers of a database, or all of them, as soon as they are free.
    pub fn reconnect(&self, database: Option<&str>) {
        self.pools_of(database).iter().for_each(|pool| pool.reconnect());
    }

    /// No server of the database, or of any, is open or on its way up.
    pub fn is_empty_of_servers(&self, database: Option<&str>) -> bool {
        self.pools_of(database).iter().all(|pool| pool.open() == 0)
    }

    /// Servers that [`reconnect`](Self::reconnect) or a reload has condemned are still with clients.
    pub fn has_old_servers(&self, database: Option<&str>) -> bool {
        let tables = self.lock();
        let concerned = |server: &ServerInfo| database.is_none_or(|database| *server.pool.database == *database);
        ServerInfo::list().iter().any(|server| concerned(server) && tables.is_old(server))
    }

    /// Whether a server is closed as soon as it is free.
    pub fn is_old(&self, server: &ServerInfo) -> bool {
        self.lock().is_old(server)
    }

    fn pools_of(&self, database: Option<&str>) -> Vec<Arc<Pool>> {
        let tables = self.lock();
        let pools = tables.pools.values();
        pools.filter(|pool| database.is_none_or(|database| *pool.key.database == *database)).cloned().collect()
    }
}

impl super::registry::Tables {
    fn is_old(&self, server: &ServerInfo) -> bool {
        server.close_needed() || self.pools.get(&server.pool).is_none_or(|pool| server.age < pool.age())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::Secret,
        config::{Cluster, Config, Database, Node, SslMode},
        id::NodeId,
        net::stream::SocketOptions,
        server::{ServerTarget, ServerTls},
    };

    fn config() -> Config {
        let node = Node {
            name: "n0".into(),
            host: "127.0.0.1".into(),
            port: 1,
            weight: 100,
            labels: Arc::from([]),
            executor: Arc::default(),
        };
        let cluster = Cluster {
            name: "main".into(),
            nodes: vec![node],
            control_user: "postgres".into(),
            control_password: None,
            control_database: "postgres".into(),
            failover: Default::default(),
            healing: Default::default(),
            replication_user: None,
            replication_password: None,
        };
        let database = Database { cluster: "main".into(), ..Database::default() };
        let mut config = Config::default();
        config.clusters.insert("main".into(), Arc::new(cluster));
        config.databases.insert("*".into(), Arc::new(database));
        config
    }

    fn target(_: &Config, _: &Database, database: &str, user: &str, _: NodeId, _: Option<&Secret>) -> ServerTarget {
        ServerTarget {
            node: "n0".into(),
            host: "127.0.0.1".into(),
            port: 1,
            user: user.into(),
            database: database.into(),
            secret: None,
            tls: ServerTls { mode: SslMode::Disable, connector: None },
            connect_timeout: std::time::Duration::ZERO,
            socket: SocketOptions::default(),
            parameters: Arc::from([]),
        }
    }

    #[test]
    fn a_pause_holds_for_pools_that_come_later() {
        let (registry, config) = (Registry::default(), config());
        let before = registry.set(&config, "a", "u", None, &target).unwrap();
        registry.pause(Some("a")).unwrap();
        let after = registry.set(&config, "a", "v", None, &target).unwrap();
        let other = registry.set(&config, "b", "u", None, &target).unwrap();

        assert!(before.pools[0].is_paused() && after.pools[0].is_paused());
        assert!(!other.pools[0].is_paused());
        assert!(registry.resume(Some("a")) && !registry.resume(Some("a")));
        assert!(!before.pools[0].is_paused() && !after.pools[0].is_paused());
    }
    #[test]
    fn everything_goes_on_but_what_is_paused_by_name() {
        let (registry, config) = (Registry::default(), config());
        let set = registry.set(&config, "a", "u", None, &target).unwrap();
        registry.pause(Some("a")).unwrap();
        registry.pause(None).unwrap();

        assert!(registry.resume(None));
        assert!(set.pools[0].is_paused() && registry.pauses("a") && !registry.pauses("b"));
        assert_eq!(registry.paused(), [Arc::from("a")]);
    }

    #[test]
    fn a_disabled_database_is_so_for_every_user() {
        let (registry, config) = (Registry::default(), config());
        let is_disabled = |user| {
            let set = registry.set(&config, "a", user, None, &target).unwrap();
            set.shared.disabled.load(std::sync::atomic::Ordering::Relaxed)
        };
        assert!(!is_disabled("u"));
        registry.set_disabled("a", true).unwrap();
        assert!(is_disabled("u") && is_disabled("v"));
        registry.set_disabled("a", false).unwrap();
        assert!(!is_disabled("u") && !is_disabled("v"));
    }

    #[test]
    fn orders_are_bounded() {
        let registry = Registry::default();
        for number in 0..HELD_MAX {
            registry.pause(Some(&number.to_string())).unwrap();
        }
        assert_eq!(registry.pause(Some("one more")), Err(TooManyHeld));
        registry.pause(Some("0")).unwrap();
    }
}

//! Which pools there are, and how they carry over from one generation to the next.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use super::{
    Ledger, Pool, PoolLimits, Quota,
    clients::{ClientQuota, ClientQuotas, Place},
    holds::Holds,
};
use crate::{
    auth::Secret,
    config::{Config, Database, PoolMode},
    facts::NodeFacts,
    id::{NodeId, PoolKey, is_same_name},
    listen::Hub,
    server::{ServerTarget, settings::Settings},
    telemetry::{averages::ByDatabase, stats::Stats},
};

/// All pools of one (database, user) in one generation: one for each node of the cluster.
#[derive(Debug)]
pub struct PoolSet {
    /// The database that clients ask for.
    pub database: Arc<str>,
    /// The user that clients log in as.
    pub user: Arc<str>,
    /// The cluster behind it.
    pub cluster: Arc<str>,
    /// The database's name on the servers.
    pub dbname: Arc<str>,
    /// How long a client keeps a server.
    pub mode: PoolMode,
    /// By [`NodeId::index`].
    pub pools: Box<[Arc<Pool>]>,
    /// Counters of the (database, user); they outlive generations.
    pub stats: Arc<Stats>,
    /// What is common to all generations of it.
    pub shared: Arc<SetShared>,
    /// The clients of its database, whoever they are.
    pub database_clients: Arc<ClientQuota>,
    /// The clients of its user, whatever they want.
    pub user_clients: Arc<ClientQuota>,
}

/// Why a client may not have a place; the key that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more connections allowed ({0})")]
pub struct NoPlace(pub &'static str);

/// What carries over between generations of a [`PoolSet`].
#[derive(Debug, Default)]
pub struct SetShared {
    /// Clients that are connected.
    pub clients: AtomicUsize,
    /// New clients are turned away.
    pub disabled: AtomicBool,
    /// What its sessions listen to in transaction mode.
    pub listen: Arc<Hub>,
    /// Sessions that keep their server.
    pinned: AtomicUsize,
    /// Some client has asked what a sequence answered before.
    recalls_sequences: AtomicBool,
    /// Some client has asked which channels it listens to.
    recalls_channels: AtomicBool,
    /// The last transaction that wrote.
    last_write: Mutex<Option<LastWrite>>,
    /// What the last client has shown of the user's secret, or what was looked up.
    shown: Mutex<Option<Secret>>,
    /// By the settings a client asks for: the canonical settings, and what it is told at login.
    welcomes: Mutex<HashMap<Settings, Welcome>>,
}

/// What is known of what the clients of one (database, user) have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastWrite {
    /// When the last transaction that wrote had ended.
    pub ended: Instant,
    /// Some may have been acknowledged before they were flushed.
    pub unflushed: bool,
}

/// What a client with certain settings is told at login.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// The settings as a server understood them.
    pub settings: Settings,
    /// ParameterStatus messages, ready to be sent.
    pub parameters: Arc<[u8]>,
}

/// Different settings whose welcome is remembered for one (database, user).
const WELCOMES_MAX: usize = 256;

impl SetShared {
    /// How many sessions keep their server.
    pub fn pinned(&self) -> usize {
        self.pinned.load(Relaxed)
    }

    /// One more session keeps its server.
    pub fn count_pinned(&self) {
        self.pinned.fetch_add(1, Relaxed);
    }

    /// One session fewer keeps its server.
    pub fn count_unpinned(&self) {
        self.pinned.fetch_sub(1, Relaxed);
    }

    /// What was written last, by whatever client.
    pub fn last_write(&self) -> Option<LastWrite> {
        *self.last_write.lock().expect("nothing panics while it holds the moment")
    }

    /// A transaction that wrote has ended; `unflushed` says that it may have been acknowledged before
    /// it was flushed. A later one that was flushed does not tell whether it was too.
    pub fn note_write(&self, now: Instant, unflushed: bool) {
        let mut last = self.last_write.lock().expect("nothing panics while it holds the moment");
        let before = last.is_some_and(|last| last.unflushed);
        *last = Some(LastWrite { ended: now, unflushed: unflushed || before });
    }

    /// Whether clients ask what a sequence answered before. Until one does, nobody has to keep a server
    /// for having moved one.
    pub fn recalls_sequences(&self) -> bool {
        self.recalls_sequences.load(Relaxed)
    }

    /// A client asks what a sequence answered before.
    pub fn note_recalls_sequences(&self) {
        self.recalls_sequences.store(true, Relaxed);
    }

    /// Whether clients ask which channels they listen to. Until one does, no server has to know.
    pub fn recalls_channels(&self) -> bool {
        self.recalls_channels.load(Relaxed)
    }

    /// A client asks which channels it listens to.
    pub fn note_recalls_channels(&self) {
        self.recalls_channels.store(true, Relaxed);
    }

    /// What clients with these settings are told, if that is known.
    pub fn welcome(&self, wanted: &Settings) -> Option<Welcome> {
        self.welcomes().get(wanted).cloned()
    }

    /// Remembers what clients with these settings are told.
    pub fn remember(&self, wanted: Settings, welcome: Welcome) {
        let mut welcomes = self.welcomes();
        if welcomes.len() >= WELCOMES_MAX {
            welcomes.clear();
        }
        welcomes.insert(wanted, welcome);
    }

    /// Forgets them: servers may report something else from now on.
    pub fn forget_welcomes(&self) {
        self.welcomes().clear();
    }

    /// Keeps what is known of the user's secret since the last login; whether that is something else than before.
    fn note_shown(&self, secret: Option<&Secret>) -> bool {
        let mut shown = self.shown.lock().expect("nothing panics while it holds the secret");
        let is_new = secret.is_some() && shown.as_ref() != secret;
        if is_new {
            *shown = secret.cloned();
        }
        is_new
    }

    fn shown(&self) -> Option<Secret> {
        self.shown.lock().expect("nothing panics while it holds the secret").clone()
    }

    fn welcomes(&self) -> MutexGuard<'_, HashMap<Settings, Welcome>> {
        self.welcomes.lock().expect("nothing panics while it holds the table")
    }
}

impl PoolSet {
    /// The pool for a node. While a reload is on its way the facts may number nodes otherwise than
    /// this set does, so the name decides.
    #[inline]
    pub fn pool(&self, node: &NodeFacts) -> Option<&Arc<Pool>> {
        match self.pools.get(node.id.index()) {
            Some(pool) if is_same_name(&pool.key.node, &node.name) => Some(pool),
            _ => self.pools.iter().find(|pool| pool.key.node == node.name),
        }
    }

    /// A client's place within `max_db_client_connections` and `max_user_client_connections`.
    pub fn admit(&self) -> Result<[Place; 2], NoPlace> {
        let of_database = self.database_clients.place().ok_or(NoPlace("max_db_client_connections"))?;
        let of_user = self.user_clients.place().ok_or(NoPlace("max_user_client_connections"))?;
        Ok([of_database, of_user])
    }

    /// Has servers that are opened from now on entered with what is known of the user's secret now.
    fn renew_targets(&self, config: &Config, entry: &Database, target_of: &TargetOf<'_>) {
        let shown = self.shared.shown();
        for (at, pool) in self.pools.iter().enumerate() {
            let target = target_of(config, entry, &self.database, &self.user, node_id(at), shown.as_ref());
            // Another generation may number the nodes otherwise; it brings its own targets.
            if target.node == pool.key.node {
                pool.retarget(target);
            }
        }
    }
}

/// How a pool reaches a node; the application gives it because it knows TLS and secrets. The last argument is what
/// clients have shown of the user's secret.
pub type TargetOf<'a> = dyn Fn(&Config, &Database, &str, &str, NodeId, Option<&Secret>) -> ServerTarget + 'a;

fn node_id(at: usize) -> NodeId {
    NodeId(u16::try_from(at).expect("a cluster has fewer nodes than that"))
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) sets: HashMap<(Arc<str>, Arc<str>), Arc<PoolSet>>,
    pub(super) pools: HashMap<PoolKey, Arc<Pool>>,
    pub(super) holds: Holds,
    /// By the name of the node.
    quotas: HashMap<Arc<str>, NodeQuotas>,
    database_clients: ClientQuotas,
    user_clients: ClientQuotas,
}

/// What bounds the servers of one node. Quotas outlive generations, as the servers do that they count.
#[derive(Debug, Default)]
struct NodeQuotas {
    ledger: Arc<Ledger>,
    databases: HashMap<Arc<str>, Arc<Quota>>,
    users: HashMap<Arc<str>, Arc<Quota>>,
}

/// All pools.
#[derive(Debug, Default)]
pub struct Registry {
    tables: Mutex<Tables>,
}

/// There is no such database.
#[derive(Debug, thiserror::Error)]
#[error("no such database: {0}")]
pub struct NoSuchDatabase(pub String);

impl Registry {
    /// The pools of a (database, user), made when they are first asked for. `shown` is what is known of the user's
    /// secret since this login.
    pub fn set(
        &self,
        config: &Config,
        database: &str,
        user: &str,
        shown: Option<&Secret>,
        target_of: &TargetOf<'_>,
    ) -> Result<Arc<PoolSet>, NoSuchDatabase> {
        let mut tables = self.lock();
        let key = (Arc::from(database), Arc::from(user));
        let entry = database_entry(config, database);
        if let Some(set) = tables.sets.get(&key) {
            if set.shared.note_shown(shown)
                && let Some(entry) = entry
            {
                set.renew_targets(config, &entry, target_of);
            }
            return Ok(Arc::clone(set));
        }
        let entry = entry.ok_or_else(|| NoSuchDatabase(database.to_owned()))?;
        let shared = Arc::<SetShared>::default();
        shared.note_shown(shown);
        let stats = Arc::new(Stats::new(config.workers));
        let set = Arc::new(tables.build(config, &entry, key.clone(), (shared, stats), target_of));
        tables.sets.insert(key, Arc::clone(&set));
        Ok(set)
    }

    /// Goes over to another configuration: pools whose node is still there stay as they are, with
    /// new limits; the others close when their last server comes back.
    pub fn reconfigure(&self, config: &Config, target_of: &TargetOf<'_>) {
        let mut tables = self.lock();
        let old = std::mem::take(&mut tables.sets);
        let mut kept = Vec::new();
        for (key, set) in old {
            let Some(entry) = database_entry(config, &key.0) else { continue };
            let kept_over = (Arc::clone(&set.shared), Arc::clone(&set.stats));
            let built = Arc::new(tables.build(config, &entry, key.clone(), kept_over, target_of));
            kept.extend(built.pools.iter().map(|pool| pool.key.clone()));
            tables.sets.insert(key, built);
        }
        let gone: Vec<_> = tables.pools.extract_if(|key, _| !kept.contains(key)).collect();
        drop(tables);
        for (_, pool) in gone {
            pool.reconnect();
        }
    }

    /// The present pools of a (database, user), if anybody has used them.
    pub fn find(&self, database: &str, user: &str) -> Option<Arc<PoolSet>> {
        self.lock().sets.get(&(Arc::from(database), Arc::from(user))).cloned()
    }

    /// All (database, user) pairs in use.
    pub fn sets(&self) -> Vec<Arc<PoolSet>> {
        let mut sets: Vec<_> = self.lock().sets.values().cloned().collect();
        sets.sort_by(|a, b| (&a.database, &a.user).cmp(&(&b.database, &b.user)));
        sets
    }

    /// What has been counted for each database.
    pub fn totals(&self) -> ByDatabase {
        let mut totals = ByDatabase::new();
        for set in self.sets() {
            totals.entry(Arc::clone(&set.database)).or_default().merge(&set.stats.totals());
        }
        totals
    }

    /// The pools of all databases and users at one node of a cluster.
    pub fn pools_at(&self, cluster: &str, node: &str) -> Vec<Arc<Pool>> {
        let tables = self.lock();
        let sets = tables.sets.values().filter(|set| *set.cluster == *cluster);
        sets.flat_map(|set| set.pools.iter().filter(|pool| *pool.key.node == *node).cloned()).collect()
    }

    /// All pools in use.
    pub fn pools(&self) -> Vec<Arc<Pool>> {
        self.lock().pools.values().cloned().collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds the tables")
    }
}

/// The entry that clients of that database use: its own, or `"*"`.
pub fn database_entry(config: &Config, database: &str) -> Option<Arc<Database>> {
    config.databases.get(database).or_else(|| config.databases.get("*")).cloned()
}

impl Tables {
    fn build(
        &mut self,
        config: &Config,
        entry: &Database,
        (database, user): (Arc<str>, Arc<str>),
        (shared, stats): (Arc<SetShared>, Arc<Stats>),
        target_of: &TargetOf<'_>,
    ) -> PoolSet {
        let limits = limits_of(config, entry, &user);
        let nodes = config.clusters.get(&*entry.cluster).map(|cluster| cluster.nodes.as_slice()).unwrap_or_default();
        let shown = shared.shown();
        let pools = nodes.iter().enumerate().map(|(at, node)| {
            let target = target_of(config, entry, &database, &user, node_id(at), shown.as_ref());
            let key =
                PoolKey { database: Arc::clone(&database), user: Arc::clone(&user), node: Arc::clone(&node.name) };
            self.pool(config, entry, key, target, limits.clone())
        });
        let pools: Box<[_]> = pools.collect();
        let of_user = config.users.get(&*user);
        let user_mode = of_user.and_then(|user| user.pool_mode);
        let user_max = of_user.and_then(|user| user.max_user_client_connections);
        let user_clients = self.user_clients.of(&user, user_max.unwrap_or(config.max_user_client_connections));
        let database_max = entry.max_db_client_connections.unwrap_or(config.max_db_client_connections);
        let database_clients = self.database_clients.of(&database, database_max);
        shared.forget_welcomes();
        shared.disabled.store(self.holds.disables(&database), Relaxed);
        PoolSet {
            dbname: entry.dbname.as_deref().map_or_else(|| Arc::clone(&database), Arc::from),
            database,
            user,
            cluster: Arc::clone(&entry.cluster),
            mode: user_mode.or(entry.pool_mode).unwrap_or(config.pool_mode),
            pools,
            stats,
            shared,
            database_clients,
            user_clients,
        }
    }

    fn pool(
        &mut self,
        config: &Config,
        entry: &Database,
        key: PoolKey,
        target: ServerTarget,
        limits: PoolLimits,
    ) -> Arc<Pool> {
        let database_max = entry.max_db_connections.unwrap_or(config.max_db_connections);
        let user_max = config
            .users
            .get(&*key.user)
            .and_then(|user| user.max_user_connections)
            .unwrap_or(config.max_user_connections);
        let NodeQuotas { ledger, databases, users } = self.quotas.entry(Arc::clone(&key.node)).or_default();
        let quotas = [quota(ledger, databases, &key.database, database_max), quota(ledger, users, &key.user, user_max)];
        if let Some(pool) = self.pools.get(&key) {
            pool.reconfigure(target, limits);
            return Arc::clone(pool);
        }
        let pool = Pool::new(key.clone(), target, limits, quotas);
        if self.holds.pauses(&key.database) {
            pool.pause();
        }
        self.pools.insert(key, Arc::clone(&pool));
        pool
    }
}

fn quota(ledger: &Arc<Ledger>, quotas: &mut HashMap<Arc<str>, Arc<Quota>>, name: &Arc<str>, max: usize) -> Arc<Quota> {
    let quota = quotas.entry(Arc::clone(name)).or_insert_with(|| Arc::new(ledger.quota(max)));
    quota.resize(max);
    Arc::clone(quota)
}

fn limits_of(config: &Config, entry: &Database, user: &str) -> PoolLimits {
    let user = config.users.get(user);
    PoolLimits {
        size: user.and_then(|user| user.pool_size).or(entry.pool_size).unwrap_or(config.default_pool_size),
        min_size: entry.min_pool_size.unwrap_or(config.min_pool_size),
        reserve: user
            .and_then(|user| user.reserve_pool_size)
            .or(entry.reserve_pool_size)
            .unwrap_or(config.reserve_pool_size),
        reserve_timeout: config.reserve_pool_timeout,
        wait_timeout: user
            .and_then(|user| user.query_wait_timeout)
            .or(entry.query_wait_timeout)
            .unwrap_or(config.query_wait_timeout),
        wait_notify: config.query_wait_notify,
        login_retry: config.server_login_retry,
        lifetime: entry.server_lifetime.unwrap_or(config.server_lifetime),
        idle_timeout: config.server_idle_timeout,
        check_delay: config.server_check_delay,
        check_query: config.server_check_query.clone(),
        max_prepared: config.max_prepared_statements,
        connect_query: entry.connect_query.clone(),
    }
}

#[cfg(test)]
mod tests;

//! The tour: does with the proxy what the README promises, says so step by step, and checks that it holds.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    cluster::PgCluster,
    config::{DEFAULT_POLICY, ProxyConfig},
    error::ClusterError,
    load::{self, Load},
    proxy::ProxyProcess,
    psql::Psql,
};

/// Clients of the load that runs beside the later steps, and for how long it runs.
const LOAD: &str = "-c 4 -T 12 -M prepared -b select-only@8 -b tpcb-like@2";

/// Reads per step; enough that a node which gets its share surely shows.
const READS: usize = 40;

/// Longest wait for reads to reach every standby.
const SPREAD_PATIENCE: Duration = Duration::from_secs(5);

/// Until the standbys have what was written.
const REPLAY_PATIENCE: Duration = Duration::from_secs(30);

/// A promise did not hold, or something on the way failed.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    /// It did not do what it should.
    #[error("this did not hold: {promise}; instead: {seen}")]
    Broken {
        /// What should have been.
        promise: String,
        /// What was.
        seen: String,
    },
    /// A client or a node failed.
    #[error("a step of the tour failed")]
    Failed(#[from] ClusterError),
}

/// Everything that the steps work with.
pub struct Tour<'a> {
    cluster: &'a PgCluster,
    proxy: &'a ProxyProcess,
    config: ProxyConfig,
    client: Psql,
    steps: usize,
}

impl<'a> Tour<'a> {
    /// Of a proxy in front of a cluster, running on this configuration.
    pub fn new(cluster: &'a PgCluster, proxy: &'a ProxyProcess, config: ProxyConfig) -> Self {
        let client = cluster.primary().client().port(proxy.port());
        Self { cluster, proxy, config, client, steps: 0 }
    }

    /// All steps; ends at the first that does not hold.
    pub fn run(mut self) -> Result<(), TourError> {
        self.writes_go_to_the_primary()?;
        self.reads_go_to_the_standbys()?;
        self.a_session_sees_its_own_writes()?;

        self.say("From here on pgbench reads and writes through the proxy");
        load::fill(self.cluster.primary(), self.cluster.primary().port, 1)?;
        println!("      pgbench {LOAD}");
        let load = Load::new(self.proxy.port(), LOAD).start(self.cluster.primary())?;
        self.settings_change_under_load()?;
        self.the_policy_is_replaced_under_load()?;
        self.a_broken_configuration_is_refused()?;
        self.a_pool_grows_by_reload()?;

        self.say("pgbench saw nothing of all this");
        let result = load.finish()?;
        let summary = result.clean()?;
        self.check("no transaction failed", &format!("{} transactions, 0 failed", summary.transactions), true)
    }

    fn writes_go_to_the_primary(&mut self) -> Result<(), TourError> {
        self.say("Writes go to the primary");
        self.ask("CREATE TABLE tour (x int PRIMARY KEY, at timestamptz DEFAULT now())")?;
        let port = self.ask("INSERT INTO tour (x) VALUES (1) RETURNING current_setting('port')")?;
        let node = self.node_at(&port);
        self.check("the primary wrote", &format!("{node} wrote"), node == self.cluster.primary().name)
    }

    fn reads_go_to_the_standbys(&mut self) -> Result<(), TourError> {
        self.say("Reads go to the standbys");
        self.wait_for_replay()?;
        // What a standby has replayed the proxy knows a moment later.
        let (answered, holds) = self.readers_until(Self::are_all_standbys)?;
        self.check("each standby answered, and nobody else", &counted(&answered), holds)
    }

    /// Asks until the answers are right or patience is over: who answered how often, and whether it is right.
    fn readers_until(
        &mut self,
        are_right: impl Fn(&Self, &BTreeMap<String, usize>) -> bool,
    ) -> Result<(BTreeMap<String, usize>, bool), TourError> {
        let begun = Instant::now();
        loop {
            let answered = self.readers()?;
            let holds = are_right(self, &answered);
            if holds || begun.elapsed() > SPREAD_PATIENCE {
                return Ok((answered, holds));
            }
        }
    }

    /// Each standby answered and nobody else did; the primary where there is no standby.
    fn are_all_standbys(&self, answered: &BTreeMap<String, usize>) -> bool {
        let standbys = self.cluster.standbys();
        match standbys.len() {
            0 => answered.contains_key(&self.cluster.primary().name),
            _ => standbys.iter().all(|node| answered.contains_key(&node.name)) && answered.len() == standbys.len(),
        }
    }

    fn a_session_sees_its_own_writes(&mut self) -> Result<(), TourError> {
        self.say("A session sees its own writes at once, wherever it reads");
        let rounds = 2..52;
        let script: Vec<String> = rounds
            .clone()
            .map(|x| format!("INSERT INTO tour (x) VALUES ({x});\nSELECT count(*) FROM tour WHERE x = {x};\n"))
            .collect();
        let found = self.client.ask(&script.concat())?;
        let missed = found.lines().filter(|count| *count != "1").count();
        self.check("every write was found", &format!("{} writes read back, {missed} missed", rounds.len()), missed == 0)
    }

    fn settings_change_under_load(&mut self) -> Result<(), TourError> {
        let Some(chosen) = self.cluster.standbys().last().map(|node| node.name.clone()) else { return Ok(()) };
        self.say(&format!("New settings for the policy: this database reads from {chosen}"));
        let settings = format!("{{ database_preferences = {{ postgres = {chosen:?} }} }}");
        self.reload(self.config.clone().router(DEFAULT_POLICY, &settings))?;
        self.wait_for_replay()?;
        // What the load has written a moment ago, the primary alone may have, or another standby sooner.
        let is_preferred = |answered: &BTreeMap<String, usize>| {
            answered.get(&chosen).is_some_and(|answers| *answers >= READS - READS / 4)
        };
        let (answered, holds) = self.readers_until(|_, answered| is_preferred(answered))?;
        self.check(&format!("{chosen} answered, others only what it had not replayed"), &counted(&answered), holds)
    }

    fn the_policy_is_replaced_under_load(&mut self) -> Result<(), TourError> {
        self.say("Another policy: none, so that everything goes to the primary");
        self.reload(self.config.clone().without_router())?;
        let answered = self.readers()?;
        let primary = &self.cluster.primary().name;
        let only = answered.len() == 1 && answered.contains_key(primary);
        self.check("the primary answered all", &counted(&answered), only)?;

        self.say("And back to the component that splits reads from writes");
        self.reload(self.config.clone())?;
        self.wait_for_replay()?;
        let answered = self.readers()?;
        let holds = self.cluster.standbys().is_empty() || answered.keys().any(|name| name != primary);
        self.check("standbys answer again", &counted(&answered), holds)
    }

    fn a_broken_configuration_is_refused(&mut self) -> Result<(), TourError> {
        self.say("A configuration with a mistake is refused as a whole");
        self.proxy.rewrite(&self.config.clone().set("default_pool_szie", "7"))?;
        let refused = self.console().ask("RELOAD").err().map(|error| error.to_string());
        let named = refused.as_ref().is_some_and(|message| message.contains("default_pool_szie"));
        self.check("RELOAD names the mistake", refused.as_deref().unwrap_or("it was accepted"), named)?;
        let answer = self.client.ask("SELECT 1")?;
        self.check("the old configuration goes on", &format!("SELECT 1 answered {answer}"), answer == "1")
    }

    fn a_pool_grows_by_reload(&mut self) -> Result<(), TourError> {
        self.say("A pool's size changes by reload");
        self.reload(self.config.clone().set("default_pool_size", "33"))?;
        let config = self.console().table("SHOW CONFIG")?;
        let mut sizes = config.rows.iter().filter(|row| config.value(row, "key") == Some("default_pool_size"));
        let size = sizes.next().and_then(|row| config.value(row, "value")).unwrap_or("nothing").to_owned();
        self.check("the new size counts", &format!("SHOW CONFIG says {size}"), size == "33")
    }

    fn reload(&self, config: ProxyConfig) -> Result<(), TourError> {
        self.proxy.rewrite(&config)?;
        println!("      howdah=# RELOAD");
        self.console().ask("RELOAD")?;
        Ok(())
    }

    fn console(&self) -> Psql {
        self.client.database("howdah")
    }

    fn ask(&self, sql: &str) -> Result<String, TourError> {
        println!("      postgres=# {sql}");
        Ok(self.client.ask(sql)?)
    }

    /// Which nodes answered how many of a session's reads.
    fn readers(&self) -> Result<BTreeMap<String, usize>, TourError> {
        println!("      postgres=# SELECT current_setting('port') FROM tour WHERE x = 1   -- in {READS} sessions");
        let mut answered = BTreeMap::new();
        for _ in 0..READS {
            let port = self.client.ask("SELECT current_setting('port') FROM tour WHERE x = 1")?;
            *answered.entry(self.node_at(&port)).or_default() += 1;
        }
        Ok(answered)
    }

    fn wait_for_replay(&self) -> Result<(), TourError> {
        for standby in self.cluster.standbys() {
            self.cluster.wait_until_replayed(standby, REPLAY_PATIENCE)?;
        }
        Ok(())
    }

    fn node_at(&self, port: &str) -> String {
        let node = self.cluster.nodes().iter().find(|node| node.port.to_string() == port);
        node.map_or_else(|| format!("port {port}"), |node| node.name.clone())
    }

    fn say(&mut self, text: &str) {
        self.steps += 1;
        println!("\n  {}. {text}", self.steps);
    }

    fn check(&self, promise: &str, seen: &str, holds: bool) -> Result<(), TourError> {
        if !holds {
            return Err(TourError::Broken { promise: promise.into(), seen: seen.into() });
        }
        println!("      ok: {seen}");
        Ok(())
    }
}

fn counted(answered: &BTreeMap<String, usize>) -> String {
    let parts: Vec<String> = answered.iter().map(|(node, count)| format!("{node} answered {count}")).collect();
    parts.join(", ")
}

//! Reloads, other policies (good, bad and worse) and nodes that leave and return: clients notice nothing.

use std::{fs, thread, time::Duration};

use howdah::demo::{Load, ProxyConfig, ports};
use howdah_tests::{PATIENCE, Proxy, Signal, fresh_database, load_time, shared_cluster};

/// Writes and reads, so that both ways are under load.
const LOAD: &str = "-c 16 -j 2 -M prepared -b select-only@4 -b tpcb-like@1";

/// A policy that misbehaves towards the load's user as its settings say.
const CHAOS: &str = concat!(env!("OUT_DIR"), "/chaos.wasm");

const RELOADS: u32 = 10;

/// What the log says of a configuration that was taken.
const TAKEN_OVER: &str = "a new generation is running";

/// Two acts on each standby, and the swaps.
const STEPS: u32 = RELOADS + 4 + 6;

#[test]
fn clients_notice_no_reload_no_bad_policy_and_no_detached_node() {
    let (cluster, database) = (shared_cluster(), fresh_database());
    let primary = cluster.primary();
    let load = |port: u16, arguments: &str| Load { database: database.clone(), ..Load::new(port, arguments) };
    load(primary.port, "-i -q -s 2").run(primary).unwrap();
    for standby in cluster.standbys() {
        cluster.wait_until_replayed(standby, PATIENCE).unwrap();
    }
    let config = ProxyConfig::for_cluster(cluster, ports::free_port().unwrap()).set("pool_mode", "\"transaction\"");
    let proxy = Proxy::try_start(cluster, config.clone()).unwrap();
    let time = load_time(20, 60);
    let stage = Stage { proxy: &proxy, config, pause: time.mul_f64(0.8) / STEPS };

    let running = load(proxy.port(), &format!("{LOAD} -T {}", time.as_secs())).start(primary).unwrap();
    stage.reload_often(RELOADS / 2);
    stage.try_every_bad_policy();
    for node in cluster.standbys() {
        for act in ["DETACH", "ATTACH"] {
            proxy.console().ask(&format!("{act} NODE {}", node.name)).unwrap();
            thread::sleep(stage.pause);
        }
    }
    stage.reload_often(RELOADS / 2);

    let result = running.finish().unwrap();
    let summary = result.clean().unwrap_or_else(|error| panic!("{error}\n{}", proxy.log_lines().join("\n")));
    assert!(summary.transactions > 1000, "{summary:?}");
}

/// The proxy under load.
struct Stage<'a> {
    proxy: &'a Proxy,
    config: ProxyConfig,
    /// Between two acts.
    pause: Duration,
}

impl Stage<'_> {
    /// Goes over to a configuration and waits until the log has told how that ended.
    fn act(&self, config: &ProxyConfig, outcome: &[&str]) {
        let before = self.proxy.log_position();
        self.proxy.rewrite(config).unwrap();
        self.proxy.signal(Signal::HangUp);
        for said in outcome {
            self.proxy.wait_for_log(before, said, PATIENCE).unwrap();
        }
        thread::sleep(self.pause);
    }

    fn reload_often(&self, times: u32) {
        for time in 0..times {
            let changed = self.config.clone().set("query_wait_timeout", &(100 + time).to_string());
            self.act(&changed, &[TAKEN_OVER]);
        }
    }

    fn try_every_bad_policy(&self) {
        let chaos = |misbehave: &str| {
            let settings = format!("{{ misbehave = {misbehave:?}, towards = \"postgres\" }}");
            self.config.clone().router(CHAOS, &settings)
        };
        self.act(&chaos("trap"), &[TAKEN_OVER, "told to trap"]);
        self.act(&chaos("loop"), &[TAKEN_OVER, "it did not finish within"]);

        let unlinked = self.config.clone().router("unlinked.wasm", "{ }");
        let component = wat::parse_str(r#"(component (import "acme:db/sql@1.0.0" (instance)))"#).unwrap();
        fs::write(self.proxy.config_file().with_file_name("unlinked.wasm"), component).unwrap();
        self.act(&unlinked, &["refused", "imports acme:db/sql@1.0.0"]);
        let misspelt = self.config.clone().set("pool_mod", "\"transaction\"");
        self.act(&misspelt, &["refused", "howdah.toml", "pool_mod"]);

        self.act(&chaos("none"), &[TAKEN_OVER]);
        self.act(&self.config, &[TAKEN_OVER]);
    }
}

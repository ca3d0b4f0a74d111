//! Policies of the control plane fail, and the cluster is healed all the same.

use std::time::Instant;

use super::{Scene, impatient, in_full, measured, synchronous};

/// A policy in all roles that misbehaves as its settings say.
const CHAOS: &str = concat!(env!("OUT_DIR"), "/chaos-control.wasm");

#[test]
fn policies_that_trap_or_loop_keep_nobody_from_failing_over() {
    let ways = if in_full() { vec!["trap", "loop", "unknown-node"] } else { vec!["trap"] };
    for way in ways {
        let scene = Scene::with(synchronous(2), |config| {
            let policy =
                |kind| format!("[plugins.{kind}]\ncomponent = \"{CHAOS}\"\nsettings = {{ misbehave = \"{way}\" }}\n");
            ["failover", "follow-primary", "sync-set"]
                .into_iter()
                .fold(impatient(config), |config, kind| config.section(&policy(kind)))
        });
        let load = scene.load();
        let killed = Instant::now();
        scene.primary().kill9().unwrap();
        let outage = scene.resumed(&load, killed);
        scene.until("followed", || scene.shown().column("replication").contains(&"streaming"));
        let history = scene.settle(load);

        measured(&format!("policies that {way}"), format_args!("no writes for {outage:?}"));
        scene.was_replaced_once(&history);
    }
}

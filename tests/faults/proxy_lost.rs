//! The proxy is killed in the midst of an operation, and the next one ends it: done or undone, and nobody promoted twice.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{Scene, left_out, measured};

/// When it is killed: at a step, in the words of the operation log, and so long after. A promotion is one step there.
type Moment = (&'static str, Duration);

/// Of a failover.
const FAILOVER: &[Moment] =
    &[at("fence", 0), at("preset-sync", 15), at("preset-sync", 0), at("preset-sync", 40), at("repair", 0)];

/// Of a switchover.
const SWITCHOVER: &[Moment] = &[
    at("checkpoint", 0),
    at("stop", 0),
    at("drain", 0),
    at("arm", 0),
    at("stop", 50),
    at("catch-up", 0),
    at("fence", 0),
    at("preset-sync", 0),
    at("preset-sync", 20),
    at("repair", 0),
];

const fn at(step: &'static str, millis: u64) -> Moment {
    (step, Duration::from_millis(millis))
}

/// From one look at the operation log to the next: a step takes milliseconds.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// Longest time until an operation begins.
const BEGINS_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn an_operation_survives_the_proxy_at_every_step() {
    if left_out("the proxy killed at every step") {
        return;
    }
    let mut scene = Scene::start();
    for moment in FAILOVER {
        kill_at(&mut scene, "failover", *moment);
    }
    for moment in SWITCHOVER {
        kill_at(&mut scene, "switchover", *moment);
    }
}

/// One operation that loses its proxy.
fn kill_at(scene: &mut Scene, kind: &str, (step, after): Moment) {
    scene.await_whole(2);
    let before = scene.promotions();
    let old = scene.primary().clone();
    let load = scene.load();
    let console = scene.proxy.console();
    let order = match kind {
        "failover" => {
            let old = old.clone();
            thread::spawn(move || old.kill9().unwrap())
        }
        // The answer goes with the proxy.
        _ => thread::spawn(move || drop(console.ask("SWITCHOVER"))),
    };
    scene.kill_proxy_at(step, after);
    order.join().unwrap();
    let logged = scene.logged_step();
    let history = load.stop();

    let restarted = Instant::now();
    scene.proxy.restart();
    scene.await_state("Steady");
    let took = restarted.elapsed();
    let promoted = scene.promotions() - before;
    let finished = scene.primary().name != old.name;
    assert_eq!(promoted, u32::from(finished), "{kind} at {step}\n{}", scene.story());
    assert!(kind != "failover" || finished, "{step}\n{}", scene.story());
    history.check(scene.primary());
    if old.postmaster().is_none() {
        scene.order(&format!("REJOIN {}", old.name));
    }
    scene.await_whole(2);
    let load = scene.load();
    scene.settle(load);
    let end = if finished { "finished" } else { "undone" };
    measured(
        &format!("proxy killed in a {kind}"),
        format_args!("at {step}, the log at {logged}: {end} within {took:?}"),
    );
}

impl Scene {
    /// Kills the proxy as soon as its log has come to that step, or to one behind it.
    fn kill_proxy_at(&mut self, step: &str, after: Duration) {
        let began = Instant::now();
        let mut seen = false;
        loop {
            let now = self.logged_step();
            if now == step || seen && now == "none" {
                break;
            }
            seen |= now != "none";
            assert!(began.elapsed() < BEGINS_WITHIN, "no {step}: {now}\n{}", self.story());
            thread::sleep(LOOK_EVERY);
        }
        thread::sleep(after);
        self.proxy.kill();
    }

    /// The step that the operation log has now.
    fn logged_step(&self) -> String {
        let file = self.proxy.config_file().with_file_name("howdah-state").join("main.json");
        let text = fs::read_to_string(file).unwrap_or_default();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        record["operation"]["step"].as_str().unwrap_or("none").to_owned()
    }
}

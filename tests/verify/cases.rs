//! What is done to clusters, and what has to come of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use howdah::demo::ProxyConfig;

use crate::{
    stage::Stage,
    watch::{Seen, Sighting},
};

/// How long a returned server is left alone, to see whether somebody takes it for what it was.
const TEMPTATION: Duration = Duration::from_secs(3);

/// How long a standby stays away.
const ABSENCE: Duration = Duration::from_secs(8);

/// Within this a write is acknowledged, when writes are acknowledged at all.
const MOMENT: Duration = Duration::from_secs(1);

/// Between two servers that are taken out or back.
const BETWEEN_SERVERS: Duration = Duration::from_millis(1500);

/// Commits wait for `n1` alone, as long as it is there; `n2` is asynchronous.
const ONE_SYNCHRONOUS: &str = "[plugins.sync-set]\ncomponent = \"builtin:sync-set\"\n\
                               settings = { count = 1, max_members = 1, allow_degrade = true }\n";

/// One thing that is done to a cluster.
pub struct Case {
    /// The number that it has in the talk.
    pub verification: u8,
    /// For files.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What the talk says of it.
    pub theirs: &'static str,
    pub standbys: usize,
    /// Errors that a writer may see: of the statements that were under way.
    pub errors_allowed: usize,
    /// Kinds of what happens that its picture marks, besides what is done.
    pub marks: &'static [&'static str],
    pub configure: fn(ProxyConfig) -> ProxyConfig,
    /// Whether it can begin.
    pub is_ready: fn(&Sighting) -> bool,
    pub act: fn(&mut Stage) -> Result<()>,
}

/// With two standbys of which each commit waits for one.
const PLAIN: Case = Case {
    verification: 0,
    name: "",
    title: "",
    theirs: "",
    standbys: 2,
    errors_allowed: 0,
    marks: &["hold", "publish", "follow", "steady"],
    configure: |config| config,
    is_ready: |_| true,
    act: |_| Ok(()),
};

/// With one standby that each commit waits for, and one that none does.
const ONE_AND_ONE: Case = Case {
    verification: 2,
    marks: &["down", "electorate", "follow", "up", "steady"],
    configure: |config| config.node("n2", "labels = { nosync = \"true\" }").section(ONE_SYNCHRONOUS),
    is_ready: |sighting| {
        let sync = |name| sighting.node(name).map(|node: &Seen| node.sync.as_str());
        sync("n1") == Some("sync") && sync("n2") == Some("async")
    },
    ..PLAIN
};

/// All of them, in the talk's order. Its verifications 4, 6 and 7 are about other things than faults.
pub static CASES: [Case; 7] = [
    Case {
        verification: 1,
        name: "primary-killed",
        title: "The primary is killed (kill -9)",
        theirs: "< 1 min; every pgpool runs the scripts; standbys restart twice",
        errors_allowed: 1,
        act: primary_is_killed,
        ..PLAIN
    },
    Case {
        verification: 1,
        name: "primary-hangs",
        title: "The primary hangs (SIGSTOP)",
        theirs: "< 1 min; every pgpool runs the scripts; standbys restart twice",
        errors_allowed: 1,
        act: primary_hangs,
        ..PLAIN
    },
    Case {
        name: "synchronous-standby-killed",
        title: "The synchronous standby is killed",
        theirs: "1 min; writes stall",
        act: |stage| standby_is_killed(stage, "n1"),
        ..ONE_AND_ONE
    },
    Case {
        name: "synchronous-standby-hangs",
        title: "The synchronous standby hangs",
        theirs: "1 min; writes stall",
        act: synchronous_standby_hangs,
        ..ONE_AND_ONE
    },
    Case {
        name: "asynchronous-standby-killed",
        title: "An asynchronous standby is killed",
        theirs: "40 s",
        act: |stage| standby_is_killed(stage, "n2"),
        ..ONE_AND_ONE
    },
    Case {
        verification: 3,
        name: "primary-returns",
        title: "A failed primary comes back (REJOIN)",
        theirs: "by hand; a crashed one may restart by mistake",
        marks: &["hold", "publish", "follow", "release"],
        act: failed_primary_returns,
        ..PLAIN
    },
    Case {
        verification: 5,
        name: "servers-out-and-in",
        title: "Five standbys, one, five (DETACH, ATTACH)",
        theirs: "errors: all sessions are restarted",
        standbys: 5,
        marks: &[],
        act: servers_go_out_and_in,
        ..PLAIN
    },
];

fn primary_is_killed(stage: &mut Stage) -> Result<()> {
    stage.touch("n0");
    let at = stage.fault("n0", "n0 is killed");
    stage.cluster.primary().kill9()?;
    await_new_primary(stage, at)
}

fn primary_hangs(stage: &mut Stage) -> Result<()> {
    stage.touch("n0");
    let at = stage.fault("n0", "n0 hangs");
    stage.cluster.primary().sigstop();
    await_new_primary(stage, at)?;
    stage.pause(TEMPTATION);
    stage.fault("n0", "n0 wakes up");
    stage.cluster.primary().sigcont();
    stage.pause(TEMPTATION);
    promise_no_second_primary(stage);
    Ok(())
}

/// A standby is promoted and the other follows it.
fn await_new_primary(stage: &mut Stage, at: Instant) -> Result<()> {
    let primary = stage.await_event("publish", at, |event| !event.node.is_empty())?.node;
    let other = if primary == "n1" { "n2" } else { "n1" };
    let follows = |sighting: &Sighting| {
        sighting.state == "Steady" && sighting.node(other).is_some_and(|node| node.follows(&primary))
    };
    stage.await_sight("the other standby follows", follows)?;
    stage.promise("a standby is promoted, the other follows it", true);
    Ok(())
}

fn promise_no_second_primary(stage: &mut Stage) {
    let sighting = stage.watch.sighting();
    let is_left_alone = sighting.node("n0").is_some_and(|node| !node.quarantine.is_empty());
    let is_other = sighting.primary().is_some_and(|name| name != "n0");
    stage.promise("the old primary, which runs again, gets no work", is_left_alone && is_other);
}

fn standby_is_killed(stage: &mut Stage, name: &str) -> Result<()> {
    stage.touch(name);
    let at = stage.fault(name, &format!("{name} is killed"));
    stage.cluster.node(name)?.kill9()?;
    stage.pause((at + ABSENCE).saturating_duration_since(Instant::now()));
    let commits = stage.commits();
    stage.pause(MOMENT);
    stage.promise(format!("writes go on while {name} is away"), stage.commits() > commits);
    stage.fault(name, &format!("{name} is started"));
    stage.cluster.node(name)?.start()?;
    await_standby(stage, name)
}

fn synchronous_standby_hangs(stage: &mut Stage) -> Result<()> {
    stage.touch("n1");
    let at = stage.fault("n1", "n1 hangs");
    stage.cluster.node("n1")?.sigstop();
    stage.await_event("electorate", at, |event| event.words.starts_with("nobody"))?;
    stage.pause(TEMPTATION);
    stage.fault("n1", "n1 wakes up");
    stage.cluster.node("n1")?.sigcont();
    await_standby(stage, "n1")
}

/// It streams again, and commits wait for it as they did before.
fn await_standby(stage: &mut Stage, name: &str) -> Result<()> {
    let sync = if name == "n1" { "sync" } else { "async" };
    let is_back = |sighting: &Sighting| {
        let is_back = |node: &Seen| node.health == "up" && node.sync == sync && node.follows("n0");
        sighting.state == "Steady" && sighting.node(name).is_some_and(is_back)
    };
    stage.await_sight("the standby is back", is_back)?;
    stage.promise(format!("{name} is back and {sync}hronous"), true);
    Ok(())
}

fn failed_primary_returns(stage: &mut Stage) -> Result<()> {
    stage.touch("n0");
    let at = stage.fault("n0", "n0 is killed");
    stage.cluster.primary().kill9()?;
    await_new_primary(stage, at)?;
    stage.open_again();

    stage.fault("n0", "n0 is started as it was");
    stage.cluster.primary().start()?;
    stage.pause(TEMPTATION);
    promise_no_second_primary(stage);
    stage.fault("n0", "REJOIN n0");
    stage.proxy.console().ask("REJOIN n0").context("REJOIN n0")?;
    let follows = |sighting: &Sighting| {
        let primary = sighting.primary().unwrap_or_default();
        let is_back = |node: &Seen| node.health == "up" && node.quarantine.is_empty() && node.follows(primary);
        sighting.state == "Steady" && sighting.node("n0").is_some_and(is_back)
    };
    stage.await_sight("n0 follows the new primary", follows)?;
    stage.promise("one command makes n0 a standby of the new primary", true);
    Ok(())
}

fn servers_go_out_and_in(stage: &mut Stage) -> Result<()> {
    let names = ["n5", "n4", "n3", "n2"];
    for name in names {
        stage.fault(name, &format!("\u{2212}{name}"));
        stage.proxy.console().ask(&format!("DETACH NODE {name}"))?;
        stage.pause(BETWEEN_SERVERS);
    }
    let sighting = stage.watch.sighting();
    let left = sighting.nodes.iter().filter(|node| node.role == "standby" && node.health == "up").count();
    stage.promise(format!("one standby of five is left ({left})"), left == 1);
    for name in names.into_iter().rev() {
        stage.fault(name, &format!("+{name}"));
        stage.proxy.console().ask(&format!("ATTACH NODE {name}"))?;
        stage.pause(BETWEEN_SERVERS);
    }
    stage.await_sight("all nodes are back", |sighting| sighting.nodes.iter().all(|node| node.health == "up"))?;
    stage.promise("all standbys are back", true);
    Ok(())
}

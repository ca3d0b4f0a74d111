//! A node that was left behind comes back as a standby, by the gentlest way that works, and never as a second primary.
//!
//! [`lab`] is the cluster, [`executors`] the ways to its machines, [`switchover`] the old
//! primary's part in a planned one, [`doctor`] what says beforehand that it would not work.

mod doctor;
mod executors;
pub mod lab;
mod switchover;

use std::{fs, thread, time::Duration};

use howdah::{
    config::ExecutorKind,
    control::{
        host::{Host, HostError, Job, Listen, NodeState, Rebuild, Step, StopMode, Warrant},
        rejoin::{Order, RejoinError, decide::Course},
    },
    demo::{ClusterOptions, PgCluster, wait},
};
use howdah_tests::PATIENCE;
use lab::{Lab, block_on};

/// `n0` crashed with log that nobody has, and `n1` was promoted.
fn diverged(lab: &Lab) {
    lab.node(1).alter_system("primary_conninfo", "").unwrap();
    lab.write_on_old_primary();
    lab.node(0).kill9().unwrap();
    lab.promote();
}

/// Whether any line has this in it.
fn said(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

#[test]
fn a_crashed_primary_without_anything_of_its_own_follows_directly() {
    let lab = Lab::start(1);
    lab.node(0).kill9().unwrap();
    lab.promote();

    let (outcome, heard) = lab.rejoin(Order::Rejoin);

    assert_eq!(outcome.unwrap().decision.course, Course::Follow, "{heard:?}");
    lab.assert_follows();
}

#[test]
fn a_diverged_primary_is_rewound_right_after_the_promotion() {
    // Without the checkpoint that the rejoin takes, the control file of the new primary would be old for minutes.
    let lab = Lab::with(1, &[("checkpoint_timeout", "30min")]);
    diverged(&lab);

    let (outcome, heard) = lab.rejoin(Order::Rejoin);

    assert_eq!(outcome.unwrap().decision.course, Course::Rewind, "{heard:?}");
    let version: u32 = lab.node(1).psql("SHOW server_version_num").unwrap().parse().unwrap();
    assert_eq!(said(&heard, "CHECKPOINT on n1"), version < 160_000);
    assert!(!said(&heard, "no rewind required"), "{heard:?}");
    lab.assert_follows();
}

#[test]
fn a_rewound_node_keeps_its_own_configuration_files() {
    let lab = Lab::start(1);
    let files =
        [("pg_hba.conf", "# n0's own rule\n"), ("postgresql.conf", "# n0's own line\n"), ("server.key", "mine")];
    for (file, line) in files {
        let path = lab.node(0).data.join(file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, text + line).unwrap();
    }
    fs::write(lab.node(1).data.join("server.key"), "theirs").unwrap();
    for number in 0..=1 {
        lab.own(&lab.node(number).data.join("server.key"));
    }
    diverged(&lab);

    lab.rejoin(Order::Rejoin).0.unwrap();

    for (file, line) in files {
        let text = fs::read_to_string(lab.node(0).data.join(file)).unwrap();
        assert!(text.ends_with(line), "{file}: {text}");
    }
    // Its port is in one of them, so this reaches it where it was.
    lab.assert_follows();
    assert!(!lab.work_dir(0).join("saved").exists(), "nothing is left lying about");
}

#[test]
fn a_crashed_node_with_standby_signal_is_rewound() {
    let lab = Lab::start(1);
    diverged(&lab);
    // As an armed primary has it. Single-user recovery, which pg_rewind runs, refuses that.
    fs::write(lab.node(0).data.join("standby.signal"), "").unwrap();

    let (outcome, heard) = lab.rejoin(Order::Rejoin);

    assert_eq!(outcome.unwrap().decision.course, Course::Rewind, "{heard:?}");
    lab.assert_follows();
}

#[test]
fn the_log_that_nobody_else_has_is_kept_before_a_rewind() {
    let lab = Lab::start(1);
    diverged(&lab);

    lab.rejoin(Order::Rejoin).0.unwrap();

    let kept = lab.work_dir(0).join("diverged/op-1");
    let segments: Vec<_> = fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(segments.iter().any(|name| name.to_str().unwrap().starts_with("00000001")), "{segments:?}");
}

/// Says that all is done, and does half of it.
struct Careless<H>(H);

impl<H: Host> Host for Careless<H> {
    async fn carry_out(&self, job: &Job, listen: &mut dyn Listen) -> Result<NodeState, HostError> {
        let steps = job.steps.iter().filter(|step| !matches!(step, Step::Rewind(_))).cloned().collect();
        self.0.carry_out(&Job { steps, ..job.clone() }, listen).await
    }

    fn reaches_a_node_that_is_down(&self) -> bool {
        true
    }
}

#[test]
fn a_node_that_does_not_stream_is_not_back_whatever_its_machine_says() {
    let lab = Lab::start(1);
    diverged(&lab);

    let careless = Careless(lab.executor(ExecutorKind::Exec, 0));
    let (outcome, _) = lab.rejoin_with(&careless, ExecutorKind::Exec, Order::Rejoin);

    assert!(matches!(outcome, Err(RejoinError::NotStreaming { .. })), "{outcome:?}");
    // Nor is it lost: it runs in recovery now, and comes back the long way.
    assert_eq!(lab.rejoin(Order::Rejoin).0.unwrap().decision.course, Course::Rewind);
    lab.assert_follows();
}

#[test]
fn a_node_that_cannot_be_rewound_is_rebuilt_only_when_that_was_ordered() {
    let lab = Lab::with(1, &[("wal_log_hints", "off")]);
    diverged(&lab);

    let refused = lab.rejoin(Order::Rejoin).0.unwrap_err().to_string();
    assert!(refused.contains("neither wal_log_hints nor data checksums"), "{refused}");
    assert!(lab.node(0).postmaster().is_none(), "nothing was started");

    let (outcome, heard) = lab.rejoin(Order::RejoinOrRebuild);
    assert_eq!(outcome.unwrap().decision.course, Course::Rebuild, "{heard:?}");
    lab.assert_follows();
}

#[test]
fn reinit_rebuilds_a_node_that_lost_its_data_and_one_that_runs() {
    let lab = Lab::start(1);
    diverged(&lab);

    fs::remove_dir_all(lab.node(0).data.join("base")).unwrap();
    assert_eq!(lab.rejoin(Order::Reinit).0.unwrap().decision.course, Course::Rebuild);
    lab.assert_follows();

    assert_eq!(lab.rejoin(Order::Reinit).0.unwrap().decision.course, Course::Rebuild);
    lab.assert_follows();
}

/// What every process of the machine was started with.
fn command_lines() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok()).map(|line| lossy(&line)).collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_password_is_on_no_command_line() {
    const PASSWORD: &str = "it's a $ecret";
    let lab = Lab::with(1, &[("password_encryption", "scram-sha-256")]);
    let quoted = PASSWORD.replace('\'', "''");
    lab.node(0).psql(&format!("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD '{quoted}'")).unwrap();
    for node in lab.postgres.nodes() {
        fs::write(node.data.join("pg_hba.conf"), HBA).unwrap();
        node.psql("SELECT pg_reload_conf()").unwrap();
    }
    diverged(&lab);
    let lab = lab.with_user("keeper").with_password(PASSWORD);
    let over = std::sync::atomic::AtomicBool::new(false);

    let seen = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = Vec::new();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                seen.extend(
                    command_lines().into_iter().filter(|line| line.contains("$ecret") || line.contains("pg_rewind")),
                );
                thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        let (outcome, heard) = lab.rejoin(Order::Rejoin);
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(outcome.unwrap().decision.course, Course::Rewind, "{heard:?}");
        assert!(!said(&heard, "$ecret"), "{heard:?}");
        watch.join().unwrap()
    });

    assert!(said(&seen, "pg_rewind"), "the watch saw the work");
    assert!(!said(&seen, "$ecret"), "{seen:?}");
    lab.assert_follows();
}

/// The superuser of the tests comes in as always, everybody else has to show a password.
const HBA: &str = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n\
                   host replication all 127.0.0.1/32 scram-sha-256\n";

#[test]
fn a_zombie_primary_that_runs_and_has_written_is_stopped_and_rewound() {
    let lab = Lab::start(1);
    lab.promote();
    lab.write_on_old_primary();

    let (outcome, heard) = lab.rejoin(Order::Rejoin);

    assert_eq!(outcome.unwrap().decision.course, Course::Rewind, "{heard:?}");
    lab.assert_follows();
}

#[test]
fn a_standby_that_runs_is_only_told_whom_to_follow() {
    let lab = Lab::start(2);
    lab.promote();
    let pid = lab.node(2).postmaster();
    let cluster = lab.cluster(ExecutorKind::None);
    let host = lab.executor(ExecutorKind::Exec, 2);
    let rejoin = howdah::control::rejoin::Rejoin {
        cluster: &cluster,
        node: &cluster.nodes[2],
        primary: &cluster.nodes[1],
        login: &lab.login,
        host: &host,
        op: "op-1".into(),
        epoch: 1,
        slot: Some("howdah_n2".into()),
        order: Order::Rejoin,
        max_rate_kib: None,
        connect_timeout: Duration::from_secs(5),
        streaming_timeout: Duration::from_secs(20),
    };

    let rejoined = block_on(rejoin.run(&mut |_: &str| {})).unwrap();

    assert_eq!((rejoined.decision.course, rejoined.timeline), (Course::Follow, 2));
    assert_eq!(lab.node(2).postmaster(), pid, "it was not restarted");
}

#[test]
fn a_node_of_another_cluster_is_left_alone() {
    let lab = Lab::start(1);
    let stranger = PgCluster::start(ClusterOptions { standbys: 0, ..Default::default() }).unwrap();
    let mut cluster = lab.cluster(ExecutorKind::Exec);
    cluster.nodes[0].port = stranger.primary().port;
    lab.promote();
    let pid = stranger.primary().postmaster();
    let host = lab.executor(ExecutorKind::Exec, 0);
    let rejoin = howdah::control::rejoin::Rejoin {
        cluster: &cluster,
        node: &cluster.nodes[0],
        primary: &cluster.nodes[1],
        login: &lab.login,
        host: &host,
        op: "op-1".into(),
        epoch: 1,
        slot: None,
        order: Order::Reinit,
        max_rate_kib: None,
        connect_timeout: Duration::from_secs(5),
        streaming_timeout: Duration::from_secs(20),
    };

    let outcome = block_on(rejoin.run(&mut |_: &str| {}));

    assert!(matches!(outcome, Err(RejoinError::Stranger { .. })), "{outcome:?}");
    assert_eq!(stranger.primary().postmaster(), pid);
}

#[test]
fn nothing_is_started_as_a_primary() {
    let lab = Lab::start(1);
    let host = lab.executor(ExecutorKind::Exec, 0);
    lab.carry_out(&host, vec![Step::Stop(StopMode::Fast)]).0.unwrap();

    let refused = lab.carry_out(&host, vec![Step::Start(Warrant::Rejoin)]).0.unwrap_err().to_string();
    assert!(refused.contains("there is no standby.signal"), "{refused}");
    let refused = lab.carry_out(&host, vec![Step::Disarm]).0.unwrap_err().to_string();
    assert!(refused.contains("would be started as a primary"), "{refused}");

    assert!(lab.node(0).postmaster().is_none());
}

#[test]
fn whoever_is_gone_gets_a_command_finished_and_no_further_step() {
    let lab = Lab::start(1);
    diverged(&lab);
    let host = lab.executor(ExecutorKind::Exec, 0);
    let rebuild = Rebuild { source: lab.source(1), slot: None, max_rate_kib: Some(16_384), keep: None };
    let steps = vec![Step::Rebuild(rebuild), Step::Follow(lab.upstream(0, 1)), Step::Start(Warrant::Reinit)];

    block_on(async {
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        let mut listen = move |line: &str| drop(begun.send(line.to_owned()));
        let job = lab.job(steps);
        tokio::select! {
            outcome = host.carry_out(&job, &mut listen) => panic!("{outcome:?}"),
            () = async { while has_begun.recv().await.is_some_and(|line| line != "step rebuild") {} } => {}
        }
    });

    let over = wait::until(PATIENCE, || (!lab.work_dir(0).join("lock").exists()).then_some(()));
    assert!(over.is_some(), "the rebuild comes to its end");
    assert!(!lab.work_dir(0).join("unfinished").exists());
    assert!(lab.node(0).data.join("standby.signal").exists());
    // A start would have come at once.
    thread::sleep(Duration::from_millis(500));
    assert!(lab.node(0).postmaster().is_none(), "and nothing is started");
}

#[test]
fn what_was_cut_short_is_not_started_and_is_rebuilt() {
    let lab = Lab::start(1);
    diverged(&lab);
    let host = lab.executor(ExecutorKind::Exec, 0);
    // Where a rewind that ran out of time leaves off.
    lab.carry_out(&host, vec![Step::Follow(lab.upstream(0, 1))]).0.unwrap();
    fs::write(lab.work_dir(0).join("unfinished"), "").unwrap();
    lab.own(&lab.work_dir(0).join("unfinished"));

    let refused = lab.carry_out(&host, vec![Step::Start(Warrant::Rejoin)]).0.unwrap_err().to_string();
    assert!(refused.contains("did not come to its end"), "{refused}");

    let (outcome, heard) = lab.rejoin(Order::RejoinOrRebuild);
    assert_eq!(outcome.unwrap().decision.course, Course::Rebuild, "{heard:?}");
    lab.assert_follows();
}

#[test]
fn a_step_that_takes_too_long_ends_with_its_last_words() {
    let lab = Lab::start(1);
    lab.node(0).sigstop();
    let host = lab.executor(ExecutorKind::Exec, 0);
    let job = Job { limit: Duration::from_secs(2), ..lab.job(vec![Step::Stop(StopMode::Fast)]) };

    let outcome = block_on(host.carry_out(&job, &mut |_: &str| {}));

    lab.node(0).sigcont();
    let error = outcome.unwrap_err().to_string();
    assert!(error.starts_with("stop ") && error.contains("waiting for server to shut down"), "{error}");
}

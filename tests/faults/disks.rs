//! Disks run full.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use howdah::demo::{PgCluster, PgNode};

use super::{
    Scene, impatient, logged, measured,
    standby::{nobody_failed, one_member, stall, waited_for},
    synchronous,
};

/// Room for what a cluster of ours begins with, and some segments more.
const MEBIBYTES: u32 = 256;

/// What a client is told whose row found no place: `disk_full`.
const DISK_FULL: &str = "53100";

/// Rows that no client wrote, none twice.
const MANY_ROWS: &str =
    "INSERT INTO history SELECT (extract(epoch FROM now()) * 1000000)::bigint + i FROM generate_series(1, 100000) i";

/// Longer than `hang_timeout` and whatever follows it.
const LONG: Duration = Duration::from_secs(4);

/// A small disk for a part of a node's data. It outlives the node that is on it, so it is made before the cluster is.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// None where nobody may mount, which is said.
    fn make(test: &str) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("howdah-disk-{}-{number}", std::process::id()));
        fs::create_dir(&folder).expect("a folder for a disk");
        let size = format!("size={MEBIBYTES}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self { folder });
        }
        fs::remove_dir(&folder).expect("it is empty");
        eprintln!("{test}: left out, as only root may mount a disk");
        None
    }

    /// Moves a folder of a node's data here. The node is started anew.
    fn carry(&self, node: &PgNode, part: &str) {
        node.stop().unwrap();
        let place = node.data.join(part);
        run(Command::new("cp").args(["--archive", "--no-target-directory"]).arg(&place).arg(&self.folder));
        fs::remove_dir_all(&place).unwrap();
        symlink(&self.folder, &place).unwrap();
        node.start().unwrap();
    }

    /// Nothing more finds room.
    fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).unwrap();
        let mut piece = vec![0; 1 << 20];
        while !piece.is_empty() {
            match filler.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => piece.truncate(piece.len() / 2),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// There is room again.
    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.folder));
        let _ = fs::remove_dir(&self.folder);
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let ended = command.status().expect("it starts");
    assert!(ended.success(), "{command:?}: {ended}");
}

#[test]
fn a_primary_that_cannot_write_its_log_any_more_is_replaced() {
    let Some(disk) = Disk::make("a full disk under the primary's log") else { return };
    let cluster = PgCluster::start(synchronous(2)).unwrap();
    disk.carry(cluster.primary(), "pg_wal");
    let scene = Scene::around(cluster, true, impatient);
    scene.await_whole(2);
    let load = scene.load();
    let old = scene.cluster.primary();

    disk.fill();
    let full = Instant::now();
    scene.until("at the end of its log", || {
        // Until it has used what it had room for before.
        let _ = old.psql("SELECT pg_switch_wal()");
        logged(old, "PANIC") > 0
    });
    let outage = scene.resumed(&load, full);
    scene.await_state("Steady");
    assert_ne!(scene.primary().name, old.name);
    disk.free();
    scene.order(&format!("REJOIN {}", old.name));
    scene.await_whole(2);
    let history = scene.settle(load);

    measured(
        "disk of the primary's log full",
        format_args!(
            "no writes for {outage:?}; {} failed with {:?}",
            history.failed_writes().len(),
            history.sqlstates()
        ),
    );
    // It is told so, and it meets the server once more while that tries to recover.
    scene.was_replaced_once(&history);
}

/// Each commit waits for the one standby whose disk it is.
#[test]
fn a_standby_that_cannot_write_its_log_any_more_is_waited_for_no_longer() {
    let disks = [0; 2].map(|_| Disk::make("a full disk under a standby's log"));
    let [Some(first), Some(second)] = disks else { return };
    let cluster = PgCluster::start(synchronous(2)).unwrap();
    for (standby, disk) in cluster.standbys().iter().zip([&first, &second]) {
        disk.carry(standby, "pg_wal");
    }
    let scene = Scene::around(cluster, true, one_member);
    scene.await_whole(1);
    let load = scene.load();
    let member = waited_for(&scene).pop().unwrap();
    let standby = scene.cluster.node(&member).unwrap();
    let disk = if member == scene.cluster.standbys()[0].name { &first } else { &second };

    let outage = stall(&scene, &load, || {
        disk.fill();
        scene.until("at the end of its log", || {
            let _ = scene.cluster.primary().psql("SET synchronous_commit = local; SELECT pg_switch_wal()");
            logged(standby, "No space left on device") > 0
        });
        scene.until("without it", || !waited_for(&scene).contains(&member));
    });
    thread::sleep(LONG);
    scene.at_work(&load);
    assert!(!waited_for(&scene).contains(&member), "{}", scene.story());
    disk.free();
    scene.until("back", || scene.of_node(&member, "replication") == "streaming");
    scene.await_whole(1);
    let history = scene.settle(load);

    measured("disk of a synchronous standby's log full", format_args!("no writes for {outage:?}"));
    nobody_failed(&scene, &history);
}

/// A standby has as large a disk, so another primary would be of no help.
#[test]
fn a_primary_without_room_for_rows_stays_primary() {
    let Some(disk) = Disk::make("a full disk under the primary's tables") else { return };
    let cluster = PgCluster::start(synchronous(2)).unwrap();
    disk.carry(cluster.primary(), "base");
    let scene = Scene::around(cluster, true, impatient);
    scene.await_whole(2);
    let load = scene.load();

    disk.fill();
    let full = Instant::now();
    scene.until("told so", || {
        // Where many write, the server makes room for thousands of rows at once.
        let _ = scene.cluster.primary().psql(MANY_ROWS);
        load.so_far().sqlstates().contains(DISK_FULL)
    });
    thread::sleep(LONG);
    assert_eq!(scene.state(), "Steady", "{}", scene.story());
    scene.until("reported", || scene.told("its disk is full (53100)").is_some());
    disk.free();
    let outage = scene.resumed(&load, full);
    let history = scene.settle(load);

    measured(
        "disk of the primary's tables full",
        format_args!("no writes for {outage:?}; {} failed", history.failed_writes().len()),
    );
    assert_eq!(scene.promotions(), 0, "{}", scene.story());
    assert_eq!(history.sqlstates().into_iter().collect::<Vec<_>>(), [DISK_FULL]);
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
    assert!(history.disconnects.is_empty(), "no session ends");
}

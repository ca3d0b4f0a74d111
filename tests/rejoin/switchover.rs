//! The old primary's part in a planned switchover.

use howdah::{
    config::ExecutorKind,
    control::host::{Step, StopMode, Upstream, Warrant},
    demo::wait,
    id::Lsn,
};
use howdah_tests::PATIENCE;

use super::lab::Lab;

/// Whom the old primary will follow.
fn upstream(lab: &Lab) -> Upstream {
    lab.node(1).psql("SELECT pg_create_physical_replication_slot('howdah_n0')").unwrap();
    Upstream { slot: Some("howdah_n0".into()), ..lab.upstream(0, 1) }
}

#[test]
fn a_primary_that_was_armed_and_stopped_comes_back_as_a_standby_without_a_rewind() {
    let lab = Lab::start(1);
    let host = lab.executor(ExecutorKind::Exec, 0);
    let steps = vec![Step::Follow(upstream(&lab)), Step::Stop(StopMode::Fast)];

    let stopped = lab.carry_out(&host, steps.clone()).0.unwrap();
    let control = stopped.control.clone().unwrap();
    assert!(control.is_clean() && !stopped.running, "{stopped:?}");
    // Whoever is promoted has to have replayed the last record.
    let replayed = format!("SELECT pg_last_wal_replay_lsn() > '{}'", Lsn(control.checkpoint));
    let caught_up = wait::until(PATIENCE, || lab.node(1).psql(&replayed).is_ok_and(|it| it == "t").then_some(()));
    assert!(caught_up.is_some(), "n1 has the record of the shutdown");
    // Twice is as good as once.
    assert_eq!(lab.carry_out(&host, steps).0.unwrap(), stopped);
    lab.promote();
    let state = lab.carry_out(&host, vec![Step::Start(Warrant::Switchover)]).0.unwrap();

    assert!(state.running);
    lab.assert_follows();
    assert_eq!(lab.node(0).psql("SHOW primary_slot_name").unwrap(), "howdah_n0");
}

#[test]
fn a_primary_whose_switchover_is_called_off_stays_one_after_a_restart() {
    let lab = Lab::start(1);
    let host = lab.executor(ExecutorKind::Exec, 0);
    lab.carry_out(&host, vec![Step::Follow(upstream(&lab))]).0.unwrap();
    assert!(lab.node(0).data.join("standby.signal").exists());

    lab.carry_out(&host, vec![Step::Disarm]).0.unwrap();

    lab.node(0).stop().unwrap();
    lab.node(0).start().unwrap();
    assert_eq!(lab.node(0).psql("SELECT pg_is_in_recovery()").unwrap(), "f");
    assert_eq!(lab.node(0).psql("SHOW primary_conninfo").unwrap(), "");
}

#[test]
fn what_a_server_has_been_told_to_follow_is_not_written_to_its_file_again() {
    let lab = Lab::start(1);
    let host = lab.executor(ExecutorKind::Exec, 0);
    let upstream = upstream(&lab);
    let file = lab.node(0).data.join("postgresql.auto.conf");
    lab.carry_out(&host, vec![Step::Follow(upstream.clone())]).0.unwrap();
    // The server writes the same in its own way, in another order.
    for name in ["primary_slot_name", "primary_conninfo"] {
        let text = std::fs::read_to_string(&file).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap().to_owned();
        lab.node(0).psql(&format!("ALTER SYSTEM RESET {name}")).unwrap();
        lab.node(0).psql(&format!("ALTER SYSTEM SET {name} = {value}")).unwrap();
    }
    let number = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap());
    let before = number();

    lab.carry_out(&host, vec![Step::Follow(upstream)]).0.unwrap();
    assert_eq!(number(), before);

    lab.carry_out(&host, vec![Step::Disarm]).0.unwrap();
    assert_ne!(number(), before);
}

#[test]
fn sql_alone_makes_a_standby_of_the_old_primary_that_follows_once_the_other_is_promoted() {
    let lab = Lab::start(1);
    let host = lab.executor(ExecutorKind::SqlProgram, 0);
    let steps = vec![Step::Follow(upstream(&lab)), Step::Stop(StopMode::Fast), Step::Start(Warrant::Switchover)];

    lab.carry_out(&host, steps).0.unwrap();

    assert_eq!(lab.node(0).psql("SELECT pg_is_in_recovery()").unwrap(), "t");
    lab.promote();
    lab.assert_follows();
}

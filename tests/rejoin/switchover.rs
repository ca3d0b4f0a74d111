//! The old primary's part in a planned switchover.

use std::time::Duration;

use howdah::{
    config::ExecutorKind,
    control::rejoin::retire::{Retired, Retirement},
    demo::wait,
};
use howdah_tests::PATIENCE;

use super::lab::{Lab, block_on};

fn retirement(lab: &Lab) -> Retirement {
    lab.node(1).psql("SELECT pg_create_physical_replication_slot('howdah_n0')").unwrap();
    let mut upstream = lab.upstream(0, 1);
    upstream.slot = Some("howdah_n0".into());
    Retirement { op: "op-1".into(), epoch: 1, upstream, limit: Duration::from_secs(30) }
}

#[test]
fn a_retired_primary_comes_back_as_a_standby_without_a_rewind() {
    let lab = Lab::start(1);
    let host = lab.executor(ExecutorKind::Exec, 0);
    let retirement = retirement(&lab);
    let mut listen = |_: &str| {};

    let retired = block_on(retirement.retire(&host, &mut listen)).unwrap();
    let Retired::Down { shutdown } = retired else { panic!("{retired:?}") };
    let replayed = format!("SELECT pg_last_wal_replay_lsn() > '{shutdown}'");
    let caught_up = wait::until(PATIENCE, || lab.node(1).psql(&replayed).is_ok_and(|it| it == "t").then_some(()));
    assert!(caught_up.is_some(), "n1 has the record of the shutdown");
    // Twice is as good as once.
    assert_eq!(block_on(retirement.retire(&host, &mut listen)).unwrap(), retired);
    lab.promote();
    let state = block_on(retirement.bring_back(&host, &mut listen)).unwrap();

    assert!(state.running);
    lab.assert_follows();
    assert_eq!(lab.node(0).psql("SHOW primary_slot_name").unwrap(), "howdah_n0");
}

#[test]
fn a_primary_whose_switchover_is_called_off_stays_one_after_a_restart() {
    let lab = Lab::start(1);
    let host = lab.executor(ExecutorKind::Exec, 0);
    let retirement = retirement(&lab);
    lab.carry_out(&host, vec![howdah::control::host::Step::Follow(retirement.upstream.clone())]).0.unwrap();
    assert!(lab.node(0).data.join("standby.signal").exists());

    block_on(retirement.call_off(&host, &mut |_: &str| {})).unwrap();

    lab.node(0).stop().unwrap();
    lab.node(0).start().unwrap();
    assert_eq!(lab.node(0).psql("SELECT pg_is_in_recovery()").unwrap(), "f");
    assert_eq!(lab.node(0).psql("SHOW primary_conninfo").unwrap(), "");
}

#[test]
fn sql_alone_makes_a_standby_of_the_old_primary_that_follows_once_the_other_is_promoted() {
    let lab = Lab::start(1);
    let host = lab.executor(ExecutorKind::SqlProgram, 0);
    let retirement = retirement(&lab);

    let retired = block_on(retirement.retire(&host, &mut |_: &str| {})).unwrap();

    assert_eq!(retired, Retired::Standby);
    assert_eq!(lab.node(0).psql("SELECT pg_is_in_recovery()").unwrap(), "t");
    lab.promote();
    lab.assert_follows();
}

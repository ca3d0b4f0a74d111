//! What became of a COMMIT that was on its way when its primary was lost: the new primary knows.

use howdah::demo::process::{self, Signal};
use howdah_tests::{
    raw::{Raw, query, tags},
    relay::Cut,
};

use super::{Scene, network::cuttable, synchronous};

/// A client whose COMMIT waits for a standby, by what keeps the standbys from confirming it.
fn committing(scene: &Scene, keep: impl FnOnce(&Scene)) -> Raw {
    let mut client = Raw::login(scene.proxy.port(), "postgres");
    client.query("CREATE TABLE outcome (x int)");
    client.query("BEGIN");
    client.query("INSERT INTO outcome VALUES (1)");
    keep(scene);
    client.send(&query("COMMIT")).unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'";
    scene.until("waiting for standbys", || scene.cluster.primary().psql(waiting).unwrap() == "1");
    client
}

fn resolving() -> (Scene, howdah_tests::relay::Relay) {
    cuttable(synchronous(2), |config| config.set("commit_outcome", "\"resolve\""))
}

#[test]
fn a_commit_that_the_new_primary_has_is_one() {
    let (scene, relay) = resolving();
    let mut client = committing(&scene, |_| relay.cut(Cut::Confirmations));
    let end = scene.cluster.primary().psql("SELECT pg_current_wal_flush_lsn()").unwrap();
    let received = format!("SELECT pg_last_wal_receive_lsn() >= '{end}'");
    scene.until("received", || scene.cluster.standbys().iter().all(|standby| standby.psql(&received).unwrap() == "t"));

    scene.cluster.primary().kill9().unwrap();
    relay.cut(Cut::Nothing);

    let answer = client.until_ready();
    assert_eq!((tags(&answer).as_str(), &answer[0].body[..]), ("CZ", &b"COMMIT\0"[..]), "{}", scene.story());
    assert_eq!(client.query("SELECT count(*) FROM outcome")[1].value(), "1");
    assert_eq!(scene.promotions(), 1, "{}", scene.story());
}

#[test]
fn a_commit_that_no_standby_has_is_none_and_may_be_tried_again() {
    let (scene, _relay) = resolving();
    let mut client = committing(&scene, |scene| {
        let senders = scene.cluster.primary().psql("SELECT pid FROM pg_stat_replication").unwrap();
        let senders: Vec<u32> = senders.lines().map(|pid| pid.parse().expect("a number")).collect();
        process::signal(Signal::Stop, &senders);
    });

    scene.cluster.primary().kill9().unwrap();

    let answer = client.until_ready();
    assert_eq!((tags(&answer).as_str(), answer[0].sqlstate().as_str()), ("EZ", "40001"), "{}", scene.story());
    assert_eq!(client.query("SELECT count(*) FROM outcome")[1].value(), "0");
    client.query("BEGIN");
    client.query("INSERT INTO outcome VALUES (1)");
    assert_eq!(tags(&client.query("COMMIT")), "CZ");
    assert_eq!(scene.promotions(), 1, "{}", scene.story());
}

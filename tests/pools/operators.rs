//! What operators do to a proxy that has clients.

use howdah::demo::{ProxyConfig, ports};
use howdah_tests::{
    PATIENCE, Proxy, Signal, fresh_database,
    raw::{Raw, tags},
    shared_cluster,
};

use super::{proxy, small};

#[test]
fn a_broken_configuration_is_refused_as_a_whole_and_the_old_one_goes_on() {
    let start = small(1)(ProxyConfig::for_cluster(shared_cluster(), ports::free_port().unwrap()));
    let proxy = Proxy::try_start(shared_cluster(), start.clone()).unwrap();
    let mut client = Raw::login(proxy.port(), "postgres");
    let broken = start.clone().set("defalt_pool_size", "3").set("query_wait_timeout", "1");

    let before = proxy.log_position();
    proxy.rewrite(&broken).unwrap();
    proxy.signal(Signal::HangUp);
    for said in ["refused", "howdah.toml", "defalt_pool_size", "default_pool_size"] {
        proxy.wait_for_log(before, said, PATIENCE).unwrap();
    }
    assert_eq!(tags(&client.query("SELECT 1")), "TDCZ");
    let shown = proxy.console().table("SHOW CONFIG").unwrap();
    let timeout = shown.rows.iter().find(|row| row[0] == "query_wait_timeout").unwrap();
    assert_eq!(timeout[1], "120");

    let before = proxy.log_position();
    proxy.rewrite(&start.set("query_wait_timeout", "7")).unwrap();
    proxy.signal(Signal::HangUp);
    proxy.wait_for_log(before, "a new generation is running", PATIENCE).unwrap();
    assert_eq!(tags(&client.query("SELECT 1")), "TDCZ");
}

#[test]
fn on_sigint_a_transaction_may_end_and_then_its_client_is_told_to_go() {
    let database = fresh_database();
    let mut proxy = proxy(2, |config| config);
    let (mut busy, mut idle) = (Raw::login(proxy.port(), &database), Raw::login(proxy.port(), &database));
    busy.query("CREATE TABLE t (x int)");
    assert_eq!(tags(&idle.query("SELECT 1")), "TDCZ");
    busy.query("BEGIN");

    proxy.signal(Signal::Interrupt);

    let farewell = idle.next().unwrap();
    assert_eq!((farewell.tag, &*farewell.sqlstate()), ('E', "57P01"));
    assert_eq!(idle.next(), None);
    assert_eq!(tags(&busy.query("INSERT INTO t VALUES (1)")), "CZ");
    assert_eq!(tags(&busy.query("COMMIT")), "CZ");
    let farewell = busy.next().unwrap();
    assert_eq!((farewell.tag, &*farewell.sqlstate()), ('E', "57P01"));
    assert_eq!(busy.next(), None);
    assert!(proxy.wait_for_end(PATIENCE), "it ends by itself and well");
    let primary = shared_cluster().primary().client().database(&database);
    assert_eq!(primary.ask("SELECT x FROM t").unwrap(), "1");
}

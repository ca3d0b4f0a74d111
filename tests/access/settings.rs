//! What differs by user and by database, and what clients bring along.

use howdah::demo::ProxyConfig;
use howdah_tests::{
    Proxy,
    clients::{ask, config, connect_with, sqlstate},
    raw::{Raw, startup, tags},
    shared_cluster,
};
use tokio_postgres::NoTls;

fn proxy(change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Proxy {
    Proxy::start(shared_cluster(), |config| change(config.without_router().set("pool_mode", "\"transaction\"")))
}

fn role(name: &str) {
    shared_cluster().primary().psql(&format!("CREATE ROLE {name} LOGIN")).unwrap();
}

#[tokio::test]
async fn a_host_is_added_to_the_applications_name() {
    let proxy = proxy(|config| config.set("application_name_add_host", "true"));
    let mut named = config(proxy.port(), "postgres");
    named.application_name("report");
    let (named, unnamed) = (connect_with(named).await, connect_with(config(proxy.port(), "postgres")).await);
    for _ in 0..3 {
        let name = ask(&named, "SHOW application_name").await.unwrap();
        assert!(name.starts_with("report - 127.0.0.1:"), "{name}");
        let name = ask(&unnamed, "SHOW application_name").await.unwrap();
        assert!(name.starts_with("app - 127.0.0.1:"), "{name}");
    }
    ask(&named, "SET application_name = 'other'").await.unwrap();
    assert_eq!(ask(&named, "SHOW application_name").await.unwrap(), "other");
}

#[test]
fn options_are_dropped_but_for_what_clients_are_told_of() {
    let strict = proxy(|config| config);
    let options = "-c geqo=off -c TimeZone=Asia/Tokyo";
    let hello = |options: &str| startup(&[("user", "postgres"), ("database", "postgres"), ("options", options)]);
    let login = |port: u16, options: &str| {
        let mut raw = Raw::open(port);
        raw.send(&hello(options)).unwrap();
        let welcome = raw.until_ready();
        (raw, welcome)
    };
    let show = |raw: &mut Raw, name: &str| {
        let answer = raw.query(&format!("SHOW {name}"));
        assert_eq!(tags(&answer), "TDCZ");
        String::from_utf8_lossy(&answer[1].body[6..]).into_owned()
    };
    let (mut raw, _) = login(strict.port(), options);
    assert_eq!((show(&mut raw, "geqo"), show(&mut raw, "TimeZone")), ("off".into(), "Asia/Tokyo".into()));
    let (_, refused) = login(strict.port(), "-o --");
    assert_eq!(refused.last().unwrap().sqlstate(), "42601");

    let lenient = proxy(|config| config.set("ignore_startup_parameters", "\"extra_float_digits, options\""));
    let (mut raw, _) = login(lenient.port(), options);
    assert_eq!((show(&mut raw, "geqo"), show(&mut raw, "TimeZone")), ("on".into(), "Asia/Tokyo".into()));
    let (mut raw, welcome) = login(lenient.port(), "-o --");
    assert_eq!(welcome.last().map(|message| message.tag), Some('Z'));
    assert_eq!(show(&mut raw, "geqo"), "on");
}

#[tokio::test]
async fn clients_of_one_user_and_of_one_database_are_bounded_together() {
    role("many_clients");
    let proxy = proxy(|config| {
        let config = config.section("[users.many_clients]\nmax_user_client_connections = 2\n");
        config.databases("[databases]\n\"*\" = {}\ntemplate1 = { max_db_client_connections = 1 }\n")
    });
    let of = |user: &str, database: &str| {
        let mut config = config(proxy.port(), database);
        config.user(user);
        config
    };
    let first = connect_with(of("many_clients", "postgres")).await;
    let second = connect_with(of("many_clients", "template1")).await;
    let refused = of("many_clients", "postgres").connect(NoTls).await.err().unwrap();
    assert_eq!(sqlstate(&refused), "53300");
    assert!(format!("{refused:?}").contains("max_user_client_connections"), "{refused:?}");
    let refused = of("postgres", "template1").connect(NoTls).await.err().unwrap();
    assert!(format!("{refused:?}").contains("max_db_client_connections"), "{refused:?}");
    assert_eq!(ask(&first, "SELECT 1").await.unwrap(), "1");

    drop(second);
    let mut tries = 0;
    while of("postgres", "template1").connect(NoTls).await.is_err() {
        tries += 1;
        assert!(tries < 1000, "the place of a client that left is free");
    }
}

#[tokio::test]
async fn a_users_own_time_limits_and_pools_replace_the_general_ones() {
    role("in_a_hurry");
    let proxy = proxy(|config| {
        config.section(
            "[users.in_a_hurry]\nquery_timeout = 1\npool_mode = \"session\"\npool_size = 1\n\
             query_wait_timeout = 1\n",
        )
    });
    let mut hurried = config(proxy.port(), "postgres");
    hurried.user("in_a_hurry");
    let (client, waits) = (connect_with(hurried.clone()).await, connect_with(hurried.clone()).await);
    let patient = connect_with(config(proxy.port(), "postgres")).await;

    let (cancelled, slept) = tokio::join!(ask(&client, "SELECT pg_sleep(30)"), ask(&patient, "SELECT pg_sleep(3)"));
    assert_eq!(sqlstate(&cancelled.unwrap_err()), "57014");
    slept.expect("nobody else is in a hurry");

    let client = connect_with(hurried).await;
    assert_eq!(ask(&client, "SELECT 1").await.unwrap(), "1");
    let refused = waits.simple_query("SELECT 1").await.unwrap_err();
    assert_eq!(sqlstate(&refused), "53300", "its one server is the other's for as long as it stays");
    let pools = proxy.console().table("SHOW POOLS").unwrap();
    let mode = |user: &str| {
        let row = pools.rows.iter().find(|row| pools.value(row, "user") == Some(user)).unwrap();
        pools.value(row, "pool_mode").unwrap().to_owned()
    };
    assert_eq!((mode("in_a_hurry"), mode("postgres")), ("session".into(), "transaction".into()));
}

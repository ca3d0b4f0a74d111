//! Thousands of idle clients cost little and disturb nobody.

use std::{fs, thread};

use howdah::demo::Load;
use howdah_tests::{
    Proxy, fresh_database, load_time,
    raw::{Raw, tags},
    shared_cluster,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as the limit of open files permits.
const IDLE_MAX: usize = 5_000;

/// Files that are open for other reasons: servers, libraries, other tests.
const OTHER_FILES: usize = 600;

/// Room for accidents above the 4 KiB that are aimed at.
const PSS_PER_CLIENT_MAX: usize = 8 * 1024;

const OPENERS: usize = 8;

#[test]
fn thousands_of_idle_clients_cost_little_beside_busy_ones() {
    let idle = IDLE_MAX.min(open_files_max().saturating_sub(OTHER_FILES));
    let (cluster, database) = (shared_cluster(), fresh_database());
    let primary = cluster.primary();
    let load = |port: u16, arguments: &str| Load { database: database.clone(), ..Load::new(port, arguments) };
    load(primary.port, "-i -q").run(primary).unwrap();
    let proxy =
        Proxy::start(cluster, |config| config.set("pool_mode", "\"transaction\"").set("max_client_conn", "6000"));
    // Whatever is made once is there before we measure.
    drop(open(&proxy, &database, 64));
    let before = pss(&proxy);

    let clients = open(&proxy, &database, idle);
    let per_client = pss(&proxy).saturating_sub(before) / idle;
    println!("{per_client} bytes of PSS for each of {idle} idle clients");
    let arguments = format!("-S -c 64 -j 2 -M prepared -T {}", load_time(4, 30).as_secs());
    load(proxy.port(), &arguments).run(primary).unwrap().clean().unwrap();

    for mut client in clients {
        assert_eq!(tags(&client.query("SELECT 1")), "TDCZ");
    }
    assert!(per_client <= PSS_PER_CLIENT_MAX, "{per_client} bytes");
}

/// Clients that have asked something and now rest.
fn open(proxy: &Proxy, database: &str, count: usize) -> Vec<Raw> {
    let port = proxy.port();
    let some = |opener: usize| {
        let login = |_| {
            let mut client = Raw::login(port, database);
            assert_eq!(tags(&client.query("SELECT 1")), "TDCZ");
            client
        };
        (opener..count).step_by(OPENERS).map(login).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let openers: Vec<_> = (0..OPENERS).map(|opener| scope.spawn(move || some(opener))).collect();
        openers.into_iter().flat_map(|opener| opener.join().unwrap()).collect()
    })
}

/// Raises our limit, which the proxy inherits, to what is permitted.
fn open_files_max() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// The proxy's own share of memory in bytes.
fn pss(proxy: &Proxy) -> usize {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", proxy.pid())).unwrap();
    let kib = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    kib.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

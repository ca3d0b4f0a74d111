//! What `howdah import` writes takes the other program's place, in front of the same servers.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use howdah::demo::{
    Auth, ClusterOptions, Load, PgCluster, PgNode, ServerFolder, account::Account, load, node::PASSWORD, ports, wait,
};
use howdah_tests::{PATIENCE, Proxy, fresh_database, load_time, program, shared_cluster};

fn folder() -> ServerFolder {
    ServerFolder::make(None, Account::Own).unwrap()
}

/// Runs `howdah import` somewhere else than where the files are.
fn import(output: &Path, file: &Path) -> Output {
    let mut command = Command::new(program::howdah());
    command.arg("import").arg("--output").arg(output).arg(file).current_dir("/");
    command.output().unwrap()
}

/// Imports a file that lies in the folder to `howdah.toml` beside it; what was said about it.
#[track_caller]
fn imported(folder: &ServerFolder, file: &str) -> String {
    let output = import(&folder.path().join("howdah.toml"), &folder.path().join(file));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(output.stdout, b"");
    said
}

#[test]
fn clients_of_pgbouncer_go_on_with_their_passwords_and_databases() {
    let cluster = PgCluster::start(ClusterOptions { standbys: 0, auth: Auth::Scram, ..Default::default() }).unwrap();
    let (folder, port) = (folder(), ports::free_port().unwrap());
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let node = cluster.primary();
    write(
        "pgbouncer.ini",
        format!(
            "[databases]\nshop = host={host} port={port} dbname=postgres pool_size=4\n* = host={host} port={port}\n\
             [pgbouncer]\n%include pgbouncer.listen.ini\nauth_type = scram-sha-256\nauth_file = userlist.txt\n\
             admin_users = postgres\npool_mode = transaction\n",
            host = node.host,
            port = node.port
        ),
    );
    write("pgbouncer.listen.ini", format!("listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"));
    write("userlist.txt", format!("\"postgres\" \"{PASSWORD}\"\n"));

    let said = imported(&folder, "pgbouncer.ini");
    let shown = import(Path::new("-"), &folder.path().join("pgbouncer.ini"));
    let proxy = Proxy::start_on(&cluster, folder, proxy_file(&said), port);

    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("dbname = \"postgres\""), "{shown}");
    let shop = proxy.client().database("shop");
    assert_eq!(shop.ask("SELECT current_database(), current_user").unwrap(), "postgres|postgres");
    assert!(shop.user("postgres", "wrong").ask("SELECT 1").is_err());
    let sizes = proxy.client().database("pgbouncer").table("SHOW DATABASES").unwrap();
    let row = sizes.rows.iter().find(|row| sizes.value(row, "name") == Some("shop")).unwrap();
    assert_eq!(sizes.value(row, "pool_size"), Some("4"));
    load::fill(node, proxy.port(), 1).unwrap();
    let seconds = load_time(1, 10).as_secs();
    // No more clients than servers: pgbench waits for one client's Parse while another holds locks.
    for protocol in ["simple", "prepared"] {
        let load = Load { database: "shop".into(), ..Load::new(port, &format!("-c 4 -T {seconds} -M {protocol}")) };
        assert!(load.run(node).unwrap().clean().unwrap().transactions > 0, "{protocol}");
    }
}

/// The file that the summary says was written.
fn proxy_file(said: &str) -> std::path::PathBuf {
    let written = said.lines().find_map(|line| line.trim().strip_prefix("written")).unwrap_or_else(|| panic!("{said}"));
    written.trim().into()
}

#[test]
fn clients_of_pgpool_go_on_reading_from_standbys() {
    let (cluster, database) = (shared_cluster(), fresh_database());
    let (folder, port) = (folder(), ports::free_port().unwrap());
    let backends: String = cluster
        .nodes()
        .iter()
        .enumerate()
        .map(|(number, node)| {
            let weight = usize::from(number > 0);
            format!(
                "backend_hostname{number} = '{}'\nbackend_port{number} = {}\nbackend_weight{number} = {weight}\n",
                node.host, node.port
            )
        })
        .collect();
    let conf = format!(
        "{backends}listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
         num_init_children = 20\nload_balance_mode = on\nstatement_level_load_balance = on\n\
         sr_check_user = 'postgres'\nsr_check_password = '{PASSWORD}'\n"
    );
    fs::write(folder.path().join("pgpool.conf"), conf).unwrap();
    fs::write(folder.path().join("pool_passwd"), format!("postgres:TEXT{PASSWORD}\n")).unwrap();

    let said = imported(&folder, "pgpool.conf");
    let proxy = Proxy::start_on(cluster, folder, proxy_file(&said), port);

    let client = proxy.client().database(&database);
    assert!(client.user("postgres", "wrong").ask("SELECT 1").is_err());
    let load = |arguments: &str| {
        let load = Load { database: database.clone(), ..Load::new(port, arguments) };
        load.run(cluster.primary()).unwrap()
    };
    load("-i -q -s 1");
    for standby in cluster.standbys() {
        cluster.wait_until_replayed(standby, PATIENCE).unwrap();
    }
    let before: u64 = cluster.standbys().iter().map(|node| commits(node, &database)).sum();
    for kind in ["-S", ""] {
        let result = load(&format!("{kind} -c 4 -t 50"));
        assert_eq!(result.clean().unwrap().transactions, 200, "{kind}");
    }
    // PostgreSQL counts them when a server has been idle for a moment.
    let served = || cluster.standbys().iter().map(|node| commits(node, &database)).sum::<u64>() - before;
    let enough = wait::until(PATIENCE, || (served() > 100).then_some(()));
    enough.unwrap_or_else(|| panic!("the standbys have served {} reads", served()));
}

fn commits(node: &PgNode, database: &str) -> u64 {
    let sql = format!("SELECT xact_commit FROM pg_stat_database WHERE datname = '{database}'");
    node.psql(&sql).unwrap().parse().unwrap()
}

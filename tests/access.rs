//! Who comes in, by which proof and as whom; and what others have got wrong about it.

mod cves;
mod hba;
mod looked_up;
mod passed_through;
mod settings;

use std::{fs, sync::OnceLock};

use howdah::demo::{Auth, ClusterError, ClusterOptions, PgCluster, ProxyConfig};
use howdah_tests::Proxy;

/// One node that asks everybody for a password. It is there for all tests of this file, so each makes its own users.
fn cluster() -> &'static PgCluster {
    static CLUSTER: OnceLock<PgCluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let options = ClusterOptions { standbys: 0, auth: Auth::Scram, ..ClusterOptions::default() };
        let cluster = PgCluster::start(options).expect("a node for the tests");
        let node = cluster.primary();
        node.psql("CREATE ROLE asker SUPERUSER LOGIN PASSWORD 'ask'").unwrap();
        // `md5` takes users with either kind of secret.
        fs::write(node.data.join("pg_hba.conf"), "host all all 127.0.0.1/32 md5\n").unwrap();
        node.alter_system("log_connections", "on").unwrap();
        cluster
    })
}

fn sql(text: &str) -> String {
    cluster().primary().psql(text).unwrap()
}

/// What PostgreSQL stores for a user.
fn stored(user: &str) -> String {
    sql(&format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'"))
}

/// In front of that node; the superuser, who administers the console, and `asker` are in the `auth_file`.
fn proxy(auth_type: &str, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Proxy {
    Proxy::start(cluster(), |config| {
        let config = config.without_router().set("pool_mode", "\"transaction\"");
        change(config.set("auth_type", &format!("{auth_type:?}")).users(&FILED))
    })
}

const FILED: [(&str, &str); 2] = [("postgres", "howdah"), ("asker", "ask")];

/// What psql says who is not let in.
fn refusal(answer: Result<String, ClusterError>) -> String {
    answer.expect_err("nobody gets in like this").to_string()
}

//! Realistic files and what becomes of them, word for word.

use super::*;

/// Write the results anew when this is set: `HOWDAH_WRITE_SNAPSHOTS=1 cargo test … import`.
const WRITE: &str = "HOWDAH_WRITE_SNAPSHOTS";

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/import/tests/samples");

fn sample(name: &str) -> String {
    fs::read_to_string(Path::new(SAMPLES).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The result, the users that it needs and the summary.
#[track_caller]
fn assert_becomes(machine: &Machine, kind: Kind, file: &str, expected: &str) {
    let (converted, _) = machine.good(kind, file);
    let path = Path::new(SAMPLES).join(expected);
    let summary = converted.tally.summary(kind.name(), Path::new(file), &[], converted.holds_secrets);
    let summary: String = summary.lines().map(|line| format!("#| {line}\n")).collect();
    let result = format!("{}\n{summary}", converted.text);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &result).unwrap();
    }
    assert!(result == sample(expected), "{expected} is not what comes out now; {WRITE}=1 writes it anew:\n{result}");
}

#[test]
fn a_small_pgbouncer() {
    let machine = pgbouncer(&sample("small.ini"));
    assert_becomes(&machine, Kind::Pgbouncer, "/etc/pgbouncer/pgbouncer.ini", "small.ini.toml");
}

#[test]
fn a_large_pgbouncer() {
    let machine = pgbouncer(&sample("large.ini"))
        .file("/etc/pgbouncer/pool.ini", &sample("pool.ini"))
        .file("/etc/pgbouncer/databases.ini", &sample("databases.ini"));
    assert_becomes(&machine, Kind::Pgbouncer, "/etc/pgbouncer/pgbouncer.ini", "large.ini.toml");
}

#[test]
fn a_cluster_of_pgpool() {
    let machine = pgpool(&sample("cluster.conf"));
    assert_becomes(&machine, Kind::Pgpool, "/etc/pgpool2/pgpool.conf", "cluster.conf.toml");
}

#[test]
fn a_plain_pgpool() {
    let machine = pgpool(&sample("plain.conf"));
    assert_becomes(&machine, Kind::Pgpool, "/etc/pgpool2/pgpool.conf", "plain.conf.toml");
}

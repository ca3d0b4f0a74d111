//! What everybody is measured on: a cluster with pgbench's tables, a user with a password, a file to copy.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use howdah::demo::{ClusterOptions, PgCluster, PgNode, load};

/// pgbench's scale: a million accounts, which the servers hold in memory.
const SCALE: u32 = 10;

/// A role that must prove who it is, and its password.
pub const SCRAM_USER: &str = "bench";
/// The role's password.
pub const SCRAM_PASSWORD: &str = "bench-password";

/// The table that is copied: out of it, and into its empty twin.
pub const COPY_TABLE: &str = "bench_copy";
/// The twin.
pub const COPY_TWIN: &str = "bench_copy_in";

/// Rows of about 200 bytes that make 200 MB.
const COPY_ROWS: u32 = 1_000_000;

/// Until the standbys have all tables.
const REPLAY_PATIENCE: Duration = Duration::from_secs(300);

/// For comparing: nothing happens in the background that one target would have to pay for.
const SETTINGS: [(&str, &str); 5] = [
    ("shared_buffers", "256MB"),
    ("checkpoint_timeout", "1h"),
    ("max_wal_size", "8GB"),
    ("autovacuum", "off"),
    ("password_encryption", "scram-sha-256"),
];

/// The cluster and what is in it.
pub struct Bed {
    /// One primary and its standbys.
    pub cluster: PgCluster,
    /// The file to copy from, once it was asked for.
    pub copy_file: PathBuf,
}

impl Bed {
    /// Starts the cluster and fills it. The tables for COPY take a while and are made only when wanted.
    pub fn make(standbys: usize, copies: bool) -> Result<Self> {
        let extra_conf = SETTINGS.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let options = ClusterOptions { standbys, extra_conf, ..ClusterOptions::default() };
        let cluster = PgCluster::start_with_progress(options, |text| eprintln!("{text}"))?;
        let copy_file = cluster.folder().join("copy.txt");
        let bed = Self { cluster, copy_file };
        eprintln!("filling pgbench's tables, scale {SCALE}");
        let primary = bed.cluster.primary();
        load::fill(primary, primary.port, SCALE)?;
        bed.ask_for_passwords()?;
        if copies {
            bed.make_copy_tables()?;
        }
        for standby in bed.cluster.standbys() {
            bed.cluster.wait_until_replayed(standby, REPLAY_PATIENCE)?;
        }
        Ok(bed)
    }

    /// The node that the proxies which do not split reads stand in front of.
    pub fn primary(&self) -> &PgNode {
        self.cluster.primary()
    }

    /// Everybody comes in as they are, except for one role.
    fn ask_for_passwords(&self) -> Result<()> {
        self.primary().psql(&format!("CREATE ROLE {SCRAM_USER} SUPERUSER LOGIN PASSWORD '{SCRAM_PASSWORD}'"))?;
        for node in self.cluster.nodes() {
            let file = node.data.join("pg_hba.conf");
            let rules = fs::read_to_string(&file).context("could not read pg_hba.conf")?;
            fs::write(&file, format!("host all {SCRAM_USER} 127.0.0.1/32 scram-sha-256\n{rules}"))?;
            node.psql("SELECT pg_reload_conf()")?;
        }
        Ok(())
    }

    /// Unlogged, so that no standby and no log takes part in what COPY costs.
    fn make_copy_tables(&self) -> Result<()> {
        eprintln!("making a table of 200 MB");
        self.primary().psql(&format!(
            "CREATE UNLOGGED TABLE {COPY_TABLE} AS
                 SELECT i AS id, repeat(md5(i::text), 6) AS text FROM generate_series(1, {COPY_ROWS}) i;
             CREATE UNLOGGED TABLE {COPY_TWIN} (LIKE {COPY_TABLE});
             VACUUM ANALYZE {COPY_TABLE}"
        ))?;
        copy_out(self.primary(), self.primary().port, &self.copy_file)
    }
}

/// Copies the table into a file.
pub fn copy_out(node: &PgNode, port: u16, file: &Path) -> Result<()> {
    let out = File::create(file).context("could not make the file to copy into")?;
    let mut psql = node.client().port(port).command();
    let command = format!("COPY {COPY_TABLE} TO STDOUT");
    let status = psql.args(["--quiet", "--command", &command]).stdin(Stdio::null()).stdout(out).status()?;
    ensure!(status.success(), "COPY TO STDOUT failed ({status})");
    Ok(())
}

/// Copies the file into the empty twin.
pub fn copy_in(node: &PgNode, port: u16, file: &Path) -> Result<()> {
    let from = File::open(file).context("could not open the file to copy from")?;
    let mut psql = node.client().port(port).command();
    let command = format!("COPY {COPY_TWIN} FROM STDIN");
    let status = psql.args(["--quiet", "--command", &command]).stdin(from).status()?;
    ensure!(status.success(), "COPY FROM STDIN failed ({status})");
    Ok(())
}

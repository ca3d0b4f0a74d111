//! The peers: how each is found, and a configuration that makes it do the same work.

use std::{
    env, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result};
use howdah::demo::{account::Account, ports};

use crate::{
    bed::{Bed, SCRAM_PASSWORD, SCRAM_USER},
    target::{CLIENTS_MAX, POOL_SIZE},
};

/// Processes of pgpool: one per client.
const PGPOOL_CHILDREN: u32 = 110;

/// Folders that an ordinary user's search path leaves out.
const DAEMON_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Whose configuration file it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This proxy, another build of it.
    Howdah,
    /// PgBouncer: transaction pooling to the primary.
    PgBouncer,
    /// pgpool-II: a process per client, reads balanced over the cluster.
    Pgpool,
    /// HAProxy: bytes to the primary.
    HaProxy,
}

/// A peer's program.
#[derive(Clone, Debug)]
pub struct PeerProgram {
    /// As in the report; begins with its kind.
    pub name: String,
    /// Whose configuration it reads.
    pub kind: Kind,
    /// The program.
    pub program: PathBuf,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] = [
        ("howdah", Self::Howdah),
        ("pgbouncer", Self::PgBouncer),
        ("pgpool", Self::Pgpool),
        ("haproxy", Self::HaProxy),
    ];

    /// Whether clients share servers.
    pub fn pools(self) -> bool {
        matches!(self, Self::Howdah | Self::PgBouncer)
    }
}

impl FromStr for PeerProgram {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, program) = text.split_once('=').ok_or("expected NAME=BINARY")?;
        let kind = Kind::ALL.iter().find(|(start, _)| name.starts_with(start));
        let (_, kind) = kind.ok_or("the name has to begin with howdah, pgbouncer, pgpool or haproxy")?;
        let program = fs::canonicalize(program).map_err(|error| format!("{program}: {error}"))?;
        Ok(Self { name: name.into(), kind: *kind, program })
    }
}

impl PeerProgram {
    /// Every peer on the search path.
    pub fn installed() -> Vec<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = env::split_paths(&path).chain(DAEMON_FOLDERS.map(PathBuf::from)).collect();
        let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        let peers = Kind::ALL.iter().filter(|(_, kind)| *kind != Kind::Howdah);
        peers
            .filter_map(|(name, kind)| Some(Self { name: (*name).into(), kind: *kind, program: find(name)? }))
            .collect()
    }

    /// Writes its files into the folder; the arguments that make it run in the foreground on them.
    pub fn configure(&self, bed: &Bed, folder: &Path, port: u16, scram: bool) -> Result<Vec<String>> {
        let files = Files { folder };
        match self.kind {
            Kind::Howdah => unreachable!("it is configured as ourselves"),
            Kind::PgBouncer => files.pgbouncer(bed, port, scram),
            Kind::Pgpool => files.pgpool(bed, port, scram),
            Kind::HaProxy => files.haproxy(bed, port),
        }
    }
}

struct Files<'a> {
    folder: &'a Path,
}

impl Files<'_> {
    fn pgbouncer(&self, bed: &Bed, port: u16, scram: bool) -> Result<Vec<String>> {
        let users =
            self.write("userlist.txt", &format!("\"postgres\" \"\"\n\"{SCRAM_USER}\" \"{SCRAM_PASSWORD}\"\n"))?;
        let auth = if scram { "scram-sha-256" } else { "trust" };
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = {auth}\nauth_file = {users}\npool_mode = transaction\n\
             default_pool_size = {POOL_SIZE}\nmax_client_conn = {CLIENTS_MAX}\nlog_connections = 0\nlog_disconnections = 0\n",
            bed.primary().port
        );
        Ok(vec!["-q".into(), self.write("pgbouncer.ini", &text)?])
    }

    fn pgpool(&self, bed: &Bed, port: u16, scram: bool) -> Result<Vec<String>> {
        let folder = self.folder.display();
        let pcp = ports::free_port().context("no port is free")?;
        let hba = if scram { "on" } else { "off" };
        let passwords = self.write("pool_passwd", &format!("{SCRAM_USER}:TEXT{SCRAM_PASSWORD}\n"))?;
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nsocket_dir = '{folder}'\npcp_port = {pcp}\n\
             pcp_socket_dir = '{folder}'\npid_file_name = '{folder}/pgpool.pid'\nlogdir = '{folder}'\n\
             backend_clustering_mode = 'streaming_replication'\nnum_init_children = {PGPOOL_CHILDREN}\nmax_pool = 1\n\
             load_balance_mode = on\nsr_check_user = 'postgres'\nsr_check_database = 'postgres'\n\
             health_check_period = 0\nenable_pool_hba = {hba}\npool_passwd = '{passwords}'\n"
        );
        for (number, node) in bed.cluster.nodes().iter().enumerate() {
            text += &format!(
                "backend_hostname{number} = '127.0.0.1'\nbackend_port{number} = {}\nbackend_weight{number} = 1\n\
                 backend_flag{number} = 'DISALLOW_TO_FAILOVER'\n",
                node.port
            );
        }
        let rules = format!("host all {SCRAM_USER} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n");
        let files = [
            ("-f", self.write("pgpool.conf", &text)?),
            ("-F", self.write("pcp.conf", "")?),
            ("-a", self.write("pool_hba.conf", &rules)?),
        ];
        let named = files.into_iter().flat_map(|(flag, file)| [flag.to_owned(), file]);
        Ok(["-n".to_owned()].into_iter().chain(named).collect())
    }

    fn haproxy(&self, bed: &Bed, port: u16) -> Result<Vec<String>> {
        let text = format!(
            "global\n  maxconn {CLIENTS_MAX}\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n\
             \x20 timeout client 1h\n  timeout server 1h\nfrontend clients\n  bind 127.0.0.1:{port}\n\
             \x20 default_backend primary\nbackend primary\n  server n0 127.0.0.1:{}\n",
            bed.primary().port
        );
        Ok(vec!["-db".into(), "-f".into(), self.write("haproxy.cfg", &text)?])
    }

    /// Readable by whoever the peer runs as.
    fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        Account::choose()?.own(&path)?;
        Ok(path.display().to_string())
    }
}

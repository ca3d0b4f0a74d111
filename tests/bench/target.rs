//! Who is measured: the nodes themselves, Howdah, and every peer that is installed.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use howdah::demo::{ProxyConfig, ProxyProcess, ServerFolder, account::Account, ports, wait};
use howdah_tests::program;

use crate::{
    bed::{Bed, SCRAM_PASSWORD, SCRAM_USER},
    peers::{Kind, PeerProgram},
};

/// For a proxy's start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clients that a proxy must let in at the same time: the crowd and those beside it.
pub const CLIENTS_MAX: u32 = 6_000;

/// Servers per pool, for everybody who pools.
pub const POOL_SIZE: u32 = 20;

/// Where clients come in, and whose CPU time it costs.
pub struct Door {
    /// The port.
    pub port: u16,
    /// The first process of the proxy; `None` where there is no proxy.
    pub pid: Option<u32>,
    /// Whether passwords are asked for.
    pub scram: bool,
}

/// Somebody to measure.
pub struct Target {
    /// As in the report.
    pub name: String,
    /// The door without passwords.
    pub trust: Door,
    /// The door with passwords, where there is one.
    pub scram: Option<Door>,
    /// Whether thousands of clients may come without a server for each.
    pub holds_crowds: bool,
    _running: Vec<Running>,
}

/// Ends with the target. Processes go before the folder that holds their files.
enum Running {
    Howdah { _process: ProxyProcess, _folder: ServerFolder },
    Peer { child: Child, _folder: ServerFolder },
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Peer { child, .. } = self {
            howdah::demo::process::signal(howdah::demo::process::Signal::Terminate, &[child.id()]);
            if wait::until(PATIENCE, || child.try_wait().ok().flatten()).is_none() {
                // Both can fail only because it has just ended.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// Starts everybody. A peer of our own search that does not start is left out with a word; one that was asked for is an error.
pub fn start(bed: &Bed, ours: Option<&Path>, asked_for: &[PeerProgram], scram: bool) -> Result<Vec<Target>> {
    let direct = |scram| Door { port: bed.primary().port, pid: None, scram };
    let mut targets = vec![Target {
        name: "direct".into(),
        trust: direct(false),
        scram: scram.then(|| direct(true)),
        holds_crowds: false,
        _running: Vec::new(),
    }];
    let ours = ours.map_or_else(program::howdah, Path::to_owned);
    targets.push(howdah(bed, "howdah", &ours, Policy::ReadWriteSplit, scram)?);
    targets.push(howdah(bed, "howdah:pooling", &ours, Policy::None, scram)?);
    for installed in PeerProgram::installed() {
        match peer(bed, &installed, scram) {
            Ok(target) => targets.push(target),
            Err(error) => eprintln!("{} is left out: {error:#}", installed.name),
        }
    }
    for asked in asked_for {
        targets.push(match asked.kind {
            Kind::Howdah => howdah(bed, &asked.name, &asked.program, Policy::ReadWriteSplit, scram)?,
            _ => peer(bed, asked, scram).with_context(|| asked.name.clone())?,
        });
    }
    Ok(targets)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    ReadWriteSplit,
    None,
}

fn howdah(bed: &Bed, name: &str, program: &Path, policy: Policy, scram: bool) -> Result<Target> {
    let mut running = Vec::new();
    let mut open = |scram: bool| -> Result<Door> {
        let port = ports::free_port().context("no port is free")?;
        let mut config = ProxyConfig::for_cluster(&bed.cluster, port)
            .set("workers", "1")
            .set("pool_mode", "\"transaction\"")
            .set("default_pool_size", &POOL_SIZE.to_string())
            .set("max_client_conn", &CLIENTS_MAX.to_string())
            // As the peers have it.
            .set("log_connections", "false")
            .set("log_disconnections", "false");
        if policy == Policy::None {
            config = config.without_router();
        }
        if scram {
            config = config.set("auth_type", "\"scram-sha-256\"").users(&[(SCRAM_USER, SCRAM_PASSWORD)]);
        }
        let folder = ServerFolder::make(None, Account::Own)?;
        let process = ProxyProcess::start(program, folder.path(), &config)?;
        let door = Door { port, pid: Some(process.pid()), scram };
        running.push(Running::Howdah { _process: process, _folder: folder });
        Ok(door)
    };
    let (trust, scram) = (open(false)?, if scram { Some(open(true)?) } else { None });
    Ok(Target { name: name.into(), trust, scram, holds_crowds: true, _running: running })
}

fn peer(bed: &Bed, peer: &PeerProgram, scram: bool) -> Result<Target> {
    let mut running = Vec::new();
    let mut open = |scram: bool| -> Result<Door> {
        let account = Account::choose()?;
        let folder = ServerFolder::make(None, account)?;
        let port = ports::free_port().context("no port is free")?;
        let arguments = peer.configure(bed, folder.path(), port, scram)?;
        let mut child = spawn(&peer.program, &arguments, folder.path(), account)?;
        wait_until_open(&mut child, port, folder.path())?;
        let door = Door { port, pid: Some(child.id()), scram };
        running.push(Running::Peer { child, _folder: folder });
        Ok(door)
    };
    let trust = open(false)?;
    let scram = if scram { Some(open(true)?) } else { None };
    Ok(Target { name: peer.name.clone(), trust, scram, holds_crowds: peer.kind.pools(), _running: running })
}

fn spawn(program: &Path, arguments: &[String], folder: &Path, account: Account) -> Result<Child> {
    let log = std::fs::File::create(log_file(folder))?;
    let mut command = Command::new(program);
    account.apply(&mut command).args(arguments).current_dir(folder).stdin(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.stdout(log.try_clone()?).stderr(log).spawn();
    let child = child.with_context(|| format!("could not run {}", program.display()))?;
    std::fs::write(folder.join("proxy.pid"), child.id().to_string())?;
    Ok(child)
}

fn wait_until_open(child: &mut Child, port: u16, folder: &Path) -> Result<()> {
    let ended_or_open = || match child.try_wait() {
        Ok(None) => TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true),
        _ => Some(false),
    };
    if wait::until(PATIENCE, ended_or_open) != Some(true) {
        let log = std::fs::read_to_string(log_file(folder)).unwrap_or_default();
        bail!("it did not start: {}", log.lines().last().unwrap_or("without a word"));
    }
    Ok(())
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("peer.log")
}

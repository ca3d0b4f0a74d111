//! A cluster of our own to show, test and measure the proxy with, and the demo that shows it.
//!
//! [`run`] is the demo's story. [`cluster`] makes the cluster, [`proxy`] runs the proxy as a process,
//! [`load`] and [`psql`] are its clients, [`tour`] is the scripted part and [`picture`] the live one.

pub mod account;
pub mod binaries;
pub mod cluster;
pub mod config;
pub mod error;
pub mod folder;
pub mod interrupt;
pub mod load;
pub mod node;
pub mod pgbench;
pub mod picture;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod psql;
pub mod tour;
pub mod wait;

use std::{
    io::{self, Write as _},
    time::Duration,
};

pub use cluster::{Auth, ClusterOptions, PgCluster, Synchronous};
pub use config::ProxyConfig;
pub use error::ClusterError;
pub use folder::ServerFolder;
pub use load::{Load, LoadResult, RunningLoad};
pub use node::PgNode;
pub use proxy::ProxyProcess;
pub use psql::Psql;

use interrupt::Interrupt;
use tour::{Tour, TourError};

/// A gentle mix that makes the live picture live: more reads than writes, slow enough for a laptop.
const BACKGROUND_LOAD: &str = "-c 4 -R 60 -T 2000000 -M prepared -b select-only@8 -b tpcb-like@2";

/// What `howdah demo` shows.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoOptions {
    /// Streaming standbys
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub standbys: usize,
    /// The proxy's port; another one when it is taken
    #[arg(long, default_value_t = 6432)]
    pub port: u16,
    /// A scripted tour that checks what it shows and ends
    #[arg(long)]
    pub tour: bool,
    /// End after so many seconds
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// No clients of our own
    #[arg(long)]
    pub no_load: bool,
    /// Only the cluster: prints its nodes as JSON, ends when standard input does
    #[arg(long)]
    pub cluster_only: bool,
    /// Nodes ask for passwords (SCRAM); the superuser's is `howdah`
    #[arg(long)]
    pub scram: bool,
    /// A line for every node's postgresql.conf
    #[arg(long = "conf", value_name = "NAME=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
}

/// The demo ended badly.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The cluster or the proxy.
    #[error("the demo could not go on")]
    Cluster(#[from] ClusterError),
    /// The tour.
    #[error("the tour ended early")]
    Tour(#[from] TourError),
    /// Ctrl-C could not be prepared for, or standard output is gone.
    #[error("the demo could not start")]
    Io(#[from] io::Error),
    /// Somebody wanted us to end before all was ready.
    #[error("interrupted")]
    Interrupted,
}

/// Shows the proxy at work in front of a cluster of its own, and leaves nothing behind.
pub fn run(options: DemoOptions) -> Result<(), DemoError> {
    let interrupt = Interrupt::listen()?;
    let cluster = start_cluster(&options).map_err(|error| unless_interrupted(error.into(), &interrupt))?;
    if options.cluster_only {
        print_nodes(&cluster)?;
        interrupt.heed_end_of_input()?;
        interrupt.wait();
        return Ok(());
    }
    let port =
        if ports::is_free(options.port) { options.port } else { ports::free_port().ok_or(ClusterError::NoPort)? };
    let config = ProxyConfig::for_cluster(&cluster, port).set("pool_mode", "\"transaction\"");
    tell(&format!("starting howdah on port {port}"));
    let proxy = ProxyProcess::start(&std::env::current_exe()?, cluster.folder(), &config)?;
    if interrupt.is_asked() {
        return Err(DemoError::Interrupted);
    }
    if options.tour {
        println!("{}", how_to_connect(&cluster, &proxy));
        return Ok(Tour::new(&cluster, &proxy, config).run()?);
    }
    let load = if options.no_load { None } else { Some(start_load(&cluster, port)?) };
    let console = cluster.primary().client().port(port).database("howdah");
    let limit = options.seconds.map(Duration::from_secs);
    picture::show(&console, &how_to_connect(&cluster, &proxy), &interrupt, limit);
    if let Some(load) = load {
        load.cancel();
    }
    println!("\nending: the proxy, the cluster and its folder go");
    Ok(())
}

fn start_cluster(options: &DemoOptions) -> Result<PgCluster, ClusterError> {
    let cluster = ClusterOptions {
        standbys: options.standbys,
        auth: if options.scram { Auth::Scram } else { Auth::Trust },
        extra_conf: options.settings.clone(),
        ..ClusterOptions::default()
    };
    PgCluster::start_with_progress(cluster, tell)
}

fn start_load(cluster: &PgCluster, port: u16) -> Result<RunningLoad, ClusterError> {
    tell("making pgbench's tables and a gentle load");
    load::fill(cluster.primary(), cluster.primary().port, 1)?;
    Load::new(port, BACKGROUND_LOAD).start(cluster.primary())
}

/// Progress goes to standard error, because standard output may be read by a program.
fn tell(text: &str) {
    eprintln!("  {text}");
}

/// Ctrl-C reaches the programs that we run as well; what they say about it is not the reason.
fn unless_interrupted(error: DemoError, interrupt: &Interrupt) -> DemoError {
    if interrupt.is_asked() { DemoError::Interrupted } else { error }
}

fn how_to_connect(cluster: &PgCluster, proxy: &ProxyProcess) -> String {
    let (port, file) = (proxy.port(), proxy.config_file().display());
    let nodes: Vec<String> = cluster.nodes().iter().map(|node| format!("{} :{}", node.name, node.port)).collect();
    format!(
        "Howdah in front of {nodes}\n\n  \
         connect   psql -h 127.0.0.1 -p {port} -U postgres postgres\n  \
         console   psql -h 127.0.0.1 -p {port} -U postgres howdah\n  \
         config    {file}   (edit it, then RELOAD on the console)\n  \
         end       Ctrl-C",
        nodes = nodes.join(", ")
    )
}

fn print_nodes(cluster: &PgCluster) -> io::Result<()> {
    let nodes: Vec<serde_json::Value> = cluster
        .nodes()
        .iter()
        .map(|node| serde_json::json!({ "name": node.name, "host": node.host, "port": node.port }))
        .collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::json!({ "nodes": nodes, "folder": cluster.folder() }))?;
    out.flush()
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("expected NAME=VALUE, not {text:?}"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

//! The `howdah` command.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use howdah::{
    agent, app, ask, config, ctl, demo,
    doctor::{self, DoctorError, grants::Level},
    import,
};

/// A PostgreSQL proxy whose decisions are WebAssembly components.
///
/// Without a command it runs the proxy. Signals: SIGHUP reloads, SIGTERM waits for clients,
/// SIGINT waits for transactions, the second of either and SIGQUIT end at once, SIGUSR1 pauses,
/// SIGUSR2 resumes.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sources: SourceArgs,
}

/// Where the configuration comes from.
#[derive(Args)]
struct SourceArgs {
    /// The configuration file (TOML)
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, over the file and the environment; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = config::Sources::flag)]
    flags: Vec<(String, String)>,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration: exit 0, or 1 naming file, line and key
    Check(SourceArgs),
    /// Print every key with its meaning and default, as TOML
    Reference,
    /// Write a configuration from PgBouncer's or pgpool-II's
    Import(import::ImportOptions),
    /// Ask the running proxy where a statement would go, and why
    Route {
        #[command(flatten)]
        sources: SourceArgs,
        /// The statement
        sql: String,
    },
    /// Stand on a node's machine and stop, start, rewind or rebuild the node when a proxy asks for it
    Agent {
        /// The agent's configuration file (TOML)
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
    },
    /// Look after the rights and settings that a managed cluster needs
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Command the clusters of the running proxy: exit 0 when it is done, 1 when it is not
    Ctl {
        #[command(flatten)]
        sources: SourceArgs,
        #[command(flatten)]
        options: ctl::CtlOptions,
    },
    /// Start a real cluster in a temporary folder with the proxy in front of it
    Demo(demo::DemoOptions),
}

#[derive(Subcommand)]
enum ClusterCommand {
    /// Print the statements that give the control user the least that it needs
    GrantSql {
        #[command(flatten)]
        sources: SourceArgs,
        /// The cluster; all of them when it is not said
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// What it is to be able to do
        #[arg(long, value_enum, default_value = "failover")]
        level: Level,
    },
    /// Say what is missing on each node for each feature: exit 0, or 1 when something is
    Doctor {
        #[command(flatten)]
        sources: SourceArgs,
        /// The cluster; all of them when it is not said
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

impl SourceArgs {
    fn sources(self) -> config::Sources {
        config::Sources::new(self.config, self.flags)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => run(cli.sources),
        Some(Command::Check(sources)) => check(sources),
        Some(Command::Reference) => {
            print!("{}", config::reference());
            Ok(())
        }
        Some(Command::Import(options)) => import(&options),
        Some(Command::Route { sources, sql }) => route(sources, &sql),
        Some(Command::Ctl { sources, options }) => control(sources, &options),
        Some(Command::Agent { config }) => agent::run(&config).map_err(anyhow::Error::from),
        Some(Command::Cluster(ClusterCommand::GrantSql { sources, cluster, level })) => {
            grant_sql(sources, cluster.as_deref(), level)
        }
        Some(Command::Cluster(ClusterCommand::Doctor { sources, cluster, json })) => {
            match examine(sources, cluster.as_deref(), json) {
                Ok(true) => Ok(()),
                Ok(false) => return ExitCode::FAILURE,
                Err(error) => Err(error),
            }
        }
        Some(Command::Demo(options)) => demo::run(options).context("demo"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("howdah: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(sources: SourceArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        sources.config.is_some() || !sources.flags.is_empty(),
        "no configuration; start with `howdah --config FILE` or look around with `howdah demo`"
    );
    Ok(app::run(sources.sources())?)
}

fn check(sources: SourceArgs) -> anyhow::Result<()> {
    let sources = sources.sources();
    app::check(&sources)?;
    println!("the configuration is good");
    Ok(())
}

/// What was written stays when the check refuses it: most often a file is not on this machine.
fn import(options: &import::ImportOptions) -> anyhow::Result<()> {
    let imported = import::run(options)?;
    eprint!("{}", imported.summary);
    let Some(file) = imported.file.clone() else {
        print!("{}", imported.text);
        imported.check().map_err(|errors| anyhow::anyhow!("it does not pass `howdah check` here:\n{errors}"))?;
        return Ok(());
    };
    let sources = config::Sources { file: Some(file), ..config::Sources::default() };
    app::check(&sources).context("it does not pass `howdah check` here")?;
    eprintln!("  checked  the configuration is good");
    Ok(())
}

fn control(sources: SourceArgs, options: &ctl::CtlOptions) -> anyhow::Result<()> {
    let config = config::load(&sources.sources()).map_err(|errors| anyhow::anyhow!("{errors}"))?;
    print!("{}", ctl::run(&config, options)?);
    Ok(())
}

fn route(sources: SourceArgs, sql: &str) -> anyhow::Result<()> {
    let config = load(sources)?;
    print!("{}", ask::explain_route(&config, sql)?);
    Ok(())
}

fn load(sources: SourceArgs) -> anyhow::Result<config::Config> {
    config::load(&sources.sources()).map_err(|errors| anyhow::anyhow!("{errors}"))
}

fn grant_sql(sources: SourceArgs, cluster: Option<&str>, level: Level) -> anyhow::Result<()> {
    let config = load(sources)?;
    if let Some(name) = cluster {
        anyhow::ensure!(config.clusters.contains_key(name), DoctorError::NoCluster(name.to_owned()));
    }
    for cluster in config.clusters.values().filter(|it| cluster.is_none_or(|name| *it.name == *name)) {
        print!("{}", doctor::grants::grant_sql(cluster, level));
    }
    Ok(())
}

/// Whether all is well.
fn examine(sources: SourceArgs, cluster: Option<&str>, json: bool) -> anyhow::Result<bool> {
    let found = doctor::examine(&load(sources)?, cluster)?;
    match json {
        true => println!("{}", serde_json::json!({ "ok": doctor::is_healthy(&found), "clusters": found })),
        false => print!("{}", doctor::in_text(&found)),
    }
    Ok(doctor::is_healthy(&found))
}

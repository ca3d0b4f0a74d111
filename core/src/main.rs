//! The `howdah` command.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use howdah::{agent, app, ask, config, demo, import};

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
    /// Start a real cluster in a temporary folder with the proxy in front of it
    Demo(demo::DemoOptions),
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
        Some(Command::Agent { config }) => agent::run(&config).map_err(anyhow::Error::from),
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

fn route(sources: SourceArgs, sql: &str) -> anyhow::Result<()> {
    let config = config::load(&sources.sources()).map_err(|errors| anyhow::anyhow!("{errors}"))?;
    print!("{}", ask::explain_route(&config, sql)?);
    Ok(())
}

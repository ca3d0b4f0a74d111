//! `howdah ctl`: commands on clusters, from a shell.
//!
//! It asks the console of the running proxy, as its first administrator, and says what the console says: as
//! a table, or as JSON for programs. What takes long shows its steps meanwhile.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tokio::{runtime::Builder, time::sleep};

use crate::{
    ask::{AskError, console},
    config::Config,
    server::simple::{ControlSession, Described, QueryError},
};

/// How often the steps of a long command are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A command on a cluster of the running proxy.
#[derive(Args, Debug)]
pub struct CtlOptions {
    /// What to do
    #[command(subcommand)]
    pub command: CtlCommand,
    /// In which cluster; needed when there are several
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Ask no questions
    #[arg(long, short, global = true)]
    pub yes: bool,
}

/// What can be done.
#[derive(Subcommand, Debug)]
pub enum CtlCommand {
    /// Show the nodes: roles, health, replication, state of the cluster
    Cluster,
    /// Show the nodes as pgpool-II's SHOW POOL_NODES does
    PoolNodes,
    /// Show operations, the oldest first
    Operations,
    /// Show events, the oldest first
    Events,
    /// Exchange the primary for a standby, as planned
    Switchover {
        /// The node to promote; the best by default
        #[arg(long)]
        to: Option<String>,
    },
    /// Promote a standby now, whatever the primary does
    Failover {
        /// The node to promote; the best by default
        #[arg(long)]
        to: Option<String>,
        /// Although acknowledged commits may be lost
        #[arg(long)]
        allow_data_loss: bool,
    },
    /// Give a node no new work
    Detach {
        /// The node
        node: String,
    },
    /// Give a node work again
    Attach {
        /// The node
        node: String,
    },
    /// Have a node follow the primary again: as it is, by pg_rewind, or by pg_basebackup
    Rejoin {
        /// The node
        node: String,
    },
    /// Build a node anew as a copy of the primary
    Reinit {
        /// The node
        node: String,
    },
    /// Decide nothing automatically until `resume`
    Pause,
    /// Decide automatically again
    Resume,
}

impl CtlCommand {
    /// In the console's language.
    fn sql(&self, cluster: Option<&str>) -> String {
        let within = cluster.map(|cluster| format!(" IN {}", quoted(cluster))).unwrap_or_default();
        let to = |to: &Option<String>| to.as_ref().map(|to| format!(" TO {}", quoted(to))).unwrap_or_default();
        match self {
            Self::Cluster => "SHOW CLUSTER".to_owned(),
            Self::PoolNodes => "SHOW POOL_NODES".to_owned(),
            Self::Operations => "SHOW OPERATIONS".to_owned(),
            Self::Events => "SHOW EVENTS".to_owned(),
            Self::Switchover { to: node } => format!("SWITCHOVER{}{within}", to(node)),
            Self::Failover { to: node, allow_data_loss } => {
                let loss = if *allow_data_loss { " ALLOW DATA LOSS" } else { "" };
                format!("FAILOVER{}{loss}{within}", to(node))
            }
            Self::Detach { node } => format!("DETACH NODE {}", quoted(node)),
            Self::Attach { node } => format!("ATTACH NODE {}", quoted(node)),
            Self::Rejoin { node } => format!("REJOIN {}{within}", quoted(node)),
            Self::Reinit { node } => format!("REINIT {}{within}", quoted(node)),
            Self::Pause => format!("PAUSE FAILOVER{within}"),
            Self::Resume => format!("RESUME FAILOVER{within}"),
        }
    }

    /// What the operator should know before it is done; `None` when nothing can be lost by it.
    fn warning(&self) -> Option<String> {
        match self {
            Self::Failover { allow_data_loss: true, .. } => {
                Some("a standby is promoted although it may lack acknowledged commits, which are lost then".to_owned())
            }
            Self::Failover { .. } => Some("a standby is promoted now; the old primary is left behind".to_owned()),
            Self::Switchover { .. } => Some("the primary is stopped and a standby takes over".to_owned()),
            Self::Reinit { node } => Some(format!("all data of {node} are replaced by a copy of the primary")),
            Self::Rejoin { node } => Some(format!("{node} is stopped and may be rewound")),
            _ => None,
        }
    }

    fn is_long(&self) -> bool {
        self.warning().is_some()
    }
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// The console could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The operator said no.
    #[error("nothing was done")]
    Declined,
    /// There is nobody to ask.
    #[error("say --yes: there is no terminal to ask at")]
    NobodyToAsk,
    /// The terminal.
    #[error("the terminal could not be used")]
    Terminal(#[from] std::io::Error),
}

impl From<QueryError> for CtlError {
    fn from(error: QueryError) -> Self {
        Self::Ask(error.into())
    }
}

/// Obeys, and answers what is to be printed.
pub fn run(config: &Config, options: &CtlOptions) -> Result<String, CtlError> {
    if let Some(warning) = options.command.warning()
        && !options.yes
    {
        confirm(&warning)?;
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let target = console(config)?;
        let connect = || async { ControlSession::connect(&target).await.map_err(AskError::from) };
        let mut session = connect().await?;
        let sql = options.command.sql(options.cluster.as_deref());
        if !options.command.is_long() {
            return Ok(told(&session.describe(&sql).await?, options));
        }
        let mut watch = connect().await?;
        let answer = {
            let work = session.describe(&sql);
            tokio::pin!(work);
            let mut said = String::new();
            loop {
                tokio::select! {
                    answer = &mut work => break answer?,
                    () = sleep(LOOK_EVERY) => say_step(&mut watch, &mut said).await,
                }
            }
        };
        Ok(told(&answer, options))
    })
}

/// Says on standard error where the operation that is under way is, if that is news.
async fn say_step(watch: &mut ControlSession, said: &mut String) {
    let Ok(rows) = watch.query("SHOW OPERATIONS").await else { return };
    let Some(row) = rows.iter().rev().find(|row| row.text(7).is_none()) else { return };
    let column = |column| row.text(column).unwrap_or_default();
    let step = format!("{} {}: {}", column(2), column(1), column(5));
    if step != *said {
        eprintln!("  {step}");
        *said = step;
    }
}

fn confirm(warning: &str) -> Result<(), CtlError> {
    if !std::io::stdin().is_terminal() {
        return Err(CtlError::NobodyToAsk);
    }
    let mut terminal = std::io::stderr();
    write!(terminal, "{warning}. Go on? [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(CtlError::Declined) }
}

/// An answer as text.
fn told(answer: &Described, options: &CtlOptions) -> String {
    if options.json {
        return json_text(answer);
    }
    let mut text = String::new();
    for notice in &answer.notices {
        let _ = writeln!(text, "{notice}");
    }
    if answer.columns.is_empty() {
        return if text.is_empty() { "done\n".to_owned() } else { text };
    }
    text + &table(answer)
}

fn json_text(answer: &Described) -> String {
    let row = |row: &crate::server::simple::Row| {
        let values = answer.columns.iter().enumerate().map(|(place, column)| {
            (column.clone(), row.text(place).map_or(Value::Null, |value| Value::String(value.to_owned())))
        });
        Value::Object(values.collect::<Map<_, _>>())
    };
    let rows: Vec<_> = answer.rows.iter().map(row).collect();
    let all = if answer.columns.is_empty() { json!({ "done": answer.notices }) } else { Value::Array(rows) };
    format!("{all:#}\n")
}

/// Columns as wide as their widest value; those without any value are left out.
fn table(answer: &Described) -> String {
    let value = |row: &crate::server::simple::Row, place| row.text(place).unwrap_or_default().to_owned();
    let shown: Vec<(usize, usize)> = (0..answer.columns.len())
        .filter(|place| answer.rows.iter().any(|row| row.text(*place).is_some_and(|text| !text.is_empty())))
        .map(|place| {
            let widest = answer.rows.iter().map(|row| value(row, place).chars().count()).max().unwrap_or(0);
            (place, widest.max(answer.columns[place].chars().count()))
        })
        .collect();
    let line = |text: &dyn Fn(usize) -> String| {
        let cells = shown.iter().map(|(place, width)| format!("{:<width$}", text(*place)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&|place| answer.columns[place].clone());
    for row in &answer.rows {
        text += &line(&|place| value(row, place));
    }
    text
}

/// A name of the console's language.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::simple::Row;

    #[test]
    fn commands_are_said_in_the_consoles_language() {
        let switchover = CtlCommand::Switchover { to: Some("n1".into()) };
        assert_eq!(switchover.sql(Some("main")), "SWITCHOVER TO \"n1\" IN \"main\"");
        let failover = CtlCommand::Failover { to: None, allow_data_loss: true };
        assert_eq!(failover.sql(None), "FAILOVER ALLOW DATA LOSS");
        assert_eq!(CtlCommand::Rejoin { node: "a\"b".into() }.sql(None), "REJOIN \"a\"\"b\"");
    }

    #[test]
    fn an_answer_is_a_table_or_json() {
        let answer = Described {
            columns: vec!["node".into(), "why".into(), "role".into()],
            rows: vec![Row(vec![Some("n0".into()), None, Some("primary".into())])],
            notices: Vec::new(),
        };
        assert_eq!(table(&answer), "node  role\nn0    primary\n");
        let read: Value = serde_json::from_str(&json_text(&answer)).unwrap();
        assert_eq!(read, json!([{ "node": "n0", "why": null, "role": "primary" }]));
    }
}

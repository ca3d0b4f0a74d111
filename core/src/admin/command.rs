//! The console's language: PgBouncer's commands, ours, and what drivers say on their own.
//!
//! Pure and bounded; who may give a command, and what it does, is decided in
//! [`execute`](super::execute).

use thiserror::Error;

use super::lexer::{Kind, Token, statements, tokens};
use crate::operate::{ClusterOrder, Ending};

mod explain;
pub mod setting;
mod steer;

/// Longest text of commands. EXPLAIN ROUTE takes statements, whose shapes are looked for in no longer ones.
pub const TEXT_MAX_BYTES: usize = 64 * 1024;

/// Most commands in one text.
pub const COMMANDS_MAX: usize = 64;

/// Most words that a command is made of; EXPLAIN ROUTE's statement may be longer.
const WORDS_MAX: usize = 32;

/// What SHOW shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words behind SHOW")]
pub enum Show {
    ActiveSockets,
    Clients,
    Cluster,
    Config,
    Counters,
    Databases,
    DnsHosts,
    DnsZones,
    Events,
    Fds,
    Generations,
    Help,
    Lists,
    Mem,
    Nodes,
    Operations,
    PeerPools,
    Peers,
    Plans,
    Pins,
    Plugins,
    PoolNodes,
    Pools,
    Servers,
    Sockets,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Totals,
    Users,
    Version,
}

/// All that SHOW shows, by the word that asks for it.
pub const SHOWS: [(&str, Show); 32] = [
    ("active_sockets", Show::ActiveSockets),
    ("clients", Show::Clients),
    ("cluster", Show::Cluster),
    ("config", Show::Config),
    ("counters", Show::Counters),
    ("databases", Show::Databases),
    ("dns_hosts", Show::DnsHosts),
    ("dns_zones", Show::DnsZones),
    ("events", Show::Events),
    ("fds", Show::Fds),
    ("generations", Show::Generations),
    ("help", Show::Help),
    ("lists", Show::Lists),
    ("mem", Show::Mem),
    ("nodes", Show::Nodes),
    ("operations", Show::Operations),
    ("peer_pools", Show::PeerPools),
    ("peers", Show::Peers),
    ("pins", Show::Pins),
    ("plans", Show::Plans),
    ("plugins", Show::Plugins),
    ("pool_nodes", Show::PoolNodes),
    ("pools", Show::Pools),
    ("servers", Show::Servers),
    ("sockets", Show::Sockets),
    ("state", Show::State),
    ("stats", Show::Stats),
    ("stats_averages", Show::StatsAverages),
    ("stats_totals", Show::StatsTotals),
    ("totals", Show::Totals),
    ("users", Show::Users),
    ("version", Show::Version),
];

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing but space.
    Empty,
    /// SHOW of something of ours.
    Show(Show),
    /// SHOW of a setting that drivers ask PostgreSQL for; the name is in lower case.
    ShowSetting(String),
    /// `SELECT 1`, by which drivers see whether we live.
    SelectNumber(i32),
    /// `SELECT version()`.
    SelectVersion,
    /// SET of a setting; the name is in lower case.
    Set {
        /// Which.
        name: String,
        /// The text behind the name.
        value: String,
    },
    /// What pools of drivers send between two users of a connection: `RESET`, `DISCARD`, `DEALLOCATE`.
    Forget(&'static str),
    /// BEGIN, COMMIT and the like.
    Transaction(&'static str),
    /// Read the configuration again.
    Reload,
    /// Lend no servers, of one database or at all; done when all are closed.
    Pause(Option<String>),
    /// The end of PAUSE and KILL.
    Resume(Option<String>),
    /// Close servers as soon as they are free.
    Reconnect(Option<String>),
    /// Drop clients and servers at once, and pause.
    Kill(Option<String>),
    /// Drop one client, by its `id`.
    KillClient(u64),
    /// Wait until RECONNECT has closed the last old server.
    WaitClose(Option<String>),
    /// Let nobody new in.
    Disable(String),
    /// The end of DISABLE.
    Enable(String),
    /// Hold everything, for a takeover.
    Suspend,
    /// End the process.
    Shutdown(Ending),
    /// Go back to an earlier generation: the one before, or that one.
    Rollback(Option<u64>),
    /// Give a node no new work.
    Detach(String),
    /// Give it work again.
    Attach(String),
    /// Change a cluster.
    Steer {
        /// Which, if that is said.
        cluster: Option<String>,
        /// How.
        order: ClusterOrder,
    },
    /// Where a statement would go, and why.
    ExplainRoute {
        /// The statement.
        sql: String,
        /// Whose statement; the console's user by default.
        user: Option<String>,
        /// In which database.
        database: Option<String>,
    },
}

/// Why a text is no command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// Nobody knows it.
    #[error("invalid command '{0}', use SHOW HELP")]
    Unknown(String),
    /// SHOW of something that there is not.
    #[error("there is no SHOW {0}, use SHOW HELP")]
    UnknownShow(String),
    /// What has to follow does not.
    #[error("{command} needs {what}")]
    Missing {
        /// Behind which word.
        command: &'static str,
        /// What.
        what: &'static str,
    },
    /// More than one command where one is allowed.
    #[error("cannot insert multiple commands into a prepared statement")]
    Several,
    /// More than [`COMMANDS_MAX`] in one text.
    #[error("more than {COMMANDS_MAX} commands at once")]
    TooMany,
    /// Longer than [`TEXT_MAX_BYTES`].
    #[error("a command of {0} bytes is too long; the limit is {TEXT_MAX_BYTES}")]
    TooLong(usize),
    /// `$1`.
    #[error("the console takes no parameters ($n)")]
    Parameter,
}

/// The commands of a text, parted by semicolons. Each is read when its turn comes.
pub fn split(text: &str) -> Result<Vec<&str>, CommandError> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(CommandError::TooLong(text.len()));
    }
    let commands: Vec<_> = statements(text).take(COMMANDS_MAX + 1).collect();
    if commands.len() > COMMANDS_MAX { Err(CommandError::TooMany) } else { Ok(commands) }
}

/// Reads one command; a semicolon may follow it.
pub fn parse(text: &str) -> Result<Command, CommandError> {
    match split(text)?.as_slice() {
        [] => Ok(Command::Empty),
        [one] => read(one.trim()),
        _ => Err(CommandError::Several),
    }
}

fn read(text: &str) -> Result<Command, CommandError> {
    if let Some(sql) = explain::statement(text)? {
        return Ok(explain::command(sql));
    }
    let words: Vec<_> = tokens(text).take(WORDS_MAX + 1).collect();
    let unknown = || CommandError::Unknown(shortened(text));
    if words.len() > WORDS_MAX {
        return Err(unknown());
    }
    if words.iter().any(|word| word.kind == Kind::Parameter) {
        return Err(CommandError::Parameter);
    }
    let Some((verb, rest)) = words.split_first() else { return Ok(Command::Empty) };
    for (word, reader) in VERBS {
        if verb.is(word) {
            return reader(Words { text, verb: word, rest })?.ok_or_else(unknown);
        }
    }
    Err(unknown())
}

/// What follows a verb.
#[derive(Clone, Copy)]
struct Words<'a> {
    text: &'a str,
    verb: &'static str,
    rest: &'a [Token<'a>],
}

/// `None` when the words behind the verb fit nothing.
type Outcome = Result<Option<Command>, CommandError>;

type Reader = fn(Words<'_>) -> Outcome;

const VERBS: &[(&str, Reader)] = &[
    ("SHOW", show),
    ("SELECT", select),
    ("SET", |words| Ok(setting::set(words.text, words.rest))),
    ("RELOAD", |words| words.alone(Command::Reload)),
    ("PAUSE", |words| {
        steer::behind_pause(words, ClusterOrder::PauseFailover).unwrap_or_else(|| words.maybe_database(Command::Pause))
    }),
    ("RESUME", |words| {
        steer::behind_pause(words, ClusterOrder::ResumeFailover)
            .unwrap_or_else(|| words.maybe_database(Command::Resume))
    }),
    ("RECONNECT", |words| words.maybe_database(Command::Reconnect)),
    ("KILL", |words| words.maybe_database(Command::Kill)),
    ("KILL_CLIENT", |words| {
        words.name("a client's id, as SHOW CLIENTS shows it", |id| id.parse().ok().map(Command::KillClient))
    }),
    ("WAIT_CLOSE", |words| words.maybe_database(Command::WaitClose)),
    ("DISABLE", |words| words.name("a database", |name| Some(Command::Disable(name)))),
    ("ENABLE", |words| words.name("a database", |name| Some(Command::Enable(name)))),
    ("SUSPEND", |words| words.alone(Command::Suspend)),
    ("SHUTDOWN", shutdown),
    ("ROLLBACK", rollback),
    ("DETACH", |words| words.node(Command::Detach)),
    ("ATTACH", |words| words.node(Command::Attach)),
    ("SWITCHOVER", steer::switchover),
    ("FAILOVER", steer::failover),
    ("REJOIN", |words| steer::of_node(words, |node| ClusterOrder::Rejoin { node: node.into() })),
    ("REINIT", |words| steer::of_node(words, |node| ClusterOrder::Reinit { node: node.into() })),
    ("RESET", |_| Ok(Some(Command::Forget("RESET")))),
    ("DISCARD", |_| Ok(Some(Command::Forget("DISCARD ALL")))),
    ("DEALLOCATE", |_| Ok(Some(Command::Forget("DEALLOCATE")))),
    ("BEGIN", |_| Ok(Some(Command::Transaction("BEGIN")))),
    ("START", |_| Ok(Some(Command::Transaction("START TRANSACTION")))),
    ("COMMIT", |_| Ok(Some(Command::Transaction("COMMIT")))),
    ("END", |_| Ok(Some(Command::Transaction("END")))),
    ("ABORT", |_| Ok(Some(Command::Transaction("ABORT")))),
    ("SAVEPOINT", |_| Ok(Some(Command::Transaction("SAVEPOINT")))),
    ("RELEASE", |_| Ok(Some(Command::Transaction("RELEASE")))),
];

impl Words<'_> {
    fn alone(self, command: Command) -> Outcome {
        Ok(self.rest.is_empty().then_some(command))
    }

    fn maybe_database(self, command: fn(Option<String>) -> Command) -> Outcome {
        Ok(match self.rest {
            [] => Some(command(None)),
            [one] => one.name().map(|name| command(Some(name))),
            _ => None,
        })
    }

    fn name(self, what: &'static str, command: fn(String) -> Option<Command>) -> Outcome {
        match self.rest {
            [] => Err(CommandError::Missing { command: self.verb, what }),
            [one] => Ok(one.value().and_then(command)),
            _ => Ok(None),
        }
    }

    fn node(self, command: fn(String) -> Command) -> Outcome {
        match self.rest {
            [] => Err(CommandError::Missing { command: self.verb, what: "NODE and a node's name" }),
            [word] if word.is("NODE") => Err(CommandError::Missing { command: self.verb, what: "a node's name" }),
            [word, name] if word.is("NODE") => Ok(name.value().map(command)),
            _ => Ok(None),
        }
    }
}

fn show(words: Words<'_>) -> Outcome {
    match words.rest {
        [] => Err(CommandError::Missing { command: "SHOW", what: "to be told what; see SHOW HELP" }),
        [one] => {
            let name = one.name().unwrap_or_default().to_ascii_lowercase();
            match SHOWS.iter().find(|(word, _)| *word == name) {
                Some((_, what)) => Ok(Some(Command::Show(*what))),
                None if setting::find(&name).is_some() => Ok(Some(Command::ShowSetting(name))),
                None => Err(CommandError::UnknownShow(shortened(&name))),
            }
        }
        several => Ok(setting::of_several_words(several).map(|name| Command::ShowSetting(name.to_owned()))),
    }
}

fn select(words: Words<'_>) -> Outcome {
    match words.rest {
        [one] => match one.text.parse() {
            Ok(number) => Ok(Some(Command::SelectNumber(number))),
            Err(_) => show(words),
        },
        [function, Token { kind: Kind::Sign('('), .. }, Token { kind: Kind::Sign(')'), .. }]
            if function.is("version") || function.is("pg_catalog.version") =>
        {
            Ok(Some(Command::SelectVersion))
        }
        _ => Ok(None),
    }
}

fn shutdown(words: Words<'_>) -> Outcome {
    Ok(match words.rest {
        [] => Some(Command::Shutdown(Ending::Now)),
        [what] if what.is("WAIT_FOR_SERVERS") => Some(Command::Shutdown(Ending::TransactionsOver)),
        [what] if what.is("WAIT_FOR_CLIENTS") => Some(Command::Shutdown(Ending::ClientsGone)),
        _ => None,
    })
}

fn rollback(words: Words<'_>) -> Outcome {
    Ok(match words.rest {
        [] => Some(Command::Rollback(None)),
        [to, number] if to.is("TO") => number.text.parse().ok().map(|number| Command::Rollback(Some(number))),
        // A driver that believes it is in a transaction must not change the configuration.
        _ => Some(Command::Transaction("ROLLBACK")),
    })
}

/// As much of a text as an error message shows.
fn shortened(text: &str) -> String {
    const SHOWN_CHARACTERS: usize = 60;
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;

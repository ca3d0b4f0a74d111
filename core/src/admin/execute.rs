//! Obeys commands: who may give them, what they answer.

use std::{rc::Rc, sync::Arc};

use super::{
    act,
    command::{self, Command, Show, setting},
    complaint::Complaint,
    explain, show,
    table::{Column, Table, Type, Value},
};
use crate::{client::ConsoleRole, config, operate::Ending, worker::Worker};

/// Whom the console talks to.
pub struct Context {
    /// Where it runs.
    pub worker: Rc<Worker>,
    /// Who it is.
    pub user: Arc<str>,
    /// What it may do.
    pub role: ConsoleRole,
    /// It asked for PgBouncer: it gets PgBouncer's rows, one for all nodes of a pool.
    pub by_pgbouncers_rows: bool,
}

/// Something beside the answer that the operator should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// In one line.
    pub message: String,
    /// In as many as it takes; may be empty.
    pub detail: String,
}

/// What a command answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Come first.
    pub notices: Vec<Notice>,
    /// Its rows, if it has any.
    pub table: Option<Table>,
    /// Its tag; empty for an empty command.
    pub tag: &'static str,
    /// The proxy ends once the answer is sent.
    pub then: Option<Ending>,
}

impl Answer {
    /// Nothing but a tag.
    pub fn done(tag: &'static str) -> Self {
        Self { tag, ..Self::default() }
    }

    fn rows(tag: &'static str, table: Table) -> Self {
        Self { table: Some(table), ..Self::done(tag) }
    }

    /// The same with a notice.
    #[must_use]
    pub fn noting(mut self, message: impl Into<String>) -> Self {
        self.notices.push(Notice { message: message.into(), detail: String::new() });
        self
    }
}

/// The columns that a command's answer will have; `None` when it has no rows.
pub fn columns(command: &Command) -> Option<Vec<Column>> {
    match command {
        Command::Show(Show::Help) => None,
        Command::Show(what) => Some(show::view(*what).columns.to_vec()),
        Command::ShowSetting(name) => setting::find(name).map(|(name, _)| vec![(name, Type::Text)]),
        Command::SelectNumber(_) => Some(vec![("?column?", Type::Int4)]),
        Command::SelectVersion => Some(vec![("version", Type::Text)]),
        Command::ExplainRoute { .. } => Some(explain::COLUMNS.to_vec()),
        _ => None,
    }
}

/// Obeys a command. May wait; dropping it ends the wait, not what has been ordered.
pub async fn run(context: &Context, command: &Command) -> Result<Answer, Complaint> {
    if !is_allowed(context.role, command) {
        return Err(Complaint::Denied);
    }
    let shared = &context.worker.shared;
    match command {
        Command::Empty => Ok(Answer::default()),
        Command::Show(Show::Plans) => Ok(plans(context).await),
        Command::Show(what) => show(context, *what),
        Command::ShowSetting(name) => setting_shown(command, name),
        Command::SelectNumber(number) => Ok(Answer::rows("SELECT 1", single(command, Value::Int4(*number)))),
        Command::SelectVersion => Ok(Answer::rows("SELECT 1", single(command, show::product().into()))),
        Command::Set { name, .. } => set(context, name),
        Command::Forget(tag) => Ok(Answer::done(tag)),
        Command::Transaction(word) => Err(Complaint::NoTransactions(word)),
        Command::ExplainRoute { sql, user, database } => {
            let user = user.as_deref().unwrap_or(&context.user);
            let table = explain::explain_route(shared, database.as_deref(), user, sql)?;
            Ok(Answer::rows("EXPLAIN", table))
        }
        command => act::run(shared, command).await,
    }
}

/// What a cancel request takes back of a command that waited.
pub fn take_back(context: &Context, command: &Command) {
    if let Command::Pause(database) = command {
        context.worker.shared.registry.resume(database.as_deref());
    }
}

fn is_allowed(role: ConsoleRole, command: &Command) -> bool {
    let looks = matches!(
        command,
        Command::Empty
            | Command::Show(_)
            | Command::ShowSetting(_)
            | Command::SelectNumber(_)
            | Command::SelectVersion
            | Command::Set { .. }
            | Command::Forget(_)
            | Command::Transaction(_)
    );
    role == ConsoleRole::Admin || looks
}

fn show(context: &Context, what: Show) -> Result<Answer, Complaint> {
    match what {
        Show::Help => {
            let help = Notice { message: "Console usage".to_owned(), detail: show::HELP.to_owned() };
            Ok(Answer { notices: vec![help], ..Answer::done("SHOW") })
        }
        Show::Fds => Err(Complaint::Unsupported("SHOW FDS", "Sockets are not handed over to other processes.")),
        what => Ok(Answer::rows("SHOW", show::table(context, what))),
    }
}

async fn plans(context: &Context) -> Answer {
    let (table, silent) = show::plans::table(&context.worker.shared.inquiries).await;
    let answer = Answer::rows("SHOW", table);
    if silent == 0 { answer } else { answer.noting(format!("{silent} workers are too busy to answer")) }
}

fn setting_shown(command: &Command, name: &str) -> Result<Answer, Complaint> {
    match setting::find(name) {
        Some((_, value)) => Ok(Answer::rows("SHOW", single(command, value.into()))),
        None => Err(Complaint::UnknownSetting(name.to_owned())),
    }
}

fn single(command: &Command, value: Value) -> Table {
    Table { columns: columns(command).unwrap_or_default(), rows: vec![vec![value]] }
}

fn set(context: &Context, name: &str) -> Result<Answer, Complaint> {
    if command::setting::find(name).is_some() {
        return Ok(Answer::done("SET"));
    }
    let generation = context.worker.shared.generation.load();
    let is_ours = config::describe(&generation.config).iter().any(|setting| setting.key == name);
    let name = name.to_owned();
    Err(if is_ours { Complaint::SetInFile(name) } else { Complaint::UnknownSetting(name) })
}

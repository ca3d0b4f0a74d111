//! Finds out, when a transaction is over, what its session has set and what only its server has.
//!
//! Asks the server, behind the client's answer. What can be carried is kept by the session; for the
//! rest the session keeps its server until the cause is gone.

use std::fmt::Write;

use super::{
    Session,
    error::SessionError,
    listen::keep_notification,
    traces::{Causes, Traces},
};
use crate::{
    clock::Moment,
    server::{RunError, settings::Settings, sql_statements::SqlStatements},
    sql::facts,
    wire::take::{Malformed, Take},
};

/// What a server says of the session that it has served.
#[derive(Debug, Default)]
struct Findings {
    /// Names and values; no value = not set.
    settings: Vec<(String, Option<String>)>,
    /// Names and texts of SQL's PREPARE.
    sql_statements: Vec<(String, String)>,
    /// What it listens to.
    channels: Vec<String>,
    causes: Causes,
}

impl Session {
    /// Asks what is left of the transaction, and gives the server back if nothing is.
    pub(super) async fn settle(&mut self) -> Result<(), SessionError> {
        let Some(mut traces) = self.traces.take() else { return Ok(()) };
        let Some(lease) = &mut self.lease else {
            self.listen_to_no_more(&traces);
            return Ok(());
        };
        let custom = self.settings.iter().map(|(name, _)| name).filter(|name| name.contains('.'));
        let question = question(&traces, custom, &lease.info.target.user);
        let mut findings = Findings::default();
        let (mut malformed, mut aside) = (None, Vec::new());
        let asked = match question.is_empty() {
            true => Ok(()),
            false => {
                let read = |row: &[u8]| {
                    if let Err(error) = findings.read(row) {
                        malformed = Some(error);
                    }
                };
                lease.ask_aside(&question, read, |tag, message| keep_notification(&mut aside, tag, message)).await
            }
        };
        self.pass_on(&aside);
        match (asked, malformed) {
            (Ok(()), None) => {
                self.take_carried(&traces, &mut findings);
                if !self.settle_channels(&traces, &findings.channels).await? {
                    findings.causes = findings.causes.and(Causes::LISTEN);
                }
                self.conclude(&traces, &findings);
            }
            (Ok(()), Some(_)) | (Err(RunError::Server { .. }), _) => {
                // Its limits on time, its role or a late cancel request forbid it. The server stays with the
                // session, which needs no answer then, and is asked again after the next transaction.
                self.keep_server(Causes::SETTINGS, Causes::NONE);
                traces.carry_over();
                self.traces = Some(traces);
            }
            (Err(_), _) if traces.is_a_guess() && self.outlives_servers() => {
                self.lose_server();
                self.listen_to_no_more(&traces);
                return Ok(());
            }
            (Err(error), _) => {
                self.lease = None;
                return Err(SessionError::Settings(error));
            }
        }
        self.release(Moment::now());
        Ok(())
    }

    fn take_carried(&mut self, traces: &Traces, findings: &mut Findings) {
        let Some(lease) = &mut self.lease else { return };
        let found = findings.settings.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let before = if traces.all_settings { Settings::default() } else { lease.settings.clone() };
        lease.settings = before.corrected(found);
        if traces.unseen {
            lease.settings_of = self.info.pid;
        }
        self.settings = lease.settings.over(&self.startup);
        self.serializable = super::is_serializable(&self.settings);
        if traces.suspects.contain(Causes::PREPARED) {
            match carriable(&findings.sql_statements) {
                Some(carried) => {
                    lease.sql_statements = carried.clone();
                    self.sql_statements = carried;
                }
                None => findings.causes = findings.causes.and(Causes::PREPARED),
            }
        }
    }

    fn conclude(&mut self, traces: &Traces, findings: &Findings) {
        let mut causes = findings.causes.and(traces.suspects.without(Causes::VISIBLE));
        if traces.overflow {
            causes = causes.and(Causes::SETTINGS);
        }
        let mut asked = traces.suspects.common(Causes::VISIBLE).and(Causes::SETTINGS);
        // The next of a sequence is nobody's business unless somebody asks for the last.
        if traces.forgets_sequences {
            self.forget_moved_sequences();
        }
        if traces.forgets_sequences || !self.set.shared.recalls_sequences() {
            causes = causes.without(Causes::SEQUENCE);
            asked = asked.and(Causes::SEQUENCE);
        }
        self.keep_server(causes, asked);
        self.reclassify();
    }

    /// The session has these causes to keep its server now, and no longer those that were asked for.
    fn keep_server(&mut self, found: Causes, asked: Causes) {
        let before = self.pins();
        let now = before.without(asked).and(found);
        if now != before {
            self.set_pins(now);
        }
    }
}

/// What to ask the server; empty when nothing has to be.
///
/// The names of our functions and views are qualified, because the session's `search_path` holds.
/// <https://www.postgresql.org/docs/current/view-pg-settings.html>
fn question<'a>(traces: &'a Traces, custom: impl Iterator<Item = &'a str>, login: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    if traces.all_settings {
        // Modes of transactions have ended with theirs; `seed` cannot be read.
        parts.push(
            "SELECT 's', name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings WHERE source = 'session' \
             AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable', 'seed', \
             'session_authorization', 'role')"
                .to_owned(),
        );
    }
    // The whole list has all but those that an application makes up.
    let named = traces.names.iter().map(|name| &**name);
    let mut names: Vec<&str> = named.filter(|name| !traces.all_settings || name.contains('.')).collect();
    if traces.all_settings {
        // These are in no view.
        names.extend(["session_authorization", "role"]);
        names.extend(custom);
    }
    if !names.is_empty() {
        parts.push(ask_names(&names, login, traces.doubtful));
    }
    if traces.suspects.contain(Causes::PREPARED) {
        let sql = "SELECT 'p', name, statement FROM pg_catalog.pg_prepared_statements WHERE from_sql";
        parts.push(sql.to_owned());
    }
    for (cause, part) in ASK_CAUSES {
        if traces.suspects.contain(cause) {
            parts.push(format!("SELECT {}::text, NULL, NULL WHERE EXISTS ({part})", cause.bits()));
        }
    }
    if traces.suspects.contain(Causes::LISTEN) {
        parts.push("SELECT 'l', channel, NULL FROM pg_catalog.pg_listening_channels() AS channel".to_owned());
    }
    parts.join(" UNION ALL ")
}

/// A setting has no value when it is what it would be anyway, as far as that is known: a parameter
/// of one's own that was reset is empty, a role is `none`.
///
/// Only what was set in the session can be set in another: a SET of `port` fails, and yet it has a value.
fn ask_names(names: &[&str], login: &str, doubtful: bool) -> String {
    let mut sql = String::from("SELECT 's', n, CASE WHEN n = 'role' AND v = 'none'");
    let _ = write!(sql, " OR n = 'session_authorization' AND v = {}", literal(login));
    if doubtful {
        sql.push_str(
            " OR v IS NOT NULL AND n NOT LIKE '%.%' AND EXISTS (SELECT FROM pg_catalog.pg_settings \
             WHERE pg_catalog.lower(name) = n AND source <> 'session')",
        );
    }
    sql.push_str(" OR v = '' AND n LIKE '%.%' THEN NULL ELSE v END FROM (SELECT n, pg_catalog.current_setting(n, true) AS v FROM pg_catalog.unnest(ARRAY[");
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            sql.push_str(", ");
        }
        sql.push_str(&literal(name));
    }
    sql.push_str("]::text[]) AS n) AS named");
    sql
}

const ASK_CAUSES: [(Causes, &str); 3] = [
    (
        Causes::TEMPORARY,
        "SELECT FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass \
         AND refobjid = pg_catalog.pg_my_temp_schema()",
    ),
    (Causes::CURSOR, "SELECT FROM pg_catalog.pg_cursors WHERE is_holdable"),
    (
        Causes::ADVISORY_LOCK,
        "SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()",
    ),
];

/// The statements, if each can be prepared again by its text: one that came with others in one text
/// cannot, because all of them would run.
fn carriable(statements: &[(String, String)]) -> Option<SqlStatements> {
    let alone = statements.iter().all(|(_, text)| facts::is_prepare(text));
    alone.then(|| SqlStatements::new(statements.iter().cloned())).flatten()
}

fn literal(text: &str) -> String {
    let mut sql = String::new();
    crate::server::settings::push_literal(&mut sql, text);
    sql
}

impl Findings {
    fn read(&mut self, row: &[u8]) -> Result<(), Malformed> {
        let mut take = Take::new(row, "DataRow");
        if take.u16()? != 3 {
            return Err(Malformed("DataRow"));
        }
        let mut column = || -> Result<Option<String>, Malformed> {
            let Ok(length) = usize::try_from(take.i32()?) else { return Ok(None) };
            Ok(Some(String::from_utf8_lossy(take.bytes(length)?).into_owned()))
        };
        let (what, name, value) = (column()?.unwrap_or_default(), column()?, column()?);
        match (what.as_str(), name) {
            ("s", Some(name)) => self.settings.push((name, value)),
            ("p", Some(name)) => self.sql_statements.push((name, value.unwrap_or_default())),
            ("l", Some(channel)) => self.channels.push(channel),
            (cause, _) => {
                let cause = cause.parse().map_err(|_| Malformed("DataRow"))?;
                self.causes = self.causes.and(Causes::from_bits(cause));
            }
        }
        Ok(())
    }
}

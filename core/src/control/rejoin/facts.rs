//! What a rejoin has to know of the primary and of the node, and what it changes by SQL.
//!
//! One session for each, of the kind that understands both SQL and replication commands: `IDENTIFY_SYSTEM` knows the
//! timeline at once after a promotion, while the control file still tells the old one.
//! <https://www.postgresql.org/docs/current/protocol-replication.html>

use super::{
    RejoinError,
    decide::{Activity, PrimaryFacts, Reach, ReturningNode},
    history::History,
};
use crate::{
    control::host::{NodeState, Upstream, quote},
    id::Lsn,
    server::{
        ConnectError, ServerTarget,
        simple::{ControlSession, Row},
    },
};

/// The last column: whether pages can be compared by `pg_rewind`.
const ABOUT: &str = "\
SELECT pg_is_in_recovery(), current_setting('server_version_num'), pg_size_bytes(current_setting('wal_segment_size')), \
       CASE WHEN pg_is_in_recovery() THEN GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END, \
       current_setting('full_page_writes'), current_setting('wal_log_hints'), current_setting('data_checksums')";

/// A session with one node.
pub(super) struct Talk {
    node: String,
    session: ControlSession,
}

impl Talk {
    pub(super) async fn open(target: &ServerTarget) -> Result<Self, ConnectError> {
        let both = ("replication".to_owned(), "database".to_owned());
        let parameters = target.parameters.iter().cloned().chain([both]).collect();
        let session = ControlSession::connect(&ServerTarget { parameters, ..target.clone() }).await?;
        Ok(Self { node: target.node.to_string(), session })
    }

    async fn ask(&mut self, what: &'static str, sql: &str) -> Result<Vec<Row>, RejoinError> {
        let answer = self.session.query(sql).await;
        answer.map_err(|cause| RejoinError::Query { node: self.node.clone(), what, cause: Box::new(cause) })
    }

    async fn one(&mut self, what: &'static str, sql: &str) -> Result<Row, RejoinError> {
        let rows = self.ask(what, sql).await?;
        rows.into_iter().next().ok_or_else(|| self.nonsense(what))
    }

    fn nonsense(&self, what: &'static str) -> RejoinError {
        RejoinError::Nonsense { node: self.node.clone(), what }
    }

    /// System identifier, timeline and position.
    async fn identify(&mut self) -> Result<(u64, u32, Lsn), RejoinError> {
        let row = self.one("IDENTIFY_SYSTEM", "IDENTIFY_SYSTEM").await?;
        let read = || Some((row.parse(0)?, row.parse(1)?, row.parse(2)?));
        read().ok_or_else(|| self.nonsense("IDENTIFY_SYSTEM"))
    }

    /// The node as the primary of its cluster.
    pub(super) async fn primary(&mut self) -> Result<PrimaryFacts, RejoinError> {
        let about = self.one("what it is", ABOUT).await?;
        if about.bool(0) != Some(false) {
            return Err(RejoinError::NoPrimary { node: self.node.clone() });
        }
        let (system, timeline, position) = self.identify().await?;
        let history = match timeline {
            // The first one has no history, and asking for it is an error.
            0 | 1 => History::default(),
            _ => {
                let row = self.one("TIMELINE_HISTORY", &format!("TIMELINE_HISTORY {timeline}")).await?;
                History::read(row.text(1).unwrap_or_default())
            }
        };
        let version = about.parse(1).ok_or_else(|| self.nonsense("its version"))?;
        let segment_bytes = about.parse(2).ok_or_else(|| self.nonsense("wal_segment_size"))?;
        Ok(PrimaryFacts { system, timeline, position, history, version, segment_bytes })
    }

    /// The node as one that is to come back and that answers.
    pub(super) async fn returning(&mut self) -> Result<ReturningNode, RejoinError> {
        let about = self.one("what it is", ABOUT).await?;
        let is_standby = about.bool(0).ok_or_else(|| self.nonsense("what it is"))?;
        let (system, timeline, position) = self.identify().await?;
        let end = about.parse(3).unwrap_or(position).max(position);
        let is_on = |column| about.text(column) == Some("on");
        Ok(ReturningNode {
            system: Some(system),
            timeline,
            reach: Reach::End(end),
            activity: if is_standby { Activity::Standby } else { Activity::Primary },
            was_primary: !is_standby,
            unfinished: false,
            not_rewindable: why_not_rewindable(is_on(4), is_on(5) || is_on(6)),
        })
    }

    /// Before `pg_rewind`: until the first checkpoint after a promotion the control file tells the old timeline, by
    /// which `pg_rewind` before 16 finds that nothing needs to be done.
    pub(super) async fn checkpoint(&mut self) -> Result<(), RejoinError> {
        self.ask("CHECKPOINT", "CHECKPOINT").await.map(drop)
    }

    /// Makes the slot, unless there is one that is of use.
    pub(super) async fn have_slot(&mut self, name: &str) -> Result<(), RejoinError> {
        let quoted = quote::literal(name);
        let look = format!("SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = {quoted}");
        let is_lost = self.ask("its slots", &look).await?.first().map(|row| row.bool(0) == Some(true));
        if is_lost == Some(false) {
            return Ok(());
        }
        if is_lost == Some(true) {
            self.ask("pg_drop_replication_slot", &format!("SELECT pg_drop_replication_slot({quoted})")).await?;
        }
        let make = format!("SELECT pg_create_physical_replication_slot({quoted}, true)");
        self.ask("pg_create_physical_replication_slot", &make).await.map(drop)
    }

    /// Tells a standby that runs whom to follow.
    pub(super) async fn follow(&mut self, upstream: &Upstream) -> Result<(), RejoinError> {
        let slot = quote::literal(upstream.slot.as_deref().unwrap_or_default());
        let conninfo = quote::literal(&quote::primary_conninfo(upstream));
        self.ask("ALTER SYSTEM", &format!("ALTER SYSTEM SET primary_slot_name = {slot}")).await?;
        self.ask("ALTER SYSTEM", &format!("ALTER SYSTEM SET primary_conninfo = {conninfo}")).await?;
        self.ask("pg_reload_conf", "SELECT pg_reload_conf()").await.map(drop)
    }

    /// What it does with its primary; `None`: it streams on this timeline.
    pub(super) async fn not_streaming(&mut self, timeline: u32) -> Result<Option<String>, RejoinError> {
        let look = "SELECT pg_is_in_recovery(), r.status, r.received_tli \
                    FROM (SELECT 1) one LEFT JOIN pg_stat_wal_receiver r ON true";
        let row = self.one("its WAL receiver", look).await?;
        let received: Option<u32> = row.parse(2);
        Ok(match (row.bool(0), row.text(1)) {
            (Some(true), Some("streaming")) if received == Some(timeline) => None,
            (Some(true), Some(status)) => Some(format!("its WAL receiver is {status}, on timeline {received:?}")),
            (Some(true), None) => Some("it is in recovery and has no WAL receiver".to_owned()),
            _ => Some("it is not in recovery".to_owned()),
        })
    }
}

/// The node as one that is to come back, by what its machine says.
pub(super) fn returning_by(state: &NodeState) -> ReturningNode {
    let control = state.control.as_ref();
    let was_primary = control.is_some_and(|control| control.was_primary() && !state.copy);
    let last = if state.copy { Reach::Unknown } else { state.last_record().map_or(Reach::Unknown, Reach::LastRecord) };
    ReturningNode {
        system: control.map(|control| control.system),
        timeline: state.timeline().unwrap_or(0),
        reach: last,
        activity: if state.running { Activity::Silent } else { Activity::Down },
        was_primary,
        unfinished: state.unfinished,
        // Whether full_page_writes was on, the control file says only of the last checkpoint; pg_rewind looks itself.
        not_rewindable: control.and_then(|it| why_not_rewindable(true, it.wal_log_hints || it.checksums)),
    }
}

/// <https://www.postgresql.org/docs/current/app-pgrewind.html>
fn why_not_rewindable(full_page_writes: bool, hints: bool) -> Option<String> {
    match (full_page_writes, hints) {
        (true, true) => None,
        (true, false) => Some("it has neither wal_log_hints nor data checksums".to_owned()),
        (false, _) => Some("its full_page_writes is off".to_owned()),
    }
}

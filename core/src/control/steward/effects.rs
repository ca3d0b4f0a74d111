//! What is done to a node over SQL, one function for each effect. Each reads first what it says in
//! [`Effect`], and does nothing when that is so already.
//!
//! Settings are changed by ALTER SYSTEM and a reload: no node is restarted. A standby follows a new
//! `primary_conninfo` by itself since PostgreSQL 13.
//! <https://www.postgresql.org/docs/current/runtime-config-replication.html>

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::voice::{LOOK_EVERY, Turn, VoiceError};
use crate::{
    cluster::{
        action::{Effect, Finding},
        verdict::StandbySet,
    },
    control::host::{
        Upstream,
        quote::{literal, primary_conninfo},
    },
    id::Lsn,
    server::simple::{ControlSession, Row},
};

/// A receiver that is gone may come back once before its standby has read the new setting. So it has to be gone
/// twice, this far apart.
const GONE_FOR: Duration = Duration::from_millis(10);

/// A checkpoint that takes no longer leaves little to the next one.
const SHORT_CHECKPOINT: Duration = Duration::from_millis(100);

/// Most checkpoints in a row, on a disk on which none is short.
const CHECKPOINTS_MAX: u32 = 4;

/// Where a standby is in the log: position, timeline. Its control file tells of a new timeline only at its next
/// restartpoint; the log that it has received is named after the timeline at once.
const STANDBY_POSITION: &str = "\
SELECT GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()),
       GREATEST((SELECT timeline_id FROM pg_control_checkpoint()),
                (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
                (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int4) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'))";

/// Where a primary is in the log. The control file tells of a new timeline only at the next checkpoint.
const PRIMARY_POSITION: &str = "\
SELECT pg_current_wal_flush_lsn(),
       ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8";

const IN_RECOVERY: &str = "SELECT pg_is_in_recovery()";
const NO_RECEIVER: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)";
const RELOAD: &str = "SELECT pg_reload_conf()";

/// Standby: receives from nobody any more.
pub(super) async fn detach(turn: &mut Turn<'_>) -> Result<Finding, VoiceError> {
    must_be_standby(turn).await?;
    set(turn, "primary_conninfo", "").await?;
    until(turn, NO_RECEIVER).await?;
    sleep(GONE_FOR).await;
    until(turn, NO_RECEIVER).await?;
    standby_position(turn).await
}

/// Standby: receives from there from now on.
pub(super) async fn attach(turn: &mut Turn<'_>, upstream: &Upstream) -> Result<Finding, VoiceError> {
    must_be_standby(turn).await?;
    // Whoever reads the one has to know the other.
    set(turn, "primary_slot_name", upstream.slot.as_deref().unwrap_or_default()).await?;
    set(turn, "primary_conninfo", &primary_conninfo(upstream)).await?;
    Ok(Finding::Nothing)
}

/// Upstream: ready to be followed. The timeline that its followers will receive; none when it is a standby itself.
pub(super) async fn receive_at(turn: &mut Turn<'_>, new_slot: Option<&str>) -> Result<Option<u32>, VoiceError> {
    if let Some(slot) = new_slot {
        make_slot(turn, slot).await?;
    }
    match turn.is(IN_RECOVERY).await? {
        true => Ok(None),
        false => timeline(turn).await.map(Some),
    }
}

/// Standby: receives from there, and does so when this is over.
pub(super) async fn repoint(
    turn: &mut Turn<'_>,
    upstream: &Upstream,
    timeline: Option<u32>,
) -> Result<Finding, VoiceError> {
    attach(turn, upstream).await?;
    let on_its_timeline = timeline.map_or(String::new(), |timeline| format!(" AND received_tli = {timeline}"));
    let streams = format!(
        "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming' AND sender_port = {}{on_its_timeline})",
        upstream.source.port
    );
    until(turn, &streams).await?;
    Ok(Finding::Nothing)
}

/// Primary: its timeline.
pub(super) async fn timeline(turn: &mut Turn<'_>) -> Result<u32, VoiceError> {
    let rows = turn.ask(PRIMARY_POSITION).await?;
    let timeline = rows.first().and_then(|row| row.parse(1));
    timeline.ok_or_else(|| VoiceError::Lost("it does not say its timeline".to_owned()))
}

/// Standby: receives from another standby up to there, then from nobody.
pub(super) async fn fast_forward(turn: &mut Turn<'_>, upstream: &Upstream, to: Lsn) -> Result<Finding, VoiceError> {
    attach(turn, &Upstream { slot: None, ..upstream.clone() }).await?;
    until(turn, &format!("SELECT GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) >= '{to}'")).await?;
    detach(turn).await
}

/// Standby: the set that will hold once it is promoted.
pub(super) async fn preset_sync(turn: &mut Turn<'_>, to: Option<&StandbySet>) -> Result<Finding, VoiceError> {
    must_be_standby(turn).await?;
    set(turn, "synchronous_standby_names", &text(to)).await?;
    Ok(Finding::Nothing)
}

/// Standby: takes writes from now on.
pub(super) async fn promote(turn: &mut Turn<'_>) -> Result<Finding, VoiceError> {
    if turn.is(IN_RECOVERY).await? {
        // To wait for it would take a tenth of a second at least.
        turn.ask("SELECT pg_promote(false)").await?;
        until(turn, "SELECT NOT pg_is_in_recovery()").await?;
    }
    Ok(Finding::Promoted { timeline: timeline(turn).await? })
}

/// New primary: where its timeline began, and the next transaction id.
pub(super) async fn record_fork(turn: &mut Turn<'_>, timeline_history: Option<Lsn>) -> Result<Finding, VoiceError> {
    let next_xid = turn.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").await?;
    let at = timeline_history.ok_or_else(|| VoiceError::Refused("it has no history of its timeline".to_owned()))?;
    Ok(Finding::Fork { at, next_xid: next_xid.and_then(|xid| xid.parse().ok()) })
}

/// Where a node's timeline began, by the replication protocol. Needs the attribute REPLICATION.
///
/// <https://www.postgresql.org/docs/current/protocol-replication.html>
pub(super) async fn fork_of(turn: &Turn<'_>, timeline: u32) -> Result<Option<Lsn>, VoiceError> {
    let mut target = turn.target();
    target.parameters =
        [("application_name".into(), "howdah-ctl".into()), ("replication".into(), "true".into())].into();
    let asked = timeout_at(turn.until(), async {
        let mut session = ControlSession::connect(&target).await.map_err(|error| error.to_string())?;
        session.query(&format!("TIMELINE_HISTORY {timeline}")).await.map_err(|error| error.to_string())
    });
    let rows = asked.await.map_err(|_| VoiceError::NotEntered("no replication session in time".to_owned()))?;
    let rows = rows.map_err(VoiceError::NotEntered)?;
    Ok(rows.first().and_then(|row| row.text(1)).and_then(last_fork))
}

/// The last line of a timeline's history that is none of comment: `1\t0/402C6C8\tno recovery target specified`.
fn last_fork(history: &str) -> Option<Lsn> {
    let mut lines = history.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.next_back()?.split('\t').nth(1)?.trim().parse().ok()
}

/// Primary: for whom commits wait; every WAL sender knows when this is over.
pub(super) async fn set_sync(turn: &mut Turn<'_>, to: Option<&StandbySet>) -> Result<Finding, VoiceError> {
    if turn.is(IN_RECOVERY).await? {
        return Err(VoiceError::Refused("it is in recovery".to_owned()));
    }
    set(turn, "synchronous_standby_names", &text(to)).await?;
    let members: Vec<_> = to.iter().flat_map(|set| &set.members).map(|name| literal(name)).collect();
    let is_member = match members.is_empty() {
        true => "false".to_owned(),
        false => format!("application_name IN ({})", members.join(", ")),
    };
    // The priority is written by the sender itself, when it has read the setting.
    let known = format!(
        "SELECT NOT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND ({is_member}) <> (sync_priority > 0))"
    );
    until(turn, &known).await?;
    kick(turn).await?;
    primary_position(turn).await
}

/// A record in the log. Commits that wait are looked at anew when a standby has it; otherwise that may take
/// `wal_receiver_status_interval`, ten seconds.
async fn kick(turn: &mut Turn<'_>) -> Result<(), VoiceError> {
    turn.ask("SET synchronous_commit = local").await?;
    turn.ask("SELECT pg_logical_emit_message(true, 'howdah', 'kick')").await?;
    Ok(())
}

/// A sign of life in the log: standbys hear of it, and tell so.
pub(super) async fn heartbeat(turn: &mut Turn<'_>, term: u64) -> Result<(), VoiceError> {
    turn.ask("SET synchronous_commit = local").await?;
    turn.ask(&format!("SELECT pg_logical_emit_message(true, 'howdah', 'beat {term}')")).await.map(drop)
}

/// Primary: whom it will follow once it is a standby, which it does not become by this.
pub(super) async fn aim(turn: &mut Turn<'_>, upstream: Option<&Upstream>) -> Result<(), VoiceError> {
    if turn.is(IN_RECOVERY).await? {
        return Err(VoiceError::Refused("it is in recovery".to_owned()));
    }
    let conninfo = upstream.map(primary_conninfo).unwrap_or_default();
    let slot = upstream.and_then(|upstream| upstream.slot.as_deref()).unwrap_or_default();
    let settings = [("primary_slot_name", slot), ("primary_conninfo", &*conninfo)];
    // Also those that it has from elsewhere: whoever plants `standby.signal` finds them in postgresql.auto.conf and has
    // no reason to write to that file, which would undo an ALTER SYSTEM of the same moment.
    for (name, value) in settings {
        turn.ask(&format!("ALTER SYSTEM SET {name} = {}", literal(value))).await?;
    }
    turn.ask(RELOAD).await?;
    let has_them = settings.map(|(name, value)| format!("current_setting('{name}') = {}", literal(value)));
    until(turn, &format!("SELECT {}", has_them.join(" AND "))).await
}

/// Primary: the end of what has been inserted.
pub(super) async fn end_of_log(turn: &mut Turn<'_>) -> Result<Finding, VoiceError> {
    position(&turn.ask("SELECT pg_current_wal_insert_lsn()").await?)
}

/// A checkpoint; on a standby a restartpoint. Again as long as that takes a while: what was written meanwhile would have
/// to be by the next one, that clients may wait for.
pub(super) async fn checkpoint(turn: &mut Turn<'_>) -> Result<Finding, VoiceError> {
    for _ in 0..CHECKPOINTS_MAX {
        let begun = Instant::now();
        turn.ask("CHECKPOINT").await?;
        if begun.elapsed() < SHORT_CHECKPOINT {
            break;
        }
    }
    Ok(Finding::Nothing)
}

/// Standby: has everything that the stopped primary sent.
pub(super) async fn catch_up(turn: &mut Turn<'_>) -> Result<Finding, VoiceError> {
    must_be_standby(turn).await?;
    until(
        turn,
        "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') \
         AND COALESCE(pg_last_wal_receive_lsn(), '0/0') <= pg_last_wal_replay_lsn()",
    )
    .await?;
    standby_position(turn).await
}

/// Whoever is no primary any more keeps no log for the others: the inactive slots of these names go.
pub(super) async fn drop_slots(turn: &mut Turn<'_>, slots: &[String]) -> Result<Finding, VoiceError> {
    if slots.is_empty() {
        return Ok(Finding::Nothing);
    }
    let names: Vec<_> = slots.iter().map(|slot| literal(slot)).collect();
    let sql = format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
         WHERE slot_type = 'physical' AND NOT active AND restart_lsn IS NOT NULL AND slot_name IN ({})",
        names.join(", ")
    );
    turn.ask(&sql).await?;
    Ok(Finding::Nothing)
}

async fn make_slot(turn: &mut Turn<'_>, slot: &str) -> Result<(), VoiceError> {
    let name = literal(slot);
    let sql = format!(
        "SELECT pg_create_physical_replication_slot({name}) \
         WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {name})"
    );
    turn.ask(&sql).await.map(drop)
}

async fn must_be_standby(turn: &mut Turn<'_>) -> Result<(), VoiceError> {
    match turn.is(IN_RECOVERY).await? {
        true => Ok(()),
        false => Err(VoiceError::Refused("it takes writes".to_owned())),
    }
}

/// ALTER SYSTEM and a reload, unless the setting has that value; over when a session sees it.
async fn set(turn: &mut Turn<'_>, name: &str, value: &str) -> Result<(), VoiceError> {
    let quoted = literal(value);
    let has_it = format!("SELECT current_setting('{name}') = {quoted}");
    if turn.is(&has_it).await? {
        return Ok(());
    }
    turn.ask(&format!("ALTER SYSTEM SET {name} = {quoted}")).await?;
    turn.ask(RELOAD).await?;
    until(turn, &has_it).await
}

/// Looks again and again until a statement answers true.
async fn until(turn: &mut Turn<'_>, sql: &str) -> Result<(), VoiceError> {
    let ends = turn.until();
    let wait = async {
        while !turn.is(sql).await? {
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    timeout_at(ends, wait).await.unwrap_or_else(|_| Err(VoiceError::Lost("it did not come about in time".to_owned())))
}

async fn standby_position(turn: &mut Turn<'_>) -> Result<Finding, VoiceError> {
    position(&turn.ask(STANDBY_POSITION).await?)
}

async fn primary_position(turn: &mut Turn<'_>) -> Result<Finding, VoiceError> {
    position(&turn.ask(PRIMARY_POSITION).await?)
}

fn position(rows: &[Row]) -> Result<Finding, VoiceError> {
    let row = rows.first();
    let at =
        row.and_then(|row| row.parse(0)).ok_or_else(|| VoiceError::Lost("it does not say its position".to_owned()))?;
    Ok(Finding::Position { at, timeline: row.and_then(|row| row.parse(1)) })
}

fn text(set: Option<&StandbySet>) -> String {
    set.map(ToString::to_string).unwrap_or_default()
}

/// Effects that go over SQL to their node alone; `None` for the others.
pub(super) async fn carry_out(turn: &mut Turn<'_>, effect: &Effect) -> Option<Result<Finding, VoiceError>> {
    Some(match effect {
        Effect::Detach => detach(turn).await,
        Effect::PresetSync { set } => preset_sync(turn, set.as_ref()).await,
        Effect::Promote => promote(turn).await,
        Effect::SetSync { set } => set_sync(turn, set.as_ref()).await,
        Effect::Checkpoint => checkpoint(turn).await,
        Effect::CatchUp => catch_up(turn).await,
        Effect::MakeSlot { slot } => make_slot(turn, slot).await.map(|()| Finding::Nothing),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_ends_with_its_last_fork() {
        let history = "1\t0/3000000\tbefore\n\n2\t0/402C6C8\tno recovery target specified\n";
        assert_eq!(last_fork(history), Some(Lsn(0x402_C6C8)));
        assert_eq!(last_fork(""), None);
        assert_eq!(last_fork("1"), None);
    }
}

//! What a probe asks besides of a cluster that heals itself: who streams from whom, and for whom commits wait.
//!
//! The control user needs `pg_monitor` for it (`howdah cluster grant-sql`). Without it nodes are watched
//! as before, and nothing is decided about them.
//! <https://www.postgresql.org/docs/current/monitoring-stats.html>

use std::time::Duration;

use crate::{id::Lsn, server::simple::Row};

/// Prepared once per session.
///
/// Functions of one role fail in the other, so the role is evaluated once, apart. Lists come as one text:
/// fields parted by tabs, which no name that PostgreSQL shows here contains, and rows by line feeds. A standby that
/// receives nothing is known by the names of its log files: its control file tells of a new timeline late.
pub(super) const PREPARE_CLUSTER: &str = "\
PREPARE howdah_cluster AS
SELECT CASE WHEN s.standby THEN pg_is_wal_replay_paused() END,
       CASE WHEN s.standby THEN current_setting('primary_conninfo') = '' END,
       (SELECT concat_ws(E'\\t', status, coalesce(received_tli, 0), coalesce(nullif(sender_host, ''), '-'),
                         coalesce(sender_port, 0),
                         coalesce((extract(epoch FROM clock_timestamp() - last_msg_receipt_time) * 1000)::int8, -1))
        FROM pg_stat_wal_receiver),
       (SELECT string_agg(concat_ws(E'\\t', application_name, state, coalesce(sync_priority, 0), sync_state,
                                    coalesce(flush_lsn::text, '-'),
                                    coalesce((extract(epoch FROM clock_timestamp() - reply_time) * 1000)::int8, -1)),
                          E'\\n')
        FROM pg_stat_replication),
       current_setting('synchronous_standby_names'),
       (SELECT string_agg(slot_name, E'\\n') FROM pg_replication_slots WHERE slot_type = 'physical'),
       CASE WHEN s.standby AND NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE received_tli IS NOT NULL)
            THEN (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int4) FROM pg_ls_waldir()
                  WHERE name ~ '^[0-9A-F]{24}$') END
FROM (SELECT pg_is_in_recovery() AS standby OFFSET 0) s";

/// The question itself.
pub(super) const HOW_IS_THE_CLUSTER: &str = "EXECUTE howdah_cluster";

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSample {
    /// `pg_is_wal_replay_paused()`.
    pub replay_paused: bool,
    /// `primary_conninfo` is empty.
    pub detached: bool,
    /// On a standby: what it receives.
    pub receiver: Option<ReceiverSample>,
    /// Who receives from it.
    pub senders: Vec<SenderSample>,
    /// `synchronous_standby_names`.
    pub synchronous_standby_names: String,
    /// Names of its physical replication slots.
    pub slots: Vec<String>,
    /// On a standby that receives nothing: the timeline of its newest log file.
    pub log_timeline: Option<u32>,
}

/// A row of `pg_stat_wal_receiver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverSample {
    /// `status`.
    pub status: String,
    /// `received_tli`, when it has received something.
    pub timeline: Option<u32>,
    /// `sender_host`.
    pub host: String,
    /// `sender_port`.
    pub port: u16,
    /// Age of the last message.
    pub heard: Option<Duration>,
}

/// A row of `pg_stat_replication`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderSample {
    /// `application_name`.
    pub name: String,
    /// `state`.
    pub state: String,
    /// `sync_priority`.
    pub sync_priority: u32,
    /// `sync_state`.
    pub sync_state: String,
    /// `flush_lsn`.
    pub flushed: Option<Lsn>,
    /// Age of the last reply.
    pub replied: Option<Duration>,
}

impl ClusterSample {
    /// From the answer to [`HOW_IS_THE_CLUSTER`].
    pub(super) fn read(rows: &[Row]) -> Option<Self> {
        let [row] = rows else { return None };
        Some(Self {
            replay_paused: row.bool(0).unwrap_or(false),
            detached: row.bool(1).unwrap_or(false),
            receiver: row.text(2).and_then(receiver),
            senders: row.text(3).unwrap_or_default().lines().filter_map(sender).collect(),
            synchronous_standby_names: row.text(4)?.to_owned(),
            slots: row.text(5).unwrap_or_default().lines().map(str::to_owned).collect(),
            log_timeline: row.parse(6),
        })
    }
}

fn receiver(text: &str) -> Option<ReceiverSample> {
    let mut fields = text.split('\t');
    let (status, timeline) = (fields.next()?, fields.next()?.parse().ok()?);
    let (host, port, heard) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(ReceiverSample {
        status: status.to_owned(),
        timeline: (timeline > 0).then_some(timeline),
        host: host.to_owned(),
        port,
        heard: age(heard),
    })
}

fn sender(line: &str) -> Option<SenderSample> {
    let mut fields = line.split('\t');
    let (name, state) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let (sync_priority, sync_state) = (fields.next()?.parse().ok()?, fields.next()?.to_owned());
    let (flushed, replied) = (fields.next()?.parse().ok(), fields.next()?.parse().ok().and_then(age));
    Some(SenderSample { name, state, sync_priority, sync_state, flushed, replied })
}

/// Milliseconds; by clocks that may differ by a little, and -1 for none.
fn age(ms: i64) -> Option<Duration> {
    (ms != -1).then(|| Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<ClusterSample> {
        let value = |value: &&str| (*value != "NULL").then(|| (*value).to_owned());
        ClusterSample::read(&[Row(values.iter().map(value).collect())])
    }

    #[test]
    fn a_primary_tells_who_receives_from_it() {
        let senders = "n1\tstreaming\t1\tquorum\t0/3000060\t12\nn2\tcatchup\t0\tasync\t-\t-1";
        let sample = read(&["NULL", "NULL", "NULL", senders, "ANY 1 (\"n1\")", "n1\nn2", "NULL"]).unwrap();
        assert_eq!(sample.senders.len(), 2);
        let one = SenderSample {
            name: "n1".into(),
            state: "streaming".into(),
            sync_priority: 1,
            sync_state: "quorum".into(),
            flushed: Some(Lsn(0x300_0060)),
            replied: Some(Duration::from_millis(12)),
        };
        assert_eq!(sample.senders[0], one);
        assert_eq!((sample.senders[1].flushed, sample.senders[1].replied), (None, None));
        assert_eq!(sample.slots, ["n1", "n2"]);
    }

    #[test]
    fn a_standby_tells_from_whom_it_receives() {
        let sample = read(&["f", "f", "streaming\t2\t127.0.0.1\t5432\t40", "NULL", "", "NULL", "NULL"]).unwrap();
        let receiver = sample.receiver.unwrap();
        assert_eq!((receiver.timeline, receiver.port), (Some(2), 5432));
        assert_eq!(receiver.heard, Some(Duration::from_millis(40)));
        let idle = read(&["t", "t", "NULL", "NULL", "", "NULL", "3"]).unwrap();
        assert_eq!(idle.log_timeline, Some(3), "by its files, as it has no receiver");
        assert!(idle.replay_paused && idle.detached && idle.receiver.is_none());
    }

    #[test]
    fn nonsense_is_no_answer() {
        assert_eq!(read(&["t", "t"]), None);
        assert_eq!(ClusterSample::read(&[]), None);
        let garbled = read(&["f", "f", "streaming\tx", "n1\tstreaming", "", "NULL", "x"]).unwrap();
        assert!(garbled.receiver.is_none() && garbled.senders.is_empty());
    }
}

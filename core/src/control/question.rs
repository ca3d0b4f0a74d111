//! What a probe asks, and what it makes of the answer.
//!
//! No privilege is needed for any of it. A control user that is not in `pg_monitor` is told less of
//! a standby's WAL receiver, which makes the standby's lag less precise, never too small.

use std::time::Duration;

use super::observation::{Position, Sample};
use crate::{id::Lsn, server::simple::Row};

/// The last column says whether the session shows what the server's configuration makes of
/// `synchronous_commit`, and not what its own role or database has set.
macro_rules! who_are_you {
    ($system:literal) => {
        concat!(
            "SELECT current_setting('server_version_num'), ",
            $system,
            ", current_setting('wal_block_size'), pg_size_bytes(current_setting('wal_segment_size')), ",
            "(SELECT source IN ('default', 'environment variable', 'configuration file', 'command line') ",
            "FROM pg_settings WHERE name = 'synchronous_commit')"
        )
    };
}

/// Asked once per session: what cannot change during it.
pub(super) const WHO_ARE_YOU: &str = who_are_you!("(SELECT system_identifier FROM pg_control_system())");

/// The same, where control data is not for everyone's eyes.
pub(super) const WHO_ARE_YOU_ROUGHLY: &str = who_are_you!("NULL");

/// Prepared once per session, so that a probe costs the node no planning.
///
/// The role is evaluated once (`OFFSET 0` keeps it apart), because the functions of a primary fail
/// on a standby. A standby's timeline comes from its receiver: the control file tells of a new one
/// only at the next checkpoint or flush.
pub(super) const PREPARE: &str = "\
PREPARE howdah_probe AS
SELECT s.standby,
       CASE WHEN s.standby THEN GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_flush_lsn() END,
       CASE WHEN s.standby THEN pg_last_wal_replay_lsn() END,
       CASE WHEN s.standby
            THEN (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::int8 END,
       CASE WHEN NOT s.standby
            THEN ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8
            ELSE COALESCE(r.received_tli,
                          GREATEST((SELECT timeline_id FROM pg_control_checkpoint()),
                                   (SELECT min_recovery_end_timeline FROM pg_control_recovery()))) END,
       r.status = 'streaming' AND r.received_tli IS NOT NULL,
       CASE WHEN NOT s.standby THEN pg_current_wal_insert_lsn() END,
       current_setting('synchronous_commit') = 'off'
FROM (SELECT pg_is_in_recovery() AS standby OFFSET 0) s
LEFT JOIN pg_stat_wal_receiver r ON true";

/// The probe itself.
pub(super) const HOW_ARE_YOU: &str = "EXECUTE howdah_probe";

/// What stays the same during a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    server_version: u32,
    system: Option<u64>,
    wal: WalLayout,
    /// The session's `synchronous_commit` is that of the server's configuration.
    shows_default: bool,
}

/// How the log is cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WalLayout {
    page_bytes: u64,
    segment_bytes: u64,
}

impl Identity {
    /// From the answer to [`WHO_ARE_YOU`].
    pub(super) fn read(rows: &[Row]) -> Option<Self> {
        let [row] = rows else { return None };
        let wal = WalLayout { page_bytes: row.parse(2)?, segment_bytes: row.parse(3)? };
        let shows_default = row.bool(4) == Some(true);
        Some(Self { server_version: row.parse(0)?, system: row.parse(1), wal, shows_default })
    }

    /// From the answer to [`HOW_ARE_YOU`].
    pub(super) fn sample(self, rows: &[Row]) -> Option<Sample> {
        let [row] = rows else { return None };
        let (received, replayed): (Option<Lsn>, Option<Lsn>) = (row.parse(1), row.parse(2));
        let position = if row.bool(0)? {
            // Replay went on between the two columns.
            let received = received.max(replayed);
            // Clocks differ; what was replayed cannot be from the future.
            let age = row.parse::<i64>(3).map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
            Position::Standby { received, replayed, age, receiving: row.bool(5) == Some(true) }
        } else {
            Position::Primary {
                flushed: received?,
                inserted: row.parse(6).map(|inserted| self.wal.end_of_records(inserted)),
                async_commit: !self.shows_default || row.bool(7) != Some(false),
            }
        };
        let Self { server_version, system, .. } = self;
        Some(Sample { server_version, system, timeline: row.parse(4), position, cluster: None })
    }
}

/// `SizeOfXLogLongPHD` and `SizeOfXLogShortPHD` in PostgreSQL's `xlog_internal.h`: what a page of the log
/// begins with, at the start of a segment and elsewhere.
const LONG_HEADER_BYTES: u64 = 40;
const SHORT_HEADER_BYTES: u64 = 24;

impl WalLayout {
    /// Where the last record ends. When it ends with a page, PostgreSQL names the place for the next one,
    /// behind the header of the next page. That header is written with the next record, and no standby
    /// arrives there before.
    fn end_of_records(self, inserted: Lsn) -> Lsn {
        let behind = |piece_bytes: u64| inserted.0.checked_rem(piece_bytes);
        if behind(self.segment_bytes) == Some(LONG_HEADER_BYTES) {
            Lsn(inserted.0 - LONG_HEADER_BYTES)
        } else if behind(self.page_bytes) == Some(SHORT_HEADER_BYTES) {
            Lsn(inserted.0 - SHORT_HEADER_BYTES)
        } else {
            inserted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAL: WalLayout = WalLayout { page_bytes: 8_192, segment_bytes: 16 << 20 };
    const IDENTITY: Identity = Identity { server_version: 150_018, system: Some(7), wal: WAL, shows_default: true };

    fn row(values: &str) -> Vec<Row> {
        let value = |value: &str| (value != "-").then(|| value.to_owned());
        vec![Row(values.split(' ').map(value).collect())]
    }

    fn sample(values: &str) -> Option<(Option<u32>, Position)> {
        IDENTITY.sample(&row(values)).map(|sample| (sample.timeline, sample.position))
    }

    #[test]
    fn answers_are_read_as_they_are_meant() {
        assert_eq!(Identity::read(&row("150018 7 8192 16777216 t")), Some(IDENTITY));
        let rough = Identity { system: None, shows_default: false, ..IDENTITY };
        assert_eq!(Identity::read(&row("150018 - 8192 16777216 -")), Some(rough));

        let primary = Position::Primary { flushed: Lsn(0x20), inserted: Some(Lsn(0x30)), async_commit: false };
        assert_eq!(sample("f 0/20 - - 3 - 0/30 f"), Some((Some(3), primary)));

        let (received, replayed, age) = (Some(Lsn(0x30)), Some(Lsn(0x20)), Some(Duration::from_millis(1_500)));
        let standby = Position::Standby { received, replayed, age, receiving: true };
        assert_eq!(sample("t 0/30 0/20 1500 2 t"), Some((Some(2), standby)));
    }

    #[test]
    fn a_standby_that_never_received_anything_is_read_too() {
        let empty = Position::Standby { received: None, replayed: None, age: None, receiving: false };
        assert_eq!(sample("t - - - - -"), Some((None, empty)));

        let (replayed, age) = (Some(Lsn(0x20)), Some(Duration::ZERO));
        let ahead = Position::Standby { received: replayed, replayed, age, receiving: false };
        assert_eq!(sample("t 0/10 0/20 -5 1 f"), Some((Some(1), ahead)), "a clock that is ahead");
    }

    #[test]
    fn commits_count_as_asynchronous_unless_the_configuration_says_otherwise() {
        for (shows_default, value, expected) in
            [(true, "f", false), (true, "t", true), (true, "-", true), (false, "f", true)]
        {
            let identity = Identity { shows_default, ..IDENTITY };
            let sample = identity.sample(&row(&format!("f 0/20 - - 3 - 0/30 {value}"))).unwrap();
            let Position::Primary { async_commit, .. } = sample.position else { panic!("{sample:?}") };
            assert_eq!(async_commit, expected, "{shows_default} {value}");
        }
    }

    #[test]
    fn the_log_ends_with_its_last_record_and_not_behind_the_next_header() {
        for (inserted, end) in [
            ("0/4012018", "0/4012000"),
            ("0/4012020", "0/4012020"),
            ("0/4012028", "0/4012028"),
            ("0/4000028", "0/4000000"),
            ("0/4000030", "0/4000030"),
            ("0/4012000", "0/4012000"),
            ("0/0", "0/0"),
        ] {
            assert_eq!(WAL.end_of_records(inserted.parse().unwrap()).to_string(), end, "{inserted}");
        }
        let nonsense = WalLayout { page_bytes: 0, segment_bytes: 0 };
        assert_eq!(nonsense.end_of_records(Lsn(24)), Lsn(24));
    }

    #[test]
    fn nonsense_is_no_answer() {
        for values in ["", "x", "f - - - 1 -", "f x - - 1 -", "- 0/20 - - 1 -"] {
            assert_eq!(sample(values), None, "{values}");
        }
        assert_eq!(IDENTITY.sample(&[]), None);
        assert_eq!(Identity::read(&row("fifteen 7 8192 16777216 t")), None);
    }
}

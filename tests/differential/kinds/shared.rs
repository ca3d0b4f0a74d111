//! What sessions notice of each other: notifications and advisory locks.

use super::super::{
    case::Mark,
    script::{Script, once},
    sent::Sent,
};

/// Channels that all sessions use.
const CHANNELS: [&str; 3] = ["news", "jobs", "\"Mixed Case\""];

const PUBLIC: [Mark; 2] = [Mark::Pins, Mark::Public];

/// LISTEN, NOTIFY and UNLISTEN, in transactions and out of them.
pub fn notify(script: &mut Script<'_>) {
    let channel = script.pick(&CHANNELS);
    for _ in 0..script.random.between(1, 4) {
        let payload = format!("from {} number {}", script.session, script.random.below(3));
        match script.random.below(14) {
            0..=2 => script.either(&PUBLIC, format!("LISTEN {channel}")),
            3 => script.either(&PUBLIC, format!("UNLISTEN {channel}")),
            4 if script.chance(30) => script.either(&PUBLIC, "UNLISTEN *"),
            4..=6 => script.either(&PUBLIC, format!("NOTIFY {channel}, '{payload}'")),
            7 => script.either(&PUBLIC, format!("NOTIFY {channel}")),
            8 => {
                let name = channel.trim_matches('"');
                script.marked(&PUBLIC, vec![once("SELECT pg_notify($1, $2)", &[name, &payload])]);
            }
            9 => {
                // One is enough of those that are equal.
                let sql = format!("NOTIFY {channel}, '{payload}'; NOTIFY news, 'more'; NOTIFY {channel}, '{payload}'");
                script.marked(&PUBLIC, vec![vec![Sent::Query(sql)]]);
            }
            10 if !script.in_transaction => in_transaction(script, channel, &payload),
            11 => script.pinning("SELECT pg_listening_channels()"),
            _ => settle(script),
        }
    }
    settle(script);
}

/// Any request will do: a direct connection has got by its end what was notified before it began.
fn settle(script: &mut Script<'_>) {
    let step = if script.chance(50) { vec![Sent::Sync] } else { vec![Sent::Query("SELECT 1".into())] };
    script.marked(&[Mark::Settles], vec![step]);
}

fn in_transaction(script: &mut Script<'_>, channel: &str, payload: &str) {
    script.marked(&[Mark::Begins, Mark::Public], vec![vec![Sent::Query("BEGIN".into())]]);
    script.in_transaction = true;
    script.marked(&PUBLIC, vec![vec![Sent::Query(format!("NOTIFY {channel}, '{payload}'"))]]);
    if script.chance(50) {
        script.query("SAVEPOINT a");
        script.marked(&PUBLIC, vec![vec![Sent::Query(format!("LISTEN {channel}; NOTIFY jobs, 'taken back'"))]]);
        script.query("ROLLBACK TO a");
    }
    script.write_inside(1);
    let end = script.pick(&["COMMIT", "COMMIT", "ROLLBACK"]);
    script.marked(&[Mark::Public], vec![vec![Sent::Query(end.into())]]);
    script.in_transaction = false;
}

/// Advisory locks: of a session's own, and some that others try to take.
pub fn locks(script: &mut Script<'_>) {
    let own = script.session * 10 + script.random.below(3);
    for _ in 0..script.random.between(2, 5) {
        match script.random.below(12) {
            0 | 1 => script.either(&[Mark::Pins], format!("SELECT pg_advisory_lock({own})")),
            2 => script.either(&[Mark::Pins], format!("SELECT pg_advisory_unlock({own})")),
            3 => script.pinning(format!("SELECT pg_try_advisory_lock_shared({}, 7)", script.session)),
            4 => script.pinning(format!("SELECT pg_advisory_unlock_shared({}, 7)", script.session)),
            5 => script.pinning(format!("SELECT pg_advisory_xact_lock({own})")),
            6 => script.marked(&PUBLIC, vec![vec![Sent::Query("SELECT pg_try_advisory_lock(777777)".into())]]),
            7 => script.marked(&PUBLIC, vec![vec![Sent::Query("SELECT pg_advisory_unlock(777777)".into())]]),
            8 => script.marked(&PUBLIC, vec![once("SELECT pg_try_advisory_xact_lock($1)", &["777777"])]),
            9 => script.marked(&PUBLIC, vec![vec![Sent::Query("SELECT pg_advisory_unlock_all()".into())]]),
            _ => script.query(
                "SELECT classid, objid, mode FROM pg_locks \
                 WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY classid, objid, mode",
            ),
        }
    }
}

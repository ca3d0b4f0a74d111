//! The keys that say how a cluster heals itself.

use super::{
    super::{
        healing::{AutoRejoin, SynchronousMode},
        types::Failover,
        value::words,
    },
    Key, Kind, TIME, whole,
};

pub(in super::super) static KEYS: [Key; 14] = [
    Key::new(
        "failover",
        Kind::Choice(words::<Failover>),
        "off",
        "Who promotes another node when the primary is lost. off: nobody; what needs a primary fails after five seconds \
         without one. external: an operator or another program; clients wait for the new primary up to \
         `failover_hold_timeout`, and sessions outlive the loss of their servers. automatic: Howdah, as \
         `[plugins.failover]` decides (builtin:failover when it is not set); one proxy may do so for a cluster.",
    ),
    Key::new(
        "synchronous_mode",
        Kind::Choice(words::<SynchronousMode>),
        "off",
        "With failover = \"automatic\": off leaves `synchronous_standby_names` alone. on has commits wait for standbys as \
         `[plugins.sync-set]` decides (builtin:sync-set with `allow_degrade` when it is not set), and for nobody while there are none. strict has them wait for one then.",
    ),
    Key::new(
        "auto_rejoin",
        Kind::Choice(words::<AutoRejoin>),
        "follow",
        "What is done by itself with a node that does not follow the primary. off: nothing. follow: a running standby \
         that can follow as it is does so. repair: others are rewound or built anew by their executor. A node that is \
         down is started by REJOIN and REINIT only.",
    ),
    Key::new(
        "replication_slots",
        Kind::Flag,
        "true",
        "Standbys have a replication slot on whomever they follow, named `howdah_` and their name. Set \
         `max_slot_wal_keep_size` on the servers: a standby that stays away has its primary keep the log.",
    ),
    Key::new(
        "crash_grace",
        TIME,
        "5",
        "How long a primary that says it is starting, stopping or recovering (57P03) is left alone before it counts as \
         lost. 0: it is not left alone.",
    ),
    Key::new(
        "hang_timeout",
        TIME,
        "2",
        "How long a primary may be silent, with nobody hearing of it, before it counts as lost.",
    ),
    Key::new(
        "failover_interval",
        TIME,
        "60",
        "Least time from one automatic failover to the next: whatever killed the last primary may kill this one too.",
    ),
    Key::new(
        "maximum_lag_on_failover",
        whole(0, u64::MAX >> 1),
        "1048576",
        "Bytes of log that a standby may lack to be promoted automatically, where commits do not wait for standbys.",
    ),
    Key::new("drain_timeout", TIME, "5", "How long SWITCHOVER waits for open transactions before it is called off."),
    Key::new(
        "fence_timeout",
        TIME,
        "10",
        "How long a failover waits for the standbys that it must hear before it calls for an operator.",
    ),
    Key::new(
        "sync_stall_timeout",
        TIME,
        "5",
        "How long a synchronous standby may be silent before commits stop waiting for it. One whose connection is gone \
         is not waited for.",
    ),
    Key::new(
        "sync_restore_after",
        TIME,
        "10",
        "How long a standby that went behaves well before commits wait for it again.",
    ),
    Key::new(
        "armed_primary",
        Kind::Flag,
        "false",
        "The primary runs with standby.signal in its data directory and the other nodes in its primary_conninfo. Whoever \
         restarts it, after a crash or by mistake, gets a standby: of the new primary, if there is one, else it is \
         promoted again, which costs a timeline for each crash. Needs an executor.",
    ),
    Key::new(
        "event_command",
        Kind::List,
        "",
        "A program and its arguments that is run for each event, one after the other, with HOWDAH_EVENT, HOWDAH_URGENCY \
         (info, warning, alert), HOWDAH_CLUSTER, HOWDAH_NODE, HOWDAH_OP_ID, HOWDAH_EPOCH and HOWDAH_MESSAGE in its \
         environment.",
    ),
];

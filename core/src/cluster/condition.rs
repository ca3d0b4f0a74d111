//! What a sight says of the primary: the rules of detection, for one observer.
//!
//! Three witnesses are heard: the *door* (does it take new sessions), the *held session* (does it answer), and the
//! *standbys* (do they still hear it). One alone proves nothing: a door that is shut may be a postmaster that
//! stands still while every session works, a refusal may come from another hop, a standby goes on saying
//! `streaming` for a primary that hangs.
//!
//! | Door | Held session | Standbys | |
//! |---|---|---|---|
//! | refused | broke without a word, or after a crash | have lost it | lost at once: *gone* |
//! | refused | the server said that it stops | have lost it | left alone for `crash_grace` |
//! | 57P03 | any that does not answer | any | left alone for `crash_grace` |
//! | shut | silent for `hang_timeout` | have lost it, or heard nothing as long | lost: *hung* |
//! | shut | silent for `hang_timeout` | hear it | lost to us alone: *cut off* |
//! | any | answers, in recovery | any | lost: *demoted* |
//! | any | answers | any | healthy, or doubtful when the door is shut |
//! | full, or wrong credentials | any | any | never lost: it is alive, or nothing is known |

use std::time::Duration;

use super::{
    settings::Settings,
    sight::{Door, Held, SeenNode, Sight},
    view::Role,
};

/// How long a standby's last message from its primary counts as fresh: two heartbeats of a second.
pub(super) const HEARD_FRESH: Duration = Duration::from_secs(2);

/// The state of the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It answers.
    Healthy,
    /// Something is wrong, and it may be nothing.
    Doubtful {
        /// Sessions that are open work.
        usable: bool,
        /// In words.
        why: &'static str,
        /// When it would be something else although nothing new is seen, as a time from now.
        until: Option<Duration>,
    },
    /// It says that it is on its way.
    Recovering {
        /// How much of its grace is left.
        left: Duration,
    },
    /// It is lost.
    Lost(Proof),
}

/// Why it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its sessions broke, nobody listens, the standbys have lost it.
    Gone,
    /// Nothing answers, the standbys hear nothing.
    Hung,
    /// Its grace is over.
    NotBack,
    /// It is in recovery.
    Demoted,
    /// Nothing answers, but the standbys hear it: the trouble is between us and it. Only a cluster whose
    /// standbys can keep it from acknowledging anything may fail over.
    CutOff,
}

impl Proof {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Gone => "its sessions broke, nobody listens there, and its standbys have lost it",
            Self::Hung => "nothing there answers, and its standbys hear nothing",
            Self::NotBack => "it did not come back within crash_grace",
            Self::Demoted => "it is in recovery",
            Self::CutOff => "nothing there answers us, but its standbys hear it",
        }
    }
}

/// What standbys say of the primary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Testimony {
    /// At least one hears it.
    Heard,
    /// Those that answer do not.
    Lost,
    /// None answers.
    None,
}

/// What follows from a sight that was taken `age` ago. `credible` is for how long silences have been watched
/// without a gap: what lasted longer may have been our own.
pub fn assess(primary: &SeenNode, sight: &Sight, age: Duration, credible: Duration, settings: &Settings) -> Condition {
    let lasting = |time: Duration| (time + age).min(credible);
    let testimony = hear_standbys(primary, sight, age);
    let shut = matches!(primary.door, Door::Refused | Door::TimedOut | Door::Failed(_));
    let absent = match primary.held {
        Held::Answers if primary.viewed.role == Role::Standby => return Condition::Lost(Proof::Demoted),
        Held::Answers if shut => return doubtful(true, "takes no new sessions, while those that are open work", None),
        Held::Answers => return Condition::Healthy,
        Held::Absent => lasting(primary.door_for),
        Held::Silent(time) | Held::Reset(time) | Held::Stopped(time) | Held::Crashed(time) => lasting(time),
    };
    let broke = matches!(primary.held, Held::Reset(_) | Held::Crashed(_));
    match primary.door {
        Door::Open => doubtful(false, "takes new sessions, but the one that was held is gone or silent", None),
        Door::Full | Door::Misconfigured(_) => {
            doubtful(true, "cannot be looked into; nothing says that it is lost", None)
        }
        Door::Refused if broke && testimony == Testimony::Lost => Condition::Lost(Proof::Gone),
        Door::NotReady(_) => grace(absent, testimony, settings),
        Door::Refused if matches!(primary.held, Held::Stopped(_)) => grace(absent, testimony, settings),
        _ if absent < settings.hang_timeout => doubtful(false, "does not answer", Some(settings.hang_timeout - absent)),
        _ => match testimony {
            Testimony::Lost => Condition::Lost(Proof::Hung),
            Testimony::Heard => Condition::Lost(Proof::CutOff),
            Testimony::None => doubtful(false, "does not answer, and neither does any standby", None),
        },
    }
}

/// It announced that it goes or comes; it gets some time.
fn grace(absent: Duration, testimony: Testimony, settings: &Settings) -> Condition {
    match settings.crash_grace.checked_sub(absent).filter(|left| !left.is_zero()) {
        Some(left) => Condition::Recovering { left },
        None if testimony == Testimony::Lost => Condition::Lost(Proof::NotBack),
        None => doubtful(false, "did not come back, and no standby confirms it", None),
    }
}

fn doubtful(usable: bool, why: &'static str, until: Option<Duration>) -> Condition {
    Condition::Doubtful { usable, why, until }
}

fn hear_standbys(primary: &SeenNode, sight: &Sight, age: Duration) -> Testimony {
    let standbys = sight.nodes.iter().filter(|node| node.viewed.id != primary.viewed.id && node.follows());
    let mut testimony = Testimony::None;
    for standby in standbys {
        let fresh = standby.receiver.and_then(|receiver| receiver.heard).is_none_or(|heard| heard + age < HEARD_FRESH);
        if standby.streams_from(primary.viewed.id) && fresh {
            return Testimony::Heard;
        }
        testimony = Testimony::Lost;
    }
    testimony
}

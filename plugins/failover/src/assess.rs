//! Is the primary lost? Observers have an opinion each, a quorum of them decides, and the standbys may
//! contradict.

use std::time::Duration;

use howdah_plugin::{
    Node, NodeId, NodeRole,
    failover::{Election, Trigger, Verdict},
    observation::{Cluster, NodeReport, Reachability},
};

use crate::{
    elect::elect,
    settings::{HeardByStandbys, Settings},
};

/// What one observer makes of the primary.
#[derive(Debug, PartialEq, Eq)]
enum Opinion {
    /// It answers.
    Well,
    /// Something is wrong on our side; this says nothing of the node.
    None(String),
    /// Not well, for too short a time.
    Suspect(String),
    /// Not well, for long enough.
    Lost(String),
}

/// The verdict, with the reason for the operator.
pub fn assess(settings: &Settings, cluster: &Cluster) -> Verdict {
    let again = |why| Verdict::Wait((settings.recheck.0, why));
    let Some(primary) = cluster.primary else {
        return Verdict::Hold("nobody knows which node is the primary".to_owned());
    };
    let testimony = testimony(settings, cluster, primary);
    // A refusal or a silence alone may be of the way there; together with the standbys' word it needs no repetition.
    let fall = if testimony == Testimony::Lost { 1 } else { settings.fall };
    let fresh = cluster.reports_of(primary, settings.report_max_age.0);
    let opinions: Vec<_> = fresh.map(|(_, report)| opinion(settings, report, fall)).collect();
    let needed = usize::from(cluster.quorum.needed.max(1));
    let lost = opinions.iter().filter(|opinion| matches!(opinion, Opinion::Lost(_))).count();
    let suspect = opinions.iter().filter(|opinion| matches!(opinion, Opinion::Suspect(_))).count();

    if lost + suspect == 0 {
        return calm(settings, &opinions);
    }
    let reason = first_reason(&opinions);
    if lost + suspect < needed {
        let observers = cluster.quorum.observers;
        return Verdict::Hold(format!("{} of {observers} observers, {needed} are needed: {reason}", lost + suspect));
    }
    if lost < needed {
        return again(reason);
    }
    if cluster.paused {
        return Verdict::Hold(format!("automatic failover is paused; {reason}"));
    }
    // Where it was restarted as a standby, others may stream from it, and nobody takes writes until somebody is promoted.
    let is_demoted = cluster
        .reports_of(primary, settings.report_max_age.0)
        .any(|(_, report)| report.reachability == Reachability::Ok && report.role == NodeRole::Standby);
    if let Testimony::HeardBy(name) = testimony
        && !is_demoted
        && !(cluster.synchronous && settings.heard_by_standbys == HeardByStandbys::FailOverIfSynchronous)
    {
        return contradiction(settings, cluster, primary, name);
    }
    if let Some(remaining) = too_soon(settings, cluster).filter(|_| !is_demoted) {
        let why = format!("the last promotion was less than {} ago; {reason}", time(settings.min_interval.0));
        return Verdict::Wait((remaining, why));
    }
    match elect(settings, cluster, Trigger::Automatic, None) {
        Election::Promote(_) => {
            Verdict::FailOver(format!("{lost} of {} observers: {reason}", cluster.quorum.observers))
        }
        Election::Retry((_, why)) => again(format!("{reason}, but {why}")),
        Election::Abstain(why) => Verdict::Hold(format!("{reason}, but {why}")),
    }
}

fn opinion(settings: &Settings, report: &NodeReport, fall: u32) -> Opinion {
    let often = report.checks >= settings.fall;
    let lasting = time(report.lasting);
    let (is_lost, why) = match &report.reachability {
        // It says so itself: asking again would make it no truer.
        Reachability::Ok if report.role == NodeRole::Standby => (true, "it has become a standby".to_owned()),
        Reachability::Ok => return Opinion::Well,
        Reachability::Misconfigured(why) => return Opinion::None(why.clone()),
        Reachability::Refused => (report.checks >= fall, "it refuses connections".to_owned()),
        Reachability::TimedOut => (
            report.checks >= fall && report.lasting >= settings.hang_timeout.0,
            format!("it has not answered for {lasting}"),
        ),
        Reachability::NotReady(said) => {
            (report.lasting >= settings.crash_grace.0, format!("it has not been ready for {lasting}: {said}"))
        }
        Reachability::Failed(how) => (often, format!("it cannot be reached: {how}")),
    };
    if is_lost { Opinion::Lost(why) } else { Opinion::Suspect(why) }
}

/// Nobody suspects anything.
fn calm(settings: &Settings, opinions: &[Opinion]) -> Verdict {
    if opinions.contains(&Opinion::Well) {
        return Verdict::Healthy;
    }
    match opinions.iter().find_map(reason) {
        Some(why) => Verdict::Hold(format!("nobody can tell how the primary is: {why}")),
        None => Verdict::Wait((settings.recheck.0, "no report on the primary is fresh".to_owned())),
    }
}

/// What the primary's own standbys say of it.
#[derive(Debug, PartialEq, Eq)]
enum Testimony<'a> {
    /// This one hears it.
    HeardBy(&'a str),
    /// Those that say anything do not.
    Lost,
    /// None says anything.
    None,
}

fn testimony<'a>(settings: &Settings, cluster: &'a Cluster, primary: NodeId) -> Testimony<'a> {
    // One that streams from another standby hears that one.
    let own = |node: &&Node| node.id != primary && node.upstream.is_none_or(|upstream| upstream == primary);
    let mut testimony = Testimony::None;
    for node in cluster.nodes.iter().filter(own) {
        for (_, report) in cluster.reports_of(node.id, settings.report_max_age.0) {
            match (&report.reachability, report.streaming) {
                (Reachability::Ok, Some(true)) => return Testimony::HeardBy(&node.name),
                (Reachability::Ok, Some(false)) => testimony = Testimony::Lost,
                _ => {}
            }
        }
    }
    testimony
}

/// Observers have lost the primary, and a standby hears it.
fn contradiction(settings: &Settings, cluster: &Cluster, primary: NodeId, witness: &str) -> Verdict {
    let why = format!("{witness} still hears the primary");
    let for_long = cluster
        .reports_of(primary, settings.report_max_age.0)
        .any(|(_, report)| report.reachability != Reachability::Ok && report.lasting >= settings.witness_timeout.0);
    if for_long {
        Verdict::Hold(format!("{why}: the network between it and the observers is broken"))
    } else {
        Verdict::Wait((settings.recheck.0, why))
    }
}

/// The rest of the shortest interval, in milliseconds.
fn too_soon(settings: &Settings, cluster: &Cluster) -> Option<u32> {
    /// The host takes no longer waits.
    const WAIT_MAX_MS: u64 = 600_000;
    let since = cluster.now.saturating_sub(cluster.last_promotion?);
    let remaining = u64::from(settings.min_interval.0).checked_sub(since).filter(|rest| *rest > 0)?;
    u32::try_from(remaining.clamp(u64::from(settings.recheck.0), WAIT_MAX_MS)).ok()
}

/// What speaks loudest: that it is lost before that it may be.
fn first_reason(opinions: &[Opinion]) -> String {
    let lost = opinions.iter().find(|opinion| matches!(opinion, Opinion::Lost(_)));
    let suspect = || opinions.iter().find(|opinion| matches!(opinion, Opinion::Suspect(_)));
    lost.or_else(suspect).and_then(reason).unwrap_or_default().to_owned()
}

fn reason(opinion: &Opinion) -> Option<&str> {
    match opinion {
        Opinion::Well => None,
        Opinion::None(why) | Opinion::Suspect(why) | Opinion::Lost(why) => Some(why),
    }
}

fn time(millis: u32) -> String {
    match millis {
        0 => "0s".to_owned(),
        millis => format!("{:?}", Duration::from_millis(millis.into())),
    }
}

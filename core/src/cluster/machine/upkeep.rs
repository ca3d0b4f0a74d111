//! Keeps the synchronous set: for whom commits wait on the primary, and whom an election must hear.
//!
//! The sync-set policy says what it should be, the rules here what it may be, and
//! [`next_move`] in which order the two sides get there. A standby that went is fit again only after it has behaved well for
//! `sync_restore_after`; otherwise one that comes and goes would stall commits each time.

use std::time::Duration;

use super::super::{
    action::{Ask, Effect, Finding, Urgency},
    name::Name,
    settings::SyncMode,
    sight::{SeenNode, Sender, SyncNames},
    state::Cause,
    sync_set::{Electorate, Move, next_move},
    verdict::{StandbySet, SyncDecision},
};
use super::{
    Machine,
    inquiry::{Inquiry, Turn},
    tasks::Progress,
};
use crate::id::Lsn;

/// How often the policy is asked although nothing changed.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A reload, a look at each WAL sender, and a record: some ten milliseconds.
const SET_MAX: Duration = Duration::from_secs(5);

/// The operation number of what belongs to none.
pub(super) const NO_OPERATION: u64 = 0;

/// The present state of the synchronous set.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    pub(super) decide: Inquiry<SyncDecision>,
    /// What the policy wants.
    target: Option<Option<StandbySet>>,
    /// What is in effect for certain, and the primary's position since when it is.
    known: Option<(Option<StandbySet>, Lsn)>,
    fitness: Vec<Fitness>,
    /// Fitness changed: the policy is asked at once.
    changed: bool,
    refused: Option<String>,
}

/// Whether commits may wait for a standby.
#[derive(Clone, Debug)]
struct Fitness {
    name: Name,
    /// It streams, answers and is near.
    good: bool,
    /// Since when that is so.
    since: Duration,
    /// It was good once and then was not.
    lapsed: bool,
}

impl Upkeep {
    /// Another primary: what is in effect there has to be found out. Alone, it need not wait for anybody.
    pub(super) fn renew(&mut self, alone: bool) {
        self.decide = Inquiry::Idle;
        self.target = alone.then_some(None);
        self.known = None;
        // Whoever went from the last primary, to follow this one, has not failed it.
        self.fitness.clear();
    }
}

impl Machine {
    /// Notes who behaves well, at each sight.
    pub(super) fn weigh_standbys(&mut self) {
        let Some(primary) = self.healthy_primary() else { return };
        let flushed = primary.viewed.received;
        let good = |sender: &Sender| {
            let near = match (flushed, sender.flushed) {
                (Some(there), Some(here)) => there.0.saturating_sub(here.0) <= self.settings.max_lag_bytes,
                _ => false,
            };
            sender.streaming && near && sender.replied.is_none_or(|age| age < self.settings.sync_stall_timeout)
        };
        let verdicts: Vec<(Name, bool)> = (self.settings.nodes.iter())
            .filter(|node| node.name != *primary.viewed.name)
            .map(|node| {
                (node.name.clone(), primary.senders.iter().any(|sender| *sender.name == *node.name && good(sender)))
            })
            .collect();
        let now = self.now;
        let upkeep = &mut self.upkeep;
        upkeep.fitness.retain(|fitness| verdicts.iter().any(|(name, _)| *name == fitness.name));
        for (name, good) in verdicts {
            match upkeep.fitness.iter_mut().find(|fitness| fitness.name == name) {
                None => upkeep.fitness.push(Fitness { name, good, since: now, lapsed: false }),
                Some(fitness) if fitness.good != good => {
                    fitness.lapsed |= fitness.good;
                    (fitness.good, fitness.since) = (good, now);
                    upkeep.changed = true;
                }
                Some(_) => {}
            }
        }
    }

    /// The primary, if it answers as one on the route's timeline.
    pub(super) fn healthy_primary(&self) -> Option<&SeenNode> {
        let primary = self.seen(self.record.route.primary.as_deref()?)?;
        let current = primary.claims() && primary.viewed.timeline == Some(self.record.route.timeline);
        (current && self.asked_after(primary, self.route_since)).then_some(primary)
    }

    /// Commits may wait for it: it behaves well, and has for long enough if it ever did not.
    pub(super) fn is_fit(&self, name: &str) -> bool {
        self.upkeep.fitness.iter().any(|fitness| {
            let proved = !fitness.lapsed || self.now >= fitness.since + self.settings.sync_restore_after;
            *fitness.name == *name && fitness.good && proved
        })
    }

    fn is_live(&self, name: &str) -> bool {
        self.upkeep.fitness.iter().any(|fitness| *fitness.name == *name && fitness.good)
    }

    /// Does the next move, or asks whether there should be one.
    pub(super) fn keep_sync_set(&mut self) -> bool {
        if self.settings.sync == SyncMode::Off {
            return self.leave_sync_alone();
        }
        let Some(primary) = self.healthy_primary().map(|node| (Name::from(&node.viewed.name), node.sync_names.clone()))
        else {
            return false;
        };
        let (primary, names) = primary;
        if let Some(set) = self.tasks.pending_set(&primary) {
            // Nothing is decided while it is not certain what is in effect.
            return self.apply(&primary, set);
        }
        let in_effect = match (&self.upkeep.known, names) {
            (Some((known, _)), _) => known.clone(),
            (None, SyncNames::Unknown) => return false,
            (None, SyncNames::Nobody) => None,
            (None, SyncNames::Set(set)) => Some(set),
            (None, SyncNames::Foreign(_)) => return self.replace_foreign(&primary),
        };
        let target = self.upkeep.target.clone().unwrap_or_else(|| in_effect.clone());
        let moved = match next_move(&self.record.electorate, in_effect.as_ref(), target.as_ref()) {
            None => self.ask_for_set(in_effect.clone()),
            Some(Move::Set(set)) => self.apply(&primary, set),
            Some(Move::Electorate(electorate)) => self.change_electorate(&primary, electorate, in_effect.clone()),
        };
        let short = match &in_effect {
            None => true,
            Some(set) => set.members.iter().filter(|name| self.is_live(name)).count() < usize::from(set.count),
        };
        let degraded = short || self.record.electorate == Electorate::Nobody;
        moved || self.turn(if degraded { Cause::SyncLost } else { Cause::SyncRestored })
    }

    /// The set is not managed (any more): an election is bound by what it may lose.
    fn leave_sync_alone(&mut self) -> bool {
        if self.record.electorate != Electorate::Unbound {
            self.record.electorate = Electorate::Unbound;
            self.log();
        }
        self.turn(Cause::SyncRestored)
    }

    /// Something that we did not write: nobody can be elected by it, and it is replaced by what the policy says.
    fn replace_foreign(&mut self, primary: &Name) -> bool {
        if self.record.electorate != Electorate::Nobody {
            self.record.electorate = Electorate::Nobody;
            self.log();
        }
        match self.upkeep.target.clone() {
            Some(target) => self.apply(primary, target),
            None => self.ask_for_set(None),
        }
    }

    /// Changes `synchronous_standby_names`.
    fn apply(&mut self, primary: &Name, set: Option<StandbySet>) -> bool {
        let effect = Effect::SetSync { set: set.clone() };
        match self.want(NO_OPERATION, primary, effect.clone(), SET_MAX) {
            Progress::Done(Finding::Position { at, .. }) => {
                self.upkeep.known = Some((set, at));
                self.tasks.renew(primary, &effect);
                true
            }
            Progress::Done(_) => {
                self.tasks.renew(primary, &effect);
                false
            }
            Progress::Failing { unknown: true, .. } => {
                // In effect is the old one or the new one.
                self.upkeep.known = None;
                false
            }
            Progress::Pending | Progress::Failing { .. } => false,
        }
    }

    /// Changes whom an election must hear. Unless that gets stricter, those in effect must have everything that
    /// was committed before they were.
    fn change_electorate(&mut self, primary: &Name, electorate: Electorate, in_effect: Option<StandbySet>) -> bool {
        if !is_stricter(&electorate, &self.record.electorate) {
            let Some((_, since)) = self.upkeep.known.clone() else { return self.apply(primary, in_effect) };
            let Some(set) = in_effect else { return false };
            if !self.has_arrived(&set, since) {
                // They may never: the policy may know others.
                return self.ask_for_set(Some(set));
            }
        }
        self.tell(Urgency::Info, "electorate", None, words(&electorate));
        self.record.electorate = electorate;
        self.log();
        true
    }

    /// As many of the set as commits wait for have flushed up to there.
    fn has_arrived(&self, set: &StandbySet, at: Lsn) -> bool {
        let Some(primary) = self.healthy_primary() else { return false };
        let there = |sender: &&Sender| {
            set.members.contains(&sender.name)
                && sender.streaming
                && sender.flushed.is_some_and(|flushed| flushed >= at)
        };
        primary.senders.iter().filter(there).count() >= usize::from(set.count)
    }

    fn ask_for_set(&mut self, current: Option<StandbySet>) -> bool {
        if std::mem::take(&mut self.upkeep.changed) && matches!(self.upkeep.decide, Inquiry::Resting(_)) {
            self.upkeep.decide = Inquiry::Idle;
        }
        let mut decide = std::mem::take(&mut self.upkeep.decide);
        let turn = decide.turn(self.now);
        self.upkeep.decide = decide;
        match turn {
            Turn::Ask => {
                let Some(view) = self.view() else { return false };
                self.upkeep.decide = self.ask(Ask::Sync { view, current });
                false
            }
            Turn::Wait(until) => {
                self.wake_by(until);
                false
            }
            Turn::Answer(answer) => {
                self.upkeep.decide = Inquiry::Resting(self.now + ASK_EVERY);
                self.wake_by(self.now + ASK_EVERY);
                let target = match answer {
                    Ok(SyncDecision::Change(set)) => Some(set),
                    Ok(SyncDecision::Nobody(_)) => None,
                    Ok(SyncDecision::Keep) | Err(_) => return false,
                };
                self.adopt(target, current.as_ref())
            }
        }
    }

    /// Takes the policy's decision for the target, if it may be.
    fn adopt(&mut self, target: Option<StandbySet>, current: Option<&StandbySet>) -> bool {
        match self.check_set(target.as_ref(), current) {
            Ok(()) => {
                self.upkeep.refused = None;
                let changed = target.as_ref() != current;
                self.upkeep.target = Some(target);
                changed
            }
            Err(why) => {
                if self.upkeep.refused.as_ref() != Some(&why) {
                    self.tell(Urgency::Warning, "set-sync", None, format!("refused: {why}"));
                    self.upkeep.refused = Some(why);
                }
                false
            }
        }
    }

    fn check_set(&self, target: Option<&StandbySet>, current: Option<&StandbySet>) -> Result<(), String> {
        let strict = self.settings.sync == SyncMode::Strict;
        let Some(target) = target else {
            return if strict { Err("commits always wait for somebody in strict mode".into()) } else { Ok(()) };
        };
        if target.count == 0 || usize::from(target.count) > target.members.len() {
            return Err(format!("{} of {} nodes", target.count, target.members.len()));
        }
        for (place, member) in target.members.iter().enumerate() {
            let settings = self.settings.node(member).ok_or_else(|| format!("no node is named {member}"))?;
            if !settings.sync || self.record.route.is_primary(member) || target.members[..place].contains(member) {
                return Err(format!("{member} cannot be waited for"));
            }
            let new = current.is_none_or(|current| !current.members.contains(member));
            if new && !self.is_fit(member) {
                return Err(format!("{member} has not behaved well for long enough"));
            }
        }
        let live = target.members.iter().filter(|member| self.is_live(member)).count();
        if live < usize::from(target.count) && !strict {
            return Err(format!("commits would wait for {} and {live} are there", target.count));
        }
        Ok(())
    }
}

/// Whoever satisfies the first has satisfied the second.
fn is_stricter(new: &Electorate, old: &Electorate) -> bool {
    match (new, old) {
        (Electorate::Nobody, _) => true,
        (Electorate::Quorum { members, hear }, Electorate::Quorum { members: before, hear: needed }) => {
            let strangers = members.iter().filter(|name| !before.contains(name)).count();
            *hear >= needed + strangers
        }
        _ => false,
    }
}

fn words(electorate: &Electorate) -> String {
    match electorate {
        Electorate::Unbound => "commits wait for nobody, by configuration".into(),
        Electorate::Nobody => "nobody can be elected".into(),
        Electorate::Quorum { members, hear } => {
            let names: Vec<&str> = members.iter().map(|name| &**name).collect();
            format!("an election must hear {hear} of {}", names.join(", "))
        }
    }
}

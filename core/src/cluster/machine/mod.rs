//! Turns events into actions.

use std::time::Duration;

use super::{
    action::{Action, Event},
    operation::Record,
    settings::Settings,
    standing::Standing,
    state::State,
    view::View,
};

/// What one cluster decides.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    record: Record,
    state: State,
    since: Duration,
    now: Duration,
}

impl Machine {
    /// Nothing has been seen yet; `record` is what the log holds.
    pub fn new(settings: Settings, record: Option<Record>) -> Self {
        let record = record.unwrap_or_default();
        Self { settings, record, state: State::Learning, since: Duration::ZERO, now: Duration::ZERO }
    }

    /// Takes in what happened. `now` is the time since some instant, the same for the machine's whole life; it
    /// never goes back.
    pub fn take(&mut self, now: Duration, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        if let Event::Reconfigured(settings) = event {
            self.settings = settings;
        }
        Vec::new()
    }

    /// When [`Event::Tick`] is due although nothing happens.
    pub fn wake_at(&self) -> Option<Duration> {
        None
    }

    /// What policies see now; none before the first sight.
    pub fn view(&self) -> Option<View> {
        None
    }

    /// How the cluster stands.
    pub fn standing(&self) -> Standing {
        Standing {
            state: self.state,
            since: self.since,
            why: String::new(),
            route: self.record.route.clone(),
            hold: None,
            quarantine: Vec::new(),
            drained: self.record.drained.clone(),
            sync: None,
            electorate: self.record.electorate.clone(),
            paused: self.record.paused,
            operation: self.record.operation.clone(),
            tasks: Vec::new(),
        }
    }
}

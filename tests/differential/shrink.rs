//! Makes a case that shows a difference as small as it gets while it still shows it.

use std::time::{Duration, Instant};

use super::{bed::Bed, case::Case, difference::Difference, run::run, sent::Sent};

/// Longest time that is spent on one case. Cases that end in silence take seconds for each attempt.
const TIME_MAX: Duration = Duration::from_secs(90);

/// How often a case is tried before it counts as one that shows the difference by chance only.
const ATTEMPTS: usize = 3;

/// A case and the difference that it shows.
pub struct Shrunk {
    /// The case.
    pub case: Case,
    /// What it shows.
    pub difference: Box<Difference>,
    /// Whether it does so again.
    pub is_repeatable: bool,
}

/// The smallest case found that shows a difference with the same gist.
pub fn shrink(bed: &mut Bed, case: Case, difference: Box<Difference>) -> Shrunk {
    let gist = difference.gist();
    let mut shrinking = Shrinking { bed, gist, begun: Instant::now(), best: case, difference };
    let first = shrinking.best.clone();
    if !(0..ATTEMPTS).any(|_| shrinking.still_shows(first.clone())) {
        return Shrunk { case: first, difference: shrinking.difference, is_repeatable: false };
    }
    shrinking.drop_what_was_not_begun();
    shrinking.drop_sessions();
    shrinking.drop_requests();
    shrinking.ask_one_by_one();
    shrinking.drop_requests();
    shrinking.drop_messages();
    shrinking.drop_parameters();
    shrinking.number_anew();
    Shrunk { case: shrinking.best, difference: shrinking.difference, is_repeatable: true }
}

struct Shrinking<'a> {
    bed: &'a mut Bed,
    gist: String,
    begun: Instant,
    best: Case,
    difference: Box<Difference>,
}

impl Shrinking<'_> {
    /// Tries a smaller case; keeps it when it shows the same.
    fn still_shows(&mut self, case: Case) -> bool {
        if self.begun.elapsed() > TIME_MAX {
            return false;
        }
        match run(self.bed, &case) {
            Err(difference) if difference.gist() == self.gist => {
                (self.best, self.difference) = (case, difference);
                true
            }
            _ => false,
        }
    }

    fn without(&self, dropped: impl Fn(usize) -> bool) -> Case {
        let kept = self.best.requests.iter().enumerate().filter(|(number, _)| !dropped(*number));
        Case { stage: self.best.stage.clone(), requests: kept.map(|(_, request)| request.clone()).collect() }
    }

    fn drop_what_was_not_begun(&mut self) {
        let last = self.difference.number;
        let shorter = self.without(|number| number > last);
        self.still_shows(shorter);
    }

    fn drop_sessions(&mut self) {
        for session in self.best.sessions() {
            let fewer = self.without(|number| self.best.requests[number].session == session);
            if !fewer.requests.is_empty() {
                self.still_shows(fewer);
            }
        }
    }

    /// Drops ever smaller pieces, from the end: what comes late seldom matters to what comes before.
    fn drop_requests(&mut self) {
        let mut size = self.best.requests.len() / 2;
        while size > 0 {
            let mut end = self.best.requests.len();
            while end > 0 {
                let begin = end.saturating_sub(size);
                let fewer = self.without(|number| (begin..end).contains(&number));
                if !fewer.requests.is_empty() {
                    self.still_shows(fewer);
                }
                end = begin.min(self.best.requests.len());
            }
            size /= 2;
        }
    }

    fn ask_one_by_one(&mut self) {
        let mut calmer = self.best.clone();
        calmer.stage.at_once = 1;
        self.still_shows(calmer);
    }

    /// Drops messages of requests that are sent in one go; the last one ends the answer and stays.
    fn drop_messages(&mut self) {
        for number in 0..self.best.requests.len() {
            let [step] = &self.best.requests[number].steps[..] else { continue };
            if step.iter().any(Sent::is_of_copy) {
                continue;
            }
            for at in (0..step.len().saturating_sub(1)).rev() {
                let mut shorter = self.best.clone();
                shorter.requests[number].steps[0].remove(at);
                self.still_shows(shorter);
            }
        }
    }

    fn drop_parameters(&mut self) {
        for session in 0..self.best.stage.sessions.len() {
            for at in (0..self.best.stage.sessions[session].len()).rev() {
                let mut fewer = self.best.clone();
                fewer.stage.sessions[session].remove(at);
                self.still_shows(fewer);
            }
        }
    }

    /// Leaves no gaps between the sessions' numbers, which stand in what they read and sometimes in what they ask.
    fn number_anew(&mut self) {
        let used = self.best.sessions();
        let mut dense = self.best.clone();
        for request in &mut dense.requests {
            request.session = used.iter().position(|session| *session == request.session).unwrap_or_default();
        }
        dense.stage.sessions = used.iter().map(|session| self.best.stage.sessions[*session].clone()).collect();
        if !self.still_shows(dense) {
            let mut shorter = self.best.clone();
            shorter.stage.sessions.truncate(used.last().map_or(0, |last| last + 1));
            self.still_shows(shorter);
        }
    }
}

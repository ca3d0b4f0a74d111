//! What came of one case, in figures.

use std::time::{Duration, Instant};

use howdah_tests::history::{History, Request, Told};

use crate::{cases::Case, watch::Happening};

/// The pictures show what was answered in each of these.
const SLOT: Duration = Duration::from_millis(100);

/// Something that had to be so, and whether it was.
#[derive(Clone, Debug)]
pub struct Promise {
    pub words: String,
    pub kept: bool,
}

/// Which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    Writes,
    Reads,
}

/// What came of one case.
pub struct Take {
    pub case: &'static Case,
    pub history: History,
    /// In their order.
    pub happenings: Vec<Happening>,
    pub opened: Instant,
    pub closed: Instant,
    /// Rows that are stored.
    pub rows: usize,
    /// Rows that were acknowledged and are not stored.
    pub lost: usize,
    pub promises: Vec<Promise>,
    /// What the proxy logged.
    pub log: Vec<String>,
}

impl Take {
    /// The moment that the pictures count from.
    pub fn origin(&self) -> Instant {
        let first = self.happenings.iter().find(|happening| happening.kind == "fault");
        first.map_or(self.opened, |fault| fault.at)
    }

    /// Seconds from the first fault to then.
    pub fn seconds(&self, at: Instant) -> f64 {
        let origin = self.origin();
        at.saturating_duration_since(origin).as_secs_f64() - origin.saturating_duration_since(at).as_secs_f64()
    }

    /// Something that had to be so.
    pub fn promise(&mut self, words: impl Into<String>, kept: bool) {
        self.promises.push(Promise { words: words.into(), kept });
    }

    /// The promises about clients.
    pub fn judge(&mut self) {
        let reads = self.errors(Traffic::Reads).count();
        self.promise("no read fails", reads == 0);
        match self.case.errors_allowed {
            0 => {
                let writes = self.errors(Traffic::Writes).count();
                self.promise("no write fails", writes == 0);
            }
            most => {
                let worst = self.history.most_errors_of_a_writer();
                self.promise(format!("no writer sees more than {most} error"), worst <= most);
            }
        }
    }

    /// The longest time without an answer since the first fault.
    pub fn outage(&self, traffic: Traffic) -> (Instant, Instant) {
        self.longest_gap(traffic, self.origin(), self.closed)
    }

    /// The same while nothing happened.
    pub fn quiet_gap(&self, traffic: Traffic) -> Duration {
        let (from, to) = self.longest_gap(traffic, self.opened, self.origin());
        to - from
    }

    fn longest_gap(&self, traffic: Traffic, from: Instant, to: Instant) -> (Instant, Instant) {
        let answers = self.answers(traffic).filter(|at| (from..to).contains(at)).chain([to]);
        let (mut last, mut longest) = (from, (from, from));
        for at in answers {
            if at.saturating_duration_since(last) > longest.1 - longest.0 {
                longest = (last, at);
            }
            last = last.max(at);
        }
        longest
    }

    /// Requests that failed while it was measured.
    pub fn errors(&self, traffic: Traffic) -> impl Iterator<Item = &Request> {
        let measured = self.opened..self.closed;
        self.of(traffic).filter(move |request| request.told != Told::Committed && measured.contains(&request.answered))
    }

    /// Answers per second over time.
    pub fn rates(&self, traffic: Traffic) -> Vec<(f64, f64)> {
        let slots = (self.closed - self.opened).as_millis() / SLOT.as_millis();
        let mut counts = vec![0_u32; usize::try_from(slots).unwrap_or(0)];
        for at in self.answers(traffic).filter(|at| *at >= self.opened) {
            let slot = (at - self.opened).as_millis() / SLOT.as_millis();
            if let Some(count) = usize::try_from(slot).ok().and_then(|slot| counts.get_mut(slot)) {
                *count += 1;
            }
        }
        let (first, slot) = (self.seconds(self.opened), SLOT.as_secs_f64());
        let rate = |(number, count)| (first + (f64::from(number) + 0.5) * slot, f64::from(count) / slot);
        (0_u32..).zip(counts).map(rate).collect()
    }

    /// One line for people.
    pub fn figures(&self) -> String {
        let errors = self.errors(Traffic::Writes).count() + self.errors(Traffic::Reads).count();
        format!(
            "no write for {}, no read for {} · {errors} errors · {} of {} rows lost",
            seconds(self.outage(Traffic::Writes)),
            seconds(self.outage(Traffic::Reads)),
            self.lost,
            grouped(self.rows)
        )
    }

    fn answers(&self, traffic: Traffic) -> impl Iterator<Item = Instant> {
        self.of(traffic).filter(|request| request.told == Told::Committed).map(|request| request.answered)
    }

    fn of(&self, traffic: Traffic) -> impl Iterator<Item = &Request> {
        self.history.requests.iter().filter(move |request| request.id.is_some() == (traffic == Traffic::Writes))
    }
}

/// A number of many digits, to be read.
pub fn grouped(number: usize) -> String {
    match number / 1000 {
        0 => number.to_string(),
        more => format!("{},{:03}", grouped(more), number % 1000),
    }
}

/// How long that was.
pub fn seconds((from, to): (Instant, Instant)) -> String {
    format!("{:.2} s", (to - from).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        assert_eq!([7, 1_000, 1_020_034].map(grouped), ["7", "1,000", "1,020,034"]);
    }
}

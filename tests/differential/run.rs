//! Runs a case on both sides at once and compares answer by answer, up to the first difference.

use std::time::Duration;

use super::{
    bed::Bed,
    case::{Case, Mark, Mode},
    difference::{Difference, Place},
    peer::{Answer, Ended, Notification, Peer},
    schedule::{Standing, next_round},
    sent::Sent,
};

/// Longest wait for a notification that the direct connection has got already.
const NOTIFICATION_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the case; the first difference, if there is one.
pub fn run(bed: &mut Bed, case: &Case) -> Result<(), Box<Difference>> {
    bed.prepare(case);
    let sessions = case.stage.sessions.iter().map(|_| Session::default()).collect();
    Run { bed, case, sessions }.go()
}

struct Run<'a> {
    bed: &'a Bed,
    case: &'a Case,
    sessions: Vec<Session>,
}

#[derive(Default)]
struct Session {
    pair: Option<Pair>,
    /// Something of it may be left on its server.
    pinned: bool,
    public: bool,
    /// Both of its connections have ended.
    ended: bool,
}

struct Pair {
    direct: Peer,
    other: Peer,
}

impl Run<'_> {
    fn go(mut self) -> Result<(), Box<Difference>> {
        let mut left: Vec<usize> = (0..self.case.requests.len()).collect();
        while !left.is_empty() {
            let round = next_round(self.case, &mut left, &self.standings());
            assert!(!round.is_empty(), "nobody can go on; {} requests are left", left.len());
            for number in &round {
                self.come_in(*number)?;
            }
            self.ask(&round)?;
            for number in &round {
                self.look_at_notifications(*number)?;
            }
            left.retain(|number| !self.sessions[self.case.requests[*number].session].ended);
            for number in round {
                let session = self.case.requests[number].session;
                if !left.iter().any(|later| self.case.requests[*later].session == session) {
                    self.finish(number)?;
                }
            }
        }
        Ok(())
    }

    fn standings(&self) -> Vec<Standing> {
        let in_session_mode = self.case.stage.proxy.mode == Mode::Session;
        let standing = |session: &Session| {
            let Some(pair) = &session.pair else { return Standing::default() };
            Standing { holds: in_session_mode || session.pinned || pair.direct.status != 'I', public: session.public }
        };
        self.sessions.iter().map(standing).collect()
    }

    fn come_in(&mut self, number: usize) -> Result<(), Box<Difference>> {
        let session = self.case.requests[number].session;
        if self.sessions[session].pair.is_some() {
            return Ok(());
        }
        let [(direct, told), (other, other_told)] = self.bed.greet(self.case, session);
        self.compare(Place::Login, number, told.clone(), other_told)?;
        let ended = told.ended != Ended::Complete;
        self.sessions[session] =
            Session { pair: (!ended).then_some(Pair { direct, other }), ended, ..Session::default() };
        Ok(())
    }

    /// Sends every request of the round, and reads the answers when all have been sent.
    fn ask(&mut self, round: &[usize]) -> Result<(), Box<Difference>> {
        let steps = round.iter().map(|number| self.case.requests[*number].steps.len()).max().unwrap_or_default();
        let mut failed = vec![false; round.len()];
        for at in 0..steps {
            for number in round {
                let request = &self.case.requests[*number];
                let Some(step) = request.steps.get(at) else { continue };
                let Some(pair) = &mut self.sessions[request.session].pair else { continue };
                let next = request.steps.get(at + 1).map(Vec::as_slice);
                pair.direct.send(step, next);
                pair.other.send(step, next);
            }
            for (number, failed) in round.iter().zip(&mut failed) {
                let request = &self.case.requests[*number];
                if at >= request.steps.len() {
                    continue;
                }
                let Some(answer) = self.hear(Place::Step(at), *number)? else { continue };
                *failed |= answer.messages.iter().any(|message| message.tag == 'E');
            }
        }
        for (number, failed) in round.iter().zip(failed) {
            self.note(*number, failed);
        }
        Ok(())
    }

    /// Reads both answers; they are equal, or it is over. `None` when the session has ended.
    fn hear(&mut self, place: Place, number: usize) -> Result<Option<Answer>, Box<Difference>> {
        let session = &mut self.sessions[self.case.requests[number].session];
        let Some(pair) = &mut session.pair else { return Ok(None) };
        let (answer, other) = (pair.direct.hear(), pair.other.hear());
        if answer.ended == Ended::Closed && other.ended == Ended::Closed {
            session.pair = None;
            session.ended = true;
        }
        self.compare(place, number, answer.clone(), other)?;
        Ok(Some(answer))
    }

    /// Takes note of what a request may have left behind.
    fn note(&mut self, number: usize, failed: bool) {
        let request = &self.case.requests[number];
        let session = &mut self.sessions[request.session];
        let Some(pair) = &session.pair else { return };
        let is_idle = pair.direct.status == 'I';
        session.pinned |= request.is(Mark::Pins);
        if request.is(Mark::Unpins) && is_idle && !failed {
            session.pinned = false;
        }
        session.public = (session.public || request.is(Mark::Public)) && !is_idle;
    }

    /// Compares what has come on both sides; when the request settles, all must have come.
    fn look_at_notifications(&mut self, number: usize) -> Result<(), Box<Difference>> {
        let request = &self.case.requests[number];
        let Some(pair) = &mut self.sessions[request.session].pair else { return Ok(()) };
        if request.is(Mark::Settles) {
            self.settle(number)
        } else {
            let common = pair.direct.notifications.len().min(pair.other.notifications.len());
            let direct = pair.direct.notifications.drain(..common).collect();
            let other = pair.other.notifications.drain(..common).collect();
            self.compare_notifications(number, direct, other)
        }
    }

    fn settle(&mut self, number: usize) -> Result<(), Box<Difference>> {
        let Some(pair) = &mut self.sessions[self.case.requests[number].session].pair else { return Ok(()) };
        let expected = pair.direct.notifications.len();
        let stray = pair.other.await_notifications(expected, NOTIFICATION_PATIENCE);
        let (direct, other) =
            (pair.direct.notifications.drain(..).collect(), pair.other.notifications.drain(..).collect());
        self.compare_notifications(number, direct, other)?;
        let nothing = Answer { messages: Vec::new(), ended: Ended::Complete };
        self.compare(Place::Notifications, number, nothing, stray)
    }

    /// The session has nothing more to ask: it sees its last notifications and leaves.
    fn finish(&mut self, last: usize) -> Result<(), Box<Difference>> {
        let session = self.case.requests[last].session;
        self.say(last, Sent::Sync)?;
        self.settle(last)?;
        if self.sessions[session].pair.as_ref().is_some_and(|pair| pair.direct.status != 'I') {
            self.say(last, Sent::Query("ROLLBACK".into()))?;
        }
        // Locks that others may want are let go by the time that the session has left, on a direct connection;
        // a pooler cleans up when the client has gone. So we do not leave it to the end.
        if self.sessions[session].pinned {
            self.say(last, Sent::Query("SELECT pg_advisory_unlock_all()".into()))?;
        }
        let Some(mut pair) = self.sessions[session].pair.take() else { return Ok(()) };
        let (direct, other) = (pair.direct.leave(), pair.other.leave());
        self.compare(Place::Farewell, last, direct, other)
    }

    fn say(&mut self, last: usize, sent: Sent) -> Result<(), Box<Difference>> {
        let Some(pair) = &mut self.sessions[self.case.requests[last].session].pair else { return Ok(()) };
        let step = [sent];
        pair.direct.send(&step, None);
        pair.other.send(&step, None);
        self.hear(Place::Farewell, last).map(drop)
    }

    fn compare_notifications(
        &self,
        number: usize,
        direct: Vec<Notification>,
        other: Vec<Notification>,
    ) -> Result<(), Box<Difference>> {
        self.compare(Place::Notifications, number, Answer::of_notifications(direct), Answer::of_notifications(other))
    }

    fn compare(&self, place: Place, number: usize, direct: Answer, other: Answer) -> Result<(), Box<Difference>> {
        // A direct connection that says nothing is a mistake of the case's maker, and no answer to compare with.
        if direct == other && direct.ended != Ended::Silence {
            return Ok(());
        }
        Err(Box::new(Difference { place, number, request: self.case.requests[number].clone(), direct, other }))
    }
}

//! One question to a policy at a time, and its answer until it has been used.

use std::time::Duration;

use super::super::action::{Action, Ask, QuestionId};
use super::Machine;

/// How long an answer may take before the question counts as failed. Policies have a deadline of their own, some
/// tens of milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A question and what came of it.
#[derive(Debug, Default)]
pub(super) enum Inquiry<T> {
    /// Nothing was asked.
    #[default]
    Idle,
    /// It is being answered.
    Asked(QuestionId, Duration),
    /// It was.
    Answered(Result<T, String>),
    /// Not before then.
    Resting(Duration),
}

impl<T> Inquiry<T> {
    /// Takes an answer in, if it is one to this question.
    pub(super) fn answer(&mut self, id: QuestionId, answer: Result<T, String>) {
        if matches!(self, Self::Asked(asked, _) if *asked == id) {
            *self = Self::Answered(answer);
        }
    }

    /// The answer, once. In its time the question may be asked: then this is [`Turn::Ask`].
    pub(super) fn turn(&mut self, now: Duration) -> Turn<T> {
        match std::mem::take(self) {
            Self::Idle => Turn::Ask,
            Self::Resting(until) if now >= until => Turn::Ask,
            Self::Asked(_, at) if now >= at + ANSWER_MAX => Turn::Answer(Err("no answer in time".into())),
            Self::Answered(answer) => Turn::Answer(answer),
            Self::Asked(id, at) => {
                *self = Self::Asked(id, at);
                Turn::Wait(at + ANSWER_MAX)
            }
            Self::Resting(until) => {
                *self = Self::Resting(until);
                Turn::Wait(until)
            }
        }
    }
}

/// What to do about a question now.
pub(super) enum Turn<T> {
    /// Ask it.
    Ask,
    /// Nothing until then.
    Wait(Duration),
    /// Use this.
    Answer(Result<T, String>),
}

impl Machine {
    /// Asks a policy.
    pub(super) fn ask<T>(&mut self, ask: Ask) -> Inquiry<T> {
        self.last_question += 1;
        let id = QuestionId(self.last_question);
        self.out.push(Action::Ask(id, Box::new(ask)));
        self.wake_by(self.now + ANSWER_MAX);
        Inquiry::Asked(id, self.now)
    }
}

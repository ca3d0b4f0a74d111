//! Hears what servers say that statements are like: for the client, which counts on it from then on, and for
//! the server's record, so that no client takes a new result for the one that it was told of.

use std::{collections::VecDeque, rc::Rc};

use super::Exchange;
use crate::{
    server::{Server, description::Description},
    session::prepared::Told,
    wire::frame::{HEADER_BYTES, Header},
};

/// A Describe whose answer is still to come.
#[derive(Debug)]
pub enum Expected {
    /// The client's, and nobody else cares.
    Passed,
    /// The client's, of a statement that it may use without asking again.
    Noted {
        /// What the client counts on.
        told: Rc<Told>,
        /// The statement's number; 0 for an unnamed one.
        statement: u64,
        /// As far as the answer has come.
        heard: Description,
    },
    /// One of our own, which the client hears nothing of.
    Asked {
        /// The statement's number; 0 for an unnamed one.
        statement: u64,
        /// As far as the answer has come.
        heard: Description,
    },
}

/// The Describes whose answers are still to come, in their order.
#[derive(Debug, Default)]
pub struct Expectations {
    /// So many that are passed on come first.
    passed: u32,
    /// What comes then.
    queue: VecDeque<Expected>,
}

impl Expectations {
    /// One of the client's, and nobody else cares.
    #[inline]
    pub fn pass(&mut self) {
        if self.queue.is_empty() {
            self.passed += 1;
        } else {
            self.queue.push_back(Expected::Passed);
        }
    }

    /// One whose answer is read.
    pub fn push(&mut self, expected: Expected) {
        self.queue.push_back(expected);
    }

    /// Forgets all of them.
    #[inline]
    pub fn clear(&mut self) {
        self.passed = 0;
        if !self.queue.is_empty() {
            self.queue.clear();
        }
    }

    /// Whether the next message of an answer (`t`, `T` or `n`) is read. If not, it goes on.
    #[inline]
    fn reads(&mut self, tag: u8) -> bool {
        let ends = tag != b't';
        if self.passed > 0 {
            self.passed -= u32::from(ends);
            return false;
        }
        match self.queue.front() {
            None => false,
            Some(Expected::Passed) => {
                if ends {
                    self.queue.pop_front();
                }
                false
            }
            Some(_) => true,
        }
    }
}

/// A question of our own in the middle of a request: what a server makes of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Question {
    /// None.
    #[default]
    None,
    /// Its answer is waited for.
    Asked,
    /// This is the answer.
    Answered(Description),
}

impl Exchange {
    /// Asks what the server makes of a statement; goes behind the Describe.
    pub fn ask(&mut self, statement: u64) {
        self.expected.push(Expected::Asked { statement, heard: Description::default() });
        self.question = Question::Asked;
    }

    /// The answer to the last question, once.
    pub fn take_answer(&mut self) -> Option<Description> {
        match std::mem::take(&mut self.question) {
            Question::Answered(description) => Some(description),
            Question::None | Question::Asked => None,
        }
    }

    /// A question has been asked that the server will not answer any more, or has.
    pub(super) fn has_asked_enough(&self) -> bool {
        match self.question {
            Question::None => false,
            Question::Asked => self.failed,
            Question::Answered(_) => true,
        }
    }

    /// Whether such a message (`t`, `T` or `n`) has to be there as a whole. If not, it goes on unread.
    #[inline]
    pub(super) fn reads_description(&mut self, tag: u8) -> bool {
        self.expected.reads(tag)
    }

    /// Reads such a message; answers where the next one begins.
    #[inline(never)]
    pub(super) fn hear_description(&mut self, at: usize, next: Header, server: &mut Server) -> usize {
        let end = at + next.total;
        let body = &self.to_client.filled()[at + HEADER_BYTES..end];
        let Some(Expected::Noted { heard, .. } | Expected::Asked { heard, .. }) = self.expected.queue.front_mut()
        else {
            return end;
        };
        match next.tag {
            b't' => heard.hear_parameters(body),
            b'T' => heard.hear_columns(body),
            _ => heard.hear_no_data(),
        }
        let is_ours = matches!(self.expected.queue.front(), Some(Expected::Asked { .. }));
        if next.tag != b't' {
            match self.expected.queue.pop_front() {
                Some(Expected::Noted { told, statement, heard }) => {
                    told.hear(heard);
                    server.statements.describe(statement, heard);
                }
                Some(Expected::Asked { statement, heard }) => {
                    server.statements.describe(statement, heard);
                    self.question = Question::Answered(heard);
                }
                Some(Expected::Passed) | None => {}
            }
        }
        if is_ours {
            self.to_client.cut(at, next.total);
            return at;
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answers_that_somebody_cares_about_are_read() {
        let mut expected = Expectations::default();
        expected.pass();
        expected.push(Expected::Asked { statement: 1, heard: Description::default() });
        expected.pass();
        // That of a statement is two messages, of a portal one; without columns there is NoData.
        assert!(!expected.reads(b't') && !expected.reads(b'T'));
        assert!(expected.reads(b't') && expected.reads(b'T'));
        expected.queue.pop_front();
        assert!(!expected.reads(b'n'));
        assert!(expected.queue.is_empty() && expected.passed == 0);
        assert!(!expected.reads(b'T'), "nobody has asked");
    }

    #[test]
    fn what_is_forgotten_is_not_expected_of_the_next_request() {
        let mut expected = Expectations::default();
        expected.pass();
        expected.push(Expected::Passed);
        expected.clear();
        expected.push(Expected::Asked { statement: 1, heard: Description::default() });
        assert!(expected.reads(b'T'));
    }
}

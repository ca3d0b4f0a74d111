//! One session on one side: a connection that takes steps and gives answers without what may differ.

use std::{collections::VecDeque, time::Duration};

use howdah_tests::raw::{Heard, Message, Raw, terminate};

use super::{
    normal::Normal,
    sent::Sent,
    until::{Progress, Reader, Until},
};

/// Longest wait for a message of an answer. Nothing that is asked takes half a second.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// A notification: channel and payload.
pub type Notification = (String, String);

/// A connection.
#[derive(Debug)]
pub struct Peer {
    raw: Raw,
    side: &'static str,
    normal: Normal,
    reader: Reader,
    until: Until,
    /// Those that have come and that nobody has looked at yet.
    pub notifications: VecDeque<Notification>,
    /// What the last ReadyForQuery said: `I`, `T` or `E`.
    pub status: char,
}

/// What came, and whether that was all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The messages.
    pub messages: Vec<Message>,
    /// How it ended.
    pub ended: Ended,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Complete,
    /// With the connection.
    Closed,
    /// In silence.
    Silence,
}

impl Answer {
    /// Notifications, as an answer of their own.
    pub fn of_notifications(notifications: Vec<Notification>) -> Self {
        let message = |(channel, payload)| Message { tag: 'A', body: format!("{channel}: {payload}").into_bytes() };
        Self { messages: notifications.into_iter().map(message).collect(), ended: Ended::Complete }
    }
}

impl Peer {
    /// Logs in; what came is the first answer.
    pub fn greet(port: u16, parameters: &[(&str, &str)], side: &'static str) -> (Self, Answer) {
        let (raw, welcome) = Raw::greet(port, parameters);
        let mut peer = Self {
            raw,
            side,
            normal: Normal::new(side),
            reader: Reader::default(),
            until: Until::Ready(1),
            notifications: VecDeque::new(),
            status: 'I',
        };
        let ended = if welcome.last().is_some_and(|last| last.tag == 'Z') { Ended::Complete } else { Ended::Closed };
        let messages = peer.normal.answer(welcome);
        (peer, Answer { messages, ended })
    }

    /// Sends a step, which is followed by another or not.
    pub fn send(&mut self, step: &[Sent], next: Option<&[Sent]>) {
        self.until = self.reader.until(step, next);
        let bytes: Vec<u8> = step.iter().flat_map(|sent| sent.bytes(self.side)).collect();
        // If the connection has ended, reading the answer will show it.
        let _ = self.raw.send(&bytes);
    }

    /// The answer to what was sent last.
    pub fn hear(&mut self) -> Answer {
        let mut progress = Progress::begin(self.until);
        let mut messages = Vec::new();
        let mut ended = Ended::Complete;
        while !progress.is_complete() {
            match self.raw.next_within(ANSWER_PATIENCE) {
                Heard::Message(message) if message.tag == 'A' => self.notifications.push_back(notification(&message)),
                Heard::Message(message) => {
                    self.note(&message);
                    progress.note(&message);
                    messages.push(message);
                }
                Heard::End => ended = Ended::Closed,
                Heard::Silence => ended = Ended::Silence,
            }
            if ended != Ended::Complete {
                break;
            }
        }
        Answer { messages: self.normal.answer(messages), ended }
    }

    /// Waits for notifications that come by themselves until there are so many; anything else that comes is
    /// returned.
    pub fn await_notifications(&mut self, count: usize, limit: Duration) -> Answer {
        let mut messages = Vec::new();
        while self.notifications.len() < count {
            match self.raw.next_within(limit) {
                Heard::Message(message) if message.tag == 'A' => self.notifications.push_back(notification(&message)),
                Heard::Message(message) => messages.push(message),
                Heard::End => return Answer { messages, ended: Ended::Closed },
                Heard::Silence => return Answer { messages, ended: Ended::Silence },
            }
        }
        Answer { messages, ended: Ended::Complete }
    }

    /// Says goodbye and waits for the end; what came before it.
    pub fn leave(&mut self) -> Answer {
        let _ = self.raw.send(&terminate());
        let mut messages = Vec::new();
        loop {
            match self.raw.next_within(ANSWER_PATIENCE) {
                Heard::Message(message) if message.tag == 'A' => {}
                Heard::Message(message) => messages.push(message),
                Heard::End => return Answer { messages, ended: Ended::Closed },
                Heard::Silence => return Answer { messages, ended: Ended::Silence },
            }
        }
    }

    fn note(&mut self, message: &Message) {
        self.reader.note(message);
        if let ('Z', Some(status)) = (message.tag, message.body.first()) {
            self.status = char::from(*status);
        }
    }
}

/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-NOTIFICATIONRESPONSE>
fn notification(message: &Message) -> Notification {
    let texts = message.body.get(4..).unwrap_or_default();
    let mut texts = texts.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    (texts.next().unwrap_or_default(), texts.next().unwrap_or_default())
}

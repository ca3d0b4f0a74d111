//! Where the answer to a step ends, which only what was sent and what has happened before can tell.
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html>

use howdah_tests::raw::Message;

use super::sent::Sent;

/// What ends an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So many ReadyForQuery.
    Ready(usize),
    /// One completion for so many messages of a batch, or an error.
    Flushed(usize),
    /// CopyInResponse, or the ReadyForQuery behind an error.
    CopyOrReady,
    /// CopyInResponse, or the error that skips everything up to a Sync.
    CopyOrError,
}

/// A COPY that waits for the client's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Copying {
    #[default]
    No,
    /// Its end is answered with ReadyForQuery.
    Simple,
    /// Its end is answered with ReadyForQuery after a Sync.
    Extended,
}

/// Follows one side's answers and says where each ends.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    copying: Copying,
    /// An error has the server skip everything up to the next Sync.
    skipping: bool,
    simple: bool,
}

/// What an answer has had so far, against what it must have.
#[derive(Debug)]
pub struct Progress {
    until: Until,
    completions: usize,
    ready: usize,
    last: char,
}

impl Reader {
    /// Where the answer to a step ends, which is followed by another step or not.
    pub fn until(&mut self, step: &[Sent], next: Option<&[Sent]>) -> Until {
        let ready = step.iter().filter(|sent| sent.asks_for_ready()).count();
        self.simple = step.iter().any(|sent| matches!(sent, Sent::Query(_)));
        if next.is_some_and(|next| next.first().is_some_and(Sent::is_of_copy)) {
            return if ready > 0 { Until::CopyOrReady } else { Until::CopyOrError };
        }
        if !step.last().is_some_and(|last| last.asks_for_ready() || last.is_of_copy()) {
            let open = step.iter().rev().take_while(|sent| **sent != Sent::Sync);
            let expected = if self.skipping { 0 } else { open.filter(|sent| sent.is_of_batch()).count() };
            return Until::Flushed(expected);
        }
        let ends_copy = step.iter().any(|sent| matches!(sent, Sent::CopyDone | Sent::CopyFail(_)));
        Until::Ready(ready + usize::from(ends_copy && self.copying == Copying::Simple))
    }

    /// Takes note of a message of the answer.
    pub fn note(&mut self, message: &Message) {
        match message.tag {
            'G' => self.copying = if self.simple { Copying::Simple } else { Copying::Extended },
            'E' => self.skipping = !self.simple,
            'Z' => *self = Self { simple: self.simple, ..Self::default() },
            _ => {}
        }
    }
}

impl Progress {
    /// Nothing has come yet.
    pub fn begin(until: Until) -> Self {
        Self { until, completions: 0, ready: 0, last: '\0' }
    }

    /// Takes note of a message of the answer.
    pub fn note(&mut self, message: &Message) {
        // RowDescription answers a Describe here; behind ParameterDescription it is its second half.
        self.completions += usize::from("123CsITn".contains(message.tag));
        self.last = message.tag;
        self.ready += usize::from(message.tag == 'Z');
    }

    /// Whether the answer is complete.
    pub fn is_complete(&self) -> bool {
        match self.until {
            Until::Ready(expected) => self.ready >= expected,
            Until::Flushed(expected) => self.completions >= expected || self.last == 'E',
            Until::CopyOrReady => matches!(self.last, 'G' | 'Z'),
            Until::CopyOrError => matches!(self.last, 'G' | 'E'),
        }
    }
}

#[test]
fn an_answer_ends_where_its_step_says() {
    let parse = || Sent::Parse { name: String::new(), sql: "x".into(), types: vec![] };
    let query = || Sent::Query("x".into());
    let execute = || Sent::Execute { portal: String::new(), rows_max: 0 };
    let data = || Sent::CopyData("1\n".into());
    let mut reader = Reader::default();
    for (step, next, until) in [
        (vec![query()], None, Until::Ready(1)),
        (vec![parse(), execute(), Sent::Sync, parse(), Sent::Sync], None, Until::Ready(2)),
        (vec![parse(), execute(), Sent::Flush], None, Until::Flushed(2)),
        (vec![parse(), Sent::Sync, execute(), Sent::Flush], None, Until::Flushed(1)),
        (vec![query()], Some(vec![data(), Sent::CopyDone]), Until::CopyOrReady),
        (vec![parse(), execute(), Sent::Flush], Some(vec![data()]), Until::CopyOrError),
        (vec![query(), data(), Sent::CopyDone], None, Until::Ready(1)),
    ] {
        assert_eq!(reader.until(&step, next.as_deref()), until, "{step:?}");
    }
}

#[test]
fn what_an_error_skips_is_not_waited_for() {
    let message = |tag| Message { tag, body: Vec::new() };
    let execute = vec![Sent::Execute { portal: String::new(), rows_max: 0 }, Sent::Flush];
    let copy_end = vec![Sent::CopyData("1\n".into()), Sent::CopyDone];
    let mut reader = Reader::default();
    reader.until(&execute, None);
    reader.note(&message('E'));
    assert_eq!(reader.until(&execute, None), Until::Flushed(0));
    assert!(Progress::begin(Until::Flushed(0)).is_complete());
    reader.note(&message('Z'));

    reader.until(&[Sent::Query("COPY".into())], Some(&copy_end));
    reader.note(&message('G'));
    assert_eq!(reader.until(&copy_end, None), Until::Ready(1), "a COPY that began is answered when it ends");
    reader.note(&message('Z'));
    assert_eq!(reader.until(&copy_end, None), Until::Ready(0), "rows after an error are ignored");
}

//! Two answers that should have been one.

use std::fmt;

use super::{
    case::Request,
    peer::Answer,
    show::{gist, words},
};

/// The first difference that a run met.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Where.
    pub place: Place,
    /// Which request of the case, counted from 0.
    pub number: usize,
    /// The request.
    pub request: Request,
    /// What direct connections answer.
    pub direct: Answer,
    /// What the others answer.
    pub other: Answer,
}

/// What the differing answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The session's login, before its first request.
    Login,
    /// A step of the request.
    Step(usize),
    /// The notifications that had come by the end of the request.
    Notifications,
    /// The session's end, after its last request.
    Farewell,
}

impl Difference {
    /// What it has in common with others of its cause, as far as can be told.
    pub fn gist(&self) -> String {
        let at = self.first_unequal();
        let gist_at = |answer: &Answer| match answer.messages.get(at) {
            None => format!("{:?}", answer.ended),
            message => gist(message),
        };
        let place = match self.place {
            Place::Step(_) => self.request.kind.clone(),
            place => format!("{} ({})", self.request.kind, format!("{place:?}").to_lowercase()),
        };
        format!("{place}: {} instead of {}", gist_at(&self.other), gist_at(&self.direct))
    }

    fn first_unequal(&self) -> usize {
        let pairs = self.direct.messages.iter().zip(&self.other.messages);
        pairs.take_while(|(direct, other)| direct == other).count()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.gist())?;
        writeln!(f, "  session {}, request {}, {:?}:", self.request.session, self.number, self.place)?;
        for step in &self.request.steps {
            let messages: Vec<_> = step.iter().map(|sent| serde_json::to_string(sent).unwrap_or_default()).collect();
            writeln!(f, "    {}", messages.join(" "))?;
        }
        let at = self.first_unequal();
        if at > 0 {
            writeln!(f, "  {at} messages are equal, the last of them {}", words(&self.direct.messages[at - 1]))?;
        }
        let rest = |answer: &Answer| Answer { messages: answer.messages[at..].to_vec(), ended: answer.ended };
        write!(f, "  a direct connection goes on:\n{}", rest(&self.direct))?;
        write!(f, "  the other goes on:\n{}", rest(&self.other))
    }
}

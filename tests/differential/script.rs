//! What one session asks, in the making: requests so far, and a rough idea of what state they leave.
//!
//! The idea may be wrong: what it is used for is that most requests make sense. Those that do not are answered
//! with errors, which have to be equal as well.

use std::collections::BTreeMap;

use howdah_tests::random::Random;

use super::{
    case::{Mark, Request},
    kinds::Kind,
    sent::Sent,
};

/// How often a session that is bound to its server lets go of what binds it, out of a hundred times.
const LETS_GO: usize = 40;

/// A session's requests in the making.
pub struct Script<'a> {
    /// Where choices come from.
    pub random: &'a mut Random,
    /// The session's number.
    pub session: usize,
    /// Whether the session is in a transaction.
    pub in_transaction: bool,
    /// Whether it began READ ONLY: then it is a standby's, where less is allowed than in such a transaction elsewhere.
    pub read_only: bool,
    /// Names of prepared statements of the protocol, and which of the kind's texts each is.
    pub statements: BTreeMap<&'static str, usize>,
    tastes: Vec<&'static Kind>,
    kind: &'static str,
    pinned: bool,
    /// Any request may pin, because of what the others ask.
    all_pin: bool,
    requests: Vec<Request>,
}

impl<'a> Script<'a> {
    /// Of a session with a taste for these kinds.
    pub fn new(random: &'a mut Random, session: usize, tastes: Vec<&'static Kind>, all_pin: bool) -> Self {
        Self {
            random,
            session,
            in_transaction: false,
            read_only: false,
            statements: BTreeMap::new(),
            tastes,
            kind: "",
            pinned: false,
            all_pin,
            requests: Vec::new(),
        }
    }

    /// Writes so many requests, or a few more.
    pub fn write(&mut self, length: usize) {
        while self.requests.len() < length {
            self.write_one(false);
            if self.pinned && !self.in_transaction && self.random.chance(LETS_GO) {
                self.discard_all();
            }
        }
    }

    /// Writes what belongs into the transaction that the session is in.
    pub fn write_inside(&mut self, times: usize) {
        for _ in 0..times {
            self.write_one(true);
        }
    }

    fn write_one(&mut self, inside: bool) {
        let kind = *self.random.pick(&self.tastes);
        if inside && (self.read_only || !kind.inside) {
            return self.query("SELECT v, n FROM t ORDER BY id LIMIT 2");
        }
        let outer = std::mem::replace(&mut self.kind, kind.name);
        (kind.write)(self);
        self.kind = outer;
    }

    /// Whatever the session has is gone.
    pub fn discard_all(&mut self) {
        self.statements.clear();
        self.pinned = false;
        let outer = std::mem::replace(&mut self.kind, "discard");
        self.marked(&[Mark::Unpins, Mark::Public], vec![vec![Sent::Query("DISCARD ALL".into())]]);
        self.kind = outer;
    }

    /// All of them.
    pub fn into_requests(self) -> Vec<Request> {
        self.requests
    }

    /// A Query.
    pub fn query(&mut self, sql: impl Into<String>) {
        self.marked(&[], vec![vec![Sent::Query(sql.into())]]);
    }

    /// A Query that may leave something on the server.
    pub fn pinning(&mut self, sql: impl Into<String>) {
        self.marked(&[Mark::Pins], vec![vec![Sent::Query(sql.into())]]);
    }

    /// Messages that are sent in one go.
    pub fn step(&mut self, step: Vec<Sent>) {
        self.marked(&[], vec![step]);
    }

    /// Steps, with what they mean to others.
    pub fn marked(&mut self, marks: &[Mark], steps: Vec<Vec<Sent>>) {
        let mut marks = marks.to_vec();
        if self.all_pin && !marks.contains(&Mark::Unpins) {
            marks.push(Mark::Pins);
        }
        self.pinned |= marks.contains(&Mark::Pins);
        self.requests.push(Request { session: self.session, kind: self.kind.into(), steps, marks });
    }

    /// A statement by either protocol.
    pub fn either(&mut self, marks: &[Mark], sql: impl Into<String>) {
        let sql = sql.into();
        let step = if self.random.chance(70) { vec![Sent::Query(sql)] } else { once(&sql, &[]) };
        self.marked(marks, vec![step]);
    }

    /// One of the choices.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        *self.random.pick(choices)
    }

    /// True so many times out of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.random.chance(percent)
    }

    /// The session's schema.
    pub fn schema(&self) -> String {
        format!("s{}", self.session)
    }
}

/// A statement by the extended protocol, unnamed, up to its Sync.
pub fn once(sql: &str, parameters: &[&str]) -> Vec<Sent> {
    let mut step = unsynced(sql, parameters);
    step.push(Sent::Sync);
    step
}

/// A statement by the extended protocol, unnamed, described, without a Sync.
pub fn unsynced(sql: &str, parameters: &[&str]) -> Vec<Sent> {
    vec![parse("", sql), bind("", "", parameters), describe('P', ""), execute("", 0)]
}

/// Parse.
pub fn parse(name: &str, sql: &str) -> Sent {
    Sent::Parse { name: name.into(), sql: sql.into(), types: Vec::new() }
}

/// Bind of text parameters; rows come as text.
pub fn bind(portal: &str, statement: &str, parameters: &[&str]) -> Sent {
    let parameters = parameters.iter().map(|parameter| Some((*parameter).to_owned())).collect();
    Sent::Bind { portal: portal.into(), statement: statement.into(), parameters, binary: false }
}

/// Describe of a statement (`S`) or a portal (`P`).
pub fn describe(what: char, name: &str) -> Sent {
    Sent::Describe { what, name: name.into() }
}

/// Execute.
pub fn execute(portal: &str, rows_max: u32) -> Sent {
    Sent::Execute { portal: portal.into(), rows_max }
}

/// Close of a statement (`S`) or a portal (`P`).
pub fn close(what: char, name: &str) -> Sent {
    Sent::Close { what, name: name.into() }
}

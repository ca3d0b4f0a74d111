//! A case: sessions, and what they ask in which order, in memory and as a file.
//!
//! A file is a line of JSON for the case and a line for each request. Requests stand in the order in which
//! they are begun, as far as [`schedule`](super::schedule) can; so a file is read from top to bottom.

use serde::{Deserialize, Serialize};

use super::sent::Sent;

/// Sessions and their requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What they run in front of.
    pub stage: Stage,
    /// What they ask, all sessions' requests in one row.
    pub requests: Vec<Request>,
}

/// Everything of a case but its requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Why it is kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The proxy in between.
    pub proxy: ProxyKind,
    /// Whom all sessions log in as.
    pub user: String,
    /// The most requests that are under way at once.
    pub at_once: usize,
    /// Startup parameters of each session, beside user, database and `search_path`.
    pub sessions: Vec<Vec<(String, String)>>,
}

/// What of the proxy's configuration makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyKind {
    /// `pool_mode`.
    pub mode: Mode,
    /// `default_pool_size`.
    pub servers: usize,
    /// Whether reads go to standbys.
    pub policy: bool,
    /// `max_prepared_statements`.
    pub statements: usize,
}

/// `pool_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A server until the session ends.
    Session,
    /// A server until the transaction ends.
    Transaction,
}

/// Messages that one session sends, and waits for the answer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who asks.
    pub session: usize,
    /// What of PostgreSQL it exercises; differences are grouped by it.
    pub kind: String,
    /// Messages that are sent at once; the answer to each step is read before the next.
    pub steps: Vec<Vec<Sent>>,
    /// What it means to other sessions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

/// What a request means to sessions other than its own. Erring towards more marks is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Its session may be in a transaction afterwards.
    Begins,
    /// It may leave on the server what only this session may have, so that the server is this session's.
    Pins,
    /// When it succeeds outside of a transaction, nothing of that kind is left.
    Unpins,
    /// Other sessions notice when it happens, or it notices others: no two such at once.
    Public,
    /// All notifications of earlier requests have come when it has been answered.
    Settles,
}

impl Request {
    /// Whether it has this mark.
    pub fn is(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }
}

impl Case {
    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string(&self.stage).expect("plain data") + "\n";
        for request in &self.requests {
            text += &(serde_json::to_string(request).expect("plain data") + "\n");
        }
        text
    }

    /// What a file says.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        let mut lines = text.lines();
        let stage = serde_json::from_str(lines.next().unwrap_or_default())?;
        let requests = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self { stage, requests })
    }

    /// The sessions that ask anything.
    pub fn sessions(&self) -> Vec<usize> {
        let asks = |session: &usize| self.requests.iter().any(|request| request.session == *session);
        (0..self.stage.sessions.len()).filter(asks).collect()
    }
}

#[test]
fn a_case_reads_back_as_it_was_written() {
    let proxy = ProxyKind { mode: Mode::Transaction, servers: 2, policy: true, statements: 200 };
    let sessions = vec![vec![("TimeZone".into(), "Asia/Tokyo".into())], vec![]];
    let stage = Stage { why: "it \"broke\"".into(), proxy, user: "postgres".into(), at_once: 3, sessions };
    let steps = vec![vec![Sent::Query("SELECT 'ü\n'".into()), Sent::Sync], vec![Sent::CopyData("1\t\\N\n".into())]];
    let request = Request { session: 1, kind: "copy".into(), steps, marks: vec![Mark::Begins] };
    let plain = Request { marks: vec![], ..request.clone() };
    let case = Case { stage, requests: vec![request, plain] };

    assert_eq!(Case::from_text(&case.to_text()).unwrap(), case);
    assert_eq!(case.to_text().lines().count(), 3);
    assert_eq!(case.sessions(), [1]);
}

//! `auth_query`: the secrets of users that only the servers know.
//!
//! A login that finds nothing in the `auth_file` has the primary asked, as `auth_user`, over a connection that no
//! client ever uses and with an empty search_path, so that nobody can put a table or an operator of its own in the
//! way. What is found is believed for a moment, until a login fails or the configuration changes.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    auth::Secret,
    client::{Found, Lookup, LookupError},
    config::{Config, Database},
    facts::{Facts, Health},
    generation::{ClusterRuntime, Generation},
    id::NodeId,
    server::simple::{ControlSession, QueryError, Row},
    wire::sqlstate::SqlState,
};

/// What is found is believed for so long: enough for the many connections that an application opens at its start,
/// and little for a user whose rights have ended.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// Most findings that are kept. A user has one for each database.
const KEPT_MAX: usize = 10_000;

/// Most questions at once, so that a storm of logins is none at the primary. One takes less than a millisecond.
const AT_ONCE: usize = 4;

/// Most connections that wait for the next question, and how long they do.
const IDLE_MAX: usize = 16;
const IDLE_FOR: Duration = Duration::from_secs(30);

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Longest wait for a primary, as after a start, before a standby is asked.
const PRIMARY_LIMIT: Duration = Duration::from_secs(2);

/// Sent before each question, with it: nothing that a question has left behind counts for the next one.
const EMPTY_PATH: &str = "SELECT pg_catalog.set_config('search_path', '', false)";

/// What all workers share of it.
pub struct Lookups {
    findings: Mutex<Findings>,
    idle: Mutex<Vec<Idle>>,
    turns: Semaphore,
}

impl Default for Lookups {
    fn default() -> Self {
        Self { findings: Mutex::default(), idle: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

/// Looks users up for the logins of one worker in one generation.
#[derive(Clone, Copy, Debug)]
pub struct AuthQuery<'a> {
    lookups: &'a Lookups,
    generation: &'a Generation,
    worker: usize,
}

/// Whom to ask about the users of a database, and how.
#[derive(Debug, PartialEq, Eq)]
struct Question<'a> {
    /// The database to ask in, as clients would name it.
    database: &'a str,
    entry: &'a Database,
    auth_user: &'a str,
    query: &'a str,
}

impl Lookup for AuthQuery<'_> {
    fn look_up<'a>(&'a self, database: Option<&'a str>, user: &'a str) -> Found<'a> {
        Box::pin(self.find(database, user))
    }

    fn forget(&self, database: Option<&str>, user: &str) {
        self.lookups.findings().forget(&Subject::new(database, user));
    }
}

impl<'a> AuthQuery<'a> {
    /// For a worker's logins; `None` when users are looked up for no database.
    pub fn new(lookups: &'a Lookups, generation: &'a Generation, worker: usize) -> Option<Self> {
        generation.config.looks_users_up().then_some(Self { lookups, generation, worker })
    }

    async fn find(&self, database: Option<&str>, user: &str) -> Result<Option<Secret>, LookupError> {
        let Some(question) = Question::about(&self.generation.config, database) else { return Ok(None) };
        let subject = Subject::new(database, user);
        if let Some(found) = self.believed(&subject) {
            return Ok(found);
        }
        let _turn = self.lookups.turns.acquire().await.expect("nobody ends the turns");
        // Somebody before us in line may have asked the same.
        if let Some(found) = self.believed(&subject) {
            return Ok(found);
        }
        match self.ask(&question, user).await {
            Ok(found) => {
                let finding = Finding { generation: self.generation.number, at: Instant::now(), secret: found.clone() };
                self.lookups.findings().keep(subject, finding);
                Ok(found)
            }
            Err(cause) => {
                let Question { database, auth_user, .. } = question;
                tracing::warn!(user, database, auth_user, "could not look up a user: {cause}");
                Err(LookupError(cause))
            }
        }
    }

    fn believed(&self, subject: &Subject) -> Option<Option<Secret>> {
        self.lookups.findings().believed(subject, self.generation.number, Instant::now())
    }

    async fn ask(&self, question: &Question<'_>, user: &str) -> Result<Option<Secret>, String> {
        let cluster = self.generation.clusters.get(&question.entry.cluster).ok_or("its cluster is gone")?;
        let node = node_to_ask(cluster).await.ok_or("no node can be asked")?;
        let place = Place {
            worker: self.worker,
            generation: self.generation.number,
            database: question.database.into(),
            auth_user: question.auth_user.into(),
            node,
        };
        if let Some(mut session) = self.lookups.take_idle(&place) {
            match put(&mut session, question.query, user).await {
                Ok(rows) => {
                    self.lookups.put_idle(place, session);
                    return secret_of(user, &rows);
                }
                Err(Failure::Refused(cause)) => return Err(cause),
                // It has died while it waited.
                Err(Failure::Broken(_)) => {}
            }
        }
        let target = self.generation.lookup_target(question.entry, question.database, question.auth_user, node);
        let mut session = match ControlSession::connect(&target).await {
            Ok(session) => session,
            // PostgreSQL tells who has not logged in nothing of its databases either.
            Err(error) if error.sqlstate() == Some(SqlState::INVALID_CATALOG_NAME) => return Ok(None),
            Err(error) => return Err(in_words(&error)),
        };
        match put(&mut session, question.query, user).await {
            Ok(rows) => {
                self.lookups.put_idle(place, session);
                secret_of(user, &rows)
            }
            Err(Failure::Refused(cause) | Failure::Broken(cause)) => Err(cause),
        }
    }
}

impl<'a> Question<'a> {
    /// About users who want this database, or the console.
    fn about(config: &'a Config, database: Option<&'a str>) -> Option<Self> {
        let entry_of = |name: &str| config.databases.get(name).or_else(|| config.databases.get("*"));
        let own = database.and_then(entry_of);
        let (mut auth_user, mut query, mut auth_dbname) = (&config.auth_user, &config.auth_query, &config.auth_dbname);
        if let Some(own) = own {
            auth_user = if own.auth_user.is_some() { &own.auth_user } else { auth_user };
            query = own.auth_query.as_ref().unwrap_or(query);
            auth_dbname = if own.auth_dbname.is_some() { &own.auth_dbname } else { auth_dbname };
        }
        let database = auth_dbname.as_deref().or(database)?;
        Some(Self { database, entry: entry_of(database)?, auth_user: auth_user.as_deref()?, query })
    }
}

/// The primary; when there is none for a while, whoever else lives.
async fn node_to_ask(cluster: &ClusterRuntime) -> Option<NodeId> {
    let primary = |facts: &Facts| facts.primary.or((facts.nodes.len() == 1).then_some(NodeId(0)));
    let found = async {
        loop {
            let newer = cluster.facts.changed();
            if let Some(primary) = primary(&cluster.facts.load()) {
                return primary;
            }
            newer.await;
        }
    };
    match timeout(PRIMARY_LIMIT, found).await {
        Ok(primary) => Some(primary),
        Err(_) => cluster.facts.load().nodes.iter().find(|node| node.health != Health::Down).map(|node| node.id),
    }
}

/// Why there is no answer.
enum Failure {
    /// The server does not want to.
    Refused(String),
    /// The connection is of no more use.
    Broken(String),
}

async fn put(session: &mut ControlSession, query: &str, user: &str) -> Result<Vec<Row>, Failure> {
    let parameters = [user];
    let batch: [(&str, &[&str]); 2] = [(EMPTY_PATH, &[]), (query, &parameters)];
    match timeout(ANSWER_LIMIT, session.query_with(&batch)).await {
        Ok(Ok(mut sets)) => Ok(sets.pop().unwrap_or_default()),
        Ok(Err(error)) => {
            let words = in_words(&error);
            let refused = matches!(&error, QueryError::Server(message) if message.severity == "ERROR");
            Err(if refused { Failure::Refused(words) } else { Failure::Broken(words) })
        }
        Err(_) => Err(Failure::Refused(format!("no answer within {ANSWER_LIMIT:?}"))),
    }
}

/// What the answer says about the user. Without a secret it is the empty password, which is never right.
fn secret_of(user: &str, rows: &[Row]) -> Result<Option<Secret>, String> {
    let row = match rows {
        [] => return Ok(None),
        [row] if row.0.len() >= 2 => row,
        [_] => return Err("the answer has no second column for the secret".to_owned()),
        _ => return Err("the answer has more than one row".to_owned()),
    };
    match row.text(0) {
        // Somebody else's secret is nothing to this user: PostgreSQL cuts names that are too long, for example.
        Some(name) if name == user => Ok(Some(Secret::parse(row.text(1).unwrap_or_default()))),
        Some(_) | None => Ok(None),
    }
}

fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

/// Whom a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    /// As the client asked for it; `None` for the console.
    database: Option<Box<str>>,
    user: Box<str>,
}

impl Subject {
    fn new(database: Option<&str>, user: &str) -> Self {
        Self { database: database.map(Box::from), user: user.into() }
    }
}

struct Finding {
    generation: u64,
    at: Instant,
    secret: Option<Secret>,
}

/// What has been found lately.
#[derive(Default)]
struct Findings {
    by_subject: HashMap<Subject, Finding>,
    /// Oldest first; some may have been forgotten or found again.
    order: VecDeque<Subject>,
}

impl Findings {
    fn believed(&self, subject: &Subject, generation: u64, now: Instant) -> Option<Option<Secret>> {
        let finding = self.by_subject.get(subject)?;
        let holds = finding.generation == generation && now.saturating_duration_since(finding.at) < BELIEVED_FOR;
        holds.then(|| finding.secret.clone())
    }

    fn keep(&mut self, subject: Subject, finding: Finding) {
        let now = finding.at;
        self.by_subject.insert(subject.clone(), finding);
        self.order.push_back(subject);
        // Also what nobody asks for again goes in time.
        while let Some(oldest) = self.order.front() {
            let is_old = |found: &Finding| now.saturating_duration_since(found.at) >= BELIEVED_FOR;
            let goes = self.order.len() > KEPT_MAX || self.by_subject.get(oldest).is_none_or(is_old);
            if !goes {
                break;
            }
            self.by_subject.remove(oldest);
            self.order.pop_front();
        }
    }

    fn forget(&mut self, subject: &Subject) {
        self.by_subject.remove(subject);
    }
}

/// Where an idle connection leads, and whose it is: a runtime's sockets are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    worker: usize,
    generation: u64,
    database: Box<str>,
    auth_user: Box<str>,
    node: NodeId,
}

struct Idle {
    place: Place,
    since: Instant,
    session: ControlSession,
}

impl Lookups {
    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().expect("nothing panics while it holds the findings")
    }

    fn take_idle(&self, place: &Place) -> Option<ControlSession> {
        let mut idle = self.lock_idle();
        let at = idle.iter().position(|idle| idle.place == *place)?;
        Some(idle.swap_remove(at).session)
    }

    fn put_idle(&self, place: Place, session: ControlSession) {
        let mut idle = self.lock_idle();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { place, since: Instant::now(), session });
        }
    }

    /// Closes connections that nobody has used for a while.
    pub fn close_idle(&self) {
        let now = Instant::now();
        let closed: Vec<Idle> =
            self.lock_idle().extract_if(.., |idle| now.saturating_duration_since(idle.since) >= IDLE_FOR).collect();
        drop(closed);
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().expect("nothing panics while it holds the connections")
    }
}

//! The one session over which a node is acted on.
//!
//! It holds an advisory lock that only one proxy can have, under a name that tells the term it acts for. Whoever
//! takes over ends the sessions of earlier terms and reads again before it acts; a predecessor that wakes up finds
//! its session gone, and cannot get the lock. Locks work on standbys too and outlive a promotion.
//! <https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS>

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use crate::{
    control::dial::in_words,
    server::{
        ServerTarget,
        simple::{ControlSession, QueryError, Row},
    },
    wire::take::ServerMessage,
};

/// The first number of the lock, `hwdh` in ASCII; the second is zero.
const LOCK: u32 = 0x6877_6468;

/// What the names of these sessions begin with, in `pg_stat_activity`.
const NAME: &str = "howdah-ctl";

/// Longest wait for the lock, once its holders have been ended.
const LOCK_PATIENCE_MS: u32 = 1_000;

/// Why something was not done on a node.
#[derive(Debug, thiserror::Error)]
pub(super) enum VoiceError {
    /// The node said no; nothing has happened.
    #[error("{0}")]
    Refused(String),
    /// The node could not be entered; nothing was sent.
    #[error("{0}")]
    NotEntered(String),
    /// The answer did not come; what was sent may happen.
    #[error("{0}")]
    Lost(String),
}

/// One node's session, opened when it is needed.
pub(super) struct Voice {
    /// One effect at a time, in the order in which they came.
    turns: Semaphore,
    session: Mutex<Option<Open>>,
    target: Mutex<ServerTarget>,
}

struct Open {
    session: ControlSession,
    term: u64,
}

/// The session for the time of one effect: effects on one node take turns.
pub(super) struct Turn<'a> {
    _turn: SemaphorePermit<'a>,
    voice: &'a Voice,
    term: u64,
    until: Instant,
}

impl Voice {
    /// For the node there.
    pub(super) fn new(target: ServerTarget) -> Self {
        Self { turns: Semaphore::new(1), session: Mutex::default(), target: Mutex::new(target) }
    }

    /// The node is entered in another way from the next session on.
    pub(super) fn aim(&self, target: ServerTarget) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// How the node is entered.
    pub(super) fn target(&self) -> ServerTarget {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for its turn. Everything in it has to be over at `until`.
    pub(super) async fn turn(&self, term: u64, until: Instant) -> Result<Turn<'_>, VoiceError> {
        let late = || VoiceError::NotEntered("what was begun before is not over yet".to_owned());
        match timeout_at(until, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(Turn { _turn: turn, voice: self, term, until }),
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Open>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The rows of all statements.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Vec<Row>, VoiceError> {
        let kept = self.voice.slot().take();
        let mut open = match kept {
            // A later term needs its own name.
            Some(open) if open.term >= self.term => open,
            _ => self.enter().await?,
        };
        match timeout_at(self.until, open.session.query(sql)).await {
            Ok(Ok(rows)) => {
                *self.voice.slot() = Some(open);
                Ok(rows)
            }
            Ok(Err(QueryError::Server(message))) if is_survived(&message) => {
                *self.voice.slot() = Some(open);
                Err(VoiceError::Refused(message.message))
            }
            Ok(Err(error)) => Err(VoiceError::Lost(in_words(&error).to_string())),
            Err(_) => Err(VoiceError::Lost("no answer in time".to_owned())),
        }
    }

    /// The one value of the one row.
    pub(super) async fn value(&mut self, sql: &str) -> Result<Option<String>, VoiceError> {
        Ok(self.ask(sql).await?.first().and_then(|row| row.text(0)).map(str::to_owned))
    }

    /// Whether a statement answers true.
    pub(super) async fn is(&mut self, sql: &str) -> Result<bool, VoiceError> {
        Ok(self.ask(sql).await?.first().and_then(|row| row.bool(0)) == Some(true))
    }

    /// How the node is entered.
    pub(super) fn target(&self) -> ServerTarget {
        self.voice.target()
    }

    /// When it has to be over.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Opens the session if it is not open, and does nothing else.
    pub(super) async fn ready(&mut self) -> Result<(), VoiceError> {
        self.ask("").await.map(drop)
    }

    async fn enter(&self) -> Result<Open, VoiceError> {
        let mut target = self.voice.target();
        target.parameters = [
            ("application_name".into(), format!("{NAME}/{}/{}", self.term, std::process::id())),
            ("client_encoding".into(), "UTF8".into()),
        ]
        .into();
        let entered = timeout_at(self.until, async {
            let mut session = ControlSession::connect(&target)
                .await
                .map_err(|error| VoiceError::NotEntered(in_words(&error).to_string()))?;
            self.take_the_floor(&mut session).await?;
            Ok(session)
        });
        let session = entered.await.map_err(|_| VoiceError::NotEntered("no session in time".to_owned()))??;
        Ok(Open { session, term: self.term })
    }

    /// Gets the lock; whoever has it for an earlier term, or for this one in an earlier life, is sent away.
    async fn take_the_floor(&self, session: &mut ControlSession) -> Result<(), VoiceError> {
        let failed = |error: QueryError| VoiceError::NotEntered(in_words(&error).to_string());
        let taken = session.query(&format!("SELECT pg_try_advisory_lock({LOCK}, 0)")).await.map_err(failed)?;
        if taken.first().and_then(|row| row.bool(0)) == Some(true) {
            return Ok(());
        }
        let holders = format!(
            "SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
             WHERE l.locktype = 'advisory' AND l.classid = {LOCK} AND l.objid = 0 AND l.objsubid = 2 \
             AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        for holder in session.query(&holders).await.map_err(failed)? {
            let (Some(pid), Some(name)) = (holder.parse::<u32>(0), holder.text(1)) else { continue };
            if term_of(name).is_some_and(|term| term > self.term) {
                return Err(VoiceError::NotEntered(format!("a proxy of a later term acts there ({name})")));
            }
            session.query(&format!("SELECT pg_terminate_backend({pid})")).await.map_err(failed)?;
        }
        let wait =
            format!("SET lock_timeout = {LOCK_PATIENCE_MS}; SELECT pg_advisory_lock({LOCK}, 0); RESET lock_timeout");
        session.query(&wait).await.map(drop).map_err(failed)
    }
}

/// The term in a session's name.
fn term_of(name: &str) -> Option<u64> {
    name.strip_prefix(NAME)?.strip_prefix('/')?.split('/').next()?.parse().ok()
}

fn is_survived(message: &ServerMessage) -> bool {
    !matches!(message.severity.as_str(), "FATAL" | "PANIC")
}

/// Pause between two looks at something that takes milliseconds.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_term_is_read_from_the_name() {
        assert_eq!(term_of("howdah-ctl/7/123"), Some(7));
        assert_eq!(term_of("howdah-ctl/x/123"), None);
        assert_eq!(term_of("psql"), None);
    }
}

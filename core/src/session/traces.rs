//! What statements may have left in their session, noted before they are sent.
//!
//! A note is a suspicion: the statement may fail, or be rolled back. When the transaction is over,
//! [`settle`](super::settle) asks the server what is really there. So nothing here has to know how
//! PostgreSQL undoes settings at savepoints, or which lock a function took.

use std::collections::HashMap;

use crate::sql::effect::{Discard, Effect, Scope};

/// Most settings of a session that are asked for by name; with more, its server is kept.
const NAMES_MAX: usize = 1_000;

/// Longest name of a setting that is asked for, in bytes: two names and a dot.
const NAME_MAX_BYTES: usize = 127;

/// Why a session keeps its server: what it left there and no other server has. A set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes(u16);

impl Causes {
    /// None.
    pub const NONE: Self = Self(0);
    /// A temporary table, view, sequence, type or function.
    pub const TEMPORARY: Self = Self(1);
    /// A cursor WITH HOLD.
    pub const CURSOR: Self = Self(1 << 1);
    /// An advisory lock that does not end with its transaction.
    pub const ADVISORY_LOCK: Self = Self(1 << 2);
    /// A statement of SQL's PREPARE.
    pub const PREPARED: Self = Self(1 << 3);
    /// LISTEN.
    pub const LISTEN: Self = Self(1 << 4);
    /// What `currval` and `lastval` answer.
    pub const SEQUENCE: Self = Self(1 << 5);
    /// LOAD.
    pub const LIBRARY: Self = Self(1 << 6);
    /// Settings that could not be read back.
    pub const SETTINGS: Self = Self(1 << 7);
    /// Something else, for example `setseed`.
    pub const OTHER: Self = Self(1 << 8);
    /// The schema was changed, and what is known of statements does not say so yet.
    pub const SCHEMA: Self = Self(1 << 9);

    /// What a server can be asked for.
    pub const VISIBLE: Self =
        Self(Self::TEMPORARY.0 | Self::CURSOR.0 | Self::ADVISORY_LOCK.0 | Self::PREPARED.0 | Self::LISTEN.0);

    /// Each with its name on the console and in metrics, in the order in which they are shown.
    pub const WORDS: [(Self, &str); 10] = [
        (Self::TEMPORARY, "temporary object"),
        (Self::CURSOR, "cursor with hold"),
        (Self::ADVISORY_LOCK, "advisory lock"),
        (Self::PREPARED, "prepared statement"),
        (Self::LISTEN, "listen"),
        (Self::SEQUENCE, "sequence"),
        (Self::LIBRARY, "library"),
        (Self::SETTINGS, "settings"),
        (Self::OTHER, "other"),
        (Self::SCHEMA, "schema change"),
    ];

    /// From what [`bits`](Self::bits) gave.
    pub fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// As a number, for atomics.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// There is none.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// All of `others` are in it.
    pub fn contain(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those that both have.
    #[must_use]
    pub fn common(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those that are not in `others`.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those for which something is lost with the server.
    #[must_use]
    pub fn of_loss(self) -> Self {
        self.without(Self::SCHEMA)
    }

    /// Their names.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::WORDS.into_iter().filter(move |(cause, _)| self.contain(*cause)).map(|(_, word)| word)
    }
}

/// Whether a server knows what the session listens to, so that its answer in the end is the whole truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Relisted {
    /// It was not told.
    #[default]
    No,
    /// It was told before the transaction.
    Before,
    /// It was told in the transaction, and forgets it if that is rolled back, or one of the savepoints
    /// from before; the names are those since.
    Inside(Vec<Box<str>>),
}

/// What has to be asked, or done, when the transaction is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Anything may have been set.
    pub all_settings: bool,
    /// Settings that may have another value now.
    pub names: Vec<Box<str>>,
    /// Settings that were reset to what the server thinks is their default.
    pub resets: Vec<Box<str>>,
    /// RESET ALL or DISCARD ALL: all of them were.
    pub reset_all: bool,
    /// What may have come or gone.
    pub suspects: Causes,
    /// Nobody could look into what was done: settings of made-up names, which no list has, may have been set.
    pub unseen: bool,
    /// There were too many names.
    pub overflow: bool,
    /// A name is a guess, or its statement failed: what has it need not be the session's to set.
    pub doubtful: bool,
    /// DISCARD SEQUENCES.
    pub forgets_sequences: bool,
    /// Channels of LISTENs that nobody has been told of.
    pub listens: Vec<Box<str>>,
    /// Channels that are listened to for the session already, in case that it does.
    pub ahead: Vec<Box<str>>,
    /// Nobody could be had to listen for the session.
    pub unheard: bool,
    /// A COMMIT is on its way that may be of these LISTENs.
    pub commits: bool,
    /// Channels may have been left, or be asked for.
    pub unlistens: bool,
    /// What the server knows of them.
    pub relisted: Relisted,
    /// The transaction in which it was told was committed.
    pub committed: bool,
}

impl Traces {
    /// Notes an effect. False when it leaves nothing behind.
    pub fn note(&mut self, effect: &Effect) -> bool {
        match effect {
            Effect::Set { name, scope: Scope::Session } => self.note_set(name),
            Effect::Reset { name, scope: Scope::Session } => {
                // Whether its value is the session's own now, only the whole list says.
                self.all_settings = true;
                self.note_set(name);
                self.resets.push(name.as_str().into());
            }
            Effect::ResetAll => {
                self.all_settings = true;
                self.reset_all = true;
            }
            // Which one, [`note_candidates`](Self::note_candidates) finds out.
            Effect::SetByFunction => {}
            Effect::Discard(Discard::All) => {
                self.note_everything();
                (self.reset_all, self.unseen) = (true, false);
            }
            Effect::Discard(Discard::Temporary) | Effect::CreateTemporary => self.suspect(Causes::TEMPORARY),
            Effect::Discard(Discard::Sequences) => self.forgets_sequences = true,
            Effect::Prepare { .. } | Effect::Deallocate(_) | Effect::DeallocateAll => self.suspect(Causes::PREPARED),
            Effect::DeclareCursor { hold: true, .. } | Effect::CloseCursor(_) | Effect::CloseAllCursors => {
                self.suspect(Causes::CURSOR);
            }
            Effect::Listen(channel) => self.note_listen(channel),
            Effect::Unlisten(_) | Effect::UnlistenAll => self.need_channels(),
            Effect::Commit { .. } => {
                self.commits = !self.listens.is_empty();
                return false;
            }
            Effect::Rollback { .. } | Effect::Savepoint(_) | Effect::Release(_) | Effect::RollbackTo(_) => {
                self.note_savepoint(effect);
                return false;
            }
            Effect::AdvisoryLock | Effect::AdvisoryUnlock | Effect::AdvisoryUnlockAll => {
                self.suspect(Causes::ADVISORY_LOCK);
            }
            Effect::Load => self.suspect(Causes::LIBRARY),
            Effect::UseSequence => self.suspect(Causes::SEQUENCE),
            Effect::Other => self.suspect(Causes::OTHER),
            Effect::Unknown | Effect::Execute(_) => self.note_everything(),
            _ => return false,
        }
        true
    }

    /// Nothing says what may have been left: nobody could look into what was done.
    pub fn is_a_guess(&self) -> bool {
        self.names.is_empty() && self.listens.is_empty() && (self.unseen || self.suspects.is_none())
    }

    /// Anything may have happened.
    pub fn note_everything(&mut self) {
        self.all_settings = true;
        self.unlistens = true;
        self.unseen = true;
        self.suspect(Causes::VISIBLE);
    }

    fn note_listen(&mut self, channel: &str) {
        self.suspect(Causes::LISTEN);
        if self.listens.len() < NAMES_MAX && !self.listens.iter().any(|known| **known == *channel) {
            self.listens.push(channel.into());
        }
    }

    /// Follows whether what the server was told inside the transaction is still there. Nothing else
    /// has to be followed: what the client did itself, the server knows.
    fn note_savepoint(&mut self, effect: &Effect) {
        let Relisted::Inside(savepoints) = &mut self.relisted else { return };
        let find = |name: &str| savepoints.iter().rposition(|known| **known == *name);
        match effect {
            Effect::Savepoint(name) if savepoints.len() < NAMES_MAX => savepoints.push(name.as_str().into()),
            Effect::Release(name) => {
                if let Some(at) = find(name) {
                    savepoints.truncate(at);
                }
            }
            Effect::RollbackTo(name) => match find(name) {
                Some(at) => savepoints.truncate(at + 1),
                None => self.relisted = Relisted::No,
            },
            // The transaction is undone; or there is one savepoint too many, and then rather a channel too many.
            _ => self.relisted = Relisted::No,
        }
    }

    /// The transaction is over, and these are kept for the next.
    pub fn carry_over(&mut self) {
        self.relisted = if self.knows_channels() { Relisted::Before } else { Relisted::No };
        self.committed = false;
    }

    /// The server will have to know what the session listens to.
    pub fn need_channels(&mut self) {
        self.suspect(Causes::LISTEN);
        self.unlistens = true;
    }

    /// What the server listens to is all that the session listens to.
    pub fn knows_channels(&self) -> bool {
        match self.relisted {
            Relisted::No => false,
            Relisted::Before => true,
            Relisted::Inside(_) => self.committed,
        }
    }

    /// Whether a setting may have another value now.
    pub fn may_set(&self, setting: &str) -> bool {
        self.all_settings || self.overflow || self.names.iter().any(|name| **name == *setting)
    }

    /// Something of these may have come or gone.
    pub fn suspect(&mut self, causes: Causes) {
        self.suspects = self.suspects.and(causes);
    }

    /// `set_config` was called with some of these values as the name.
    pub fn note_candidate(&mut self, value: &[u8]) {
        let looks_like_one = !value.is_empty()
            && value.len() <= NAME_MAX_BYTES
            && value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | 0x80..));
        if looks_like_one && let Ok(name) = std::str::from_utf8(value) {
            self.doubtful = true;
            self.note_set(&name.to_ascii_lowercase());
        }
    }

    fn note_set(&mut self, name: &str) {
        // It cannot be read back.
        if name == "seed" {
            return self.suspect(Causes::OTHER);
        }
        // The role is lost with the user.
        if name == "session_authorization" {
            self.note_name("role");
        }
        self.note_name(name);
    }

    fn note_name(&mut self, name: &str) {
        if self.names.len() >= NAMES_MAX {
            self.overflow = true;
        } else if !self.names.iter().any(|known| **known == *name) {
            self.names.push(name.into());
        }
    }
}

/// What statements of SQL's PREPARE do when they are executed, by name.
#[derive(Debug, Default)]
pub struct Executes(HashMap<Box<str>, Vec<Effect>>);

impl Executes {
    /// Notes a PREPARE. It may fail because the name is taken, so what was known of the name stays.
    pub fn note(&mut self, name: &str, effects: &[Effect]) {
        if self.0.len() < NAMES_MAX {
            self.0.entry(name.into()).or_default().extend_from_slice(effects);
        }
    }

    /// What an EXECUTE does; `None` when nobody knows.
    pub fn find(&self, name: &str) -> Option<&[Effect]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(effects: &[Effect]) -> Traces {
        let mut traces = Traces::default();
        for effect in effects {
            traces.note(effect);
        }
        traces
    }

    #[test]
    fn what_ends_with_its_transaction_leaves_no_trace() {
        let local = Effect::Set { name: "work_mem".into(), scope: Scope::Local };
        assert!(!Traces::default().note(&local));
        assert!(!Traces::default().note(&Effect::DeclareCursor { name: "c".into(), hold: false }));
        assert!(!Traces::default().note(&Effect::Commit { chain: false }));
    }

    #[test]
    fn a_change_of_user_takes_the_role_along() {
        let traces = noted(&[Effect::Set { name: "session_authorization".into(), scope: Scope::Session }]);
        assert_eq!(traces.names, ["role".into(), "session_authorization".into()]);
    }

    #[test]
    fn values_that_cannot_be_names_are_no_candidates() {
        let mut traces = Traces::default();
        for value in [&b"app.Tenant"[..], b"no name", b"", b"work_mem", b"\xff\xfe", b"app.tenant"] {
            traces.note_candidate(value);
        }
        assert_eq!(traces.names, ["app.tenant".into(), "work_mem".into()]);
    }

    #[test]
    fn a_commit_matters_only_behind_a_listen() {
        assert_eq!(noted(&[Effect::Commit { chain: false }]), Traces::default());
        assert!(noted(&[Effect::Listen("a".into()), Effect::Commit { chain: false }]).commits);
    }

    #[test]
    fn what_a_server_was_told_inside_is_lost_with_an_earlier_savepoint() {
        let told = || Traces { relisted: Relisted::Inside(Vec::new()), committed: true, ..Traces::default() };
        let after = |effects: &[Effect]| {
            let mut traces = told();
            effects.iter().for_each(|effect| _ = traces.note(effect));
            traces.knows_channels()
        };
        let (save, back) = (Effect::Savepoint("s".into()), Effect::RollbackTo("s".into()));
        assert!(after(&[]));
        assert!(!after(std::slice::from_ref(&back)));
        assert!(after(&[save.clone(), back.clone(), back.clone()]));
        assert!(!after(&[save, Effect::Release("s".into()), back]));
        assert!(!after(&[Effect::Rollback { chain: true }]));
        assert!(!Traces { committed: false, ..told() }.knows_channels());
    }

    #[test]
    fn what_a_server_was_told_counts_in_the_next_transaction_if_it_was_committed() {
        let told = |committed| Traces { relisted: Relisted::Inside(Vec::new()), committed, ..Traces::default() };
        for (committed, relisted) in [(true, Relisted::Before), (false, Relisted::No)] {
            let mut traces = told(committed);
            traces.carry_over();
            assert_eq!(traces, Traces { relisted, ..Traces::default() });
        }
    }

    #[test]
    fn causes_are_a_set() {
        let some = Causes::LISTEN.and(Causes::TEMPORARY);
        assert_eq!(some.words().collect::<Vec<_>>(), ["temporary object", "listen"]);
        assert_eq!(some.without(Causes::LISTEN), Causes::TEMPORARY);
        assert_eq!(Causes::from_bits(some.bits()), some);
        assert!(some.common(Causes::LIBRARY).is_none());
    }
}

//! What a statement does to its session, in the order it does it.
//!
//! Facts say where a statement may run; effects say what must be remembered when it has run. An
//! effect counts only when the server has answered that the statement succeeded.

/// How far a setting reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// To the end of the session.
    Session,
    /// To the end of the transaction.
    Local,
}

/// A transaction's isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the level of that name")]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// Modes that BEGIN or SET TRANSACTION declares; none where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransactionModes {
    /// ISOLATION LEVEL.
    pub isolation: Option<Isolation>,
    /// READ ONLY or READ WRITE.
    pub read_only: Option<bool>,
    /// DEFERRABLE or NOT DEFERRABLE.
    pub deferrable: Option<bool>,
}

/// What DISCARD throws away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the word after DISCARD")]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temporary,
}

/// One thing that a statement does to its session.
///
/// Names are folded as PostgreSQL folds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// BEGIN, START TRANSACTION.
    Begin(TransactionModes),
    /// SET TRANSACTION.
    SetTransaction(TransactionModes),
    /// COMMIT, END.
    Commit {
        /// AND CHAIN: the next transaction begins at once.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN: the next transaction begins at once.
        chain: bool,
    },
    /// PREPARE TRANSACTION: ends the transaction for the session.
    PrepareTransaction,
    /// COMMIT PREPARED: commits what some session wrote before.
    CommitPrepared,
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// ROLLBACK TO SAVEPOINT: settings made since are undone.
    RollbackTo(String),
    /// SET of one setting. TIME ZONE is `timezone`, NAMES `client_encoding`, ROLE `role`, SESSION
    /// AUTHORIZATION `session_authorization`; a SESSION CHARACTERISTICS is a `default_transaction_…`.
    Set {
        /// Which.
        name: String,
        /// For how long.
        scope: Scope,
    },
    /// RESET, or SET … TO DEFAULT, of one setting.
    Reset {
        /// Which.
        name: String,
        /// For how long.
        scope: Scope,
    },
    /// RESET ALL.
    ResetAll,
    /// Calls `set_config`: which setting, and for how long, only its arguments say.
    SetByFunction,
    /// DISCARD.
    Discard(Discard),
    /// PREPARE. The facts beside it are those of the prepared statement.
    Prepare {
        /// Its name.
        name: String,
        /// What each EXECUTE of it will do.
        effects: Vec<Effect>,
    },
    /// EXECUTE of a name.
    Execute(String),
    /// DEALLOCATE of a name.
    Deallocate(String),
    /// DEALLOCATE ALL.
    DeallocateAll,
    /// Makes a temporary table, view or sequence.
    CreateTemporary,
    /// DECLARE CURSOR.
    DeclareCursor {
        /// Its name.
        name: String,
        /// WITH HOLD: it outlives its transaction.
        hold: bool,
    },
    /// CLOSE of a cursor.
    CloseCursor(String),
    /// CLOSE ALL.
    CloseAllCursors,
    /// LISTEN on a channel.
    Listen(String),
    /// UNLISTEN of a channel.
    Unlisten(String),
    /// UNLISTEN *.
    UnlistenAll,
    /// Asks which channels it listens to: `pg_listening_channels`.
    RecallChannels,
    /// May take an advisory lock that outlives its transaction.
    AdvisoryLock,
    /// Gives back one advisory lock.
    AdvisoryUnlock,
    /// Gives back all advisory locks.
    AdvisoryUnlockAll,
    /// LOAD: a library stays in the server process.
    Load,
    /// Uses a sequence such that `currval` and `lastval` answer differently.
    UseSequence,
    /// Asks what a sequence answered this session: `currval`, `lastval`.
    RecallSequence,
    /// Changes something else that the server process keeps, for example `setseed`.
    Other,
    /// May do anything to its session: nobody could look into it.
    Unknown,
}

impl Effect {
    /// Changes a setting to the end of the transaction, and no longer.
    pub fn sets_locally(&self, setting: &str) -> bool {
        match self {
            Self::Set { name, scope: Scope::Local } | Self::Reset { name, scope: Scope::Local } => name == setting,
            _ => false,
        }
    }
}

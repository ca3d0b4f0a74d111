//! What PostgreSQL's own parser says of a statement.

use std::sync::Arc;

/// The kind of a statement. Of several in one text: the one that weighs most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the SQL command of that name")]
pub enum Kind {
    Select, Insert, Update, Delete, Merge, CopyIn, CopyOut, Begin, Commit, Rollback, Savepoint,
    Set, Show, DeclareCursor, Fetch, Call, DoBlock, Listen, Notify, Lock, Explain, Ddl,
    Maintenance, Other, Unparsed,
}

/// What the router needs to know of a statement, as independent yes-or-no facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Traits {
    /// No part of the statement can write.
    pub read_only: bool,
    /// FOR UPDATE, FOR SHARE and the like.
    pub row_locks: bool,
    /// Calls a function that may write or is not known.
    pub unknown_function: bool,
    /// Changes or depends on session state (temporary objects, SET, LISTEN, advisory locks, WITH HOLD).
    pub session_state: bool,
    /// More than one statement in one text.
    pub multi_statement: bool,
    /// A data-modifying common table expression.
    pub writing_cte: bool,
    /// Touches only system catalogs.
    pub catalog_only: bool,
    /// COPY or a cursor.
    pub streaming: bool,
    /// Names a temporary or unlogged relation, or a view that hides one: a standby cannot read it.
    pub primary_only_relation: bool,
    /// BEGIN or START TRANSACTION with READ ONLY, not SERIALIZABLE (which a standby refuses).
    pub begins_read_only: bool,
}

/// A table as the statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRef {
    /// As written; none when unqualified.
    pub schema: Option<String>,
    /// Folded as PostgreSQL folds it.
    pub name: String,
    /// The statement may change it.
    pub write: bool,
}

/// All that is known of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementFacts {
    /// Hex fingerprint of the shape; equal shapes have equal ones in every process.
    pub fingerprint: String,
    /// The kind that weighs most.
    pub kind: Kind,
    /// Yes-or-no facts, the union over all statements of the text.
    pub traits: Traits,
    /// Tables, as written.
    pub tables: Vec<TableRef>,
    /// Functions, as written, lower case unless quoted.
    pub functions: Vec<String>,
    /// From comments: `/* route=primary, tenant=acme */`; `/*NO LOAD BALANCE*/` is ("no-load-balance", "").
    pub hints: Vec<(String, String)>,
    /// The shape itself: literals replaced by `$n`.
    pub normalized: Arc<str>,
}

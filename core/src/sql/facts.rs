//! What PostgreSQL's own parser says of a statement.
//!
//! The types are here, and [`of`], which fills them. How a tree becomes facts is in
//! [`statement`](super::statement), what a query touches in [`walk`](super::walk).

use std::sync::Arc;

use super::{
    catalog::Catalog,
    effect::{Effect, Isolation},
    lexical,
    normal::{self, Scanned},
    statement::Reader,
};

/// The kind of a statement. Of several in one text: the one that weighs most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the SQL command of that name")]
pub enum Kind {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    CopyIn,
    CopyOut,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    Set,
    Show,
    DeclareCursor,
    Fetch,
    Call,
    DoBlock,
    Listen,
    Notify,
    Lock,
    Explain,
    Ddl,
    Maintenance,
    Other,
    Unparsed,
}

impl Kind {
    /// Of two kinds in one text, the one with the greater weight is named.
    pub(super) fn weight(self) -> u8 {
        match self {
            Self::Show => 0,
            Self::Begin => 1,
            Self::Commit => 2,
            Self::Rollback => 3,
            Self::Savepoint => 4,
            Self::Fetch => 5,
            Self::Set => 6,
            Self::Select => 7,
            Self::Explain => 8,
            Self::DeclareCursor => 9,
            Self::CopyOut => 10,
            Self::Other => 11,
            Self::Listen => 12,
            Self::Notify => 13,
            Self::Lock => 14,
            Self::Insert => 15,
            Self::Update => 16,
            Self::Delete => 17,
            Self::Merge => 18,
            Self::CopyIn => 19,
            Self::Call => 20,
            Self::DoBlock => 21,
            Self::Maintenance => 22,
            Self::Ddl => 23,
            Self::Unparsed => 24,
        }
    }
}

/// What the router needs to know of a statement, as independent yes-or-no facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Traits {
    /// No part of the statement can write.
    pub read_only: bool,
    /// FOR UPDATE, FOR SHARE and the like.
    pub row_locks: bool,
    /// Calls a function that may write or is not known, or a view that does.
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
    /// Makes, changes or drops what a [`Catalog`] knows: time to read it again.
    pub changes_catalog: bool,
    /// Makes or changes what later statements may run unseen: functions, triggers, defaults. What only drops does not.
    pub defines: bool,
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
    /// What the text does to its session, over all statements in their order.
    pub effects: Vec<Effect>,
    /// The shape itself: literals replaced by `$n`. Empty when the lexer refused the text.
    pub normalized: Arc<str>,
}

impl StatementFacts {
    /// It changes nothing, and leaves nothing in its transaction or its session: a SELECT without effects.
    pub fn only_reads(&self) -> bool {
        let Traits { read_only, unknown_function, changes_catalog, defines, .. } = self.traits;
        let changes = unknown_function || changes_catalog || defines;
        self.kind == Kind::Select && read_only && !changes && self.effects.is_empty()
    }

    /// The isolation level that a BEGIN declares, if it does.
    pub fn isolation(&self) -> Option<Isolation> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Begin(modes) => modes.isolation,
            _ => None,
        })
    }
}

/// Finds the facts of a text, which costs tens of microseconds.
///
/// A text that PostgreSQL's parser refuses is [`Kind::Unparsed`]; all that is known of it then are
/// its hints and whether it might change its session.
pub fn of(text: &str, catalog: &Catalog) -> StatementFacts {
    let scanned = normal::scan(text);
    match parse(text) {
        Some(tree) => Reader::new(catalog).read(&tree).into_facts(scanned.unwrap_or_default()),
        None => unparsed(text.as_bytes(), scanned.unwrap_or_default()),
    }
}

/// True when the catalog should be read again after this text succeeded.
pub fn mentions_ddl(facts: &StatementFacts) -> bool {
    facts.traits.changes_catalog
}

/// Whether a text is one PREPARE and nothing else.
pub fn is_prepare(text: &str) -> bool {
    let Some(tree) = parse(text) else { return false };
    matches!(&*tree.stmts, [one] if matches!(one.stmt.as_ref().and_then(|it| it.node.as_ref()), Some(pg_query::NodeEnum::PrepareStmt(_))))
}

/// Facts of a text that nobody has parsed.
pub(super) fn unparsed(text: &[u8], scanned: Scanned) -> StatementFacts {
    let session_state = lexical::may_change_session(text);
    StatementFacts {
        fingerprint: normal::fingerprint(&scanned.normalized),
        kind: Kind::Unparsed,
        traits: Traits { session_state, ..Traits::default() },
        tables: Vec::new(),
        functions: Vec::new(),
        hints: scanned.hints,
        effects: if session_state { vec![Effect::Unknown] } else { Vec::new() },
        normalized: scanned.normalized.into(),
    }
}

/// Nodes of a statement, or none when PostgreSQL's parser refuses the text or nests too deeply.
fn parse(text: &str) -> Option<pg_query::protobuf::ParseResult> {
    pg_query::parse(text, 0).ok().map(|result| result.protobuf)
}

#[cfg(test)]
mod tests;

//! Questions that most policies ask of a statement.

use crate::{Statement, StatementKind, StatementTraits, Transaction, TransactionPhase};

impl Statement {
    /// A statement without a transaction or anything else around it. For tests.
    pub fn new(kind: StatementKind, traits: StatementTraits) -> Self {
        Self {
            fingerprint: "0".repeat(16),
            kind,
            traits,
            transaction: Transaction {
                phase: TransactionPhase::None,
                read_only: false,
                serializable: false,
                wrote: false,
            },
            tables: Vec::new(),
            functions: Vec::new(),
            hints: Vec::new(),
            normalized_text: None,
            raw_text: None,
            parameters: Vec::new(),
        }
    }

    /// Outside a transaction, and a standby gives the same answer as the primary.
    pub fn is_plain_read(&self) -> bool {
        let needs_primary = StatementTraits::ROW_LOCKS
            | StatementTraits::UNKNOWN_FUNCTION
            | StatementTraits::SESSION_STATE
            | StatementTraits::WRITING_CTE
            | StatementTraits::PRIMARY_ONLY_RELATION;
        self.transaction.phase == TransactionPhase::None
            && matches!(self.kind, StatementKind::Select | StatementKind::Explain | StatementKind::CopyOut)
            && self.traits.contains(StatementTraits::READ_ONLY)
            && !self.traits.intersects(needs_primary)
    }

    /// The value of a hint, `/* name=value */`.
    pub fn hint(&self, name: &str) -> Option<&str> {
        self.hints.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

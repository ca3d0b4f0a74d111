//! Commands about transactions and settings.

use pg_query::{
    NodeEnum,
    protobuf::{
        AConst, DiscardMode, DiscardStmt, Node, TransactionStmt, TransactionStmtKind, VariableSetKind, VariableSetStmt,
        a_const::Val,
    },
};

use super::Reader;
use crate::sql::{
    effect::{Discard, Effect, Isolation, Scope, TransactionModes},
    facts::Kind,
};

impl Reader<'_> {
    pub(super) fn transaction(&mut self, statement: &TransactionStmt) -> Kind {
        let name = || statement.savepoint_name.clone();
        let chain = statement.chain;
        let (kind, effect) = match statement.kind() {
            TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => {
                return self.begin(modes(&statement.options));
            }
            TransactionStmtKind::TransStmtCommit => (Kind::Commit, Effect::Commit { chain }),
            TransactionStmtKind::TransStmtRollback => (Kind::Rollback, Effect::Rollback { chain }),
            TransactionStmtKind::TransStmtSavepoint => (Kind::Savepoint, Effect::Savepoint(name())),
            TransactionStmtKind::TransStmtRelease => (Kind::Savepoint, Effect::Release(name())),
            TransactionStmtKind::TransStmtRollbackTo => (Kind::Savepoint, Effect::RollbackTo(name())),
            TransactionStmtKind::TransStmtPrepare => {
                self.traits.read_only = false;
                (Kind::Other, Effect::PrepareTransaction)
            }
            TransactionStmtKind::TransStmtCommitPrepared => {
                self.traits.read_only = false;
                (Kind::Other, Effect::CommitPrepared)
            }
            TransactionStmtKind::TransStmtRollbackPrepared | TransactionStmtKind::Undefined => {
                return self.writes(Kind::Other);
            }
        };
        self.effects.push(effect);
        kind
    }

    fn begin(&mut self, modes: TransactionModes) -> Kind {
        let can_stay_on_standby = modes.read_only == Some(true) && modes.isolation != Some(Isolation::Serializable);
        let begun_before = self.effects.iter().any(|effect| matches!(effect, Effect::Begin(_)));
        // Of several transactions in one text all must be such.
        self.traits.begins_read_only = can_stay_on_standby && (self.traits.begins_read_only || !begun_before);
        self.effects.push(Effect::Begin(modes));
        Kind::Begin
    }

    pub(super) fn set(&mut self, statement: &VariableSetStmt) -> Kind {
        let name = statement.name.to_ascii_lowercase();
        match statement.kind() {
            VariableSetKind::VarSetMulti => self.set_several(&statement.name, &statement.args),
            VariableSetKind::VarResetAll => self.affect(Effect::ResetAll),
            VariableSetKind::VarSetDefault | VariableSetKind::VarReset => {
                let scope = scope(&name, statement.is_local);
                self.affect_within(scope, Effect::Reset { name, scope });
            }
            VariableSetKind::VarSetValue | VariableSetKind::VarSetCurrent | VariableSetKind::Undefined => {
                let scope = scope(&name, statement.is_local);
                self.affect_within(scope, Effect::Set { name, scope });
            }
        }
        Kind::Set
    }

    /// The forms of SET with a grammar of their own.
    fn set_several(&mut self, what: &str, arguments: &[Node]) {
        match what {
            "TRANSACTION" => {
                let modes = modes(arguments);
                if modes.read_only == Some(false) || modes.isolation == Some(Isolation::Serializable) {
                    self.traits.begins_read_only = false;
                }
                self.effects.push(Effect::SetTransaction(modes));
            }
            "SESSION CHARACTERISTICS" => {
                for name in arguments.iter().filter_map(mode_name) {
                    self.affect(Effect::Set { name: format!("default_{name}"), scope: Scope::Session });
                }
            }
            // TRANSACTION SNAPSHOT: only the node that exported it has it.
            _ => self.traits.read_only = false,
        }
    }

    fn affect_within(&mut self, scope: Scope, effect: Effect) {
        match scope {
            Scope::Session => self.affect(effect),
            Scope::Local => self.effects.push(effect),
        }
    }
}

pub(super) fn discard(statement: &DiscardStmt) -> Effect {
    Effect::Discard(match statement.target() {
        DiscardMode::DiscardPlans => Discard::Plans,
        DiscardMode::DiscardSequences => Discard::Sequences,
        DiscardMode::DiscardTemp => Discard::Temporary,
        DiscardMode::DiscardAll | DiscardMode::Undefined => Discard::All,
    })
}

/// The modes of the running transaction are settings too, which end with it however they are set.
fn scope(name: &str, is_local: bool) -> Scope {
    let of_transaction = matches!(name, "transaction_isolation" | "transaction_read_only" | "transaction_deferrable");
    if is_local || of_transaction { Scope::Local } else { Scope::Session }
}

fn modes(options: &[Node]) -> TransactionModes {
    let mut modes = TransactionModes::default();
    for option in options {
        match (mode_name(option), mode_value(option)) {
            (Some("transaction_isolation"), Some(Val::Sval(level))) => modes.isolation = isolation(&level.sval),
            (Some("transaction_read_only"), Some(Val::Ival(value))) => modes.read_only = Some(value.ival != 0),
            (Some("transaction_deferrable"), Some(Val::Ival(value))) => modes.deferrable = Some(value.ival != 0),
            _ => {}
        }
    }
    modes
}

fn mode_name(option: &Node) -> Option<&str> {
    match option.node.as_ref()? {
        NodeEnum::DefElem(option) => Some(&option.defname),
        _ => None,
    }
}

fn mode_value(option: &Node) -> Option<&Val> {
    match option.node.as_ref()? {
        NodeEnum::DefElem(option) => match option.arg.as_ref()?.node.as_ref()? {
            NodeEnum::AConst(AConst { val, .. }) => val.as_ref(),
            _ => None,
        },
        _ => None,
    }
}

fn isolation(level: &str) -> Option<Isolation> {
    match level {
        "read uncommitted" => Some(Isolation::ReadUncommitted),
        "read committed" => Some(Isolation::ReadCommitted),
        "repeatable read" => Some(Isolation::RepeatableRead),
        "serializable" => Some(Isolation::Serializable),
        _ => None,
    }
}

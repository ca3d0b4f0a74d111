//! The rules, in order. The first that has an opinion decides; its name is in the plan.

use howdah_plugin::{
    Hold, Plan, Replicas, Session, Statement, StatementKind as Kind, StatementTraits as Traits,
    TransactionPhase as Phase, settings::matches,
};

use crate::{ReadWriteSplit, settings::CausalReads};

/// Where statements of this shape go for sessions of this class.
pub fn decide(policy: &ReadWriteSplit, session: &Session, statement: &Statement) -> Plan {
    let case = Case { policy, session, statement };
    case.by_hint()
        .or_else(|| case.by_transaction())
        .or_else(|| case.by_what_it_may_change())
        .unwrap_or_else(|| case.by_kind())
        .hold(case.hold())
}

struct Case<'a> {
    policy: &'a ReadWriteSplit,
    session: &'a Session,
    statement: &'a Statement,
}

impl Case<'_> {
    /// The author of the statement said where it goes. Elsewhere than to the primary only as long
    /// as nothing has been written: a transaction cannot move.
    fn by_hint(&self) -> Option<Plan> {
        if !self.policy.settings.hints {
            return None;
        }
        if self.statement.hint("no-load-balance").is_some() {
            return Some(Plan::primary().rule("no-load-balance"));
        }
        let wish = self.statement.hint("route")?;
        if wish == "primary" {
            return Some(Plan::primary().rule("hint-primary"));
        }
        if !self.is_free() {
            return None;
        }
        if let Some(id) = self.policy.nodes.get(wish) {
            return Some(Plan::node(*id).rule("hint-node"));
        }
        let standby = matches!(wish, "standby" | "replica") && !self.writes_by_its_kind();
        standby.then(|| self.standbys().rule("hint-standby"))
    }

    /// A transaction stays on one node: on the primary, unless it has promised not to write.
    fn by_transaction(&self) -> Option<Plan> {
        let transaction = &self.statement.transaction;
        let serializable = || Plan::primary().rule("serializable");
        match transaction.phase {
            Phase::Failed => Some(Plan::primary().rule("failed-transaction")),
            Phase::Active if !transaction.read_only => Some(Plan::primary().rule("transaction")),
            _ if transaction.serializable => Some(serializable()),
            Phase::Active => Some(self.read("read-only-transaction")),
            Phase::None if self.statement.kind != Kind::Begin => None,
            Phase::None | Phase::Opening if self.begins_read_only() => Some(self.read("begin-read-only")),
            Phase::None | Phase::Opening => Some(Plan::primary().rule("begin")),
        }
    }

    /// What is known of the statement, whatever its kind.
    fn by_what_it_may_change(&self) -> Option<Plan> {
        let traits = self.statement.traits;
        let rule = if self.writes_by_its_kind() {
            "write"
        } else if traits.contains(Traits::WRITING_CTE) {
            "writing-cte"
        } else if traits.contains(Traits::ROW_LOCKS) {
            "row-locks"
        } else if traits.contains(Traits::PRIMARY_ONLY_RELATION) {
            "primary-only-relation"
        } else if traits.contains(Traits::SESSION_STATE) {
            "session-state"
        } else if self.calls_any(&self.policy.settings.write_functions) {
            "write-function"
        } else if traits.contains(Traits::UNKNOWN_FUNCTION) && !self.vouched_for() {
            "unknown-function"
        } else if traits.contains(Traits::MULTI_STATEMENT) && !traits.contains(Traits::READ_ONLY) {
            "multi-statement"
        } else {
            return None;
        };
        Some(Plan::primary().rule(rule))
    }

    /// Nothing speaks against a standby; reads go there, everything else does not.
    fn by_kind(&self) -> Plan {
        let reads = self.statement.traits.contains(Traits::READ_ONLY)
            || (self.statement.kind == Kind::Select && self.vouched_for());
        match self.statement.kind {
            Kind::Select | Kind::Explain | Kind::CopyOut if reads => self.read("read"),
            Kind::Select | Kind::Explain | Kind::CopyOut => Plan::primary().rule("not-read-only"),
            Kind::Set | Kind::Show => Plan::primary().rule("setting"),
            Kind::Unparsed => Plan::primary().rule("unparsed"),
            _ => Plan::primary().rule("other"),
        }
    }

    /// A read goes where its application, its user or its database prefers, else to a standby.
    fn read(&self, rule: &str) -> Plan {
        let settings = &self.policy.settings;
        let preferences = [
            (&settings.application_preferences, &self.session.application, "application-preference"),
            (&settings.user_preferences, &self.session.user, "user-preference"),
            (&settings.database_preferences, &self.session.database, "database-preference"),
        ];
        let preferred = preferences.into_iter().find_map(|(preferences, name, rule)| {
            let to = preferences.of(name)?;
            match (to, self.policy.nodes.get(to)) {
                ("primary", _) => Some(Plan::primary().rule(rule)),
                ("standby", _) => Some(self.standbys().rule(rule)),
                (_, Some(id)) => {
                    let only = self.standbys().node(*id).include_primary(true);
                    Some(only.rule(rule).or(self.standbys().target()))
                }
                (_, None) => None,
            }
        });
        preferred.unwrap_or_else(|| self.standbys().include_primary(settings.include_primary).rule(rule))
    }

    fn standbys(&self) -> Replicas {
        let settings = &self.policy.settings;
        let standbys = Plan::replicas()
            .max_lag_bytes(settings.max_lag_bytes.map(|bytes| bytes.0))
            .max_lag(settings.max_lag.map(|millis| millis.0))
            .balance(settings.balance.into());
        match settings.causal_reads {
            CausalReads::Session => standbys.own_writes(settings.causal_reads_timeout.0),
            CausalReads::None => standbys,
        }
    }

    fn hold(&self) -> Hold {
        match self.statement.transaction.phase {
            Phase::None if self.statement.kind != Kind::Begin => Hold::Statement,
            _ => Hold::Transaction,
        }
    }

    /// No transaction binds the statement to the primary.
    fn is_free(&self) -> bool {
        match self.statement.transaction.phase {
            Phase::None | Phase::Opening => true,
            Phase::Active => self.statement.transaction.read_only,
            Phase::Failed => false,
        }
    }

    /// With more statements in the text, READ ONLY must hold for all of them.
    fn begins_read_only(&self) -> bool {
        let traits = self.statement.traits;
        let alone = !traits.contains(Traits::MULTI_STATEMENT);
        let promised = traits.contains(Traits::BEGINS_READ_ONLY) || self.statement.transaction.read_only;
        promised && (alone || traits.contains(Traits::READ_ONLY))
    }

    fn writes_by_its_kind(&self) -> bool {
        matches!(
            self.statement.kind,
            Kind::Insert
                | Kind::Update
                | Kind::Delete
                | Kind::Merge
                | Kind::CopyIn
                | Kind::Lock
                | Kind::Listen
                | Kind::Notify
                | Kind::Ddl
                | Kind::Maintenance
        )
    }

    fn calls_any(&self, patterns: &[String]) -> bool {
        self.statement.functions.iter().any(|name| patterns.iter().any(|p| matches(p, name)))
    }

    /// The operator says of all the functions in the statement that they do not write.
    fn vouched_for(&self) -> bool {
        let patterns = &self.policy.settings.read_only_functions;
        let functions = &self.statement.functions;
        !functions.is_empty() && functions.iter().all(|name| patterns.iter().any(|p| matches(p, name)))
    }
}

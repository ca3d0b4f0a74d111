//! What each SQL command is, from its tree: kind, traits, and what it does to its session.

use std::sync::Arc;

use pg_query::{
    NodeEnum,
    protobuf::{
        CopyStmt, CreateTableAsStmt, DeclareCursorStmt, DefElem, ExecuteStmt, ExplainStmt, Node, ParseResult,
        PrepareStmt, RangeVar,
    },
};

mod definition;
mod transaction;

use super::{
    builtin::{self, SessionUse},
    catalog::{Catalog, Concern, Knowledge},
    effect::Effect,
    facts::{Kind, StatementFacts, TableRef, Traits},
    normal::{self, Scanned},
    unseen,
    walk::{Found, FunctionRef, Temporary, is_temporary_schema},
};

/// DECLARE … WITH HOLD, `CURSOR_OPT_HOLD` in PostgreSQL's `parsenodes.h`.
const CURSOR_OPTION_HOLD: i32 = 0x0020;

/// Whether a query that a command contains is run by that command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Now,
    /// It is only explained: nothing in it happens.
    Never,
}

/// Reads statements and adds up what they say.
pub(super) struct Reader<'a> {
    catalog: &'a Catalog,
    kind: Option<Kind>,
    traits: Traits,
    tables: Vec<TableRef>,
    functions: Vec<FunctionRef>,
    effects: Vec<Effect>,
}

impl<'a> Reader<'a> {
    pub fn new(catalog: &'a Catalog) -> Self {
        let traits = Traits { read_only: true, ..Traits::default() };
        Self { catalog, kind: None, traits, tables: Vec::new(), functions: Vec::new(), effects: Vec::new() }
    }

    pub fn read(mut self, tree: &ParseResult) -> Self {
        let statements = tree.stmts.iter().filter_map(|raw| raw.stmt.as_ref()?.node.as_ref());
        for (index, statement) in statements.enumerate() {
            self.traits.multi_statement = index > 0;
            let kind = self.statement(statement);
            self.kind = self.kind.into_iter().chain([kind]).max_by_key(|kind| kind.weight());
        }
        self
    }

    pub fn into_facts(mut self, scanned: Scanned) -> StatementFacts {
        self.traits.catalog_only = !self.tables.is_empty() && self.tables.iter().all(is_system);
        self.effects.extend(unseen::of_changes(self.catalog, self.kind, &self.traits));
        StatementFacts {
            fingerprint: normal::fingerprint(&scanned.normalized),
            kind: self.kind.unwrap_or(Kind::Other),
            traits: self.traits,
            tables: self.tables,
            functions: self
                .functions
                .into_iter()
                .map(|FunctionRef { schema, name }| match schema {
                    Some(schema) => format!("{schema}.{name}"),
                    None => name,
                })
                .collect(),
            hints: scanned.hints,
            effects: self.effects,
            normalized: Arc::from(scanned.normalized),
        }
    }

    fn statement(&mut self, statement: &NodeEnum) -> Kind {
        match statement {
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_) => self.query(statement, Runs::Now),
            NodeEnum::TransactionStmt(it) => self.transaction(it),
            NodeEnum::VariableSetStmt(it) => self.set(it),
            NodeEnum::VariableShowStmt(_) => Kind::Show,
            NodeEnum::ExplainStmt(it) => self.explain(it),
            NodeEnum::CopyStmt(it) => self.copy(it),
            NodeEnum::DeclareCursorStmt(it) => self.declare_cursor(it),
            NodeEnum::PrepareStmt(it) => self.prepare(it),
            NodeEnum::ExecuteStmt(it) => self.execute(it, Runs::Now),
            NodeEnum::CallStmt(it) => {
                let mut found = Found::default();
                if let Some(call) = &it.funccall {
                    found.call(call);
                }
                self.absorb(found, Runs::Now);
                self.effects.push(Effect::Unknown);
                self.writes(Kind::Call)
            }
            NodeEnum::DoStmt(_) => {
                self.traits.unknown_function = true;
                self.effects.push(Effect::Unknown);
                self.writes(Kind::DoBlock)
            }
            _ => self.session_command(statement).unwrap_or_else(|| self.other_command(statement)),
        }
    }

    /// Commands that read and write nothing but the session itself.
    fn session_command(&mut self, statement: &NodeEnum) -> Option<Kind> {
        let (kind, effect) = match statement {
            NodeEnum::FetchStmt(_) => {
                self.traits.streaming = true;
                return Some(Kind::Fetch);
            }
            NodeEnum::ClosePortalStmt(it) if it.portalname.is_empty() => (Kind::Other, Effect::CloseAllCursors),
            NodeEnum::ClosePortalStmt(it) => (Kind::Other, Effect::CloseCursor(it.portalname.clone())),
            NodeEnum::DeallocateStmt(it) if it.isall => (Kind::Other, Effect::DeallocateAll),
            NodeEnum::DeallocateStmt(it) => (Kind::Other, Effect::Deallocate(it.name.clone())),
            NodeEnum::UnlistenStmt(it) if it.conditionname.is_empty() => (Kind::Listen, Effect::UnlistenAll),
            NodeEnum::UnlistenStmt(it) => (Kind::Listen, Effect::Unlisten(it.conditionname.clone())),
            NodeEnum::DiscardStmt(it) => (Kind::Set, transaction::discard(it)),
            NodeEnum::ListenStmt(it) => {
                // A standby has no notifications.
                self.traits.read_only = false;
                (Kind::Listen, Effect::Listen(it.conditionname.clone()))
            }
            NodeEnum::LoadStmt(_) => {
                self.traits.read_only = false;
                (Kind::Other, Effect::Load)
            }
            _ => return None,
        };
        self.affect(effect);
        Some(kind)
    }

    /// Commands that change something in the cluster.
    fn other_command(&mut self, statement: &NodeEnum) -> Kind {
        match statement {
            NodeEnum::NotifyStmt(_) => self.writes(Kind::Notify),
            NodeEnum::ConstraintsSetStmt(_) => self.writes(Kind::Set),
            NodeEnum::LockStmt(it) => {
                self.relations(&it.relations, false);
                self.writes(Kind::Lock)
            }
            NodeEnum::VacuumStmt(it) => {
                for relation in &it.rels {
                    if let Some(NodeEnum::VacuumRelation(relation)) = &relation.node {
                        self.relation(relation.relation.as_ref(), true);
                    }
                }
                self.writes(Kind::Maintenance)
            }
            NodeEnum::ClusterStmt(it) => self.maintains(it.relation.as_ref()),
            NodeEnum::ReindexStmt(it) => self.maintains(it.relation.as_ref()),
            NodeEnum::RefreshMatViewStmt(it) => self.maintains(it.relation.as_ref()),
            NodeEnum::CheckPointStmt(_) | NodeEnum::AlterSystemStmt(_) => self.writes(Kind::Maintenance),
            _ => self.definition(statement),
        }
    }

    /// Commands that define things: everything that is left.
    fn definition(&mut self, statement: &NodeEnum) -> Kind {
        if definition::changes_catalog(statement) {
            self.traits.changes_catalog = true;
            self.traits.defines |= !definition::only_drops(statement);
        }
        for relation in definition::relations(statement) {
            self.relation(Some(&relation), true);
        }
        if let NodeEnum::CreateTableAsStmt(it) = statement {
            self.create_as(it);
        }
        if let NodeEnum::ViewStmt(it) = statement {
            self.optional_query(it.query.as_deref(), Runs::Never);
        }
        if definition::is_temporary(statement) {
            self.affect(Effect::CreateTemporary);
        }
        self.writes(Kind::Ddl)
    }

    fn create_as(&mut self, create: &CreateTableAsStmt) {
        match create.query.as_ref().and_then(|it| it.node.as_ref()) {
            Some(NodeEnum::ExecuteStmt(it)) => {
                self.execute(it, Runs::Now);
            }
            Some(query) => {
                self.query(query, Runs::Now);
            }
            None => {}
        }
    }

    fn explain(&mut self, explain: &ExplainStmt) -> Kind {
        let runs = if explain.options.iter().any(asks_for_analyze) { Runs::Now } else { Runs::Never };
        match explain.query.as_ref().and_then(|it| it.node.as_ref()) {
            Some(NodeEnum::ExecuteStmt(it)) => {
                self.execute(it, runs);
            }
            Some(NodeEnum::DeclareCursorStmt(it)) => self.optional_query(it.query.as_deref(), runs),
            Some(NodeEnum::CreateTableAsStmt(it)) => match runs {
                Runs::Now => {
                    self.definition(&NodeEnum::CreateTableAsStmt(it.clone()));
                }
                Runs::Never => self.optional_query(it.query.as_deref(), runs),
            },
            Some(query) => {
                self.query(query, runs);
            }
            None => self.traits.read_only = false,
        }
        Kind::Explain
    }

    fn copy(&mut self, copy: &CopyStmt) -> Kind {
        self.traits.streaming = true;
        self.relation(copy.relation.as_ref(), copy.is_from);
        self.optional_query(copy.query.as_deref(), Runs::Now);
        if copy.is_from {
            let mut found = Found::default();
            found.optional(copy.where_clause.as_deref());
            self.absorb(found, Runs::Now);
            return self.writes(Kind::CopyIn);
        }
        // A file lies on the node that wrote it.
        if copy.is_program || !copy.filename.is_empty() {
            self.traits.read_only = false;
        }
        Kind::CopyOut
    }

    fn declare_cursor(&mut self, declare: &DeclareCursorStmt) -> Kind {
        let hold = declare.options & CURSOR_OPTION_HOLD != 0;
        self.traits.streaming = true;
        self.traits.session_state |= hold;
        self.effects.push(Effect::DeclareCursor { name: declare.portalname.clone(), hold });
        self.optional_query(declare.query.as_deref(), Runs::Now);
        Kind::DeclareCursor
    }

    fn prepare(&mut self, prepare: &PrepareStmt) -> Kind {
        let before = self.effects.len();
        self.optional_query(prepare.query.as_deref(), Runs::Now);
        let effects = self.effects.split_off(before);
        self.affect(Effect::Prepare { name: prepare.name.clone(), effects });
        Kind::Other
    }

    /// What it runs is not in the text, so it may be anything.
    fn execute(&mut self, execute: &ExecuteStmt, runs: Runs) -> Kind {
        let mut found = Found::default();
        found.nodes(&execute.params);
        self.absorb(found, runs);
        self.traits.session_state = true;
        if runs == Runs::Now {
            self.effects.push(Effect::Execute(execute.name.clone()));
            self.traits.unknown_function = true;
            self.traits.read_only = false;
        }
        Kind::Other
    }

    fn optional_query(&mut self, query: Option<&Node>, runs: Runs) {
        if let Some(query) = query.and_then(|it| it.node.as_ref()) {
            self.query(query, runs);
        }
    }

    /// A query, at the top or inside another command.
    fn query(&mut self, query: &NodeEnum, runs: Runs) -> Kind {
        let mut found = Found::default();
        found.query(query);
        let makes_table = found.into.is_some();
        self.absorb(found, runs);
        match query {
            NodeEnum::SelectStmt(_) if makes_table => Kind::Ddl,
            NodeEnum::SelectStmt(_) => Kind::Select,
            NodeEnum::InsertStmt(_) => Kind::Insert,
            NodeEnum::UpdateStmt(_) => Kind::Update,
            NodeEnum::DeleteStmt(_) => Kind::Delete,
            NodeEnum::MergeStmt(_) => Kind::Merge,
            _ => Kind::Other,
        }
    }

    fn absorb(&mut self, found: Found, runs: Runs) {
        let mut writes = found.incomplete || found.modifies || found.row_locks || found.into.is_some();
        self.traits.row_locks |= found.row_locks;
        self.traits.writing_cte |= found.writing_cte;
        self.traits.unknown_function |= found.incomplete;
        for table in found.tables {
            writes |= self.table(table, runs);
        }
        for function in found.functions {
            writes |= self.function(function, runs);
        }
        match (runs, found.into) {
            (Runs::Never, _) | (_, None) => {}
            (Runs::Now, Some(Temporary::Yes)) => self.affect(Effect::CreateTemporary),
            (Runs::Now, Some(Temporary::No)) => {
                (self.traits.changes_catalog, self.traits.defines) = (true, true);
            }
        }
        if writes && runs == Runs::Now {
            self.traits.read_only = false;
        }
    }

    /// True when reading the table may write.
    fn table(&mut self, table: TableRef, runs: Runs) -> bool {
        let schema = table.schema.as_deref();
        let concern = self.catalog.concern(schema, &table.name);
        let temporary = schema.is_some_and(is_temporary_schema);
        let of_node = schema.is_none_or(|schema| schema == builtin::PG_CATALOG) && builtin::is_of_node(&table.name);
        self.traits.primary_only_relation |= temporary || of_node || concern == Some(Concern::PrimaryOnly);
        self.traits.session_state |= temporary || builtin::relation_remembers(&table.name);
        let writes = concern == Some(Concern::MayWrite);
        self.traits.unknown_function |= writes && runs == Runs::Now;
        match self.tables.iter_mut().find(|known| known.schema == table.schema && known.name == table.name) {
            Some(known) => known.write |= table.write,
            None => self.tables.push(table),
        }
        writes
    }

    /// True when calling the function may write.
    fn function(&mut self, function: FunctionRef, runs: Runs) -> bool {
        let schema = function.schema.as_deref();
        let writes = self.catalog.function(schema, &function.name) != Knowledge::Reads;
        if runs == Runs::Now {
            self.traits.unknown_function |= writes;
            if schema.is_none_or(|schema| schema == builtin::PG_CATALOG) {
                self.session_use(&function.name);
                self.traits.primary_only_relation |= builtin::is_of_node(&function.name);
            }
            match unseen::of_function(self.catalog, schema, &function.name) {
                Some(Effect::Other) => self.affect(Effect::Other),
                unseen => self.effects.extend(unseen),
            }
        }
        if !self.functions.contains(&function) {
            self.functions.push(function);
        }
        writes
    }

    fn session_use(&mut self, function: &str) {
        match builtin::session_use(function) {
            None => {}
            Some(SessionUse::Remembers) => self.traits.session_state = true,
            Some(SessionUse::MovesSequence) => self.effects.push(Effect::UseSequence),
            Some(SessionUse::RecallsChannels) => {
                self.traits.session_state = true;
                self.affect(Effect::RecallChannels);
            }
            Some(SessionUse::RecallsSequence) => self.affect(Effect::RecallSequence),
            Some(SessionUse::SetConfig) => self.affect(Effect::SetByFunction),
            Some(SessionUse::AdvisoryLock) => self.affect(Effect::AdvisoryLock),
            Some(SessionUse::AdvisoryUnlock) => self.affect(Effect::AdvisoryUnlock),
            Some(SessionUse::AdvisoryUnlockAll) => self.affect(Effect::AdvisoryUnlockAll),
            Some(SessionUse::Other) => self.affect(Effect::Other),
        }
    }

    fn relations(&mut self, nodes: &[Node], write: bool) {
        for node in nodes {
            if let Some(NodeEnum::RangeVar(relation)) = &node.node {
                self.relation(Some(relation), write);
            }
        }
    }

    fn relation(&mut self, relation: Option<&RangeVar>, write: bool) {
        let mut found = Found::default();
        if let Some(relation) = relation {
            found.table(relation, write);
        }
        self.absorb(found, Runs::Now);
    }

    fn maintains(&mut self, relation: Option<&RangeVar>) -> Kind {
        self.relation(relation, true);
        self.writes(Kind::Maintenance)
    }

    fn writes(&mut self, kind: Kind) -> Kind {
        self.traits.read_only = false;
        kind
    }

    /// Records an effect that outlives the transaction.
    fn affect(&mut self, effect: Effect) {
        self.traits.session_state = true;
        self.effects.push(effect);
    }
}

/// EXPLAIN (ANALYZE), unless a word says no.
fn asks_for_analyze(option: &Node) -> bool {
    let Some(NodeEnum::DefElem(option)) = &option.node else { return true };
    let DefElem { defname, arg, .. } = &**option;
    let refused = match arg.as_ref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::String(word)) => matches!(word.sval.as_str(), "false" | "off"),
        Some(NodeEnum::Boolean(word)) => !word.boolval,
        _ => false,
    };
    defname == "analyze" && !refused
}

fn is_system(table: &TableRef) -> bool {
    match table.schema.as_deref() {
        Some(schema) => schema == builtin::PG_CATALOG || schema == "information_schema",
        None => table.name.starts_with("pg_"),
    }
}

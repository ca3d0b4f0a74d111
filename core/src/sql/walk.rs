//! Walks a query's tree and gathers what it touches.
//!
//! Every struct is taken apart without `..` and every kind of node that the grammar makes inside a
//! query is named, so a field or a node that a new version adds is either a compile error or
//! [`Found::incomplete`], never overlooked. Expressions are in [`expression`].

mod expression;

use pg_query::{
    NodeEnum,
    protobuf::{
        CommonTableExpr, CteCycleClause, DeleteStmt, InferClause, InsertStmt, MergeStmt, MergeWhenClause, Node,
        OnConflictClause, RangeVar, ReturningClause, SelectStmt, UpdateStmt, WithClause,
    },
};

use super::facts::TableRef;

/// Deeper trees are not looked into. The decoder refuses at 100 messages, two or three of which
/// make a level, so this is reached only when that limit is lifted; a worker's stack holds more.
const DEPTH_MAX: usize = 200;

/// A function as the statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FunctionRef {
    pub schema: Option<String>,
    pub name: String,
}

/// Whether a new relation ends with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temporary {
    Yes,
    No,
}

impl Temporary {
    pub fn of(relation: Option<&RangeVar>) -> Self {
        let yes = relation.is_some_and(|it| it.relpersistence == "t" || is_temporary_schema(&it.schemaname));
        if yes { Self::Yes } else { Self::No }
    }
}

pub(super) fn is_temporary_schema(schema: &str) -> bool {
    schema == "pg_temp" || schema.starts_with("pg_temp_")
}

/// The parts of a dotted name.
pub(super) fn name_parts(nodes: &[Node]) -> impl DoubleEndedIterator<Item = &str> {
    nodes.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::String(part)) => Some(part.sval.as_str()),
        _ => None,
    })
}

/// What a query touches.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub tables: Vec<TableRef>,
    pub functions: Vec<FunctionRef>,
    /// FOR UPDATE and the like, anywhere.
    pub row_locks: bool,
    /// INSERT, UPDATE, DELETE or MERGE, at the top or in a common table expression.
    pub modifies: bool,
    /// A common table expression that modifies.
    pub writing_cte: bool,
    /// SELECT INTO.
    pub into: Option<Temporary>,
    /// Something was met that the walk does not know.
    pub incomplete: bool,
    /// Names of the common table expressions in scope.
    scope: Vec<String>,
    depth: usize,
}

impl Found {
    /// Walks a SELECT, INSERT, UPDATE, DELETE or MERGE.
    pub fn query(&mut self, query: &NodeEnum) {
        match query {
            NodeEnum::SelectStmt(it) => self.select(it),
            NodeEnum::InsertStmt(it) => self.insert(it),
            NodeEnum::UpdateStmt(it) => self.update(it),
            NodeEnum::DeleteStmt(it) => self.delete(it),
            NodeEnum::MergeStmt(it) => self.merge(it),
            _ => self.incomplete = true,
        }
    }

    /// Adds a relation; one that is both read and written counts as written.
    pub fn table(&mut self, relation: &RangeVar, write: bool) {
        let RangeVar { catalogname: _, schemaname, relname, inh: _, relpersistence: _, alias: _, location: _ } =
            relation;
        let schema = (!schemaname.is_empty()).then(|| schemaname.clone());
        if !write && schema.is_none() && self.scope.contains(relname) {
            return;
        }
        match self.tables.iter_mut().find(|known| known.schema == schema && known.name == *relname) {
            Some(known) => known.write |= write,
            None => self.tables.push(TableRef { schema, name: relname.clone(), write }),
        }
    }

    fn optional_query(&mut self, query: Option<&Node>) {
        if let Some(query) = query.and_then(|it| it.node.as_ref()) {
            self.deeper(|found| found.query(query));
        }
    }

    fn deeper(&mut self, step: impl FnOnce(&mut Self)) {
        if self.depth == DEPTH_MAX {
            self.incomplete = true;
            return;
        }
        self.depth += 1;
        step(self);
        self.depth -= 1;
    }

    fn select(&mut self, select: &SelectStmt) {
        let SelectStmt {
            distinct_clause,
            into_clause,
            target_list,
            from_clause,
            where_clause,
            group_clause,
            group_distinct: _,
            having_clause,
            window_clause,
            values_lists,
            sort_clause,
            limit_offset,
            limit_count,
            limit_option: _,
            locking_clause,
            with_clause,
            op: _,
            all: _,
            larg,
            rarg,
        } = select;
        self.within(with_clause.as_ref(), |found| {
            if let Some(into) = into_clause {
                found.into = Some(Temporary::of(into.rel.as_ref()));
                into.rel.iter().for_each(|relation| found.table(relation, true));
            }
            found.row_locks |= !locking_clause.is_empty();
            for list in
                [distinct_clause, target_list, from_clause, group_clause, window_clause, values_lists, sort_clause]
            {
                found.nodes(list);
            }
            for node in [where_clause, having_clause, limit_offset, limit_count] {
                found.optional(node.as_deref());
            }
            for side in [larg, rarg].into_iter().flatten() {
                found.deeper(|found| found.select(side));
            }
        });
    }

    fn insert(&mut self, insert: &InsertStmt) {
        let InsertStmt {
            relation,
            cols,
            select_stmt,
            on_conflict_clause,
            returning_clause,
            with_clause,
            r#override: _,
        } = insert;
        self.modifies = true;
        self.within(with_clause.as_ref(), |found| {
            found.target(relation.as_ref());
            found.nodes(cols);
            found.optional_query(select_stmt.as_deref());
            if let Some(clause) = on_conflict_clause {
                found.on_conflict(clause);
            }
            found.returning(returning_clause.as_ref());
        });
    }

    fn on_conflict(&mut self, clause: &OnConflictClause) {
        let OnConflictClause { action: _, infer, target_list, where_clause, location: _ } = clause;
        if let Some(infer) = infer {
            let InferClause { index_elems, where_clause, conname: _, location: _ } = &**infer;
            self.nodes(index_elems);
            self.optional(where_clause.as_deref());
        }
        self.nodes(target_list);
        self.optional(where_clause.as_deref());
    }

    fn update(&mut self, update: &UpdateStmt) {
        let UpdateStmt { relation, target_list, where_clause, from_clause, returning_clause, with_clause } = update;
        self.modifies = true;
        self.within(with_clause.as_ref(), |found| {
            found.target(relation.as_ref());
            found.nodes(target_list);
            found.nodes(from_clause);
            found.optional(where_clause.as_deref());
            found.returning(returning_clause.as_ref());
        });
    }

    fn delete(&mut self, delete: &DeleteStmt) {
        let DeleteStmt { relation, using_clause, where_clause, returning_clause, with_clause } = delete;
        self.modifies = true;
        self.within(with_clause.as_ref(), |found| {
            found.target(relation.as_ref());
            found.nodes(using_clause);
            found.optional(where_clause.as_deref());
            found.returning(returning_clause.as_ref());
        });
    }

    fn merge(&mut self, merge: &MergeStmt) {
        let MergeStmt { relation, source_relation, join_condition, merge_when_clauses, returning_clause, with_clause } =
            merge;
        self.modifies = true;
        self.within(with_clause.as_ref(), |found| {
            found.target(relation.as_ref());
            found.optional(source_relation.as_deref());
            found.optional(join_condition.as_deref());
            for clause in merge_when_clauses {
                match &clause.node {
                    Some(NodeEnum::MergeWhenClause(clause)) => found.merge_when(clause),
                    _ => found.incomplete = true,
                }
            }
            found.returning(returning_clause.as_ref());
        });
    }

    fn merge_when(&mut self, clause: &MergeWhenClause) {
        let MergeWhenClause { match_kind: _, command_type: _, r#override: _, condition, target_list, values } = clause;
        self.optional(condition.as_deref());
        self.nodes(target_list);
        self.nodes(values);
    }

    /// The table that a statement changes. It is never a common table expression.
    fn target(&mut self, relation: Option<&RangeVar>) {
        if let Some(relation) = relation {
            self.table(relation, true);
        }
    }

    fn returning(&mut self, clause: Option<&ReturningClause>) {
        if let Some(ReturningClause { options: _, exprs }) = clause {
            self.nodes(exprs);
        }
    }

    /// Walks a WITH clause, then `body` with its names in scope.
    fn within(&mut self, clause: Option<&WithClause>, body: impl FnOnce(&mut Self)) {
        let outer = self.scope.len();
        if let Some(WithClause { ctes, recursive, location: _ }) = clause {
            let ctes: Vec<_> = ctes
                .iter()
                .filter_map(|node| match &node.node {
                    Some(NodeEnum::CommonTableExpr(cte)) => Some(cte),
                    _ => None,
                })
                .collect();
            if *recursive {
                self.scope.extend(ctes.iter().map(|cte| cte.ctename.clone()));
            }
            for cte in ctes {
                self.common_table(cte);
                // Without RECURSIVE a name is in scope from the next expression on.
                self.scope.push(cte.ctename.clone());
            }
        }
        body(self);
        self.scope.truncate(outer);
    }

    fn common_table(&mut self, cte: &CommonTableExpr) {
        let CommonTableExpr {
            ctename: _,
            aliascolnames: _,
            ctematerialized: _,
            ctequery,
            search_clause: _,
            cycle_clause,
            location: _,
            cterecursive: _,
            cterefcount: _,
            ctecolnames: _,
            ctecoltypes: _,
            ctecoltypmods: _,
            ctecolcollations: _,
        } = cte;
        self.writing_cte |= !matches!(ctequery.as_ref().and_then(|it| it.node.as_ref()), Some(NodeEnum::SelectStmt(_)));
        self.optional_query(ctequery.as_deref());
        if let Some(cycle) = cycle_clause {
            let CteCycleClause {
                cycle_col_list: _,
                cycle_mark_column: _,
                cycle_mark_value,
                cycle_mark_default,
                cycle_path_column: _,
                location: _,
                cycle_mark_type: _,
                cycle_mark_typmod: _,
                cycle_mark_collation: _,
                cycle_mark_neop: _,
            } = &**cycle;
            self.optional(cycle_mark_value.as_deref());
            self.optional(cycle_mark_default.as_deref());
        }
    }
}

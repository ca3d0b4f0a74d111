//! The part of the walk that is below a query: expressions and what stands in FROM.

use pg_query::{
    NodeEnum,
    protobuf::{
        self as pg, FuncCall, JsonAggConstructor, JsonBehavior, JsonOutput, JsonTable, JsonTableColumn,
        JsonTablePathSpec, JsonValueExpr, Node, TypeName, WindowDef,
    },
};

use super::{Found, FunctionRef, name_parts};

impl Found {
    pub(in crate::sql) fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.optional(Some(node));
        }
    }

    pub(in crate::sql) fn optional(&mut self, node: Option<&Node>) {
        if let Some(node) = node.and_then(|it| it.node.as_ref()) {
            self.deeper(|found| found.node(node));
        }
    }

    fn both(&mut self, left: Option<&Node>, right: Option<&Node>) {
        self.optional(left);
        self.optional(right);
    }

    fn node(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::AConst(_)
            | NodeEnum::AStar(_)
            | NodeEnum::Alias(_)
            | NodeEnum::Boolean(_)
            | NodeEnum::CurrentOfExpr(_)
            | NodeEnum::Float(_)
            | NodeEnum::Integer(_)
            | NodeEnum::MergeSupportFunc(_)
            | NodeEnum::ParamRef(_)
            | NodeEnum::SetToDefault(_)
            | NodeEnum::SqlvalueFunction(_)
            | NodeEnum::String(_) => {}
            NodeEnum::List(it) => self.nodes(&it.items),
            NodeEnum::SelectStmt(it) => self.select(it),
            NodeEnum::FuncCall(it) => self.call(it),
            NodeEnum::WindowDef(it) => self.window(it),
            NodeEnum::TypeName(it) => self.type_name(Some(it)),
            NodeEnum::RangeVar(it) => self.table(it, false),
            _ => self.operator(node),
        }
    }

    /// Operators and the like: nodes that only hold others.
    fn operator(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::ColumnRef(pg::ColumnRef { fields, location: _ }) => self.nodes(fields),
            NodeEnum::ResTarget(it) => {
                let pg::ResTarget { name: _, indirection, val, location: _ } = &**it;
                self.nodes(indirection);
                self.optional(val.as_deref());
            }
            NodeEnum::AExpr(it) => {
                let pg::AExpr { kind: _, name: _, lexpr, rexpr, rexpr_list_start: _, rexpr_list_end: _, location: _ } =
                    &**it;
                self.both(lexpr.as_deref(), rexpr.as_deref());
            }
            NodeEnum::BoolExpr(it) => {
                let pg::BoolExpr { xpr: _, boolop: _, args, location: _ } = &**it;
                self.nodes(args);
            }
            NodeEnum::TypeCast(it) => {
                let pg::TypeCast { arg, type_name, location: _ } = &**it;
                self.optional(arg.as_deref());
                self.type_name(type_name.as_ref());
            }
            NodeEnum::SubLink(it) => {
                let pg::SubLink {
                    xpr: _,
                    sub_link_type: _,
                    sub_link_id: _,
                    testexpr,
                    oper_name: _,
                    subselect,
                    location: _,
                } = &**it;
                self.both(testexpr.as_deref(), subselect.as_deref());
            }
            NodeEnum::CaseExpr(it) => {
                let pg::CaseExpr { xpr: _, casetype: _, casecollid: _, arg, args, defresult, location: _ } = &**it;
                self.nodes(args);
                self.both(arg.as_deref(), defresult.as_deref());
            }
            NodeEnum::CaseWhen(it) => {
                let pg::CaseWhen { xpr: _, expr, result, location: _ } = &**it;
                self.both(expr.as_deref(), result.as_deref());
            }
            NodeEnum::NullTest(it) => {
                let pg::NullTest { xpr: _, arg, nulltesttype: _, argisrow: _, location: _ } = &**it;
                self.optional(arg.as_deref());
            }
            NodeEnum::BooleanTest(it) => {
                let pg::BooleanTest { xpr: _, arg, booltesttype: _, location: _ } = &**it;
                self.optional(arg.as_deref());
            }
            NodeEnum::CollateClause(it) => {
                let pg::CollateClause { arg, collname: _, location: _ } = &**it;
                self.optional(arg.as_deref());
            }
            NodeEnum::NamedArgExpr(it) => {
                let pg::NamedArgExpr { xpr: _, arg, name: _, argnumber: _, location: _ } = &**it;
                self.optional(arg.as_deref());
            }
            NodeEnum::MultiAssignRef(it) => {
                let pg::MultiAssignRef { source, colno: _, ncolumns: _ } = &**it;
                self.optional(source.as_deref());
            }
            NodeEnum::SortBy(it) => {
                let pg::SortBy { node, sortby_dir: _, sortby_nulls: _, use_op: _, location: _ } = &**it;
                self.optional(node.as_deref());
            }
            NodeEnum::IndexElem(it) => self.optional(it.expr.as_deref()),
            _ => self.collection(node),
        }
    }

    /// Nodes that hold a list.
    fn collection(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::CoalesceExpr(it) => {
                let pg::CoalesceExpr { xpr: _, coalescetype: _, coalescecollid: _, args, location: _ } = &**it;
                self.nodes(args);
            }
            NodeEnum::MinMaxExpr(it) => {
                let pg::MinMaxExpr { xpr: _, minmaxtype: _, minmaxcollid: _, inputcollid: _, op: _, args, location: _ } =
                    &**it;
                self.nodes(args);
            }
            NodeEnum::AArrayExpr(pg::AArrayExpr { elements, list_start: _, list_end: _, location: _ }) => {
                self.nodes(elements)
            }
            NodeEnum::AIndirection(it) => {
                let pg::AIndirection { arg, indirection } = &**it;
                self.optional(arg.as_deref());
                self.nodes(indirection);
            }
            NodeEnum::AIndices(it) => {
                let pg::AIndices { is_slice: _, lidx, uidx } = &**it;
                self.both(lidx.as_deref(), uidx.as_deref());
            }
            NodeEnum::RowExpr(it) => {
                let pg::RowExpr { xpr: _, args, row_typeid: _, row_format: _, colnames: _, location: _ } = &**it;
                self.nodes(args);
            }
            NodeEnum::GroupingSet(pg::GroupingSet { kind: _, content, location: _ }) => self.nodes(content),
            NodeEnum::GroupingFunc(it) => {
                let pg::GroupingFunc { xpr: _, args, refs: _, agglevelsup: _, location: _ } = &**it;
                self.nodes(args);
            }
            NodeEnum::XmlExpr(it) => {
                let pg::XmlExpr {
                    xpr: _,
                    op: _,
                    name: _,
                    named_args,
                    arg_names: _,
                    args,
                    xmloption: _,
                    indent: _,
                    r#type: _,
                    typmod: _,
                    location: _,
                } = &**it;
                self.nodes(named_args);
                self.nodes(args);
            }
            NodeEnum::XmlSerialize(it) => {
                let pg::XmlSerialize { xmloption: _, expr, type_name, indent: _, location: _ } = &**it;
                self.optional(expr.as_deref());
                self.type_name(type_name.as_ref());
            }
            _ => self.item_of_from(node),
        }
    }

    /// What stands in FROM.
    fn item_of_from(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::JoinExpr(it) => {
                let pg::JoinExpr {
                    jointype: _,
                    is_natural: _,
                    larg,
                    rarg,
                    using_clause: _,
                    join_using_alias: _,
                    quals,
                    alias: _,
                    rtindex: _,
                } = &**it;
                self.both(larg.as_deref(), rarg.as_deref());
                self.optional(quals.as_deref());
            }
            NodeEnum::RangeSubselect(it) => {
                let pg::RangeSubselect { lateral: _, subquery, alias: _ } = &**it;
                self.optional(subquery.as_deref());
            }
            NodeEnum::RangeFunction(it) => {
                let pg::RangeFunction { lateral: _, ordinality: _, is_rowsfrom: _, functions, alias: _, coldeflist: _ } =
                    it;
                self.nodes_but_columns(functions);
            }
            NodeEnum::RangeTableFunc(it) => {
                let pg::RangeTableFunc { lateral: _, docexpr, rowexpr, namespaces, columns, alias: _, location: _ } =
                    &**it;
                self.both(docexpr.as_deref(), rowexpr.as_deref());
                self.nodes(namespaces);
                self.nodes(columns);
            }
            NodeEnum::RangeTableFuncCol(it) => {
                let pg::RangeTableFuncCol {
                    colname: _,
                    type_name,
                    for_ordinality: _,
                    is_not_null: _,
                    colexpr,
                    coldefexpr,
                    location: _,
                } = &**it;
                self.type_name(type_name.as_ref());
                self.both(colexpr.as_deref(), coldefexpr.as_deref());
            }
            NodeEnum::RangeTableSample(it) => {
                let pg::RangeTableSample { relation, method: _, args, repeatable, location: _ } = &**it;
                self.both(relation.as_deref(), repeatable.as_deref());
                self.nodes(args);
            }
            NodeEnum::JsonTable(it) => self.json_table(it),
            NodeEnum::JsonTableColumn(it) => self.json_table_column(it),
            _ => self.json(node),
        }
    }

    /// ROWS FROM: each item is a function and a list of column definitions, which call nothing.
    fn nodes_but_columns(&mut self, functions: &[Node]) {
        for function in functions {
            match &function.node {
                Some(NodeEnum::List(list)) => self.optional(list.items.first()),
                _ => self.incomplete = true,
            }
        }
    }

    pub(in crate::sql) fn call(&mut self, call: &FuncCall) {
        let FuncCall {
            funcname,
            args,
            agg_order,
            agg_filter,
            over,
            agg_within_group: _,
            agg_star: _,
            agg_distinct: _,
            func_variadic: _,
            funcformat: _,
            location: _,
        } = call;
        let parts: Vec<_> = name_parts(funcname).collect();
        match parts.split_last() {
            Some((name, qualifier)) => {
                let called =
                    FunctionRef { schema: qualifier.last().map(|&it| it.to_owned()), name: (*name).to_owned() };
                if !self.functions.contains(&called) {
                    self.functions.push(called);
                }
            }
            None => self.incomplete = true,
        }
        self.nodes(args);
        self.nodes(agg_order);
        self.optional(agg_filter.as_deref());
        if let Some(window) = over {
            self.window(window);
        }
    }

    fn window(&mut self, window: &WindowDef) {
        let WindowDef {
            name: _,
            refname: _,
            partition_clause,
            order_clause,
            frame_options: _,
            start_offset,
            end_offset,
            location: _,
        } = window;
        self.nodes(partition_clause);
        self.nodes(order_clause);
        self.both(start_offset.as_deref(), end_offset.as_deref());
    }

    fn type_name(&mut self, name: Option<&TypeName>) {
        if let Some(name) = name {
            let TypeName {
                names: _,
                type_oid: _,
                setof: _,
                pct_type: _,
                typmods,
                typemod: _,
                array_bounds,
                location: _,
            } = name;
            self.nodes(typmods);
            self.nodes(array_bounds);
        }
    }
}

/// SQL/JSON, which has a syntax of its own for nearly everything.
impl Found {
    fn json(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::JsonFuncExpr(it) => {
                let pg::JsonFuncExpr {
                    op: _,
                    column_name: _,
                    context_item,
                    pathspec,
                    passing,
                    output,
                    on_empty,
                    on_error,
                    wrapper: _,
                    quotes: _,
                    location: _,
                } = &**it;
                self.json_value(context_item.as_deref());
                self.optional(pathspec.as_deref());
                self.nodes(passing);
                self.json_output(output.as_ref());
                self.json_behavior(on_empty.as_deref());
                self.json_behavior(on_error.as_deref());
            }
            NodeEnum::JsonValueExpr(it) => self.json_value(Some(it)),
            NodeEnum::JsonBehavior(it) => self.json_behavior(Some(it)),
            NodeEnum::JsonArgument(it) => {
                let pg::JsonArgument { val, name: _ } = &**it;
                self.json_value(val.as_deref());
            }
            NodeEnum::JsonKeyValue(it) => {
                let pg::JsonKeyValue { key, value } = &**it;
                self.optional(key.as_deref());
                self.json_value(value.as_deref());
            }
            NodeEnum::JsonIsPredicate(it) => {
                let pg::JsonIsPredicate { expr, format: _, item_type: _, unique_keys: _, location: _ } = &**it;
                self.optional(expr.as_deref());
            }
            NodeEnum::JsonParseExpr(it) => {
                let pg::JsonParseExpr { expr, output, unique_keys: _, location: _ } = &**it;
                self.json_value(expr.as_deref());
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonScalarExpr(it) => {
                let pg::JsonScalarExpr { expr, output, location: _ } = &**it;
                self.optional(expr.as_deref());
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonSerializeExpr(it) => {
                let pg::JsonSerializeExpr { expr, output, location: _ } = &**it;
                self.json_value(expr.as_deref());
                self.json_output(output.as_ref());
            }
            _ => self.json_constructor(node),
        }
    }

    fn json_constructor(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::JsonObjectConstructor(it) => {
                let pg::JsonObjectConstructor { exprs, output, absent_on_null: _, unique: _, location: _ } = it;
                self.nodes(exprs);
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonArrayConstructor(it) => {
                let pg::JsonArrayConstructor { exprs, output, absent_on_null: _, location: _ } = it;
                self.nodes(exprs);
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonArrayQueryConstructor(it) => {
                let pg::JsonArrayQueryConstructor { query, output, format: _, absent_on_null: _, location: _ } = &**it;
                self.optional(query.as_deref());
                self.json_output(output.as_ref());
            }
            NodeEnum::JsonObjectAgg(it) => {
                let pg::JsonObjectAgg { constructor, arg, absent_on_null: _, unique: _ } = &**it;
                if let Some(pair) = arg {
                    self.optional(pair.key.as_deref());
                    self.json_value(pair.value.as_deref());
                }
                self.json_aggregate(constructor.as_deref());
            }
            NodeEnum::JsonArrayAgg(it) => {
                let pg::JsonArrayAgg { constructor, arg, absent_on_null: _ } = &**it;
                self.json_value(arg.as_deref());
                self.json_aggregate(constructor.as_deref());
            }
            _ => self.incomplete = true,
        }
    }

    fn json_aggregate(&mut self, constructor: Option<&JsonAggConstructor>) {
        if let Some(JsonAggConstructor { output, agg_filter, agg_order, over, location: _ }) = constructor {
            self.json_output(output.as_ref());
            self.optional(agg_filter.as_deref());
            self.nodes(agg_order);
            if let Some(window) = over {
                self.window(window);
            }
        }
    }

    fn json_value(&mut self, value: Option<&JsonValueExpr>) {
        if let Some(JsonValueExpr { raw_expr, formatted_expr, format: _ }) = value {
            self.both(raw_expr.as_deref(), formatted_expr.as_deref());
        }
    }

    fn json_output(&mut self, output: Option<&JsonOutput>) {
        if let Some(JsonOutput { type_name, returning: _ }) = output {
            self.type_name(type_name.as_ref());
        }
    }

    fn json_behavior(&mut self, behavior: Option<&JsonBehavior>) {
        if let Some(JsonBehavior { btype: _, expr, coerce: _, location: _ }) = behavior {
            self.optional(expr.as_deref());
        }
    }

    fn json_path(&mut self, path: Option<&JsonTablePathSpec>) {
        if let Some(JsonTablePathSpec { string, name: _, name_location: _, location: _ }) = path {
            self.optional(string.as_deref());
        }
    }

    fn json_table(&mut self, table: &JsonTable) {
        let JsonTable { context_item, pathspec, passing, columns, on_error, alias: _, lateral: _, location: _ } = table;
        self.json_value(context_item.as_deref());
        self.json_path(pathspec.as_deref());
        self.nodes(passing);
        self.nodes(columns);
        self.json_behavior(on_error.as_deref());
    }

    fn json_table_column(&mut self, column: &JsonTableColumn) {
        let JsonTableColumn {
            coltype: _,
            name: _,
            type_name,
            pathspec,
            format: _,
            wrapper: _,
            quotes: _,
            columns,
            on_empty,
            on_error,
            location: _,
        } = column;
        self.type_name(type_name.as_ref());
        self.json_path(pathspec.as_deref());
        self.nodes(columns);
        self.json_behavior(on_empty.as_deref());
        self.json_behavior(on_error.as_deref());
    }
}

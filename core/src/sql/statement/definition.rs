//! Commands that define things: which relations they name, and whether the catalog we keep knows
//! less afterwards.

use pg_query::{
    NodeEnum,
    protobuf::{Node, ObjectType, RangeVar},
};

use crate::sql::walk::{Temporary, is_temporary_schema, name_parts};

/// False for commands that define nothing of which a [`Catalog`](crate::sql::catalog::Catalog)
/// holds a name. What is not listed may, so the catalog is read once too often rather than once
/// too rarely.
pub(super) fn changes_catalog(statement: &NodeEnum) -> bool {
    if is_temporary(statement) {
        return false;
    }
    !matches!(
        statement,
        NodeEnum::TruncateStmt(_)
            | NodeEnum::CommentStmt(_)
            | NodeEnum::SecLabelStmt(_)
            | NodeEnum::IndexStmt(_)
            | NodeEnum::CreateStatsStmt(_)
            | NodeEnum::AlterStatsStmt(_)
            | NodeEnum::GrantStmt(_)
            | NodeEnum::GrantRoleStmt(_)
            | NodeEnum::AlterDefaultPrivilegesStmt(_)
            | NodeEnum::AlterOwnerStmt(_)
            | NodeEnum::ReassignOwnedStmt(_)
            | NodeEnum::CreateRoleStmt(_)
            | NodeEnum::AlterRoleStmt(_)
            | NodeEnum::AlterRoleSetStmt(_)
            | NodeEnum::DropRoleStmt(_)
            | NodeEnum::CreatedbStmt(_)
            | NodeEnum::AlterDatabaseStmt(_)
            | NodeEnum::AlterDatabaseSetStmt(_)
            | NodeEnum::AlterDatabaseRefreshCollStmt(_)
            | NodeEnum::DropdbStmt(_)
            | NodeEnum::CreateTableSpaceStmt(_)
            | NodeEnum::AlterTableSpaceOptionsStmt(_)
            | NodeEnum::DropTableSpaceStmt(_)
            | NodeEnum::CreatePublicationStmt(_)
            | NodeEnum::AlterPublicationStmt(_)
            | NodeEnum::CreateSubscriptionStmt(_)
            | NodeEnum::AlterSubscriptionStmt(_)
            | NodeEnum::DropSubscriptionStmt(_)
    )
}

/// True when it makes nothing and changes nothing: it is only that something is gone.
pub(super) fn only_drops(statement: &NodeEnum) -> bool {
    matches!(
        statement,
        NodeEnum::DropStmt(_)
            | NodeEnum::DropOwnedStmt(_)
            | NodeEnum::DropUserMappingStmt(_)
            | NodeEnum::DropTableSpaceStmt(_)
    )
}

/// True when what it makes ends with the session.
pub(super) fn is_temporary(statement: &NodeEnum) -> bool {
    let relation = match statement {
        NodeEnum::CreateStmt(it) => it.relation.as_ref(),
        NodeEnum::CreateForeignTableStmt(it) => it.base_stmt.as_ref().and_then(|base| base.relation.as_ref()),
        NodeEnum::CreateTableAsStmt(it) => it.into.as_ref().and_then(|into| into.rel.as_ref()),
        NodeEnum::CreateSeqStmt(it) => it.sequence.as_ref(),
        NodeEnum::ViewStmt(it) => it.view.as_ref(),
        NodeEnum::CompositeTypeStmt(it) => it.typevar.as_ref(),
        NodeEnum::CreateFunctionStmt(it) => return in_temporary_schema(&it.funcname),
        NodeEnum::CreateDomainStmt(it) => return in_temporary_schema(&it.domainname),
        NodeEnum::CreateEnumStmt(it) => return in_temporary_schema(&it.type_name),
        NodeEnum::CreateRangeStmt(it) => return in_temporary_schema(&it.type_name),
        NodeEnum::DefineStmt(it) => return in_temporary_schema(&it.defnames),
        NodeEnum::CreateStatsStmt(it) => return in_temporary_schema(&it.defnames),
        NodeEnum::CreateOpClassStmt(it) => return in_temporary_schema(&it.opclassname),
        NodeEnum::CreateOpFamilyStmt(it) => return in_temporary_schema(&it.opfamilyname),
        NodeEnum::CreateConversionStmt(it) => return in_temporary_schema(&it.conversion_name),
        _ => None,
    };
    Temporary::of(relation) == Temporary::Yes
}

fn in_temporary_schema(name: &[Node]) -> bool {
    name.len() > 1 && name_parts(name).next().is_some_and(is_temporary_schema)
}

/// The relations that a command names as its object.
pub(super) fn relations(statement: &NodeEnum) -> Vec<RangeVar> {
    let relation = match statement {
        NodeEnum::CreateStmt(it) => it.relation.as_ref(),
        NodeEnum::CreateForeignTableStmt(it) => it.base_stmt.as_ref().and_then(|base| base.relation.as_ref()),
        NodeEnum::CreateTableAsStmt(it) => it.into.as_ref().and_then(|into| into.rel.as_ref()),
        NodeEnum::CreateSeqStmt(it) => it.sequence.as_ref(),
        NodeEnum::AlterSeqStmt(it) => it.sequence.as_ref(),
        NodeEnum::ViewStmt(it) => it.view.as_ref(),
        NodeEnum::AlterTableStmt(it) => it.relation.as_ref(),
        NodeEnum::IndexStmt(it) => it.relation.as_ref(),
        NodeEnum::RenameStmt(it) => it.relation.as_ref(),
        NodeEnum::AlterObjectSchemaStmt(it) => it.relation.as_ref(),
        NodeEnum::CreateTrigStmt(it) => it.relation.as_ref(),
        NodeEnum::RuleStmt(it) => it.relation.as_ref(),
        NodeEnum::CreatePolicyStmt(it) => it.table.as_ref(),
        NodeEnum::AlterPolicyStmt(it) => it.table.as_ref(),
        NodeEnum::TruncateStmt(it) => return it.relations.iter().filter_map(range_var).collect(),
        NodeEnum::DropStmt(it) if is_relation(it.remove_type()) => {
            return it.objects.iter().filter_map(named).collect();
        }
        _ => None,
    };
    relation.cloned().into_iter().collect()
}

fn is_relation(kind: ObjectType) -> bool {
    matches!(
        kind,
        ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectSequence
    )
}

fn range_var(node: &Node) -> Option<RangeVar> {
    match node.node.as_ref()? {
        NodeEnum::RangeVar(relation) => Some(relation.clone()),
        _ => None,
    }
}

/// DROP names a relation by its parts.
fn named(node: &Node) -> Option<RangeVar> {
    let NodeEnum::List(list) = node.node.as_ref()? else { return None };
    let mut parts = name_parts(&list.items).rev();
    let relname = parts.next()?.to_owned();
    let schemaname = parts.next().unwrap_or_default().to_owned();
    Some(RangeVar { schemaname, relname, ..RangeVar::default() })
}

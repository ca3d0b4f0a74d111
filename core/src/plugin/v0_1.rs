//! Version 0.1 of the contract: what wasmtime makes of `wit/v0.1`, and the translation of the host's
//! words into it, for routers here and for the other roles in [`control`]. The way back is in [`validate`](super::validate), since nothing is trusted there.

use wasmtime::component::{HasSelf, Linker};

pub(crate) mod control;

use super::{
    host::HostState,
    input::{self, ParameterValue, Phase, Request, SessionAttributes},
    requirements::StatementNeeds,
};
use crate::{
    facts::{Facts, Health, NodeFacts, Role},
    sql::{Kind, StatementFacts, TableRef, Traits},
};

mod bindings {
    #![allow(missing_docs, clippy::all, reason = "generated from wit/v0.1, which documents itself")]
    // One world with every role, so that all of them share their types. No component has to fit it: each
    // role takes the interfaces that are its own.
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        inline: "
            package howdah:host;

            world every-role {
                include howdah:plugin/router-plugin@0.1.0;
                include howdah:plugin/failover-plugin@0.1.0;
                include howdah:plugin/follow-primary-plugin@0.1.0;
                include howdah:plugin/sync-set-plugin@0.1.0;
            }
        ",
        world: "howdah:host/every-role",
    });
}

pub(crate) use bindings::{
    exports::howdah::plugin::{failover, follow_primary, lifecycle, router, sync_set},
    howdah,
};
use howdah::plugin::types;

/// Gives guests what they may import. Which of it a role may is looked at before.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    bindings::EveryRole::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    Ok(linker)
}

/// The cluster, as a policy sees it.
pub(crate) fn topology(facts: &Facts) -> types::Topology {
    types::Topology {
        epoch: facts.epoch,
        term: 0,
        primary: facts.primary.map(|id| id.0.into()),
        nodes: facts.nodes.iter().map(node).collect(),
    }
}

fn node(node: &NodeFacts) -> types::Node {
    types::Node {
        id: node.id.0.into(),
        name: node.name.to_string(),
        role: match node.role {
            Role::Primary => types::NodeRole::Primary,
            Role::Standby => types::NodeRole::Standby,
            Role::Unknown => types::NodeRole::Unknown,
        },
        health: match node.health {
            Health::Up => types::NodeHealth::Up,
            Health::Degraded => types::NodeHealth::Degraded,
            Health::Draining => types::NodeHealth::Draining,
            Health::Down => types::NodeHealth::Down,
        },
        sync: None,
        weight: node.weight,
        server_version: node.server_version,
        timeline: node.timeline,
        upstream: None,
        received: node.received.map(|lsn| lsn.0),
        replayed: node.replayed.map(|lsn| lsn.0),
        lag_bytes: node.lag_bytes,
        lag: node.lag.map(|lag| u32::try_from(lag.as_millis()).unwrap_or(u32::MAX)),
        labels: node.labels.to_vec(),
    }
}

/// A session of which the policy may see all that is not blank.
pub(crate) fn session(class: &SessionAttributes) -> router::Session {
    router::Session {
        user: class.user.to_string(),
        database: class.database.to_string(),
        application: class.application.to_string(),
        client_address: class.client_address.to_string(),
        tls_subject: class.tls_subject.as_deref().map(str::to_owned),
        parameters: class.parameters.clone(),
        labels: class.labels.clone(),
    }
}

/// A statement, without what the policy did not ask for.
pub(crate) fn statement(
    facts: &StatementFacts,
    transaction: input::Transaction,
    request: &Request<'_>,
    needs: StatementNeeds,
) -> router::Statement {
    router::Statement {
        fingerprint: facts.fingerprint.clone(),
        kind: kind(facts.kind),
        traits: traits(facts.traits),
        transaction: self::transaction(transaction),
        tables: if needs.tables { facts.tables.iter().map(table).collect() } else { Vec::new() },
        functions: if needs.functions { facts.functions.clone() } else { Vec::new() },
        hints: if needs.hints { facts.hints.clone() } else { Vec::new() },
        normalized_text: needs.normalized_text.then(|| facts.normalized.to_string()),
        raw_text: request.raw_text.as_deref().filter(|_| needs.raw_text).map(str::to_owned),
        parameters: if needs.parameters { parameters(request) } else { Vec::new() },
    }
}

fn kind(kind: Kind) -> router::StatementKind {
    use router::StatementKind as Wit;
    match kind {
        Kind::Select => Wit::Select,
        Kind::Insert => Wit::Insert,
        Kind::Update => Wit::Update,
        Kind::Delete => Wit::Delete,
        Kind::Merge => Wit::Merge,
        Kind::CopyIn => Wit::CopyIn,
        Kind::CopyOut => Wit::CopyOut,
        Kind::Begin => Wit::Begin,
        Kind::Commit => Wit::Commit,
        Kind::Rollback => Wit::Rollback,
        Kind::Savepoint => Wit::Savepoint,
        Kind::Set => Wit::Set,
        Kind::Show => Wit::Show,
        Kind::DeclareCursor => Wit::DeclareCursor,
        Kind::Fetch => Wit::Fetch,
        Kind::Call => Wit::Call,
        Kind::DoBlock => Wit::DoBlock,
        Kind::Listen => Wit::Listen,
        Kind::Notify => Wit::Notify,
        Kind::Lock => Wit::Lock,
        Kind::Explain => Wit::Explain,
        Kind::Ddl => Wit::Ddl,
        Kind::Maintenance => Wit::Maintenance,
        Kind::Other => Wit::Other,
        Kind::Unparsed => Wit::Unparsed,
    }
}

fn traits(traits: Traits) -> router::StatementTraits {
    use router::StatementTraits as Wit;
    [
        (traits.read_only, Wit::READ_ONLY),
        (traits.row_locks, Wit::ROW_LOCKS),
        (traits.unknown_function, Wit::UNKNOWN_FUNCTION),
        (traits.session_state, Wit::SESSION_STATE),
        (traits.multi_statement, Wit::MULTI_STATEMENT),
        (traits.writing_cte, Wit::WRITING_CTE),
        (traits.catalog_only, Wit::CATALOG_ONLY),
        (traits.streaming, Wit::STREAMING),
        (traits.primary_only_relation, Wit::PRIMARY_ONLY_RELATION),
        (traits.begins_read_only, Wit::BEGINS_READ_ONLY),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .fold(Wit::empty(), |all, (_, flag)| all | flag)
}

fn transaction(transaction: input::Transaction) -> router::Transaction {
    router::Transaction {
        phase: match transaction.phase {
            Phase::None => router::TransactionPhase::None,
            Phase::Opening => router::TransactionPhase::Opening,
            Phase::Active => router::TransactionPhase::Active,
            Phase::Failed => router::TransactionPhase::Failed,
        },
        read_only: transaction.read_only,
        serializable: transaction.serializable,
        wrote: transaction.wrote,
    }
}

fn table(table: &TableRef) -> router::TableRef {
    router::TableRef {
        schema: table.schema.clone(),
        name: table.name.clone(),
        access: if table.write { router::Access::Write } else { router::Access::Read },
    }
}

fn parameters(request: &Request<'_>) -> Vec<router::Parameter> {
    let value = |value: &ParameterValue<'_>| match value {
        ParameterValue::Null => router::ParameterValue::Null,
        ParameterValue::Text(text) => router::ParameterValue::Text(text.to_string()),
        ParameterValue::Opaque(bytes) => router::ParameterValue::Opaque(bytes.to_vec()),
    };
    // A Bind has at most 65535 parameters, as the protocol counts them with 16 bits.
    (0..=u16::MAX)
        .zip(&request.parameters)
        .map(|(index, parameter)| router::Parameter {
            index,
            type_oid: parameter.type_oid,
            value: value(&parameter.value),
        })
        .collect()
}

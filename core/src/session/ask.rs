//! Looks at each execution of a request by itself: for a policy that sees what is in no shape, and
//! for the keys that statements are stamped with. Inside transactions too: the node is chosen there,
//! but stamps and refusals count.
//!
//! A policy that looks at shapes only, and whose plans name no keys, never gets here.

use std::{mem, ops::Range, rc::Rc, sync::Arc};

use super::{
    Session, WHOLE_REQUEST_MAX_BYTES, error::SessionError, keys::Doubt, plans::PlanKey, relay::Broken,
    request::Request, unit::messages,
};
use crate::{
    facts::Facts,
    plugin::{
        input::{self, Parameter, Phase, Transaction},
        plan::{Destination, Plan},
    },
    server::{RunError, statements::Statement},
    sql::{Catalog, Effect, Shape, Shapes},
    wire::{
        frame::HEADER_BYTES,
        frontend::{Bind, Named, Parse, parameter_type, query_text},
        reply::TxStatus,
    },
};

/// Most parameters that a policy is shown. Only bulk loads have more, and they are writes.
const PARAMETERS_MAX: usize = 1_024;

/// Most keys that one transaction stamps one by one; beyond it, any key counts as stamped.
const STAMPS_MAX: usize = 256;

/// Fails in a transaction, changes nothing, and needs no right: there is no such savepoint.
/// What the client may do after it is what it may do after any error.
const FAIL_TRANSACTION: &str = "ROLLBACK TO SAVEPOINT howdah_refused_by_policy";

/// The causality keys of what the running transaction has written.
#[derive(Debug, Default)]
pub(super) enum Stamps {
    /// The policy was not asked about all of it.
    #[default]
    Unknown,
    /// These.
    Known(Vec<Arc<str>>),
}

/// A statement that a request executes, or only prepares or describes.
#[derive(Clone, Debug)]
struct Execution {
    shape: Rc<Shape>,
    text: Text,
    /// The name that it is prepared under; none for a Query.
    name: Option<Box<[u8]>>,
    /// Where its Bind is in the input.
    bind: Option<Range<usize>>,
}

/// Where the text of a statement is.
#[derive(Clone, Debug)]
enum Text {
    /// In this message of the input, a Query or a Parse.
    Sent(Range<usize>),
    /// In the session's unnamed statement.
    Unnamed,
    /// In one that was prepared before.
    Prepared(Arc<Statement>),
}

impl Session {
    /// The plan for all of the request's executions together; none if there are none that we can see.
    #[inline(never)]
    pub(super) fn ask(&mut self, request: &Request, facts: &Facts) -> Result<Option<Arc<Plan>>, SessionError> {
        if matches!(self.stamps, Stamps::Unknown) && !self.transaction.wrote {
            self.stamps = Stamps::Known(Vec::new());
        }
        let executions = self.executions(request);
        for execution in &executions {
            self.may_pin(&execution.shape.facts.effects)?;
        }
        let unseen = self.transaction.unseen;
        let mut together = unseen.then(|| Arc::new(Plan::primary("not-known")));
        for execution in &executions {
            let wrote_before = self.transaction.wrote;
            self.note_statement(&execution.shape, request.len);
            let plan = self.plan_of_execution(execution, wrote_before, facts);
            self.note_stamps(&plan);
            together = Some(match together {
                Some(others) => others.together(plan),
                None => plan,
            });
        }
        self.note_unseen(request.len);
        let effects = || executions.iter().flat_map(|execution| &execution.shape.facts.effects);
        self.transaction.wrote |= executions.is_empty();
        if unseen || executions.is_empty() || effects().any(|effect| *effect == Effect::CommitPrepared) {
            self.stamps = Stamps::Unknown;
        }
        if self.transaction.wrote && commits_and_goes_on(effects()) {
            self.doubt.get_or_insert_with(|| Doubt::about(&self.keys));
        }
        Ok(together)
    }

    /// Notes what a request means whose node has been chosen. A policy that looks closer may refuse it.
    #[inline(never)]
    pub(super) fn consider(&mut self, request: &Request) -> Result<(), SessionError> {
        if !self.cluster.router.looks_closer() {
            return self.note_request(request);
        }
        if !request.is_whole() {
            self.stamps = Stamps::Unknown;
            return self.note_request(request);
        }
        let facts = self.cluster.facts.newest();
        match self.ask(request, &facts)?.as_deref() {
            Some(Plan { destination: Destination::Refuse(refusal), .. }) => Err(SessionError::Refused(refusal.clone())),
            _ => Ok(()),
        }
    }

    /// The same in a transaction, which fails with the request.
    pub(super) async fn consider_in_transaction(&mut self, request: &Request) -> Result<(), SessionError> {
        let considered = self.consider(request);
        if matches!(considered, Err(SessionError::Refused(_))) {
            Box::pin(self.fail_transaction()).await?;
        }
        considered
    }

    /// An error ends a transaction. The server has not met this one, so it is given one of its own.
    async fn fail_transaction(&mut self) -> Result<(), SessionError> {
        let Some(lease) = &mut self.lease else { return Ok(()) };
        match lease.run(FAIL_TRANSACTION).await {
            Ok(()) | Err(RunError::Server { .. }) => Ok(()),
            Err(RunError::Io(cause)) => Err(self.break_off(Broken::Server { untouched: true, cause })),
            Err(RunError::Protocol) => Err(self.break_off(Broken::Protocol)),
        }
    }

    fn plan_of_execution(&self, execution: &Execution, wrote_before: bool, facts: &Facts) -> Arc<Plan> {
        let shape = &execution.shape;
        let transaction = self.transaction_around(shape, wrote_before);
        if !self.cluster.router.requirements().statement.beyond_the_shape() {
            return self.plan_of(shape, transaction, facts);
        }
        match self.shown(execution) {
            Some(shown) => self.plan_of_shown(shape, transaction, &shown, facts),
            None => Arc::new(Plan { stamps_any: true, ..Plan::primary("not-shown") }),
        }
    }

    /// The plan for what is not in the shape alone.
    pub(super) fn plan_of_shown(
        &self,
        shape: &Shape,
        transaction: Transaction,
        shown: &input::Request<'_>,
        facts: &Facts,
    ) -> Arc<Plan> {
        let key = PlanKey { class: self.class, shape: shape.id, transaction };
        let mut plans = self.worker.plans.borrow_mut();
        // Nothing is kept by the shape alone but what a standby has taught us.
        let correction = plans.find(self.plans_valid_for(facts.epoch), &key);
        let plan = plans.find_varied(&key, &shown.parameters).unwrap_or_else(|| {
            let router = &self.cluster.router;
            let routed = router.route_request(facts, &self.attributes, &shape.facts, transaction, shown);
            plans.keep_varied(key, &shown.parameters, &routed.plan);
            routed.plan
        });
        match correction {
            Some(correction) if !plan.refuses() => {
                let Plan { stamp, stamps_any, .. } = &*plan;
                Arc::new(Plan { stamp: stamp.clone(), stamps_any: *stamps_any, ..(*correction).clone() })
            }
            _ => plan,
        }
    }

    /// Where the session stands when a statement arrives.
    fn transaction_around(&self, shape: &Shape, wrote: bool) -> Transaction {
        let phase = match self.lease.as_ref().map(|lease| lease.status) {
            Some(TxStatus::InTransaction) => Phase::Active,
            Some(TxStatus::Failed) => Phase::Failed,
            Some(TxStatus::Idle) | None if self.begun.is_some() => Phase::Active,
            Some(TxStatus::Idle) | None => return self.transaction_of(shape),
        };
        Transaction { phase, wrote, ..self.transaction_of(shape) }
    }

    /// What the policy may see of an execution; `None` if that is too much.
    fn shown<'a>(&'a self, execution: &'a Execution) -> Option<input::Request<'a>> {
        let needs = self.cluster.router.requirements().statement;
        let (text, types) = self.text_and_types(&execution.text)?;
        if needs.raw_text && text.len() > WHOLE_REQUEST_MAX_BYTES {
            return None;
        }
        let raw_text = needs.raw_text.then(|| String::from_utf8_lossy(text));
        let parameters = match &execution.bind {
            Some(at) if needs.parameters => {
                let values = Bind::read(self.body(at))?.bound_values(PARAMETERS_MAX)?;
                let typed = values.iter().enumerate();
                typed
                    .map(|(index, value)| Parameter::new(parameter_type(types, index), value.is_binary, value.bytes))
                    .collect()
            }
            _ => Vec::new(),
        };
        Some(input::Request { raw_text, parameters })
    }

    /// A statement's text, and the types that were declared for its parameters.
    fn text_and_types<'a>(&'a self, text: &'a Text) -> Option<(&'a [u8], &'a [u8])> {
        let of_parse = |body| Parse::read(body).map(|parse| (parse.text, parse.types));
        match text {
            Text::Sent(at) if self.input.filled()[at.start] == b'Q' => Some((query_text(self.body(at))?, &[])),
            Text::Sent(at) => of_parse(self.body(at)),
            Text::Unnamed => of_parse(self.unnamed.parse().get(HEADER_BYTES..)?),
            Text::Prepared(statement) => Some((&statement.text, &statement.types)),
        }
    }

    /// The body of a message of the input.
    fn body(&self, message: &Range<usize>) -> &[u8] {
        &self.input.filled()[message.start + HEADER_BYTES..message.end]
    }

    /// What the request executes, in order. A statement that it prepares and binds is one execution.
    fn executions(&mut self, request: &Request) -> Vec<Execution> {
        let catalog = self.worker.last_catalog.borrow_mut().get(&self.cluster, &self.set.dbname);
        let mut shapes = self.worker.shapes.borrow_mut();
        let mut found: Vec<Execution> = Vec::new();
        let mut unseen = false;
        let mut end = 0;
        for (tag, body, whole) in messages(&self.input.filled()[..request.len]) {
            let message = end..end + whole.len();
            end = message.end;
            let named = |name| found.iter().rposition(|it: &Execution| it.name.as_deref() == Some(name));
            match tag {
                b'Q' => found.extend(query_text(body).map(|text| {
                    let shape = shapes.look_up(text, &catalog);
                    Execution { shape, text: Text::Sent(message), name: None, bind: None }
                })),
                b'P' => found.extend(Parse::read(body).map(|parse| {
                    let shape = shapes.look_up(parse.text, &catalog);
                    Execution { shape, text: Text::Sent(message), name: Some(parse.name.into()), bind: None }
                })),
                b'B' => {
                    let Some(bind) = Bind::read(body) else { continue };
                    match named(bind.statement) {
                        Some(at) if found[at].bind.is_none() => found[at].bind = Some(message),
                        Some(at) => found.push(Execution { bind: Some(message), ..found[at].clone() }),
                        None => {
                            let name = bind.statement;
                            match known(&mut self.prepared, &self.unnamed, name, &mut shapes, &catalog) {
                                Some(known) => found.push(Execution { bind: Some(message), ..known }),
                                // One of SQL's own PREPARE, perhaps: it may be anything.
                                None => unseen = true,
                            }
                        }
                    }
                }
                b'D' => {
                    let Some(Named { kind: b'S', name }) = Named::read(body) else { continue };
                    if named(name).is_none() {
                        let known = known(&mut self.prepared, &self.unnamed, name, &mut shapes, &catalog);
                        unseen |= known.is_none();
                        found.extend(known);
                    }
                }
                // A function by its number.
                b'F' => unseen = true,
                _ => {}
            }
        }
        self.transaction.unseen |= unseen;
        found
    }

    /// Notes the keys that a plan stamps what it is about with.
    pub(super) fn note_stamps(&mut self, plan: &Plan) {
        // What is stamped counts as written, whatever we think of it.
        self.transaction.wrote |= !plan.stamp.is_empty();
        let Stamps::Known(keys) = &mut self.stamps else { return };
        for key in &plan.stamp {
            if !keys.contains(key) {
                keys.push(Arc::clone(key));
            }
        }
        if plan.stamps_any || keys.len() > STAMPS_MAX {
            self.stamps = Stamps::Unknown;
        }
    }

    /// Whether it matters which keys a transaction stamps. A session that has not come to the running
    /// generation yet may have a policy that knows of no keys, while another has one that reads them.
    pub(super) fn is_to_stamp(&self) -> bool {
        let is_of_before = || self.worker.shared.generation.load().number != self.generation;
        self.cluster.router.looks_closer() || (self.keys.are_read() && is_of_before())
    }

    /// The transaction is over, and has written. Before the first read by key nobody need know; that
    /// one takes everything for written.
    pub(super) fn stamp_keys(&mut self, unflushed: bool) {
        let (stamps, doubt) = (mem::take(&mut self.stamps), self.doubt.take());
        if self.cluster.router.watches_keys() || self.keys.are_read() {
            match stamps {
                Stamps::Unknown => self.keys.stamp_all(unflushed),
                Stamps::Known(keys) if keys.is_empty() => {}
                Stamps::Known(keys) => self.keys.stamp(&keys, unflushed, &self.cluster.facts.load()),
            }
        }
        if let Some(doubt) = doubt {
            doubt.settle();
        }
    }
}

/// A statement that was prepared by an earlier request.
fn known(
    prepared: &mut super::PreparedStatements,
    unnamed: &super::Unnamed,
    name: &[u8],
    shapes: &mut Shapes,
    catalog: &Catalog,
) -> Option<Execution> {
    let (shape, text) = if name.is_empty() {
        let parse = Parse::read(unnamed.parse().get(HEADER_BYTES..).filter(|_| unnamed.id != 0)?)?;
        (shapes.look_up(parse.text, catalog), Text::Unnamed)
    } else {
        let known = prepared.find_mut(name)?;
        (known.shape(shapes, catalog), Text::Prepared(Arc::clone(&known.statement)))
    };
    Some(Execution { shape, text, name: Some(name.into()), bind: None })
}

/// A COMMIT is followed by another transaction, so that the end of the request is not its end.
fn commits_and_goes_on<'a>(effects: impl IntoIterator<Item = &'a Effect>) -> bool {
    let mut committed = false;
    effects.into_iter().any(|effect| match effect {
        Effect::Commit { chain } => {
            committed = true;
            *chain
        }
        Effect::Begin(_) => committed,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::effect::TransactionModes;

    #[test]
    fn a_commit_with_another_transaction_behind_it_is_told_apart() {
        let (begin, commit) = (Effect::Begin(TransactionModes::default()), Effect::Commit { chain: false });
        assert!(!commits_and_goes_on(&[begin.clone(), commit.clone()]));
        assert!(commits_and_goes_on(&[commit, begin]));
        assert!(commits_and_goes_on(&[Effect::Commit { chain: true }]));
        assert!(!commits_and_goes_on(&[Effect::Rollback { chain: true }]));
    }
}

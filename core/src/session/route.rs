//! Chooses the node for a request: knows its statements, finds their plan, executes it.

use std::{rc::Rc, sync::Arc};

use tokio::time::{Instant, timeout_at};

use super::{
    Session, ask::Stamps, choose::Chooser, doubts_unacknowledged, error::SessionError, keys::KeyReader, lend::Place,
    plans::PlanKey, prepared::PreparedStatements, request::Request, unit::messages,
};
use crate::{
    clock::Moment,
    facts::Facts,
    id::NodeId,
    plugin::{
        input::{Phase, Transaction},
        plan::{Destination, Hold, Plan},
    },
    sql::{Kind, shape::Shape},
    wire::{
        frontend::{Bind, Named, Parse, query_text},
        reply::{self, Severity},
        sqlstate::SqlState,
    },
};

impl Session {
    /// Where the request goes, as far as that can be said at once.
    pub(super) fn way(&mut self, request: &Request, avoid: Option<NodeId>) -> Result<Way, SessionError> {
        self.follow_generation();
        let facts = self.cluster.facts.load();
        if self.cluster.router.is_null() {
            return self.way_without_policy(request, &facts, avoid);
        }
        self.follow_term(&facts);
        let plan = match self.begun_plan(&facts) {
            Some(plan) => {
                self.consider_begun(request, &plan)?;
                plan
            }
            None => self.plan(request, &facts)?,
        };
        if let Destination::Refuse(refusal) = &plan.destination {
            return Err(SessionError::Refused(refusal.clone()));
        }
        if self.must_relist() {
            return self.way_to(&facts, facts.open_primary(), None);
        }
        let bound_to = self.lingers_at(avoid).or_else(|| self.held_node(avoid).filter(|node| may_go_to(&facts, *node)));
        if bound_to.is_some() {
            return self.way_to(&facts, bound_to, None);
        }
        let chooser = self.chooser(&facts, avoid);
        if chooser.waits_for_replay(&plan).is_some() {
            return Ok(Way::Later(Some(plan)));
        }
        let chosen = chooser.choose(&plan).filter(|node| may_go_to(&facts, *node));
        self.way_to(&facts, chosen.or_else(|| facts.open_primary()), Some(plan))
    }

    #[inline(never)]
    fn way_without_policy(
        &mut self,
        request: &Request,
        facts: &Facts,
        avoid: Option<NodeId>,
    ) -> Result<Way, SessionError> {
        self.note_request(request)?;
        let node = self.lingers_at(avoid).or_else(|| facts.open_primary());
        self.way_to(facts, node, None)
    }

    #[inline(never)]
    fn consider_begun(&mut self, request: &Request, plan: &Plan) -> Result<(), SessionError> {
        self.consider(request)?;
        if self.cluster.router.looks_closer() {
            self.note_stamps(plan);
        }
        Ok(())
    }

    fn way_to(&mut self, facts: &Facts, node: Option<NodeId>, plan: Option<Arc<Plan>>) -> Result<Way, SessionError> {
        let Some(node) = node else { return Ok(Way::Later(plan)) };
        if let Some(plan) = plan {
            self.hold(&plan, node);
        }
        Ok(Way::To(self.turn_to(node, facts)?))
    }

    /// Waits for what a way waits for: a standby that has replayed enough, if there is such a plan, or a primary.
    pub(super) async fn way_later(
        &mut self,
        plan: Option<Arc<Plan>>,
        avoid: Option<NodeId>,
        since: Moment,
    ) -> Result<Place, SessionError> {
        let mut chosen = None;
        if let Some(plan) = &plan {
            let facts = self.wait_for_replay(plan, avoid).await;
            chosen = self.chooser(&facts, avoid).choose(plan).filter(|node| may_go_to(&facts, *node));
        }
        let node = match chosen {
            Some(node) => node,
            None => self.primary(since).await?,
        };
        if let Some(plan) = plan {
            self.hold(&plan, node);
        }
        let facts = self.cluster.facts.load();
        self.turn_to(node, &facts)
    }

    /// Goes over to the present term. The client is told if what it wrote is lost, before it reads that it is.
    #[inline]
    fn follow_term(&mut self, facts: &Facts) {
        if self.mark.follow(facts) {
            self.say_what_is_lost();
        }
    }

    #[cold]
    fn say_what_is_lost(&mut self) {
        self.set.stats.shard(self.worker.id).lost_writes.add(1);
        self.exchange.say(|out| {
            let told = "a failover has lost what this session wrote last";
            reply::notice(out, Severity::Warning, SqlState::WARNING, told, "", "");
        });
    }

    fn chooser<'a>(&'a mut self, facts: &'a Facts, avoid: Option<NodeId>) -> Chooser<'a> {
        let own_writes = self.mark.must_see_by(facts);
        let keys = KeyReader { writes: &self.keys, router: Some(&self.cluster.router) };
        Chooser { facts, set: &self.set, own_writes, keys, affinity: self.info.pid, avoid }
    }

    /// Waits, as long as the plan allows, for a standby to replay the session's writes.
    async fn wait_for_replay(&mut self, plan: &Plan, avoid: Option<NodeId>) -> Arc<Facts> {
        let cell = Arc::clone(&self.cluster.facts);
        let mut deadline = None;
        loop {
            let newer = cell.changed();
            let facts = cell.newest();
            let Some(wait) = self.chooser(&facts, avoid).waits_for_replay(plan).map(|set| set.freshness.wait) else {
                return facts;
            };
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + wait);
            cell.want_fresh();
            if timeout_at(deadline, newer).await.is_err() {
                return cell.newest();
            }
        }
    }

    #[inline]
    fn held_node(&mut self, avoid: Option<NodeId>) -> Option<NodeId> {
        let (node, until) = self.held?;
        self.still_held(node, until, avoid)
    }

    #[inline(never)]
    fn still_held(&mut self, node: NodeId, until: Option<Instant>, avoid: Option<NodeId>) -> Option<NodeId> {
        if avoid == Some(node) || until.is_some_and(|until| Instant::now() >= until) {
            self.held = None;
            return None;
        }
        Some(node)
    }

    fn hold(&mut self, plan: &Plan, node: NodeId) {
        match plan.hold {
            // A transaction stays where it is by itself.
            Hold::Statement | Hold::Transaction => {}
            Hold::Session => self.held = Some((node, None)),
            Hold::For(time) => self.held = Some((node, Instant::now().checked_add(time))),
        }
    }

    /// The plan for all of the request's statements together: where they differ, the primary.
    fn plan(&mut self, request: &Request, facts: &Facts) -> Result<Arc<Plan>, SessionError> {
        let together = if !request.is_whole() {
            self.note_request(request)?;
            self.stamps = Stamps::Unknown;
            Some(to_primary("not-whole"))
        } else if self.cluster.router.looks_closer() {
            self.ask(request, facts)?
        } else {
            self.plan_by_shapes(request, facts)?
        };
        Ok(together.unwrap_or_else(|| to_primary("no-statement")))
    }

    fn plan_by_shapes(&mut self, request: &Request, facts: &Facts) -> Result<Option<Arc<Plan>>, SessionError> {
        let shapes = self.shapes(request.len);
        let unseen = self.transaction.unseen;
        self.note_all_effects(&shapes, request)?;
        // What only the server can make sense of.
        self.transaction.wrote |= shapes.is_empty();
        let mut together = unseen.then(|| to_primary("not-known"));
        for shape in &shapes {
            let plan = self.plan_of(shape, self.transaction_of(shape), facts);
            together = Some(match together {
                Some(others) => others.together(plan),
                None => plan,
            });
        }
        Ok(together)
    }

    /// Where the session stands, outside of a transaction.
    pub(super) fn transaction_of(&self, shape: &Shape) -> Transaction {
        Transaction {
            phase: if shape.facts.kind == Kind::Begin { Phase::Opening } else { Phase::None },
            read_only: self.transaction.read_only,
            serializable: self.transaction.serializable.unwrap_or(self.serializable),
            wrote: false,
        }
    }

    /// The plan for a shape: the kept one, or what the policy says.
    pub(super) fn plan_of(&self, shape: &Shape, transaction: Transaction, facts: &Facts) -> Arc<Plan> {
        let key = PlanKey { class: self.class, shape: shape.id, transaction };
        let valid_for = self.plans_valid_for(facts.epoch);
        let kept = self.worker.plans.borrow_mut().find(valid_for, &key);
        kept.unwrap_or_else(|| self.ask_for_plan(key, shape, facts))
    }

    #[inline(never)]
    fn ask_for_plan(&self, key: PlanKey, shape: &Shape, facts: &Facts) -> Arc<Plan> {
        let routed = self.cluster.router.route(facts, &self.attributes, &shape.facts, key.transaction);
        self.worker.plans.borrow_mut().keep(key, &routed.plan);
        routed.plan
    }

    pub(super) fn plans_valid_for(&self, epoch: u64) -> (u64, u64, usize) {
        (self.generation, epoch, Arc::as_ptr(&self.cluster) as usize)
    }

    /// A standby has refused to run the request: its shapes go to the primary from now on.
    pub(super) fn correct_plan(&mut self, request: &Request) {
        let epoch = self.cluster.facts.load().epoch;
        let valid_for = self.plans_valid_for(epoch);
        // Of a policy that sees more, no plan is kept by the shape alone; then this one is.
        let always = self.cluster.router.requirements().statement.beyond_the_shape();
        for shape in self.shapes(request.len) {
            let key = PlanKey { class: self.class, shape: shape.id, transaction: self.transaction_of(&shape) };
            let mut plans = self.worker.plans.borrow_mut();
            if plans.find(valid_for, &key).is_some() || always {
                plans.correct(key, to_primary("standby-refused"));
            }
        }
        self.transaction.wrote = true;
    }

    /// The shapes of the statements in the first `len` bytes of the input.
    pub(super) fn shapes(&mut self, len: usize) -> ShapeList {
        let catalog = self.worker.last_catalog.borrow_mut().get(&self.cluster, &self.set.dbname);
        let mut shapes = self.worker.shapes.borrow_mut();
        let mut found = ShapeList::default();
        let mut parsed = smallvec::SmallVec::<[&[u8]; 2]>::new();
        let mut unseen = false;
        for (tag, body, whole) in messages(&self.input.filled()[..len]) {
            match tag {
                b'Q' => found.extend(query_text(body).map(|text| shapes.look_up(text, &catalog))),
                b'P' if self.unnamed.is_of(whole) => {
                    parsed.push(b"");
                    found.extend(self.unnamed.shape(&mut shapes, &catalog));
                }
                b'P' => {
                    let Some(parse) = Parse::read(body) else { continue };
                    parsed.push(parse.name);
                    found.push(shapes.look_up(parse.text, &catalog));
                }
                b'B' | b'D' => {
                    let name = match tag {
                        b'B' => Bind::read(body).map(|bind| bind.statement),
                        _ => Named::read(body).filter(|named| named.kind == b'S').map(|named| named.name),
                    };
                    match name {
                        // Looked at where it was parsed.
                        Some(name) if parsed.contains(&name) => {}
                        Some(b"") => found.extend(self.unnamed.shape(&mut shapes, &catalog)),
                        Some(name) => {
                            let Some(known) = self.prepared.find_mut(name) else {
                                unseen = true;
                                continue;
                            };
                            found.push(known.shape(&mut shapes, &catalog));
                        }
                        None => {}
                    }
                }
                // A function by its number.
                b'F' => unseen = true,
                // Of a statement of SQL's PREPARE, it may be.
                b'C' => unseen |= !self.sql_statements.is_empty() && names_unknown(body, &self.prepared),
                _ => {}
            }
        }
        self.transaction.unseen |= unseen;
        found
    }

    /// Goes over to the running generation, between transactions.
    #[inline]
    pub(super) fn follow_generation(&mut self) {
        if self.worker.shared.generation.number() != self.generation {
            self.go_over();
        }
    }

    #[cold]
    fn go_over(&mut self) {
        let generation = self.worker.shared.generation.load();
        self.generation = generation.number;
        if let Some(set) = self.worker.shared.registry.find(&self.set.database, &self.set.user) {
            self.set = set;
        }
        if let Some(cluster) = generation.clusters.get(&self.set.cluster) {
            self.cluster = Arc::clone(cluster);
        }
        self.keys = self.worker.shared.keys.of(&self.cluster.name);
        self.stamps = Stamps::Unknown;
        self.held = None;
        self.exchange.doubts_unacknowledged = doubts_unacknowledged(&generation.config);
        self.classify();
    }
}

/// Where a request goes.
pub(super) enum Way {
    /// To a node.
    To(Place),
    /// Nowhere yet: to what the plan allows, or to the primary, once there is one.
    Later(Option<Arc<Plan>>),
}

/// A plan that is not the policy's.
#[cold]
fn to_primary(why: &'static str) -> Arc<Plan> {
    Arc::new(Plan::primary(why))
}

/// Whether a request may go to a node that was chosen for it. To the primary it goes while nobody is held back from it.
fn may_go_to(facts: &Facts, node: NodeId) -> bool {
    facts.hold.is_none() || facts.primary != Some(node)
}

/// Whether a Close is of a statement that the client did not prepare by the protocol.
fn names_unknown(close: &[u8], prepared: &PreparedStatements) -> bool {
    Named::read(close).is_some_and(|named| named.kind == b'S' && prepared.find(named.name).is_none())
}

/// Nearly always one.
pub(super) type ShapeList = smallvec::SmallVec<[Rc<Shape>; 2]>;

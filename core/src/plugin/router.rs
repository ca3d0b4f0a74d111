//! What sessions call: a routing policy that always has an answer.
//!
//! The plugin is asked first. When it has no answer that can be used, the embedded default policy
//! is, then the null policy: everything to the primary. A failure costs a counter, never a session.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    builtin::{DEFAULT_ROUTER, builtin},
    check,
    engine::Engine,
    error::{Failure, PluginError},
    host::{Surroundings, one_line},
    input::{Request, SessionAttributes, Transaction},
    instance::{Instance, LOAD_LIMIT},
    metrics::Sample,
    plan::{Destination, Plan, Refusal},
    policy::{Policy, PolicyNumbers, Unanswered, invalid},
    requirements::Requirements,
    spec::PolicySpec,
    stats::{PluginState, PluginStatus},
    v0_1,
    validate::{self, Verdict},
    world::{RouterWorld, World},
};
use crate::{
    config::OnFailure,
    facts::Facts,
    sql::{Kind, StatementFacts, Traits},
};

pub use super::validate::Admission;

/// Longest name of an unknown option that is logged.
const OPTION_MAX_BYTES: usize = 64;

/// Classes of sessions whose admission is kept; refusals and failures are not.
const ADMITTED_MAX: usize = 1_000;

/// `external_routine_exception`: what a client gets when a policy fails that must not be replaced.
const POLICY_FAILED: [u8; 5] = *b"38000";

/// A routing policy, shared by all workers.
#[derive(Debug, Default)]
pub struct Router {
    plugin: Option<Box<Plugin>>,
    /// The shape of a request is not enough.
    looks_closer: AtomicBool,
    /// Some plan has asked for the writes of a key.
    watches_keys: AtomicBool,
}

/// A plan, and where it comes from.
#[derive(Clone, Debug)]
pub struct Routed {
    /// Where requests of this key go.
    pub plan: Arc<Plan>,
    /// Who says so.
    pub decided_by: DecidedBy,
    /// What the decision took.
    pub took: Duration,
}

/// Who made a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// The configured policy.
    Plugin,
    /// What takes its place, and why.
    BuiltIn(&'static str),
}

impl Router {
    /// Prepares a policy: checks, compiles and starts it, hands it its settings and the cluster, and
    /// asks it where `SELECT 1` goes. Anything wrong is an error, and nothing has changed.
    ///
    /// Takes from milliseconds (Rust) to seconds (Python), so not on a worker.
    pub fn load(
        engine: &Engine,
        spec: &PolicySpec<'_>,
        on_failure: OnFailure,
        topology: &Facts,
    ) -> Result<Self, PluginError> {
        let plugin = Plugin::load(engine, spec, on_failure, topology)?;
        let looks_closer = AtomicBool::new(plugin.requirements.statement.beyond_the_shape());
        let router = Self { plugin: Some(Box::new(plugin)), looks_closer, ..Self::default() };
        router.self_test(topology)?;
        Ok(router)
    }

    /// The policy of those who configured none: everything to the primary.
    pub fn null() -> Self {
        Self::default()
    }

    /// There is no policy: everything goes to the primary, and nobody need look at statements.
    pub fn is_null(&self) -> bool {
        self.plugin.is_none()
    }

    /// What the policy looks at.
    pub fn requirements(&self) -> &Requirements {
        static NOTHING: LazyLock<Requirements> = LazyLock::new(Requirements::default);
        self.plugin.as_ref().map_or(&NOTHING, |plugin| &plugin.requirements)
    }

    /// Whether each request has to be looked at by itself, inside transactions too: for what is not
    /// in its shape, or for the keys that it stamps. Once true, it stays so.
    #[inline]
    pub fn looks_closer(&self) -> bool {
        self.looks_closer.load(Ordering::Acquire)
    }

    /// A plan asks for the writes of a key: from now on it matters which keys are stamped. True the
    /// first time; nobody has taken note of what was committed before then.
    pub fn watch_keys(&self) -> bool {
        if self.watches_keys() {
            return false;
        }
        self.looks_closer.store(true, Ordering::Release);
        !self.watches_keys.swap(true, Ordering::AcqRel)
    }

    /// Whether some plan has asked for the writes of a key.
    pub fn watches_keys(&self) -> bool {
        self.watches_keys.load(Ordering::Acquire)
    }

    /// The session without what the policy does not look at: sessions with equal classes share plans.
    pub fn class(&self, full: &SessionAttributes) -> SessionAttributes {
        self.requirements().class(full)
    }

    /// Whether a session may go on, and with which labels. Put the labels into the session before
    /// asking for its [`class`](Self::class).
    pub fn admit(&self, session: &SessionAttributes) -> Admission {
        match &self.plugin {
            None => Admission::Accept(Vec::new()),
            Some(plugin) => plugin.admit(session),
        }
    }

    /// Where statements of this shape go, for sessions of this class and this state of a transaction.
    ///
    /// Keep the plan for its `reuse`. The call takes microseconds, and 5 ms of CPU time at worst.
    pub fn route(
        &self,
        facts: &Facts,
        session: &SessionAttributes,
        statement: &StatementFacts,
        transaction: Transaction,
    ) -> Routed {
        self.route_request(facts, session, statement, transaction, &Request::default())
    }

    /// As [`route`](Self::route), with what one execution adds to its shape: for policies whose
    /// requirements go [beyond the shape](super::StatementNeeds::beyond_the_shape).
    pub fn route_request(
        &self,
        facts: &Facts,
        session: &SessionAttributes,
        statement: &StatementFacts,
        transaction: Transaction,
        request: &Request<'_>,
    ) -> Routed {
        let started = Instant::now();
        let (plan, decided_by) = match &self.plugin {
            None => (Plan::primary("null"), DecidedBy::BuiltIn("no policy")),
            Some(plugin) => plugin.route(&Question { facts, session, statement, transaction, request }),
        };
        Routed { plan: Arc::new(plan), decided_by, took: started.elapsed() }
    }

    /// How the policy does.
    pub fn status(&self) -> PluginStatus {
        self.plugin.as_ref().map_or_else(null_status, |plugin| plugin.policy.status())
    }

    /// The policy's own counters and gauges.
    pub fn samples(&self) -> Vec<Sample> {
        self.plugin.as_ref().map_or_else(Vec::new, |plugin| plugin.policy.samples())
    }

    /// All of these at once; `None` for the null policy.
    pub fn numbers(&self) -> Option<PolicyNumbers> {
        self.plugin.as_ref().map(|plugin| plugin.policy.numbers())
    }

    fn self_test(&self, facts: &Facts) -> Result<(), PluginError> {
        let Some(plugin) = &self.plugin else { return Ok(()) };
        let statement = select_1();
        let session = SessionAttributes::default();
        let transaction = Transaction::default();
        let request = Request { raw_text: Some("SELECT 1".into()), parameters: Vec::new() };
        let question = Question { facts, session: &session, statement: &statement, transaction, request: &request };
        let answer = plugin.policy.try_out(|instance| plugin.route_by(instance, &question));
        answer.map(drop).map_err(|cause| PluginError::Call { call: "route of SELECT 1", cause })
    }
}

/// One call of `route`.
struct Question<'a> {
    facts: &'a Facts,
    session: &'a SessionAttributes,
    statement: &'a StatementFacts,
    transaction: Transaction,
    request: &'a Request<'a>,
}

/// A policy that runs as a component, and what holds when it has no answer.
#[derive(Debug)]
struct Plugin {
    policy: Policy<RouterWorld>,
    requirements: Requirements,
    on_failure: OnFailure,
    /// Labels of the classes that were admitted.
    admitted: Mutex<HashMap<SessionAttributes, Vec<(String, String)>>>,
    /// The log has an option that nobody knows.
    told_of_options: AtomicBool,
    /// The embedded default, unless this is it.
    fallback: Option<Router>,
}

impl Plugin {
    fn load(engine: &Engine, spec: &PolicySpec<'_>, on_failure: OnFailure, facts: &Facts) -> Result<Self, PluginError> {
        let (policy, requirements) = Policy::<RouterWorld>::load(engine, spec)?;
        let informed = policy.try_out(|instance| inform(instance, facts, LOAD_LIMIT));
        informed.map_err(|cause| PluginError::Call { call: "update-topology", cause })?;
        Ok(Self {
            policy,
            requirements: validate::requirements(requirements).map_err(|cause| invalid("setup", cause))?,
            on_failure,
            admitted: Mutex::default(),
            told_of_options: AtomicBool::default(),
            fallback: fallback(engine, spec, facts)?,
        })
    }

    fn route(&self, question: &Question<'_>) -> (Plan, DecidedBy) {
        let (plan, decided_by) = match self.policy.ask(|instance| self.route_by(instance, question)) {
            Ok(Verdict::Plan(plan)) => (plan, DecidedBy::Plugin),
            Ok(Verdict::BuiltIn(terms)) => (terms.on(self.default_plan(question)), DecidedBy::BuiltIn("no opinion")),
            Err(refused) => (self.plan_without(question, &refused), DecidedBy::BuiltIn(refused.reason)),
        };
        (self.kept_by_what_it_saw(plan), decided_by)
    }

    /// A plan, or the lack of one, may depend on all that the policy was shown, and on nothing else.
    fn kept_by_what_it_saw(&self, plan: Plan) -> Plan {
        let saw = self.requirements.statement;
        let vary = if saw.parameters { plan.vary } else { Vec::new() };
        let saw_more = saw.raw_text || (saw.parameters && vary.is_empty());
        Plan { reuse: plan.reuse.filter(|_| !saw_more), vary, ..plan }
    }

    fn admit(&self, session: &SessionAttributes) -> Admission {
        let class = self.requirements.class(session);
        if let Some(labels) = self.admitted().get(&class) {
            return Admission::Accept(labels.clone());
        }
        let session = v0_1::session(&class);
        let ask = |instance: &mut Instance<RouterWorld>| {
            let answer = instance.decide(|exports, store| exports.call_admit(store, &session))?;
            validate::admission(answer).map_err(|cause| Failure::Invalid { cause })
        };
        match self.policy.ask(ask) {
            Ok(Admission::Accept(labels)) => {
                let mut admitted = self.admitted();
                if admitted.len() >= ADMITTED_MAX {
                    admitted.clear();
                }
                admitted.insert(class, labels.clone());
                Admission::Accept(labels)
            }
            Ok(refused) => refused,
            Err(refused) => match self.on_failure {
                OnFailure::BuiltIn => Admission::Accept(Vec::new()),
                OnFailure::Refuse => Admission::Refuse(self.refusal(&refused)),
            },
        }
    }

    /// Has an instance route, after telling it of the cluster, and checks its answer.
    fn route_by(&self, instance: &mut Instance<RouterWorld>, question: &Question<'_>) -> Result<Verdict, Failure> {
        let Question { facts, session, statement, transaction, request } = question;
        let needs = self.requirements.statement;
        let session = v0_1::session(&self.requirements.class(session));
        let statement = v0_1::statement(statement, *transaction, request, needs);
        inform(instance, facts, RouterWorld::LIMITS.restart)?;
        let answer = instance.decide(|exports, store| exports.call_route(store, &session, &statement))?;
        self.note_options(&answer.options);
        validate::verdict(answer, facts).map_err(|cause| Failure::Invalid { cause })
    }

    /// No option is known yet; an operator should hear of a wish that nobody grants.
    fn note_options(&self, options: &[(String, String)]) {
        if let Some((option, _)) = options.first()
            && !self.told_of_options.swap(true, Ordering::Relaxed)
        {
            let Surroundings { name: plugin, generation, .. } = self.policy.around();
            let option = one_line(option, OPTION_MAX_BYTES);
            tracing::warn!(
                plugin,
                generation,
                option,
                "the policy's plans have an option that is not known; it is ignored"
            );
        }
    }

    /// The plan of a key for which the plugin has none, for a short time.
    fn plan_without(&self, question: &Question<'_>, why: &Unanswered) -> Plan {
        let plan = match self.on_failure {
            OnFailure::BuiltIn => self.default_plan(question),
            OnFailure::Refuse => {
                Plan { destination: Destination::Refuse(self.refusal(why)), ..Plan::primary("policy-failed") }
            }
        };
        Plan { reuse: plan.reuse.map(|time| time.min(why.rest)), stamps_any: true, ..plan }
    }

    fn default_plan(&self, question: &Question<'_>) -> Plan {
        match self.fallback.as_ref().and_then(|router| router.plugin.as_ref()) {
            Some(default) => default.route(question).0,
            None => Plan::primary("null"),
        }
    }

    fn refusal(&self, why: &Unanswered) -> Refusal {
        Refusal {
            sqlstate: POLICY_FAILED,
            message: format!("policy \"{}\" gave no answer: {}", self.policy.around().name, why.cause),
            detail: None,
            hint: None,
            close_session: false,
        }
    }

    fn admitted(&self) -> MutexGuard<'_, HashMap<SessionAttributes, Vec<(String, String)>>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the guest of the cluster, unless it knows.
fn inform(instance: &mut Instance<RouterWorld>, facts: &Facts, limit: Duration) -> Result<(), Failure> {
    let wanted = Some(topology_key(facts));
    if instance.told != wanted {
        let topology = v0_1::topology(facts);
        instance.call(limit, |exports, store| exports.call_update_topology(store, &topology))?;
        instance.told = wanted;
    }
    Ok(())
}

/// Epochs of different clusters may be equal, so the nodes count too.
fn topology_key(facts: &Facts) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    (facts.epoch, facts.primary).hash(&mut hasher);
    for node in &facts.nodes {
        (&node.name, &node.host, node.port).hash(&mut hasher);
    }
    hasher.finish()
}

/// The embedded default policy with its default settings, unless that is what is being loaded.
fn fallback(engine: &Engine, spec: &PolicySpec<'_>, facts: &Facts) -> Result<Option<Router>, PluginError> {
    let component = builtin(DEFAULT_ROUTER).expect("the default policy is embedded");
    if spec.component == component {
        return Ok(None);
    }
    let spec = PolicySpec {
        name: DEFAULT_ROUTER,
        component,
        sha256: None,
        settings: &serde_json::Value::Null,
        grants: &[],
        generation: spec.generation,
    };
    Router::load(engine, &spec, OnFailure::BuiltIn, facts).map(Some)
}

fn select_1() -> StatementFacts {
    StatementFacts {
        fingerprint: "0".repeat(16),
        kind: Kind::Select,
        traits: Traits { read_only: true, ..Traits::default() },
        tables: Vec::new(),
        functions: Vec::new(),
        hints: Vec::new(),
        effects: Vec::new(),
        normalized: "SELECT $1".into(),
    }
}

fn null_status() -> PluginStatus {
    PluginStatus {
        name: "router".to_owned(),
        policy: "null".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha256: String::new(),
        api: check::API,
        generation: 0,
        state: PluginState::Running,
        calls: 0,
        failures: 0,
        traps: 0,
        timeouts: 0,
        last_error: None,
        p50_micros: 0,
        max_micros: 0,
        instances: 0,
        memory_bytes: 0,
    }
}

//! A policy of any role that runs as a component: how it is loaded, asked, counted and given rest.
//!
//! What is asked, and what holds when there is no answer, is the roles' own.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    breaker::{Breaker, Permit},
    check,
    engine::Engine,
    error::{Failure, PluginError},
    host::{LogAllowance, Surroundings},
    instance::{Artifact, Instance, Pool},
    metrics::{Metrics, Sample},
    spec::{PolicySpec, check_grants, check_pin, hex, settings},
    stats::{CallTimes, PluginState, PluginStatus, Stats},
    v0_1::lifecycle,
    validate::{self, Invalid},
    world::World,
};

/// How long a question whose call failed rests, as far as it can be told from others. As long as the
/// breaker counts failures, so that one poisonous question cannot open it for all others.
const QUARANTINE: Duration = Duration::from_secs(10);

/// A policy that runs as a component.
pub(crate) struct Policy<W: World> {
    pool: Pool<W>,
    description: lifecycle::Description,
    breaker: Mutex<Breaker>,
    stats: Stats,
}

/// The policy has no answer for now.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// One word for it.
    pub(crate) reason: &'static str,
    /// What the operator is told.
    pub(crate) cause: String,
    /// Until it makes sense to ask the same again.
    pub(crate) rest: Duration,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policy gave no answer ({}): {}", self.reason, self.cause)
    }
}

/// How a policy does.
#[derive(Clone, Debug)]
pub struct PolicyNumbers {
    /// As `SHOW PLUGINS` has it.
    pub status: PluginStatus,
    /// How long its calls took.
    pub times: CallTimes,
    /// Its own counters and gauges.
    pub samples: Vec<Sample>,
}

impl<W: World> Policy<W> {
    /// Checks, compiles and starts it, and hands it its settings. What it asked for is left to the role.
    pub(crate) fn load(engine: &Engine, spec: &PolicySpec<'_>) -> Result<(Self, W::Requirements), PluginError> {
        let settings = settings(spec)?;
        let compiled = engine.compiled(W::ROLE, spec.component)?;
        check_pin(spec.sha256, &compiled.sha256)?;
        let state = check_grants(spec.grants)?;
        let around = Surroundings {
            name: spec.name.to_owned(),
            generation: spec.generation,
            store: state.then(|| engine.store(spec.name)),
            metrics: Metrics::default(),
            log: LogAllowance::default(),
        };
        let (pool, introduction) = Pool::open(Artifact::new(engine, compiled, settings, around)?)?;
        if let Some(probe) = W::probes(&introduction.requirements).first() {
            return Err(PluginError::Probes { probe: probe.name.clone() });
        }
        let description =
            validate::description(introduction.description).map_err(|cause| invalid("describe", cause))?;
        let policy = Self { pool, description, breaker: Mutex::default(), stats: Stats::default() };
        Ok((policy, introduction.requirements))
    }

    /// Asks without keeping books: for the first questions, which decide whether it is taken at all.
    pub(crate) fn try_out<R>(&self, act: impl FnOnce(&mut Instance<W>) -> Result<R, Failure>) -> Result<R, Failure> {
        self.pool.call(act)
    }

    /// Asks if the breaker lets it, and keeps the books.
    pub(crate) fn ask<R>(&self, act: impl FnOnce(&mut Instance<W>) -> Result<R, Failure>) -> Result<R, Unanswered> {
        let started = Instant::now();
        if let Permit::Rest(rest) = self.breaker().permit(started) {
            let cause = self.stats.counted().last_error.unwrap_or_default();
            return Err(Unanswered { reason: "circuit open", cause, rest });
        }
        let outcome = self.pool.call(act);
        let now = Instant::now();
        self.stats.called(now - started);
        match outcome {
            Ok(answer) => {
                self.breaker().succeeded(now);
                Ok(answer)
            }
            Err(failure) => {
                self.stats.failed(&failure);
                let opened = self.breaker().failed(now);
                self.report(&failure, opened);
                let cause = failure.to_string();
                Err(Unanswered { reason: failure.reason(), cause, rest: QUARANTINE })
            }
        }
    }

    fn report(&self, failure: &Failure, opened: Option<Duration>) {
        let Surroundings { name: plugin, generation, .. } = self.around();
        tracing::warn!(plugin, generation, cause = %failure, "the policy gave no answer");
        if let Some(rest) = opened {
            tracing::error!(plugin, generation, ?rest, cause = %failure, "the policy keeps failing and is not called for a while");
        }
    }

    /// Everything that is shown of it.
    pub(crate) fn numbers(&self) -> PolicyNumbers {
        PolicyNumbers { status: self.status(), times: self.stats.times(), samples: self.samples() }
    }

    pub(crate) fn status(&self) -> PluginStatus {
        let counted = self.stats.counted();
        let (instances, memory_bytes) = self.pool.size();
        let broken = self.breaker().is_open();
        PluginStatus {
            name: self.around().name.clone(),
            policy: self.description.name.clone(),
            version: self.description.version.clone(),
            sha256: hex(&self.pool.artifact().compiled.sha256),
            api: check::API,
            generation: self.around().generation,
            state: if broken { PluginState::Broken } else { PluginState::Running },
            calls: counted.calls,
            failures: counted.failures,
            traps: counted.traps,
            timeouts: counted.timeouts,
            last_error: counted.last_error,
            p50_micros: counted.p50_micros,
            max_micros: counted.max_micros,
            instances,
            memory_bytes,
        }
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.around().metrics.samples()
    }

    pub(crate) fn around(&self) -> &Surroundings {
        &self.pool.artifact().around
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: World> fmt::Debug for Policy<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.around().name).finish_non_exhaustive()
    }
}

/// A call of the start-up sequence whose answer makes no sense.
pub(crate) fn invalid(call: &'static str, cause: Invalid) -> PluginError {
    PluginError::Call { call, cause: Failure::Invalid { cause } }
}

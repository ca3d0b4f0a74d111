//! Instances of a router: how one is started and called, and the small pool that workers share.
//!
//! A plan is asked for once per key, so a few instances serve any number of workers. One that traps
//! is thrown away; starting the next takes microseconds.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use wasmtime::{Store, Trap, WasmBacktrace};

use super::{
    engine::{Compiled, Engine},
    error::{Failure, PluginError, chain},
    host::{HostState, Surroundings, one_line},
    v0_1::{self, RouterPlugin, lifecycle, router},
};
use crate::facts::Facts;

/// Instances of one plugin in one generation.
const INSTANCES_MAX: usize = 4;

/// CPU time for one decision.
pub(crate) const DECISION_LIMIT: Duration = Duration::from_millis(5);

/// CPU time for each start-up call of a replacement, which a worker waits for.
const RESTART_LIMIT: Duration = Duration::from_millis(50);

/// CPU time for each start-up call when a generation is prepared, beside the running one.
const LOAD_LIMIT: Duration = Duration::from_secs(1);

/// Longest wait for one of the instances. Only loops of the guest make it so long.
const BUSY_MAX: Duration = Duration::from_millis(20);

/// Calls after which an instance is replaced: heaps of JavaScript and Python guests grow.
const CALLS_MAX: u32 = 100_000;

/// Memory at which an instance is replaced.
const MEMORY_WORN_BYTES: usize = 48 << 20;

/// Bytes that one call may copy between host and guest.
const TRANSFER_MAX_BYTES: usize = 1 << 20;

/// Longest error text of a guest that is shown.
const MESSAGE_MAX_BYTES: usize = 1 << 10;

/// Innermost frames of a trap that are shown.
const FRAMES_MAX: usize = 4;

/// Longest name of a function that is shown.
const FRAME_MAX_BYTES: usize = 120;

/// A plugin that is ready to be started any number of times.
pub(crate) struct Artifact {
    pub(crate) engine: Engine,
    pub(crate) compiled: Compiled,
    pub(crate) settings: lifecycle::Settings,
    pub(crate) around: Arc<Surroundings>,
}

/// What a plugin says of itself when it starts.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) description: lifecycle::Description,
    pub(crate) requirements: router::Requirements,
}

/// One running copy of a plugin.
pub(crate) struct Instance {
    engine: Engine,
    store: Store<HostState>,
    exports: RouterPlugin,
    /// The cluster that it was told of last.
    topology: Option<u64>,
    calls: u32,
}

/// A start-up call, and why it failed.
type StartFailure = (&'static str, Failure);

impl Instance {
    fn start(artifact: &Artifact, limit: Duration) -> Result<(Self, Introduction), StartFailure> {
        let engine = artifact.engine.clone();
        let mut store = Store::new(engine.wasm(), HostState::new(Arc::clone(&artifact.around)));
        store.limiter(|host| &mut host.memory);
        store.set_hostcall_fuel(TRANSFER_MAX_BYTES);
        store.epoch_deadline_callback(|mut guest| Ok(guest.data_mut().on_tick()));
        let pre = &artifact.compiled.pre;
        let exports = call(&engine, &mut store, limit, |store| pre.instantiate(store).map(Ok))
            .map_err(|failure| ("starting it", failure))?;
        let mut instance = Self { engine, store, exports, topology: None, calls: 0 };

        let description = instance
            .lifecycle(limit, |exports, store| exports.call_describe(store))
            .map_err(|failure| ("describe", failure))?;
        instance
            .lifecycle(limit, |exports, store| exports.call_configure(store, &artifact.settings))
            .map_err(|failure| ("configure", failure))?;
        let requirements =
            instance.router(limit, |exports, store| exports.call_setup(store)).map_err(|failure| ("setup", failure))?;
        Ok((instance, Introduction { description, requirements }))
    }

    /// Tells the guest of the cluster, unless it knows.
    fn inform(&mut self, facts: &Facts, limit: Duration) -> Result<(), Failure> {
        let wanted = Some(topology_key(facts));
        if self.topology != wanted {
            let topology = v0_1::topology(facts);
            self.router(limit, |exports, store| exports.call_update_topology(store, &topology))?;
            self.topology = wanted;
        }
        Ok(())
    }

    /// Asks where a statement goes.
    pub(crate) fn route(
        &mut self,
        session: &router::Session,
        statement: &router::Statement,
    ) -> Result<router::Plan, Failure> {
        let ask = |exports: &router::Guest, store: &mut _| exports.call_route(store, session, statement);
        self.router(DECISION_LIMIT, ask)
    }

    /// Asks whether a session may go on.
    pub(crate) fn admit(&mut self, session: &router::Session) -> Result<router::Admission, Failure> {
        self.router(DECISION_LIMIT, |exports, store| exports.call_admit(store, session))
    }

    fn lifecycle<R>(
        &mut self,
        limit: Duration,
        act: impl FnOnce(&lifecycle::Guest, &mut Store<HostState>) -> Answer<R>,
    ) -> Result<R, Failure> {
        let exports = self.exports.howdah_plugin_lifecycle();
        call(&self.engine, &mut self.store, limit, |store| act(exports, store))
    }

    fn router<R>(
        &mut self,
        limit: Duration,
        act: impl FnOnce(&router::Guest, &mut Store<HostState>) -> Answer<R>,
    ) -> Result<R, Failure> {
        self.calls += 1;
        let exports = self.exports.howdah_plugin_router();
        call(&self.engine, &mut self.store, limit, |store| act(exports, store))
    }

    fn memory_bytes(&self) -> usize {
        self.store.data().memory.used_bytes
    }

    fn is_worn(&self) -> bool {
        self.calls >= CALLS_MAX || self.memory_bytes() >= MEMORY_WORN_BYTES
    }
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

/// What bindgen's functions return: a trap, or the guest's own result.
type Answer<R> = wasmtime::Result<Result<R, String>>;

/// Runs a guest under its time limit.
fn call<R>(
    engine: &Engine,
    store: &mut Store<HostState>,
    limit: Duration,
    act: impl FnOnce(&mut Store<HostState>) -> Answer<R>,
) -> Result<R, Failure> {
    let _ticking = engine.ticker().call();
    store.data_mut().begin(limit);
    store.set_epoch_deadline(1);
    match act(store) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(message)) => Err(Failure::Refused { message: one_line(&message, MESSAGE_MAX_BYTES) }),
        Err(error) if matches!(error.downcast_ref(), Some(Trap::Interrupt)) => Err(Failure::Timeout { limit }),
        Err(error) => {
            let last_words = store.data_mut().take_last_words();
            Err(Failure::Trap { cause: explain(&error, last_words) })
        }
    }
}

/// A trap in one line: what it was, what the guest logged before it, and where.
fn explain(error: &wasmtime::Error, last_words: Option<String>) -> String {
    let mut text = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => one_line(&chain(error), MESSAGE_MAX_BYTES),
    };
    if let Some(words) = last_words {
        text = format!("{words} ({text})");
    }
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    let names = frames.iter().filter_map(|frame| frame.func_name());
    // Without the hash at the end of the names of Rust functions.
    let names = names.map(|name| format!("{:#}", rustc_demangle::demangle(name)));
    let telling = names.filter(|name| !is_scaffolding(name)).take(FRAMES_MAX);
    let telling: Vec<_> = telling.map(|name| one_line(&name, FRAME_MAX_BYTES)).collect();
    if !telling.is_empty() {
        text = format!("{text}, in {}", telling.join(" < "));
    }
    text
}

/// Frames that every trap of a Rust guest has: panicking, and getting from the export to the policy.
fn is_scaffolding(function: &str) -> bool {
    ["std::", "core::", "__rust", "rust_", "howdah_plugin::", "<howdah_plugin::"]
        .iter()
        .any(|prefix| function.starts_with(prefix))
        || function.contains("panic")
}

/// The instances of one plugin in one generation.
pub(crate) struct Pool {
    artifact: Artifact,
    instances: Mutex<Instances>,
    freed: Condvar,
}

#[derive(Default)]
struct Instances {
    idle: Vec<Instance>,
    live: usize,
}

impl Pool {
    /// Starts the first instance; the introduction is the same for all.
    pub(crate) fn open(artifact: Artifact, facts: &Facts) -> Result<(Self, Introduction), PluginError> {
        let refuse = |(call, cause)| PluginError::Call { call, cause };
        let (mut first, introduction) = Instance::start(&artifact, LOAD_LIMIT).map_err(refuse)?;
        first.inform(facts, LOAD_LIMIT).map_err(|cause| refuse(("update-topology", cause)))?;
        let instances = Mutex::new(Instances { idle: vec![first], live: 1 });
        Ok((Self { artifact, instances, freed: Condvar::new() }, introduction))
    }

    /// Calls any instance, after telling it of the cluster if the call is about one.
    pub(crate) fn call<R>(
        &self,
        facts: Option<&Facts>,
        act: impl FnOnce(&mut Instance) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let mut instance = self.take()?;
        let informed = facts.map_or(Ok(()), |facts| instance.inform(facts, RESTART_LIMIT));
        let outcome = informed.and_then(|()| act(&mut instance));
        let usable = outcome.as_ref().err().is_none_or(Failure::leaves_instance_usable);
        self.give_back(usable.then_some(instance));
        outcome
    }

    fn take(&self) -> Result<Instance, Failure> {
        let instances = self.lock();
        let none_free = |i: &mut Instances| i.idle.is_empty() && i.live >= INSTANCES_MAX;
        let (mut instances, waited) =
            self.freed.wait_timeout_while(instances, BUSY_MAX, none_free).unwrap_or_else(PoisonError::into_inner);
        if let Some(instance) = instances.idle.pop() {
            return Ok(instance);
        }
        if waited.timed_out() {
            return Err(Failure::Busy { waited: BUSY_MAX });
        }
        instances.live += 1;
        drop(instances);
        let started = Instance::start(&self.artifact, RESTART_LIMIT);
        started.map(|(instance, _)| instance).map_err(|(_, failure)| {
            self.give_back(None);
            failure
        })
    }

    /// Takes an instance back, or learns that it is gone.
    fn give_back(&self, instance: Option<Instance>) {
        let mut instances = self.lock();
        match instance {
            Some(instance) if !instance.is_worn() => instances.idle.push(instance),
            _ => instances.live -= 1,
        }
        drop(instances);
        self.freed.notify_one();
    }

    /// How many instances there are, and the memory of the idle ones.
    pub(crate) fn size(&self) -> (usize, usize) {
        let instances = self.lock();
        (instances.live, instances.idle.iter().map(Instance::memory_bytes).sum())
    }

    pub(crate) fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

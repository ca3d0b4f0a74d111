//! Instances of a policy: how one is started and called, and the small pool that callers share.
//!
//! One that traps is thrown away; starting the next takes microseconds.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use wasmtime::{Store, Trap, WasmBacktrace};

use super::{
    engine::{Compiled, Engine},
    error::{Failure, PluginError, chain},
    host::{HostState, Surroundings, one_line},
    v0_1::lifecycle,
    world::{Answer, World},
};

/// CPU time for each start-up call when a generation is prepared, beside the running one.
pub(crate) const LOAD_LIMIT: Duration = Duration::from_secs(1);

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
pub(crate) struct Artifact<W: World> {
    pub(crate) engine: Engine,
    pub(crate) compiled: Compiled,
    places: Places<W>,
    settings: lifecycle::Settings,
    pub(crate) around: Arc<Surroundings>,
}

/// Where the functions are that are called.
struct Places<W: World> {
    lifecycle: lifecycle::GuestIndices,
    role: W::Places,
}

impl<W: World> Artifact<W> {
    /// Finds the functions of the role.
    pub(crate) fn new(
        engine: &Engine,
        compiled: Compiled,
        settings: lifecycle::Settings,
        around: Surroundings,
    ) -> Result<Self, PluginError> {
        let find =
            || Ok(Places { lifecycle: lifecycle::GuestIndices::new(&compiled.pre)?, role: W::find(&compiled.pre)? });
        let places = find().map_err(|cause: wasmtime::Error| PluginError::Revision { cause: chain(&cause) })?;
        Ok(Self { engine: engine.clone(), compiled, places, settings, around: Arc::new(around) })
    }
}

/// What a plugin says of itself when it starts.
pub(crate) struct Introduction<W: World> {
    pub(crate) description: lifecycle::Description,
    pub(crate) requirements: W::Requirements,
}

/// One running copy of a plugin.
pub(crate) struct Instance<W: World> {
    engine: Engine,
    store: Store<HostState>,
    exports: W::Exports,
    /// What it was told that the next call may rest on, for whoever tells it.
    pub(crate) told: Option<u64>,
    calls: u32,
}

/// A start-up call, and why it failed.
type StartFailure = (&'static str, Failure);

impl<W: World> Instance<W> {
    fn start(artifact: &Artifact<W>, limit: Duration) -> Result<(Self, Introduction<W>), StartFailure> {
        let engine = artifact.engine.clone();
        let mut store = Store::new(engine.wasm(), HostState::new(Arc::clone(&artifact.around)));
        store.limiter(|host| &mut host.memory);
        store.set_hostcall_fuel(TRANSFER_MAX_BYTES);
        store.epoch_deadline_callback(|mut guest| Ok(guest.data_mut().on_tick()));
        let Places { lifecycle, role } = &artifact.places;
        let start = |store: &mut Store<HostState>| {
            let instance = artifact.compiled.pre.instantiate(&mut *store)?;
            Ok(Ok((lifecycle.load(&mut *store, &instance)?, W::take(role, store, &instance)?)))
        };
        let (lifecycle, exports) =
            call(&engine, &mut store, limit, start).map_err(|failure| ("starting it", failure))?;

        let description = call(&engine, &mut store, limit, |store| lifecycle.call_describe(store))
            .map_err(|failure| ("describe", failure))?;
        call(&engine, &mut store, limit, |store| lifecycle.call_configure(store, &artifact.settings))
            .map_err(|failure| ("configure", failure))?;
        let requirements = call(&engine, &mut store, limit, |store| W::setup(&exports, store))
            .map_err(|failure| ("setup", failure))?;
        let instance = Self { engine, store, exports, told: None, calls: 0 };
        Ok((instance, Introduction { description, requirements }))
    }

    /// Asks for a decision.
    pub(crate) fn decide<R>(
        &mut self,
        act: impl FnOnce(&W::Exports, &mut Store<HostState>) -> Answer<R>,
    ) -> Result<R, Failure> {
        self.call(W::LIMITS.decision, act)
    }

    /// Calls a function of the role.
    pub(crate) fn call<R>(
        &mut self,
        limit: Duration,
        act: impl FnOnce(&W::Exports, &mut Store<HostState>) -> Answer<R>,
    ) -> Result<R, Failure> {
        self.calls += 1;
        call(&self.engine, &mut self.store, limit, |store| act(&self.exports, store))
    }

    fn memory_bytes(&self) -> usize {
        self.store.data().memory.used_bytes
    }

    fn is_worn(&self) -> bool {
        self.calls >= CALLS_MAX || self.memory_bytes() >= MEMORY_WORN_BYTES
    }
}

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
pub(crate) struct Pool<W: World> {
    artifact: Artifact<W>,
    instances: Mutex<Instances<W>>,
    freed: Condvar,
}

struct Instances<W: World> {
    idle: Vec<Instance<W>>,
    live: usize,
}

impl<W: World> Pool<W> {
    /// Starts the first instance; the introduction is the same for all.
    pub(crate) fn open(artifact: Artifact<W>) -> Result<(Self, Introduction<W>), PluginError> {
        let refuse = |(call, cause)| PluginError::Call { call, cause };
        let (first, introduction) = Instance::start(&artifact, LOAD_LIMIT).map_err(refuse)?;
        let instances = Mutex::new(Instances { idle: vec![first], live: 1 });
        Ok((Self { artifact, instances, freed: Condvar::new() }, introduction))
    }

    /// Calls any instance.
    pub(crate) fn call<R>(&self, act: impl FnOnce(&mut Instance<W>) -> Result<R, Failure>) -> Result<R, Failure> {
        let mut instance = self.take()?;
        let outcome = act(&mut instance);
        let usable = outcome.as_ref().err().is_none_or(Failure::leaves_instance_usable);
        self.give_back(usable.then_some(instance));
        outcome
    }

    fn take(&self) -> Result<Instance<W>, Failure> {
        let limits = W::LIMITS;
        let instances = self.lock();
        let none_free = |i: &mut Instances<W>| i.idle.is_empty() && i.live >= limits.instances;
        let (mut instances, waited) =
            self.freed.wait_timeout_while(instances, limits.busy, none_free).unwrap_or_else(PoisonError::into_inner);
        if let Some(instance) = instances.idle.pop() {
            return Ok(instance);
        }
        if waited.timed_out() {
            return Err(Failure::Busy { waited: limits.busy });
        }
        instances.live += 1;
        drop(instances);
        let started = Instance::start(&self.artifact, limits.restart);
        started.map(|(instance, _)| instance).map_err(|(_, failure)| {
            self.give_back(None);
            failure
        })
    }

    /// Takes an instance back, or learns that it is gone.
    fn give_back(&self, instance: Option<Instance<W>>) {
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

    pub(crate) fn artifact(&self) -> &Artifact<W> {
        &self.artifact
    }

    fn lock(&self) -> MutexGuard<'_, Instances<W>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

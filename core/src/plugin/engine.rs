//! The one WebAssembly engine of the process: its limits, its linker, and what it has compiled.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, InstancePre, Linker},
};

use super::{
    check,
    error::{PluginError, chain},
    host::HostState,
    role::Role,
    state::Store,
    ticker::Ticker,
    v0_1,
};

/// Linear memory of one instance, all its memories together.
pub(crate) const MEMORY_MAX_BYTES: usize = 64 << 20;

/// Stack of a guest. Our worker threads have more, whatever they were doing when they called.
const STACK_MAX_BYTES: usize = 512 << 10;

/// Guard around a memory. Small, since the explicit bounds checks that this makes necessary cost
/// nothing that we could measure, and large ones take terabytes of address space.
const MEMORY_GUARD_BYTES: u64 = 64 << 10;

/// Instances of components, all plugins, clusters and generations together: some eight for each cluster in
/// each generation that is kept.
const INSTANCES_MAX: u32 = 256;

/// Compiled components to keep, so that a reload of the same one costs nothing.
const COMPILED_MAX: usize = 16;

/// Longest compilation. Cranelift has no defence against code made to be slow to compile, so it
/// runs on a thread of its own, which we stop waiting for.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(60);

/// What all plugins share. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<HostState>,
    ticker: Ticker,
    compiled: Mutex<VecDeque<Compiled>>,
    stores: Mutex<HashMap<String, Arc<Store>>>,
}

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) sha256: [u8; 32],
    pub(crate) pre: InstancePre<HostState>,
}

impl Engine {
    /// Makes the engine and starts its clock. Once per process.
    pub fn new() -> Result<Self, PluginError> {
        let unusable = |cause: wasmtime::Error| PluginError::Engine { cause: chain(&cause) };
        let engine = wasmtime::Engine::new(&configuration()).map_err(unusable)?;
        let linker = v0_1::linker(&engine).map_err(unusable)?;
        let ticker = Ticker::start(engine.weak()).map_err(|cause| PluginError::Engine { cause: cause.to_string() })?;
        let compiled = Mutex::default();
        Ok(Self(Arc::new(Inner { engine, linker, ticker, compiled, stores: Mutex::default() })))
    }

    /// Makes the calling thread ready. The first call into a component on a thread otherwise takes
    /// hundreds of microseconds more.
    pub fn prepare_thread() {
        wasmtime::Engine::tls_eager_initialize();
    }

    /// Checks and compiles a component for a role, or finds it among those compiled before.
    pub(crate) fn compiled(&self, role: Role, component: &[u8]) -> Result<Compiled, PluginError> {
        check::size(component)?;
        check::fits(role, component)?;
        let sha256: [u8; 32] = Sha256::digest(component).into();
        if let Some(known) = self.known(sha256) {
            return Ok(known);
        }
        check::validate(component)?;
        let pre = self.link(&self.compile(component.to_vec())?)?;
        let compiled = Compiled { sha256, pre };
        self.remember(compiled.clone());
        Ok(compiled)
    }

    fn compile(&self, component: Vec<u8>) -> Result<Component, PluginError> {
        let (done, outcome) = mpsc::sync_channel(1);
        let engine = self.0.engine.clone();
        let compile = move || {
            // The receiver is gone when we stopped waiting.
            let _ = done.send(Component::from_binary(&engine, &component));
        };
        thread::Builder::new()
            .name("plugin-compiler".to_owned())
            .spawn(compile)
            .map_err(|cause| PluginError::Engine { cause: cause.to_string() })?;
        match outcome.recv_timeout(COMPILE_TIMEOUT) {
            Ok(Ok(component)) => Ok(component),
            Ok(Err(cause)) => Err(PluginError::Compile { cause: chain(&cause) }),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(PluginError::CompileTimeout { waited: COMPILE_TIMEOUT }),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(PluginError::Compile { cause: "the compiler panicked".to_owned() })
            }
        }
    }

    fn link(&self, component: &Component) -> Result<InstancePre<HostState>, PluginError> {
        let linked = self.0.linker.instantiate_pre(component);
        linked.map_err(|cause| PluginError::Revision { cause: chain(&cause) })
    }

    fn known(&self, sha256: [u8; 32]) -> Option<Compiled> {
        let mut compiled = self.0.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let at = compiled.iter().position(|known| known.sha256 == sha256)?;
        let known = compiled.remove(at)?;
        compiled.push_back(known.clone());
        Some(known)
    }

    fn remember(&self, fresh: Compiled) {
        let mut compiled = self.0.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() == COMPILED_MAX {
            compiled.pop_front();
        }
        compiled.push_back(fresh);
    }

    /// The state of the plugin of that name, which outlives its generations.
    pub(crate) fn store(&self, plugin: &str) -> Arc<Store> {
        let mut stores = self.0.stores.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(stores.entry(plugin.to_owned()).or_default())
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.0.ticker
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.engine
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// Everything that guests of Rust, C, JavaScript and Python need, and nothing else: each feature
/// that is off is code of the compiler that no component can reach.
fn configuration() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .gc_support(false)
        .max_wasm_stack(STACK_MAX_BYTES)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_memory64(false)
        .memory_reservation(MEMORY_MAX_BYTES as u64)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(slots()));
    config
}

/// A Python component consists of 38 core modules, a JavaScript one has three memories; a Rust one
/// needs one of each.
fn slots() -> PoolingAllocationConfig {
    let mut slots = PoolingAllocationConfig::new();
    slots
        .total_component_instances(INSTANCES_MAX)
        .total_core_instances(2048)
        .total_memories(256)
        .total_tables(1024)
        .max_memory_size(MEMORY_MAX_BYTES)
        .max_core_instances_per_component(96)
        .max_memories_per_component(8)
        .max_memories_per_module(1)
        .max_tables_per_component(64)
        .max_tables_per_module(4)
        .table_elements(20_000)
        .max_unused_warm_slots(8);
    slots
}

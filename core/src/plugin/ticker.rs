//! The clock of running components: one tick per millisecond while any of them runs.
//!
//! wasmtime looks at a counter, the epoch, at every loop and function entry of a guest. While no
//! guest runs nobody needs ticks, and a proxy at rest should not wake a thousand times a second.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use wasmtime::EngineWeak;

/// Length of one epoch.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call after which the ticker sleeps until the next: waking it costs a system
/// call, and calls come in bursts.
const IDLE_TICKS: u32 = 50;

/// Ticks as long as calls are in flight.
#[derive(Debug)]
pub(crate) struct Ticker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Calls>,
    first: Condvar,
}

#[derive(Debug, Default)]
struct Calls {
    in_flight: usize,
    asleep: bool,
    stopped: bool,
}

/// A call in flight; the engine ticks while it lives.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread. It ends with the `Ticker`, or when the engine is gone.
    pub(crate) fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let ticking = Arc::clone(&shared);
        let thread = thread::Builder::new().name("plugin-ticker".to_owned());
        thread.spawn(move || ticking.tick(&engine))?;
        Ok(Self(shared))
    }

    /// A call begins.
    pub(crate) fn call(&self) -> InFlight<'_> {
        let mut calls = self.0.lock();
        calls.in_flight += 1;
        if calls.asleep {
            self.0.first.notify_one();
        }
        InFlight(&self.0)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.first.notify_one();
    }
}

impl Shared {
    fn tick(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while self.wait_for_work(&mut idle) {
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    }

    /// Sleeps while nothing runs. False: it is time to end.
    fn wait_for_work(&self, idle: &mut u32) -> bool {
        let mut calls = self.lock();
        *idle = if calls.in_flight == 0 { *idle + 1 } else { 0 };
        while calls.in_flight == 0 && *idle > IDLE_TICKS && !calls.stopped {
            calls.asleep = true;
            calls = self.first.wait(calls).unwrap_or_else(PoisonError::into_inner);
            calls.asleep = false;
        }
        !calls.stopped
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

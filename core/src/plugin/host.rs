//! What a guest finds around it: its memory limit, its time limit, and the interfaces that it may
//! import. There is no clock, no random, no network, no file and no environment.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;
use tracing::Level;
use wasmtime::{ResourceLimiter, UpdateDeadline};

use super::{
    engine::MEMORY_MAX_BYTES,
    metrics::Metrics,
    state::{Store, StoreError},
    v0_1::howdah::plugin::{
        log::{Host as LogHost, Level as GuestLevel},
        metrics::Host as MetricsHost,
        node_sql::{Host as NodeSqlHost, Rows, SqlError},
        observation::Host as ObservationHost,
        state::{Host as StateHost, StateError},
        types::Host as TypesHost,
    },
};

/// Elements of one table.
const TABLE_MAX_ELEMENTS: usize = 20_000;

/// Longest log line; the rest is cut off.
const LOG_LINE_MAX_BYTES: usize = 4 << 10;

/// Log lines of one plugin per second; the rest is counted.
const LOG_LINES_PER_SECOND: u64 = 100;

/// What all instances of a plugin in one generation share with the host.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Its key in the configuration.
    pub(crate) name: String,
    pub(crate) generation: u64,
    /// `None` without the grant.
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) metrics: Metrics,
    pub(crate) log: LogAllowance,
}

/// The host's part of one instance.
#[derive(Debug)]
pub(crate) struct HostState {
    pub(crate) around: Arc<Surroundings>,
    pub(crate) memory: MemoryLimit,
    deadline: Deadline,
    last_words: Option<String>,
}

impl HostState {
    pub(crate) fn new(around: Arc<Surroundings>) -> Self {
        let (memory, deadline) = (MemoryLimit::default(), Deadline::default());
        Self { around, memory, deadline, last_words: None }
    }

    /// A call begins that may take this much CPU time.
    pub(crate) fn begin(&mut self, limit: Duration) {
        self.deadline = Deadline { limit, since: None };
        self.last_words = None;
    }

    /// What the guest logged as an error in this call: the message of a panic, as a rule.
    pub(crate) fn take_last_words(&mut self) -> Option<String> {
        self.last_words.take()
    }

    /// An epoch has passed while the guest was running.
    pub(crate) fn on_tick(&mut self) -> UpdateDeadline {
        if self.deadline.is_over() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) }
    }
}

/// Limits a call by the CPU time of its thread, so that a guest is not to blame when the machine is
/// busy and its thread waits for a core. Guests cannot block, so wall-clock time adds nothing.
#[derive(Debug, Default)]
struct Deadline {
    limit: Duration,
    /// CPU time at the first tick. Most calls end before it and never ask for the time.
    since: Option<Duration>,
}

impl Deadline {
    fn is_over(&mut self) -> bool {
        let now = thread_cpu_time();
        let since = *self.since.get_or_insert(now);
        now.saturating_sub(since) >= self.limit
    }
}

fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Bounds the linear memory of an instance, all its memories together.
#[derive(Debug, Default)]
pub(crate) struct MemoryLimit {
    pub(crate) used_bytes: usize,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let after = self.used_bytes.saturating_add(desired.saturating_sub(current));
        let fits = after <= MEMORY_MAX_BYTES;
        if fits {
            self.used_bytes = after;
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_MAX_ELEMENTS)
    }
}

/// How much a plugin may still log in this second.
#[derive(Debug, Default)]
pub(crate) struct LogAllowance {
    second: Mutex<Option<(Instant, u64)>>,
    dropped: AtomicU64,
}

impl LogAllowance {
    /// Some: go ahead, so many lines were dropped since the last that was not.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = match &mut *second {
            Some((began, lines)) if now.duration_since(*began) < Duration::from_secs(1) => lines,
            other => &mut other.insert((now, 0)).1,
        };
        if *lines == LOG_LINES_PER_SECOND {
            self.dropped.fetch_add(1, Relaxed);
            return None;
        }
        *lines += 1;
        Some(self.dropped.swap(0, Relaxed))
    }
}

impl TypesHost for HostState {}

impl ObservationHost for HostState {}

impl LogHost for HostState {
    fn enabled(&mut self, level: GuestLevel) -> bool {
        match level {
            GuestLevel::Trace => tracing::enabled!(Level::TRACE),
            GuestLevel::Debug => tracing::enabled!(Level::DEBUG),
            GuestLevel::Info => tracing::enabled!(Level::INFO),
            GuestLevel::Warn => tracing::enabled!(Level::WARN),
            // Also when nobody listens: it explains a trap that may follow.
            GuestLevel::Error => true,
        }
    }

    fn log(&mut self, level: GuestLevel, message: String, fields: Vec<(String, String)>) {
        let mut line = message;
        for (name, value) in fields {
            line.push_str(&format!(" {name}={value}"));
        }
        let line = one_line(&line, LOG_LINE_MAX_BYTES);
        if level == GuestLevel::Error {
            self.last_words = Some(line.clone());
        }
        let Some(dropped) = self.around.log.take(Instant::now()) else { return };
        let Surroundings { name: plugin, generation, .. } = &*self.around;
        if dropped > 0 {
            tracing::warn!(plugin, generation, dropped, "the policy logs too much");
        }
        match level {
            GuestLevel::Trace => tracing::trace!(plugin, generation, "{line}"),
            GuestLevel::Debug => tracing::debug!(plugin, generation, "{line}"),
            GuestLevel::Info => tracing::info!(plugin, generation, "{line}"),
            GuestLevel::Warn => tracing::warn!(plugin, generation, "{line}"),
            GuestLevel::Error => tracing::error!(plugin, generation, "{line}"),
        }
    }
}

/// Text of a guest as it may stand in a log or a message: no control characters, not too long.
pub(crate) fn one_line(text: &str, max_bytes: usize) -> String {
    let end = text.floor_char_boundary(max_bytes);
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl MetricsHost for HostState {
    fn counter_add(&mut self, name: String, delta: u64, labels: Vec<(String, String)>) {
        self.around.metrics.add(name, delta, labels);
    }

    fn gauge_set(&mut self, name: String, value: f64, labels: Vec<(String, String)>) {
        self.around.metrics.set(name, value, labels);
    }
}

impl HostState {
    /// The grant is checked here, for every function of the interface and every version of it.
    fn store(&self) -> Result<&Store, StateError> {
        self.around.store.as_deref().ok_or(StateError::NotGranted)
    }
}

impl From<StoreError> for StateError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OverQuota => Self::OverQuota,
            StoreError::Conflict => Self::Conflict,
        }
    }
}

impl StateHost for HostState {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.store()?.get(&key, Instant::now()))
    }

    fn put(&mut self, key: String, value: Vec<u8>, ttl: Option<u32>) -> Result<(), StateError> {
        let ttl = ttl.map(|millis| Duration::from_millis(millis.into()));
        Ok(self.store()?.put(key, value, ttl, Instant::now())?)
    }

    fn delete(&mut self, key: String) -> Result<(), StateError> {
        self.store()?.delete(&key);
        Ok(())
    }

    fn replace(&mut self, key: String, expected: Option<Vec<u8>>, value: Vec<u8>) -> Result<(), StateError> {
        Ok(self.store()?.replace(key, expected.as_deref(), value, Instant::now())?)
    }
}

/// Nobody is granted it yet. It is there for guests whose tools import a whole world, wanted or not.
impl NodeSqlHost for HostState {
    fn query(
        &mut self,
        _node: u32,
        _sql: String,
        _parameters: Vec<Option<String>>,
        _timeout: u32,
        _max_rows: u32,
    ) -> Result<Rows, SqlError> {
        Err(SqlError::NotGranted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_guest_is_one_line_of_bounded_length() {
        assert_eq!(one_line("a\nb\0c", 100), "a b c");
        assert_eq!(one_line("aé", 2), "a", "never half a character");
    }

    #[test]
    fn a_chatty_plugin_is_cut_off_until_the_second_is_over() {
        let (log, now) = (LogAllowance::default(), Instant::now());
        let taken = (0..1_000).filter(|_| log.take(now).is_some()).count() as u64;
        assert_eq!(taken, LOG_LINES_PER_SECOND);

        let later = now + Duration::from_secs(1);
        assert_eq!(log.take(later), Some(1_000 - LOG_LINES_PER_SECOND));
        assert_eq!(log.take(later), Some(0));
    }
}

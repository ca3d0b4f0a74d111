//! One run of pgbench against one target, with the target's CPU time beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use howdah::demo::{Load, LoadResult, PgNode, RunningLoad};

use crate::{
    bed::{Bed, SCRAM_PASSWORD, SCRAM_USER},
    figures::{CPU_US, LATENCY_MS, Measured, P99_MS, TPS, percentile_99},
    target::Door,
    usage,
};

/// Share of transactions whose latency is written down; all of them would cost pgbench CPU that the target needs.
const SAMPLED: &str = "0.1";

/// pgbench's threads: one per client up to this, since servers and target share the machine with it.
const THREADS_MAX: u32 = 2;

/// A load in the making.
pub struct Bench {
    load: Load,
    log: PathBuf,
}

impl Bench {
    /// Reads by primary key, so many clients, with more arguments such as `-M prepared`.
    pub fn new(bed: &Bed, door: &Door, clients: u32, time: Duration, more: &str) -> Self {
        static RUN: AtomicU32 = AtomicU32::new(0);
        let log = bed.cluster.folder().join(format!("latency-{}", RUN.fetch_add(1, Ordering::Relaxed)));
        let threads = clients.min(THREADS_MAX);
        let arguments = format!(
            "-S -c {clients} -j {threads} -T {} {more} --log --sampling-rate={SAMPLED} --log-prefix={}",
            time.as_secs(),
            log.display()
        );
        let mut load = Load::new(door.port, &arguments);
        if door.scram {
            load.user = SCRAM_USER.into();
            load.password = SCRAM_PASSWORD.into();
        }
        Self { load, log }
    }

    /// Runs it to its end and measures.
    pub fn run(&self, node: &PgNode, door: &Door) -> Result<Measured> {
        self.start(node, door)?.finish()
    }

    /// Begins to run it.
    pub fn start<'a>(&'a self, node: &PgNode, door: &'a Door) -> Result<Running<'a>> {
        let before = door.pid.map(usage::cpu);
        Ok(Running { bench: self, door, before, load: self.load.start(node)? })
    }

    /// Runs it in the background; [`measured`](Self::measured) then takes what came of it.
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// What a finished run says. Errors that a client saw are a failure of the run.
    pub fn measured(&self, result: &LoadResult) -> Result<Measured> {
        let latencies = take_latencies(&self.log);
        let summary = result.clean()?;
        ensure!(summary.transactions > 0, "no transaction went through");
        let mut measured = Measured::from([(TPS, summary.tps), (LATENCY_MS, summary.latency_average_ms)]);
        if let Some(p99) = percentile_99(&mut latencies?) {
            measured.insert(P99_MS, p99);
        }
        Ok(measured)
    }
}

/// A load that runs, on a target whose CPU time is counted.
pub struct Running<'a> {
    bench: &'a Bench,
    door: &'a Door,
    before: Option<Duration>,
    load: RunningLoad,
}

impl Running<'_> {
    /// Waits for its end and measures.
    pub fn finish(self) -> Result<Measured> {
        let result = self.load.finish()?;
        let after = self.door.pid.map(usage::cpu);
        let mut measured = self.bench.measured(&result)?;
        if let (Some(before), Some(after)) = (self.before, after) {
            let spent = after.saturating_sub(before).as_secs_f64() * 1e6;
            measured.insert(CPU_US, spent / result.transactions().max(1) as f64);
        }
        Ok(measured)
    }
}

/// Milliseconds; pgbench's threads write a file each, microseconds in the third field.
fn take_latencies(prefix: &Path) -> Result<Vec<f64>> {
    let folder = prefix.parent().context("the prefix has a folder")?;
    let name = prefix.file_name().context("the prefix has a name")?.to_string_lossy().into_owned() + ".";
    let mut latencies = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name)) {
            let text = fs::read_to_string(&path)?;
            let micros = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok());
            latencies.extend(micros.map(|micros| micros / 1000.0));
            fs::remove_file(&path)?;
        }
    }
    Ok(latencies)
}

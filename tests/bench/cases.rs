//! What is measured, by name.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use howdah::demo::Load;

use crate::{
    bed::{self, Bed, COPY_TWIN, SCRAM_PASSWORD, SCRAM_USER},
    crowd::Crowd,
    figures::{CLIENT_BYTES, CPU_PER_GB, CROWD_MB, EMPTY_MB, LOGINS, Measured, RATE, THOUSAND_MB},
    load::{Bench, Running},
    target::{Door, Target},
    usage,
};

/// Clients that come and go in the cases that connect for each transaction.
const STORM_CLIENTS: u32 = 8;

/// Connections a second of a storm, so that all meet the same one: less than any target can take, as a look at the
/// measured rates shows. A proof costs the clients some milliseconds of this machine.
const STORM_RATE: u32 = 2_000;
const STORM_RATE_SCRAM: u32 = 50;

/// Clients whose latency the storm may spoil.
const SHELTERED_CLIENTS: u32 = 8;

/// Active clients beside the idle crowd.
const ACTIVE_CLIENTS: u32 = 64;

/// Idle clients: some, and many.
const SOME: usize = 1_000;
const MANY: usize = 5_000;

/// Before the first measurement of a case: servers are connected to, plans made.
const WARM_UP: Duration = Duration::from_secs(1);

/// One thing to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Case {
    /// `pgbench -S` in a protocol mode.
    Reads {
        /// simple, extended or prepared.
        mode: &'static str,
        /// Clients.
        clients: u32,
    },
    /// A connection for each transaction.
    Connect {
        /// With passwords.
        scram: bool,
    },
    /// Clients that stay, beside a storm of those that come and go; the figures are those of the former.
    Storm {
        /// Whether those of the storm have passwords.
        scram: bool,
    },
    /// 200 MB into a table.
    CopyIn,
    /// 200 MB out of a table.
    CopyOut,
    /// Idle clients' memory, and active clients beside them.
    Idle,
}

/// What it takes to measure.
pub struct CaseRunner<'a> {
    /// The cluster.
    pub bed: &'a Bed,
    /// How long a load runs.
    pub time: Duration,
}

impl Case {
    /// Every case, in the order of the report.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for mode in ["simple", "extended", "prepared"] {
            all.extend([1, 16, 64].map(|clients| Self::Reads { mode, clients }));
        }
        for scram in [false, true] {
            all.extend([Self::Connect { scram }, Self::Storm { scram }]);
        }
        all.extend([Self::CopyIn, Self::CopyOut, Self::Idle]);
        all
    }

    /// Its name on the command line and in the report.
    pub fn name(&self) -> String {
        let secured = |name: &str, scram: &bool| if *scram { format!("{name}-scram") } else { name.into() };
        match self {
            Self::Reads { mode, clients } => format!("{mode}-{clients}"),
            Self::Connect { scram } => secured("connect", scram),
            Self::Storm { scram } => secured("storm", scram),
            Self::CopyIn => "copy-in".into(),
            Self::CopyOut => "copy-out".into(),
            Self::Idle => "idle".into(),
        }
    }

    /// Whether it is among those that tell most in the least time.
    pub fn is_quick(&self) -> bool {
        matches!(self, Self::Reads { clients: 16, .. })
    }

    /// Whether it can be measured on all targets at the same time.
    pub fn goes_at_once(&self) -> bool {
        matches!(self, Self::Reads { .. })
    }

    /// Whether it needs the tables for COPY.
    pub fn copies(&self) -> bool {
        matches!(self, Self::CopyIn | Self::CopyOut)
    }

    /// Whether it needs doors that ask for passwords.
    pub fn needs_scram(&self) -> bool {
        matches!(self, Self::Connect { scram: true } | Self::Storm { scram: true })
    }
}

impl CaseRunner<'_> {
    /// Measures one case on one target.
    pub fn run(&self, case: &Case, target: &Target, first: bool) -> Result<Measured> {
        let door = if case.needs_scram() { target.scram.as_ref() } else { Some(&target.trust) };
        let door = door.context("it knows no SCRAM here")?;
        match case {
            Case::Reads { mode, clients } => self.reads(door, *clients, &format!("-M {mode}"), first),
            Case::Connect { .. } => self.reads(door, STORM_CLIENTS, "-C", first),
            Case::Storm { .. } => self.storm(target, door),
            Case::CopyIn => self.copy(door, |port| self.copy_in(port)),
            Case::CopyOut => self.copy(door, |port| self.copy_out(port)),
            Case::Idle => self.idle(target, first),
        }
    }

    fn reads(&self, door: &Door, clients: u32, more: &str, first: bool) -> Result<Measured> {
        if first {
            // Whatever goes wrong here goes wrong in the measurement too.
            let _ = Bench::new(self.bed, door, clients, WARM_UP, more).run(self.bed.primary(), door);
        }
        Bench::new(self.bed, door, clients, self.time, more).run(self.bed.primary(), door)
    }

    /// Measures one case of reads on all targets at the same time, each with so many transactions a second: whatever else
    /// the machine does, it does to all of them.
    pub fn run_at_once(
        &self,
        case: &Case,
        targets: &[Target],
        rate: u32,
        first: bool,
    ) -> Result<Vec<Result<Measured>>> {
        let Case::Reads { mode, clients } = case else { bail!("{} is not measured at once", case.name()) };
        let node = self.bed.primary();
        if first {
            let more = format!("-M {mode}");
            for target in targets {
                Bench::new(self.bed, &target.trust, *clients, WARM_UP, &more).run(node, &target.trust)?;
            }
        }
        let more = format!("-M {mode} -R {rate}");
        let bench = |target: &Target| Bench::new(self.bed, &target.trust, *clients, self.time, &more);
        let benches: Vec<Bench> = targets.iter().map(bench).collect();
        let running: Result<Vec<Running<'_>>> =
            benches.iter().zip(targets).map(|(bench, target)| bench.start(node, &target.trust)).collect();
        Ok(running?.into_iter().map(Running::finish).collect())
    }

    /// Those who stay come in by the same door as the storm.
    fn storm(&self, target: &Target, door: &Door) -> Result<Measured> {
        let node = self.bed.primary();
        let sheltered = Bench::new(self.bed, door, SHELTERED_CLIENTS, self.time, "");
        let seconds = self.time.as_secs();
        let rate = if door.scram { STORM_RATE_SCRAM } else { STORM_RATE };
        let mut storm = Load::new(door.port, &format!("-S -C -c {STORM_CLIENTS} -j 1 -T {seconds} -R {rate}"));
        if door.scram {
            (storm.user, storm.password) = (SCRAM_USER.into(), SCRAM_PASSWORD.into());
        }
        let storm = storm.start(node)?;
        let measured = sheltered.load().run(node).map_err(Into::into).and_then(|result| sheltered.measured(&result));
        let storm = storm.finish()?;
        let storm = storm.clean().with_context(|| format!("the storm on {}", target.name))?;
        let mut measured = measured?;
        measured.insert(LOGINS, storm.tps);
        Ok(measured)
    }

    fn copy(&self, door: &Door, copy: impl Fn(u16) -> Result<()>) -> Result<Measured> {
        let megabytes = std::fs::metadata(&self.bed.copy_file)?.len() as f64 / 1e6;
        let (before, begin) = (door.pid.map(usage::cpu), Instant::now());
        copy(door.port)?;
        let seconds = begin.elapsed().as_secs_f64();
        let mut measured = Measured::from([(RATE, megabytes / seconds)]);
        if let (Some(pid), Some(before)) = (door.pid, before) {
            let spent = usage::cpu(pid).saturating_sub(before).as_secs_f64();
            measured.insert(CPU_PER_GB, spent * 1000.0 / megabytes);
        }
        Ok(measured)
    }

    fn copy_in(&self, port: u16) -> Result<()> {
        bed::copy_in(self.bed.primary(), port, &self.bed.copy_file)?;
        self.bed.primary().psql(&format!("TRUNCATE {COPY_TWIN}"))?;
        Ok(())
    }

    fn copy_out(&self, port: u16) -> Result<()> {
        bed::copy_out(self.bed.primary(), port, std::path::Path::new("/dev/null"))
    }

    /// Memory is measured in the first round only: later a proxy still has what it kept for the crowds before.
    fn idle(&self, target: &Target, first: bool) -> Result<Measured> {
        let pid = target.trust.pid.context("there is no proxy")?;
        ensure!(target.holds_crowds, "each of its clients takes a server");
        let mut crowd = Crowd::default();
        let empty = usage::memory(pid)?;
        crowd.grow(target.trust.port, SOME)?;
        let some = usage::memory(pid)?;
        crowd.grow(target.trust.port, MANY)?;
        let many = usage::memory(pid)?;
        let mut measured = Bench::new(self.bed, &target.trust, ACTIVE_CLIENTS, self.time, "")
            .run(self.bed.primary(), &target.trust)?;
        if !first {
            return Ok(measured);
        }
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        measured.insert(EMPTY_MB, megabytes(empty));
        measured.insert(THOUSAND_MB, megabytes(some));
        measured.insert(CROWD_MB, megabytes(many));
        measured.insert(CLIENT_BYTES, many.saturating_sub(some) as f64 / (MANY - SOME) as f64);
        Ok(measured)
    }
}

//! Where it was measured, in words.

use std::{fs, thread};

use anyhow::Result;
use howdah::demo::PgNode;

/// This machine and what runs on it.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    processor: String,
    cores: usize,
    /// Of the last minute, when we began.
    load: String,
    postgres: String,
    /// The day, as PostgreSQL says it.
    pub date: String,
}

impl Machine {
    /// What can be known without a server.
    pub fn look() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let model = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned()));
        Self {
            processor: model.unwrap_or_else(|| "unknown processor".into()),
            cores: thread::available_parallelism().map_or(1, Into::into),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            ..Self::default()
        }
    }

    /// What a server knows.
    pub fn ask(&mut self, node: &PgNode) -> Result<()> {
        self.postgres = node.psql("SELECT split_part(current_setting('server_version'), ' ', 1)")?;
        self.date = node.psql("SELECT current_date")?;
        Ok(())
    }

    /// In one line.
    pub fn words(&self) -> String {
        let Self { processor, cores, load, postgres, date } = self;
        format!("PostgreSQL {postgres}, {cores} cores ({processor}), load before it {load}, {date}")
    }
}

//! A row of steps, each with a heading and its duration, that ends at the first failure.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::shell;

/// What has been done so far, and how long it took.
#[derive(Default)]
pub struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Does one step under a heading.
    pub fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        shell::heading(name);
        let begin = Instant::now();
        let result = work().with_context(|| format!("step {name:?} failed"))?;
        self.done.push((name, begin.elapsed()));
        Ok(result)
    }

    /// Prints how long each step took.
    pub fn summary(&self) {
        shell::heading("Summary");
        for (name, duration) in &self.done {
            println!("  ok  {:>8}  {name}", seconds(*duration));
        }
        let total = self.done.iter().map(|(_, duration)| *duration).sum();
        println!("      {:>8}  altogether", seconds(total));
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

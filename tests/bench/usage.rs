//! What a program uses, all of its processes together: CPU time and memory.

use std::{fs, process::Command, sync::OnceLock, time::Duration};

use anyhow::{Context, Result};
use howdah::demo::process;

/// A process and all that descend from it.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let mut next = 0;
    while let Some(&pid) = pids.get(next) {
        pids.extend(process::children(pid));
        next += 1;
    }
    pids
}

/// CPU time that the tree has used, user and system, with that of children which have ended.
pub fn cpu(pid: u32) -> Duration {
    let ticks: u64 = tree(pid).into_iter().filter_map(ticks).sum();
    Duration::from_micros(ticks * 1_000_000 / ticks_per_second())
}

/// Bytes of memory that the tree has for itself, plus its share of what it shares (PSS).
pub fn memory(pid: u32) -> Result<u64> {
    tree(pid).into_iter().map(pss).sum()
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    ticks_of(&stat)
}

/// Fields 14 to 17: utime, stime, cutime, cstime. The name in field 2 may hold anything.
fn ticks_of(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}

fn pss(pid: u32) -> Result<u64> {
    let rollup =
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("could not read a process's memory")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("the kernel tells no PSS")?;
    let kilobytes = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    Ok(kilobytes.context("PSS is not a number")? * 1024)
}

fn ticks_per_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let answer = Command::new("getconf").arg("CLK_TCK").output().ok();
        let answer = answer.and_then(|answer| String::from_utf8(answer.stdout).ok());
        answer.and_then(|text| text.trim().parse().ok()).unwrap_or(100)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_look_like_fields() {
        let stat = "7 (a) 1 2) S 1 7 7 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 100";

        assert_eq!(ticks_of(stat), Some(50 + 60 + 7 + 8));
    }
}

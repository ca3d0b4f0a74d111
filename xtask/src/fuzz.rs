//! `cargo xtask fuzz`: looks for inputs that break what reads a stranger's bytes.
//!
//! libFuzzer, guided by coverage of our own crates, on the stable compiler: the counters that it
//! needs are an LLVM pass, which only the workspace's crates are compiled with.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    setup::{self, Machine, Purpose},
    shell,
    steps::Steps,
};

/// As in `tests/src/fuzz.rs`.
const TARGETS: [&str; 6] = ["frame", "startup", "request", "answer", "console", "shape"];

/// Longest input in bytes; longer ones only take longer.
const INPUT_MAX_BYTES: usize = 4096;

/// Put before rustc. Only what is fuzzed is compiled with counters: a build script would not link with them.
const WRAPPER: &str = r#"#!/bin/sh
rustc=$1
shift
case " $* " in
    *" --crate-name howdah "* | *" --crate-name howdah_tests "* | *" --crate-name howdah_fuzz "*) ;;
    *) exec "$rustc" "$@" ;;
esac
exec "$rustc" "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions
"#;

/// Each target for a while; a find is kept below tests/fuzz/corpus, where the tests replay it
#[derive(Args)]
pub struct Fuzz {
    /// Seconds per target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only these targets
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

impl Fuzz {
    /// Ends at the first target that breaks.
    pub fn run(self) -> Result<()> {
        let mut steps = Steps::default();
        let machine = steps.step("Machine", || setup::prepare(Purpose::Fuzz))?;
        let program = steps.step("Build", || build(&machine))?;
        for target in self.targets()? {
            steps.step(target, || fuzz(&machine, &program, target, Duration::from_secs(self.seconds)))?;
        }
        steps.summary();
        Ok(())
    }

    fn targets(&self) -> Result<Vec<&'static str>> {
        if let Some(unknown) = self.targets.iter().find(|name| !TARGETS.contains(&name.as_str())) {
            bail!("there is no target {unknown}; there are {}", TARGETS.join(", "));
        }
        let wanted = |name: &&str| self.targets.is_empty() || self.targets.iter().any(|wanted| wanted == name);
        Ok(TARGETS.into_iter().filter(wanted).collect())
    }
}

/// In a folder of its own: the same crates are compiled with other flags.
fn build(machine: &Machine) -> Result<PathBuf> {
    let folder = shell::target().join("fuzz");
    fs::create_dir_all(&folder)?;
    let wrapper = folder.join("rustc-with-counters");
    fs::write(&wrapper, WRAPPER)?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let mut build = machine.cargo();
    build.args(["build", "--release", "--package", "howdah-tests", "--features", "fuzz", "--bin", "howdah-fuzz"]);
    shell::run(build.arg("--target-dir").arg(&folder).env("RUSTC_WORKSPACE_WRAPPER", wrapper))?;
    Ok(folder.join("release/howdah-fuzz"))
}

/// What libFuzzer learns stays in `target`; what breaks the target goes to the corpus.
fn fuzz(machine: &Machine, program: &PathBuf, target: &str, time: Duration) -> Result<()> {
    let learned = shell::target().join("fuzz/corpus").join(target);
    let kept = shell::workspace().join("tests/fuzz/corpus").join(target);
    fs::create_dir_all(&learned)?;
    let mut fuzzer = machine.command(program);
    fuzzer.arg(format!("-max_total_time={}", time.as_secs())).arg(format!("-max_len={INPUT_MAX_BYTES}"));
    fuzzer.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]);
    fuzzer.arg(format!("-artifact_prefix={}/", kept.display())).arg(&learned).arg(&kept);
    shell::run(fuzzer.env("HOWDAH_FUZZ_TARGET", target))
        .with_context(|| format!("{target} breaks; the input is in {}", kept.display()))
}

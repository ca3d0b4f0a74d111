//! Others' suites of tests, which `cargo xtask conformance` runs: fetched from their packages, made ready, kept in
//! `target/tools/suites`.
//!
//! Nothing is installed: packages are fetched and unpacked there, so that it takes no privileges and changes nothing
//! of the machine.

mod postgresql;
mod psycopg2;
mod tokio_postgres;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub use postgresql::PostgresSuites;
pub use psycopg2::Psycopg2Suite;
pub use tokio_postgres::TokioPostgresSuite;

use super::Found;
use crate::shell;

/// Names the folder of the suites to the tests; `tests/src/conformance/material.rs` knows what is in it.
const FOLDER_VARIABLE: &str = "HOWDAH_TEST_SUITES";

/// Written last: it holds the version of what is there.
const COMPLETE: &str = "complete";

/// A suite in the making, or made.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn of(suite: &str) -> Self {
        Self { folder: all().join(suite) }
    }

    /// A new folder, whatever was there before.
    fn begin(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder).with_context(|| format!("could not make {}", self.folder.display()))
    }

    fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn finish(&self, version: &str) -> Result<()> {
        fs::write(self.join(COMPLETE), version).context("could not finish a suite")
    }

    /// The suite, if it is of this version.
    fn find(&self, version: &str) -> Result<Found, String> {
        let there = fs::read_to_string(self.join(COMPLETE)).map_err(|_| format!("not in {}", self.folder.display()))?;
        if there != version {
            return Err(format!("{} has {there}, not {version}", self.folder.display()));
        }
        Ok(Found::at(format!("{version} in {}", self.folder.display())).telling(FOLDER_VARIABLE, all()))
    }
}

fn all() -> PathBuf {
    shell::tools().join("suites")
}

/// The one file of a folder whose name begins and contains so.
fn file_in(folder: &Path, start: &str, part: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let name = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let mut fitting = entries.filter(|path| name(path).starts_with(start) && name(path).contains(part));
    fitting.next().with_context(|| format!("no {start}…{part}… was fetched"))
}

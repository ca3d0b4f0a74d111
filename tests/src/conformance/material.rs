//! Where the suites are that `cargo xtask setup` and `cargo xtask conformance` get.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Names the folder of the suites.
pub const FOLDER_VARIABLE: &str = "HOWDAH_TEST_SUITES";

/// The suites of this machine.
#[derive(Clone, Debug)]
pub struct Material {
    folder: PathBuf,
}

/// A suite is not on this machine.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no {}; `cargo xtask {command}` gets it, or says what to type", place.display())]
pub struct Missing {
    place: PathBuf,
    command: &'static str,
}

impl Material {
    /// Where xtask has put it, or would.
    pub fn of_this_machine() -> Self {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/suites");
        Self { folder: env::var_os(FOLDER_VARIABLE).map_or(tools, PathBuf::from) }
    }

    /// `pg_regress`, `libpq_pipeline` and what both need; see `xtask/src/setup/suites`.
    pub fn postgresql(&self) -> Result<PathBuf, Missing> {
        self.part("postgresql", "complete", "setup")
    }

    /// `site` with the module, and `tests` with its tests.
    pub fn psycopg2(&self) -> Result<PathBuf, Missing> {
        self.part("psycopg2", "complete", "conformance --suite psycopg2")
    }

    /// `suite`, the tests as one program.
    pub fn tokio_postgres(&self) -> Result<PathBuf, Missing> {
        self.part("tokio-postgres", "complete", "conformance --suite tokio-postgres")
    }

    fn part(&self, name: &str, last: &str, command: &'static str) -> Result<PathBuf, Missing> {
        let place = self.folder.join(name);
        // What is got last tells that the rest is there.
        if place.join(last).exists() { Ok(place) } else { Err(Missing { place, command }) }
    }
}

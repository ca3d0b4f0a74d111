//! psycopg2 with the tests of its source package.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use super::{Place, file_in};
use crate::{
    setup::{Found, Need, clients, postgres_binaries::Binaries},
    shell,
};

/// One version for everybody, so that the list of differences is about the same tests everywhere.
const VERSION: &str = "2.9.13";

/// The module, and its tests.
pub struct Psycopg2Suite;

impl Need for Psycopg2Suite {
    fn name(&self) -> &'static str {
        "psycopg2 tests"
    }

    fn find(&self) -> Result<Found, String> {
        Place::of("psycopg2").find(VERSION)
    }

    fn obtain(&self) -> Result<()> {
        let place = Place::of("psycopg2");
        place.begin()?;
        let requirement = format!("psycopg2-binary=={VERSION}");
        shell::run(clients::pip(&place.join("site"))?.arg(&requirement))?;
        let work = place.join("work");
        fs::create_dir(&work)?;
        let mut download = Command::new("python3");
        download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        // pip looks into what it fetches, and there psycopg2 asks for pg_config, which is beside the server.
        let folder = Binaries::find()?.folder;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::env::split_paths(&path).chain([folder]))?;
        shell::run(download.args(["--no-binary=:all:", "--dest"]).arg(&work).arg(&requirement).env("PATH", path))?;
        let sources = file_in(&work, "psycopg2", ".tar.gz")?;
        let mut tar = Command::new("tar");
        tar.arg("--extract").arg("--file").arg(sources).arg("--directory").arg(&place.folder);
        shell::run(tar.args(["--strip-components=1", "--wildcards", "*/tests"])).context("psycopg2's tests")?;
        fs::remove_dir_all(work)?;
        place.finish(VERSION)
    }

    fn packages(&self) -> Vec<String> {
        ["python3", "python3-pip"].map(String::from).to_vec()
    }

    fn advice(&self) -> &'static str {
        "Install Python 3 with pip"
    }
}

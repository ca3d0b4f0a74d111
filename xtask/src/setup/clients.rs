//! PostgreSQL's drivers in other languages, which the tests connect with.
//!
//! They live in `target/tools`, or come from Debian; the tests learn of them through the environment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Found, Need};
use crate::shell;

/// Where Debian keeps Node's modules; Node builds from elsewhere do not look there.
const DEBIAN_NODE_MODULES: &str = "/usr/share/nodejs";

const DEBIAN_JDBC: &str = "/usr/share/java/postgresql.jar";

/// Python with psycopg 3 and psycopg2.
pub struct Python;

impl Need for Python {
    fn name(&self) -> &'static str {
        "psycopg"
    }

    fn find(&self) -> Result<Found, String> {
        let modules = shell::tools().join("python");
        let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
            let mut asked = Command::new(python);
            asked.args(["-c", "import psycopg, psycopg2"]).env("PYTHONPATH", &modules);
            shell::output(&mut asked).is_ok()
        });
        let python = python.ok_or("no python3 has both psycopg and psycopg2")?;
        let place = format!("{python}, {}", modules.display());
        Ok(Found::at(place).telling("HOWDAH_TEST_PYTHON", python).telling("HOWDAH_TEST_PYTHONPATH", modules))
    }

    fn obtain(&self) -> Result<()> {
        let folder = shell::tools().join("python");
        shell::run(pip(&folder)?.args(["psycopg[binary]>=3.1,<4", "psycopg2-binary>=2.9,<3"]))
    }

    fn packages(&self) -> Vec<String> {
        ["python3", "python3-psycopg", "python3-psycopg2"].map(String::from).to_vec()
    }

    fn advice(&self) -> &'static str {
        "Install Python 3 with pip"
    }

    fn optional(&self) -> bool {
        true
    }
}

/// Node with node-postgres.
pub struct Node;

impl Need for Node {
    fn name(&self) -> &'static str {
        "node-postgres"
    }

    fn find(&self) -> Result<Found, String> {
        let folders = [shell::tools().join("node/node_modules"), PathBuf::from(DEBIAN_NODE_MODULES)];
        let folder = folders.into_iter().find(|folder| {
            let mut asked = Command::new("node");
            shell::output(asked.args(["-e", "require('pg')"]).env("NODE_PATH", folder)).is_ok()
        });
        let folder = folder.ok_or("no node has the module pg")?;
        Ok(Found::at(folder.display().to_string()).telling("HOWDAH_TEST_NODE_PATH", folder))
    }

    fn obtain(&self) -> Result<()> {
        let npm = shell::find_program("npm").context("there is no npm")?;
        let folder = shell::tools().join("node");
        fs::create_dir_all(&folder)?;
        let mut install = Command::new(npm);
        install.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
        shell::run(install.arg("pg@8"))
    }

    fn packages(&self) -> Vec<String> {
        // A Node from elsewhere has its npm; Debian's comes apart from it, and with the driver as a package.
        ["nodejs", "node-pg"].map(String::from).to_vec()
    }

    fn advice(&self) -> &'static str {
        "Install Node.js with npm"
    }

    fn optional(&self) -> bool {
        true
    }
}

/// Java with the JDBC driver.
pub struct Jdbc;

impl Need for Jdbc {
    fn name(&self) -> &'static str {
        "JDBC"
    }

    fn find(&self) -> Result<Found, String> {
        shell::output(Command::new("javac").arg("--version")).map_err(|_| "there is no Java compiler")?;
        if !Path::new(DEBIAN_JDBC).exists() {
            return Err(format!("there is no {DEBIAN_JDBC}"));
        }
        Ok(Found::at(DEBIAN_JDBC).telling("HOWDAH_TEST_JDBC", DEBIAN_JDBC))
    }

    fn packages(&self) -> Vec<String> {
        let has_java = shell::find_program("javac").is_some();
        let java = (!has_java).then(|| "default-jdk-headless".into());
        java.into_iter().chain(["libpostgresql-jdbc-java".into()]).collect()
    }

    fn advice(&self) -> &'static str {
        "Install a JDK and put PostgreSQL's JDBC driver at /usr/share/java/postgresql.jar"
    }

    fn optional(&self) -> bool {
        true
    }
}

/// pip, installing into a folder of ours.
pub fn pip(folder: &Path) -> Result<Command> {
    let mut version = Command::new("python3");
    if shell::output(version.args(["-m", "pip", "--version"])).is_err() {
        bail!("there is no python3 with pip");
    }
    let mut install = Command::new("python3");
    install
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"])
        .arg(folder);
    Ok(install)
}

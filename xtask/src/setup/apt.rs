//! Debian's package manager: installs as root, and otherwise spells out what to type.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::shell;

const OPTIONS: &str = "install -y --no-install-recommends";

/// While PostgreSQL's packages are installed, tells them not to make and start a cluster: we bring our own.
///
/// Their configuration reads every file of this folder. What others wrote there stays as it is.
const NO_CLUSTER_FILE: &str = "/etc/postgresql-common/createcluster.d/howdah-setup.conf";

/// Whether this system has apt.
pub fn is_here() -> bool {
    shell::find_program("apt-get").is_some()
}

/// Whether we are root.
pub fn may_install() -> bool {
    shell::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid == "0")
}

/// Installs the packages that the question names once the lists are fresh.
pub fn install(packages: impl FnOnce() -> Vec<String>) -> Result<()> {
    println!("  $ apt-get update");
    shell::run(&mut apt_get(["-q", "update"]))?;
    let packages = packages();
    println!("  $ apt-get {OPTIONS} {}", packages.join(" "));
    let _no_cluster = NoCluster::ask(&packages)?;
    let mut install = apt_get(OPTIONS.split(' '));
    shell::run(install.args(["-q", "-o", "Dpkg::Use-Pty=0"]).args(&packages))
}

/// What an ordinary user has to type.
pub fn command_line(packages: &[String]) -> String {
    format!("sudo apt-get update && sudo apt-get {OPTIONS} {}", packages.join(" "))
}

/// The version that would be installed, such as `15+248+deb12u1`.
pub fn candidate(package: &str) -> Option<String> {
    let policy = shell::output(Command::new("apt-cache").args(["policy", package])).ok()?;
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// What a package depends on.
pub fn dependencies(package: &str) -> Vec<String> {
    let listed = shell::output(Command::new("apt-cache").args(["depends", package])).unwrap_or_default();
    listed.lines().filter_map(|line| Some(line.trim().strip_prefix("Depends: ")?.to_owned())).collect()
}

fn apt_get<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

struct NoCluster;

impl NoCluster {
    fn ask(packages: &[String]) -> Result<Option<Self>> {
        if !packages.iter().any(|name| name.starts_with("postgresql")) {
            return Ok(None);
        }
        let file = Path::new(NO_CLUSTER_FILE);
        fs::create_dir_all(file.parent().context("the file has a folder")?)?;
        fs::write(file, "create_main_cluster = false\n")
            .with_context(|| format!("could not write {NO_CLUSTER_FILE}"))?;
        Ok(Some(Self))
    }
}

impl Drop for NoCluster {
    fn drop(&mut self) {
        // Left behind it would only mean that later packages make no cluster either.
        let _ = fs::remove_file(NO_CLUSTER_FILE);
    }
}

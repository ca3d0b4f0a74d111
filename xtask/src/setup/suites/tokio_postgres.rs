//! The tests of tokio-postgres, compiled from its package: the same that our own tests connect with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Place;
use crate::{
    setup::{Found, Need},
    shell,
};

/// The port that the tests connect to, as their source has it.
const THEIR_PORT: &str = "5433";

/// The port that they are made to connect to: nothing else has it, and the kernel gives it to no outgoing connection.
const OUR_PORT: &str = "32433";

/// The package's benchmark and what it alone needs.
const LEFT_OUT: [&str; 2] = ["[[bench]]", "[dev-dependencies.criterion]"];

/// Not for this platform.
const FEATURE_LEFT_OUT: &str = "js";

/// The tests as one program.
pub struct TokioPostgresSuite;

impl Need for TokioPostgresSuite {
    fn name(&self) -> &'static str {
        "tokio-postgres"
    }

    fn find(&self) -> Result<Found, String> {
        let package = Package::locked().map_err(|error| format!("{error:#}"))?;
        Place::of("tokio-postgres").find(&package.version)
    }

    fn obtain(&self) -> Result<()> {
        let package = Package::locked()?;
        let place = Place::of("tokio-postgres");
        place.begin()?;
        let source = place.join("source");
        shell::run(Command::new("cp").arg("-R").arg(&package.folder).arg(&source))?;
        let manifest = source.join("Cargo.toml");
        fs::write(&manifest, on_its_own(&fs::read_to_string(&manifest)?))?;
        lead_elsewhere(&source.join("tests/test"))?;
        let program = compile(&source, &package.features)?;
        fs::copy(program, place.join("suite"))?;
        fs::write(place.join("port"), OUR_PORT)?;
        fs::remove_dir_all(source)?;
        place.finish(&package.version)
    }

    fn packages(&self) -> Vec<String> {
        ["gcc", "libc6-dev"].map(String::from).to_vec()
    }

    fn advice(&self) -> &'static str {
        "Its package and those that its tests need must be within cargo's reach"
    }
}

/// The package that the workspace uses.
struct Package {
    version: String,
    folder: PathBuf,
    features: Vec<String>,
}

impl Package {
    fn locked() -> Result<Self> {
        let mut metadata = Command::new(shell::cargo());
        metadata.args(["metadata", "--format-version=1", "--locked"]).current_dir(shell::workspace());
        let metadata: Value = serde_json::from_str(&shell::output(&mut metadata)?)?;
        let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
        let package = packages.iter().find(|package| package["name"] == "tokio-postgres");
        let package = package.context("the workspace does not use tokio-postgres")?;
        let text = |key: &str| package[key].as_str().with_context(|| format!("tokio-postgres has no {key}"));
        let folder = Path::new(text("manifest_path")?).parent().context("a manifest is in a folder")?.to_owned();
        let features = package["features"].as_object().context("tokio-postgres has no features")?.keys();
        let features = features.filter(|name| *name != FEATURE_LEFT_OUT).cloned().collect();
        Ok(Self { version: text("version")?.to_owned(), folder, features })
    }
}

/// A manifest of a workspace of its own, without the benchmark.
fn on_its_own(manifest: &str) -> String {
    let mut kept = String::from("[workspace]\n\n");
    let mut is_left_out = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_left_out = LEFT_OUT.contains(&line);
        }
        if !is_left_out {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

fn lead_elsewhere(tests: &Path) -> Result<()> {
    let mut changed = 0;
    for entry in fs::read_dir(tests)?.flatten().filter(|entry| entry.path().is_file()) {
        let text = fs::read_to_string(entry.path())?;
        changed += text.matches(THEIR_PORT).count();
        fs::write(entry.path(), text.replace(THEIR_PORT, OUR_PORT))?;
    }
    ensure!(changed > 0, "the tests of tokio-postgres do not connect to port {THEIR_PORT}");
    Ok(())
}

fn compile(source: &Path, features: &[String]) -> Result<PathBuf> {
    let mut cargo = Command::new(shell::cargo());
    cargo.args(["test", "--quiet", "--no-run", "--test=test", "--message-format=json", "--features"]);
    cargo.arg(features.join(",")).current_dir(source);
    cargo.env("CARGO_TARGET_DIR", source.join("target"));
    let messages = shell::output(&mut cargo)?;
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = built.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    program.context("cargo has not made the tests of tokio-postgres")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmark_is_left_out_of_the_manifest() {
        let manifest = "[package]\nname = \"x\"\n\n[[bench]]\nname = \"b\"\n\n[dependencies.a]\nversion = \"1\"\n\n\
                        [dev-dependencies.criterion]\nversion = \"0.7\"\n\n[dev-dependencies.b]\nversion = \"1\"\n";

        let kept = on_its_own(manifest);

        let expected = "[workspace]\n\n[package]\nname = \"x\"\n\n[dependencies.a]\nversion = \"1\"\n\n\
                        [dev-dependencies.b]\nversion = \"1\"\n";
        assert_eq!(kept, expected);
    }
}

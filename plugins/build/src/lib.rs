//! Compiles a policy crate into a WebAssembly component.
//!
//! For build scripts (the embedded policies, the guests of the tests) and tools. [`cargo`] runs a
//! nested cargo that makes a core module; wit-component wraps it. No other tool is needed.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

mod cargo;

/// Why a policy could not be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The Rust toolchain cannot compile for WebAssembly.
    #[error(
        "the Rust target wasm32-unknown-unknown is not installed: run `rustup target add \
         wasm32-unknown-unknown`, or `cargo xtask test`, which installs it"
    )]
    TargetMissing,
    /// No cargo to run.
    #[error("could not run {program}")]
    Run {
        /// What was to be run.
        program: String,
        /// Why it could not.
        #[source]
        cause: io::Error,
    },
    /// The policy does not compile.
    #[error("{manifest} does not compile:\n{diagnostics}")]
    Compile {
        /// The policy's Cargo.toml.
        manifest: PathBuf,
        /// What cargo had to say.
        diagnostics: String,
    },
    /// It compiles, but not to a module.
    #[error("{manifest} made no .wasm file: its [lib] needs crate-type = [\"cdylib\", \"rlib\"]")]
    NoModule {
        /// The policy's Cargo.toml.
        manifest: PathBuf,
    },
    /// The module vanished.
    #[error("could not read {path}")]
    Read {
        /// The module.
        path: PathBuf,
        /// Why it could not be read.
        #[source]
        cause: io::Error,
    },
    /// The module does not implement a world.
    #[error("{path} does not fit its world")]
    Componentize {
        /// The module.
        path: PathBuf,
        /// What does not fit.
        #[source]
        cause: anyhow::Error,
    },
}

/// Compiles the policy crate in this directory and returns its component.
///
/// The nested build has a target directory of its own, `target/policies` beside the outer one's
/// files, so that it never waits for the lock of the cargo that runs the build script, and that
/// all policies share what they have in common.
pub fn component(manifest_dir: &Path) -> Result<Vec<u8>, BuildError> {
    component_in(manifest_dir, &policies_dir())
}

/// As [`component`], with the target directory to use.
pub fn component_in(manifest_dir: &Path, target_dir: &Path) -> Result<Vec<u8>, BuildError> {
    let path = cargo::module(&manifest_dir.join("Cargo.toml"), target_dir)?;
    let module = std::fs::read(&path).map_err(|cause| BuildError::Read { path: path.clone(), cause })?;
    wrap(&module).map_err(|cause| BuildError::Componentize { path, cause })
}

/// Makes a component of a core module that wit-bindgen has described.
fn wrap(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    wit_component::ComponentEncoder::default().module(module)?.validate(true).encode()
}

/// `target/policies` for a build script, whose OUT_DIR is `target/PROFILE/build/PACKAGE/out`.
fn policies_dir() -> PathBuf {
    let out_dir = env::var_os("OUT_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let is_target_dir = |dir: &&Path| dir.join("CACHEDIR.TAG").is_file();
    let target_dir = out_dir.ancestors().find(is_target_dir).unwrap_or(&out_dir);
    target_dir.join("policies")
}

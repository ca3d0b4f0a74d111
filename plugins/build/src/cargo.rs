//! The nested cargo that compiles a policy to a core module.
//!
//! Three variables change which toolchain it takes, for systems whose Rust has no
//! `wasm32-unknown-unknown` of its own but can build one: `HOWDAH_WASM_CARGO` and
//! `HOWDAH_WASM_RUSTC` name the programs, `HOWDAH_WASM_CARGO_ARGS` holds more arguments, for
//! example `-Zbuild-std=std,panic_abort`.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::BuildError;

const TARGET: &str = "wasm32-unknown-unknown";

/// The release profile of a policy: small, since the host compiles it once more; symbols stay, so
/// that a trap's frames have names.
const PROFILE: &[(&str, &str)] = &[
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
];

/// Compiles a policy and returns the path of its module.
pub(crate) fn module(manifest: &Path, target_dir: &Path) -> Result<PathBuf, BuildError> {
    let toolchain = Toolchain::from_env();
    if !toolchain.has_target()? {
        return Err(BuildError::TargetMissing);
    }
    let built = toolchain.build(manifest, target_dir)?;
    if !built.status.success() {
        let diagnostics = String::from_utf8_lossy(&built.stderr).into_owned();
        return Err(BuildError::Compile { manifest: manifest.to_owned(), diagnostics });
    }
    last_module(&built.stdout).ok_or_else(|| BuildError::NoModule { manifest: manifest.to_owned() })
}

struct Toolchain {
    cargo: OsString,
    rustc: OsString,
    /// More arguments; whoever gives them knows where the standard library comes from.
    arguments: Option<String>,
}

impl Toolchain {
    fn from_env() -> Self {
        let program =
            |names: [&str; 2], otherwise: &str| names.iter().find_map(env::var_os).unwrap_or_else(|| otherwise.into());
        Self {
            cargo: program(["HOWDAH_WASM_CARGO", "CARGO"], "cargo"),
            rustc: program(["HOWDAH_WASM_RUSTC", "RUSTC"], "rustc"),
            arguments: env::var("HOWDAH_WASM_CARGO_ARGS").ok(),
        }
    }

    fn has_target(&self) -> Result<bool, BuildError> {
        if self.arguments.is_some() {
            return Ok(true);
        }
        let mut rustc = Command::new(&self.rustc);
        let printed = run(rustc.args(["--print", "target-libdir", "--target", TARGET]))?;
        let libdir = String::from_utf8_lossy(&printed.stdout);
        Ok(printed.status.success() && Path::new(libdir.trim()).is_dir())
    }

    fn build(&self, manifest: &Path, target_dir: &Path) -> Result<Output, BuildError> {
        let mut cargo = Command::new(&self.cargo);
        for (name, _) in env::vars_os().filter(|(name, _)| leaks(name)) {
            cargo.env_remove(name);
        }
        cargo
            .env("RUSTC", &self.rustc)
            .envs(PROFILE.iter().copied())
            .args(["build", "--lib", "--release", "--target", TARGET])
            .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(target_dir)
            .args(self.arguments.iter().flat_map(|more| more.split_whitespace()));
        run(&mut cargo)
    }
}

fn run(command: &mut Command) -> Result<Output, BuildError> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| BuildError::Run { program: command.get_program().to_string_lossy().into_owned(), cause })
}

/// Whether a variable speaks of the outer build and would bend the nested one.
fn leaks(name: &OsStr) -> bool {
    const OUTER: &[&str] = &[
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_INCREMENTAL",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_MANIFEST_LINKS",
    ];
    const OUTER_PREFIXES: &[&str] =
        &["CARGO_BUILD_", "CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "CARGO_PROFILE_", "DEP_"];
    let name = name.to_string_lossy();
    OUTER.contains(&&*name) || OUTER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The module that cargo's messages name last: the policy comes after what it depends on.
fn last_module(messages: &[u8]) -> Option<PathBuf> {
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            let files = message["filenames"].as_array()?;
            let module = files.iter().filter_map(|file| file.as_str()).find(|f| f.ends_with(".wasm"));
            module.map(PathBuf::from)
        })
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_outer_build_do_not_reach_the_policy() {
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_FEATURE_X", "RUSTC_WORKSPACE_WRAPPER"] {
            assert!(leaks(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_OFFLINE", "RUSTUP_TOOLCHAIN"] {
            assert!(!leaks(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_module_is_the_last_one_that_cargo_names() {
        let messages = br#"{"reason":"compiler-artifact","filenames":["/t/libserde.rlib"]}
{"reason":"compiler-artifact","filenames":["/t/policy.wasm","/t/libpolicy.rlib"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(last_module(messages), Some(PathBuf::from("/t/policy.wasm")));
        assert_eq!(last_module(b"not json"), None);
    }
}

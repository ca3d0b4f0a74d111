//! Finds the proxy that was built together with the tests.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// How to make it.
const HOW: &str = "run `cargo build --release --workspace` first, or `cargo xtask test`";

/// The `howdah` beside the tests. Panics when there is none, or one that is older than the library it is made of.
pub fn howdah() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let folder = test.parent().expect("a file is in a folder");
    // Tests are in `deps`, the benchmark is beside the proxy.
    let profile = if folder.ends_with("deps") { folder.parent().expect("deps is in a folder") } else { folder };
    let program = profile.join("howdah");
    let built = modified(&program).unwrap_or_else(|| panic!("there is no {}: {HOW}", program.display()));
    let is_newer = newest_library(&profile.join("deps")).is_some_and(|library| library > built);
    assert!(!is_newer, "{} is older than its library: {HOW}", program.display());
    program
}

fn newest_library(deps: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(deps).ok()?.flatten();
    let is_library = |name: &str| name.starts_with("libhowdah-") && name.ends_with(".rlib");
    let libraries = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_library));
    libraries.filter_map(|entry| modified(&entry.path())).max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

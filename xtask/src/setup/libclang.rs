//! libclang, which the build of PostgreSQL's parser reads C headers with.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{Found, Need, apt, clients, postgres_binaries::matching};
use crate::shell;

/// Folders of distributions; the newest of the first pattern that has one wins.
const FOLDERS: [&str; 6] = [
    "/usr/lib/llvm-*/lib",
    "/usr/lib64",
    "/usr/lib",
    "/opt/homebrew/opt/llvm*/lib",
    "/usr/local/opt/llvm*/lib",
    "/Library/Developer/CommandLineTools/usr/lib",
];

/// The library and the compiler's own headers (`stddef.h`).
pub struct Libclang;

impl Need for Libclang {
    fn name(&self) -> &'static str {
        "libclang"
    }

    fn find(&self) -> Result<Found, String> {
        if let Some(given) = env::var_os("LIBCLANG_PATH") {
            let given = PathBuf::from(given);
            return if given.is_file() || has_library(&given) {
                Ok(Found::at(given.display().to_string()))
            } else {
                Err(format!("LIBCLANG_PATH is {}, but there is none", given.display()))
            };
        }
        let folder = installed().or_else(|| Some(wheel_folder()).filter(|folder| has_library(folder)));
        let folder = folder.ok_or("not found in the usual folders nor through llvm-config")?;
        let found = Found::at(folder.display().to_string());
        let found = match headers_of(&folder) {
            true => found,
            false => found.telling("BINDGEN_EXTRA_CLANG_ARGS", format!("-I{}", headers_of_gcc()?)),
        };
        Ok(found.telling("LIBCLANG_PATH", folder))
    }

    /// The Python wheel has the library, but no headers; gcc's will do.
    fn obtain(&self) -> Result<()> {
        if apt::is_here() && apt::may_install() {
            anyhow::bail!("the system's packages come with headers");
        }
        let folder = shell::tools().join("libclang");
        shell::run(clients::pip(&folder)?.arg("libclang")).context("pip install libclang")
    }

    fn packages(&self) -> Vec<String> {
        // `libclang-dev` depends on `libclang-14-dev` or so; of that we need the library and the headers only.
        let version = apt::dependencies("libclang-dev")
            .iter()
            .find_map(|name| Some(name.strip_prefix("libclang-")?.strip_suffix("-dev")?.to_owned()));
        match version {
            Some(version) => vec![format!("libclang1-{version}"), format!("libclang-common-{version}-dev")],
            None => vec!["libclang-dev".into()],
        }
    }

    fn advice(&self) -> &'static str {
        "Install it (macOS: xcode-select --install; Fedora: dnf install clang-devel), or set LIBCLANG_PATH"
    }
}

fn installed() -> Option<PathBuf> {
    let asked = shell::output(Command::new("llvm-config").arg("--libdir")).ok().map(PathBuf::from);
    let newest = |pattern: &&str| matching(pattern).into_iter().filter(|f| has_library(f)).max_by_key(|f| version(f));
    asked.filter(|folder| has_library(folder)).or_else(|| FOLDERS.iter().find_map(newest))
}

fn has_library(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.any(|name| is_c_library(&name))
}

/// `libclang.so.1` and `libclang-14.so.14` are; `libclang-cpp.so.14`, which comes with other packages, is not.
fn is_c_library(file: &str) -> bool {
    let Some(rest) = file.strip_prefix("libclang") else { return false };
    let named =
        rest.starts_with('.') || rest.strip_prefix('-').is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()));
    named && (rest.contains(".so") || rest.ends_with(".dylib"))
}

/// `/usr/lib/llvm-14/lib` is version 14.
fn version(folder: &Path) -> u32 {
    let text = folder.to_string_lossy();
    let number = text.split_once("llvm-").map_or("", |(_, rest)| rest);
    number.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn wheel_folder() -> PathBuf {
    shell::tools().join("libclang/clang/native")
}

/// The library looks for its headers beside itself, in `clang/VERSION/include`.
fn headers_of(folder: &Path) -> bool {
    let versions = fs::read_dir(folder.join("clang")).into_iter().flatten().flatten();
    let beside = versions.into_iter().any(|version| version.path().join("include/stddef.h").exists());
    beside || shell::find_program("clang").is_some()
}

fn headers_of_gcc() -> Result<String, String> {
    let folder = shell::output(Command::new("gcc").arg("-print-file-name=include"));
    folder.map_err(|error| format!("libclang is here without its headers, and gcc has none: {error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let folders = ["/usr/lib/llvm-9/lib", "/usr/lib/llvm-14/lib", "/usr/lib"];

        let newest = folders.iter().max_by_key(|folder| version(Path::new(folder)));

        assert_eq!(newest, Some(&"/usr/lib/llvm-14/lib"));
    }
}

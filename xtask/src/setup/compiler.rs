//! A compiler for the C++ that libFuzzer is written in.

use std::process::Command;

use super::{Found, Need};
use crate::shell;

/// `c++`, under any of its names.
pub struct CppCompiler;

impl Need for CppCompiler {
    fn name(&self) -> &'static str {
        "C++ compiler"
    }

    fn find(&self) -> Result<Found, String> {
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let version = shell::output(Command::new(&compiler).arg("--version"));
        let version = version.map_err(|_| format!("there is no {compiler}"))?;
        Ok(Found::at(version.lines().next().unwrap_or(&compiler)))
    }

    fn packages(&self) -> Vec<String> {
        vec!["g++".into()]
    }

    fn advice(&self) -> &'static str {
        "Install g++ or clang++, or set CXX"
    }
}

//! The commands that our programs declare, and those that documents mention.

use std::{fs, path::Path};

use super::markdown::Document;

/// Our programs, as one types them.
const PROGRAMS: [&str; 2] = ["cargo xtask", "howdah"];

/// Commands that clap adds.
const EVERYBODYS: [&str; 1] = ["help"];

/// A command in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Counted from 1.
    pub line: usize,
    /// One of [`PROGRAMS`].
    pub program: &'static str,
    /// Its first argument.
    pub command: String,
}

/// What a document tells its reader to type.
pub fn mentioned_in(document: &Document) -> Vec<Mention> {
    let mut found = Vec::new();
    for (line, code) in document.code() {
        for program in PROGRAMS {
            found.extend(command_of(code, program).map(|command| Mention { line, program, command }));
        }
    }
    found
}

/// The command in a line that runs the program, wherever it is installed.
fn command_of(code: &str, program: &str) -> Option<String> {
    let typed = code.trim_start_matches("$ ");
    let typed =
        ["target/release/", "target/dist/"].iter().find_map(|folder| typed.strip_prefix(folder)).unwrap_or(typed);
    let argument = typed.strip_prefix(program)?.strip_prefix(' ')?.split_whitespace().next()?;
    let is_command = argument.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !argument.starts_with('-');
    is_command.then(|| argument.to_owned())
}

/// The commands that the sources below a folder declare with clap.
pub fn declared_in(sources: &Path) -> Vec<String> {
    let mut commands: Vec<_> = EVERYBODYS.map(str::to_owned).into();
    for file in rust_files(sources) {
        commands.extend(declared(&fs::read_to_string(file).expect("our sources can be read")));
    }
    commands
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("our sources can be listed");
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("it can be listed").path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The variants of enums that derive clap's `Parser` or `Subcommand`, as they are typed.
fn declared(source: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = source.lines();
    let mut is_clap = false;
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("#[derive(") {
            is_clap = line.contains("Parser") || line.contains("Subcommand");
        } else if is_clap && line.contains("enum ") && line.ends_with('{') {
            is_clap = false;
            let body = lines.by_ref().take_while(|line| *line != "}");
            commands.extend(body.filter_map(variant));
        } else if line.contains("struct ") {
            is_clap = false;
        }
    }
    commands
}

/// A variant that begins in this line, four spaces in.
fn variant(line: &str) -> Option<String> {
    let name = line.strip_prefix("    ")?;
    let name = &name[..name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len())];
    name.starts_with(|c: char| c.is_ascii_uppercase()).then(|| kebab(name))
}

fn kebab(name: &str) -> String {
    let mut typed = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !typed.is_empty() {
            typed.push('-');
        }
        typed.push(c.to_ascii_lowercase());
    }
    typed
}

#[test]
fn declared_and_mentioned_commands_are_found() {
    let source = "#[derive(clap::Subcommand)]\nenum Task {\n    /// Shows\n    Demo(Demo),\n    Check {\n        file: X,\n    },\n\
        \x20   ExplainRoute,\n}\n#[derive(Debug)]\nenum Other {\n    No,\n}\n";
    assert_eq!(declared(source), ["demo", "check", "explain-route"]);
    let found = |code| PROGRAMS.map(|program| command_of(code, program));
    assert_eq!(found("cargo xtask demo --tour"), [Some("demo".into()), None]);
    assert_eq!(found("$ target/dist/howdah check --config x"), [None, Some("check".into())]);
    assert_eq!(found("howdah --config x"), [None, None]);
    assert_eq!(found("psql -p 6432 howdah"), [None, None]);
}

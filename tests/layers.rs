//! `ARCHITECTURE.md` says who may import whom; this holds the sources of the proxy to it.
//!
//! [`table`](layers::table) reads the document, [`source`](layers::source) the sources.

mod layers {
    pub mod source;
    pub mod table;
}

use std::{
    fs,
    path::{Path, PathBuf},
};

use layers::{
    source::{self, Import},
    table::Table,
};

/// Folders whose Rust files open by saying what they are for.
const OUR_FOLDERS: [&str; 5] = ["core", "plugins", "tests", "xtask", "examples"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of the workspace")
}

fn table() -> Table {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read");
    Table::read(&text).expect("ARCHITECTURE.md has the table of layers")
}

fn imports() -> Vec<Import> {
    source::imports(&root().join("core/src"))
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}

#[test]
fn a_module_imports_only_what_the_table_allows() {
    let table = table();
    let wrong = imports().into_iter().filter_map(|Import { place, from, to }| {
        let allowed = table.rows.iter().find(|row| row.module == from)?.allows(&to);
        (!allowed).then(|| format!("{place}: `{from}` may not import `{to}`; ARCHITECTURE.md says what it may"))
    });
    assert_none(&wrong.collect::<Vec<_>>());
}

#[test]
fn the_table_is_an_order_without_cycles() {
    let table = table();
    let mut wrong = Vec::new();
    for (at, row) in table.rows.iter().enumerate() {
        for allowed in &row.allowed {
            let above = table.rows[..at].iter().any(|other| other.module == *allowed);
            if !above && !table.is_known_cycle(&row.module, allowed) {
                wrong.push(format!("`{}` may import `{allowed}`, which does not stand above it", row.module));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_two_modules_import_each_other() {
    let (table, imports) = (table(), imports());
    let back = |import: &Import| imports.iter().any(|other| other.from == import.to && other.to == import.from);
    let wrong = imports.iter().filter(|import| back(import) && !table.is_known_cycle(&import.from, &import.to));
    let wrong = wrong.map(|Import { place, from, to }| format!("{place}: `{from}` and `{to}` import each other"));
    assert_none(&wrong.collect::<Vec<_>>());
}

#[test]
fn strangers_stay_strangers() {
    let (table, imports) = (table(), imports());
    let mut wrong = Vec::new();
    for (one, other) in &table.strangers {
        for (from, to) in [(one, other), (other, one)] {
            if table.rows.iter().any(|row| row.module == *from && row.allows(to)) {
                wrong.push(format!("the table lets `{from}` import `{to}`, which it must never"));
            }
            let theirs = imports.iter().filter(|import| import.from == *from && import.to == *to);
            wrong.extend(theirs.map(|import| format!("{}: `{from}` must never import `{to}`", import.place)));
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_paid_debt_leaves_the_list() {
    let (table, imports) = (table(), imports());
    let imports = |from: &str, to: &str| imports.iter().any(|import| import.from == from && import.to == to);
    let paid = table.known_cycles.iter().filter(|(one, other)| !imports(one, other) || !imports(other, one));
    let wrong =
        paid.map(|(one, other)| format!("`{one}` and `{other}` are no cycle any more: drop them from the list"));
    assert_none(&wrong.collect::<Vec<_>>());
}

#[test]
fn every_module_has_a_row_and_every_row_a_module() {
    let (table, modules) = (table(), source::modules(&root().join("core/src")));
    let rows: Vec<_> = table.rows.iter().map(|row| row.module.clone()).collect();
    let missing = modules.iter().filter(|module| !rows.contains(module));
    let stale = rows.iter().filter(|row| !modules.contains(row));
    let mut wrong: Vec<_> = missing.map(|module| format!("`{module}` is not in the table of layers")).collect();
    wrong.extend(stale.map(|row| format!("the table of layers has `{row}`, and core/src has not")));
    assert_none(&wrong);
}

#[test]
fn every_file_says_what_it_is_for() {
    let files: Vec<PathBuf> = OUR_FOLDERS.iter().flat_map(|folder| source::rust_files(&root().join(folder))).collect();
    assert!(files.len() > 50, "only {} files were found", files.len());
    // A `tests.rs` is the lower half of the file that it tests.
    let silent = files.iter().filter(|file| {
        if file.ends_with("tests.rs") {
            return false;
        }
        let text = fs::read_to_string(file).expect("our sources can be read");
        !text.starts_with("//! ")
    });
    let wrong = silent.map(|file| format!("{}: does not begin with what it is for (`//! …`)", file.display()));
    assert_none(&wrong.collect::<Vec<_>>());
}

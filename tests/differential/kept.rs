//! Cases that have shown a difference, in files: every run asks them again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use howdah_tests::shared_cluster;

use super::{
    bed::{Bed, start_proxy},
    case::{Case, ProxyKind},
    run::run,
};

/// Cases whose cause is known and not mended, with the reason. They must differ, so that whoever mends the cause
/// takes them off this list.
const OPEN: [(&str, &str); 3] = [
    ("duplicate_of_bad_text", "a name that is taken is refused before the text is read, not behind it"),
    (
        "stale_plan_described",
        "who has a statement described is given its new result instead of being told to prepare anew",
    ),
    ("stale_plan_prepared_again", "who prepares the text again and has it not described is told once more"),
];

#[test]
fn kept_cases_are_answered_as_by_direct_connections() {
    let mut surprises = Vec::new();
    for (proxy, cases) in kept_cases() {
        let started = start_proxy(shared_cluster(), proxy);
        let mut bed = Bed::with_proxy(shared_cluster(), &started);
        for (name, case) in cases {
            let reason = OPEN.iter().find(|(open, _)| *open == name).map(|(_, reason)| reason);
            match (run(&mut bed, &case), reason) {
                (Ok(()), None) | (Err(_), Some(_)) => {}
                (Err(difference), None) => surprises.push(format!("{name}: {difference}")),
                (Ok(()), Some(reason)) => surprises.push(format!("{name} no longer differs: {reason}")),
            }
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

/// Writes a case to a file that is called after what it shows.
pub fn keep(case: &Case) -> PathBuf {
    let name = case.requests.last().map_or("nothing", |request| &request.kind);
    let name = if name.is_empty() { "plain" } else { name };
    let file = (1..)
        .map(|number| folder().join(format!("{name}-{number}.jsonl")))
        .find(|file| !file.exists())
        .expect("numbers do not run out");
    fs::write(&file, case.to_text()).expect("a case can be kept");
    file
}

/// All of them with their names, by the proxy that they take.
fn kept_cases() -> BTreeMap<ProxyKind, Vec<(String, Case)>> {
    let mut kept: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let entries = fs::read_dir(folder()).expect("the cases are in the repository").flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).expect("a case is text");
        let case = Case::from_text(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        kept.entry(case.stage.proxy).or_default().push((name, case));
    }
    kept
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("differential/kept")
}

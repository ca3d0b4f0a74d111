//! Inputs that are kept for the fuzzers, and those that they have found, go through without a panic.

use std::{fs, path::Path};

use howdah_tests::fuzz::TARGETS;

#[test]
fn every_input_that_is_kept_goes_through() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut replayed = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            // The name shows only if the input breaks the target.
            println!("{}", path.display());
            target(&input);
            replayed += 1;
        }
        assert!(replayed > 0, "{name} has no inputs");
    }
}

#[test]
fn inputs_cut_anywhere_go_through() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        for entry in fs::read_dir(folder).unwrap() {
            let input = fs::read(entry.unwrap().path()).unwrap();
            (0..input.len().min(500)).for_each(|length| target(&input[..length]));
        }
    }
}

//! Variables of the environment and `--set` flags: one key and one text each.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::{
    super::{keys, path::KeyPath, problem::Place},
    Spot, document,
};

/// One variable or flag.
pub(super) struct Entry {
    steps: Vec<String>,
    text: String,
    place: Place,
}

/// Environment variables that begin like this are ours.
const PREFIX: &str = "HOWDAH_";

/// What else begins so, and is no key: the file's path and the log filter, what builds and tests are
/// told, and what Kubernetes tells the pods next to a service called `howdah`.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
const NOT_KEYS: [&str; 8] = [
    "HOWDAH_CONFIG",
    "HOWDAH_LOG",
    "HOWDAH_PG_*",
    "HOWDAH_TEST_*",
    "HOWDAH_WASM_*",
    "HOWDAH_PORT",
    "HOWDAH_PORT_*",
    "HOWDAH_SERVICE_*",
];

fn is_key(name: &str) -> bool {
    let matches = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *pattern,
    };
    name.starts_with(PREFIX) && !NOT_KEYS.iter().any(matches)
}

/// The variables of an environment that are ours.
pub(super) fn variables(environment: &[(String, String)]) -> Vec<Entry> {
    let entry = |(name, text): &(String, String)| {
        let key = name.strip_prefix(PREFIX).filter(|_| is_key(name))?;
        let steps = key.to_ascii_lowercase().split("__").map(str::to_owned).collect();
        Some(Entry { steps, text: text.clone(), place: Place::Variable(name.clone()) })
    };
    environment.iter().filter_map(entry).collect()
}

/// The flags.
pub(super) fn flags(flags: &[(String, String)]) -> Vec<Entry> {
    let entry = |(key, text): &(String, String)| Entry {
        steps: document::steps(key),
        text: text.clone(),
        place: Place::Flag(key.clone()),
    };
    flags.iter().map(entry).collect()
}

/// Their values and places. What stands inside of a value is in the same place as the value.
pub(super) fn read(entries: Vec<Entry>) -> (Dict, BTreeMap<KeyPath, Spot>) {
    let (mut values, mut places) = (Dict::new(), BTreeMap::new());
    for Entry { steps, text, place } in entries {
        put(&mut values, &steps, value_of(&steps, &text));
        let spot = Spot { key: place.clone(), value: place };
        let mut path = KeyPath::root();
        for step in &steps {
            path = path.key(step);
            places.entry(path.clone()).or_insert_with(|| spot.clone());
        }
        places.insert(path, spot);
    }
    (values, places)
}

/// What a variable's or a flag's text means: itself for a key that holds one value, else TOML when it
/// is TOML.
fn value_of(steps: &[String], text: &str) -> Value {
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    if keys::find(&steps).is_some_and(|key| !key.kind.is_compound()) {
        return text.to_owned().into();
    }
    document::value(text).unwrap_or_else(|| text.to_owned().into())
}

fn put(table: &mut Dict, steps: &[String], value: Value) {
    match steps {
        [] => {}
        [last] => _ = table.insert(last.clone(), value),
        [first, rest @ ..] => {
            let below = table.entry(first.clone()).or_insert_with(|| Dict::new().into());
            if !matches!(below, Value::Dict(..)) {
                *below = Dict::new().into();
            }
            if let Value::Dict(_, below) = below {
                put(below, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_among_the_variables_that_are_none() {
        for key in keys::proxy::TOP.keys() {
            let name = format!("{PREFIX}{}", key.name.to_uppercase());
            assert!(is_key(&name), "{name}");
        }
        for name in
            ["HOWDAH_CONFIG", "HOWDAH_SERVICE_HOST", "HOWDAH_PORT", "HOWDAH_PORT_6432_TCP", "HOWDAH_TEST_X", "PATH"]
        {
            assert!(!is_key(name), "{name}");
        }
    }
}

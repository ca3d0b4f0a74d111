//! The rules that `wit/` sets for itself, checked.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::path::Path;

use wit_parser::{Function, Resolve, Type, TypeDefKind, WorldItem};

/// The contract, whatever its version.
fn contract() -> Resolve {
    let mut resolve = Resolve::new();
    resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/v0.1")).unwrap();
    resolve
}

/// All functions that plugins export, with the name of their interface.
fn exported(resolve: &Resolve) -> Vec<(String, &Function)> {
    let exports = resolve.worlds.iter().flat_map(|(_, world)| world.exports.values());
    exports
        .flat_map(|item| match item {
            WorldItem::Interface { id, .. } => {
                let interface = &resolve.interfaces[*id];
                let name = interface.name.clone().unwrap_or_default();
                interface.functions.values().map(|f| (name.clone(), f)).collect()
            }
            WorldItem::Function(function) => vec![(String::new(), function)],
            WorldItem::Type { .. } => Vec::new(),
        })
        .collect()
}

#[test]
fn there_is_one_world_per_kind_of_plugin() {
    let resolve = contract();
    let mut worlds: Vec<_> = resolve.worlds.iter().map(|(_, world)| &*world.name).collect();
    worlds.sort_unstable();
    assert_eq!(
        worlds,
        [
            "backup-plugin",
            "base",
            "control-plugin",
            "failover-plugin",
            "follow-primary-plugin",
            "router-plugin",
            "sync-set-plugin"
        ]
    );
}

#[test]
fn every_exported_function_can_say_why_it_failed() {
    let resolve = contract();
    let says_why = |result: &Option<Type>| {
        let Some(Type::Id(id)) = result else { return false };
        matches!(&resolve.types[*id].kind, TypeDefKind::Result(r) if r.err == Some(Type::String))
    };
    let functions = exported(&resolve);
    assert!(!functions.is_empty());
    for (interface, function) in functions {
        assert!(says_why(&function.result), "{interface}.{} returns result<_, string>", function.name);
    }
}

#[test]
fn nothing_is_exported_at_the_root() {
    let resolve = contract();
    for (interface, function) in exported(&resolve) {
        assert!(!interface.is_empty(), "{} belongs into an interface", function.name);
    }
}

#[test]
fn every_interface_is_documented() {
    let resolve = contract();
    for (_, interface) in &resolve.interfaces {
        let documented = interface.docs.contents.as_deref().is_some_and(|docs| !docs.is_empty());
        assert!(documented, "{:?}", interface.name);
    }
}

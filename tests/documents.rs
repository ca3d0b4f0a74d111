//! What the documents show works: configurations load, contracts parse, links lead somewhere, commands exist.
//!
//! [`markdown`](documents::markdown) takes documents apart, [`configuration`](documents::configuration)
//! loads what they show and [`policy`](documents::policy) what those name, [`commands`](documents::commands)
//! knows which commands there are.

mod documents {
    pub mod commands;
    pub mod configuration;
    pub mod markdown;
    pub mod policy;
}

use std::{
    fs,
    path::{Path, PathBuf},
};

use documents::{
    commands::{self, Mention},
    configuration,
    markdown::Document,
    policy,
};
use howdah::plugin::Role;

/// Where the minimal configuration is: the first of its blocks.
const README: &str = "README.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of the workspace")
}

fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("examples")).expect("there are examples");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

/// The configuration that the README begins with.
fn minimal() -> String {
    let readme = Document::read(root(), &root().join(README));
    let block = readme.blocks().into_iter().find(|block| block.language == "toml");
    block.expect("the README shows a configuration").text
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}

#[test]
fn every_configuration_in_a_document_loads() {
    let minimal = minimal();
    let mut wrong = Vec::new();
    for document in Document::all(root()) {
        for block in document.blocks().into_iter().filter(|block| block.language == "toml") {
            let text = match configuration::is_fragment(&block.text) {
                true => configuration::laid_over(&minimal, &block.text),
                false => Ok(block.text),
            };
            let config = text.and_then(|text| configuration::load(&text, &document.folder()));
            if let Err(error) = config.and_then(|config| policy::load_embedded(&config)) {
                wrong.push(format!("{}:{}: {error}", document.name, block.line));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_example_has_a_configuration_that_loads() {
    let mut wrong = Vec::new();
    for folder in examples() {
        let file = folder.join("howdah.toml");
        let text = fs::read_to_string(&file).map_err(|error| error.to_string());
        let config = text.and_then(|text| configuration::load(&text, &folder));
        if let Err(error) = config.and_then(|config| policy::load_embedded(&config)) {
            wrong.push(format!("{}: {error}", file.display()));
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_examples_of_policies_compile_and_take_their_settings() {
    for (name, role) in [("own-policy", Role::Router), ("own-failover", Role::Failover)] {
        let folder = root().join("examples").join(name);
        let text = fs::read_to_string(folder.join("howdah.toml")).expect("the example has a configuration");
        let config = configuration::load(&text, &folder).expect("the example's configuration loads");

        let component = policy::compiled(&folder);

        policy::load(role, &component, &config).unwrap();
    }
}

#[test]
fn the_list_of_examples_is_complete() {
    let list = fs::read_to_string(root().join("examples/README.md")).expect("there is a list of examples");
    let folders = examples();
    let names = folders.iter().filter_map(|folder| folder.file_name()?.to_str());
    let missing = names.filter(|name| !list.contains(&format!("]({name}/")));
    assert_none(&missing.map(|name| format!("examples/README.md does not lead to {name}/")).collect::<Vec<_>>());
}

#[test]
fn the_minimal_configuration_does_what_it_says() {
    let config = configuration::load(&minimal(), root()).expect("the README's configuration loads");
    let nodes: Vec<_> = config.clusters.values().flat_map(|cluster| &cluster.nodes).map(|node| node.port).collect();
    assert_eq!((config.listen_port, nodes), (6432, vec![5432, 5433]));
    assert!(config.databases.contains_key("*") && config.plugins.router.is_some());
}

#[test]
fn every_contract_parses() {
    let mut wrong = Vec::new();
    let contract = root().join("wit/v0.1");
    if let Err(error) = wit_parser::Resolve::default().push_dir(&contract) {
        wrong.push(format!("{}: {error:#}", contract.display()));
    }
    for document in Document::all(root()) {
        for block in document.blocks().into_iter().filter(|block| block.language == "wit") {
            let package = if block.text.contains("package ") { "" } else { "package shown:here;\n" };
            let parsed = wit_parser::Resolve::default().push_str(&document.name, &format!("{package}{}", block.text));
            if let Err(error) = parsed {
                wrong.push(format!("{}:{}: {error:#}", document.name, block.line));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_link_leads_somewhere() {
    let documents = Document::all(root());
    let mut wrong = Vec::new();
    for document in &documents {
        for link in document.links().into_iter().filter(|link| !link.target.contains("://")) {
            let (file, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
            let path = if file.is_empty() { document.path.clone() } else { document.folder().join(file) };
            let there = path.canonicalize();
            let leads = match (&there, anchor) {
                (Err(_), _) => false,
                (Ok(_), "") => true,
                (Ok(there), anchor) => {
                    let other = documents.iter().find(|other| other.path.canonicalize().ok().as_ref() == Some(there));
                    other.is_some_and(|other| other.anchors().iter().any(|known| known == anchor))
                }
            };
            if !leads {
                wrong.push(format!("{}:{}: {} leads nowhere", document.name, link.line, link.target));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_command_in_a_document_exists() {
    let ours = [
        ("cargo xtask", commands::declared_in(&root().join("xtask/src"))),
        ("howdah", commands::declared_in(&root().join("core/src"))),
    ];
    let mut wrong = Vec::new();
    for document in Document::all(root()) {
        for Mention { line, program, command } in commands::mentioned_in(&document) {
            let (_, declared) = ours.iter().find(|(name, _)| *name == program).expect("both are listed");
            if !declared.contains(&command) {
                wrong.push(format!("{}:{line}: there is no `{program} {command}`", document.name));
            }
        }
    }
    assert_none(&wrong);
}

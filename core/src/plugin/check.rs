//! Looks at a component before it is compiled, to refuse in the operator's words what wasmtime
//! would refuse in its own.

use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use super::{error::PluginError, role::Role};

/// The contract that this host speaks, as people call it.
pub(crate) const API: &str = "0.1";

/// Largest component. A Python one has 18 MB.
pub(crate) const COMPONENT_MAX_BYTES: usize = 32 << 20;

const PACKAGE: &str = "howdah:plugin/";

/// Refuses what is too large to be looked at.
pub(crate) fn size(component: &[u8]) -> Result<(), PluginError> {
    if component.len() > COMPONENT_MAX_BYTES {
        return Err(PluginError::TooLarge { bytes: component.len(), max: COMPONENT_MAX_BYTES });
    }
    Ok(())
}

/// Refuses what cannot have this role.
pub(crate) fn fits(role: Role, component: &[u8]) -> Result<(), PluginError> {
    is_component(component)?;
    let names = Names::of(component)?;
    names.imports.iter().try_for_each(|import| importable(role, import))?;
    for missing in ["lifecycle", role.interface()] {
        let interface = |name: &String| Interface::parse(name).is_some_and(|i| i.name == missing);
        match names.exports.iter().find(|name| interface(name)) {
            Some(found) => same_track(found)?,
            None => {
                return Err(PluginError::WrongWorld { role, missing, exports: names.exports_in_words() });
            }
        }
    }
    Ok(())
}

fn is_component(bytes: &[u8]) -> Result<(), PluginError> {
    let not = |what| Err(PluginError::NotAComponent { what });
    if Parser::is_component(bytes) {
        Ok(())
    } else if Parser::is_core_wasm(bytes) {
        not("it is a core module; wrap it with `wasm-tools component new`")
    } else if bytes.starts_with(b"\x7fELF") {
        not("it is machine code; precompiled components are never loaded")
    } else if bytes.is_empty() {
        not("it is empty")
    } else {
        not("it does not begin like one")
    }
}

/// Runs the whole validator before the compiler sees anything.
pub(crate) fn validate(component: &[u8]) -> Result<(), PluginError> {
    let malformed = |cause: wasmparser::BinaryReaderError| PluginError::Malformed { cause: cause.to_string() };
    Validator::new_with_features(WasmFeatures::default()).validate_all(component).map(drop).map_err(malformed)
}

/// What a component imports and exports at its root.
#[derive(Debug, Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Names {
    fn of(component: &[u8]) -> Result<Self, PluginError> {
        Self::read(component).map_err(|cause| PluginError::Malformed { cause: cause.to_string() })
    }

    fn read(component: &[u8]) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut names = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => {
                    depth += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        names.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        names.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(names)
    }

    fn exports_in_words(&self) -> String {
        match self.exports.as_slice() {
            [] => "nothing".to_owned(),
            exports => exports.join(", "),
        }
    }
}

/// `howdah:plugin/NAME@VERSION`
struct Interface<'a> {
    name: &'a str,
    version: &'a str,
}

impl<'a> Interface<'a> {
    fn parse(full: &'a str) -> Option<Self> {
        let (name, version) = full.strip_prefix(PACKAGE)?.split_once('@')?;
        Some(Self { name, version })
    }
}

fn importable(role: Role, import: &str) -> Result<(), PluginError> {
    if import.starts_with("wasi:") {
        return Err(PluginError::Wasi { import: import.to_owned() });
    }
    let unknown = || PluginError::UnknownImport { role, import: import.to_owned() };
    let interface = Interface::parse(import).ok_or_else(unknown)?;
    same_track(import)?;
    if role.importable().contains(&interface.name) { Ok(()) } else { Err(unknown()) }
}

/// Patch releases of one track fit each other; wasmtime compares the types.
fn same_track(full: &str) -> Result<(), PluginError> {
    let version = Interface::parse(full).map_or("", |interface| interface.version);
    match version.strip_prefix(API) {
        Some(patch) if patch.starts_with('.') => Ok(()),
        _ => Err(PluginError::OtherApi { wants: version.to_owned() }),
    }
}

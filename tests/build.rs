//! Compiles the guests that the tests of the plugin host need.

use std::{env, fs, path::Path};

use anyhow::Context;

const GUESTS: &[&str] = &["by-value", "chaos", "chaos-control"];

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=../plugins");
    println!("cargo::rerun-if-changed=../wit");
    let out_dir = env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?;
    for name in GUESTS {
        let component = howdah_plugin_build::component(&Path::new("../plugins").join(name))?;
        let path = Path::new(&out_dir).join(name).with_extension("wasm");
        fs::write(&path, component).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

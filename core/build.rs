//! Compiles the policies that the program embeds; `plugin/builtin.rs` takes them from OUT_DIR.

use std::{env, fs, path::Path};

use anyhow::Context;

/// Directories in `plugins/`; each becomes `builtin:NAME`.
const EMBEDDED: &[&str] = &["failover", "follow-primary", "read-write-split", "sync-set"];

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=../plugins");
    println!("cargo::rerun-if-changed=../wit");
    let out_dir = env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?;
    for name in EMBEDDED {
        let component = howdah_plugin_build::component(&Path::new("../plugins").join(name))?;
        let path = Path::new(&out_dir).join(name).with_extension("wasm");
        fs::write(&path, component).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

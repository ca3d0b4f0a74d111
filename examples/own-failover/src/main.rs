//! Compiles the policy to `own-failover.wasm`, beside its Cargo.toml: `cargo run`.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let component = howdah_plugin_build::component_in(here, &here.join("target/component"))?;
    fs::write(here.join("own-failover.wasm"), &component)?;
    println!("own-failover.wasm: {} bytes", component.len());
    Ok(())
}

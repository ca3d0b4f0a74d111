//! The fuzzer's program: libFuzzer, with the target that HOWDAH_FUZZ_TARGET names. `cargo xtask fuzz` runs it.

#![no_main]
#![expect(unsafe_code, reason = "libFuzzer calls a function by its unmangled name")]

use std::sync::OnceLock;

use howdah_tests::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("HOWDAH_FUZZ_TARGET").unwrap_or_default();
        fuzz::target(&name).unwrap_or_else(|| panic!("HOWDAH_FUZZ_TARGET={name:?} names no target"))
    });
    target(input);
});

//! The libFuzzer binary: `TRIHOUND_FUZZ_TARGET=name fuzz [libFuzzer flags] CORPUS`.
#![no_main]

use std::sync::OnceLock;

use trihound_fuzz::{Target, chosen};

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("TRIHOUND_FUZZ_TARGET").unwrap_or_default();
        match chosen(&name) {
            Ok(target) => drop(TARGET.set(target)),
            Err(text) => {
                eprintln!("TRIHOUND_FUZZ_TARGET: {text}");
                std::process::exit(2);
            }
        }
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);

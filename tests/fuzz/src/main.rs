//! One binary, fuzz targets by name: `TRIHOUND_FUZZ_TARGET=name trihound-fuzz [libFuzzer flags] CORPUS`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.len() > 3 && data[0] == b'x' && data[1] == b'y' && data[2] == b'z' { panic!("found"); }
});

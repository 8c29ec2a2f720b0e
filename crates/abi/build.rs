//! Gives the library the name by which linked programs find it: with the number of its interface.

use std::env;

/// Systems whose libraries have a SONAME and whose linker is called as GNU's is.
const ELF: [&str; 5] = ["linux", "freebsd", "netbsd", "openbsd", "dragonfly"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let system = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let major = env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    if ELF.contains(&system.as_str()) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libtrihound_sspi.so.{major}");
    }
}

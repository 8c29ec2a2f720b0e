//! What `install.sh` installs: a program is built with it and linked to it, and runs.

use std::fs;
use std::process::Command;

use crate::realm::Realm;
use crate::tools::{Scratch, have, library, root, succeed};

const PROGRAM: &str = r#"
#include <stdio.h>
#include <trihound_sspi.h>

int main(void)
{
    ULONG count = 0, i;
    PSecPkgInfoA packages = NULL;
    if (EnumerateSecurityPackages(&count, &packages) != SEC_E_OK) return 1;
    for (i = 0; i < count; i++) printf("%s\n", packages[i].Name);
    return FreeContextBuffer(packages) == SEC_E_OK ? 0 : 1;
}
"#;

#[test]
fn what_is_installed_is_found_by_pkg_config_and_linked_to() {
    if !have("gcc") || !have("pkg-config") {
        return;
    }
    let scratch = Scratch::new();
    let prefix = scratch.path().join("usr");
    succeed(
        Command::new(root().join("crates/abi/install.sh"))
            .arg(&prefix)
            .arg("--library")
            .arg(library()),
    );
    let flags = succeed(
        Command::new("pkg-config")
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
            .args(["--cflags", "--libs", "trihound-sspi"]),
    );
    let source = scratch.path().join("packages.c");
    fs::write(&source, PROGRAM).unwrap();
    let made = scratch.path().join("packages");
    succeed(
        Command::new("gcc")
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&made)
            .arg(&source)
            .args(flags.split_whitespace()),
    );
    let realm = Realm::start();
    let mut command = realm.environment(Command::new(&made));
    let printed = succeed(command.env("LD_LIBRARY_PATH", prefix.join("lib")));
    assert_eq!(printed, "Negotiate\nKerberos\nNTLM\n");
    // A later library of another interface, beside this one, is not taken for it.
    if cfg!(target_os = "linux") && have("readelf") {
        let needs = succeed(Command::new("readelf").arg("-d").arg(&made));
        assert!(
            needs.contains("Shared library: [libtrihound_sspi.so.0]"),
            "{needs}"
        );
    }
}

#[test]
fn a_package_is_made_below_a_folder_that_its_files_do_not_name() {
    let scratch = Scratch::new();
    succeed(
        Command::new(root().join("crates/abi/install.sh"))
            .args(["/opt/sspi", "--libdir", "/opt/sspi/lib64", "--destdir"])
            .arg(scratch.path())
            .arg("--library")
            .arg(library()),
    );
    let at = |name: &str| scratch.path().join("opt/sspi").join(name);
    assert!(at("include/trihound_sspi.h").exists());
    assert!(at("lib64/libtrihound_sspi.so").exists());
    let text = fs::read_to_string(at("lib64/pkgconfig/trihound-sspi.pc")).unwrap();
    assert!(
        text.contains("prefix=/opt/sspi\nlibdir=/opt/sspi/lib64\n"),
        "{text}"
    );
    assert!(!text.contains('@'), "{text}");
    let folder = scratch.path().display().to_string();
    assert!(!text.contains(&folder), "{text}");
}

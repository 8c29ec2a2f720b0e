//! The exported names: those of the header, no more and no fewer, and each reached by a C program.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::programs::run_part;
use crate::realm::Realm;
use crate::tools::{Scratch, compile, have, library, root, succeed};

fn exported() -> BTreeSet<String> {
    let listing = succeed(
        Command::new("nm")
            .args(["-D", "--defined-only", "--format=posix"])
            .arg(library()),
    );
    listing
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        // A name that the toolchain's runtime adds is nobody's interface.
        .filter(|name| !name.starts_with("rust_") && !name.starts_with('_'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    if !have("nm") {
        return;
    }
    let declared: BTreeSet<String> = trihound_c_abi::header::declared().into_iter().collect();
    assert_eq!(exported(), declared);
}

/// unreached.txt has the names that no package of this library can make succeed, each with its reason.
#[test]
fn every_exported_name_reaches_a_success_or_has_a_reason() {
    if !have("gcc") || !have("nm") {
        return;
    }
    let list = fs::read_to_string(root().join("tests/c-abi/unreached.txt")).unwrap();
    let reasons: BTreeSet<String> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, reason) = line.split_once(": ").unwrap();
            assert!(!reason.is_empty(), "{name} has no reason");
            name.to_owned()
        })
        .collect();
    let scratch = Scratch::new();
    let made = compile(scratch.path(), &[]);
    let text = run_part(&Realm::start(), &[], &made, &["exports"]);
    let reached: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("reached "))
        .map(str::to_owned)
        .collect();
    let named: BTreeSet<String> = reached.union(&reasons).cloned().collect();
    assert_eq!(named, exported());
    let both: Vec<&String> = reached.intersection(&reasons).collect();
    assert!(
        both.is_empty(),
        "{both:?} succeed, and have a reason why not"
    );
}

/// `NameA/W` is two names.
#[test]
fn the_manual_names_every_exported_function() {
    if !have("nm") {
        return;
    }
    let page = fs::read_to_string(root().join("docs/manual/c.md")).unwrap();
    let section = page.split_once("## Every exported name").unwrap().1;
    let named: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(group, _)| *group != "group")
        .flat_map(|(_, names)| names.trim_end_matches(" |").split(", "))
        .flat_map(|name| match name.strip_suffix("A/W") {
            Some(plain) => vec![format!("{plain}A"), format!("{plain}W")],
            None => vec![name.to_owned()],
        })
        .collect();
    assert_eq!(named, exported());
}

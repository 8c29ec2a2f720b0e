//! The checked-in header: what its generator makes, what compilers take, and what the library has.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::tools::{Scratch, have, include, root, succeed};

#[test]
fn the_checked_in_header_is_what_the_generator_makes() {
    let made = trihound_c_abi::header::header().unwrap();
    let checked_in = fs::read_to_string(include().join("trihound_sspi.h")).unwrap();
    assert!(
        made == checked_in,
        "run: cargo run -p trihound-c-abi --bin header > crates/abi/include/trihound_sspi.h"
    );
}

fn takes(compiler: &[&str], source: &Path) {
    let [tool, flags @ ..] = compiler else {
        panic!("no compiler")
    };
    if have(tool) {
        succeed(
            Command::new(tool)
                .args(flags)
                .args(["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
                .arg(include())
                .arg(source),
        );
    }
}

#[test]
fn compilers_of_c_and_of_cpp_take_the_header_without_a_warning() {
    let scratch = Scratch::new();
    for name in ["a.c", "a.cpp"] {
        // Twice, since programs do.
        let text = "#include \"trihound_sspi.h\"\n#include \"trihound_sspi.h\"\nSecurityFunctionTable *table;\n";
        fs::write(scratch.path().join(name), text).unwrap();
    }
    let c = scratch.path().join("a.c");
    takes(&["gcc", "-std=c11", "-pedantic"], &c);
    takes(&["gcc", "-std=c99", "-pedantic"], &c);
    takes(&["gcc", "-std=c11", "-DUNICODE"], &c);
    takes(&["gcc", "-std=c11", "-m32", "-ffreestanding"], &c);
    takes(
        &["g++", "-std=c++17", "-pedantic"],
        &scratch.path().join("a.cpp"),
    );
}

/// A field, or nothing for the structure itself, with its place or size for pointers of 64 and of 32 bits.
type Row = (String, u32, u32);

/// `layout!(Name: 16/8, field: 0/0, …)` of the library's own structures.
fn layouts() -> Vec<(String, Vec<Row>)> {
    let mut all = Vec::new();
    for name in ["mod", "identity", "attributes", "table"] {
        let text =
            fs::read_to_string(root().join(format!("crates/abi/src/types/{name}.rs"))).unwrap();
        for piece in text.split("\nlayout!(").skip(1) {
            let inner = piece.split_once(");").unwrap().0;
            let mut fields = inner
                .split(',')
                .map(str::trim)
                .filter(|field| !field.is_empty());
            let numbers = |field: &str| {
                let (name, sizes) = field.split_once(": ").unwrap();
                let (wide, narrow) = sizes.split_once('/').unwrap();
                (
                    name.to_owned(),
                    wide.parse().unwrap(),
                    narrow.parse().unwrap(),
                )
            };
            let (name, wide, narrow) = numbers(fields.next().unwrap());
            let mut rows = vec![(String::new(), wide, narrow)];
            rows.extend(fields.map(numbers));
            all.push((name, rows));
        }
    }
    all
}

/// The names in C of a structure of the library: it has one where C has an A and a W form.
fn in_c(name: &str) -> Vec<String> {
    match name {
        "SEC_WINNT_AUTH_IDENTITY" => ["_A", "_W"].map(|end| format!("{name}{end}")).to_vec(),
        "SEC_WINNT_AUTH_IDENTITY_EX" => ["A", "W"].map(|end| format!("{name}{end}")).to_vec(),
        "SecPkgCredentials_KdcProxySettings" => vec![format!("{name}W")],
        _ => vec![name.to_owned()],
    }
}

/// What only this library has.
const OURS: [&str; 5] = [
    "TRIHOUND_ACCESS_TOKEN",
    "SEC_WINPR_NTLM_SETTINGS",
    "SEC_WINPR_KERBEROS_SETTINGS",
    "SEC_WINNT_AUTH_IDENTITY_WINPR",
    "SecPkgContext_ClientSpecifiedTargetA",
];

fn assertions(windows: bool) -> String {
    let mut text = String::from("#include <stddef.h>\n#include \"trihound_sspi.h\"\n");
    for (name, rows) in layouts() {
        if windows && OURS.contains(&name.as_str()) {
            continue;
        }
        for name in in_c(&name) {
            for (field, wide, narrow) in &rows {
                let what = if field.is_empty() {
                    format!("sizeof({name})")
                } else {
                    format!("offsetof({name}, {field})")
                };
                let _ = writeln!(
                    text,
                    "_Static_assert({what} == (sizeof(void *) == 8 ? {wide} : {narrow}), \"{name} {field}\");"
                );
            }
        }
    }
    text
}

#[test]
fn the_headers_structures_lie_as_the_librarys_do() {
    assert!(layouts().len() >= 50, "the layouts are not found");
    let scratch = Scratch::new();
    let source = scratch.path().join("layout.c");
    fs::write(&source, assertions(false)).unwrap();
    takes(&["gcc", "-std=c11"], &source);
    takes(&["gcc", "-std=c11", "-m32", "-ffreestanding"], &source);
}

/// The same numbers hold for the headers that Windows programs are built with, where a cross compiler is there.
#[test]
fn the_structures_of_windows_lie_as_the_librarys_do() {
    let scratch = Scratch::new();
    let source = scratch.path().join("layout.c");
    fs::write(&source, assertions(true)).unwrap();
    for compiler in ["x86_64-w64-mingw32-gcc", "i686-w64-mingw32-gcc"] {
        let there = Command::new(compiler).arg("--version").output().is_ok();
        if there {
            takes(
                &[
                    compiler,
                    "-std=gnu11",
                    "-D_WIN32_WINNT=0x0A00",
                    "-D_SEC_WINNT_AUTH_TYPES",
                ],
                &source,
            );
        } else {
            eprintln!("not run: {compiler} is not installed");
        }
    }
}

/// `fn Name(argument: type, …)` of the library against `Name(type argument, …)` of the header: the arguments' names in order.
#[test]
fn the_headers_functions_have_the_librarys_arguments() {
    let exports = fs::read_to_string(root().join("crates/abi/src/exports.rs")).unwrap();
    let header = fs::read_to_string(include().join("trihound_sspi.h")).unwrap();
    let mut seen = 0;
    for name in trihound_c_abi::header::declared() {
        let ours = arguments(&exports, &format!("fn {name}("))
            .unwrap_or_else(|| panic!("{name} is not exported"));
        let ours: Vec<&str> = ours
            .split(", ")
            .filter_map(|argument| Some(argument.split_once(": ")?.0.trim()))
            .collect();
        let theirs = arguments(&header, &format!(" {name}("))
            .unwrap_or_else(|| panic!("{name} is not declared"));
        let theirs: Vec<&str> = theirs
            .split(", ")
            .filter(|argument| *argument != "void")
            .filter_map(|argument| argument.trim().rsplit([' ', '*']).next())
            .collect();
        assert_eq!(ours, theirs, "{name}");
        seen += 1;
    }
    assert!(seen >= 60, "{seen} functions");
}

fn arguments(text: &str, start: &str) -> Option<String> {
    let from = text.find(start)? + start.len();
    let inner = text.get(from..)?.split_once(')')?.0;
    let joined = inner.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(joined.trim_end_matches(',').to_owned())
}

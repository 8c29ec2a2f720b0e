use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use trihound_architecture::{ConformanceFault, conformance_faults, test_functions, tests_in};

/// The table of docs/conformance.md names tests that are there, and one for each row that is held.
#[test]
fn the_conformance_table_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = fs::read_to_string(root.join("docs/conformance.md")).unwrap();
    let tests = test_functions(&root).unwrap();
    assert!(tests.len() > 300, "only {} tests were found", tests.len());
    let faults: Vec<String> = conformance_faults(&table, &tests)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

const HEAD: &str = "| row | state | what | place | tests |\n|---|---|---|---|---|\n";

fn faults(lines: &str) -> Vec<ConformanceFault> {
    let tests = BTreeSet::from(["a_test".to_owned()]);
    conformance_faults(&format!("{HEAD}{lines}"), &tests)
}

#[test]
fn a_table_in_order_has_no_faults() {
    let lines = "| 1 | held | x | y | `a_test` |\n| 2-191 | not yet | x | - | - |\n\
                 | 192 | partly | x | y | `a_test`, `a_test` |\n";
    assert_eq!(faults(lines), []);
}

#[test]
fn each_fault_of_the_table_is_found() {
    let rest = "| 2-192 | not yet | x | - | - |\n";
    for (line, fault) in [
        (
            "| 1 | held | x | y | `gone` |\n",
            ConformanceFault::NoSuchTest {
                row: 1,
                test: "gone".to_owned(),
            },
        ),
        (
            "| 1 | held | x | y | - |\n",
            ConformanceFault::Untested { row: 1 },
        ),
        (
            "| 1-2 | not yet | x | y | - |\n",
            ConformanceFault::Twice { row: 2 },
        ),
        (
            "| 1 | done | x | y | - |\n",
            ConformanceFault::State {
                row: 1,
                state: "done".to_owned(),
            },
        ),
        ("", ConformanceFault::Missing { row: 1 }),
    ] {
        assert_eq!(faults(&format!("{line}{rest}")), [fault]);
    }
    for line in [
        "| 1 | held |",
        "| one | held | x | y | - |",
        "| 0 | held | x | y | - |",
    ] {
        assert_eq!(
            faults(&format!("| 1-192 | not yet | x | - | - |\n{line}\n")),
            [ConformanceFault::Malformed {
                line: line.to_owned()
            }]
        );
    }
}

#[test]
fn only_marked_functions_are_tests() {
    let source = "fn helper() {}\n    #[test]\n    #[cfg(unix)]\n    fn one() {}\nfn other(x: u8) {}\n\
                  #[test]\nfn two_2() {}\n";
    assert_eq!(tests_in(source), ["one", "two_2"]);
}

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use trihound_vectors::{NotSupported, run_file, run_text};

/// A file with one vector.
fn file(op: &str, input: &str, output: &str) -> String {
    format!(
        r#"{{"vectors": [{{"id": "a", "op": "{op}", "source": "made up", "in": {input}, "out": {output}}}]}}"#
    )
}

/// The one failure of a file that must have one.
fn failure(text: &str) -> String {
    let report = run_text("made-up.json", text);
    assert_eq!((report.passed, report.failures.len()), (0, 1), "{report}");
    report.failures[0].clone()
}

const NFOLD: &str = r#"{"input": "303132333435", "bits": 64}"#;

#[test]
fn a_right_answer_passes() {
    let report = run_text(
        "made-up.json",
        &file("nfold", NFOLD, r#"{"folded": "be072631276b1955"}"#),
    );
    assert_eq!((report.passed, report.failures.len()), (1, 0), "{report}");
    assert_eq!(
        report.to_string(),
        "made-up.json: 1 passed, 0 failed, 0 not supported"
    );
}

#[test]
fn a_wrong_answer_fails_by_name() {
    let why = failure(&file("nfold", NFOLD, r#"{"folded": "be072631276b1954"}"#));
    assert_eq!(
        why,
        "a nfold: folded is be072631276b1955, expected be072631276b1954"
    );
}

#[test]
fn an_operation_that_no_runner_knows_fails() {
    assert!(
        failure(&file("divine", NFOLD, r#"{"folded": ""}"#))
            .contains("no runner knows the operation divine")
    );
}

#[test]
fn a_field_that_nothing_compares_fails() {
    let why = failure(&file(
        "nfold",
        NFOLD,
        r#"{"folded": "be072631276b1955", "mood": "00"}"#,
    ));
    assert!(why.contains("nothing compares the field mood"), "{why}");
}

#[test]
fn success_where_an_error_is_demanded_fails() {
    let input = r#"{"etype": 23, "password": "61", "salt": "", "params": ""}"#;
    let why = failure(&file("string_to_key", input, r#"{"reject": true}"#));
    assert!(why.contains("accepted what must be refused"), "{why}");
}

#[test]
fn a_malformed_vector_fails() {
    for (input, output, expected) in [
        (r#"{"bits": 64}"#, r#"{"folded": ""}"#, "no field input"),
        (
            r#"{"input": "3G", "bits": 64}"#,
            r#"{"folded": ""}"#,
            "input is not lower-case hex",
        ),
        (
            r#"{"input": "AB", "bits": 64}"#,
            r#"{"folded": ""}"#,
            "input is not lower-case hex",
        ),
        (
            r#"{"input": "303", "bits": 64}"#,
            r#"{"folded": ""}"#,
            "input is not lower-case hex",
        ),
        (
            r#"{"input": 3, "bits": 64}"#,
            r#"{"folded": ""}"#,
            "input is not a string",
        ),
        (
            r#"{"input": "30", "bits": "64"}"#,
            r#"{"folded": ""}"#,
            "bits is not an integer",
        ),
        (
            r#"{"input": "30", "bits": -8}"#,
            r#"{"folded": ""}"#,
            "bits is out of range",
        ),
        (
            r#"{"input": "30", "bits": 9}"#,
            r#"{"folded": ""}"#,
            "no whole number of bytes",
        ),
        (NFOLD, "{}", "out is empty"),
        (NFOLD, "[]", "no out"),
        ("[]", r#"{"folded": ""}"#, "no in"),
    ] {
        let why = failure(&file("nfold", input, output));
        assert!(why.contains(expected), "{why}, expected {expected}");
    }
    assert!(failure(r#"{"vectors": [{}]}"#).contains("the vector has no source"));
    let reject = r#"{"reject": false}"#;
    let why = failure(&file("keytab_parse", r#"{"file": "0502"}"#, reject));
    assert!(why.contains("reject may only be true"), "{why}");
}

#[test]
fn two_vectors_of_one_name_fail() {
    let one = r#"{"id": "a", "op": "nfold", "source": "made up", "in": {"input": "30", "bits": 8}, "out": {"folded": "30"}}"#;
    let report = run_text("made-up.json", &format!(r#"{{"vectors": [{one}, {one}]}}"#));
    assert_eq!((report.passed, report.failures.len()), (1, 1), "{report}");
}

#[test]
fn a_file_that_cannot_be_read_or_has_no_vectors_fails() {
    for text in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"vectors": {}}"#,
        r#"{"vectors": []}"#,
    ] {
        assert_eq!(run_text("made-up.json", text).failures.len(), 1, "{text}");
    }
    let report = run_file(&scratch("absent").join("nowhere.json"));
    assert!(report.failures[0].contains("cannot be read"), "{report}");
}

#[test]
fn what_is_not_supported_is_counted_by_kind() {
    let report = run_text("made-up.json", &file("spake", "{}", r#"{"w": ""}"#));
    assert_eq!(report.not_supported.get(&NotSupported::Spake), Some(&1));
    assert_eq!(
        report.to_string(),
        "made-up.json: 0 passed, 0 failed, 1 not supported (SPAKE 1)"
    );
    let camellia = r#"{"etype": 26, "password": "61", "salt": "61", "params": "00000032"}"#;
    let report = run_text(
        "made-up.json",
        &file("string_to_key", camellia, r#"{"reject": true}"#),
    );
    assert_eq!(
        report.not_supported.get(&NotSupported::Camellia),
        Some(&1),
        "{report}"
    );
}

fn scratch(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("trihound-vectors-{name}-{}", std::process::id()));
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_program_ends_with_the_totals_and_a_status() {
    let run = |folder: &PathBuf| {
        let output = Command::new(env!("CARGO_BIN_EXE_trihound-vectors"))
            .arg(folder)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code(),
            text.lines().last().unwrap_or_default().to_owned(),
        )
    };
    let folder = scratch("program");
    assert_eq!(run(&folder), (Some(2), String::new()));
    fs::write(
        folder.join("good.json"),
        file("nfold", NFOLD, r#"{"folded": "be072631276b1955"}"#),
    )
    .unwrap();
    fs::write(
        folder.join("later.json"),
        file("spake", "{}", r#"{"K": ""}"#),
    )
    .unwrap();
    fs::write(folder.join("README.md"), "not a vector").unwrap();
    assert_eq!(
        run(&folder),
        (
            Some(0),
            "vectors: 1 passed, 0 failed, 1 not supported".to_owned()
        )
    );
    fs::write(
        folder.join("bad.json"),
        file("nfold", NFOLD, r#"{"folded": "00"}"#),
    )
    .unwrap();
    assert_eq!(
        run(&folder),
        (
            Some(1),
            "vectors: 1 passed, 1 failed, 1 not supported".to_owned()
        )
    );
    fs::remove_dir_all(&folder).unwrap();
}

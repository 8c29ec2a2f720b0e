use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use trihound_vectors::run_folder;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The numbers that planned.txt holds for a folder: vectors at least, and not supported at most.
fn planned(folder: &str) -> (usize, usize) {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("planned.txt")).unwrap();
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(folder))
        .unwrap();
    let numbers: Vec<usize> = line
        .split_whitespace()
        .skip(1)
        .map(|word| word.parse().unwrap())
        .collect();
    (numbers[0], numbers[1])
}

fn run(folder: &str) {
    let report = run_folder(&fixtures().join(folder)).unwrap();
    assert_eq!(report.failed(), 0, "{report}");
    let (least, most) = planned(folder);
    let ran = report.passed() + report.not_supported();
    assert!(
        ran >= least,
        "{ran} vectors, {least} planned: some are gone\n{report}"
    );
    assert!(
        report.not_supported() <= most,
        "more than {most} not supported\n{report}"
    );
}

#[test]
fn published_vectors_pass() {
    run("vectors");
}

#[test]
fn captured_samples_pass() {
    run("samples");
}

#[test]
fn captured_pacs_pass() {
    run("pac");
}

/// A JSON file below `fixtures` outside of the folders that run would be an answer that nobody asks for.
#[test]
fn every_file_of_vectors_is_run() {
    let mut open = vec![fixtures()];
    let mut folders = BTreeSet::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                folders.insert(folder.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    assert_eq!(
        folders,
        BTreeSet::from(["pac", "samples", "vectors"].map(str::to_owned))
    );
}

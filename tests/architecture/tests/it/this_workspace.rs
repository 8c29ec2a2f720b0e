use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;
use trihound_architecture::{
    Graph, LongFiles, Violation, lint_violations, source_violations, top_level_violations,
    violations,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The systems that the product is built or checked for; what another system would pull in is not linked anywhere.
const PLATFORMS: [&str; 5] = [
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "x86_64-pc-windows-gnu",
    "aarch64-apple-darwin",
    "wasm32-unknown-unknown",
];

fn graph() -> Graph {
    let mut command = MetadataCommand::new();
    // The lock file is what is checked, so reading it must not change it.
    let mut options = vec!["--locked".to_owned()];
    options.extend(
        PLATFORMS
            .iter()
            .map(|platform| format!("--filter-platform={platform}")),
    );
    command
        .manifest_path(root().join("Cargo.toml"))
        .other_options(options);
    Graph::from_metadata(&command.exec().unwrap())
}

fn none(found: &[Violation]) {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        found.is_empty(),
        "{} broken rules:\n{}",
        found.len(),
        lines.join("\n")
    );
}

#[test]
fn floors_bans_versions_and_licences_hold() {
    let graph = graph();
    assert!(
        graph.members_below("crates").count() >= 11 && graph.members_below("tests").count() >= 4
    );
    assert!(
        graph.edges.len() > graph.packages.len(),
        "the resolved graph is missing"
    );
    none(&violations(&graph));
}

#[test]
fn every_member_takes_the_lints() {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let graph = graph();
    let folders = graph
        .packages
        .values()
        .filter_map(|package| package.folder.clone());
    let members: Vec<_> = folders
        .map(|at| (at.clone(), read(root().join(at).join("Cargo.toml"))))
        .collect();
    none(&lint_violations(&read(root().join("Cargo.toml")), &members).unwrap());
}

#[test]
fn files_are_short_or_say_why_not() {
    let list =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("long-files.txt")).unwrap();
    none(&source_violations(&root(), &LongFiles::parse(&list).unwrap()).unwrap());
}

#[test]
fn the_top_level_is_as_designed() {
    let names: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    none(&top_level_violations(&names));
}

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use toml::{Table, Value};

use crate::rules::Violation;

/// The most lines that a source file has without a reason.
const MAX_LINES: usize = 600;

/// Crates that may have `unsafe`, and so lints of their own: what C calls, once it is there, and the
/// counting allocator of the tests, a trait that is unsafe to implement.
const MAY_BE_UNSAFE: [&str; 3] = ["crates/abi", "crates/gssapi", "tests/support"];

/// Lints that the workspace must hold, with the weakest level that is still enough.
const LINTS: [(&str, &str, &[&str]); 9] = [
    ("rust", "unsafe_code", &["forbid"]),
    ("rust", "missing_docs", &["warn", "deny", "forbid"]),
    ("rust", "unused_must_use", &["deny", "forbid"]),
    ("clippy", "unwrap_used", &["warn", "deny", "forbid"]),
    ("clippy", "expect_used", &["warn", "deny", "forbid"]),
    ("clippy", "panic", &["warn", "deny", "forbid"]),
    ("clippy", "unreachable", &["warn", "deny", "forbid"]),
    ("clippy", "todo", &["warn", "deny", "forbid"]),
    ("clippy", "unimplemented", &["warn", "deny", "forbid"]),
];

/// What stands at the top of the repository, and whether it must.
const TOP_LEVEL: [(&str, bool); 12] = [
    ("Cargo.toml", true),
    ("Cargo.lock", true),
    ("README.md", true),
    ("LICENSE-MIT", true),
    ("LICENSE-APACHE", true),
    ("crates", true),
    ("fixtures", true),
    ("tests", true),
    ("docs", true),
    (".ci", true),
    ("clippy.toml", false),
    ("rustfmt.toml", false),
];
/// What git and cargo put there.
const TOP_LEVEL_TOOLS: [&str; 4] = [".git", ".gitignore", ".gitattributes", "target"];

/// The files that may be long, by path, each with its reason.
#[derive(Debug, Default)]
pub struct LongFiles(BTreeMap<String, String>);

impl LongFiles {
    /// Reads `path: reason` lines; blank lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// A line without a path or without a reason.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let mut files = BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        {
            let (path, reason) = line.split_once(':').unwrap_or((line, ""));
            // A reason of a word or two says nothing.
            if reason.split_whitespace().count() < 4 {
                return Err(Violation::NoReason {
                    line: line.to_owned(),
                });
            }
            files.insert(path.trim().to_owned(), reason.trim().to_owned());
        }
        Ok(Self(files))
    }
}

/// Lints of a workspace: its own table, and that every member (folder, manifest text) takes it.
///
/// # Errors
/// A manifest that is not TOML.
pub fn lint_violations(
    workspace: &str,
    members: &[(String, String)],
) -> Result<Vec<Violation>, toml::de::Error> {
    let mut found = Vec::new();
    let table: Table = toml::from_str(workspace)?;
    let lints = table
        .get("workspace")
        .and_then(|workspace| workspace.get("lints"));
    for (tool, lint, levels) in LINTS {
        let level = lints.and_then(|lints| lints.get(tool)?.get(lint));
        let level = level.and_then(|level| level.as_str().or_else(|| level.get("level")?.as_str()));
        if !level.is_some_and(|level| levels.contains(&level)) {
            found.push(Violation::WorkspaceLint {
                lint: format!("{tool}.{lint}"),
            });
        }
    }
    for (folder, manifest) in members {
        let table: Table = toml::from_str(manifest)?;
        let inherits = table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(Value::as_bool);
        if inherits != Some(true) && !MAY_BE_UNSAFE.contains(&folder.as_str()) {
            found.push(Violation::Lints {
                folder: folder.clone(),
            });
        }
    }
    Ok(found)
}

/// Sources below the repository's `crates`, `tests`, `fixtures` and `.ci` that are too long, and reasons that have had their day.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn source_violations(root: &Path, reasons: &LongFiles) -> io::Result<Vec<Violation>> {
    let mut long = BTreeMap::new();
    for top in ["crates", "tests", "fixtures", ".ci"] {
        walk(root, &root.join(top), &mut long)?;
    }
    let mut found: Vec<Violation> = long
        .iter()
        .filter(|(path, _)| !reasons.0.contains_key(*path))
        .map(|(path, lines)| Violation::LongFile {
            path: path.clone(),
            lines: *lines,
        })
        .collect();
    let stale = reasons.0.keys().filter(|path| !long.contains_key(*path));
    found.extend(stale.map(|path| Violation::StaleReason { path: path.clone() }));
    Ok(found)
}

fn walk(root: &Path, folder: &Path, long: &mut BTreeMap<String, usize>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            // Build output and what a fuzzer collects are not sources.
            if !matches!(name.as_str(), "target" | "corpus" | "artifacts") {
                walk(root, &path, long)?;
            }
            continue;
        }
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if matches!(extension.as_str(), "rs" | "c" | "h" | "sh" | "py") || name == "run" {
            let lines = fs::read_to_string(&path)?.lines().count();
            if lines > MAX_LINES {
                let relative = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .replace('\\', "/");
                long.insert(relative, lines);
            }
        }
    }
    Ok(())
}

/// Names at the top of the repository that do not belong there, and those that are missing.
#[must_use]
pub fn top_level_violations(names: &[String]) -> Vec<Violation> {
    let known = |name: &str| {
        TOP_LEVEL.iter().any(|(known, _)| *known == name) || TOP_LEVEL_TOOLS.contains(&name)
    };
    let strange = names
        .iter()
        .filter(|name| !known(name))
        .map(|name| Violation::TopLevel { name: name.clone() });
    let missing = TOP_LEVEL
        .iter()
        .filter(|(name, needed)| *needed && !names.iter().any(|present| present == name))
        .map(|(name, _)| Violation::TopLevelMissing {
            name: (*name).to_owned(),
        });
    strange.chain(missing).collect()
}

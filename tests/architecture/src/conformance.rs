use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::{fmt, fs, io};

/// The rows of the checklist.
const ROWS: RangeInclusive<u32> = 1..=192;

/// What is wrong with the table of `docs/conformance.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConformanceFault {
    /// A line is not `| row | state | what | place | tests |`, with a number or a range for the row.
    Malformed {
        /// The line.
        line: String,
    },
    /// A row stands twice.
    Twice {
        /// The row.
        row: u32,
    },
    /// A row is missing.
    Missing {
        /// The row.
        row: u32,
    },
    /// A state that is none of held, partly and not yet.
    State {
        /// The first row that has it.
        row: u32,
        /// The state.
        state: String,
    },
    /// A row that is held without a test.
    Untested {
        /// The first row of the line.
        row: u32,
    },
    /// A test that no source has.
    NoSuchTest {
        /// The first row of the line.
        row: u32,
        /// The function's name.
        test: String,
    },
}

impl fmt::Display for ConformanceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line } => write!(f, "not a line of the table: {line}"),
            Self::Twice { row } => write!(f, "row {row} stands twice"),
            Self::Missing { row } => write!(f, "row {row} is missing"),
            Self::State { row, state } => write!(
                f,
                "row {row} is `{state}`, which is none of held, partly, not yet"
            ),
            Self::Untested { row } => write!(f, "row {row} is held and names no test"),
            Self::NoSuchTest { row, test } => write!(
                f,
                "row {row} names the test `{test}`, and no source below crates and tests has it"
            ),
        }
    }
}

/// Holds a table against the names of the tests that there are.
#[must_use]
pub fn conformance_faults(table: &str, tests: &BTreeSet<String>) -> Vec<ConformanceFault> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(2);
    for line in lines {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let parsed = match cells.as_slice() {
            ["", rows, state, _, _, named, ""] => range(rows).map(|rows| (rows, *state, *named)),
            _ => None,
        };
        let Some((rows, state, named)) = parsed else {
            found.push(ConformanceFault::Malformed {
                line: line.to_owned(),
            });
            continue;
        };
        let row = *rows.start();
        for row in rows {
            if !seen.insert(row) {
                found.push(ConformanceFault::Twice { row });
            }
        }
        if !matches!(state, "held" | "partly" | "not yet") {
            found.push(ConformanceFault::State {
                row,
                state: state.to_owned(),
            });
        }
        // The odd pieces between backquotes are the names.
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        if state == "held" && names.is_empty() {
            found.push(ConformanceFault::Untested { row });
        }
        let absent = names.iter().filter(|name| !tests.contains(**name));
        found.extend(absent.map(|name| ConformanceFault::NoSuchTest {
            row,
            test: (*name).to_owned(),
        }));
    }
    let missing = ROWS.filter(|row| !seen.contains(row));
    found.extend(missing.map(|row| ConformanceFault::Missing { row }));
    found
}

fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && ROWS.contains(&first) && ROWS.contains(&last)).then_some(first..=last)
}

/// The names of all functions with `#[test]` below the repository's `crates` and `tests`.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn test_functions(root: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for top in ["crates", "tests"] {
        collect(&root.join(top), &mut names)?;
    }
    Ok(names)
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "target" && name != "corpus" && name != "artifacts" {
                collect(&path, names)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_in(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// The functions that a source marks with `#[test]`.
#[must_use]
pub fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if marked {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                names.push(
                    rest.get(..end.unwrap_or(rest.len()))
                        .unwrap_or(rest)
                        .to_owned(),
                );
            }
            marked = false;
        }
    }
    names
}

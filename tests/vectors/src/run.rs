use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::fields::{Fault, Fields};
use crate::ops::{Outcome, run_vector};
use crate::report::{FileReport, Report};

/// Runs every `.json` file of a folder, in the order of their names.
///
/// # Errors
/// The folder cannot be listed, or has no such file; a file that cannot be read is a failure in the report.
pub fn run_folder(folder: &Path) -> io::Result<Report> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    if paths.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the folder has no .json file",
        ));
    }
    Ok(Report {
        files: paths.iter().map(|path| run_file(path)).collect(),
    })
}

/// Runs one file.
#[must_use]
pub fn run_file(path: &Path) -> FileReport {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match fs::read_to_string(path) {
        Ok(text) => run_text(&name, &text),
        Err(error) => file_fault(&name, format!("cannot be read: {error}")),
    }
}

/// Runs the text of a file.
#[must_use]
pub fn run_text(name: &str, text: &str) -> FileReport {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return file_fault(name, format!("is not JSON: {error}")),
    };
    let Some(vectors) = value
        .get("vectors")
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty())
    else {
        return file_fault(name, "has no list of vectors".to_owned());
    };
    let mut report = FileReport::new(name);
    let mut ids = BTreeSet::new();
    for (index, vector) in vectors.iter().enumerate() {
        match parts(vector) {
            Ok(parts) if !ids.insert(parts.id) => {
                report.add(
                    parts.id,
                    Outcome::Failed("another vector of this file has the same id".to_owned()),
                );
            }
            Ok(parts) => report.add(&format!("{} {}", parts.id, parts.op), run(&parts)),
            Err(fault) => report.add(&format!("vector {index}"), Outcome::Failed(fault)),
        }
    }
    report
}

fn file_fault(name: &str, fault: String) -> FileReport {
    let mut report = FileReport::new(name);
    report.failures.push(fault);
    report
}

struct Parts<'a> {
    id: &'a str,
    op: &'a str,
    input: &'a Map<String, Value>,
    output: &'a Map<String, Value>,
}

fn parts(vector: &Value) -> Result<Parts<'_>, Fault> {
    let text = |name: &str| {
        vector
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("the vector has no {name}"))
    };
    let fields = |name: &str| {
        vector
            .get(name)
            .and_then(Value::as_object)
            .ok_or_else(|| format!("the vector has no {name}"))
    };
    // Where an answer comes from is part of the answer.
    text("source")?;
    let output = fields("out")?;
    if output.is_empty() {
        return Err("the vector's out is empty".to_owned());
    }
    Ok(Parts {
        id: text("id")?,
        op: text("op")?,
        input: fields("in")?,
        output,
    })
}

fn run(parts: &Parts<'_>) -> Outcome {
    let (input, output) = (Fields::new(parts.input), Fields::new(parts.output));
    match run_vector(parts.op, &input, &output) {
        Outcome::Passed => match output.all_seen() {
            Ok(()) => Outcome::Passed,
            Err(fault) => Outcome::Failed(fault),
        },
        other => other,
    }
}

use std::collections::BTreeMap;
use std::fmt;

use crate::ops::{NotSupported, Outcome};

/// What became of the vectors of one file.
#[derive(Debug, Default)]
pub struct FileReport {
    /// The file's name.
    pub name: String,
    /// Vectors that gave the right answer.
    pub passed: usize,
    /// What failed, each with the vector's name, or the file's own fault.
    pub failures: Vec<String>,
    /// How many vectors are about what the project does not do.
    pub not_supported: BTreeMap<NotSupported, usize>,
}

impl FileReport {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, vector: &str, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(why) => self.failures.push(format!("{vector}: {why}")),
            Outcome::NotSupported(what) => *self.not_supported.entry(what).or_default() += 1,
        }
    }

    fn not_supported(&self) -> usize {
        self.not_supported.values().sum()
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            passed,
            failures,
            ..
        } = self;
        write!(
            f,
            "{name}: {passed} passed, {} failed, {} not supported",
            failures.len(),
            self.not_supported()
        )?;
        for (index, (what, count)) in self.not_supported.iter().enumerate() {
            write!(f, "{}{what} {count}", if index == 0 { " (" } else { ", " })?;
        }
        if !self.not_supported.is_empty() {
            write!(f, ")")?;
        }
        failures
            .iter()
            .try_for_each(|failure| write!(f, "\n  failed: {failure}"))
    }
}

/// What became of the files of a folder. Its text ends in the line of totals.
#[derive(Debug, Default)]
pub struct Report {
    /// The files, by name.
    pub files: Vec<FileReport>,
}

impl Report {
    /// Vectors that passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.files.iter().map(|file| file.passed).sum()
    }

    /// Failures, of vectors and of files.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.files.iter().map(|file| file.failures.len()).sum()
    }

    /// Vectors about what the project does not do.
    #[must_use]
    pub fn not_supported(&self) -> usize {
        self.files.iter().map(FileReport::not_supported).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files
            .iter()
            .try_for_each(|file| writeln!(f, "{file}"))?;
        let (passed, failed, not_supported) = (self.passed(), self.failed(), self.not_supported());
        write!(
            f,
            "vectors: {passed} passed, {failed} failed, {not_supported} not supported"
        )
    }
}

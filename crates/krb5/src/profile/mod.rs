//! The krb5.conf grammar: sections, relations, sub-sections, includes (MIT, krb5.conf(5)).
//!
//! This module knows the form only; what the relations mean is [`crate::config`]'s.

mod parser;

use core::fmt;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use thiserror::Error;

use crate::config::{ConfigWarning, WarningReason};

/// Sub-sections within each other. Real files nest three deep.
const MAX_DEPTH: usize = 16;
/// Files that include each other.
const MAX_INCLUDE_DEPTH: usize = 8;
/// Files read for one profile in all.
const MAX_FILES: usize = 256;

/// Gives the files that `include` and `includedir` name.
///
/// The profile never opens a file itself; this is how a program lends it the file system, or a
/// test a few strings.
pub trait ProfileSource {
    /// The text of a file.
    ///
    /// # Errors
    ///
    /// What went wrong, in a few words.
    fn read(&self, path: &str) -> Result<String, String>;

    /// The plain names of the files in a directory, in any order.
    ///
    /// # Errors
    ///
    /// What went wrong, in a few words.
    fn list(&self, directory: &str) -> Result<Vec<String>, String>;
}

/// A source without files: any `include` fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIncludes;

impl ProfileSource for NoIncludes {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("no file can be included here".to_owned())
    }

    fn list(&self, _: &str) -> Result<Vec<String>, String> {
        Err("no directory can be included here".to_owned())
    }
}

/// A line that does not fit the grammar.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file}, line {line}: {reason}; correct that line, nothing of the file is used")]
pub struct ProfileError {
    /// The file, as it was named.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: ProfileErrorReason,
}

/// What is wrong with a line.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileErrorReason {
    /// Neither a section, nor a relation, nor a brace.
    #[error("a relation `name = value` was expected")]
    RelationSyntax,
    /// A `[` without `]`, or something behind it.
    #[error("a section header is `[name]` and nothing else")]
    SectionSyntax,
    /// A section header within braces.
    #[error("a section begins before the sub-section around it was closed with `}}`")]
    SectionInBraces,
    /// `name =` and then no brace.
    #[error("`{{` was expected after `name =` with no value")]
    MissingOpenBrace,
    /// A `}` that closes nothing.
    #[error("`}}` closes nothing")]
    ExtraCloseBrace,
    /// The file ends within braces.
    #[error("the file ends before a sub-section was closed with `}}`")]
    MissingCloseBrace,
    /// Too many sub-sections within each other.
    #[error("more than {MAX_DEPTH} sub-sections within each other")]
    TooDeep,
    /// Files that include each other without end, or too many.
    #[error("more than {MAX_INCLUDE_DEPTH} files within each other, or {MAX_FILES} in all")]
    TooManyIncludes,
    /// A file could not be read.
    #[error("{path} cannot be included: {reason}")]
    Include {
        /// The file or directory.
        path: String,
        /// What went wrong.
        reason: String,
    },
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Its line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file, self.line)
    }
}

/// A relation or the beginning of a sub-section, with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value; `None` for a sub-section.
    pub value: Option<&'a str>,
    /// Where it stands.
    pub place: &'a Place,
}

/// The relations of one or several krb5.conf files, in order.
///
/// A section, sub-section or relation with a `*` behind its name (a sub-section's may also stand
/// behind its closing brace) is final: what comes later under that name, in the same file or
/// another, does not count (krb5.conf(5) as of release 1.22).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    files: Vec<Section>,
    warnings: Vec<ConfigWarning>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Section {
    entries: Vec<Entry>,
    /// Where in `entries` each sub-section is; large sites have thousands of realms.
    sections: HashMap<String, usize>,
    /// The names of relations that nothing later adds to.
    finals: HashSet<String>,
    /// Nothing later adds to it.
    is_final: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    node: Node,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Value(String),
    Section(Section),
}

impl Entry {
    fn relation(&self) -> Relation<'_> {
        Relation {
            name: &self.name,
            value: match &self.node {
                Node::Value(text) => Some(text),
                Node::Section(_) => None,
            },
            place: &self.place,
        }
    }
}

impl Profile {
    /// Reads one file's text; `name` is the file's name for errors.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] with the file and the line that is wrong.
    pub fn parse(text: &str, source: &dyn ProfileSource, name: &str) -> Result<Self, ProfileError> {
        parser::parse(text, source, name)
    }

    /// Adds the files of `other` behind these: where one value counts, the first has it.
    pub fn append(&mut self, other: Self) {
        self.files.extend(other.files);
        self.warnings.extend(other.warnings);
    }

    /// Lines that were understood and not followed, such as `module`.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// The relations at `path`, such as `["realms", "EXAMPLE.TEST", "kdc"]`, with their places.
    #[must_use]
    pub fn located(&self, path: &[&str]) -> Vec<Relation<'_>> {
        let Some((name, sections)) = path.split_last() else {
            return Vec::new();
        };
        self.entries(sections)
            .into_iter()
            .map(Entry::relation)
            .filter(|relation| relation.name == *name && relation.value.is_some())
            .collect()
    }

    /// All values of the relation at `path`.
    #[must_use]
    pub fn values(&self, path: &[&str]) -> Vec<&str> {
        let located = self.located(path).into_iter();
        located.filter_map(|relation| relation.value).collect()
    }

    /// The first relation at `path`.
    #[must_use]
    pub fn first(&self, path: &[&str]) -> Option<Relation<'_>> {
        self.located(path).first().copied()
    }

    /// The value of the first relation at `path`.
    #[must_use]
    pub fn value(&self, path: &[&str]) -> Option<&str> {
        self.first(path)?.value
    }

    /// All relations of the section at `path`, in order: name and value.
    #[must_use]
    pub fn relations(&self, path: &[&str]) -> Vec<(&str, &str)> {
        self.content(path)
            .into_iter()
            .filter_map(|relation| Some((relation.name, relation.value?)))
            .collect()
    }

    /// All relations and beginnings of sub-sections of the section at `path`, in order.
    #[must_use]
    pub fn content(&self, path: &[&str]) -> Vec<Relation<'_>> {
        let entries = self.entries(path).into_iter();
        entries.map(Entry::relation).collect()
    }

    /// The names of the sub-sections of the section at `path`, each once, in order.
    #[must_use]
    pub fn subsections(&self, path: &[&str]) -> Vec<&str> {
        let mut seen = HashSet::new();
        let sections = self.content(path).into_iter();
        sections
            .filter(|relation| relation.value.is_none() && seen.insert(relation.name))
            .map(|relation| relation.name)
            .collect()
    }

    /// What the section at `path` has in each file, up to the first where it is final, without
    /// relations that were final before.
    fn entries(&self, path: &[&str]) -> Vec<&Entry> {
        let mut found: Vec<&Entry> = Vec::new();
        let mut closed: Vec<&HashSet<String>> = Vec::new();
        for file in &self.files {
            let Some((section, is_final)) = file.descend(path) else {
                continue;
            };
            let is_open = |entry: &&Entry| {
                matches!(entry.node, Node::Section(_))
                    || !closed.iter().any(|names| names.contains(&entry.name))
            };
            found.extend(section.entries.iter().filter(is_open));
            if !section.finals.is_empty() {
                closed.push(&section.finals);
            }
            if is_final {
                break;
            }
        }
        found
    }
}

impl Section {
    fn descend(&self, path: &[&str]) -> Option<(&Self, bool)> {
        let mut section = self;
        let mut is_final = self.is_final;
        for name in path {
            section = section.at(*section.sections.get(*name)?)?;
            is_final |= section.is_final;
        }
        Some((section, is_final))
    }

    /// Index of the sub-section of that name, made at the end if there is none; `None` if it is
    /// final.
    fn open(&mut self, name: &str, place: &Place) -> Option<usize> {
        if let Some(&index) = self.sections.get(name) {
            return self
                .at(index)
                .is_some_and(|it| !it.is_final)
                .then_some(index);
        }
        let index = self.entries.len();
        self.sections.insert(name.to_owned(), index);
        self.entries.push(Entry {
            name: name.to_owned(),
            node: Node::Section(Self::default()),
            place: place.clone(),
        });
        Some(index)
    }

    fn add(&mut self, name: &str, text: String, is_final: bool, place: &Place) {
        // krb5.conf(5): what follows a final relation of that name is ignored.
        if self.finals.contains(name) {
            return;
        }
        if is_final {
            self.finals.insert(name.to_owned());
        }
        self.entries.push(Entry {
            name: name.to_owned(),
            node: Node::Value(text),
            place: place.clone(),
        });
    }

    fn at(&self, index: usize) -> Option<&Self> {
        match self.entries.get(index).map(|entry| &entry.node) {
            Some(Node::Section(section)) => Some(section),
            _ => None,
        }
    }

    fn at_mut(&mut self, index: usize) -> Option<&mut Self> {
        match self.entries.get_mut(index).map(|entry| &mut entry.node) {
            Some(Node::Section(section)) => Some(section),
            _ => None,
        }
    }
}

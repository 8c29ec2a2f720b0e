//! The krb5.conf grammar: sections, relations, sub-sections, includes (MIT, krb5.conf(5)).
//!
//! This file knows the form only; what the relations mean is [`crate::config`]'s.

use thiserror::Error;

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
#[error("{file}, line {line}: {reason}")]
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
    /// A value that begins with a quote ends without one.
    #[error("the quoted value is not closed, or something follows its closing quote")]
    QuoteSyntax,
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

/// The relations of one or several krb5.conf files, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    files: Vec<Section>,
    ignored: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Section {
    entries: Vec<Entry>,
    /// No later file adds to it.
    is_final: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    node: Node,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Value(String),
    Section(Section),
}

impl Profile {
    /// Reads one file's text; `name` is the file's name for errors.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] with the file and the line that is wrong.
    pub fn parse(text: &str, source: &dyn ProfileSource, name: &str) -> Result<Self, ProfileError> {
        let mut parser = Parser {
            source,
            root: Section::default(),
            path: Vec::new(),
            files: 0,
            ignored: Vec::new(),
        };
        parser.file(text, name, 0)?;
        Ok(Self {
            files: vec![parser.root],
            ignored: parser.ignored,
        })
    }

    /// Adds the files of `other` behind these: where one value counts, the first has it.
    pub fn append(&mut self, other: Self) {
        self.files.extend(other.files);
        self.ignored.extend(other.ignored);
    }

    /// Lines that were understood and not followed, such as `module`.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// All values of the relation at `path`, such as `["realms", "EXAMPLE.TEST", "kdc"]`.
    #[must_use]
    pub fn values(&self, path: &[&str]) -> Vec<&str> {
        let Some((name, sections)) = path.split_last() else {
            return Vec::new();
        };
        self.sections(sections)
            .into_iter()
            .flat_map(|section| &section.entries)
            .filter_map(|entry| match &entry.node {
                Node::Value(text) if entry.name == *name => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The first value of the relation at `path`.
    #[must_use]
    pub fn value(&self, path: &[&str]) -> Option<&str> {
        self.values(path).first().copied()
    }

    /// All relations of the section at `path`, in order: name and value.
    #[must_use]
    pub fn relations(&self, path: &[&str]) -> Vec<(&str, &str)> {
        self.sections(path)
            .into_iter()
            .flat_map(|section| &section.entries)
            .filter_map(|entry| match &entry.node {
                Node::Value(text) => Some((entry.name.as_str(), text.as_str())),
                Node::Section(_) => None,
            })
            .collect()
    }

    /// The names of the sub-sections of the section at `path`, each once, in order.
    #[must_use]
    pub fn subsections(&self, path: &[&str]) -> Vec<&str> {
        let mut names = Vec::new();
        for section in self.sections(path) {
            for entry in &section.entries {
                if matches!(entry.node, Node::Section(_)) && !names.contains(&entry.name.as_str()) {
                    names.push(entry.name.as_str());
                }
            }
        }
        names
    }

    /// The section at `path` in each file, up to the first that is final.
    fn sections(&self, path: &[&str]) -> Vec<&Section> {
        let mut found = Vec::new();
        for file in &self.files {
            let Some((section, is_final)) = file.descend(path) else {
                continue;
            };
            found.push(section);
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
            section = section.entries.iter().find_map(|entry| match &entry.node {
                Node::Section(inner) if entry.name == *name => Some(inner),
                _ => None,
            })?;
            is_final |= section.is_final;
        }
        Some((section, is_final))
    }

    /// Index of the sub-section of that name, made at the end if there is none.
    fn open(&mut self, name: &str) -> usize {
        let is_it = |entry: &Entry| matches!(entry.node, Node::Section(_)) && entry.name == name;
        if let Some(index) = self.entries.iter().position(is_it) {
            return index;
        }
        self.entries.push(Entry {
            name: name.to_owned(),
            node: Node::Section(Self::default()),
        });
        self.entries.len().saturating_sub(1)
    }

    fn at_mut(&mut self, index: usize) -> Option<&mut Self> {
        match self.entries.get_mut(index).map(|entry| &mut entry.node) {
            Some(Node::Section(section)) => Some(section),
            _ => None,
        }
    }
}

struct Parser<'a> {
    source: &'a dyn ProfileSource,
    root: Section,
    /// Where relations go now: an index at each level; empty before the first section.
    path: Vec<usize>,
    files: usize,
    ignored: Vec<String>,
}

impl Parser<'_> {
    fn file(&mut self, text: &str, name: &str, depth: usize) -> Result<(), ProfileError> {
        let at = |line: usize, reason| ProfileError {
            file: name.to_owned(),
            line,
            reason,
        };
        self.files = self.files.saturating_add(1);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut awaits_brace = false;
        let mut last = 0;
        for (index, line) in text.lines().enumerate() {
            last = index.saturating_add(1);
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if core::mem::take(&mut awaits_brace) {
                // krb5.conf(5): a relation without a value is a sub-section whose brace follows.
                if !line.starts_with('{') {
                    return Err(at(last, ProfileErrorReason::MissingOpenBrace));
                }
                continue;
            }
            awaits_brace = self
                .line(line, depth)
                .map_err(|error| error.into_error(name, last))?;
        }
        if awaits_brace {
            return Err(at(last, ProfileErrorReason::MissingOpenBrace));
        }
        // An included file is whole by itself (krb5.conf(5)).
        if self.path.len() > 1 {
            return Err(at(last, ProfileErrorReason::MissingCloseBrace));
        }
        Ok(())
    }

    /// Takes in one line; whether its brace is still to come.
    fn line(&mut self, line: &str, depth: usize) -> Result<bool, LineError> {
        if let Some(rest) = line.strip_prefix('[') {
            return self.section(rest).map(|()| false);
        }
        if line.starts_with('}') && !self.path.is_empty() {
            return self.close(line).map(|()| false);
        }
        if let Some((directive, argument)) = line.split_once(char::is_whitespace)
            && !argument.trim_start().starts_with('=')
            && self.path.len() <= 1
        {
            let argument = argument.trim();
            match directive {
                "include" => return self.include(argument, depth).map(|()| false),
                "includedir" => return self.include_directory(argument, depth).map(|()| false),
                "module" => {
                    self.ignored
                        .push(format!("module {argument}: modules are not loaded"));
                    return Ok(false);
                }
                _ => {}
            }
        }
        if self.path.is_empty() {
            // MIT takes everything before the first section header for a comment.
            self.ignored
                .push(format!("{line:?} stands before the first section header"));
            return Ok(false);
        }
        self.relation(line)
    }

    fn section(&mut self, rest: &str) -> Result<(), LineError> {
        if self.path.len() > 1 {
            return Err(ProfileErrorReason::SectionInBraces.into());
        }
        let (name, tail) = rest
            .split_once(']')
            .ok_or(ProfileErrorReason::SectionSyntax)?;
        let is_final = match tail.trim() {
            "" => false,
            "*" => true,
            _ => return Err(ProfileErrorReason::SectionSyntax.into()),
        };
        // krb5.conf(5): `[name]*` closes the section for later files; the one at hand still adds.
        self.path = vec![self.root.open(name.trim())];
        if is_final && let Some(section) = self.current() {
            section.is_final = true;
        }
        Ok(())
    }

    fn close(&mut self, line: &str) -> Result<(), LineError> {
        if self.path.len() <= 1 {
            return Err(ProfileErrorReason::ExtraCloseBrace.into());
        }
        // MIT passes over what stands behind the brace, as a comment.
        if line.starts_with("}*")
            && let Some(section) = self.current()
        {
            section.is_final = true;
        }
        self.path.pop();
        Ok(())
    }

    fn relation(&mut self, line: &str) -> Result<bool, LineError> {
        let (name, value) = line
            .split_once('=')
            .ok_or(ProfileErrorReason::RelationSyntax)?;
        let name = name.trim();
        let (name, is_final) = match name.strip_suffix('*') {
            Some(name) => (name.trim_end(), true),
            None => (name, false),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(ProfileErrorReason::RelationSyntax.into());
        }
        let value = value.trim();
        if value.is_empty() || value == "{" {
            self.open_subsection(name, is_final)?;
            return Ok(value.is_empty());
        }
        let text = if let Some(quoted) = value.strip_prefix('"') {
            unquote(quoted)?
        } else {
            value.to_owned()
        };
        if let Some(section) = self.current() {
            section.entries.push(Entry {
                name: name.to_owned(),
                node: Node::Value(text),
            });
        }
        Ok(false)
    }

    fn open_subsection(&mut self, name: &str, is_final: bool) -> Result<(), LineError> {
        if self.path.len() >= MAX_DEPTH {
            return Err(ProfileErrorReason::TooDeep.into());
        }
        if let Some(section) = self.current() {
            let index = section.open(name);
            self.path.push(index);
        }
        if is_final && let Some(section) = self.current() {
            section.is_final = true;
        }
        Ok(())
    }

    fn current(&mut self) -> Option<&mut Section> {
        let mut section = &mut self.root;
        for index in &self.path {
            section = section.at_mut(*index)?;
        }
        Some(section)
    }

    fn include(&mut self, path: &str, depth: usize) -> Result<(), LineError> {
        if depth >= MAX_INCLUDE_DEPTH || self.files >= MAX_FILES {
            return Err(ProfileErrorReason::TooManyIncludes.into());
        }
        let text = self
            .source
            .read(path)
            .map_err(|reason| ProfileErrorReason::Include {
                path: path.to_owned(),
                reason,
            })?;
        // An included file begins outside of any section and leaves the one here as it was
        // (krb5.conf(5)).
        let path_here = core::mem::take(&mut self.path);
        self.file(&text, path, depth.saturating_add(1))?;
        self.path = path_here;
        Ok(())
    }

    fn include_directory(&mut self, directory: &str, depth: usize) -> Result<(), LineError> {
        let mut names =
            self.source
                .list(directory)
                .map_err(|reason| ProfileErrorReason::Include {
                    path: directory.to_owned(),
                    reason,
                })?;
        // krb5.conf(5): names of letters, digits, dashes and underscores, or that end in .conf,
        // and no hidden ones; the order is that of the names.
        names.retain(|name| is_included(name));
        names.sort_unstable();
        let directory = directory.trim_end_matches('/');
        for name in names {
            self.include(&format!("{directory}/{name}"), depth)?;
        }
        Ok(())
    }
}

fn is_included(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && (name.chars().all(plain) || name.ends_with(".conf"))
}

/// The text between quotes; `rest` begins behind the opening one.
fn unquote(rest: &str) -> Result<String, LineError> {
    let mut text = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' if characters.as_str().trim().is_empty() => return Ok(text),
            '"' => return Err(ProfileErrorReason::QuoteSyntax.into()),
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('b') => text.push('\u{8}'),
                Some(literal) => text.push(literal),
                None => return Err(ProfileErrorReason::QuoteSyntax.into()),
            },
            _ => text.push(character),
        }
    }
    Err(ProfileErrorReason::QuoteSyntax.into())
}

/// An error of the line at hand, or one from an included file that knows its place already.
enum LineError {
    Here(ProfileErrorReason),
    Placed(ProfileError),
}

impl LineError {
    fn into_error(self, file: &str, line: usize) -> ProfileError {
        match self {
            Self::Here(reason) => ProfileError {
                file: file.to_owned(),
                line,
                reason,
            },
            Self::Placed(error) => error,
        }
    }
}

impl From<ProfileErrorReason> for LineError {
    fn from(reason: ProfileErrorReason) -> Self {
        Self::Here(reason)
    }
}

impl From<ProfileError> for LineError {
    fn from(error: ProfileError) -> Self {
        Self::Placed(error)
    }
}

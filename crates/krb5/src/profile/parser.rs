//! From lines to sections.

use std::sync::Arc;

use super::{
    ConfigWarning, MAX_DEPTH, MAX_FILES, MAX_INCLUDE_DEPTH, Place, Profile, ProfileError,
    ProfileErrorReason, ProfileSource, Section, WarningReason,
};

pub(super) fn parse(
    text: &str,
    source: &dyn ProfileSource,
    name: &str,
) -> Result<Profile, ProfileError> {
    let mut parser = Parser {
        source,
        root: Section::default(),
        path: Vec::new(),
        files: 0,
        warnings: Vec::new(),
    };
    parser.file(text, name, 0)?;
    Ok(Profile {
        files: vec![parser.root],
        warnings: parser.warnings,
    })
}

struct Parser<'a> {
    source: &'a dyn ProfileSource,
    root: Section,
    /// Where relations go now: an index at each level, `None` for a sub-section whose content does
    /// not count; empty before the first section.
    path: Vec<Option<usize>>,
    files: usize,
    warnings: Vec<ConfigWarning>,
}

impl Parser<'_> {
    fn file(&mut self, text: &str, name: &str, depth: usize) -> Result<(), ProfileError> {
        self.files = self.files.saturating_add(1);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut awaits_brace = false;
        let mut place = Place {
            file: Arc::from(name),
            line: 0,
        };
        for line in text.lines() {
            place.line = place.line.saturating_add(1);
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if core::mem::take(&mut awaits_brace) {
                // krb5.conf(5): a relation without a value is a sub-section whose brace follows.
                if !line.starts_with('{') {
                    return Err(error_at(&place, ProfileErrorReason::MissingOpenBrace));
                }
                continue;
            }
            awaits_brace = self
                .line(line, &place, depth)
                .map_err(|error| error.into_error(&place))?;
        }
        if awaits_brace {
            return Err(error_at(&place, ProfileErrorReason::MissingOpenBrace));
        }
        // An included file is whole by itself (krb5.conf(5)).
        if self.path.len() > 1 {
            return Err(error_at(&place, ProfileErrorReason::MissingCloseBrace));
        }
        Ok(())
    }

    /// Takes in one line; whether its brace is still to come.
    fn line(&mut self, line: &str, place: &Place, depth: usize) -> Result<bool, LineError> {
        if let Some(rest) = line.strip_prefix('[') {
            return self.section(rest, place).map(|()| false);
        }
        if line.starts_with('}') && !self.path.is_empty() {
            return self.close(line).map(|()| false);
        }
        if let Some((directive, argument)) = line.split_once(char::is_whitespace)
            && !argument.trim_start().starts_with('=')
        {
            let argument = argument.trim();
            match directive {
                "include" => return self.include(argument, depth).map(|()| false),
                "includedir" => return self.include_directory(argument, depth).map(|()| false),
                "module" if self.path.len() <= 1 => {
                    self.warn(place, format!("module {argument}"), WarningReason::Module);
                    return Ok(false);
                }
                _ => {}
            }
        }
        if self.path.is_empty() {
            // MIT takes everything before the first section header for a comment.
            self.warn(place, format!("{line:?}"), WarningReason::BeforeSections);
            return Ok(false);
        }
        self.relation(line, place)
    }

    fn warn(&mut self, place: &Place, subject: String, reason: WarningReason) {
        self.warnings.push(ConfigWarning {
            place: place.clone(),
            subject,
            reason,
        });
    }

    fn section(&mut self, rest: &str, place: &Place) -> Result<(), LineError> {
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
        self.path = vec![self.root.open(name.trim(), place)];
        self.mark(is_final);
        Ok(())
    }

    fn close(&mut self, line: &str) -> Result<(), LineError> {
        if self.path.len() <= 1 {
            return Err(ProfileErrorReason::ExtraCloseBrace.into());
        }
        // MIT passes over what stands behind the brace, as a comment.
        self.mark(line.starts_with("}*"));
        self.path.pop();
        Ok(())
    }

    fn relation(&mut self, line: &str, place: &Place) -> Result<bool, LineError> {
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
            self.open_subsection(name, is_final, place)?;
            return Ok(value.is_empty());
        }
        let text = match value.strip_prefix('"') {
            Some(quoted) => {
                let (text, is_whole) = unquote(quoted);
                if !is_whole {
                    self.warn(place, name.to_owned(), WarningReason::Quotes);
                }
                text
            }
            None => value.to_owned(),
        };
        if let Some(section) = self.current() {
            section.add(name, text, is_final, place);
        }
        Ok(false)
    }

    fn open_subsection(
        &mut self,
        name: &str,
        is_final: bool,
        place: &Place,
    ) -> Result<(), LineError> {
        if self.path.len() >= MAX_DEPTH {
            return Err(ProfileErrorReason::TooDeep.into());
        }
        let index = self.current().and_then(|section| section.open(name, place));
        self.path.push(index);
        self.mark(is_final);
        Ok(())
    }

    /// Makes the section at hand final; what it still gets before it is closed counts.
    fn mark(&mut self, is_final: bool) {
        if is_final && let Some(section) = self.current() {
            section.is_final = true;
        }
    }

    /// The section at hand; `None` where its content does not count.
    fn current(&mut self) -> Option<&mut Section> {
        let mut section = &mut self.root;
        for index in &self.path {
            section = section.at_mut((*index)?)?;
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
        let names = self
            .source
            .list(directory)
            .map_err(|reason| ProfileErrorReason::Include {
                path: directory.to_owned(),
                reason,
            })?;
        for path in included(directory, names) {
            self.include(&path, depth)?;
        }
        Ok(())
    }
}

/// Of the names in a directory, the paths of those files that are read, in order (krb5.conf(5)):
/// names of letters, digits, dashes and underscores, or that end in .conf, and no hidden ones; the
/// order is that of the names.
pub(super) fn included(directory: &str, mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| is_included(name));
    names.sort_unstable();
    let directory = directory.trim_end_matches('/');
    names
        .into_iter()
        .map(|name| format!("{directory}/{name}"))
        .collect()
}

fn is_included(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && (name.chars().all(plain) || name.ends_with(".conf"))
}

/// The text between quotes, and whether it ends with one and nothing follows; `rest` begins behind
/// the opening one. MIT takes what is there up to the closing quote, or to the end of the line.
fn unquote(rest: &str) -> (String, bool) {
    let mut text = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return (text, characters.as_str().trim().is_empty()),
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('b') => text.push('\u{8}'),
                Some(literal) => text.push(literal),
                None => break,
            },
            _ => text.push(character),
        }
    }
    (text, false)
}

fn error_at(place: &Place, reason: ProfileErrorReason) -> ProfileError {
    ProfileError {
        file: place.file.to_string(),
        line: place.line,
        reason,
    }
}

/// An error of the line at hand, or one from an included file that knows its place already.
enum LineError {
    Here(ProfileErrorReason),
    Placed(ProfileError),
}

impl LineError {
    fn into_error(self, place: &Place) -> ProfileError {
        match self {
            Self::Here(reason) => error_at(place, reason),
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

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use trihound_krb5::StoreError;

use super::file::FileCache;
use super::owner::{self, Chosen};
use super::{CacheName, Collection, DirName, no_cache, random_suffix, unusable};
use crate::environment::files::write_atomically;
use crate::environment::lock::LockMode;

/// The file that names the primary cache, in one line (MIT krb5).
const PRIMARY: &str = "primary";
/// The primary cache as long as there is no such file.
const FIRST: &str = "tkt";
/// What names of caches in the directory begin with; all else there is none.
const PREFIX: &str = "tkt";
/// As long as MIT's programs read the line, without its end.
const MAX_NAME: usize = 62;

pub(super) fn open(name: &DirName, chosen: Chosen) -> Result<FileCache, StoreError> {
    let file = match &name.subsidiary {
        Some(file) => file.clone(),
        None => primary_file(name, chosen)?,
    };
    let directory = &name.directory;
    Ok(FileCache::in_directory(
        subsidiary(directory, &file),
        directory,
        &file,
        chosen,
    ))
}

fn subsidiary(directory: &Path, file: &str) -> CacheName {
    CacheName::Dir(DirName {
        directory: directory.to_owned(),
        subsidiary: Some(file.to_owned()),
    })
}

/// Whether a file of the directory is one of its caches.
fn is_cache(file: &str) -> bool {
    file.starts_with(PREFIX) && file.len() <= MAX_NAME && !file.contains(['/', '\\', '\n', '\0'])
}

/// Which file the directory's primary cache is in.
fn primary_file(name: &DirName, chosen: Chosen) -> Result<String, StoreError> {
    let path = name.directory.join(PRIMARY);
    let bad = |reason: &dyn std::fmt::Display| {
        let name = CacheName::Dir(name.clone());
        unusable(&name, format!("{}: {reason}", path.display()))
    };
    let mut line = String::new();
    let limit = u64::try_from(MAX_NAME + 2).unwrap_or(u64::MAX);
    match owner::open(&path, LockMode::Shared, chosen)
        .map(|file| file.take(limit).read_to_string(&mut line))
    {
        Ok(Ok(_)) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FIRST.to_owned()),
        Ok(Err(error)) | Err(error) => return Err(bad(&error)),
    }
    let file = line.lines().next().unwrap_or_default();
    if !is_cache(file) {
        return Err(bad(
            &"the line in it names no cache of the directory; remove the file, or choose a cache \
              with kswitch",
        ));
    }
    Ok(file.to_owned())
}

/// All caches of a directory, or one of them.
#[derive(Debug)]
pub(super) struct DirCollection(DirName, Chosen);

impl DirCollection {
    pub(super) fn new(name: DirName, chosen: Chosen) -> Self {
        Self(name, chosen)
    }

    fn name(&self) -> CacheName {
        CacheName::Dir(self.0.clone())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.directory.join(file)
    }
}

impl Collection for DirCollection {
    fn list(&self) -> Result<Vec<CacheName>, StoreError> {
        let directory = &self.0.directory;
        if let Some(file) = &self.0.subsidiary {
            let there = self.path(file).is_file();
            return Ok(there.then(|| self.name()).into_iter().collect());
        }
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unusable(&self.name(), error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| unusable(&self.name(), error))?;
            let Ok(file) = entry.file_name().into_string() else {
                continue;
            };
            if is_cache(&file) && self.path(&file).is_file() {
                files.push(file);
            }
        }
        // A line in `primary` that makes no sense hides no cache: it only leaves nobody in front.
        let primary = primary_file(&self.0, self.1).unwrap_or_default();
        files.sort_by(|one, other| {
            (*one != primary, one.as_str()).cmp(&(*other != primary, other.as_str()))
        });
        Ok(files
            .iter()
            .map(|file| subsidiary(directory, file))
            .collect())
    }

    fn primary(&self) -> Result<Option<CacheName>, StoreError> {
        let file = match &self.0.subsidiary {
            Some(file) => file.clone(),
            None => primary_file(&self.0, self.1)?,
        };
        Ok(Some(subsidiary(&self.0.directory, &file)))
    }

    fn switch_to(&self, name: &CacheName) -> Result<(), StoreError> {
        let file = match name {
            CacheName::Dir(DirName {
                directory,
                subsidiary: Some(file),
            }) if *directory == self.0.directory && is_cache(file) => file,
            _ => return Err(no_cache(name)),
        };
        if !self.path(file).is_file() {
            return Err(no_cache(name));
        }
        write_atomically(&self.path(PRIMARY), format!("{file}\n").as_bytes())
            .map_err(|error| unusable(&self.name(), error))
    }

    fn create(&self) -> Result<CacheName, StoreError> {
        if self.0.subsidiary.is_some() {
            return Err(unusable(
                &self.name(),
                "it is one cache and not a collection; write DIR:directory for a new one in it",
            ));
        }
        loop {
            let file = format!("{PREFIX}{}", random_suffix(&self.name())?);
            if fs::symlink_metadata(self.path(&file)).is_err() {
                return Ok(subsidiary(&self.0.directory, &file));
            }
        }
    }

    fn can_switch(&self) -> bool {
        true
    }
}

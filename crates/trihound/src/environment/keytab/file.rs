//! A keytab file on the disk: read and changed in place under MIT's lock, made whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use trihound_krb5::{Keytab, KeytabEdit, KeytabWrite, StoreError};
use trihound_secret::SecretBytes;

use crate::environment::files::create_beside;
use crate::environment::lock::{LockMode, LockedFile};
use crate::environment::names::shown;

/// The whole file, with no writer at work.
pub(super) fn read(path: &Path) -> io::Result<(SecretBytes, fs::Metadata)> {
    let mut file = LockedFile::open(path, LockMode::Shared)?;
    let bytes = file.read()?;
    let metadata = file.file().metadata()?;
    Ok((bytes, metadata))
}

/// Changes the file in place.
pub(super) fn edit(
    path: &Path,
    change: impl FnOnce(&Keytab) -> KeytabEdit,
) -> Result<(), StoreError> {
    let told = |error: io::Error| told(path, &error);
    let mut file = LockedFile::open(path, LockMode::Exclusive).map_err(told)?;
    let bytes = file.read().map_err(told)?;
    // MIT's programs make the file first and lock it then, so that it may still be empty.
    let current = match bytes.is_empty() {
        true => Keytab::new(),
        false => Keytab::parse(bytes.expose()).map_err(|error| unusable(path, &error))?,
    };
    let edit = change(&current);
    if edit.is_empty() {
        return Ok(());
    }
    let stages = edit
        .plan(bytes.expose())
        .map_err(|error| unusable(path, &error))?;
    write(&mut file, &stages).map_err(told)
}

/// Makes a keytab without entries, whole from its first moment on, readable by its owner alone; `false`
/// where there is something of that name.
pub(super) fn create(path: &Path) -> Result<bool, StoreError> {
    let empty = Keytab::new()
        .to_bytes()
        .map_err(|error| unusable(path, &error))?;
    match create_whole(path, empty.expose()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn create_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let (temporary, mut file) = create_beside(path)?;
    let made = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        // Unlike a rename, a link takes nobody's file away.
        .and_then(|()| fs::hard_link(&temporary, path));
    // What failed is told; a leftover file is only untidy.
    let _ = fs::remove_file(&temporary);
    match made {
        // A file system without links, such as FAT.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            new_file().open(path)?.write_all(bytes)
        }
        made => made,
    }
}

fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    // `create_new` follows no link that somebody else put there.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Each stage is on the disk before the next begins. What a failing one leaves behind the entries does
/// not count, and is overwritten by the next writer.
fn write(file: &mut LockedFile, stages: &[Vec<KeytabWrite>]) -> io::Result<()> {
    for stage in stages {
        for write in stage {
            file.write_at(write.offset as u64, write.bytes.expose())?;
        }
        file.file().sync_data()?;
    }
    Ok(())
}

/// Why the file cannot be used, in the store's words.
pub(super) fn told(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::NoKeytab {
            reason: format!("there is no file {}", shown(path)),
        },
        io::ErrorKind::PermissionDenied => unusable(
            path,
            &format_args!(
                "{error}; run the program as the file's owner, or let its user read the file (its user alone: who reads a \
                 keytab can act for every name in it)"
            ),
        ),
        _ => unusable(path, error),
    }
}

pub(super) fn unusable(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unusable {
        place: format!("FILE:{}", shown(path)),
        reason: error.to_string(),
    }
}

/// Tells when users other than its owner and its group may use the keys.
pub(super) fn warn_if_open_to_all(path: &Path, metadata: &fs::Metadata) {
    #[cfg(unix)]
    {
        const ANYBODY: u32 = 0o007;
        let mode = std::os::unix::fs::MetadataExt::mode(metadata) & ANYBODY;
        if mode != 0 {
            let keytab = shown(path);
            tracing::warn!(
                keytab = keytab.as_str(),
                "Every user of this machine may use the keys of {keytab}; run: chmod o= {keytab}"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (path, metadata);
}

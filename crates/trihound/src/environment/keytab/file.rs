//! A keytab file on the disk: read and changed in place under MIT's lock, made whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use trihound_krb5::{Keytab, KeytabEdit, KeytabWrite, StoreError};
use trihound_secret::SecretBytes;

use crate::environment::files::{MAX_FILE, create_beside, is_same_file};

/// How long another writer is waited for. MIT's programs hold the lock for as long as it takes to write
/// one entry.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Shared,
    Exclusive,
}

/// The whole file, with no writer at work.
pub(super) fn read(path: &Path) -> io::Result<(SecretBytes, fs::Metadata)> {
    let mut file = open_locked(path, Access::Shared)?;
    let bytes = read_all(&mut file)?;
    let metadata = file.metadata()?;
    Ok((bytes, metadata))
}

/// Changes the file in place.
pub(super) fn edit(
    path: &Path,
    change: impl FnOnce(&Keytab) -> KeytabEdit,
) -> Result<(), StoreError> {
    let mut file = open_locked(path, Access::Exclusive).map_err(|error| told(path, &error))?;
    let bytes = read_all(&mut file).map_err(|error| told(path, &error))?;
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
    write(&mut file, &stages).map_err(|error| told(path, &error))
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

fn open_locked(path: &Path, access: Access) -> io::Result<File> {
    let begun = Instant::now();
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(access == Access::Exclusive)
            .open(path)?;
        if lock(&file, access)? {
            // Whoever wrote the keytab anew put another file in the place of the one that was waited for.
            if is_same_file(&file.metadata()?, &fs::metadata(path)?) {
                return Ok(file);
            }
        } else {
            std::thread::sleep(LOCK_PAUSE);
        }
        if begun.elapsed() > LOCK_WAIT {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another program has locked it for ten seconds; end that program, or try again",
            ));
        }
    }
}

fn read_all(file: &mut File) -> io::Result<SecretBytes> {
    let length = file.metadata()?.len();
    if length > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file has more than {MAX_FILE} bytes"),
        ));
    }
    // In one piece, so that growth leaves no half of a key behind.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(length).read_to_end(&mut bytes)?;
    Ok(SecretBytes::from(bytes))
}

/// Each stage is on the disk before the next begins. What a failing one leaves behind the entries does
/// not count, and is overwritten by the next writer.
fn write(file: &mut File, stages: &[Vec<KeytabWrite>]) -> io::Result<()> {
    for stage in stages {
        for write in stage {
            file.seek(SeekFrom::Start(write.offset as u64))?;
            file.write_all(write.bytes.expose())?;
        }
        file.sync_data()?;
    }
    Ok(())
}

/// MIT's lock on the whole file (its `krb5_lock_file`): of the open file where the system has that, as
/// the locks of a process end whenever any of its threads closes the file. `false`: somebody else has it.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
fn lock(file: &File, access: Access) -> io::Result<bool> {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    let kind = match access {
        Access::Shared => libc::F_RDLCK,
        Access::Exclusive => libc::F_WRLCK,
    };
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_possible_truncation,
        reason = "the constants' type is the system's choice, their values are below 10"
    )]
    let whole = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let of_process = || fcntl(file, FcntlArg::F_SETLK(&whole));
    #[cfg(not(target_os = "macos"))]
    let taken = match fcntl(file, FcntlArg::F_OFD_SETLK(&whole)) {
        Err(Errno::EINVAL) => of_process(),
        taken => taken,
    };
    #[cfg(target_os = "macos")]
    let taken = of_process();
    match taken {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The system's own lock on the whole file.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
fn lock(file: &File, access: Access) -> io::Result<bool> {
    use std::fs::TryLockError;

    let taken = match access {
        Access::Shared => file.try_lock_shared(),
        Access::Exclusive => file.try_lock(),
    };
    match taken {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Why the file cannot be used, in the store's words.
pub(super) fn told(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::NoKeytab {
            reason: format!("there is no file {}", path.display()),
        },
        _ => unusable(path, error),
    }
}

pub(super) fn unusable(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unusable {
        place: format!("FILE:{}", path.display()),
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
            let keytab = path.display().to_string();
            tracing::warn!(
                keytab = keytab.as_str(),
                "Every user of this machine may use the keys of {keytab}; run: chmod o= {keytab}"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (path, metadata);
}

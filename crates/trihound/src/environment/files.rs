use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trihound_krb5::ProfileSource;

use super::ccache::CacheVersion;
use super::lock::{LockMode, LockedFile};

/// The largest configuration, keytab or cache file that is read. A real one has kilobytes; a cache
/// of ten thousand large tickets still fits.
pub(crate) const MAX_FILE: u64 = 64 << 20;

/// Lends the file system to the krb5.conf parser.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileProfileSource;

impl ProfileSource for FileProfileSource {
    fn read(&self, path: &str) -> Result<String, String> {
        let bytes = read_bounded(Path::new(path)).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(directory).map_err(|error| error.to_string())?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| error.to_string())?;
            // A name that is not UTF-8 cannot match krb5.conf(5)'s rule for included names.
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Reads a whole file of at most [`MAX_FILE`] bytes.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // In one piece, so that growth leaves no half of a secret behind.
    let room = file.metadata()?.len().min(MAX_FILE).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if read as u64 > MAX_FILE {
        return Err(too_large());
    }
    Ok(bytes)
}

pub(crate) fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("the file has more than {MAX_FILE} bytes"),
    )
}

/// A value that differs once the file may have changed; `None` when there is no file, or while only
/// reading tells: one that was changed just now may change once more within the same tick of the file
/// system's clock, and look as before.
pub(crate) fn version(path: &Path) -> io::Result<Option<CacheVersion>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let modified = metadata.modified()?;
    // A time ahead of ours is another machine's, or ours was set back.
    let age = SystemTime::now()
        .duration_since(modified)
        .unwrap_or_default();
    if age < SETTLED {
        return Ok(None);
    }
    let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
    #[cfg(unix)]
    let (device, inode, changed) = {
        use std::os::unix::fs::MetadataExt;
        let changed = metadata.ctime().wrapping_mul(1_000_000_000);
        let changed = changed.wrapping_add(metadata.ctime_nsec());
        (metadata.dev(), metadata.ino(), changed.cast_unsigned())
    };
    #[cfg(not(unix))]
    let (device, inode, changed) = (0, 0, 1);
    let parts = [device, inode, metadata.len(), modified, changed];
    Ok(Some(CacheVersion::new(parts)))
}

/// How long ago the last change must be to be told from the next: the clocks of file systems tick
/// every few milliseconds, FAT's every two seconds.
const SETTLED: Duration = Duration::from_millis(if cfg!(unix) { 100 } else { 2_500 });

/// Makes a directory for its owner alone, if it is not there.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    let made = {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    };
    #[cfg(not(unix))]
    let made = fs::create_dir(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Writes a file whole or not at all, readable by its owner only: into a new file beside it, which
/// is then renamed over it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, |_| Ok(()))
}

/// As [`write_atomically`], over a file that is there and keeps its owner, its group and its mode: whoever could read
/// it reads on. Where they cannot be given, nothing is changed.
pub(crate) fn write_in_place_of(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, |new| {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let (old, own) = (fs::metadata(path)?, new.metadata()?);
            if (old.uid(), old.gid()) != (own.uid(), own.gid()) {
                fchown(new, Some(old.uid()), Some(old.gid()))?;
            }
            new.set_permissions(old.permissions())?;
        }
        #[cfg(not(unix))]
        let _ = new;
        Ok(())
    })
}

fn replace(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let (temporary, mut file) = create_beside(path)?;
    let written = prepare(&file)
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What failed is told; a leftover file is only untidy.
        let _ = fs::remove_file(&temporary);
    }
    written
}

pub(crate) fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?
        .to_string_lossy();
    let mut options = OpenOptions::new();
    // `create_new` follows no link that somebody else put there.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for attempt in 0..100 {
        let candidate = directory.join(format!(".{name}.{}.{attempt}", std::process::id()));
        match options.open(&candidate) {
            Ok(file) => return Ok((candidate, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "a hundred temporary files of other writers are in the way",
    ))
}

/// What a credential cache of any version begins with.
const CACHE_FORMAT: u8 = 5;

/// Overwrites a credential cache with zeros and removes it. On a journaling or copying file system
/// the old blocks may survive; the file's own content does not.
///
/// Its directory may be one where others can write, such as `/tmp`, so that what bears the name may
/// be theirs: a link is refused, and so is a file that is no credential cache; a file with a second
/// name is removed under this one and keeps its contents under the other.
pub(crate) fn destroy(path: &Path) -> io::Result<()> {
    let named = fs::symlink_metadata(path)?;
    if !named.is_file() {
        return Err(not_a_cache(
            "it is a link or no file; nothing was destroyed",
        ));
    }
    let mut locked = LockedFile::open(path, LockMode::Exclusive)?;
    let file = locked.file();
    let opened = file.metadata()?;
    if !is_same_file(&named, &opened) {
        return Err(not_a_cache(
            "it was exchanged just now; nothing was destroyed",
        ));
    }
    let mut first = [0];
    if file.read(&mut first)? > 0 && first != [CACHE_FORMAT] {
        return Err(not_a_cache(
            "it is no credential cache; nothing was destroyed",
        ));
    }
    if !has_one_name(&opened) {
        return fs::remove_file(path);
    }
    // A file without blocks can be of any length, and another's would fill the disk with zeros.
    if opened.len() > MAX_FILE && !is_own(&opened) {
        return Err(too_large());
    }
    // Nobody is to find zeros under the name; Windows removes no file that is open elsewhere, and
    // then at least its content is gone.
    let removed = fs::remove_file(path);
    file.rewind()?;
    overwrite(file, opened.len())?;
    removed
}

fn not_a_cache(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

#[cfg(unix)]
pub(crate) fn is_same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
pub(crate) fn is_same_file(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

#[cfg(unix)]
fn has_one_name(file: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) == 1
}

#[cfg(not(unix))]
fn has_one_name(_: &fs::Metadata) -> bool {
    true
}

#[cfg(unix)]
fn is_own(file: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(file) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata) -> bool {
    true
}

fn overwrite(file: &mut File, length: u64) -> io::Result<()> {
    let mut left = length;
    let zeros = [0; 4096];
    while left > 0 {
        let length = left.min(zeros.len() as u64);
        let piece = usize::try_from(length).unwrap_or(zeros.len());
        file.write_all(zeros.get(..piece).unwrap_or(&zeros))?;
        left -= length;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_written_anew_keeps_its_owner_and_its_mode() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let path = std::env::temp_dir().join(format!("trihound-in-place-{}", std::process::id()));
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // Only root can give a file away.
        let _ = chown(&path, Some(1), Some(1));
        let before = fs::metadata(&path).unwrap();
        write_in_place_of(&path, b"new").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            (before.uid(), before.gid(), before.mode()),
            (after.uid(), after.gid(), after.mode())
        );
        fs::remove_file(&path).unwrap();
    }

    /// Conformance row 116: mode 0600, and never half a file.
    #[test]
    fn a_written_file_is_whole_and_private() {
        let directory = std::env::temp_dir().join(format!("trihound-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("cache");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(read_bounded(&path).unwrap(), b"two");
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(&directory).unwrap().count(),
            1,
            "no temporary file stays"
        );
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let directory = std::env::temp_dir().join(format!("trihound-gone-{}", std::process::id()));
        let error = write_atomically(&directory.join("cache"), b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_destroyed_cache_is_gone_and_its_bytes_too() {
        let directory = std::env::temp_dir().join(format!("trihound-end-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("cache");
        for bytes in [&b""[..], b"\x05\x04secret", &[5; 10_000]] {
            fs::write(&path, bytes).unwrap();
            #[cfg(unix)]
            let open = File::open(&path).unwrap();
            destroy(&path).unwrap();
            assert!(!path.exists());
            #[cfg(unix)]
            {
                let mut left = Vec::new();
                (&open).read_to_end(&mut left).unwrap();
                assert_eq!(left, vec![0; bytes.len()]);
            }
        }
        assert_eq!(destroy(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(&directory).unwrap();
    }

    /// Only root can make a file another user's.
    #[cfg(unix)]
    #[test]
    fn a_vast_file_of_another_user_fills_no_disk_with_zeros() {
        let path = std::env::temp_dir().join(format!("trihound-vast-{}", std::process::id()));
        fs::write(&path, b"\x05\x04").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(MAX_FILE + 1).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            let error = destroy(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
            assert_eq!(fs::metadata(&path).unwrap().len(), MAX_FILE + 1);
        }
        fs::remove_file(&path).unwrap();
    }

    /// Somebody else may have put something of that name into a directory for all.
    #[test]
    fn what_is_no_cache_is_not_destroyed() {
        let directory = std::env::temp_dir().join(format!("trihound-trap-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (victim, path) = (directory.join("victim"), directory.join("cache"));
        fs::write(&victim, b"a letter").unwrap();
        assert_eq!(
            destroy(&victim).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(
            destroy(&directory).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(fs::read(&victim).unwrap(), b"a letter");
        #[cfg(unix)]
        {
            // Even a cache: the link leads to another name than the one that was given.
            fs::write(&victim, b"\x05\x04 of another").unwrap();
            std::os::unix::fs::symlink(&victim, &path).unwrap();
            assert_eq!(
                destroy(&path).unwrap_err().kind(),
                io::ErrorKind::InvalidInput
            );
            fs::remove_file(&path).unwrap();
            fs::hard_link(&victim, &path).unwrap();
            destroy(&path).unwrap();
            assert!(!path.exists());
            assert_eq!(fs::read(&victim).unwrap(), b"\x05\x04 of another");
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}

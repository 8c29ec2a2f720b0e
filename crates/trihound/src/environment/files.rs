use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use trihound_krb5::ProfileSource;

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
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file has more than {MAX_FILE} bytes"),
        ));
    }
    Ok(bytes)
}

/// Writes a file whole or not at all, readable by its owner only: into a new file beside it, which
/// is then renamed over it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (temporary, mut file) = create_beside(path)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What failed is told; a leftover file is only untidy.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
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

/// Overwrites a file with zeros and removes it. On a journaling or copying file system the old
/// blocks may survive; the file's own content does not.
pub(crate) fn destroy(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    let zeros = [0; 4096];
    while left > 0 {
        let length = left.min(zeros.len() as u64);
        let piece = usize::try_from(length).unwrap_or(zeros.len());
        file.write_all(zeros.get(..piece).unwrap_or(&zeros))?;
        left -= length;
    }
    file.sync_all()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

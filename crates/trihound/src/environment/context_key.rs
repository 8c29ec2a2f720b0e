//! The key under which exported contexts are sealed, where several processes share one:
//! TRIHOUND_CONTEXT_KEY_FILE.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use trihound_secret::{SecretArray, SecretBytes};

use crate::{ContextKey, ContextKeys};

use super::files::read_bounded;
use super::values::variable;

/// Files of keys, with the separator of PATH between them; the first seals, every one opens.
const KEY_FILES: &str = "TRIHOUND_CONTEXT_KEY_FILE";

/// Why the key of exported contexts cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContextKeyError {
    /// A file cannot be read.
    #[error(
        "the key of exported contexts in {path} cannot be read: {reason}; check TRIHOUND_CONTEXT_KEY_FILE, and that \
         this program's user may read the file"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// A file is no key.
    #[error(
        "{path} has {length} bytes, and a key of exported contexts has {needed}: make one with \
         `head -c {needed} /dev/urandom`",
        needed = ContextKey::LENGTH
    )]
    Length {
        /// The file.
        path: String,
        /// Its length.
        length: usize,
    },
    /// Anybody on this machine could read or change the contexts of others.
    #[error(
        "{path} can be read or written by everybody (mode {mode:03o}), so that its key is no secret; draw another one \
         and give it mode 600"
    )]
    Open {
        /// The file.
        path: String,
        /// Its mode's last nine bits.
        mode: u32,
    },
    /// The key cannot be used.
    #[error("{path}: {source}")]
    Unusable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: trihound_sspi::Error,
    },
}

/// The keys of TRIHOUND_CONTEXT_KEY_FILE; `None` where it is not set, or not ours to follow.
///
/// A file has the 32 bytes of one key. Of several, with the separator of PATH between them, the first seals and every
/// one opens.
///
/// # Errors
///
/// [`ContextKeyError`].
pub fn context_keys() -> Result<Option<Arc<ContextKeys>>, ContextKeyError> {
    let Some(value) = variable(KEY_FILES) else {
        return Ok(None);
    };
    keys_of(std::env::split_paths(&value))
}

fn keys_of(
    files: impl Iterator<Item = PathBuf>,
) -> Result<Option<Arc<ContextKeys>>, ContextKeyError> {
    let mut keys: Option<ContextKeys> = None;
    for path in files.filter(|path| !path.as_os_str().is_empty()) {
        let key = read(&path)?;
        keys = Some(match keys {
            None => ContextKeys::new(key),
            Some(keys) => keys.also_opening(key),
        });
    }
    Ok(keys.map(Arc::new))
}

fn read(path: &Path) -> Result<ContextKey, ContextKeyError> {
    let shown = || path.display().to_string();
    let unreadable = |error: std::io::Error| ContextKeyError::Unreadable {
        path: shown(),
        reason: error.to_string(),
    };
    check_mode(path)?;
    let bytes = SecretBytes::from(read_bounded(path).map_err(unreadable)?);
    let mut key = SecretArray::from([0; ContextKey::LENGTH]);
    if bytes.len() != ContextKey::LENGTH {
        return Err(ContextKeyError::Length {
            path: shown(),
            length: bytes.len(),
        });
    }
    key.expose_mut().copy_from_slice(bytes.expose());
    ContextKey::new(&key).map_err(|source| ContextKeyError::Unusable {
        path: shown(),
        source,
    })
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), ContextKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path).map_err(|error| ContextKeyError::Unreadable {
        path: path.display().to_string(),
        reason: error.to_string(),
    })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(ContextKeyError::Open {
            path: path.display().to_string(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<(), ContextKeyError> {
    Ok(())
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use trihound_sspi::{ContextSealer, SecurityStatus};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("trihound-key-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn keys(files: &[&PathBuf]) -> Arc<ContextKeys> {
        keys_of(files.iter().map(|path| (*path).clone()))
            .unwrap()
            .unwrap()
    }

    #[test]
    fn the_first_key_seals_and_every_one_opens() {
        let folder = Folder::new("order");
        let (old, new) = (
            folder.file("old", &[1; 32], 0o600),
            folder.file("new", &[2; 32], 0o640),
        );
        let image = SecretBytes::from(&b"image"[..]);
        let sealed = keys(&[&old]).seal("Kerberos", &image).unwrap();
        let both = keys(&[&new, &old]);
        assert_eq!(
            both.open("Kerberos", &sealed).unwrap().expose(),
            image.expose()
        );
        let sealed = both.seal("Kerberos", &image).unwrap();
        let error = keys(&[&old]).open("Kerberos", &sealed).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_MESSAGE_ALTERED);
    }

    #[test]
    fn a_file_that_is_no_key_or_no_secret_is_refused() {
        let folder = Folder::new("refused");
        let short = folder.file("short", &[1; 31], 0o600);
        let long = folder.file("long", &[1; 33], 0o600);
        for (path, length) in [(&short, 31), (&long, 33)] {
            let error = keys_of([path.clone()].into_iter()).unwrap_err();
            assert!(
                matches!(&error, ContextKeyError::Length { length: found, .. } if *found == length),
                "{error}"
            );
        }
        for mode in [0o604, 0o602, 0o644] {
            let open = folder.file("open", &[1; 32], mode);
            let error = keys_of([open].into_iter()).unwrap_err();
            assert!(
                matches!(&error, ContextKeyError::Open { mode: found, .. } if *found == mode),
                "{error}"
            );
        }
        let error = keys_of([folder.0.join("nowhere")].into_iter()).unwrap_err();
        assert!(
            matches!(error, ContextKeyError::Unreadable { .. }),
            "{error}"
        );
    }

    #[test]
    fn no_file_is_no_key() {
        assert!(keys_of(core::iter::empty()).unwrap().is_none());
        assert!(keys_of([PathBuf::new()].into_iter()).unwrap().is_none());
    }
}

//! Whose a cache file is. A directory such as `/tmp` is everybody's, so that what bears a cache's name
//! may be another user's, who would read the tickets that are written there, or lend his own.

#[cfg(unix)]
use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::environment::lock::{LockMode, open_regular};

/// Who has chosen the cache's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The user, with KRB5CCNAME or `-c`, or the program.
    ByUser,
    /// Nobody: it is krb5.conf's or the built-in one, which everybody can foresee.
    ByDefault,
}

/// Opens a cache file, or a part of a collection, if it is this user's or root's.
///
/// Root may read another user's if it was named. Nobody writes into another user's.
pub(crate) fn open(path: &Path, mode: LockMode, chosen: Chosen) -> io::Result<File> {
    #[cfg(unix)]
    {
        let own = rustix::process::geteuid().as_raw();
        unix::admit_link(path, chosen, own)?;
        let file = open_regular(path, mode)?;
        let metadata = file.metadata()?;
        unix::admit_owner(&metadata, mode, chosen, own)?;
        // Somebody may have put a link there since it was looked for.
        unix::admit_link(path, chosen, own)?;
        Ok(file)
    }
    #[cfg(not(unix))]
    {
        let _ = chosen;
        open_regular(path, mode)
    }
}

/// Tells when other users of the machine may use the tickets.
pub(super) fn warn_if_open_to_others(cache: &dyn std::fmt::Display, file: &File) {
    #[cfg(unix)]
    if let Ok(metadata) = file.metadata()
        && std::os::unix::fs::MetadataExt::mode(&metadata) & 0o066 != 0
    {
        tracing::warn!(
            %cache,
            "Other users of this machine may use the tickets of {cache}; run chmod go= on its file, \
             and log in again if they should not have had them"
        );
    }
    #[cfg(not(unix))]
    let _ = (cache, file);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::MetadataExt;

    use super::{Chosen, LockMode, Path, fs, io};

    const WRITABLE_BY_ALL: u32 = 0o002;

    fn refused(reason: String) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, reason)
    }

    /// A link is followed if it is this user's or root's; where everybody can write and nobody chose
    /// the name, not at all.
    pub(super) fn admit_link(path: &Path, chosen: Chosen, own: u32) -> io::Result<()> {
        let named = fs::symlink_metadata(path)?;
        if !named.is_symlink() {
            return Ok(());
        }
        let owner = named.uid();
        if owner != own && owner != 0 {
            return Err(refused(format!(
                "it is a link that belongs to user {owner} and leads wherever that user likes; \
                 remove it, or name the file itself with KRB5CCNAME or -c"
            )));
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let is_open = fs::metadata(directory)?.mode() & WRITABLE_BY_ALL != 0;
        if chosen == Chosen::ByDefault && is_open {
            return Err(refused(
                "it is a link in a directory that everybody writes to; remove it, or name the file \
                 itself with KRB5CCNAME or -c"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    pub(super) fn admit_owner(
        file: &fs::Metadata,
        mode: LockMode,
        chosen: Chosen,
        own: u32,
    ) -> io::Result<()> {
        let owner = file.uid();
        if owner == own || owner == 0 {
            return Ok(());
        }
        if own == 0 && mode == LockMode::Shared && chosen == Chosen::ByUser {
            return Ok(());
        }
        Err(refused(match mode {
            LockMode::Exclusive => format!(
                "it belongs to user {owner}, who would read the tickets that are written there; \
                 remove it, name a cache of yours with KRB5CCNAME or -c, or work as that user"
            ),
            LockMode::Shared => format!(
                "it belongs to user {owner}, who may have put tickets there for you to use; remove \
                 it, name a cache of yours with KRB5CCNAME or -c, or work as that user"
            ),
        }))
    }
}

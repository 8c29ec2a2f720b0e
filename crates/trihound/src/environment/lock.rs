//! Files under the lock that MIT's programs take.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use trihound_secret::SecretBytes;

use super::files::{MAX_FILE, is_same_file, too_large};

/// How long another program is waited for: it holds the lock for as long as it takes to write a
/// ticket. One that hangs must not hang everybody.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// What is going to be done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// It is read, by any number at once.
    Shared,
    /// It is changed, by one alone.
    Exclusive,
}

/// A file that is locked until it is dropped.
#[derive(Debug)]
pub(crate) struct LockedFile {
    file: File,
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    _turn: turns::Turn,
}

impl LockedFile {
    /// Opens a file and waits for its lock.
    ///
    /// Whoever makes a cache anew puts another file in its place, so that the lock may turn out to be
    /// one of a file that is gone; then the wait begins anew.
    pub(crate) fn open(path: &Path, mode: LockMode) -> io::Result<Self> {
        Self::open_with(path, mode, || open_regular(path, mode))
    }

    /// As [`Self::open`], with a way of opening that may refuse what bears the name.
    pub(crate) fn open_with(
        path: &Path,
        mode: LockMode,
        open: impl Fn() -> io::Result<File>,
    ) -> io::Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
            let turn = turns::take(deadline)?;
            let file = open()?;
            while !try_lock(&file, mode)? {
                if Instant::now() >= deadline {
                    return Err(timed_out());
                }
                std::thread::sleep(PAUSE);
            }
            if is_same_file(&file.metadata()?, &fs::metadata(path)?) {
                return Ok(Self {
                    file,
                    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
                    _turn: turn,
                });
            }
            if Instant::now() >= deadline {
                return Err(timed_out());
            }
        }
    }

    /// The whole content.
    pub(crate) fn read(&mut self) -> io::Result<SecretBytes> {
        let length = self.file.metadata()?.len();
        if length > MAX_FILE {
            return Err(too_large());
        }
        // In one piece, so that growth leaves no half of a secret behind.
        let mut bytes = Vec::with_capacity(usize::try_from(length + 1).unwrap_or_default());
        self.file.rewind()?;
        (&self.file).take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(too_large());
        }
        Ok(SecretBytes::from(bytes))
    }

    /// Writes over what is there, or behind it.
    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }

    /// Cuts the file.
    pub(crate) fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    /// The open file.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }
}

fn timed_out() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "another program has held the file's lock for ten seconds; find it with fuser or lsof, \
         and end it",
    )
}

/// A directory for all may have a pipe of that name in it, which would wait for a writer forever.
pub(crate) fn open_regular(path: &Path, mode: LockMode) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(mode == LockMode::Exclusive);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits(),
    );
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    Ok(file)
}

/// Takes the lock if it is free (MIT's `krb5_lock_file`): of the whole file, and of the open file
/// rather than of the process where the system has that.
#[cfg(unix)]
fn try_lock(file: &File, mode: LockMode) -> io::Result<bool> {
    use nix::errno::Errno;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    use nix::fcntl::FcntlArg::F_OFD_SETLK as SET_LOCK;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    use nix::fcntl::FcntlArg::F_SETLK as SET_LOCK;
    use nix::libc;

    #[allow(
        clippy::cast_possible_truncation,
        reason = "the types of these small constants differ between systems"
    )]
    let lock = libc::flock {
        l_type: match mode {
            LockMode::Shared => libc::F_RDLCK,
            LockMode::Exclusive => libc::F_WRLCK,
        } as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match nix::fcntl::fcntl(file, SET_LOCK(&lock)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn try_lock(file: &File, mode: LockMode) -> io::Result<bool> {
    let taken = match mode {
        LockMode::Shared => file.try_lock_shared(),
        LockMode::Exclusive => file.try_lock(),
    };
    match taken {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Where locks are the process's, they do not keep its own threads apart, and end when any of them
/// closes the file: so one thread at a time has such a file open.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod turns {
    use std::io;
    use std::sync::{Mutex, MutexGuard, TryLockError};
    use std::time::Instant;

    static TURN: Mutex<()> = Mutex::new(());

    pub(super) type Turn = MutexGuard<'static, ()>;

    pub(super) fn take(deadline: Instant) -> io::Result<Turn> {
        loop {
            match TURN.try_lock() {
                Ok(turn) => return Ok(turn),
                // There is nothing behind it that a panic could have left half done.
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(super::timed_out());
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(super::PAUSE),
            }
        }
    }
}

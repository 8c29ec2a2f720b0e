//! Whether the environment is that of somebody with fewer rights than the program has.

/// Whether the process runs with more rights than whoever started it: then the variables of its environment
/// must not choose its files, and those of this library count as not set.
///
/// On Linux it does when the kernel says so (AT_SECURE of the auxiliary vector, as `secure_getenv` of the
/// C library has it: set-user-ID, set-group-ID, file capabilities, a change of the security domain), also if
/// the program has given the rights up since; and on every Unix while its real and effective user or group
/// differ. A service that root started and that has become another user since does not.
#[must_use]
pub fn is_privileged() -> bool {
    #[cfg(unix)]
    {
        if numbers_differ() {
            return true;
        }
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if linux::was_started_secure() {
        return true;
    }
    false
}

/// Whether the real user or group is another than the effective one. A thread that acts as a client of the process
/// has the answer of the process.
#[cfg(unix)]
fn numbers_differ() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    #[cfg(target_os = "linux")]
    if let Some(differ) = super::account::own_numbers_differ() {
        return differ;
    }
    getuid() != geteuid() || getgid() != getegid()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::OnceLock;
    use std::{fs, io};

    use rustix::io::Errno;

    /// The entry for "treat securely" (Linux, `include/uapi/linux/auxvec.h`).
    const AT_SECURE: usize = 23;

    /// The modes of a program that runs as its owner or its group.
    const SET_ID: u32 = 0o6000;

    const WORD: usize = size_of::<usize>();

    /// What AT_SECURE was when the program was started, which nothing changes.
    pub(super) fn was_started_secure() -> bool {
        static SECURE: OnceLock<bool> = OnceLock::new();
        *SECURE.get_or_init(|| {
            decide(fs::read("/proc/self/auxv"), || {
                gives_rights(Path::new("/proc/self/exe"))
            })
        })
    }

    /// A process that may not be dumped cannot read its vector. Such are those that were started secure, but
    /// also every service that root started and that has become another user: the program's file tells
    /// them apart. Without a /proc nothing more than the numbers can be known.
    pub(super) fn decide(auxv: io::Result<Vec<u8>>, file_gives_rights: impl Fn() -> bool) -> bool {
        match auxv {
            Ok(vector) => secure(&vector).unwrap_or_else(file_gives_rights),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(_) => file_gives_rights(),
        }
    }

    /// AT_SECURE of pairs of words, type and value; `None` if it is not there.
    pub(super) fn secure(vector: &[u8]) -> Option<bool> {
        let mut words = vector
            .chunks_exact(WORD)
            .filter_map(|word| word.try_into().ok().map(usize::from_ne_bytes));
        while let (Some(kind), Some(value)) = (words.next(), words.next()) {
            if kind == AT_SECURE {
                return Some(value != 0);
            }
        }
        None
    }

    /// Whether a program's file gives rights to whoever starts it; if that cannot be known, it may.
    pub(super) fn gives_rights(program: &Path) -> bool {
        let Ok(metadata) = fs::metadata(program) else {
            return true;
        };
        if metadata.permissions().mode() & SET_ID != 0 {
            return true;
        }
        // The length is what is asked for.
        let nothing: &mut [u8] = &mut [];
        !matches!(
            rustix::fs::getxattr(program, "security.capability", nothing),
            Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS)
        )
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::cell::Cell;
    use std::fs::{self, Permissions};
    use std::io::{Error, ErrorKind};
    use std::os::unix::fs::PermissionsExt;

    use super::linux::{decide, gives_rights, secure};
    use super::*;

    fn vector(entries: &[(usize, usize)]) -> Vec<u8> {
        let words = entries.iter().flat_map(|&(kind, value)| [kind, value]);
        words.flat_map(usize::to_ne_bytes).collect()
    }

    #[test]
    fn what_the_kernel_says_counts() {
        assert_eq!(secure(&vector(&[(6, 4096), (23, 0), (0, 0)])), Some(false));
        assert_eq!(secure(&vector(&[(6, 4096), (23, 1), (0, 0)])), Some(true));
        // A value is no type.
        assert_eq!(secure(&vector(&[(11, 23), (12, 1), (0, 0)])), None);
        assert_eq!(secure(&vector(&[(23, 1)])[..size_of::<usize>()]), None);
        assert_eq!(secure(&[]), None);
        for (said, rights) in [(0, true), (1, false)] {
            let decided = decide(Ok(vector(&[(23, said)])), || rights);
            assert_eq!(decided, said == 1, "the file is not asked");
        }
    }

    #[test]
    fn a_process_that_may_not_read_its_vector_is_known_by_its_file() {
        for rights in [false, true] {
            let asked = Cell::new(0);
            let gives = || {
                asked.set(asked.get() + 1);
                rights
            };
            let denied = Err(Error::from(ErrorKind::PermissionDenied));
            assert_eq!(decide(denied, gives), rights);
            assert_eq!(decide(Ok(Vec::new()), gives), rights);
            assert_eq!(asked.get(), 2);
            let no_proc = Err(Error::from(ErrorKind::NotFound));
            assert!(!decide(no_proc, gives));
            assert_eq!(asked.get(), 2);
        }
    }

    #[test]
    fn files_that_give_rights_are_known() {
        let path = std::env::temp_dir().join(format!("trihound-rights-{}", std::process::id()));
        fs::write(&path, b"x").unwrap();
        for (mode, gives) in [(0o755, false), (0o4755, true), (0o2755, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(gives_rights(&path), gives, "{mode:o}");
        }
        fs::remove_file(&path).unwrap();
        assert!(gives_rights(&path), "unknown");
    }

    #[test]
    fn this_program_is_not_privileged() {
        assert!(!is_privileged());
    }
}

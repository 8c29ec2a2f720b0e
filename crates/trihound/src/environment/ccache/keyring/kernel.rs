//! The kernel's keys: the few calls that are needed, and the ways in which a key is not there.

use std::io;
use std::num::NonZeroI32;

use rustix::io::Errno;
use trihound_secret::SecretBytes;

/// As long as a payload may be: the kernel takes big keys below one mebibyte.
const MAX_PAYLOAD: usize = 1 << 20;

/// A key or keyring by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serial(NonZeroI32);

/// Keyrings that every process has (keyctl(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Special {
    Thread = -1,
    Process = -2,
    Session = -3,
    User = -4,
    UserSession = -5,
}

impl Special {
    pub(super) fn serial(self) -> Serial {
        // Not one of the numbers is zero.
        Serial(NonZeroI32::new(self as i32).unwrap_or(NonZeroI32::MIN))
    }
}

/// Types of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Keyring,
    User,
    /// In shared memory that may be swapped out, encrypted; not every kernel has them.
    BigKey,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::User => "user",
            Self::BigKey => "big_key",
        }
    }
}

fn told(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// Whether an error says that a key is gone, or cannot be seen.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::NOKEY | Errno::KEYEXPIRED | Errno::KEYREVOKED | Errno::ACCESS)
    )
}

fn is(error: &io::Error, number: Errno) -> bool {
    error.raw_os_error() == Some(number.raw_os_error())
}

/// Texts with a zero in them are no descriptions; the crate beneath would panic.
fn text(description: &str) -> io::Result<&str> {
    if description.contains('\0') {
        return Err(Errno::INVAL.into());
    }
    Ok(description)
}

/// A key by its type and description, in a keyring and the keyrings in it; with `possess` it is
/// linked from there, which gives the rights that its owner's possession gives.
pub(super) fn search(
    ring: Serial,
    kind: Kind,
    description: &str,
    possess: Option<Special>,
) -> io::Result<Option<Serial>> {
    let destination = possess.map(|special| special.serial().0);
    match keyutils_raw::keyctl_search(ring.0, kind.name(), text(description)?, destination) {
        Ok(serial) => Ok(Some(Serial(serial))),
        Err(error) => match told(error.0) {
            error if is_gone(&error) => Ok(None),
            error => Err(error),
        },
    }
}

/// Adds a key to a keyring, in the place of one of the same type and description. A keyring comes
/// without a payload.
pub(super) fn add(
    ring: Serial,
    kind: Kind,
    description: &str,
    payload: &[u8],
) -> io::Result<Serial> {
    keyutils_raw::add_key(kind.name(), text(description)?, payload, ring.0)
        .map(Serial)
        .map_err(|error| told(error.0))
}

/// Adds the key of a ticket: a big key where the kernel has those.
pub(super) fn add_ticket(
    ring: Serial,
    description: &str,
    payload: &[u8],
    is_legacy: bool,
) -> io::Result<Serial> {
    if !is_legacy {
        match add(ring, Kind::BigKey, description, payload) {
            // As MIT: these two tell of a kernel without big keys.
            Err(error) if is(&error, Errno::INVAL) || is(&error, Errno::NODEV) => {}
            answer => return answer,
        }
    }
    add(ring, Kind::User, description, payload)
}

/// The payload of a key.
pub(super) fn read(key: Serial) -> io::Result<SecretBytes> {
    let mut room = 4096;
    loop {
        let mut payload = SecretBytes::zeroed(room);
        let length = keyutils_raw::keyctl_read(key.0, Some(payload.expose_mut().into()))
            .map_err(|error| told(error.0))?;
        if length <= room {
            payload.truncate(length);
            return Ok(payload);
        }
        if length > MAX_PAYLOAD {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // It may have grown once more at the next look.
        room = length;
    }
}

/// The keys in a keyring.
pub(super) fn keys(ring: Serial) -> io::Result<Vec<Serial>> {
    let payload = read(ring)?;
    let (numbers, _) = payload.expose().as_chunks::<4>();
    let numbers = numbers.iter().map(|number| i32::from_ne_bytes(*number));
    Ok(numbers.filter_map(NonZeroI32::new).map(Serial).collect())
}

/// The description of a key, if it is a keyring.
pub(super) fn keyring_description(key: Serial) -> io::Result<Option<String>> {
    // type;uid;gid;permissions;description and a zero
    let mut room = vec![0; 4096 + 128];
    let length = keyutils_raw::keyctl_describe(key.0, Some(room.as_mut_slice().into()))
        .map_err(|error| told(error.0))?;
    let text = room.get(..length).unwrap_or(&room);
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    // What is not UTF-8 cannot be spelled in the name of a cache.
    let mut fields = std::str::from_utf8(text).unwrap_or_default().splitn(5, ';');
    let is_keyring = fields.next() == Some(Kind::Keyring.name());
    Ok(fields.nth(3).filter(|_| is_keyring).map(str::to_owned))
}

pub(super) fn clear(ring: Serial) -> io::Result<()> {
    keyutils_raw::keyctl_clear(ring.0).map_err(|error| told(error.0))
}

pub(super) fn link(key: Serial, ring: Serial) -> io::Result<()> {
    keyutils_raw::keyctl_link(key.0, ring.0).map_err(|error| told(error.0))
}

pub(super) fn unlink(key: Serial, ring: Serial) -> io::Result<()> {
    keyutils_raw::keyctl_unlink(key.0, ring.0).map_err(|error| told(error.0))
}

/// The key ends after so many seconds.
pub(super) fn set_timeout(key: Serial, seconds: u32) -> io::Result<()> {
    keyutils_raw::keyctl_set_timeout(key.0, seconds).map_err(|error| told(error.0))
}

/// The persistent keyring of a user, linked from the process's; where the kernel has none, the
/// user's own keyring for the own user.
pub(super) fn persistent(uid: Option<u32>) -> io::Result<Serial> {
    let own = rustix::process::geteuid().as_raw();
    let uid = uid.unwrap_or(own);
    match keyutils_raw::keyctl_get_persistent(uid, Special::Process.serial().0) {
        Ok(serial) => Ok(Serial(serial)),
        Err(error) => match told(error.0) {
            error if is(&error, Errno::OPNOTSUPP) && uid == own => Ok(Special::User.serial()),
            error => Err(error),
        },
    }
}

/// The keyring to write to for the session's. A process that was given none has its user's session
/// keyring; some kernels would make it a new one of its own instead, which nobody else sees.
pub(super) fn session() -> Serial {
    let id = |special: Special| keyutils_raw::keyctl_get_keyring_id(special.serial().0, false).ok();
    if id(Special::Session) == id(Special::UserSession) {
        Special::UserSession.serial()
    } else {
        Special::Session.serial()
    }
}

//! Passwords in memory that a program keeps for long: encrypted under a key that this process alone has.

use std::sync::OnceLock;

use trihound::OsRandom;
use trihound::crypto::{Enctype, EnctypePolicy, Key, KeyUsage};
use trihound::secret::SecretBytes;
use trihound::sspi::{Error, SecurityStatus};

/// What encryption adds, in bytes: a confounder and a checksum.
pub(crate) const OVERHEAD: usize = 28;

/// A number of the range that RFC 4120 section 7.5.1 leaves to applications.
const USAGE: KeyUsage = KeyUsage(1031);

fn key() -> Result<&'static Key, Error> {
    static KEY: OnceLock<Key> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key);
    }
    let enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
    let key = Key::generate(enctype, &EnctypePolicy::default(), &OsRandom)
        .map_err(|error| Error::from_source(SecurityStatus::SEC_E_INTERNAL_ERROR, error))?;
    Ok(KEY.get_or_init(|| key))
}

/// Encrypts for this process.
pub(crate) fn seal(plain: &[u8]) -> Result<SecretBytes, Error> {
    let sealed = key()?.encrypt(USAGE, plain, &OsRandom);
    sealed
        .map(SecretBytes::from)
        .map_err(|error| Error::from_source(SecurityStatus::SEC_E_ENCRYPT_FAILURE, error))
}

/// Decrypts what this process encrypted.
pub(crate) fn open(sealed: &[u8]) -> Result<SecretBytes, Error> {
    key()?.decrypt(USAGE, sealed).map_err(|error| {
        Error::new(
            SecurityStatus::SEC_E_DECRYPT_FAILURE,
            "the identity's password was not encrypted by this process, or was changed since",
        )
        .with_source(error)
    })
}

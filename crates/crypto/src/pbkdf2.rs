use sha2::{Sha256, Sha384, Sha512};

use crate::sha1_mac::pbkdf2_sha1;

/// The hash under PBKDF2's HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pbkdf2Hash {
    /// SHA-1, as RFC 3962 uses it.
    Sha1,
    /// SHA-256, as RFC 8009 uses it.
    Sha256,
    /// SHA-384, as RFC 8009 uses it.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Fills `out` with PBKDF2-HMAC of the password (RFC 8018 section 5.2).
///
/// `iterations` of 0 works as 1. There is no upper bound here: a caller that takes the count from
/// a peer bounds it first, as [`crate::Key::from_password`] does.
pub fn pbkdf2(hash: Pbkdf2Hash, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
    match hash {
        Pbkdf2Hash::Sha1 => pbkdf2_sha1(password, salt, iterations, out),
        Pbkdf2Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, out),
        Pbkdf2Hash::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(password, salt, iterations, out),
        Pbkdf2Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, out),
    }
}

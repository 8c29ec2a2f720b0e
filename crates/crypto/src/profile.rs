//! The table of enctypes: one row each, and what a row's operations are.

use trihound_secret::SecretBytes;

use crate::scatter::Scatter;
use crate::{ChecksumType, Enctype, EnctypePolicy, Error, KeyUsage, Status};
use crate::{rfc3962, rfc4757, rfc8009};

/// One enctype: its number, names, sizes in bytes, and operations (RFC 3961 section 3).
pub struct EnctypeProfile {
    /// The number.
    pub enctype: Enctype,
    /// The name that MIT krb5 prints.
    pub name: &'static str,
    /// Other names that krb5.conf may hold.
    pub aliases: &'static [&'static str],
    /// Length of a key.
    pub key_length: usize,
    /// Length of the random bytes in front of a plaintext.
    pub confounder_length: usize,
    /// Length of the checksum in a ciphertext.
    pub checksum_length: usize,
    /// The checksum type that goes with the enctype.
    pub required_checksum: ChecksumType,
    /// Every checksum type that a key of the enctype makes, the required one first.
    pub checksums: &'static [ChecksumType],
    /// Length of the pseudo-random function's output.
    pub prf_length: usize,
    /// The iteration count of string-to-key when no parameter says one; none for RC4.
    pub default_iterations: Option<u32>,
    /// What to think of it.
    pub status: Status,
    pub(crate) operations: &'static dyn Operations,
}

impl EnctypeProfile {
    /// The shortest ciphertext, that of an empty plaintext, in bytes.
    #[must_use]
    pub fn minimum_ciphertext(&self) -> usize {
        self.confounder_length.saturating_add(self.checksum_length)
    }
}

impl core::fmt::Debug for EnctypeProfile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "EnctypeProfile({})", self.name)
    }
}

/// What an enctype does with a base key, whose length has been checked.
pub(crate) trait Operations: Send + Sync {
    fn string_to_key(
        &self,
        profile: &EnctypeProfile,
        input: &StringToKey<'_>,
    ) -> Result<SecretBytes, Error>;
    fn usage(&self, key: &[u8], usage: KeyUsage) -> Result<Box<dyn UsageOperations>, Error>;
    fn prf(&self, key: &[u8], input: &[u8]) -> Result<SecretBytes, Error>;
    fn derive(&self, key: &[u8], constant: &[u8]) -> Result<SecretBytes, Error>;
}

/// What an enctype does with the keys derived for one usage.
pub(crate) trait UsageOperations: Send + Sync {
    /// Encrypts a buffer laid out as the enctype's ciphertext: confounder and plaintext in their
    /// places, the checksum's place free. Its length has been checked.
    fn encrypt(&self, buffer: &mut [u8]) -> Result<(), Error>;
    /// The inverse; what was confounder and checksum is then meaningless.
    fn decrypt(&self, buffer: &mut [u8]) -> Result<(), Error>;
    /// Writes the checksum, whose type belongs to the enctype, of the parts in order.
    fn checksum(&self, kind: ChecksumType, data: &[u8], out: &mut [u8]);
    fn seal(&self, message: &mut dyn Scatter, mac: &mut [u8]) -> Result<(), Error>;
    fn open(&self, message: &mut dyn Scatter, mac: &[u8]) -> Result<(), Error>;
    /// As [`Self::checksum`] of the required type over all segments.
    fn sign(&self, message: &mut dyn Scatter, out: &mut [u8]);
}

/// What a string-to-key function takes.
pub(crate) struct StringToKey<'a> {
    pub(crate) password: &'a [u8],
    pub(crate) salt: &'a [u8],
    pub(crate) params: Option<&'a [u8]>,
    pub(crate) policy: &'a EnctypePolicy,
}

/// The greatest iteration count that is taken from string-to-key parameters.
///
/// KDCs send 4096 (RFC 3962) or 32768 (RFC 8009), and the parameters come from a reply that is not
/// yet authenticated: this allows thirty times the greater, about a second of work, and no more.
pub const MAX_ITERATIONS: u32 = 1 << 20;

impl StringToKey<'_> {
    /// The iteration count of the parameters within its bounds, or the enctype's default.
    pub(crate) fn iterations(&self, profile: &EnctypeProfile, default: u32) -> Result<u32, Error> {
        let Some(params) = self.params else {
            return Ok(default);
        };
        // RFC 3962 section 4, RFC 8009 section 4: four bytes, big-endian (conformance row 55).
        let Ok(params) = <[u8; 4]>::try_from(params) else {
            return Err(Error::S2kParams {
                enctype: profile.enctype,
                expected: 4,
                actual: params.len(),
            });
        };
        let count = u32::from_be_bytes(params);
        let minimum = if self.policy.weak_iterations_allowed() {
            1
        } else {
            default
        };
        // RFC 3962 section 4: an implementation may refuse what is too low or too high; 0 stands for
        // 2^32 there, which is too high (conformance row 54).
        if !(minimum..=MAX_ITERATIONS).contains(&count) {
            return Err(Error::IterationCount {
                enctype: profile.enctype,
                count,
                minimum,
                maximum: MAX_ITERATIONS,
            });
        }
        Ok(count)
    }
}

/// Every supported enctype.
pub(crate) static PROFILES: [EnctypeProfile; 5] = [
    rfc3962::AES256_CTS_HMAC_SHA1_96,
    rfc3962::AES128_CTS_HMAC_SHA1_96,
    rfc8009::AES128_CTS_HMAC_SHA256_128,
    rfc8009::AES256_CTS_HMAC_SHA384_192,
    rfc4757::ARCFOUR_HMAC,
];

/// The Recommended enctypes; first those that Active Directory and every old peer have too.
pub(crate) const DEFAULT_ORDER: [Enctype; 4] = [
    Enctype::AES256_CTS_HMAC_SHA1_96,
    Enctype::AES128_CTS_HMAC_SHA1_96,
    Enctype::AES256_CTS_HMAC_SHA384_192,
    Enctype::AES128_CTS_HMAC_SHA256_128,
];

use core::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use trihound_sansio::RandomSource;
use trihound_secret::{SecretBytes, constant_time_eq, wipe};
use zeroize::Zeroizing;

use crate::profile::{EnctypeProfile, StringToKey, UsageOperations};
use crate::scatter::Scatter;
use crate::{ChecksumType, Enctype, EnctypePolicy, Error, KeyUsage};

/// How many usages' keys one key keeps. A session needs about six; a caller that walks through
/// numbers without end must not fill the memory.
const MAX_CACHED_USAGES: usize = 16;
/// The longest keyed checksum, that of aes256-cts-hmac-sha384-192, in bytes.
const MAX_CHECKSUM: usize = 24;

/// A base key with its enctype. It is wiped when dropped, and never printed.
///
/// What each key usage needs is derived once and kept, so a key that lives long costs its
/// derivations once. A key can be used by many threads at a time.
pub struct Key {
    profile: &'static EnctypeProfile,
    bytes: SecretBytes,
    usages: RwLock<Vec<Arc<UsageKey>>>,
}

impl Key {
    /// A key of these bytes.
    ///
    /// # Errors
    /// [`Error::UnknownEnctype`], [`Error::WeakEnctype`] or [`Error::NotPermitted`] by the policy;
    /// [`Error::KeyLength`].
    pub fn new(enctype: Enctype, bytes: &[u8], policy: &EnctypePolicy) -> Result<Self, Error> {
        let profile = permitted(enctype, policy)?;
        // RFC 3961 section 3, "protocol key format": each enctype has one length (conformance row 62).
        if bytes.len() != profile.key_length {
            return Err(Error::KeyLength {
                enctype,
                expected: profile.key_length,
                actual: bytes.len(),
            });
        }
        Ok(Self::from_checked(profile, SecretBytes::from(bytes)))
    }

    /// A fresh random key (RFC 3961 section 3, "key generation").
    ///
    /// # Errors
    /// As [`Self::new`], and [`Error::Random`].
    pub fn generate(
        enctype: Enctype,
        policy: &EnctypePolicy,
        random: &dyn RandomSource,
    ) -> Result<Self, Error> {
        let profile = permitted(enctype, policy)?;
        // Random-to-key is the identity for every supported enctype.
        let mut bytes = SecretBytes::zeroed(profile.key_length);
        random.fill(bytes.expose_mut())?;
        Ok(Self::from_checked(profile, bytes))
    }

    /// The key of a password (RFC 3961 section 3, "string-to-key").
    ///
    /// `s2kparams` is what the KDC sent, 4 bytes for AES; `None` is the enctype's default. The
    /// iteration count must be at least the default, or 1 if the policy allows weak counts, and at
    /// most [`crate::MAX_ITERATIONS`].
    ///
    /// # Errors
    /// As [`Self::new`]; [`Error::S2kParams`], [`Error::IterationCount`], [`Error::PasswordNotUtf8`].
    pub fn from_password(
        enctype: Enctype,
        password: &[u8],
        salt: &[u8],
        s2kparams: Option<&[u8]>,
        policy: &EnctypePolicy,
    ) -> Result<Self, Error> {
        let profile = permitted(enctype, policy)?;
        let input = StringToKey {
            password,
            salt,
            params: s2kparams,
            policy,
        };
        let bytes = profile.operations.string_to_key(profile, &input)?;
        Ok(Self::from_checked(profile, bytes))
    }

    /// A key of bytes whose enctype and length were checked.
    pub(crate) fn from_checked(profile: &'static EnctypeProfile, bytes: SecretBytes) -> Self {
        Self {
            profile,
            bytes,
            usages: RwLock::new(Vec::new()),
        }
    }

    /// The enctype.
    #[must_use]
    pub fn enctype(&self) -> Enctype {
        self.profile.enctype
    }

    /// The enctype's table row.
    #[must_use]
    pub fn profile(&self) -> &'static EnctypeProfile {
        self.profile
    }

    /// The key itself. The caller answers for what becomes of it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose()
    }

    /// A second key of the same bytes, which is wiped on its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from_checked(self.profile, self.bytes.duplicate())
    }

    /// Encrypts with a fresh confounder and appends the checksum in the enctype's layout.
    ///
    /// # Errors
    /// [`Error::Random`]; [`Error::TooLong`].
    pub fn encrypt(
        &self,
        usage: KeyUsage,
        plaintext: &[u8],
        random: &dyn RandomSource,
    ) -> Result<Vec<u8>, Error> {
        let mut confounder = Zeroizing::new([0u8; 16]);
        let confounder = confounder
            .get_mut(..self.profile.confounder_length)
            .ok_or(Error::TooLong)?;
        random.fill(confounder)?;
        self.encrypt_with_confounder(usage, confounder, plaintext)
    }

    /// As [`Self::encrypt`], with a confounder that the caller chose.
    ///
    /// # Security
    ///
    /// For known answers only: equal confounders show which messages begin alike.
    ///
    /// # Errors
    /// [`Error::ConfounderLength`]; [`Error::TooLong`].
    pub fn encrypt_with_confounder(
        &self,
        usage: KeyUsage,
        confounder: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Error> {
        if confounder.len() != self.profile.confounder_length {
            return Err(Error::ConfounderLength {
                enctype: self.enctype(),
                expected: self.profile.confounder_length,
                actual: confounder.len(),
            });
        }
        let keys = self.usage(usage)?;
        let checksum = self.profile.checksum_length;
        let mut buffer = Vec::with_capacity(self.ciphertext_length(plaintext.len()));
        if self.checksum_in_front() {
            buffer.resize(checksum, 0);
        }
        buffer.extend_from_slice(confounder);
        buffer.extend_from_slice(plaintext);
        if !self.checksum_in_front() {
            buffer.resize(buffer.len().saturating_add(checksum), 0);
        }
        if let Err(error) = keys.operations.encrypt(&mut buffer) {
            wipe(&mut buffer);
            return Err(error);
        }
        Ok(buffer)
    }

    /// Decrypts, and gives the plaintext only if the checksum holds.
    ///
    /// # Errors
    /// [`Error::CiphertextTooShort`]; [`Error::IntegrityCheckFailed`].
    pub fn decrypt(&self, usage: KeyUsage, ciphertext: &[u8]) -> Result<SecretBytes, Error> {
        let minimum = self.profile.minimum_ciphertext();
        // RFC 3961 section 5.3, RFC 4757 section 5 (conformance row 27).
        if ciphertext.len() < minimum {
            return Err(Error::CiphertextTooShort {
                enctype: self.enctype(),
                minimum,
                actual: ciphertext.len(),
            });
        }
        let keys = self.usage(usage)?;
        let mut buffer = SecretBytes::from(ciphertext);
        keys.operations.decrypt(buffer.expose_mut())?;
        let length = ciphertext.len().saturating_sub(minimum);
        let start = if self.checksum_in_front() {
            minimum
        } else {
            self.profile.confounder_length
        };
        buffer
            .expose_mut()
            .copy_within(start..start.saturating_add(length), 0);
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Length in bytes of the ciphertext of so long a plaintext.
    #[must_use]
    pub fn ciphertext_length(&self, plaintext_len: usize) -> usize {
        plaintext_len.saturating_add(self.profile.minimum_ciphertext())
    }

    /// RFC 4757 section 5 puts the checksum first, RFC 3961 section 5.3 and RFC 8009 section 5 last.
    fn checksum_in_front(&self) -> bool {
        self.enctype() == Enctype::RC4_HMAC
    }

    /// Computes a keyed checksum.
    ///
    /// # Errors
    /// [`Error::ChecksumTypeNotOfEnctype`], [`Error::UnkeyedChecksum`], [`Error::UnknownChecksum`].
    pub fn checksum(
        &self,
        usage: KeyUsage,
        kind: ChecksumType,
        data: &[u8],
    ) -> Result<Vec<u8>, Error> {
        self.check_kind(kind)?;
        let mut out = vec![0; self.profile.checksum_length];
        self.usage(usage)?.operations.checksum(kind, data, &mut out);
        Ok(out)
    }

    /// Verifies a keyed checksum in constant time.
    ///
    /// # Errors
    /// [`Error::IntegrityCheckFailed`], also for a checksum of another length; as [`Self::checksum`].
    pub fn verify_checksum(
        &self,
        usage: KeyUsage,
        kind: ChecksumType,
        data: &[u8],
        checksum: &[u8],
    ) -> Result<(), Error> {
        self.check_kind(kind)?;
        let mut expected = Zeroizing::new([0u8; MAX_CHECKSUM]);
        let expected = expected
            .get_mut(..self.profile.checksum_length)
            .ok_or(Error::TooLong)?;
        self.usage(usage)?.operations.checksum(kind, data, expected);
        // RFC 3961 section 4, "verify_mic"; compared in constant time (conformance row 18).
        if !constant_time_eq(expected, checksum) {
            return Err(Error::IntegrityCheckFailed);
        }
        Ok(())
    }

    fn check_kind(&self, kind: ChecksumType) -> Result<(), Error> {
        // RFC 3961 sections 3 and 4: a checksum type names the enctype of its key, and RFC 4120 wants
        // keyed ones (conformance rows 20 and 21).
        if !self.profile.checksums.contains(&kind) {
            return Err(kind.refusal(self.enctype()));
        }
        Ok(())
    }

    /// The checksum type that goes with the enctype.
    #[must_use]
    pub fn required_checksum(&self) -> ChecksumType {
        self.profile.required_checksum
    }

    /// The pseudo-random function (RFC 3961 section 3); [`EnctypeProfile::prf_length`] bytes.
    ///
    /// # Errors
    /// None for a key that this crate made.
    pub fn prf(&self, input: &[u8]) -> Result<SecretBytes, Error> {
        self.profile.operations.prf(self.expose(), input)
    }

    /// Derives a key from a constant: DK of RFC 3961 section 5.1, or the KDF of RFC 8009 section 3,
    /// whose output is as long as the constant's kind of key.
    ///
    /// # Errors
    /// [`Error::NotDefined`] for RC4.
    pub fn derive(&self, constant: &[u8]) -> Result<SecretBytes, Error> {
        self.profile.operations.derive(self.expose(), constant)
    }

    /// The keys of one usage, expanded: from the cache, or derived now.
    ///
    /// # Errors
    /// None for a key that this crate made.
    pub fn usage(&self, usage: KeyUsage) -> Result<Arc<UsageKey>, Error> {
        {
            let cached = self.usages.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(keys) = cached.iter().find(|keys| keys.usage == usage) {
                return Ok(Arc::clone(keys));
            }
        }
        let keys = Arc::new(UsageKey {
            profile: self.profile,
            usage,
            operations: self.profile.operations.usage(self.expose(), usage)?,
        });
        let mut cached = self.usages.write().unwrap_or_else(PoisonError::into_inner);
        if cached.len() < MAX_CACHED_USAGES && !cached.iter().any(|keys| keys.usage == usage) {
            cached.push(Arc::clone(&keys));
        }
        Ok(keys)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.enctype())
    }
}

fn permitted(enctype: Enctype, policy: &EnctypePolicy) -> Result<&'static EnctypeProfile, Error> {
    policy.check(enctype)?;
    enctype.profile().ok_or(Error::UnknownEnctype(enctype))
}

/// The keys of one usage: an expanded cipher key and the hashed pads of both MACs.
///
/// A message session holds one per direction and purpose. Its methods work in place and allocate
/// nothing.
pub struct UsageKey {
    profile: &'static EnctypeProfile,
    usage: KeyUsage,
    operations: Box<dyn UsageOperations>,
}

impl UsageKey {
    /// The enctype's table row.
    #[must_use]
    pub fn profile(&self) -> &'static EnctypeProfile {
        self.profile
    }

    /// The usage that the keys were derived for.
    #[must_use]
    pub fn key_usage(&self) -> KeyUsage {
        self.usage
    }

    /// Encrypts the sealed segments in place and writes the MAC.
    ///
    /// The first sealed bytes are the confounder, which the caller filled with random bytes. The
    /// cipher runs over the sealed segments as if they were one, whatever their lengths. The MAC runs
    /// over all segments in order: over the plaintext (RFC 3962), or over a zero IV and the ciphertext
    /// (RFC 8009). `mac` takes [`EnctypeProfile::checksum_length`] bytes.
    ///
    /// # Errors
    /// [`Error::ChecksumLength`] and [`Error::SealedTooShort`], with the message as it was;
    /// [`Error::NotDefined`] for RC4; [`Error::SegmentsChanged`].
    pub fn seal(&self, message: &mut dyn Scatter, mac: &mut [u8]) -> Result<(), Error> {
        self.check_room(mac)?;
        self.operations.seal(message, mac)
    }

    /// Verifies the MAC and decrypts the sealed segments in place.
    ///
    /// # Security
    ///
    /// On failure no plaintext is left: with the SHA-1 enctypes the sealed segments are wiped, with
    /// the SHA-2 enctypes they are as they were, since their MAC is verified first.
    ///
    /// # Errors
    /// [`Error::IntegrityCheckFailed`], also for a MAC of another length; [`Error::SealedTooShort`], with
    /// the message as it was; [`Error::NotDefined`] for RC4; [`Error::SegmentsChanged`].
    pub fn open(&self, message: &mut dyn Scatter, mac: &[u8]) -> Result<(), Error> {
        self.operations.open(message, mac)
    }

    /// Writes the keyed checksum of the enctype's required type over all segments in order.
    ///
    /// # Errors
    /// [`Error::ChecksumLength`].
    pub fn sign(&self, message: &mut dyn Scatter, mac: &mut [u8]) -> Result<(), Error> {
        self.check_room(mac)?;
        self.operations.sign(message, mac);
        Ok(())
    }

    /// Verifies what [`Self::sign`] wrote, in constant time.
    ///
    /// # Errors
    /// [`Error::IntegrityCheckFailed`], also for a checksum of another length.
    pub fn verify(&self, message: &mut dyn Scatter, mac: &[u8]) -> Result<(), Error> {
        let mut expected = Zeroizing::new([0u8; MAX_CHECKSUM]);
        let expected = expected
            .get_mut(..self.profile.checksum_length)
            .ok_or(Error::TooLong)?;
        self.operations.sign(message, expected);
        // RFC 3961 section 4, "verify_mic"; compared in constant time (conformance row 18).
        if !constant_time_eq(expected, mac) {
            return Err(Error::IntegrityCheckFailed);
        }
        Ok(())
    }

    fn check_room(&self, mac: &[u8]) -> Result<(), Error> {
        let expected = self.profile.checksum_length;
        if mac.len() != expected {
            return Err(Error::ChecksumLength {
                expected,
                actual: mac.len(),
            });
        }
        Ok(())
    }
}

impl fmt::Debug for UsageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsageKey({}, {:?})", self.profile.name, self.usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usages_without_end_do_not_fill_the_memory() {
        let enctype = Enctype::AES128_CTS_HMAC_SHA1_96;
        let key = Key::new(enctype, &[1; 16], &EnctypePolicy::default()).unwrap();
        for usage in 0..100 {
            key.usage(KeyUsage(usage)).unwrap();
        }
        assert_eq!(key.usages.read().unwrap().len(), MAX_CACHED_USAGES);
    }
}

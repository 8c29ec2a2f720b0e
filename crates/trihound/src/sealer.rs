//! The key under which exported contexts are sealed.
//!
//! ```text
//! "THXC" version(2) key's name(8) length of the package's name(1) package's name
//! confounder(16) image | MAC(24)
//! ```
//!
//! The first line is in the clear and under the MAC; the rest is aes256-cts-hmac-sha384-192 (RFC 8009 section 5).

use core::fmt;
use std::sync::{Arc, OnceLock};

use thiserror::Error;
use trihound_crypto::{
    Enctype, EnctypePolicy, Error as CryptoError, Key, KeyUsage, OsRandom, Scatter, Segment,
};
use trihound_sansio::RandomSource;
use trihound_secret::{SecretArray, SecretBytes, constant_time_eq, wipe};
use trihound_sspi::{ContextSealer, Error, SecurityStatus};

const FORMAT: [u8; 4] = *b"THXC";
const VERSION: u16 = 1;
/// Format, version, key's name, and the length of the package's.
const HEADER_LENGTH: usize = 4 + 2 + NAME_LENGTH + 1;
const NAME_LENGTH: usize = 8;
/// One AES block (RFC 8009 section 5).
const CONFOUNDER_LENGTH: usize = 16;
/// Half of HMAC-SHA-384 (RFC 8009 section 5).
const MAC_LENGTH: usize = 24;
/// RFC 4120 section 7.5.1: the numbers from 1024 on are an application's own.
const SEAL_USAGE: KeyUsage = KeyUsage(1024);
/// What a key's name is derived by (RFC 8009 section 5, the pseudo-random function).
const NAME_LABEL: &[u8] = b"name of a key for exported contexts";

/// Bytes that a sealed context does not open with. Each is SEC_E_MESSAGE_ALTERED to an SSPI caller.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// It ends too early.
    #[error(
        "the exported context has {length} bytes and at least {needed} make one; it was cut off"
    )]
    TooShort {
        /// Its length.
        length: usize,
        /// The shortest that its beginning allows.
        needed: usize,
    },
    /// It is nothing that was exported here.
    #[error("the bytes are no exported context: they begin with {found:02x?}")]
    NotSealed {
        /// Their beginning.
        found: [u8; 4],
    },
    /// It is of another version of the format.
    #[error(
        "the exported context is of version {found} of its format and this program reads {VERSION}; contexts \
         go between programs of one release"
    )]
    OtherVersion {
        /// Its version.
        found: u16,
    },
    /// It is of another package.
    #[error("the exported context is of the package {sealed_for:?} and {asked:?} is to import it")]
    OtherPackage {
        /// The package in it.
        sealed_for: String,
        /// The package that was asked to import it.
        asked: String,
    },
    /// It is under a key that is not here.
    #[error(
        "the exported context is under the key {found}, and this process has {here}; give both processes one \
         ContextKey (by default each has one of its own)"
    )]
    OtherKey {
        /// The name of its key.
        found: String,
        /// The names of the keys that are here.
        here: String,
    },
    /// Its MAC is not that of its bytes (RFC 8009 section 5).
    #[error("the exported context does not verify: it was altered since it was sealed")]
    Altered,
}

impl SealError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> SecurityStatus {
        match self {
            Self::TooShort { .. }
            | Self::NotSealed { .. }
            | Self::OtherVersion { .. }
            | Self::OtherPackage { .. }
            | Self::OtherKey { .. }
            | Self::Altered => SecurityStatus::SEC_E_MESSAGE_ALTERED,
        }
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        Self::from_source(error.status(), error)
    }
}

/// A key of 32 bytes under which contexts go from one process to another.
///
/// # Security
///
/// Whoever has it can read the keys of every context that was sealed under it, and make contexts of any client.
/// Give it to the processes of one service and to nobody else.
pub struct ContextKey {
    key: Key,
    name: [u8; NAME_LENGTH],
}

impl ContextKey {
    /// Its length in bytes.
    pub const LENGTH: usize = 32;

    /// A key that was drawn elsewhere, uniformly at random.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn new(bytes: &SecretArray<{ Self::LENGTH }>) -> Result<Self, Error> {
        let enctype = Enctype::AES256_CTS_HMAC_SHA384_192;
        let policy = EnctypePolicy::only(&[enctype]).map_err(internal)?;
        Self::of(Key::new(enctype, bytes.expose(), &policy).map_err(internal)?)
    }

    /// A fresh one.
    ///
    /// # Errors
    ///
    /// SEC_E_INTERNAL_ERROR where the system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = SecretArray::from([0; Self::LENGTH]);
        OsRandom.fill(bytes.expose_mut())?;
        Self::new(&bytes)
    }

    fn of(key: Key) -> Result<Self, Error> {
        let derived = key.prf(NAME_LABEL).map_err(internal)?;
        let name = derived.expose().first_chunk().copied();
        Ok(Self {
            name: name.unwrap_or_default(),
            key,
        })
    }

    /// The key itself, for the other processes. The caller answers for what becomes of it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.key.expose()
    }

    fn shown_name(&self) -> String {
        hex(&self.name)
    }
}

impl fmt::Debug for ContextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContextKey({})", self.shown_name())
    }
}

/// What seals the contexts of a function table, and opens them: one key, and others that it still opens.
///
/// ```
/// use std::sync::Arc;
/// use trihound::{ContextKey, ContextKeys};
/// use trihound::sspi::ContextSealer;
/// use trihound::secret::SecretBytes;
///
/// # fn main() -> Result<(), trihound::sspi::Error> {
/// let old = ContextKey::generate()?;
/// let sealed = ContextKeys::new(old).seal("Kerberos", &SecretBytes::from(b"image".as_slice()))?;
/// # let old = ContextKey::generate()?;
/// // A new key is taken up: what is under the old one can be opened for a while.
/// let keys = ContextKeys::new(ContextKey::generate()?).also_opening(old);
/// # assert!(keys.open("Kerberos", &sealed).is_err());
/// # Ok(())
/// # }
/// ```
pub struct ContextKeys {
    current: ContextKey,
    others: Vec<ContextKey>,
    random: Arc<dyn RandomSource>,
}

impl ContextKeys {
    /// Seals and opens under this key.
    #[must_use]
    pub fn new(key: ContextKey) -> Self {
        Self {
            current: key,
            others: Vec::new(),
            random: Arc::new(OsRandom),
        }
    }

    /// Opens what is under this key too: the one before, while a fleet takes up another.
    #[must_use]
    pub fn also_opening(mut self, key: ContextKey) -> Self {
        self.others.push(key);
        self
    }

    /// Draws from `random` in place of the operating system's.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn RandomSource>) -> Self {
        self.random = random;
        self
    }

    /// The key of this process, which it drew at the first call and tells nobody: what is sealed under it is
    /// opened by this process and by its forks.
    ///
    /// # Errors
    ///
    /// SEC_E_INTERNAL_ERROR where the system has no randomness.
    pub fn of_this_process() -> Result<Arc<Self>, Error> {
        static KEYS: OnceLock<Arc<ContextKeys>> = OnceLock::new();
        if let Some(keys) = KEYS.get() {
            return Ok(Arc::clone(keys));
        }
        let drawn = Arc::new(Self::new(ContextKey::generate()?));
        Ok(Arc::clone(KEYS.get_or_init(|| drawn)))
    }

    fn all(&self) -> impl Iterator<Item = &ContextKey> {
        core::iter::once(&self.current).chain(&self.others)
    }
}

impl fmt::Debug for ContextKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

/// Header and image, the latter behind its confounder.
struct Sealed<'a> {
    header: &'a [u8],
    body: &'a mut [u8],
}

impl Scatter for Sealed<'_> {
    fn count(&self) -> usize {
        2
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        match index {
            0 => Segment::Signed(self.header),
            _ => Segment::Sealed(self.body),
        }
    }
}

impl ContextSealer for ContextKeys {
    fn seal(&self, package: &str, image: &SecretBytes) -> Result<Vec<u8>, Error> {
        let name_length = u8::try_from(package.len()).map_err(|_| {
            Error::new(
                SecurityStatus::SEC_E_CANNOT_PACK,
                "the name of the package has more than 255 bytes",
            )
        })?;
        let header_length = HEADER_LENGTH.saturating_add(package.len());
        let body_length = CONFOUNDER_LENGTH.saturating_add(image.len());
        let whole = header_length
            .saturating_add(body_length)
            .saturating_add(MAC_LENGTH);
        // All of it at once: memory that is outgrown would keep the keys.
        let mut sealed = Vec::with_capacity(whole);
        sealed.extend_from_slice(&FORMAT);
        sealed.extend_from_slice(&VERSION.to_le_bytes());
        sealed.extend_from_slice(&self.current.name);
        sealed.push(name_length);
        sealed.extend_from_slice(package.as_bytes());
        sealed.resize(header_length.saturating_add(CONFOUNDER_LENGTH), 0);
        sealed.extend_from_slice(image.expose());
        sealed.resize(whole, 0);
        let outcome = self.seal_in_place(&mut sealed, header_length);
        if let Err(error) = outcome {
            wipe(&mut sealed);
            return Err(error);
        }
        Ok(sealed)
    }

    fn open(&self, package: &str, sealed: &[u8]) -> Result<SecretBytes, Error> {
        let header = Header::parse(sealed)?;
        // The name is under the MAC: an image of one package is never read by another.
        if header.package != package.as_bytes() {
            return Err(SealError::OtherPackage {
                sealed_for: String::from_utf8_lossy(header.package).into_owned(),
                asked: package.to_owned(),
            }
            .into());
        }
        let key = self
            .all()
            .find(|key| constant_time_eq(&key.name, &header.key))
            .ok_or_else(|| SealError::OtherKey {
                found: hex(&header.key),
                here: self
                    .all()
                    .map(ContextKey::shown_name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })?;
        let mut body = SecretBytes::from(header.body);
        let mut parts = Sealed {
            header: header.bytes,
            body: body.expose_mut(),
        };
        let usage = key.key.usage(SEAL_USAGE).map_err(internal)?;
        match usage.open(&mut parts, header.mac) {
            Ok(()) => {}
            // RFC 8009 section 5: what does not verify is not decrypted.
            Err(CryptoError::IntegrityCheckFailed) => return Err(SealError::Altered.into()),
            Err(error) => return Err(internal(error)),
        }
        let image = body.expose().get(CONFOUNDER_LENGTH..).unwrap_or_default();
        Ok(SecretBytes::from(image))
    }
}

impl ContextKeys {
    fn seal_in_place(&self, sealed: &mut [u8], header_length: usize) -> Result<(), Error> {
        let (header, rest) = sealed.split_at_mut(header_length);
        let (body, mac) = rest.split_at_mut(rest.len().saturating_sub(MAC_LENGTH));
        if let Some(confounder) = body.get_mut(..CONFOUNDER_LENGTH) {
            self.random.fill(confounder)?;
        }
        let usage = self.current.key.usage(SEAL_USAGE).map_err(internal)?;
        usage
            .seal(&mut Sealed { header, body }, mac)
            .map_err(internal)
    }
}

/// A sealed context in its parts.
struct Header<'a> {
    /// All in front of the confounder.
    bytes: &'a [u8],
    key: [u8; NAME_LENGTH],
    package: &'a [u8],
    /// Confounder and image.
    body: &'a [u8],
    mac: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(sealed: &'a [u8]) -> Result<Self, SealError> {
        let too_short = |needed: usize| SealError::TooShort {
            length: sealed.len(),
            needed,
        };
        let shortest = HEADER_LENGTH + CONFOUNDER_LENGTH + MAC_LENGTH;
        let Some((fixed, _)) = sealed.split_first_chunk::<HEADER_LENGTH>() else {
            return Err(too_short(shortest));
        };
        let [f0, f1, f2, f3, v0, v1, key @ .., name_length] = *fixed;
        let found = [f0, f1, f2, f3];
        if found != FORMAT {
            return Err(SealError::NotSealed { found });
        }
        let found = u16::from_le_bytes([v0, v1]);
        if found != VERSION {
            return Err(SealError::OtherVersion { found });
        }
        let name_length = usize::from(name_length);
        let needed = shortest.saturating_add(name_length);
        let (Some((bytes, rest)), true) = (
            sealed.split_at_checked(HEADER_LENGTH.saturating_add(name_length)),
            sealed.len() >= needed,
        ) else {
            return Err(too_short(needed));
        };
        let (body, mac) = rest.split_at(rest.len().saturating_sub(MAC_LENGTH));
        Ok(Self {
            bytes,
            key,
            package: bytes.get(HEADER_LENGTH..).unwrap_or_default(),
            body,
            mac,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn internal(error: CryptoError) -> Error {
    Error::from_source(SecurityStatus::SEC_E_INTERNAL_ERROR, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> ContextKeys {
        ContextKeys::new(key(byte))
    }

    fn key(byte: u8) -> ContextKey {
        ContextKey::new(&SecretArray::from([byte; 32])).unwrap()
    }

    fn image() -> SecretBytes {
        SecretBytes::from(b"the image of a context, with its keys".as_slice())
    }

    fn refusal(keys: &ContextKeys, package: &str, sealed: &[u8]) -> SealError {
        let error = keys.open(package, sealed).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_MESSAGE_ALTERED);
        error.find_source::<SealError>().unwrap().clone()
    }

    #[test]
    fn what_was_sealed_is_opened_under_the_same_key() {
        for length in [0, 1, 15, 16, 17, 5000] {
            let image = SecretBytes::from(vec![7; length]);
            let sealed = keys(1).seal("Kerberos", &image).unwrap();
            assert!(!sealed.windows(8).any(|window| window == [7; 8]));
            let opened = keys(1).open("Kerberos", &sealed).unwrap();
            assert!(opened.equals(image.expose()), "{length}");
        }
    }

    #[test]
    fn no_two_seals_of_one_image_are_alike() {
        let keys = keys(1);
        let one = keys.seal("Kerberos", &image()).unwrap();
        assert_ne!(one, keys.seal("Kerberos", &image()).unwrap());
    }

    #[test]
    fn any_byte_changed_is_refused() {
        let keys = keys(1);
        let sealed = keys.seal("Kerberos", &image()).unwrap();
        for at in 0..sealed.len() {
            for bit in [1, 0x80] {
                let mut altered = sealed.clone();
                altered[at] ^= bit;
                let error = refusal(&keys, "Kerberos", &altered);
                let expected = match at {
                    0..4 => matches!(error, SealError::NotSealed { .. }),
                    4..6 => matches!(error, SealError::OtherVersion { .. }),
                    6..14 => matches!(error, SealError::OtherKey { .. }),
                    14 => matches!(
                        error,
                        SealError::OtherPackage { .. } | SealError::TooShort { .. }
                    ),
                    15..23 => matches!(error, SealError::OtherPackage { .. }),
                    _ => error == SealError::Altered,
                };
                assert!(expected, "{at}: {error:?}");
            }
        }
    }

    #[test]
    fn any_length_but_its_own_is_refused() {
        let keys = keys(1);
        let sealed = keys.seal("Kerberos", &image()).unwrap();
        for length in 0..sealed.len() {
            let error = refusal(&keys, "Kerberos", &sealed[..length]);
            let cut_off = matches!(error, SealError::TooShort { length: l, needed } if l == length && l < needed);
            assert!(
                cut_off || error == SealError::Altered,
                "{length}: {error:?}"
            );
            assert_eq!(
                cut_off,
                length < HEADER_LENGTH + 8 + CONFOUNDER_LENGTH + MAC_LENGTH
            );
        }
        let mut longer = sealed;
        longer.push(0);
        assert_eq!(refusal(&keys, "Kerberos", &longer), SealError::Altered);
    }

    /// The package is under the MAC, too: an image cannot be relabelled.
    #[test]
    fn an_image_is_for_its_own_package() {
        let keys = keys(1);
        let sealed = keys.seal("NTLM", &image()).unwrap();
        let other = SealError::OtherPackage {
            sealed_for: "NTLM".to_owned(),
            asked: "TOYS".to_owned(),
        };
        assert_eq!(refusal(&keys, "TOYS", &sealed), other);
        let mut relabelled = sealed;
        relabelled[HEADER_LENGTH..HEADER_LENGTH + 4].copy_from_slice(b"TOYS");
        assert_eq!(refusal(&keys, "TOYS", &relabelled), SealError::Altered);
    }

    #[test]
    fn another_key_is_named() {
        let sealed = keys(1).seal("Kerberos", &image()).unwrap();
        let error = refusal(&keys(2).also_opening(key(3)), "Kerberos", &sealed);
        let expected = SealError::OtherKey {
            found: key(1).shown_name(),
            here: format!("{}, {}", key(2).shown_name(), key(3).shown_name()),
        };
        assert_eq!(error, expected);
        // The name of a key on the bytes of another does not help.
        let mut renamed = sealed;
        renamed[6..14].copy_from_slice(&key(2).name);
        assert_eq!(refusal(&keys(2), "Kerberos", &renamed), SealError::Altered);
    }

    #[test]
    fn the_key_before_is_still_opened() {
        let sealed = keys(1).seal("Kerberos", &image()).unwrap();
        let both = keys(2).also_opening(key(1));
        assert!(
            both.open("Kerberos", &sealed)
                .unwrap()
                .equals(image().expose())
        );
        let fresh = both.seal("Kerberos", &image()).unwrap();
        assert!(matches!(
            refusal(&keys(1), "Kerberos", &fresh),
            SealError::OtherKey { .. }
        ));
    }

    #[test]
    fn a_process_has_one_key_and_shows_none() {
        let one = ContextKeys::of_this_process().unwrap();
        let sealed = one.seal("Kerberos", &image()).unwrap();
        let other = ContextKeys::of_this_process().unwrap();
        assert!(other.open("Kerberos", &sealed).is_ok());
        let drawn = ContextKey::generate().unwrap();
        assert_ne!(drawn.expose(), one.current.expose());
        let shown = format!("{:?}", key(9));
        assert!(
            !shown.contains("0909") && shown.starts_with("ContextKey("),
            "{shown}"
        );
    }

    #[test]
    fn without_randomness_nothing_is_sealed() {
        struct Silent;
        impl RandomSource for Silent {
            fn fill(&self, _: &mut [u8]) -> Result<(), trihound_sansio::RandomFailure> {
                Err(trihound_sansio::RandomFailure {
                    reason: "there is none".to_owned(),
                })
            }
        }
        let keys = keys(1).with_random(Arc::new(Silent));
        let error = keys.seal("Kerberos", &image()).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_INTERNAL_ERROR);
        let long = "x".repeat(256);
        let error = keys.seal(&long, &image()).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_CANNOT_PACK);
    }
}

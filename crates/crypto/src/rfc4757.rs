//! arcfour-hmac (RFC 4757), and the primitives that its GSS tokens are made of.
//!
//! # Security
//!
//! RC4 and MD5 are both broken, the key is an unsalted MD4 of the password, and RFC 8429 says to use
//! it no more. The enctype is Weak: no policy permits it but through [`crate::danger`].

use hmac::Hmac;
use md4::Md4;
use md5::{Digest, Md5};
use sha1::Sha1;
use trihound_secret::{SecretBytes, constant_time_eq, wipe};
use zeroize::{Zeroize, Zeroizing};

use crate::mac::Mac;
use crate::profile::{EnctypeProfile, Operations, StringToKey, UsageOperations};
use crate::scatter::{self, Scatter};
use crate::{ChecksumType, Enctype, Error, KeyUsage, Status};

pub use crate::rc4_stream::{RC4_STATE_LENGTH, Rc4Stream};

const MAC_LENGTH: usize = 16;
const CONFOUNDER_LENGTH: usize = 8;

pub(crate) const ARCFOUR_HMAC: EnctypeProfile = EnctypeProfile {
    enctype: Enctype::RC4_HMAC,
    name: "arcfour-hmac",
    aliases: &["rc4-hmac", "arcfour-hmac-md5"],
    key_length: 16,
    confounder_length: CONFOUNDER_LENGTH,
    checksum_length: MAC_LENGTH,
    required_checksum: ChecksumType::HMAC_MD5,
    checksums: &[ChecksumType::HMAC_MD5, ChecksumType::MD5_HMAC_ARCFOUR],
    prf_length: 20,
    default_iterations: None,
    status: Status::Weak,
    operations: &Rc4Hmac,
};

/// HMAC-MD5 over the parts in order (RFC 2104).
#[must_use]
pub fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut out = [0; 16];
    <Hmac<Md5> as Mac>::keyed(key).once(parts, &mut out);
    out
}

/// The message type T of a key usage: little-endian, with the numbers that Windows gave to some
/// (RFC 4757 section 3 and its erratum; conformance row 56).
///
/// The RFC's text maps 9 to 8; Windows and every other implementation leave it 9.
#[must_use]
pub fn usage_salt(usage: KeyUsage) -> [u8; 4] {
    match usage.0 {
        3 => 8u32,
        23 => 13,
        other => other,
    }
    .to_le_bytes()
}

struct Rc4Hmac;

impl Operations for Rc4Hmac {
    fn string_to_key(
        &self,
        profile: &EnctypeProfile,
        input: &StringToKey<'_>,
    ) -> Result<SecretBytes, Error> {
        let params = input.params.unwrap_or_default();
        // RFC 4757 section 2: string-to-key has no parameters.
        if !params.is_empty() {
            return Err(Error::S2kParams {
                enctype: profile.enctype,
                expected: 0,
                actual: params.len(),
            });
        }
        // RFC 4757 section 2: MD4 of the password in UTF-16LE, so it must be text (conformance row 57).
        let Ok(password) = core::str::from_utf8(input.password) else {
            return Err(Error::PasswordNotUtf8);
        };
        let mut digest = Md4::new();
        for unit in password.encode_utf16() {
            digest.update(unit.to_le_bytes());
        }
        let mut hash = digest.finalize();
        let key = SecretBytes::from(hash.as_slice());
        hash.zeroize();
        Ok(key)
    }

    fn usage(&self, key: &[u8], usage: KeyUsage) -> Result<Box<dyn UsageOperations>, Error> {
        let base = <Hmac<Md5> as Mac>::keyed(key);
        let salt = usage_salt(usage);
        let mut derived = Zeroizing::new([0u8; 16]);
        base.once(&[&salt], derived.as_mut_slice());
        let encryption = <Hmac<Md5> as Mac>::keyed(derived.as_slice());
        // RFC 4757 section 4: the constant's zero byte belongs to it.
        base.once(&[b"signaturekey\0"], derived.as_mut_slice());
        let signing = <Hmac<Md5> as Mac>::keyed(derived.as_slice());
        Ok(Box::new(UsageKeys {
            base,
            encryption,
            signing,
            salt,
        }))
    }

    fn prf(&self, key: &[u8], input: &[u8]) -> Result<SecretBytes, Error> {
        // HMAC-SHA1 with the base key, as MIT krb5 and Windows do; RFC 4757 itself names no PRF.
        let mut out = SecretBytes::zeroed(20);
        <Hmac<Sha1> as Mac>::keyed(key).once(&[input], out.expose_mut());
        Ok(out)
    }

    fn derive(&self, _key: &[u8], _constant: &[u8]) -> Result<SecretBytes, Error> {
        Err(not_defined("key derivation from a constant"))
    }
}

fn not_defined(operation: &'static str) -> Error {
    Error::NotDefined {
        enctype: Enctype::RC4_HMAC,
        operation,
    }
}

struct UsageKeys {
    base: Hmac<Md5>,
    /// K1 and K2 of RFC 4757 section 5, which are the same key for a 128-bit one.
    encryption: Hmac<Md5>,
    signing: Hmac<Md5>,
    salt: [u8; 4],
}

impl UsageKeys {
    fn apply_stream(&self, checksum: &[u8], bytes: &mut [u8]) {
        let mut key = Zeroizing::new([0u8; 16]);
        self.encryption.once(&[checksum], key.as_mut_slice());
        Rc4Stream::new(&key).apply(bytes);
    }

    fn signing_key(&self, kind: ChecksumType) -> &Hmac<Md5> {
        if kind == ChecksumType::MD5_HMAC_ARCFOUR {
            &self.base
        } else {
            &self.signing
        }
    }
}

fn split(buffer: &mut [u8]) -> Result<(&mut [u8], &mut [u8]), Error> {
    let actual = buffer.len();
    buffer
        .split_at_mut_checked(MAC_LENGTH)
        .ok_or(Error::CiphertextTooShort {
            enctype: Enctype::RC4_HMAC,
            minimum: MAC_LENGTH + CONFOUNDER_LENGTH,
            actual,
        })
}

impl UsageOperations for UsageKeys {
    fn encrypt(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let (checksum, sealed) = split(buffer)?;
        self.encryption.once(&[sealed], checksum);
        self.apply_stream(checksum, sealed);
        Ok(())
    }

    fn decrypt(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let (checksum, sealed) = split(buffer)?;
        self.apply_stream(checksum, sealed);
        let mut expected = Zeroizing::new([0u8; MAC_LENGTH]);
        self.encryption.once(&[sealed], expected.as_mut_slice());
        // RFC 4757 section 5: the checksum over confounder and plaintext must be the one received.
        if !constant_time_eq(expected.as_slice(), checksum) {
            wipe(sealed);
            return Err(Error::IntegrityCheckFailed);
        }
        Ok(())
    }

    fn checksum(&self, kind: ChecksumType, data: &[u8], out: &mut [u8]) {
        let inner = crate::md5(&[&self.salt, data]);
        self.signing_key(kind).once(&[&inner], out);
    }

    fn seal(&self, _message: &mut dyn Scatter, _mac: &mut [u8]) -> Result<(), Error> {
        Err(not_defined("sealing in place with a MAC apart"))
    }

    fn open(&self, _message: &mut dyn Scatter, _mac: &[u8]) -> Result<(), Error> {
        Err(not_defined("sealing in place with a MAC apart"))
    }

    fn sign(&self, message: &mut dyn Scatter, out: &mut [u8]) {
        let mut inner = Md5::new();
        inner.update(self.salt);
        scatter::each(message, |bytes| inner.update(bytes));
        self.signing.once(&[&inner.finalize()], out);
    }
}

//! What NTLM is made of (MS-NLMP section 3.3): the hash of a password, the key that answers a challenge,
//! and the keyed HMAC-MD5 and checksum of signatures. RC4 is [`crate::rfc4757::Rc4Stream`], MD5 is [`crate::md5`].
//!
//! # Security
//!
//! MD4, MD5 and RC4 are all broken, and the hash has no salt: who has it needs no password. NTLM lives on
//! them, so nothing else here may. What even NTLMv2 left behind is in [`danger`].

pub mod danger;
mod upcase;

use hmac::Hmac;
use md4::Md4;
use md5::{Digest, Md5};
use trihound_secret::{SecretArray, SecretString};
use zeroize::Zeroize;

use crate::Error;
use crate::mac::Mac;

pub use upcase::{simple_uppercase, uppercase_unit};

/// The NT hash of a password: MD4 over its UTF-16LE form (NTOWFv1, MS-NLMP section 3.3.1).
///
/// It is as good as the password to whoever has it.
#[derive(Debug)]
pub struct NtHash(SecretArray<16>);

impl NtHash {
    /// The hash of a password.
    #[must_use]
    pub fn from_password(password: &SecretString) -> Self {
        let mut digest = Md4::new();
        for unit in password.expose().encode_utf16() {
            digest.update(unit.to_le_bytes());
        }
        let mut hash = digest.finalize();
        let key = Self(SecretArray::from(<[u8; 16]>::from(hash)));
        hash.zeroize();
        key
    }

    /// A hash that is at hand already.
    #[must_use]
    pub fn from_bytes(hash: [u8; 16]) -> Self {
        Self(SecretArray::from(hash))
    }

    /// A hash in 32 hexadecimal digits, of either case.
    ///
    /// # Errors
    /// [`Error::NtHashNotHex`] for anything else.
    pub fn parse_hex(text: &str) -> Result<Self, Error> {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|n| u8::try_from(n).ok())
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 16 || !rest.is_empty() {
            return Err(Error::NtHashNotHex);
        }
        let mut hash = SecretArray::from([0; 16]);
        for (byte, [high, low]) in hash.expose_mut().iter_mut().zip(pairs) {
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                return Err(Error::NtHashNotHex);
            };
            *byte = high << 4 | low;
        }
        Ok(Self(hash))
    }

    /// The bytes themselves. The caller answers for what becomes of them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }

    /// A second copy, which is wiped on its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from_bytes(*self.0.expose())
    }

    /// ResponseKeyNT of NTLMv2 (NTOWFv2, MS-NLMP section 3.3.2): HMAC-MD5 over the user in upper case and the
    /// domain as typed, both in UTF-16LE.
    ///
    /// The upper case is Windows' own, which is not Unicode's: see [`simple_uppercase`].
    #[must_use]
    pub fn response_key(&self, user: &str, domain: &str) -> ResponseKeyNt {
        let mut mac = HmacMd5Key::new(self.expose()).start();
        for unit in simple_uppercase(user).chain(domain.encode_utf16()) {
            mac.update(&unit.to_le_bytes());
        }
        ResponseKeyNt::from_bytes(mac.finish())
    }
}

/// ResponseKeyNT: answers a challenge for one account (MS-NLMP section 3.3.2).
///
/// The pads of its HMAC are hashed once, and serve the proof and the session key.
#[derive(Debug)]
pub struct ResponseKeyNt {
    bytes: SecretArray<16>,
    mac: HmacMd5Key,
}

impl ResponseKeyNt {
    /// A key that was computed elsewhere.
    #[must_use]
    pub fn from_bytes(key: [u8; 16]) -> Self {
        Self {
            mac: HmacMd5Key::new(&key),
            bytes: SecretArray::from(key),
        }
    }

    /// The bytes themselves. The caller answers for what becomes of them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        self.bytes.expose()
    }

    /// HMAC-MD5 over the parts in order, with this key.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 16] {
        self.mac.mac(parts)
    }
}

/// A key of HMAC-MD5 (RFC 2104) whose pads are hashed once, for any number of messages.
#[derive(Clone)]
pub struct HmacMd5Key(Hmac<Md5>);

impl HmacMd5Key {
    /// Takes a key of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(<Hmac<Md5> as Mac>::keyed(key))
    }

    /// The MAC over the parts in order.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut out = [0; 16];
        self.0.once(parts, &mut out);
        out
    }

    /// Begins a MAC whose message comes bit by bit.
    #[must_use]
    pub fn start(&self) -> HmacMd5 {
        HmacMd5(self.0.clone())
    }
}

impl core::fmt::Debug for HmacMd5Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HmacMd5Key(..)")
    }
}

/// A MAC in the making; see [`HmacMd5Key::start`].
pub struct HmacMd5(Hmac<Md5>);

impl HmacMd5 {
    /// Adds the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        Mac::update(&mut self.0, bytes);
    }

    /// The MAC over all that was added.
    #[must_use]
    pub fn finish(self) -> [u8; 16] {
        let mut out = [0; 16];
        Mac::finish(self.0, &mut out);
        out
    }
}

impl core::fmt::Debug for HmacMd5 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HmacMd5(..)")
    }
}

/// CRC-32 as Ethernet has it, begun and ended with the usual inversion: the checksum of signatures without
/// extended session security (MS-NLMP section 3.4.4.1). It is no MAC.
#[derive(Clone, Debug)]
pub struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32 {
    /// The checksum of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = crate::checksum::crc32_update(self.0, bytes);
    }

    /// The checksum over all that was added.
    #[must_use]
    pub const fn finish(&self) -> u32 {
        !self.0
    }
}

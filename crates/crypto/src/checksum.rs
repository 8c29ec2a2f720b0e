use core::fmt;

use md4::Md4;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use crate::{Enctype, Error, profile};

/// A checksum type number (RFC 3961 section 8, IANA "Kerberos Checksum Type Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChecksumType(pub i32);

impl ChecksumType {
    /// CRC-32 as Kerberos has it, 4 bytes, not keyed (RFC 3961 section 6.1.3).
    pub const CRC32: Self = Self(1);
    /// MD4, 16 bytes, not keyed (RFC 3961 section 6.1.2).
    pub const RSA_MD4: Self = Self(2);
    /// MD5, 16 bytes, not keyed (RFC 3961 section 6.1.1).
    pub const RSA_MD5: Self = Self(7);
    /// SHA-1, 20 bytes, not keyed (RFC 3961 section 8).
    pub const SHA1: Self = Self(14);
    /// HMAC-SHA1-96 with an aes128 key, 12 bytes (RFC 3962 section 7).
    pub const HMAC_SHA1_96_AES128: Self = Self(15);
    /// HMAC-SHA1-96 with an aes256 key, 12 bytes (RFC 3962 section 7).
    pub const HMAC_SHA1_96_AES256: Self = Self(16);
    /// HMAC-SHA256-128 with an aes128 key, 16 bytes (RFC 8009 section 6).
    pub const HMAC_SHA256_128_AES128: Self = Self(19);
    /// HMAC-SHA384-192 with an aes256 key, 24 bytes (RFC 8009 section 6).
    pub const HMAC_SHA384_192_AES256: Self = Self(20);
    /// Not a checksum but the container of GSS flags and bindings (RFC 4121 section 4.1.1).
    pub const GSSAPI: Self = Self(0x8003);
    /// KERB_CHECKSUM_MD5_HMAC, 16 bytes, keyed with the RC4 key itself (MS-KILE, MIT krb5).
    pub const MD5_HMAC_ARCFOUR: Self = Self(-137);
    /// HMAC-MD5 of an RC4 key, 16 bytes (RFC 4757 section 4).
    pub const HMAC_MD5: Self = Self(-138);

    /// Whether anyone can compute the checksum.
    #[must_use]
    pub fn is_unkeyed(self) -> bool {
        matches!(
            self,
            Self::CRC32 | Self::RSA_MD4 | Self::RSA_MD5 | Self::SHA1
        )
    }

    fn is_keyed(self) -> bool {
        profile::PROFILES
            .iter()
            .any(|profile| profile.checksums.contains(&self))
    }

    /// Why a key of `enctype` has no such checksum.
    pub(crate) fn refusal(self, enctype: Enctype) -> Error {
        if self.is_unkeyed() {
            Error::UnkeyedChecksum(self)
        } else if self.is_keyed() {
            Error::ChecksumTypeNotOfEnctype {
                checksum: self,
                enctype,
            }
        } else {
            Error::UnknownChecksum(self)
        }
    }
}

impl fmt::Display for ChecksumType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::CRC32 => "crc32",
            Self::RSA_MD4 => "rsa-md4",
            Self::RSA_MD5 => "rsa-md5",
            Self::SHA1 => "sha1",
            Self::HMAC_SHA1_96_AES128 => "hmac-sha1-96-aes128",
            Self::HMAC_SHA1_96_AES256 => "hmac-sha1-96-aes256",
            Self::HMAC_SHA256_128_AES128 => "hmac-sha256-128-aes128",
            Self::HMAC_SHA384_192_AES256 => "hmac-sha384-192-aes256",
            Self::GSSAPI => "gssapi (0x8003)",
            Self::MD5_HMAC_ARCFOUR => "md5-hmac-rc4",
            Self::HMAC_MD5 => "hmac-md5-rc4",
            Self(number) => return write!(f, "checksum type {number}"),
        })
    }
}

/// Computes a checksum that takes no key: 1, 2, 7 or 14.
///
/// # Security
///
/// It finds accidents, never an attacker. It has a function of its own so that no keyed path
/// can reach it (conformance row 20).
///
/// # Errors
/// [`Error::UnknownChecksum`] for every other type, keyed ones included.
pub fn unkeyed_checksum(kind: ChecksumType, data: &[u8]) -> Result<Vec<u8>, Error> {
    match kind {
        ChecksumType::CRC32 => Ok(crc32(data).to_le_bytes().to_vec()),
        ChecksumType::RSA_MD4 => Ok(Md4::digest(data).to_vec()),
        ChecksumType::RSA_MD5 => Ok(Md5::digest(data).to_vec()),
        ChecksumType::SHA1 => Ok(Sha1::digest(data).to_vec()),
        other => Err(Error::UnknownChecksum(other)),
    }
}

/// MD5 over the parts in order, as channel bindings and RC4 tokens need it.
#[must_use]
pub fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// SHA-256 over the parts in order: for naming things such as a seen authenticator, not for keys.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// CRC-32 without the usual inversion before and after (RFC 3961 section 6.1.3).
fn crc32(data: &[u8]) -> u32 {
    crc32_update(0, data)
}

/// Goes on with a CRC-32 over the next bytes.
pub(crate) fn crc32_update(crc: u32, data: &[u8]) -> u32 {
    const REFLECTED_POLYNOMIAL: u32 = 0xedb8_8320;
    data.iter().fold(crc, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (REFLECTED_POLYNOMIAL & (crc & 1).wrapping_neg())
        })
    })
}

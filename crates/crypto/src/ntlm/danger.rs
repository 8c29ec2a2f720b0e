//! LM and NTLMv1: hashes and responses that a peer of the nineties may still want.
//!
//! # Security
//!
//! An LM hash falls to a search of the password's halves, and a DES response to a search of 2^56 keys, which is
//! for sale. Both are here for such peers and for the known answers, never for anything that may choose.

use des::Des;
use des::cipher::common::Key as CipherKey;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use trihound_secret::{SecretArray, SecretString};
use zeroize::{Zeroize, Zeroizing};

use super::NtHash;
use crate::mac::copy_front;

/// The LM hash of a password (LMOWFv1, MS-NLMP section 3.3.1).
#[derive(Debug)]
pub struct LmHash(SecretArray<16>);

impl LmHash {
    /// The longest password that has an LM hash, in bytes.
    pub const MAX_PASSWORD: usize = 14;

    /// The hash of a password, in which upper and lower case are the same.
    ///
    /// `None` for a password of more than [`Self::MAX_PASSWORD`] characters, and for one that is not ASCII, since its
    /// bytes would be those of a code page that only the account's own machine knows.
    #[must_use]
    pub fn from_password(password: &SecretString) -> Option<Self> {
        let text = password.expose();
        if text.len() > Self::MAX_PASSWORD || !text.is_ascii() {
            return None;
        }
        let mut padded = Zeroizing::new([0u8; Self::MAX_PASSWORD]);
        copy_front(padded.as_mut_slice(), text.as_bytes());
        padded.make_ascii_uppercase();
        let mut hash = SecretArray::from([0; 16]);
        let (keys, _) = padded.as_chunks::<7>();
        let (blocks, _) = hash.expose_mut().as_chunks_mut::<8>();
        for (block, key) in blocks.iter_mut().zip(keys) {
            *block = des(key, b"KGS!@#$%");
        }
        Some(Self(hash))
    }

    /// A hash that is at hand already.
    #[must_use]
    pub fn from_bytes(hash: [u8; 16]) -> Self {
        Self(SecretArray::from(hash))
    }

    /// The bytes themselves. The caller answers for what becomes of them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }
}

/// DESL: the 24 bytes of an LM or NTLMv1 response, of a hash and a challenge (MS-NLMP section 6).
#[must_use]
pub fn des_response(hash: &[u8; 16], challenge: &[u8; 8]) -> [u8; 24] {
    // The third key has only two bytes of the hash; the rest is zero.
    let mut padded = Zeroizing::new([0u8; 21]);
    copy_front(padded.as_mut_slice(), hash);
    let mut response = [0; 24];
    let (keys, _) = padded.as_chunks::<7>();
    let (blocks, _) = response.as_chunks_mut::<8>();
    for (block, key) in blocks.iter_mut().zip(keys) {
        *block = des(key, challenge);
    }
    response
}

/// One block of DES with a key of 56 bits (DES of MS-NLMP section 6).
#[must_use]
pub fn des(key: &[u8; 7], block: &[u8; 8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = *key;
    let bits = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
    // Seven bits of key in each byte, above a parity bit that DES ignores.
    let mut spread = CipherKey::<Des>::default();
    for (shift, byte) in (0..8u32).rev().zip(spread.iter_mut()) {
        *byte = ((bits >> (7 * shift)) & 0x7f) as u8;
        *byte <<= 1;
    }
    let cipher = Des::new(&spread);
    spread.zeroize();
    let mut out = (*block).into();
    cipher.encrypt_block(&mut out);
    out.into()
}

/// SessionBaseKey of NTLMv1: MD4 over the NT hash (MS-NLMP section 3.3.1).
#[must_use]
pub fn session_base_key(hash: &NtHash) -> SecretArray<16> {
    let mut digest = Md4::digest(hash.expose());
    let key = SecretArray::from(<[u8; 16]>::from(digest));
    digest.zeroize();
    key
}

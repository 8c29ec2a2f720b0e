//! aes128-cts-hmac-sha256-128 and aes256-cts-hmac-sha384-192 (RFC 8009): the MAC is over IV and
//! ciphertext and is verified before anything is decrypted.

use core::marker::PhantomData;

use aes::{Aes128, Aes256};
use hmac::Hmac;
use sha2::{Sha256, Sha384};
use trihound_secret::{SecretBytes, constant_time_eq};
use zeroize::Zeroizing;

use crate::cts::{self, AesKey, BLOCK, Block};
use crate::mac::Mac;
use crate::pbkdf2::{Pbkdf2Hash, pbkdf2};
use crate::profile::{EnctypeProfile, Operations, StringToKey, UsageOperations};
use crate::rfc3961::{KC, KE, KI, usage_constant};
use crate::scatter::{self, Contiguous, Pass, Scatter};
use crate::{ChecksumType, Enctype, Error, KeyUsage, Status};

const DEFAULT_ITERATIONS: u32 = 32768;
/// The chaining value of a message's first block, which the MAC covers (RFC 8009 section 5).
const INITIAL_STATE: Block = [0; BLOCK];
const MAX_MAC: usize = 24;

pub(crate) const AES128_CTS_HMAC_SHA256_128: EnctypeProfile = EnctypeProfile {
    enctype: Enctype::AES128_CTS_HMAC_SHA256_128,
    name: "aes128-cts-hmac-sha256-128",
    aliases: &["aes128-sha2"],
    key_length: 16,
    confounder_length: BLOCK,
    checksum_length: 16,
    required_checksum: ChecksumType::HMAC_SHA256_128_AES128,
    checksums: &[ChecksumType::HMAC_SHA256_128_AES128],
    prf_length: 32,
    default_iterations: Some(DEFAULT_ITERATIONS),
    status: Status::Recommended,
    operations: &AesSha2::<Aes128, Hmac<Sha256>> {
        mac_length: 16,
        prf_length: 32,
        hash: Pbkdf2Hash::Sha256,
        types: PhantomData,
    },
};

pub(crate) const AES256_CTS_HMAC_SHA384_192: EnctypeProfile = EnctypeProfile {
    enctype: Enctype::AES256_CTS_HMAC_SHA384_192,
    name: "aes256-cts-hmac-sha384-192",
    aliases: &["aes256-sha2"],
    key_length: 32,
    confounder_length: BLOCK,
    checksum_length: 24,
    required_checksum: ChecksumType::HMAC_SHA384_192_AES256,
    checksums: &[ChecksumType::HMAC_SHA384_192_AES256],
    prf_length: 48,
    default_iterations: Some(DEFAULT_ITERATIONS),
    status: Status::Recommended,
    operations: &AesSha2::<Aes256, Hmac<Sha384>> {
        mac_length: MAX_MAC,
        prf_length: 48,
        hash: Pbkdf2Hash::Sha384,
        types: PhantomData,
    },
};

struct AesSha2<C, M> {
    /// Length of the truncated MAC, and of the keys Ki and Kc (conformance row 51).
    mac_length: usize,
    prf_length: usize,
    hash: Pbkdf2Hash,
    types: PhantomData<fn() -> (C, M)>,
}

/// KDF-HMAC-SHA2 (RFC 8009 section 3); one HMAC block is enough for every length that is used.
fn kdf<M: Mac>(key: &M, label: &[u8], context: &[u8], out: &mut [u8]) {
    let bits = u32::try_from(out.len().saturating_mul(8)).unwrap_or(u32::MAX);
    key.once(
        &[
            &1u32.to_be_bytes(),
            label,
            &[0],
            context,
            &bits.to_be_bytes(),
        ],
        out,
    );
}

impl<C: AesKey, M: Mac> Operations for AesSha2<C, M> {
    fn string_to_key(
        &self,
        profile: &EnctypeProfile,
        input: &StringToKey<'_>,
    ) -> Result<SecretBytes, Error> {
        let iterations = input.iterations(profile, DEFAULT_ITERATIONS)?;
        // RFC 8009 section 4: the salt is the enctype's name, a zero byte, and the salt proper.
        let salt = [profile.name.as_bytes(), &[0], input.salt].concat();
        let mut stretched = SecretBytes::zeroed(C::LENGTH);
        pbkdf2(
            self.hash,
            input.password,
            &salt,
            iterations,
            stretched.expose_mut(),
        );
        let mut key = SecretBytes::zeroed(C::LENGTH);
        kdf(
            &M::keyed(stretched.expose()),
            b"kerberos",
            &[],
            key.expose_mut(),
        );
        Ok(key)
    }

    fn usage(&self, key: &[u8], usage: KeyUsage) -> Result<Box<dyn UsageOperations>, Error> {
        let base = M::keyed(key);
        let mut derived = Zeroizing::new([0u8; 32]);
        let encryption = derived.get_mut(..C::LENGTH).ok_or(Error::TooLong)?;
        kdf(&base, &usage_constant(usage.0, KE), &[], encryption);
        let cipher = C::expand(encryption)?;
        let mac_key = |kind| {
            let mut derived = Zeroizing::new([0u8; MAX_MAC]);
            let out = derived.get_mut(..self.mac_length).ok_or(Error::TooLong)?;
            kdf(&base, &usage_constant(usage.0, kind), &[], out);
            Ok::<_, Error>(M::keyed(out))
        };
        Ok(Box::new(UsageKeys {
            cipher,
            integrity: mac_key(KI)?,
            checksum: mac_key(KC)?,
            mac_length: self.mac_length,
        }))
    }

    fn prf(&self, key: &[u8], input: &[u8]) -> Result<SecretBytes, Error> {
        let mut out = SecretBytes::zeroed(self.prf_length);
        kdf(&M::keyed(key), b"prf", input, out.expose_mut());
        Ok(out)
    }

    fn derive(&self, key: &[u8], constant: &[u8]) -> Result<SecretBytes, Error> {
        // RFC 8009 section 3: Ki and Kc have the length of the MAC, every other key that of a key.
        let length = match constant {
            [_, _, _, _, KC | KI] => self.mac_length,
            _ => C::LENGTH,
        };
        let mut out = SecretBytes::zeroed(length);
        kdf(&M::keyed(key), constant, &[], out.expose_mut());
        Ok(out)
    }
}

struct UsageKeys<C, M> {
    cipher: C,
    integrity: M,
    checksum: M,
    mac_length: usize,
}

impl<C: AesKey, M: Mac> UsageOperations for UsageKeys<C, M> {
    fn encrypt(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let (sealed, mac) = cts::split_mac(buffer, self.mac_length)?;
        self.seal(&mut Contiguous(sealed), mac)
    }

    fn decrypt(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let (sealed, mac) = cts::split_mac(buffer, self.mac_length)?;
        self.open(&mut Contiguous(sealed), mac)
    }

    fn checksum(&self, _kind: ChecksumType, data: &[u8], out: &mut [u8]) {
        self.checksum.once(&[data], out);
    }

    fn seal(&self, message: &mut dyn Scatter, mac: &mut [u8]) -> Result<(), Error> {
        let sealed = cts::sealed_length(message)?;
        let mut pass = Sealing {
            cipher: &self.cipher,
            iv: INITIAL_STATE,
            mac: self.integrity.clone(),
        };
        pass.mac.update(&INITIAL_STATE);
        scatter::walk(message, sealed, &mut pass)?;
        pass.mac.finish(mac);
        Ok(())
    }

    fn open(&self, message: &mut dyn Scatter, mac: &[u8]) -> Result<(), Error> {
        let sealed = cts::sealed_length(message)?;
        let mut expected_mac = self.integrity.clone();
        expected_mac.update(&INITIAL_STATE);
        scatter::each(message, |bytes| expected_mac.update(bytes));
        let mut expected = Zeroizing::new([0u8; MAX_MAC]);
        let expected = expected.get_mut(..self.mac_length).ok_or(Error::TooLong)?;
        expected_mac.finish(expected);
        // RFC 8009 section 5: the MAC is checked before anything is decrypted (conformance row 50).
        if !constant_time_eq(expected, mac) {
            return Err(Error::IntegrityCheckFailed);
        }
        let mut pass = Deciphering {
            cipher: &self.cipher,
            iv: INITIAL_STATE,
        };
        scatter::walk(message, sealed, &mut pass)
    }

    fn sign(&self, message: &mut dyn Scatter, out: &mut [u8]) {
        let mut mac = self.checksum.clone();
        scatter::each(message, |bytes| mac.update(bytes));
        mac.finish(out);
    }
}

struct Sealing<'k, C, M> {
    cipher: &'k C,
    iv: Block,
    mac: M,
}

impl<C: AesKey, M: Mac> Pass for Sealing<'_, C, M> {
    const ABSORB_BEFORE: bool = false;

    fn absorb(&mut self, bytes: &[u8]) {
        self.mac.update(bytes);
    }

    fn blocks(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(cts::CHUNK) {
            cts::cbc_encrypt(self.cipher, &mut self.iv, chunk);
            self.mac.update(chunk);
        }
    }

    fn block(&mut self, bytes: &mut Block) {
        cts::cbc_encrypt(self.cipher, &mut self.iv, bytes);
    }

    fn end(&mut self, bytes: &mut [u8]) {
        cts::encrypt_end(self.cipher, &mut self.iv, bytes);
    }
}

struct Deciphering<'k, C> {
    cipher: &'k C,
    iv: Block,
}

impl<C: AesKey> Pass for Deciphering<'_, C> {
    const ABSORB_BEFORE: bool = false;

    fn absorb(&mut self, _bytes: &[u8]) {}

    fn blocks(&mut self, bytes: &mut [u8]) {
        cts::cbc_decrypt(self.cipher, &mut self.iv, bytes);
    }

    fn block(&mut self, bytes: &mut Block) {
        cts::cbc_decrypt(self.cipher, &mut self.iv, bytes);
    }

    fn end(&mut self, bytes: &mut [u8]) {
        cts::decrypt_end(self.cipher, &mut self.iv, bytes);
    }
}

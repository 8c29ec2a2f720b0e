//! aes128- and aes256-cts-hmac-sha1-96 (RFC 3962): the MAC is over confounder and plaintext.

use core::marker::PhantomData;

use aes::{Aes128, Aes256};
use sha1::{Digest, Sha1};
use trihound_secret::{SecretBytes, constant_time_eq};
use zeroize::Zeroizing;

use crate::cts::{self, AesKey, BLOCK, Block};
use crate::mac::Mac;
use crate::pbkdf2::{Pbkdf2Hash, pbkdf2};
use crate::profile::{EnctypeProfile, Operations, StringToKey, UsageOperations};
use crate::rfc3961::{KC, KE, KI, dk, dk_of, usage_constant};
use crate::scatter::{self, Contiguous, Pass, Scatter};
use crate::sha1_mac::{HmacSha1, absorb_and_encrypt};
use crate::{ChecksumType, Enctype, Error, KeyUsage, Status};

const MAC_LENGTH: usize = 12;
const DEFAULT_ITERATIONS: u32 = 4096;

pub(crate) const AES128_CTS_HMAC_SHA1_96: EnctypeProfile = EnctypeProfile {
    enctype: Enctype::AES128_CTS_HMAC_SHA1_96,
    name: "aes128-cts-hmac-sha1-96",
    aliases: &["aes128-cts", "aes128-sha1"],
    key_length: 16,
    confounder_length: BLOCK,
    checksum_length: MAC_LENGTH,
    required_checksum: ChecksumType::HMAC_SHA1_96_AES128,
    checksums: &[ChecksumType::HMAC_SHA1_96_AES128],
    prf_length: BLOCK,
    default_iterations: Some(DEFAULT_ITERATIONS),
    status: Status::Recommended,
    operations: &AesSha1::<Aes128>(PhantomData),
};

pub(crate) const AES256_CTS_HMAC_SHA1_96: EnctypeProfile = EnctypeProfile {
    enctype: Enctype::AES256_CTS_HMAC_SHA1_96,
    name: "aes256-cts-hmac-sha1-96",
    aliases: &["aes256-cts", "aes256-sha1"],
    key_length: 32,
    confounder_length: BLOCK,
    checksum_length: MAC_LENGTH,
    required_checksum: ChecksumType::HMAC_SHA1_96_AES256,
    checksums: &[ChecksumType::HMAC_SHA1_96_AES256],
    prf_length: BLOCK,
    default_iterations: Some(DEFAULT_ITERATIONS),
    status: Status::Recommended,
    operations: &AesSha1::<Aes256>(PhantomData),
};

struct AesSha1<C>(PhantomData<C>);

impl<C: AesKey> Operations for AesSha1<C> {
    fn string_to_key(
        &self,
        profile: &EnctypeProfile,
        input: &StringToKey<'_>,
    ) -> Result<SecretBytes, Error> {
        let iterations = input.iterations(profile, DEFAULT_ITERATIONS)?;
        let mut stretched = SecretBytes::zeroed(C::LENGTH);
        pbkdf2(
            Pbkdf2Hash::Sha1,
            input.password,
            input.salt,
            iterations,
            stretched.expose_mut(),
        );
        dk_of::<C>(stretched.expose(), b"kerberos")
    }

    fn usage(&self, key: &[u8], usage: KeyUsage) -> Result<Box<dyn UsageOperations>, Error> {
        let base = C::expand(key)?;
        let mut derived = Zeroizing::new([0u8; 32]);
        let derived = derived.get_mut(..C::LENGTH).ok_or(Error::TooLong)?;
        dk(&base, &usage_constant(usage.0, KE), derived);
        let cipher = C::expand(derived)?;
        dk(&base, &usage_constant(usage.0, KI), derived);
        let integrity = HmacSha1::keyed(derived);
        dk(&base, &usage_constant(usage.0, KC), derived);
        let checksum = HmacSha1::keyed(derived);
        Ok(Box::new(UsageKeys {
            cipher,
            integrity,
            checksum,
        }))
    }

    fn prf(&self, key: &[u8], input: &[u8]) -> Result<SecretBytes, Error> {
        // RFC 3961 section 5.3 with RFC 3962 section 6: SHA-1, cut to one block, under DK("prf").
        let derived = dk_of::<C>(key, b"prf")?;
        let mut block: Block = [0; BLOCK];
        crate::mac::copy_front(&mut block, &Sha1::digest(input));
        cts::cbc_encrypt(&C::expand(derived.expose())?, &mut [0; BLOCK], &mut block);
        Ok(SecretBytes::from(block.as_slice()))
    }

    fn derive(&self, key: &[u8], constant: &[u8]) -> Result<SecretBytes, Error> {
        dk_of::<C>(key, constant)
    }
}

struct UsageKeys<C> {
    cipher: C,
    integrity: HmacSha1,
    checksum: HmacSha1,
}

impl<C: AesKey> UsageOperations for UsageKeys<C> {
    fn encrypt(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let (sealed, mac) = cts::split_mac(buffer, MAC_LENGTH)?;
        self.seal(&mut Contiguous(sealed), mac)
    }

    fn decrypt(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let (sealed, mac) = cts::split_mac(buffer, MAC_LENGTH)?;
        self.open(&mut Contiguous(sealed), mac)
    }

    fn checksum(&self, _kind: ChecksumType, data: &[u8], out: &mut [u8]) {
        self.checksum.once(&[data], out);
    }

    fn seal(&self, message: &mut dyn Scatter, mac: &mut [u8]) -> Result<(), Error> {
        let sealed = cts::sealed_length(message)?;
        let mut pass = Sealing {
            cipher: &self.cipher,
            iv: [0; BLOCK],
            mac: self.integrity.clone(),
        };
        scatter::walk(message, sealed, &mut pass)?;
        pass.mac.finish(mac);
        Ok(())
    }

    fn open(&self, message: &mut dyn Scatter, mac: &[u8]) -> Result<(), Error> {
        let sealed = cts::sealed_length(message)?;
        let mut pass = Opening {
            cipher: &self.cipher,
            iv: [0; BLOCK],
            mac: self.integrity.clone(),
        };
        scatter::walk(message, sealed, &mut pass)?;
        let mut expected = Zeroizing::new([0u8; MAC_LENGTH]);
        pass.mac.finish(expected.as_mut_slice());
        // RFC 3961 section 5.3: decryption fails if the MAC differs; what was decrypted is not
        // the peer's word and must not be seen.
        if !constant_time_eq(expected.as_slice(), mac) {
            scatter::wipe_sealed(message);
            return Err(Error::IntegrityCheckFailed);
        }
        Ok(())
    }

    fn sign(&self, message: &mut dyn Scatter, out: &mut [u8]) {
        let mut mac = self.checksum.clone();
        scatter::each(message, |bytes| mac.update(bytes));
        mac.finish(out);
    }
}

struct Sealing<'k, C> {
    cipher: &'k C,
    iv: Block,
    mac: HmacSha1,
}

impl<C: AesKey> Pass for Sealing<'_, C> {
    const ABSORB_BEFORE: bool = true;

    fn absorb(&mut self, bytes: &[u8]) {
        self.mac.update(bytes);
    }

    fn blocks(&mut self, bytes: &mut [u8]) {
        absorb_and_encrypt(&mut self.mac, self.cipher, &mut self.iv, bytes);
    }

    fn block(&mut self, bytes: &mut Block) {
        cts::cbc_encrypt(self.cipher, &mut self.iv, bytes);
    }

    fn end(&mut self, bytes: &mut [u8]) {
        cts::encrypt_end(self.cipher, &mut self.iv, bytes);
    }
}

struct Opening<'k, C> {
    cipher: &'k C,
    iv: Block,
    mac: HmacSha1,
}

impl<C: AesKey> Pass for Opening<'_, C> {
    const ABSORB_BEFORE: bool = false;

    fn absorb(&mut self, bytes: &[u8]) {
        self.mac.update(bytes);
    }

    fn blocks(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(cts::CHUNK) {
            cts::cbc_decrypt(self.cipher, &mut self.iv, chunk);
            self.mac.update(chunk);
        }
    }

    fn block(&mut self, bytes: &mut Block) {
        cts::cbc_decrypt(self.cipher, &mut self.iv, bytes);
    }

    fn end(&mut self, bytes: &mut [u8]) {
        cts::decrypt_end(self.cipher, &mut self.iv, bytes);
    }
}

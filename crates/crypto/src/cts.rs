//! AES in CBC mode with ciphertext stealing (RFC 3962 section 5).
//!
//! The last two blocks are always swapped, also when the last one is whole; a message of exactly
//! one block is plain CBC. Ready-made CTS modes treat one block in another way, so this is written
//! over the block cipher and CBC.

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend,
    BlockCipherEncClosure, BlockCipherEncrypt, BlockModeDecrypt, BlockSizeUser, InnerIvInit,
    KeyInit,
};
use aes::{Aes128, Aes256};
use zeroize::Zeroize;

use crate::mac::copy_front;
use crate::scatter::{self, Scatter};
use crate::{Enctype, Error};

/// The block length of AES in bytes.
pub(crate) const BLOCK: usize = 16;

/// Bytes that cipher and MAC work on in turn, so that the second finds them in the nearest cache.
pub(crate) const CHUNK: usize = 4096;

pub(crate) type Block = [u8; BLOCK];

/// An expanded AES key of one of the two lengths that Kerberos uses.
pub(crate) trait AesKey:
    BlockCipherEncrypt<BlockSize = U16>
    + BlockCipherDecrypt<BlockSize = U16>
    + Send
    + Sync
    + Sized
    + 'static
{
    /// Key length in bytes.
    const LENGTH: usize;
    /// Expands the key.
    fn expand(key: &[u8]) -> Result<Self, Error>;
}

impl AesKey for Aes128 {
    const LENGTH: usize = 16;

    fn expand(key: &[u8]) -> Result<Self, Error> {
        Self::new_from_slice(key)
            .map_err(|_| key_length(Enctype::AES128_CTS_HMAC_SHA1_96, Self::LENGTH, key))
    }
}

impl AesKey for Aes256 {
    const LENGTH: usize = 32;

    fn expand(key: &[u8]) -> Result<Self, Error> {
        Self::new_from_slice(key)
            .map_err(|_| key_length(Enctype::AES256_CTS_HMAC_SHA1_96, Self::LENGTH, key))
    }
}

fn key_length(enctype: Enctype, expected: usize, key: &[u8]) -> Error {
    Error::KeyLength {
        enctype,
        expected,
        actual: key.len(),
    }
}

/// How many bytes at the end of a message of `length` bytes CTS treats apart: 16 for one block,
/// else 17 to 32. What is before them is whole blocks in plain CBC.
pub(crate) fn tail_length(length: usize) -> usize {
    if length <= BLOCK {
        length
    } else {
        BLOCK + 1 + (length - 1) % BLOCK
    }
}

/// Plain CBC over whole blocks; `iv` becomes the last ciphertext block. Less than a block at the end
/// stays as it is.
pub(crate) fn cbc_encrypt<C: AesKey>(cipher: &C, iv: &mut Block, bytes: &mut [u8]) {
    let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(bytes);
    cipher.encrypt_with_backend(Chained { iv, blocks });
}

struct Chained<'a> {
    iv: &'a mut Block,
    blocks: &'a mut [Array<u8, U16>],
}

impl BlockSizeUser for Chained<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Chained<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut chain = Array(*self.iv);
        for block in self.blocks {
            xor(&mut chain, block);
            backend.encrypt_block((&mut chain).into());
            *block = chain;
        }
        *self.iv = chain.0;
    }
}

/// The inverse of [`cbc_encrypt`]; `iv` becomes the last ciphertext block.
pub(crate) fn cbc_decrypt<C: AesKey>(cipher: &C, iv: &mut Block, bytes: &mut [u8]) {
    let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(bytes);
    let Some(next) = blocks.last().map(|last| last.0) else {
        return;
    };
    cbc::Decryptor::inner_iv_init(cipher, &Array(*iv)).decrypt_blocks(blocks);
    *iv = next;
}

pub(crate) fn xor(into: &mut [u8], other: &[u8]) {
    for (into, other) in into.iter_mut().zip(other) {
        *into ^= *other;
    }
}

/// Encrypts all or the end of a message, at least one block, with ciphertext stealing. `iv` becomes
/// the chaining value that RFC 3962 gives on: the last whole ciphertext block.
pub(crate) fn encrypt_end<C: AesKey>(cipher: &C, iv: &mut Block, bytes: &mut [u8]) {
    cipher.encrypt_with_backend(EncryptEnd { iv, bytes });
}

struct EncryptEnd<'a> {
    iv: &'a mut Block,
    bytes: &'a mut [u8],
}

impl BlockSizeUser for EncryptEnd<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for EncryptEnd<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let body = self
            .bytes
            .len()
            .saturating_sub(tail_length(self.bytes.len()));
        let (body, tail) = self.bytes.split_at_mut(body);
        let mut chain = Array(*self.iv);
        let mut chained = |block: &mut Block| {
            xor(&mut chain, block);
            backend.encrypt_block((&mut chain).into());
            *block = chain.0;
        };
        let (blocks, _) = body.as_chunks_mut::<BLOCK>();
        blocks.iter_mut().for_each(&mut chained);
        let Some((first, last)) = tail.split_first_chunk_mut::<BLOCK>() else {
            return;
        };
        chained(first);
        if !last.is_empty() {
            // The padded last block, chained to the one before, takes that one's place; of the one
            // before, as many bytes remain as the last block had.
            let mut padded: Block = [0; BLOCK];
            copy_front(&mut padded, last);
            copy_front(last, first);
            chained(&mut padded);
            *first = padded;
        }
        *self.iv = *first;
    }
}

/// The inverse of [`encrypt_end`].
pub(crate) fn decrypt_end<C: AesKey>(cipher: &C, iv: &mut Block, bytes: &mut [u8]) {
    cipher.decrypt_with_backend(DecryptEnd { iv, bytes });
}

struct DecryptEnd<'a> {
    iv: &'a mut Block,
    bytes: &'a mut [u8],
}

impl BlockSizeUser for DecryptEnd<'_> {
    type BlockSize = U16;
}

impl BlockCipherDecClosure for DecryptEnd<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        let body = self
            .bytes
            .len()
            .saturating_sub(tail_length(self.bytes.len()));
        let (body, tail) = self.bytes.split_at_mut(body);
        let decrypt = |block: &Block| {
            let mut block = Array(*block);
            backend.decrypt_block((&mut block).into());
            block.0
        };
        let mut chain = *self.iv;
        let mut chained = |block: &mut Block| {
            let next = *block;
            *block = decrypt(block);
            xor(block, &chain);
            chain = next;
        };
        let (blocks, _) = body.as_chunks_mut::<BLOCK>();
        blocks.iter_mut().for_each(&mut chained);
        let Some((first, last)) = tail.split_first_chunk_mut::<BLOCK>() else {
            return;
        };
        *self.iv = *first;
        if !last.is_empty() {
            // This is the padded last plaintext block over the last-but-one ciphertext block, whose
            // front is in `last` and whose end shows where the padding was.
            let mut mixed = decrypt(first);
            *first = mixed;
            copy_front(first, last);
            xor(last, &mixed);
            mixed.zeroize();
        }
        chained(first);
    }
}

/// Cuts a ciphertext into what is under the cipher and the MAC behind it.
pub(crate) fn split_mac(buffer: &mut [u8], mac: usize) -> Result<(&mut [u8], &mut [u8]), Error> {
    let sealed = buffer.len().saturating_sub(mac);
    buffer
        .split_at_mut_checked(sealed)
        .ok_or(Error::SegmentsChanged)
}

/// Length of what is under the cipher, which is at least one block.
pub(crate) fn sealed_length(message: &mut dyn Scatter) -> Result<usize, Error> {
    let sealed = scatter::sealed_length(message)?;
    // RFC 3962 section 5: ciphertext stealing needs at least one block.
    if sealed < BLOCK {
        return Err(Error::SealedTooShort {
            minimum: BLOCK,
            actual: sealed,
        });
    }
    Ok(sealed)
}

fn whole(bytes: &mut [u8]) -> Result<&mut [u8], Error> {
    // RFC 3962 section 5: ciphertext stealing needs at least one block.
    if bytes.len() < BLOCK {
        return Err(Error::SealedTooShort {
            minimum: BLOCK,
            actual: bytes.len(),
        });
    }
    Ok(bytes)
}

/// Encrypts in place with AES-CBC-CTS, without confounder or MAC, and gives the next chaining value
/// (RFC 3962 section 5).
///
/// `key` is 16 or 32 bytes. The messages of Kerberos go through [`crate::Key::encrypt`]; this is
/// the bare mode, for known answers.
///
/// # Errors
/// [`Error::KeyLength`]; [`Error::SealedTooShort`] below one block, with the bytes as they were.
pub fn cts_encrypt(key: &[u8], iv: &[u8; 16], bytes: &mut [u8]) -> Result<[u8; 16], Error> {
    let mut iv = *iv;
    if key.len() == Aes256::LENGTH {
        encrypt_end(&Aes256::expand(key)?, &mut iv, whole(bytes)?);
    } else {
        encrypt_end(&Aes128::expand(key)?, &mut iv, whole(bytes)?);
    }
    Ok(iv)
}

/// Decrypts in place with AES-CBC-CTS; the inverse of [`cts_encrypt`].
///
/// # Errors
/// [`Error::KeyLength`]; [`Error::SealedTooShort`] below one block, with the bytes as they were.
pub fn cts_decrypt(key: &[u8], iv: &[u8; 16], bytes: &mut [u8]) -> Result<[u8; 16], Error> {
    let mut iv = *iv;
    if key.len() == Aes256::LENGTH {
        decrypt_end(&Aes256::expand(key)?, &mut iv, whole(bytes)?);
    } else {
        decrypt_end(&Aes128::expand(key)?, &mut iv, whole(bytes)?);
    }
    Ok(iv)
}

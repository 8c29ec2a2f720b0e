//! AES in CBC mode with ciphertext stealing (RFC 3962 section 5).
//!
//! The last two blocks are always swapped, also when the last one is whole; a message of exactly
//! one block is plain CBC. Ready-made CTS modes treat one block in another way, so this is written
//! over the block cipher and CBC.

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt,
    BlockModeDecrypt, BlockSizeUser, InnerIvInit, KeyInit,
};
use aes::{Aes128, Aes256};

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

/// Encrypts the last [`tail_length`] bytes. `iv` becomes the chaining value that RFC 3962 gives on:
/// the last whole ciphertext block.
pub(crate) fn encrypt_tail<C: AesKey>(cipher: &C, iv: &mut Block, tail: &mut [u8]) {
    let Some((first, last)) = tail.split_first_chunk_mut::<BLOCK>() else {
        return;
    };
    cbc_encrypt(cipher, iv, first);
    if last.is_empty() {
        return;
    }
    // The padded last block, chained to the one before, takes that one's place; of the one
    // before, as many bytes remain as the last block had.
    let mut stolen = *first;
    xor(&mut stolen, last);
    let mut block = Array(stolen);
    cipher.encrypt_block(&mut block);
    for (last, first) in last.iter_mut().zip(first.iter()) {
        *last = *first;
    }
    *first = block.0;
    *iv = block.0;
}

/// The inverse of [`encrypt_tail`].
pub(crate) fn decrypt_tail<C: AesKey>(cipher: &C, iv: &mut Block, tail: &mut [u8]) {
    let Some((first, last)) = tail.split_first_chunk_mut::<BLOCK>() else {
        return;
    };
    if last.is_empty() {
        cbc_decrypt(cipher, iv, first);
        return;
    }
    let next = *first;
    let mut block = Array(*first);
    cipher.decrypt_block(&mut block);
    // Now `block` is the padded last plaintext block over the last-but-one ciphertext block, whose
    // front is in `last` and whose end shows where the padding was.
    for ((first, last), block) in first.iter_mut().zip(last.iter_mut()).zip(block.0.iter()) {
        *first = *last;
        *last ^= *block;
    }
    let kept = last.len();
    for (first, block) in first.iter_mut().zip(block.0.iter()).skip(kept) {
        *first = *block;
    }
    cbc_decrypt(cipher, iv, first);
    *iv = next;
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

fn encrypt_with<C: AesKey>(key: &[u8], iv: &Block, bytes: &mut [u8]) -> Result<Block, Error> {
    let cipher = C::expand(key)?;
    let mut iv = *iv;
    let (body, tail) = split(bytes)?;
    cbc_encrypt(&cipher, &mut iv, body);
    encrypt_tail(&cipher, &mut iv, tail);
    Ok(iv)
}

fn decrypt_with<C: AesKey>(key: &[u8], iv: &Block, bytes: &mut [u8]) -> Result<Block, Error> {
    let cipher = C::expand(key)?;
    let mut iv = *iv;
    let (body, tail) = split(bytes)?;
    cbc_decrypt(&cipher, &mut iv, body);
    decrypt_tail(&cipher, &mut iv, tail);
    Ok(iv)
}

fn split(bytes: &mut [u8]) -> Result<(&mut [u8], &mut [u8]), Error> {
    let length = bytes.len();
    // RFC 3962 section 5: ciphertext stealing needs at least one block.
    if length < BLOCK {
        return Err(Error::SealedTooShort {
            minimum: BLOCK,
            actual: length,
        });
    }
    Ok(bytes.split_at_mut(length - tail_length(length)))
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
    if key.len() == Aes256::LENGTH {
        encrypt_with::<Aes256>(key, iv, bytes)
    } else {
        encrypt_with::<Aes128>(key, iv, bytes)
    }
}

/// Decrypts in place with AES-CBC-CTS; the inverse of [`cts_encrypt`], with its errors.
///
/// # Errors
/// [`Error::KeyLength`]; [`Error::SealedTooShort`] below one block, with the bytes as they were.
pub fn cts_decrypt(key: &[u8], iv: &[u8; 16], bytes: &mut [u8]) -> Result<[u8; 16], Error> {
    if key.len() == Aes256::LENGTH {
        decrypt_with::<Aes256>(key, iv, bytes)
    } else {
        decrypt_with::<Aes128>(key, iv, bytes)
    }
}

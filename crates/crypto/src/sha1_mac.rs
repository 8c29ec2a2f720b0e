//! HMAC-SHA1 over the bare compression function, so that a cipher can work between two blocks of it.

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser, array::Array};
use sha1::block_api::compress;
use sha1::{Digest, Sha1};
use zeroize::Zeroize;

use crate::cts::{AesKey, BLOCK, Block, CHUNK, cbc_encrypt, xor};
use crate::mac::{Mac, copy_front};

/// SHA-1's block in bytes.
const HASH_BLOCK: usize = 64;
/// The initial state of SHA-1 (FIPS 180-4 section 5.3.1).
const INITIAL: [u32; 5] = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

/// HMAC-SHA1 (RFC 2104) with both padded keys already hashed in.
#[derive(Clone)]
pub(crate) struct HmacSha1 {
    outer: [u32; 5],
    state: [u32; 5],
    buffer: [u8; HASH_BLOCK],
    /// How much of the buffer waits to be hashed; less than a block between calls.
    waiting: usize,
    /// Bytes hashed so far, the padded key's block among them.
    hashed: u64,
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.outer.zeroize();
        self.state.zeroize();
        // After `finish` the buffer holds a digest and its padding: nothing of the message.
        if self.waiting > 0 {
            self.buffer.zeroize();
        }
    }
}

impl Mac for HmacSha1 {
    fn keyed(key: &[u8]) -> Self {
        let mut block = [0u8; HASH_BLOCK];
        if key.len() > HASH_BLOCK {
            copy_front(&mut block, &Sha1::digest(key));
        } else {
            copy_front(&mut block, key);
        }
        let padded = |block: &mut [u8; HASH_BLOCK], pad: u8| {
            let mut state = INITIAL;
            for byte in block.iter_mut() {
                *byte ^= pad;
            }
            compress(&mut state, &[*block]);
            state
        };
        let state = padded(&mut block, 0x36);
        let outer = padded(&mut block, 0x36 ^ 0x5c);
        block.zeroize();
        Self {
            outer,
            state,
            buffer: [0; HASH_BLOCK],
            waiting: 0,
            hashed: HASH_BLOCK as u64,
        }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        if self.waiting > 0 {
            let room = self.buffer.get_mut(self.waiting..).unwrap_or_default();
            let taken = room.len().min(bytes.len());
            copy_front(room, bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
            self.waiting += taken;
            if self.waiting < HASH_BLOCK {
                return;
            }
            compress(&mut self.state, &[self.buffer]);
            self.hashed = self.hashed.wrapping_add(HASH_BLOCK as u64);
            self.waiting = 0;
        }
        let (blocks, rest) = bytes.as_chunks::<HASH_BLOCK>();
        compress(&mut self.state, blocks);
        let whole = bytes.len() - rest.len();
        self.hashed = self.hashed.wrapping_add(whole as u64);
        copy_front(&mut self.buffer, rest);
        self.waiting = rest.len();
    }

    fn finish(mut self, out: &mut [u8]) {
        let bits = self.hashed.wrapping_add(self.waiting as u64) << 3;
        pad(&mut self.state, &mut self.buffer, self.waiting, bits);
        self.waiting = 0;
        let inner = self.state;
        put_digest(&mut self.buffer, inner);
        let bits = 8 * (HASH_BLOCK as u64 + DIGEST as u64);
        pad(&mut self.outer, &mut self.buffer, DIGEST, bits);
        for (place, word) in out.chunks_mut(4).zip(self.outer) {
            copy_front(place, &word.to_be_bytes());
        }
    }
}

/// SHA-1's output in bytes.
const DIGEST: usize = 20;

/// Hashes the last bytes with the padding behind them (FIPS 180-4 section 5.1.1).
fn pad(state: &mut [u32; 5], buffer: &mut [u8; HASH_BLOCK], length: usize, bits: u64) {
    let rest = buffer.get_mut(length..).unwrap_or_default();
    rest.fill(0);
    if let Some(mark) = rest.first_mut() {
        *mark = 0x80;
    }
    if length >= HASH_BLOCK - 8 {
        compress(state, &[*buffer]);
        buffer.fill(0);
    }
    if let Some(end) = buffer.last_chunk_mut::<8>() {
        *end = bits.to_be_bytes();
    }
    compress(state, &[*buffer]);
}

/// Takes whole cipher blocks into the MAC and encrypts them in CBC mode, by turns: neither chain can
/// go faster by itself, but the processor runs the two side by side.
pub(crate) fn absorb_and_encrypt<C: AesKey>(
    mac: &mut HmacSha1,
    cipher: &C,
    iv: &mut Block,
    bytes: &mut [u8],
) {
    // Where the borders of both kinds of block meet; behind a signed segment of an odd length they
    // never do.
    let lead = (HASH_BLOCK - mac.waiting) % HASH_BLOCK;
    let meeting = if lead.is_multiple_of(BLOCK) {
        lead.min(bytes.len())
    } else {
        bytes.len()
    };
    let (front, rest) = bytes.split_at_mut(meeting);
    in_turn(mac, cipher, iv, front);
    let (turns, end) = rest.as_chunks_mut::<HASH_BLOCK>();
    if !turns.is_empty() {
        mac.hashed = mac
            .hashed
            .wrapping_add((turns.len() as u64).wrapping_mul(HASH_BLOCK as u64));
        cipher.encrypt_with_backend(Stitched {
            state: &mut mac.state,
            iv,
            turns,
        });
    }
    in_turn(mac, cipher, iv, end);
}

fn in_turn<C: AesKey>(mac: &mut HmacSha1, cipher: &C, iv: &mut Block, bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(CHUNK) {
        mac.update(chunk);
        cbc_encrypt(cipher, iv, chunk);
    }
}

struct Stitched<'a> {
    state: &'a mut [u32; 5],
    iv: &'a mut Block,
    turns: &'a mut [[u8; HASH_BLOCK]],
}

impl BlockSizeUser for Stitched<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Stitched<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut chain = Array(*self.iv);
        for turn in self.turns {
            compress(self.state, core::slice::from_ref(turn));
            let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(turn);
            for block in blocks {
                xor(&mut chain, block);
                backend.encrypt_block((&mut chain).into());
                *block = chain;
            }
        }
        *self.iv = chain.0;
    }
}

/// PBKDF2-HMAC-SHA1 (RFC 8018 section 5.2), two compressions an iteration and nothing else.
pub(crate) fn pbkdf2_sha1(password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
    let keyed = HmacSha1::keyed(password);
    for (index, chunk) in (1u32..).zip(out.chunks_mut(DIGEST)) {
        let mut first = [0u8; DIGEST];
        keyed.once(&[salt, &index.to_be_bytes()], &mut first);
        // The message of every further HMAC is one digest, so both of its blocks have the same
        // padding: the mark at once, and the length of a block and a digest at the end.
        let mut block = [0u8; HASH_BLOCK];
        copy_front(&mut block, &first);
        pad_in_place(&mut block);
        let mut sum = words(&first);
        for _ in 1..iterations {
            for start in [&keyed.state, &keyed.outer] {
                let mut state = *start;
                compress(&mut state, &[block]);
                put_digest(&mut block, state);
            }
            for (sum, word) in sum.iter_mut().zip(words(&block)) {
                *sum ^= word;
            }
        }
        for (place, word) in chunk.chunks_mut(4).zip(sum) {
            copy_front(place, &word.to_be_bytes());
        }
        first.zeroize();
        block.zeroize();
        sum.zeroize();
    }
}

/// Writes a digest to the front of a block.
fn put_digest(block: &mut [u8; HASH_BLOCK], digest: [u32; 5]) {
    for (place, word) in block.chunks_exact_mut(4).zip(digest) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

fn pad_in_place(block: &mut [u8; HASH_BLOCK]) {
    if let Some(mark) = block.get_mut(DIGEST) {
        *mark = 0x80;
    }
    if let Some(end) = block.last_chunk_mut::<8>() {
        *end = (8 * (HASH_BLOCK as u64 + DIGEST as u64)).to_be_bytes();
    }
}

fn words(bytes: &[u8]) -> [u32; 5] {
    let mut words = [0; 5];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use hmac::Hmac;

    use super::*;

    /// Every length around the block borders, in pieces of every size, against the general HMAC.
    #[test]
    fn hmac_agrees_with_the_general_one() {
        let data: Vec<u8> = (0..300u16).map(|i| i.to_le_bytes()[0]).collect();
        for key in [
            &data[..0],
            &data[..20],
            &data[..64],
            &data[..65],
            &data[..200],
        ] {
            for length in 0..data.len() {
                let mut expected = [0; 20];
                <Hmac<Sha1> as Mac>::keyed(key).once(&[&data[..length]], &mut expected);
                let keyed = HmacSha1::keyed(key);
                for piece in [1, 7, 16, 63, 64, 65, 300] {
                    let mut mac = keyed.clone();
                    data[..length]
                        .chunks(piece)
                        .for_each(|part| mac.update(part));
                    let mut out = [0; 20];
                    mac.finish(&mut out);
                    assert_eq!(out, expected);
                }
            }
        }
    }

    #[test]
    fn a_shorter_output_is_the_front_of_the_whole() {
        let keyed = HmacSha1::keyed(b"key");
        let mut whole = [0; 20];
        keyed.once(&[b"data"], &mut whole);
        for length in 0..20 {
            let mut front = vec![0; length];
            keyed.once(&[b"data"], &mut front);
            assert_eq!(front, whole[..length]);
        }
    }

    #[test]
    fn pbkdf2_agrees_with_the_general_one() {
        for length in [1, 16, 19, 20, 21, 32, 61] {
            for iterations in [0, 1, 2, 7] {
                let (mut out, mut expected) = (vec![0; length], vec![0; length]);
                pbkdf2_sha1(b"password", b"salt", iterations, &mut out);
                pbkdf2::pbkdf2_hmac::<Sha1>(b"password", b"salt", iterations, &mut expected);
                assert_eq!(out, expected);
            }
        }
    }
}

//! The simplified profile's parts (RFC 3961 sections 5.1 and 5.3): n-fold and DK.

use aes::cipher::array::Array;
use trihound_secret::{SecretBytes, wipe};
use zeroize::Zeroize;

use crate::Error;
use crate::cts::{AesKey, BLOCK, Block};

/// Last byte of a usage constant for the key of a checksum (RFC 3961 section 5.3).
pub(crate) const KC: u8 = 0x99;
/// Last byte of a usage constant for the key of the cipher.
pub(crate) const KE: u8 = 0xaa;
/// Last byte of a usage constant for the key of a ciphertext's integrity.
pub(crate) const KI: u8 = 0x55;

/// The well-known constant of a usage (RFC 3961 section 5.3; conformance row 48).
pub(crate) fn usage_constant(usage: u32, kind: u8) -> [u8; 5] {
    let [a, b, c, d] = usage.to_be_bytes();
    [a, b, c, d, kind]
}

/// Stretches or shrinks `input` to fill `out` (RFC 3961 section 5.1; conformance row 47).
///
/// Copies of the input, each rotated right by 13 bits more than the one before, are laid end to end
/// up to the least common multiple of both lengths, cut into pieces of the output's length, and added
/// with end-around carry. An empty input gives zeros.
pub fn nfold(input: &[u8], out: &mut [u8]) {
    wipe(out);
    if input.is_empty() || out.is_empty() {
        return;
    }
    let copies = least_common_multiple(input.len(), out.len()) / input.len();
    let bits = input.len() * 8;
    let mut carry = 0u16;
    // From the last byte to the first, so that a carry goes the way it does on paper.
    let mut place = out.len();
    for copy in (0..copies).rev() {
        // Rotated right, so bit i of the copy is bit i - 13 copy of the input.
        let mut start = bits - (13 * copy) % bits;
        for _ in 0..input.len() {
            start = if start < 8 { start + bits } else { start } - 8;
            place = place.checked_sub(1).unwrap_or(out.len() - 1);
            if let Some(place) = out.get_mut(place) {
                carry += u16::from(*place) + u16::from(byte_at(input, start));
                [*place, _] = carry.to_le_bytes();
                carry >>= 8;
            }
        }
    }
    // What was carried out of the front comes in at the end.
    while carry > 0 {
        for place in out.iter_mut().rev() {
            carry += u16::from(*place);
            [*place, _] = carry.to_le_bytes();
            carry >>= 8;
        }
    }
}

/// Eight bits from bit `start` on; behind the last byte comes the first.
fn byte_at(input: &[u8], start: usize) -> u8 {
    let high = input.get(start / 8).copied().unwrap_or(0);
    let low = input
        .get(start / 8 + 1)
        .or(input.first())
        .copied()
        .unwrap_or(0);
    let [byte, _] = (u16::from_be_bytes([high, low]) << (start % 8)).to_be_bytes();
    byte
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

/// DK with AES, whose random-to-key is the identity (RFC 3961 section 5.1, RFC 3962 section 6).
///
/// `out` is the key length of the enctype: one block or two.
pub(crate) fn dk<C: AesKey>(base: &C, constant: &[u8], out: &mut [u8]) {
    let mut folded: Block = [0; BLOCK];
    if let Ok(whole) = Block::try_from(constant) {
        folded = whole;
    } else {
        nfold(constant, &mut folded);
    }
    let mut block = Array(folded);
    for chunk in out.chunks_mut(BLOCK) {
        base.encrypt_block(&mut block);
        crate::mac::copy_front(chunk, &block);
    }
    block.zeroize();
}

/// DK from the bytes of a base key.
pub(crate) fn dk_of<C: AesKey>(key: &[u8], constant: &[u8]) -> Result<SecretBytes, Error> {
    let base = C::expand(key)?;
    let mut derived = SecretBytes::zeroed(C::LENGTH);
    dk(&base, constant, derived.expose_mut());
    Ok(derived)
}

//! n-fold against its definition, bit by bit (RFC 3961 section 5.1).

use proptest::prelude::*;
use trihound_crypto::nfold;

fn bits(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect()
}

/// Concatenates copies, each turned right by 13 bits more, until the length is a multiple of both,
/// and adds the pieces in ones' complement.
fn by_definition(input: &[u8], length: usize) -> Vec<u8> {
    let mut copy = bits(input);
    let mut row = Vec::new();
    while row.is_empty() || row.len() % (8 * length) != 0 {
        row.extend_from_slice(&copy);
        let turn = 13 % copy.len();
        copy.rotate_right(turn);
    }
    let mut sum = vec![0u8; 8 * length];
    for piece in row.chunks(8 * length) {
        let mut carry = 0;
        for (sum, bit) in sum.iter_mut().zip(piece).rev() {
            let total = *sum + bit + carry;
            *sum = total & 1;
            carry = total >> 1;
        }
        for sum in sum.iter_mut().rev() {
            let total = *sum + carry;
            *sum = total & 1;
            carry = total >> 1;
        }
    }
    sum.chunks(8)
        .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit))
        .collect()
}

proptest! {
    /// Conformance row 47.
    #[test]
    fn it_is_the_definition(
        input in proptest::collection::vec(any::<u8>(), 1..40),
        length in 1usize..40,
    ) {
        let mut out = vec![0xff; length];
        nfold(&input, &mut out);
        prop_assert_eq!(out, by_definition(&input, length));
    }
}

#[test]
fn nothing_folds_to_zeros_and_into_nothing() {
    let mut out = [0xff; 16];
    nfold(b"", &mut out);
    assert_eq!(out, [0; 16]);
    nfold(b"input", &mut []);
}

/// The end-around carry: all ones is the other zero of ones' complement, and stays.
#[test]
fn the_carry_comes_in_again_at_the_end() {
    for length in 1..20 {
        let mut out = vec![0; length];
        nfold(&[0xff; 16], &mut out);
        assert_eq!(out, vec![0xff; length]);
    }
}

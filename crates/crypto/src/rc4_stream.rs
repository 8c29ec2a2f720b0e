//! The RC4 key stream, for arcfour-hmac (RFC 4757) and NTLM (MS-NLMP section 3.4).
//!
//! The `rc4` crate cannot hand out its state. NTLM needs that: a message that fails to verify must
//! leave the stream where it was, and nothing but a copy taken before can bring it back. A context that
//! goes to another process takes its streams along.

use trihound_secret::SecretArray;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a stream's state: its permutation, and its two places in that.
pub const RC4_STATE_LENGTH: usize = 258;

/// The RC4 key stream, which goes on from call to call. Its state is wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Rc4Stream {
    /// A byte in each: words are what a processor loads and stores without a detour, which makes the stream a
    /// quarter faster.
    state: [u32; 256],
    i: u8,
    j: u8,
}

/// The byte in a word of the state, or of the sum of two.
const fn low(word: u32) -> u8 {
    word.to_le_bytes()[0]
}

impl Rc4Stream {
    /// A stream at its start, with a key of 16 bytes as HMAC-MD5 gives it.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Self {
        Self::scheduled(key)
    }

    /// A stream at its start, with a key of any length that RC4 takes, 1 to 256 bytes; NTLM has
    /// keys of 8 and 16 bytes (MS-NLMP section 3.4.5.3). `None` for another length.
    #[must_use]
    pub fn with_key(key: &[u8]) -> Option<Self> {
        (1..=256).contains(&key.len()).then(|| Self::scheduled(key))
    }

    fn scheduled(key: &[u8]) -> Self {
        let mut stream = Self {
            state: [0; 256],
            i: 0,
            j: 0,
        };
        for (value, entry) in (0..256).zip(&mut stream.state) {
            *entry = value;
        }
        let mut j = 0u8;
        for (i, key) in (0usize..256).zip(key.iter().cycle()) {
            j = j.wrapping_add(low(stream.state[i])).wrapping_add(*key);
            stream.state.swap(i, usize::from(j));
        }
        stream
    }

    /// Encrypts or decrypts in place.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let state = &mut self.state;
        let (mut i, mut j) = (self.i, self.j);
        for byte in bytes {
            i = i.wrapping_add(1);
            let at_i = state[usize::from(i)];
            j = j.wrapping_add(low(at_i));
            let at_j = state[usize::from(j)];
            state[usize::from(i)] = at_j;
            state[usize::from(j)] = at_i;
            *byte ^= low(state[usize::from(low(at_i.wrapping_add(at_j)))]);
        }
        (self.i, self.j) = (i, j);
    }

    /// A second stream at the same place, which is wiped on its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            state: self.state,
            i: self.i,
            j: self.j,
        }
    }

    /// The whole of the stream. RC4 can be run both ways: who has it has every byte that was and is to come.
    #[must_use]
    pub fn to_state(&self) -> SecretArray<RC4_STATE_LENGTH> {
        let mut bytes = SecretArray::from([0; RC4_STATE_LENGTH]);
        let [permutation @ .., i, j] = bytes.expose_mut();
        for (byte, word) in permutation.iter_mut().zip(&self.state) {
            *byte = low(*word);
        }
        (*i, *j) = (self.i, self.j);
        bytes
    }

    /// The stream of a state; `None` where that is no permutation of all bytes, as RC4's always is.
    #[must_use]
    pub fn from_state(state: &[u8; RC4_STATE_LENGTH]) -> Option<Self> {
        let [permutation @ .., i, j] = state;
        let mut stream = Self {
            state: [0; 256],
            i: *i,
            j: *j,
        };
        let mut seen = [false; 256];
        for (word, byte) in stream.state.iter_mut().zip(permutation) {
            let place = &mut seen[usize::from(*byte)];
            if *place {
                return None;
            }
            *place = true;
            *word = u32::from(*byte);
        }
        Some(stream)
    }

    /// Goes to where the other stream is.
    pub fn restore(&mut self, other: &Self) {
        self.state.copy_from_slice(&other.state);
        (self.i, self.j) = (other.i, other.j);
    }
}

impl core::fmt::Debug for Rc4Stream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Rc4Stream(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_from_its_state() {
        for skipped in [0, 1, 255, 256, 1000] {
            let mut stream = Rc4Stream::new(b"sixteen bytes ok");
            stream.apply(&mut vec![0; skipped]);
            let mut copy = Rc4Stream::from_state(stream.to_state().expose()).unwrap();
            let (mut one, mut other) = ([0; 600], [0; 600]);
            stream.apply(&mut one);
            copy.apply(&mut other);
            assert_eq!(one, other, "{skipped}");
        }
    }

    #[test]
    fn what_is_no_permutation_is_no_state() {
        let good = *Rc4Stream::new(b"sixteen bytes ok").to_state().expose();
        for at in 0..256 {
            let mut state = good;
            state[at] = state[(at + 1) % 256];
            assert!(Rc4Stream::from_state(&state).is_none(), "{at}");
        }
        // Any two places in it may be.
        let mut state = good;
        (state[256], state[257]) = (255, 0);
        assert!(Rc4Stream::from_state(&state).is_some());
    }
}

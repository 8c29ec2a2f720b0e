//! Bytes that are wiped when dropped, never printed, and compared in constant time.
//!
//! This is the one place where the workspace handles secrecy itself: a secret is its own type, so
//! leaving secrecy takes a named call ([`SecretBytes::expose`]), and copying one takes another
//! ([`SecretBytes::duplicate`]). Neither `Clone`, `Display` nor `PartialEq` is implemented, on purpose.
//!
//! ```
//! use trihound_secret::SecretBytes;
//!
//! let password = SecretBytes::from(b"correct horse".as_slice());
//! assert_eq!(format!("{password:?}"), "SecretBytes(13 bytes)");
//! assert!(password.equals(b"correct horse"));
//! ```

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A byte string that is wiped when dropped and never printed.
#[derive(Default)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// The bytes themselves. The caller answers for what becomes of them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes themselves, to be filled or transformed in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// A second copy, which is wiped on its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from(self.expose())
    }

    /// Compares in time that depends on the lengths only.
    #[must_use]
    pub fn equals(&self, other: &[u8]) -> bool {
        constant_time_eq(&self.0, other)
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `len` zero bytes, to be filled through [`Self::expose_mut`].
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self(Zeroizing::new(vec![0; len]))
    }

    /// Cuts to the first `len` bytes and wipes the rest; a longer `len` changes nothing.
    pub fn truncate(&mut self, len: usize) {
        if let Some(tail) = self.0.get_mut(len..) {
            tail.zeroize();
            self.0.truncate(len);
        }
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.len())
    }
}

/// A text, such as a password, that is wiped when dropped and never printed.
#[derive(Default)]
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// The text itself. The caller answers for what becomes of it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A second copy, which is wiped on its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from(self.expose())
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for SecretString {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for SecretString {
    // Not even the length: for a password it is worth something to a guesser.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString(..)")
    }
}

/// A secret of fixed size, held without an allocation.
pub struct SecretArray<const N: usize>(Zeroizing<[u8; N]>);

impl<const N: usize> SecretArray<N> {
    /// The bytes themselves. The caller answers for what becomes of them.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes themselves, to be filled in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// Compares in time that depends on the lengths only.
    #[must_use]
    pub fn equals(&self, other: &[u8]) -> bool {
        constant_time_eq(self.0.as_slice(), other)
    }
}

impl<const N: usize> From<[u8; N]> for SecretArray<N> {
    fn from(bytes: [u8; N]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl<const N: usize> fmt::Debug for SecretArray<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretArray({N} bytes)")
    }
}

/// Compares two byte strings in time that depends on their lengths only.
///
/// Every comparison of a MAC, checksum, key or password in the workspace goes through here
/// (RFC 3961 section 9 asks for it; conformance row 18).
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && bool::from(left.ct_eq(right))
}

/// Overwrites `bytes` with zeros in a way that the optimiser keeps.
pub fn wipe(bytes: &mut [u8]) {
    bytes.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte_of_the_secret() {
        assert_eq!(
            format!("{:?}", SecretBytes::from(&b"hunter2"[..])),
            "SecretBytes(7 bytes)"
        );
        assert_eq!(
            format!("{:?}", SecretString::from("hunter2")),
            "SecretString(..)"
        );
        assert_eq!(
            format!("{:?}", SecretArray::from([0xaa; 4])),
            "SecretArray(4 bytes)"
        );
    }

    #[test]
    fn comparison_tells_length_and_every_bit_apart() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"sam"));
        for byte in 0..4 {
            for bit in 0..8 {
                let mut other = *b"same";
                other[byte] ^= 1 << bit;
                assert!(!constant_time_eq(b"same", &other));
            }
        }
    }

    #[test]
    fn truncate_keeps_the_front() {
        let mut secret = SecretBytes::from(&b"abcdef"[..]);
        secret.truncate(9);
        assert_eq!(secret.expose(), b"abcdef");
        secret.truncate(2);
        assert_eq!(secret.expose(), b"ab");
    }
}

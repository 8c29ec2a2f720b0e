//! The key of a key stream (MS-NLMP sections 3.4 and 3.4.5.3).

use trihound_crypto::md5;
use trihound_crypto::rfc4757::Rc4Stream;
use trihound_secret::{SecretArray, SecretBytes};

use crate::NegotiateFlags;

/// SealingKey: 16 bytes, or 8 without extended session security.
#[derive(Debug)]
pub(crate) struct SealKey(SecretBytes);

impl SealKey {
    pub(crate) const fn new(key: SecretBytes) -> Self {
        Self(key)
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// The key stream from its start.
    pub(crate) fn stream(&self) -> Rc4Stream {
        // RC4 takes keys of 1 to 256 bytes; an empty one, which nothing here makes, gets a stream that
        // nobody else has.
        Rc4Stream::with_key(self.0.expose()).unwrap_or_else(|| self.datagram_stream(0))
    }

    /// The key stream of one datagram: RC4 under MD5(SealingKey | SequenceNumber) (MS-NLMP
    /// section 3.4).
    pub(crate) fn datagram_stream(&self, number: u32) -> Rc4Stream {
        let key = SecretArray::from(md5(&[self.0.expose(), &number.to_le_bytes()]));
        Rc4Stream::new(key.expose())
    }
}

/// How many bits of the session key the sealing keys have (MS-NLMP section 3.4.5.3).
pub(crate) const fn key_bits(flags: NegotiateFlags) -> u8 {
    if flags.contains(NegotiateFlags::NEGOTIATE_128) {
        128
    } else if flags.contains(NegotiateFlags::NEGOTIATE_56) {
        56
    } else {
        40
    }
}

//! The 16 bytes in front of every RFC 4121 per-message token.

use crate::error::MessageError;

/// Bytes of the header of Wrap and MIC tokens (RFC 4121 section 4.2.6).
pub(crate) const HEADER_LENGTH: usize = 16;

/// TOK_ID of a MIC token (RFC 4121 section 4.2.6.1).
const TOK_MIC: [u8; 2] = [0x04, 0x04];
/// TOK_ID of a Wrap token (RFC 4121 section 4.2.6.2).
const TOK_WRAP: [u8; 2] = [0x05, 0x04];

/// Flags field, bit 0 (RFC 4121 section 4.2.2).
const SENT_BY_ACCEPTOR: u8 = 0x01;
/// Flags field, bit 1: Wrap tokens only.
const SEALED: u8 = 0x02;
/// Flags field, bit 2: protected with the acceptor's sub-key.
const ACCEPTOR_SUBKEY: u8 = 0x04;

/// Who sends, and under which key: what both sides of a context agree on about one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Whether the sender is the context's acceptor.
    pub from_acceptor: bool,
    /// Whether the acceptor's sub-key protects the messages (RFC 4121 section 2).
    pub acceptor_subkey: bool,
}

impl Direction {
    const fn flags(self) -> u8 {
        (if self.from_acceptor {
            SENT_BY_ACCEPTOR
        } else {
            0
        }) | (if self.acceptor_subkey {
            ACCEPTOR_SUBKEY
        } else {
            0
        })
    }

    /// RFC 4121 section 4.2.2: the two flags of every token say what the context already knows.
    /// Unknown flags are ignored, as that section asks.
    const fn check(self, flags: u8) -> Result<(), MessageError> {
        if (flags & SENT_BY_ACCEPTOR != 0) != self.from_acceptor {
            return Err(MessageError::SentByWrongSide);
        }
        // RFC 4121 section 2: once the acceptor gave a sub-key, it protects every message.
        if (flags & ACCEPTOR_SUBKEY != 0) != self.acceptor_subkey {
            return Err(MessageError::AcceptorSubkeyFlag {
                expected: self.acceptor_subkey,
            });
        }
        Ok(())
    }
}

/// The header of a Wrap token (RFC 4121 section 4.2.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrapHeader {
    flags: u8,
    /// "Extra Count": filler bytes, or the checksum's length.
    pub(crate) ec: u16,
    /// "Right Rotation Count".
    pub(crate) rrc: u16,
    /// SND_SEQ.
    pub(crate) sequence: u64,
}

impl WrapHeader {
    pub(crate) const fn new(
        direction: Direction,
        sealed: bool,
        ec: u16,
        rrc: u16,
        sequence: u64,
    ) -> Self {
        Self {
            flags: direction.flags() | if sealed { SEALED } else { 0 },
            ec,
            rrc,
            sequence,
        }
    }

    pub(crate) const fn sealed(self) -> bool {
        self.flags & SEALED != 0
    }

    /// Reads the header of a token that has to come from `direction`.
    pub(crate) fn parse(token: &[u8], direction: Direction) -> Result<Self, MessageError> {
        let header = first_16(token)?;
        let [t0, t1, flags, filler, ec0, ec1, rrc0, rrc1, sequence @ ..] = header;
        // RFC 4121 section 4.2.6.2
        if [t0, t1] != TOK_WRAP {
            return Err(MessageError::NotAWrapToken { found: [t0, t1] });
        }
        direction.check(flags)?;
        // RFC 4121 section 4.2.6.2: the filler is FF.
        if filler != 0xff {
            return Err(MessageError::Filler);
        }
        Ok(Self {
            flags,
            ec: u16::from_be_bytes([ec0, ec1]),
            rrc: u16::from_be_bytes([rrc0, rrc1]),
            sequence: u64::from_be_bytes(sequence),
        })
    }

    pub(crate) const fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let [ec0, ec1] = self.ec.to_be_bytes();
        let [r0, r1] = self.rrc.to_be_bytes();
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.sequence.to_be_bytes();
        [
            TOK_WRAP[0],
            TOK_WRAP[1],
            self.flags,
            0xff,
            ec0,
            ec1,
            r0,
            r1,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
        ]
    }

    /// The copy that is encrypted behind the data: RRC is zero (RFC 4121 section 4.2.4).
    pub(crate) const fn encrypted_copy(self) -> [u8; HEADER_LENGTH] {
        Self { rrc: 0, ..self }.to_bytes()
    }

    /// What the checksum of an integrity-only token covers: EC and RRC are zero (RFC 4121
    /// section 4.2.4).
    pub(crate) const fn checksummed(self) -> [u8; HEADER_LENGTH] {
        Self {
            ec: 0,
            rrc: 0,
            ..self
        }
        .to_bytes()
    }
}

/// The header of a MIC token (RFC 4121 section 4.2.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MicHeader {
    flags: u8,
    /// SND_SEQ.
    pub(crate) sequence: u64,
}

impl MicHeader {
    pub(crate) const fn new(direction: Direction, sequence: u64) -> Self {
        Self {
            flags: direction.flags(),
            sequence,
        }
    }

    /// Reads the header of a token that has to come from `direction`.
    pub(crate) fn parse(token: &[u8], direction: Direction) -> Result<Self, MessageError> {
        let header = first_16(token)?;
        let [t0, t1, flags, f0, f1, f2, f3, f4, sequence @ ..] = header;
        // RFC 4121 section 4.2.6.1
        if [t0, t1] != TOK_MIC {
            return Err(MessageError::NotAMicToken { found: [t0, t1] });
        }
        direction.check(flags)?;
        // RFC 4121 section 4.2.2: the Sealed flag must not be set in MIC tokens.
        if flags & SEALED != 0 {
            return Err(MessageError::SealedMic);
        }
        // RFC 4121 section 4.2.6.1: five octets of FF.
        if [f0, f1, f2, f3, f4] != [0xff; 5] {
            return Err(MessageError::Filler);
        }
        Ok(Self {
            flags,
            sequence: u64::from_be_bytes(sequence),
        })
    }

    pub(crate) const fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.sequence.to_be_bytes();
        [
            TOK_MIC[0], TOK_MIC[1], self.flags, 0xff, 0xff, 0xff, 0xff, 0xff, s0, s1, s2, s3, s4,
            s5, s6, s7,
        ]
    }
}

fn first_16(token: &[u8]) -> Result<[u8; HEADER_LENGTH], MessageError> {
    token
        .first_chunk::<HEADER_LENGTH>()
        .copied()
        .ok_or(MessageError::TokenTooShort {
            needed: HEADER_LENGTH,
            found: token.len(),
        })
}

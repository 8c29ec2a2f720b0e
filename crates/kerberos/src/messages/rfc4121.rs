//! Per-message tokens of the AES enctypes (RFC 4121 section 4.2), sealed and opened in place.
//!
//! A sealed token is `header | E(confounder | data | filler | header) | MAC`, rotated right by RRC
//! behind the header. Ciphertext stealing keeps the length of what it encrypts, so with
//! RRC = filler + 16 + MAC everything that is not data comes before it:
//!
//! ```text
//!  TOKEN buffer                                             DATA buffers
//!  header(16) | E(filler | header copy) | MAC | E(confounder) | E(data)
//! ```
//!
//! which is how a message in several SSPI buffers is one RFC 4121 token when they are concatenated.

use core::ops::Range;
use std::sync::Arc;

use trihound_crypto::{Enctype, Error as CryptoError, Key, KeyUsage, Scatter, Segment, UsageKey};
use trihound_sansio::RandomSource;

use super::header::{Direction, HEADER_LENGTH, MicHeader, WrapHeader};
use crate::error::MessageError;

/// One AES block: what the confounder takes (RFC 3962 section 6, RFC 8009 section 5).
pub(crate) const CONFOUNDER_LENGTH: usize = 16;
/// Filler in DCE style: Windows sends one cipher block (MS-KILE section 3.4.5.4.1).
const DCE_FILLER: u16 = 16;
/// The header copy behind the data.
const COPY_LENGTH: usize = HEADER_LENGTH;

/// What one direction needs: who sends, and the two usage keys of RFC 4121 section 2.
#[derive(Clone)]
pub(crate) struct Side {
    direction: Direction,
    seal: Arc<UsageKey>,
    sign: Arc<UsageKey>,
}

impl Side {
    pub(crate) fn new(key: &Key, direction: Direction) -> Result<Self, MessageError> {
        let (seal, sign) = if direction.from_acceptor {
            (KeyUsage::ACCEPTOR_SEAL, KeyUsage::ACCEPTOR_SIGN)
        } else {
            (KeyUsage::INITIATOR_SEAL, KeyUsage::INITIATOR_SIGN)
        };
        Ok(Self {
            direction,
            seal: key.usage(seal)?,
            sign: key.usage(sign)?,
        })
    }
}

/// Both directions of a context, as one of its sides sees them.
pub(crate) struct Rfc4121 {
    send: Side,
    receive: Side,
    /// Length of the enctype's MAC in bytes: 12, 16 or 24.
    mac_length: u16,
    dce_style: bool,
}

/// A Wrap token that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) sealed: bool,
    pub(crate) sequence: u64,
}

impl Rfc4121 {
    pub(crate) fn new(
        key: &Key,
        from_acceptor: bool,
        acceptor_subkey: bool,
        dce_style: bool,
    ) -> Result<Self, MessageError> {
        // RFC 4757 section 7: an RC4 key has tokens of its own, and no CTS to lay these out.
        if key.enctype() == Enctype::RC4_HMAC {
            return Err(MessageError::Crypto(CryptoError::NotDefined {
                enctype: key.enctype(),
                operation: "RFC 4121 per-message tokens",
            }));
        }
        let direction = |from_acceptor| Direction {
            from_acceptor,
            acceptor_subkey,
        };
        Ok(Self {
            send: Side::new(key, direction(from_acceptor))?,
            receive: Side::new(key, direction(!from_acceptor))?,
            mac_length: u16::try_from(key.profile().checksum_length).unwrap_or(u16::MAX),
            dce_style,
        })
    }

    /// For tokens of one direction, outside of a context.
    pub(crate) fn receiving(
        key: &Key,
        direction: Direction,
        dce_style: bool,
    ) -> Result<Self, MessageError> {
        Self::new(
            key,
            !direction.from_acceptor,
            direction.acceptor_subkey,
            dce_style,
        )
    }

    /// [`Self::verify_mic`] of a message in one piece.
    pub(crate) fn verify_mic_of(&self, token: &[u8], data: &mut [u8]) -> Result<u64, MessageError> {
        self.verify_mic(token, &mut Whole(data))
    }

    const fn mac(&self) -> usize {
        self.mac_length as usize
    }

    const fn filler(&self) -> u16 {
        if self.dce_style { DCE_FILLER } else { 0 }
    }

    /// Length of a MIC token.
    pub(crate) const fn mic_length(&self) -> usize {
        HEADER_LENGTH + self.mac()
    }

    /// Length of what a sealed message has besides its data.
    pub(crate) const fn seal_length(&self) -> usize {
        sealed_overhead(self.filler(), self.mac())
    }

    /// [`Self::seal_length`] of a message that is one token of RFC 4121.
    pub(crate) const fn stream_seal_length(&self) -> usize {
        sealed_overhead(0, self.mac())
    }

    /// Encrypts `payload` in place and fills `token`; the value is the token's length.
    pub(crate) fn seal(
        &self,
        sequence: u64,
        payload: &mut dyn Scatter,
        token: &mut [u8],
        random: &dyn RandomSource,
    ) -> Result<usize, MessageError> {
        self.seal_filled(self.filler(), sequence, payload, token, random)
    }

    /// [`Self::seal`] for a token and data that stand in one piece: a token of RFC 4121 in DCE style too,
    /// since without filler both readings of RRC are the same.
    pub(crate) fn seal_stream(
        &self,
        sequence: u64,
        payload: &mut dyn Scatter,
        token: &mut [u8],
        random: &dyn RandomSource,
    ) -> Result<usize, MessageError> {
        self.seal_filled(0, sequence, payload, token, random)
    }

    fn seal_filled(
        &self,
        filler_length: u16,
        sequence: u64,
        payload: &mut dyn Scatter,
        token: &mut [u8],
        random: &dyn RandomSource,
    ) -> Result<usize, MessageError> {
        let needed = sealed_overhead(filler_length, self.mac());
        let token = prefix(token, needed)?;
        // MS-KILE section 3.4.5.4.1: in DCE style the rotation is EC + RRC, otherwise RRC.
        let rrc = self.mac_length.saturating_add(16);
        let header = WrapHeader::new(self.send.direction, true, filler_length, rrc, sequence);
        let (front, confounder) = token.split_at_mut(needed.saturating_sub(CONFOUNDER_LENGTH));
        random.fill(confounder)?;
        let (head, tail) = front.split_at_mut(HEADER_LENGTH);
        let (trailer, mac) = tail.split_at_mut(usize::from(filler_length) + COPY_LENGTH);
        head.copy_from_slice(&header.to_bytes());
        let (filler, copy) = trailer.split_at_mut(usize::from(filler_length));
        filler.fill(0);
        copy.copy_from_slice(&header.encrypted_copy());
        let mut parts = Enclosed {
            confounder,
            payload,
            trailer,
        };
        self.send.seal.seal(&mut parts, mac)?;
        Ok(needed)
    }

    /// Puts the header and the checksum of an integrity-only message into `token`.
    pub(crate) fn sign(
        &self,
        sequence: u64,
        payload: &mut dyn Scatter,
        token: &mut [u8],
    ) -> Result<usize, MessageError> {
        let needed = self.mic_length();
        let token = prefix(token, needed)?;
        // RFC 4121 section 4.2.4: EC is the checksum's length; rotating by it puts the checksum
        // before the data.
        let header = WrapHeader::new(
            self.send.direction,
            false,
            self.mac_length,
            self.mac_length,
            sequence,
        );
        let (head, checksum) = token.split_at_mut(HEADER_LENGTH);
        head.copy_from_slice(&header.to_bytes());
        let mut covered = Followed {
            payload,
            trailer: &header.checksummed(),
        };
        self.send.seal.sign(&mut covered, checksum)?;
        Ok(needed)
    }

    /// Puts the MIC token of `payload` into `token`; the value is the token's length.
    pub(crate) fn mic(
        &self,
        sequence: u64,
        payload: &mut dyn Scatter,
        token: &mut [u8],
    ) -> Result<usize, MessageError> {
        let needed = self.mic_length();
        let token = prefix(token, needed)?;
        let (head, checksum) = token.split_at_mut(HEADER_LENGTH);
        let header = MicHeader::new(self.send.direction, sequence).to_bytes();
        head.copy_from_slice(&header);
        let mut covered = Followed {
            payload,
            trailer: &header,
        };
        self.send.sign.sign(&mut covered, checksum)?;
        Ok(needed)
    }

    /// Checks a MIC token; the value is its sequence number.
    pub(crate) fn verify_mic(
        &self,
        token: &[u8],
        payload: &mut dyn Scatter,
    ) -> Result<u64, MessageError> {
        let header = MicHeader::parse(token, self.receive.direction)?;
        let checksum = token.get(HEADER_LENGTH..).unwrap_or_default();
        // RFC 4121 section 4.2.6.1: nothing but the checksum stands behind the header.
        if checksum.len() != self.mac() {
            return Err(length_error(token.len(), self.mic_length()));
        }
        let mut covered = Followed {
            payload,
            trailer: &header.to_bytes(),
        };
        self.receive.sign.verify(&mut covered, checksum)?;
        Ok(header.sequence)
    }

    /// Opens a message whose token is apart from its data.
    ///
    /// The sender's rotation has to have put everything but the data into the token; a token that
    /// was rotated otherwise goes through [`Self::open_stream`].
    pub(crate) fn open(
        &self,
        token: &mut [u8],
        payload: &mut dyn Scatter,
    ) -> Result<Opened, MessageError> {
        let header = WrapHeader::parse(token, self.receive.direction)?;
        if header.sealed() {
            self.open_sealed(header, token, payload)?;
        } else {
            self.open_signed(header, token, payload)?;
        }
        Ok(Opened {
            sealed: header.sealed(),
            sequence: header.sequence,
        })
    }

    fn open_sealed(
        &self,
        header: WrapHeader,
        token: &mut [u8],
        payload: &mut dyn Scatter,
    ) -> Result<(), MessageError> {
        let least = sealed_overhead(0, self.mac());
        if token.len() < least {
            return Err(MessageError::TokenTooShort {
                needed: least,
                found: token.len(),
            });
        }
        let needed = sealed_overhead(header.ec, self.mac());
        let rotation = needed - HEADER_LENGTH - CONFOUNDER_LENGTH;
        let body = token.len() - HEADER_LENGTH + sealed_length(payload);
        // RFC 4121 section 4.2.4: EC counts bytes of the plaintext, so it cannot exceed them.
        if usize::from(header.ec) > body + HEADER_LENGTH - least {
            return Err(MessageError::ExtraCount { ec: header.ec });
        }
        // RFC 4121 section 4.2.5: the rotation is modulo the length of what is rotated.
        if token.len() != needed || self.rotation(header) % body != rotation {
            return Err(MessageError::LayoutNotOfBuffers {
                rrc: header.rrc,
                token: token.len(),
            });
        }
        let (front, confounder) = token.split_at_mut(needed - CONFOUNDER_LENGTH);
        let (_, tail) = front.split_at_mut(HEADER_LENGTH);
        let (trailer, mac) = tail.split_at_mut(usize::from(header.ec) + COPY_LENGTH);
        let parts = Enclosed {
            confounder,
            payload,
            trailer,
        };
        self.open_parts(header, parts, mac)
    }

    fn open_parts(
        &self,
        header: WrapHeader,
        mut parts: Enclosed<'_, '_>,
        mac: &[u8],
    ) -> Result<(), MessageError> {
        self.receive.seal.open(&mut parts, mac)?;
        // RFC 4121 section 4.2.4: the encrypted copy equals the clear header, but for an RRC of 0.
        if parts.trailer.last_chunk::<COPY_LENGTH>() != Some(&header.encrypted_copy()) {
            wipe(&mut parts);
            return Err(MessageError::HeaderCopyDiffers);
        }
        Ok(())
    }

    fn open_signed(
        &self,
        header: WrapHeader,
        token: &[u8],
        payload: &mut dyn Scatter,
    ) -> Result<(), MessageError> {
        self.check_signed_ec(header)?;
        let checksum = token.get(HEADER_LENGTH..).unwrap_or_default();
        if checksum.len() < self.mac() {
            return Err(MessageError::TokenTooShort {
                needed: self.mic_length(),
                found: token.len(),
            });
        }
        let body = checksum.len() + sealed_length(payload);
        // RFC 4121 section 4.2.5
        if checksum.len() != self.mac() || usize::from(header.rrc) % body != self.mac() % body {
            return Err(MessageError::LayoutNotOfBuffers {
                rrc: header.rrc,
                token: token.len(),
            });
        }
        self.verify_signed(header, payload, checksum)
    }

    fn verify_signed(
        &self,
        header: WrapHeader,
        payload: &mut dyn Scatter,
        checksum: &[u8],
    ) -> Result<(), MessageError> {
        let mut covered = Followed {
            payload,
            trailer: &header.checksummed(),
        };
        Ok(self.receive.seal.verify(&mut covered, checksum)?)
    }

    const fn check_signed_ec(&self, header: WrapHeader) -> Result<(), MessageError> {
        // RFC 4121 section 4.2.4: without encryption EC is the checksum's length.
        if header.ec != self.mac_length {
            return Err(MessageError::ExtraCount { ec: header.ec });
        }
        Ok(())
    }

    /// Opens a token that stands in one piece, whatever its RRC; the range is the data's place.
    pub(crate) fn open_stream(
        &self,
        token: &mut [u8],
    ) -> Result<(Range<usize>, Opened), MessageError> {
        let header = WrapHeader::parse(token, self.receive.direction)?;
        let range = if header.sealed() {
            self.open_sealed_stream(header, token)?
        } else {
            self.open_signed_stream(header, token)?
        };
        let opened = Opened {
            sealed: header.sealed(),
            sequence: header.sequence,
        };
        Ok((range, opened))
    }

    fn open_sealed_stream(
        &self,
        header: WrapHeader,
        token: &mut [u8],
    ) -> Result<Range<usize>, MessageError> {
        let (total, least) = (token.len(), sealed_overhead(0, self.mac()));
        if total < least {
            return Err(MessageError::TokenTooShort {
                needed: least,
                found: total,
            });
        }
        let overhead = sealed_overhead(header.ec, self.mac());
        // RFC 4121 section 4.2.4: EC counts bytes of the plaintext, so it cannot exceed them.
        if overhead > total {
            return Err(MessageError::ExtraCount { ec: header.ec });
        }
        let rotation = self.rotation(header) % (total - HEADER_LENGTH);
        if rotation == overhead - HEADER_LENGTH - CONFOUNDER_LENGTH {
            // The data is in place already: no byte has to move.
            let (token, data) = token.split_at_mut(overhead);
            self.open_sealed(header, token, &mut Whole(data))?;
            return Ok(overhead..total);
        }
        let (_, body) = token.split_at_mut(HEADER_LENGTH);
        body.rotate_left(rotation);
        let (plain, mac) = body.split_at_mut(total - HEADER_LENGTH - self.mac());
        let (confounder, rest) = plain.split_at_mut(CONFOUNDER_LENGTH);
        let (data, trailer) = rest.split_at_mut(total - overhead);
        let parts = Enclosed {
            confounder,
            payload: &mut Whole(data),
            trailer,
        };
        self.open_parts(header, parts, mac)?;
        let start = HEADER_LENGTH + CONFOUNDER_LENGTH;
        Ok(start..start + (total - overhead))
    }

    fn open_signed_stream(
        &self,
        header: WrapHeader,
        token: &mut [u8],
    ) -> Result<Range<usize>, MessageError> {
        self.check_signed_ec(header)?;
        let total = token.len();
        if total < self.mic_length() {
            return Err(MessageError::TokenTooShort {
                needed: self.mic_length(),
                found: total,
            });
        }
        let (_, body) = token.split_at_mut(HEADER_LENGTH);
        let rotation = usize::from(header.rrc) % body.len();
        if rotation == self.mac() % body.len() {
            let (checksum, data) = body.split_at_mut(self.mac());
            self.verify_signed(header, &mut Whole(data), checksum)?;
            return Ok(self.mic_length()..total);
        }
        body.rotate_left(rotation);
        let (data, checksum) = body.split_at_mut(total - self.mic_length());
        self.verify_signed(header, &mut Whole(data), checksum)?;
        Ok(HEADER_LENGTH..total - self.mac())
    }

    fn rotation(&self, header: WrapHeader) -> usize {
        // MS-KILE section 3.4.5.4.1: DCE style rotates by EC + RRC.
        let extra = if self.dce_style { header.ec } else { 0 };
        usize::from(header.rrc) + usize::from(extra)
    }
}

/// Header, filler, header copy, MAC and confounder.
const fn sealed_overhead(filler: u16, mac: usize) -> usize {
    HEADER_LENGTH + filler as usize + COPY_LENGTH + mac + CONFOUNDER_LENGTH
}

const fn length_error(found: usize, needed: usize) -> MessageError {
    if found < needed {
        MessageError::TokenTooShort { needed, found }
    } else {
        MessageError::TokenTooLong { needed, found }
    }
}

/// The first `needed` bytes of the caller's token buffer.
pub(crate) fn prefix(token: &mut [u8], needed: usize) -> Result<&mut [u8], MessageError> {
    let found = token.len();
    token
        .get_mut(..needed)
        .ok_or(MessageError::BufferTooSmall { needed, found })
}

/// How many bytes of a message are in the cipher.
pub(crate) fn sealed_length(message: &mut dyn Scatter) -> usize {
    let mut total = 0_usize;
    for index in 0..message.count() {
        if let Segment::Sealed(bytes) = message.segment(index) {
            total = total.saturating_add(bytes.len());
        }
    }
    total
}

/// Overwrites what was decrypted.
pub(crate) fn wipe(message: &mut dyn Scatter) {
    for index in 0..message.count() {
        if let Segment::Sealed(bytes) = message.segment(index) {
            trihound_secret::wipe(bytes);
        }
    }
}

/// A message in one piece.
pub(crate) struct Whole<'a>(pub(crate) &'a mut [u8]);

impl Scatter for Whole<'_> {
    fn count(&self) -> usize {
        1
    }

    fn segment(&mut self, _index: usize) -> Segment<'_> {
        Segment::Sealed(self.0)
    }
}

/// What a sealed token encrypts (RFC 4121 section 4.2.4).
struct Enclosed<'a, 'p> {
    confounder: &'a mut [u8],
    payload: &'a mut (dyn Scatter + 'p),
    trailer: &'a mut [u8],
}

impl Scatter for Enclosed<'_, '_> {
    fn count(&self) -> usize {
        self.payload.count().saturating_add(2)
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        match index.checked_sub(1) {
            None => Segment::Sealed(self.confounder),
            Some(inner) if inner < self.payload.count() => self.payload.segment(inner),
            Some(_) => Segment::Sealed(self.trailer),
        }
    }
}

/// What a checksum covers: the message, then a header.
struct Followed<'a, 'p> {
    payload: &'a mut (dyn Scatter + 'p),
    trailer: &'a [u8; HEADER_LENGTH],
}

impl Scatter for Followed<'_, '_> {
    fn count(&self) -> usize {
        self.payload.count().saturating_add(1)
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        if index < self.payload.count() {
            self.payload.segment(index)
        } else {
            Segment::Signed(self.trailer)
        }
    }
}

//! Signing and sealing of an established context (MS-NLMP section 3.4).
//!
//! ```text
//! extended session security     each direction: HMAC-MD5 key, RC4 stream, number
//!   signature  01 00 00 00 | checksum (8) | number (4)      the checksum through RC4 after a key exchange
//! without (danger)              both directions: one RC4 stream, one number, CRC-32
//!   signature  01 00 00 00 | zeros (4) | RC4(CRC-32, number)
//! datagrams                     RC4 anew for each message, under MD5(SealingKey | number)
//! ```
//!
//! The stream goes on from message to message, so a connection cannot skip one. A message that does not
//! verify is as if it never came: stream and number stay.

pub mod danger;
mod error;
mod keys;
mod signature;
mod track;

use core::ops::Range;

use trihound_crypto::{Scatter, Segment};
use trihound_sspi::image::ImageError;

use crate::NegotiateFlags;
use crate::compute::{self, SessionKey, Side};
use crate::error::ContextError;
use track::{Signer, Track, Treatment};

pub use error::SessionError;
pub use signature::SIGNATURE_LENGTH;

pub(crate) use keys::SealKey;
pub(crate) use track::TrackPosition;
pub(crate) use track::{Signer as TokenSigner, Track as TokenTrack, Treatment as TokenTreatment};

/// Signs, seals, verifies and opens the messages of one context, in place and without an allocation.
///
/// `number` of every method is SSPI's `MessageSeqNo`: datagrams are protected under it, and none may be
/// sent under the number of another; whether one was received before is for the caller to tell, who
/// knows the numbers. A connection counts by itself and ignores it.
pub struct SessionSecurity {
    flags: NegotiateFlags,
    tracks: Tracks,
}

enum Tracks {
    /// Neither signing nor sealing was negotiated.
    None,
    /// With extended session security.
    Each(Box<[Track; 2]>),
    /// Without: one for both directions, as every implementation has it.
    Shared(Box<Track>),
}

/// Which track a message belongs to.
#[derive(Clone, Copy)]
enum Direction {
    Send,
    Receive,
}

/// A message that verified.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// Whether it was encrypted, or signed only.
    pub sealed: bool,
}

impl core::fmt::Debug for SessionSecurity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionSecurity")
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

impl SessionSecurity {
    /// A session of one side, by the flags of the AUTHENTICATE message.
    ///
    /// Where neither signing nor sealing was negotiated, every method answers that.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoExtendedSessionSecurity`], [`SessionError::WeakKey`].
    pub fn new(
        flags: NegotiateFlags,
        exported_session_key: &SessionKey,
        side: Side,
    ) -> Result<Self, SessionError> {
        if protects(flags) {
            // MS-NLMP section 3.4.4.1: a CRC-32 is no protection (conformance row 147).
            if !flags.contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY) {
                return Err(SessionError::NoExtendedSessionSecurity);
            }
            let bits = keys::key_bits(flags);
            // MS-NLMP section 3.4.5.3: 40 and 56 bits can be searched for (conformance row 147).
            if bits < 128 {
                return Err(SessionError::WeakKey { bits });
            }
        }
        Ok(Self::with_any_flags(flags, exported_session_key, side))
    }

    fn with_any_flags(
        flags: NegotiateFlags,
        exported_session_key: &SessionKey,
        side: Side,
    ) -> Self {
        let datagram = flags.contains(NegotiateFlags::NEGOTIATE_DATAGRAM);
        let seal_key =
            |sender| SealKey::new(compute::seal_key(flags, exported_session_key, sender));
        let tracks = if !protects(flags) {
            Tracks::None
        } else {
            let track = |sender| {
                let signer = Signer::new(
                    compute::sign_key(flags, exported_session_key, sender),
                    flags.contains(NegotiateFlags::NEGOTIATE_KEY_EXCH),
                );
                Track::new(signer, seal_key(sender), datagram)
            };
            if flags.contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY) {
                Tracks::Each(Box::new([track(side), track(side.peer())]))
            } else {
                Tracks::Shared(Box::new(track(side)))
            }
        };
        Self { flags, tracks }
    }

    /// Whether messages can be signed.
    #[must_use]
    pub fn signs(&self) -> bool {
        protects(self.flags)
    }

    /// Whether messages can be sealed.
    #[must_use]
    pub fn seals(&self) -> bool {
        self.flags.contains(NegotiateFlags::NEGOTIATE_SEAL)
    }

    /// The flags that the session was made by.
    #[must_use]
    pub const fn flags(&self) -> NegotiateFlags {
        self.flags
    }

    /// Bytes that a message has besides its data; zero where nothing was negotiated.
    #[must_use]
    pub fn signature_length(&self) -> usize {
        if self.signs() { SIGNATURE_LENGTH } else { 0 }
    }

    /// What a function needs that protects: encryption needs sealing, a signature either.
    pub(crate) fn require(&self, seal: bool, function: &'static str) -> Result<(), SessionError> {
        let (has, attribute) = if seal {
            (self.seals(), "CONFIDENTIALITY")
        } else {
            (self.signs(), "INTEGRITY")
        };
        // MS-NLMP section 2.2.2.5, flags D and E: what was not negotiated cannot be had.
        if !has {
            return Err(SessionError::NotNegotiated {
                function,
                attribute,
            });
        }
        Ok(())
    }

    fn track(
        &mut self,
        direction: Direction,
        function: &'static str,
    ) -> Result<&mut Track, SessionError> {
        match (&mut self.tracks, direction) {
            (Tracks::Each(both), Direction::Send) => Ok(&mut both[0]),
            (Tracks::Each(both), Direction::Receive) => Ok(&mut both[1]),
            (Tracks::Shared(track), _) => Ok(track),
            (Tracks::None, _) => Err(SessionError::NotNegotiated {
                function,
                attribute: "INTEGRITY",
            }),
        }
    }

    /// Signs and, where `seal`, encrypts the message in place (MS-NLMP sections 3.4.2 and 3.4.3).
    ///
    /// # Errors
    ///
    /// [`SessionError::NotNegotiated`], [`SessionError::SequenceNumbersUsedUp`],
    /// [`SessionError::DatagramNumberUsed`]; nothing has changed then.
    pub fn protect(
        &mut self,
        seal: bool,
        message: &mut dyn Scatter,
        number: u32,
    ) -> Result<[u8; SIGNATURE_LENGTH], SessionError> {
        self.require(seal, "EncryptMessage")?;
        let treatment = if seal {
            Treatment::Seal
        } else {
            Treatment::Sign
        };
        self.track(Direction::Send, "EncryptMessage")?
            .protect(treatment, message, number)
    }

    /// Checks a message and decrypts it in place, if it was encrypted.
    ///
    /// NTLM's signature does not say whether the message beside it is encrypted. What the context
    /// negotiated is tried first. After a key exchange the other way is tried too, since Windows' LDAP
    /// client encrypts where only signing was negotiated, and SECQOP_WRAP_NO_ENCRYPT only signs where
    /// both were; an empty message looks the same both ways. Without a key exchange the checksum does
    /// not depend on the key stream, so that whoever knows a message could pass it off as one that was
    /// signed only: there is no second try then, and a signed message is for [`Self::verify`].
    ///
    /// # Errors
    ///
    /// What is wrong with the message. The session is as it was then, and the parts that would have been
    /// decrypted are zeros.
    pub fn open(
        &mut self,
        signature: &[u8],
        message: &mut dyn Scatter,
        number: u32,
    ) -> Result<Unsealed, SessionError> {
        const FUNCTION: &str = "DecryptMessage";
        let both = self.flags.contains(
            NegotiateFlags::NEGOTIATE_KEY_EXCH | NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY,
        );
        let treatments = match (self.seals(), both) {
            (true, true) => &[Treatment::Open, Treatment::Sign][..],
            (false, true) => &[Treatment::Sign, Treatment::Open],
            (true, false) => &[Treatment::Open],
            (false, false) => &[Treatment::Sign],
        };
        let treatment = self
            .track(Direction::Receive, FUNCTION)?
            .open(treatments, message, signature, number, true)?;
        Ok(Unsealed {
            sealed: treatment == Treatment::Open,
        })
    }

    /// [`Self::open`] of a message in one piece: the signature, then the data, whose place is the range.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_stream(
        &mut self,
        message: &mut [u8],
        number: u32,
    ) -> Result<(Range<usize>, Unsealed), SessionError> {
        let whole = message.len();
        let Some((signature, data)) = message.split_first_chunk_mut::<SIGNATURE_LENGTH>() else {
            return Err(SessionError::SignatureTooShort { found: whole });
        };
        let unsealed = self.open(signature, &mut Whole(data), number)?;
        Ok((SIGNATURE_LENGTH..whole, unsealed))
    }

    /// Signs a message that is not changed.
    ///
    /// # Errors
    ///
    /// As [`Self::protect`].
    pub fn sign(
        &mut self,
        message: &mut dyn Scatter,
        number: u32,
    ) -> Result<[u8; SIGNATURE_LENGTH], SessionError> {
        self.track(Direction::Send, "MakeSignature")?
            .protect(Treatment::Sign, message, number)
    }

    /// Checks the signature of a message, which is not changed.
    ///
    /// # Errors
    ///
    /// What is wrong with it; the session is as it was then.
    pub fn verify(
        &mut self,
        signature: &[u8],
        message: &mut dyn Scatter,
        number: u32,
    ) -> Result<(), SessionError> {
        self.track(Direction::Receive, "VerifySignature")?
            .open(&[Treatment::Sign], message, signature, number, false)
            .map(|_| ())
    }

    /// Whether the program has protected a message, or opened one.
    pub(crate) fn has_begun(&self) -> bool {
        match &self.tracks {
            Tracks::None => false,
            Tracks::Each(both) => both.iter().any(Track::has_begun),
            Tracks::Shared(track) => track.has_begun(),
        }
    }

    /// How far both directions have come, this side's first; none where no message is protected.
    pub(crate) fn positions(&self) -> Result<Vec<TrackPosition>, ContextError> {
        match &self.tracks {
            Tracks::None => Ok(Vec::new()),
            Tracks::Each(both) => Ok(both.iter().map(Track::position).collect()),
            // One stream for both directions comes of `danger` alone, and of no handshake.
            Tracks::Shared(_) => Err(ContextError::NotWritable),
        }
    }

    /// Goes on where another session with these flags and this key stopped.
    pub(crate) fn go_to(
        &mut self,
        ours: TrackPosition,
        peers: TrackPosition,
    ) -> Result<(), ImageError> {
        if let Tracks::Each(both) = &mut self.tracks {
            let [send, receive] = &mut **both;
            send.go_to(ours)?;
            receive.go_to(peers)?;
        }
        Ok(())
    }

    /// Told by Negotiate once both mechListMICs are through: the key streams start anew, the numbers go
    /// on (MS-SPNG section 3.3.5.1).
    ///
    /// A direction that has protected anything else already, or has encrypted, keeps its stream, since
    /// none may be used twice over.
    pub fn mech_list_mic_done(&mut self) {
        match &mut self.tracks {
            Tracks::None => {}
            Tracks::Each(both) => both.iter_mut().for_each(|track| track.start_anew(1)),
            Tracks::Shared(track) => track.start_anew(2),
        }
    }
}

fn protects(flags: NegotiateFlags) -> bool {
    flags.intersects(NegotiateFlags::NEGOTIATE_SIGN | NegotiateFlags::NEGOTIATE_SEAL)
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

//! A key stream and the number of the next message under it.

use trihound_crypto::ntlm::{Crc32, HmacMd5, HmacMd5Key};
use trihound_crypto::rfc4757::Rc4Stream;
use trihound_crypto::{Scatter, Segment};
use trihound_secret::{constant_time_eq, wipe};
use trihound_sspi::image::ImageError;

use crate::compute::SessionKey;

use super::error::SessionError;
use super::keys::SealKey;
use super::signature::{SIGNATURE_LENGTH, Signature};

/// What is done with the sealed parts of a message on one walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Signed, then encrypted.
    Seal,
    /// Decrypted, then signed.
    Open,
    /// Signed as they are.
    Sign,
}

/// Bytes that go through checksum and cipher in turn: one block of MD5, so few that the processor works on
/// the checksum of one piece while it waits for the cipher of the next.
const CHUNK: usize = 64;

/// The checksum over a message (MS-NLMP section 3.4.4).
enum Sum {
    Hmac(HmacMd5),
    Crc(Crc32),
}

impl Sum {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Hmac(hmac) => hmac.update(bytes),
            Self::Crc(crc) => crc.update(bytes),
        }
    }
}

/// How messages are signed.
pub(crate) enum Signer {
    /// HMAC-MD5 with this key; the checksum is encrypted only after a key exchange (MS-NLMP
    /// section 3.4.4.2).
    Extended {
        key: HmacMd5Key,
        encrypts_checksum: bool,
    },
    /// CRC-32, encrypted with the number behind it (MS-NLMP section 3.4.4.1).
    Legacy,
}

impl Signer {
    /// With the SIGNKEY of extended session security, or without one.
    pub(crate) fn new(key: Option<SessionKey>, encrypts_checksum: bool) -> Self {
        key.map_or(Self::Legacy, |key| Self::Extended {
            key: HmacMd5Key::new(key.expose()),
            encrypts_checksum,
        })
    }
}

/// Which numbers datagrams were sent under: the highest, and those among the 64 below it.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    highest: Option<u32>,
    /// Bit n is the number `highest - n`.
    below: u64,
}

impl Sent {
    /// Takes a number, unless it was used, or is so far back that it may have been.
    fn take(&mut self, number: u32) -> Result<(), SessionError> {
        let used = Err(SessionError::DatagramNumberUsed { number });
        match self.highest {
            Some(highest) if number <= highest => {
                let bit = 1_u64.checked_shl(highest - number).unwrap_or_default();
                // MS-NLMP section 3.4: the number makes the key stream, and no stream may serve twice.
                if bit == 0 || self.below & bit != 0 {
                    return used;
                }
                self.below |= bit;
            }
            Some(highest) => {
                self.below = self.below.checked_shl(number - highest).unwrap_or_default() | 1;
                self.highest = Some(number);
            }
            None => {
                self.below = 1;
                self.highest = Some(number);
            }
        }
        Ok(())
    }
}

/// How far one direction of a session has come: what of it goes into the image of a context.
#[derive(Debug)]
pub(crate) struct TrackPosition {
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) encrypted: bool,
    pub(crate) highest_sent: Option<u32>,
    pub(crate) sent_below: u64,
    pub(crate) stream: Rc4Stream,
}

/// One direction of a session; without extended session security, both.
pub(crate) struct Track {
    signer: Signer,
    seal_key: SealKey,
    datagram: bool,
    stream: Rc4Stream,
    /// Where the stream stood before the message that is being opened. It is kept here, since a copy on
    /// the stack would have to be wiped for each message.
    saved: Rc4Stream,
    /// The number of the next message; above 32 bits it counts the turns. Of datagrams, how many.
    next: u64,
    /// The number of the program's first message; those before were a mechListMIC.
    first: u64,
    sent: Sent,
    /// Whether the stream covered more than checksums.
    encrypted: bool,
}

impl core::fmt::Debug for Track {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Track")
            .field("next", &self.next)
            .field("datagram", &self.datagram)
            .finish_non_exhaustive()
    }
}

impl Track {
    pub(crate) fn new(signer: Signer, seal_key: SealKey, datagram: bool) -> Self {
        let stream = seal_key.stream();
        Self {
            signer,
            saved: stream.duplicate(),
            stream,
            seal_key,
            datagram,
            next: 0,
            first: 0,
            sent: Sent::default(),
            encrypted: false,
        }
    }

    /// Whether the program has protected anything.
    pub(crate) const fn has_begun(&self) -> bool {
        self.next != self.first
    }

    /// How far the track has come.
    pub(crate) fn position(&self) -> TrackPosition {
        TrackPosition {
            first: self.first,
            next: self.next,
            encrypted: self.encrypted,
            highest_sent: self.sent.highest,
            sent_below: self.sent.below,
            stream: self.stream.duplicate(),
        }
    }

    /// Goes on where another track of the same keys stopped.
    pub(crate) fn go_to(&mut self, position: TrackPosition) -> Result<(), ImageError> {
        let value = |field, reason| ImageError::Value { field, reason };
        if position.first > position.next {
            return Err(value(
                "the first message's number",
                "it is above that of the next one",
            ));
        }
        // Bit 0 is the highest number itself.
        if position.sent_below & 1 != u64::from(position.highest_sent.is_some()) {
            return Err(value(
                "the datagrams sent",
                "the highest of them is not among them, or there is none",
            ));
        }
        self.first = position.first;
        self.next = position.next;
        self.encrypted = position.encrypted;
        self.sent = Sent {
            highest: position.highest_sent,
            below: position.sent_below,
        };
        self.stream = position.stream;
        self.saved.restore(&self.stream);
        Ok(())
    }

    /// A track whose next message has this number.
    pub(crate) fn starting_at(signer: Signer, seal_key: SealKey, number: u32) -> Self {
        Self {
            next: u64::from(number),
            ..Self::new(signer, seal_key, false)
        }
    }

    /// The number that the next message has: the caller's for datagrams, which may come in any order,
    /// otherwise our own.
    fn number(&self, datagram_number: u32) -> Result<u32, SessionError> {
        if self.datagram {
            return Ok(datagram_number);
        }
        let number = self.next & u64::from(u32::MAX);
        let is_first_turn = number == self.next;
        // MS-NLMP section 3.4.4.2: without key exchange nothing but the number tells two signatures
        // of one message apart.
        if !is_first_turn && !self.encrypts_checksum() {
            return Err(SessionError::SequenceNumbersUsedUp);
        }
        Ok(u32::try_from(number).unwrap_or_default())
    }

    const fn encrypts_checksum(&self) -> bool {
        match &self.signer {
            Signer::Extended {
                encrypts_checksum, ..
            } => *encrypts_checksum,
            Signer::Legacy => true,
        }
    }

    /// Readies the stream for one message.
    fn begin(&mut self, number: u32) {
        if self.datagram {
            // MS-NLMP section 3.4: messages may be lost, so each has a key stream of its own.
            self.stream = self.seal_key.datagram_stream(number);
        }
    }

    fn done(&mut self, treatment: Treatment) {
        self.next = self.next.saturating_add(1);
        self.encrypted |= treatment != Treatment::Sign;
    }

    /// Signs, or signs and encrypts in place, the next message.
    pub(crate) fn protect(
        &mut self,
        treatment: Treatment,
        payload: &mut dyn Scatter,
        datagram_number: u32,
    ) -> Result<[u8; SIGNATURE_LENGTH], SessionError> {
        let number = self.number(datagram_number)?;
        if self.datagram {
            self.sent.take(number)?;
        }
        self.begin(number);
        let sum = self.walk(treatment, number, payload);
        let signature = self.signature(sum, number);
        self.done(treatment);
        Ok(signature.to_bytes())
    }

    /// Checks the next message, by the first of `treatments` under which it verifies.
    ///
    /// On failure the stream and the number are as before, and the sealed parts hold what they held,
    /// or zeros where `wiping`.
    pub(crate) fn open(
        &mut self,
        treatments: &[Treatment],
        payload: &mut dyn Scatter,
        signature: &[u8],
        datagram_number: u32,
        wiping: bool,
    ) -> Result<Treatment, SessionError> {
        let outcome = self.try_open(treatments, payload, signature, datagram_number);
        if outcome.is_err() && wiping {
            each_sealed(payload, wipe);
        }
        outcome
    }

    fn try_open(
        &mut self,
        treatments: &[Treatment],
        payload: &mut dyn Scatter,
        signature: &[u8],
        datagram_number: u32,
    ) -> Result<Treatment, SessionError> {
        let number = self.number(datagram_number)?;
        let found = Signature::parse(signature)?;
        if !matches!(self.signer, Signer::Legacy) && found.number() != number {
            // MS-NLMP section 3.1.1.2: the number has to be the one that is due, and is not counted
            // otherwise.
            return Err(SessionError::SequenceNumber {
                expected: number,
                found: found.number(),
            });
        }
        self.begin(number);
        self.saved.restore(&self.stream);
        let mut refusal = SessionError::IntegrityCheckFailed;
        for &treatment in treatments {
            let sum = self.walk(treatment, number, payload);
            match self.check(sum, &found, number) {
                Ok(()) => {
                    self.done(treatment);
                    return Ok(treatment);
                }
                Err(error) => refusal = error,
            }
            self.stream.restore(&self.saved);
            if treatment == Treatment::Open {
                // The same stream once more brings back what was received.
                each_sealed(payload, |bytes| self.stream.apply(bytes));
                self.stream.restore(&self.saved);
            }
        }
        Err(refusal)
    }

    fn walk(&mut self, treatment: Treatment, number: u32, payload: &mut dyn Scatter) -> Sum {
        let mut sum = match &self.signer {
            Signer::Extended { key, .. } => {
                let mut hmac = key.start();
                hmac.update(&number.to_le_bytes());
                Sum::Hmac(hmac)
            }
            Signer::Legacy => Sum::Crc(Crc32::new()),
        };
        for index in 0..payload.count() {
            match (payload.segment(index), treatment) {
                (Segment::Signed(bytes), _) => sum.update(bytes),
                (Segment::Sealed(bytes), Treatment::Sign) => sum.update(bytes),
                (Segment::Sealed(bytes), Treatment::Seal) => {
                    for chunk in bytes.chunks_mut(CHUNK) {
                        sum.update(chunk);
                        self.stream.apply(chunk);
                    }
                }
                (Segment::Sealed(bytes), Treatment::Open) => {
                    for chunk in bytes.chunks_mut(CHUNK) {
                        self.stream.apply(chunk);
                        sum.update(chunk);
                    }
                }
            }
        }
        sum
    }

    /// The signature whose checksum was computed; the stream goes on from the sealed data.
    fn signature(&mut self, sum: Sum, number: u32) -> Signature {
        match sum {
            Sum::Hmac(hmac) => {
                let [mut checksum @ .., _, _, _, _, _, _, _, _] = hmac.finish();
                if self.encrypts_checksum() {
                    self.stream.apply(&mut checksum);
                }
                Signature::extended(checksum, number)
            }
            Sum::Crc(crc) => Signature::legacy(crc.finish(), number, &mut self.stream),
        }
    }

    fn check(&mut self, sum: Sum, found: &Signature, number: u32) -> Result<(), SessionError> {
        if let Sum::Crc(crc) = &sum {
            let (checksum, received) = found.read_legacy(&mut self.stream);
            if !constant_time_eq(&checksum.to_le_bytes(), &crc.finish().to_le_bytes()) {
                return Err(SessionError::IntegrityCheckFailed);
            }
            // MS-NLMP section 3.1.1.2: the number has to be the one that is due.
            if received != number {
                return Err(SessionError::SequenceNumber {
                    expected: number,
                    found: received,
                });
            }
            return Ok(());
        }
        let expected = self.signature(sum, number);
        // MS-NLMP section 3.4.4.2: the checksum has to be that of the message.
        if !constant_time_eq(&expected.to_bytes(), &found.to_bytes()) {
            return Err(SessionError::IntegrityCheckFailed);
        }
        Ok(())
    }

    /// Starts the key stream anew after a mechListMIC, if nothing else was protected (MS-SPNG
    /// section 3.3.5.1). The number goes on.
    pub(crate) fn start_anew(&mut self, messages: u64) {
        self.first = self.next;
        // A key stream that covered application data must never be used again, and a mechListMIC encrypts
        // none.
        if self.next > messages || self.encrypted {
            return;
        }
        self.sent = Sent::default();
        self.stream = self.seal_key.stream();
    }
}

fn each_sealed(payload: &mut dyn Scatter, mut act: impl FnMut(&mut [u8])) {
    for index in 0..payload.count() {
        if let Segment::Sealed(bytes) = payload.segment(index) {
            act(bytes);
        }
    }
}

//! How a message lies in SSPI's buffers: for packages that sign and seal.
//!
//! A message function gets an array of buffers in any order. One of them is the TOKEN (or
//! STREAM_HEADER), which has what the mechanism adds; the DATA buffers are the message, in the
//! caller's order, whether they stand before the token or behind it:
//!
//! | DATA buffer | signed | sealed, in place |
//! |---|---|---|
//! | without an attribute | yes | yes |
//! | READONLY_WITH_CHECKSUM | yes | no |
//! | READONLY | no | no |
//!
//! [`MessageParts::of`] finds them, without an allocation; [`DataParts`] can be walked as often as a
//! mechanism needs (MAC, then cipher), and [`fill_token`] and [`open_stream`] keep the rules for
//! lengths, read-only memory and failures, so that a package is left with its cryptography:
//!
//! ```
//! use trihound_sspi::parts::{self, DataAccess, DataPart, MessageParts};
//! use trihound_sspi::{BufferType, Error, SecBuffer, SecBufferDesc};
//!
//! /// EncryptMessage of a mechanism that protects nothing: its token is the message's length.
//! fn encrypt(message: &mut SecBufferDesc<'_, '_>) -> Result<(), Error> {
//!     parts::require_writable(message)?;
//!     let MessageParts { token, mut data } =
//!         MessageParts::of(message, BufferType::TOKEN, DataAccess::Change)?;
//!     parts::fill_token(token, 1, |bytes| {
//!         let slot = bytes.first_mut().ok_or_else(|| Error::buffer_too_small("TOKEN", 1, 0))?;
//!         *slot = data.length() as u8;
//!         data.each(|part| match part {
//!             DataPart::Sealed(bytes) => bytes.reverse(),
//!             DataPart::Signed(_) => {}
//!         });
//!         Ok(1)
//!     })
//! }
//!
//! let (mut token, mut data) = ([0; 8], *b"abc");
//! let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
//! encrypt(&mut SecBufferDesc::new(&mut buffers))?;
//! assert_eq!(buffers[0].bytes(), [3]);
//! assert_eq!(buffers[1].bytes(), b"cba");
//! # Ok::<(), Error>(())
//! ```

use core::ops::Range;

use crate::{BufferAttributes, BufferType, Error, SecBuffer, SecBufferDesc, SecurityStatus};

/// What a call does with the DATA buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataAccess {
    /// MakeSignature and VerifySignature read them; all of them are signed only.
    Read,
    /// EncryptMessage and DecryptMessage change them in place, but for READONLY_WITH_CHECKSUM.
    Change,
}

/// One DATA buffer of a message, by what is done with its bytes.
#[derive(Debug)]
pub enum DataPart<'a> {
    /// Signed, and encrypted or decrypted in place.
    Sealed(&'a mut [u8]),
    /// Signed only.
    Signed(&'a [u8]),
}

impl DataPart<'_> {
    /// The bytes that are signed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Sealed(bytes) => bytes,
            Self::Signed(bytes) => bytes,
        }
    }
}

/// The DATA buffers before and behind the token, in the caller's order. READONLY ones are not part
/// of the message.
#[derive(Debug)]
pub struct DataParts<'x, 'b> {
    front: &'x mut [SecBuffer<'b>],
    back: &'x mut [SecBuffer<'b>],
    access: DataAccess,
}

impl DataParts<'_, '_> {
    /// How many buffers are part of the message.
    #[must_use]
    pub fn count(&self) -> usize {
        self.front
            .iter()
            .chain(self.back.iter())
            .filter(|buffer| takes_part(buffer))
            .count()
    }

    /// How many bytes the message has, signed or sealed; it saturates.
    #[must_use]
    pub fn length(&self) -> usize {
        self.front
            .iter()
            .chain(self.back.iter())
            .filter(|buffer| takes_part(buffer))
            .fold(0, |sum: usize, buffer| sum.saturating_add(buffer.len()))
    }

    /// The part at `index`, which is below [`Self::count`]; an empty signed one beyond.
    #[must_use]
    pub fn part(&mut self, index: usize) -> DataPart<'_> {
        let access = self.access;
        self.front
            .iter_mut()
            .chain(self.back.iter_mut())
            .filter(|buffer| takes_part(buffer))
            .nth(index)
            .map_or(DataPart::Signed(&[]), |buffer| part_of(buffer, access))
    }

    /// Hands over every part in order.
    pub fn each(&mut self, mut visit: impl FnMut(DataPart<'_>)) {
        let access = self.access;
        self.front
            .iter_mut()
            .chain(self.back.iter_mut())
            .filter(|buffer| takes_part(buffer))
            .for_each(|buffer| visit(part_of(buffer, access)));
    }
}

/// The buffers of one message.
#[derive(Debug)]
pub struct MessageParts<'x, 'b> {
    /// The TOKEN (or STREAM_HEADER) buffer.
    pub token: &'x mut SecBuffer<'b>,
    /// The message itself.
    pub data: DataParts<'x, 'b>,
}

impl<'x, 'b> MessageParts<'x, 'b> {
    /// Finds the first buffer of `token_type`, and the DATA buffers around it.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_TOKEN when there is no such buffer, or no DATA buffer that is part of the
    /// message (EncryptMessage: "No SECBUFFER_DATA type buffer was found").
    pub fn of(
        message: &'x mut SecBufferDesc<'_, 'b>,
        token_type: BufferType,
        access: DataAccess,
    ) -> Result<Self, Error> {
        let buffers = message.buffers_mut();
        let at = buffers
            .iter()
            .position(|buffer| buffer.buffer_type() == token_type)
            .ok_or_else(|| {
                missing("there is no TOKEN buffer; add one of SECPKG_ATTR_SIZES' length")
            })?;
        let (front, rest) = buffers.split_at_mut(at);
        let Some((token, back)) = rest.split_first_mut() else {
            return Err(missing("there is no TOKEN buffer"));
        };
        let data = DataParts {
            front,
            back,
            access,
        };
        // EncryptMessage: "SEC_E_INVALID_TOKEN: No SECBUFFER_DATA type buffer was found."
        if data.count() == 0 {
            return Err(missing("there is no DATA buffer to protect"));
        }
        Ok(Self { token, data })
    }
}

/// Whether the buffer is part of the message: DATA, and not READONLY.
#[must_use]
pub fn takes_part(buffer: &SecBuffer<'_>) -> bool {
    buffer.buffer_type() == BufferType::DATA
        && !buffer.attributes().contains(BufferAttributes::READONLY)
}

fn is_signed_only(buffer: &SecBuffer<'_>) -> bool {
    buffer
        .attributes()
        .contains(BufferAttributes::READONLY_WITH_CHECKSUM)
}

fn part_of<'a>(buffer: &'a mut SecBuffer<'_>, access: DataAccess) -> DataPart<'a> {
    if access == DataAccess::Read || buffer.is_readonly() {
        return DataPart::Signed(buffer.bytes());
    }
    // A buffer that is not read-only was found just before; the other arm cannot be reached.
    match buffer.bytes_mut() {
        Ok(bytes) => DataPart::Sealed(bytes),
        Err(_) => DataPart::Signed(&[]),
    }
}

fn missing(what: &'static str) -> Error {
    Error::new(SecurityStatus::SEC_E_INVALID_TOKEN, what)
}

/// EncryptMessage and DecryptMessage work in place, so every DATA buffer that is not for the checksum
/// alone has to be writable.
///
/// # Errors
///
/// SEC_E_INVALID_PARAMETER when one is over shared memory.
pub fn require_writable(message: &SecBufferDesc<'_, '_>) -> Result<(), Error> {
    let wrong = message
        .buffers()
        .iter()
        .any(|buffer| takes_part(buffer) && !is_signed_only(buffer) && buffer.is_readonly());
    if wrong {
        return Err(Error::parameter(
            "a DATA buffer is read-only and has to be written in place; give it as &mut [u8], or \
             mark it READONLY_WITH_CHECKSUM",
        ));
    }
    Ok(())
}

/// Lets `fill` write into the whole memory of a TOKEN buffer, and sets the buffer's length to what
/// `fill` gives. One made by [`SecBuffer::allocate`] grows to `room` bytes first.
///
/// # Errors
///
/// Those of `fill`; SEC_E_INVALID_PARAMETER for a buffer that is read-only; SEC_E_BUFFER_TOO_SMALL when
/// `fill` gives more than there is. The buffer's length is as it was then.
pub fn fill_token(
    token: &mut SecBuffer<'_>,
    room: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, Error>,
) -> Result<(), Error> {
    let before = token.len();
    let room = if token.is_allocate() {
        room.max(token.capacity())
    } else {
        token.capacity()
    };
    token.set_len(room)?;
    let outcome = token
        .bytes_mut()
        .and_then(fill)
        .and_then(|length| token.set_len(length));
    if outcome.is_err() {
        token.set_len(before)?;
    }
    outcome
}

/// DecryptMessage of a STREAM buffer: `open` gets its bytes, opens them in place and tells where the
/// plaintext lies; the DATA (or EMPTY) buffer then is that part ([`SecBufferDesc::split_stream`]).
///
/// # Errors
///
/// Those of `open`; SEC_E_INVALID_TOKEN without a STREAM buffer or without a place for the plaintext,
/// which is looked for before anything is opened, so that the same call with one succeeds.
pub fn open_stream<T>(
    message: &mut SecBufferDesc<'_, '_>,
    open: impl FnOnce(&mut [u8]) -> Result<(Range<usize>, T), Error>,
) -> Result<T, Error> {
    let has_place = [BufferType::DATA, BufferType::EMPTY]
        .iter()
        .any(|&wanted| message.find(wanted).is_some());
    if !has_place {
        return Err(missing(
            "a STREAM buffer needs a DATA buffer without memory beside it for the plaintext",
        ));
    }
    let Some(stream) = message.find_mut(BufferType::STREAM) else {
        return Err(missing("there is no STREAM buffer"));
    };
    let (plaintext, value) = open(stream.bytes_mut()?)?;
    message.split_stream(plaintext)?;
    Ok(value)
}

/// Shortens the last sealed DATA buffer that is not empty by `padding` bytes: what a peer's mechanism
/// put behind its data.
///
/// # Errors
///
/// None that a buffer with that many bytes could cause.
pub fn cut_padding(message: &mut SecBufferDesc<'_, '_>, padding: usize) -> Result<(), Error> {
    if padding == 0 {
        return Ok(());
    }
    let last = message
        .buffers_mut()
        .iter_mut()
        .rev()
        .find(|buffer| takes_part(buffer) && !buffer.is_readonly() && !buffer.is_empty());
    match last {
        Some(buffer) => buffer.set_len(buffer.len().saturating_sub(padding)),
        None => Ok(()),
    }
}

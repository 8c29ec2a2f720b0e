//! How a message lies in SSPI's buffers.

use trihound_crypto::{Scatter, Segment};
use trihound_sspi::{
    BufferAttributes, BufferType, Error, SecBuffer, SecBufferDesc, SecurityStatus,
};

use crate::error::{MessageError, sspi_error};
use crate::messages::{MessageSession, Unwrapped};

/// The most padding that a mechanism here has, and some more, so that a longer one is noticed.
const MAX_PADDING: usize = 8;

/// What is done to the DATA buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// They are read, under a MIC.
    Read,
    /// They are changed in place, but for READONLY_WITH_CHECKSUM.
    Change,
}

/// The DATA buffers before and behind the TOKEN buffer, in the caller's order. READONLY ones are
/// neither signed nor encrypted, so they are not part of it.
struct Payload<'x, 'b> {
    front: &'x mut [SecBuffer<'b>],
    back: &'x mut [SecBuffer<'b>],
    purpose: Purpose,
}

fn takes_part(buffer: &SecBuffer<'_>) -> bool {
    buffer.buffer_type() == BufferType::DATA
        && !buffer.attributes().contains(BufferAttributes::READONLY)
}

fn is_signed_only(buffer: &SecBuffer<'_>) -> bool {
    buffer
        .attributes()
        .contains(BufferAttributes::READONLY_WITH_CHECKSUM)
}

impl Scatter for Payload<'_, '_> {
    fn count(&self) -> usize {
        self.front
            .iter()
            .chain(self.back.iter())
            .filter(|buffer| takes_part(buffer))
            .count()
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        let found = self
            .front
            .iter_mut()
            .chain(self.back.iter_mut())
            .filter(|buffer| takes_part(buffer))
            .nth(index);
        match found {
            None => Segment::Signed(&[]),
            Some(buffer) if self.purpose == Purpose::Read || buffer.is_readonly() => {
                Segment::Signed(buffer.bytes())
            }
            // A buffer that can be written was found just before; the other arm cannot be reached.
            Some(buffer) => match buffer.bytes_mut() {
                Ok(bytes) => Segment::Sealed(bytes),
                Err(_) => Segment::Signed(&[]),
            },
        }
    }
}

fn missing(what: &'static str) -> Error {
    Error::new(SecurityStatus::SEC_E_INVALID_TOKEN, what)
}

/// The TOKEN (or STREAM_HEADER) buffer, and the others around it.
fn parts<'x, 'b>(
    message: &'x mut SecBufferDesc<'_, 'b>,
    token_type: BufferType,
    purpose: Purpose,
) -> Result<(&'x mut SecBuffer<'b>, Payload<'x, 'b>), Error> {
    let buffers = message.buffers_mut();
    let at = buffers
        .iter()
        .position(|buffer| buffer.buffer_type() == token_type)
        .ok_or_else(|| missing("there is no TOKEN buffer; add one of SECPKG_ATTR_SIZES' length"))?;
    let (front, rest) = buffers.split_at_mut(at);
    let Some((token, back)) = rest.split_first_mut() else {
        return Err(missing("there is no TOKEN buffer"));
    };
    let payload = Payload {
        front,
        back,
        purpose,
    };
    // EncryptMessage: "SEC_E_INVALID_TOKEN: No SECBUFFER_DATA type buffer was found."
    if payload.count() == 0 {
        return Err(missing("there is no DATA buffer to protect"));
    }
    Ok((token, payload))
}

/// EncryptMessage works in place, so every DATA buffer that is not for the checksum alone has to be
/// writable.
fn check_writable(message: &SecBufferDesc<'_, '_>) -> Result<(), Error> {
    let wrong = message
        .buffers()
        .iter()
        .any(|buffer| takes_part(buffer) && !is_signed_only(buffer) && buffer.is_readonly());
    if wrong {
        return Err(Error::new(
            SecurityStatus::SEC_E_INVALID_PARAMETER,
            "a DATA buffer is read-only and has to be written in place; give it as &mut [u8], or \
             mark it READONLY_WITH_CHECKSUM",
        ));
    }
    Ok(())
}

/// Lets `fill` write into the whole memory of a TOKEN buffer; on failure its length is as it was.
fn fill_token(
    token: &mut SecBuffer<'_>,
    room: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, MessageError>,
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
        .and_then(|bytes| fill(bytes).map_err(sspi_error));
    match outcome {
        Ok(length) => token.set_len(length),
        Err(error) => {
            token.set_len(before)?;
            Err(error)
        }
    }
}

/// EncryptMessage; `seal` is false for SECQOP_WRAP_NO_ENCRYPT.
pub(crate) fn encrypt(
    session: &mut MessageSession,
    seal: bool,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<(), Error> {
    check_writable(message)?;
    // A caller that has STREAM_HEADER, DATA and STREAM_TRAILER sends them in one piece.
    let stream = message.find(BufferType::STREAM_HEADER).is_some();
    let (token_type, padding_type, length, needed) = if stream {
        (
            BufferType::STREAM_HEADER,
            BufferType::STREAM_TRAILER,
            session.stream_header_length(),
            session.stream_trailer_length(),
        )
    } else {
        (
            BufferType::TOKEN,
            BufferType::PADDING,
            session.sizes().security_trailer,
            session.padding_length(),
        )
    };
    let room = message.find(padding_type).map_or(0, SecBuffer::capacity);
    // RFC 4757 section 7.3: padding is part of the token, so its byte needs a place.
    if room < needed {
        return Err(Error::new(
            SecurityStatus::SEC_E_BUFFER_TOO_SMALL,
            "this context pads its messages; add a PADDING buffer of cbBlockSize bytes, or beside \
             a STREAM_HEADER a STREAM_TRAILER of cbTrailer",
        ));
    }
    let mut padding = [0; MAX_PADDING];
    let mut padded = 0;
    let (token, mut payload) = parts(message, token_type, Purpose::Change)?;
    fill_token(token, length, |bytes| {
        let wrapped = if stream {
            session.wrap_stream(seal, &mut payload, bytes, &mut padding)?
        } else {
            session.wrap(seal, &mut payload, bytes, &mut padding)?
        };
        padded = wrapped.padding;
        Ok(wrapped.token)
    })?;
    if let Some(buffer) = message.find_mut(padding_type) {
        buffer.write(padding.get(..padded).unwrap_or_default())?;
    }
    Ok(())
}

/// DecryptMessage: a STREAM buffer, or TOKEN with DATA. The value is whether it was sealed.
///
/// # Errors
///
/// [`MessageError`], as the source. After [`MessageError::Sequence`] the plaintext is in the buffers.
pub(crate) fn decrypt(
    session: &mut MessageSession,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<bool, Error> {
    let unwrapped = if message.find(BufferType::STREAM).is_some() {
        decrypt_stream(session, message)?
    } else {
        decrypt_parts(session, message)?
    };
    unwrapped
        .sequence
        .map_err(|irregular| sspi_error(MessageError::Sequence(irregular)))?;
    Ok(unwrapped.sealed)
}

fn decrypt_stream(
    session: &mut MessageSession,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<Unwrapped, Error> {
    let has_place =
        [BufferType::DATA, BufferType::EMPTY].map(|wanted| message.find(wanted).is_some());
    // Before anything is opened: the same call with a place for the plaintext has to succeed.
    if has_place == [false, false] {
        return Err(missing(
            "a STREAM buffer needs a DATA buffer without memory beside it for the plaintext",
        ));
    }
    let Some(stream) = message.find_mut(BufferType::STREAM) else {
        return Err(missing("there is no STREAM buffer"));
    };
    let (range, unwrapped) = session
        .unwrap_stream(stream.bytes_mut()?)
        .map_err(sspi_error)?;
    message.split_stream(range)?;
    Ok(unwrapped)
}

fn decrypt_parts(
    session: &mut MessageSession,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<Unwrapped, Error> {
    check_writable(message)?;
    let mut padding = [0; MAX_PADDING];
    let padded = message
        .find(BufferType::PADDING)
        .map_or(&[][..], SecBuffer::bytes);
    let Some(padding) = padding.get_mut(..padded.len()) else {
        return Err(missing("the PADDING buffer is longer than any padding"));
    };
    padding.copy_from_slice(padded);
    let (token, mut payload) = parts(message, BufferType::TOKEN, Purpose::Change)?;
    let unwrapped = session
        .unwrap(token.bytes_mut()?, &mut payload, padding)
        .map_err(sspi_error)?;
    if let Some(buffer) = message.find_mut(BufferType::PADDING) {
        buffer.set_len(0)?;
    }
    cut_padding(message, unwrapped.padding)?;
    Ok(unwrapped)
}

/// Shortens the last DATA buffer by the padding that a peer's token had at the end of its data.
fn cut_padding(message: &mut SecBufferDesc<'_, '_>, padding: usize) -> Result<(), Error> {
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

/// MakeSignature.
pub(crate) fn make_signature(
    session: &mut MessageSession,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<(), Error> {
    let room = session.sizes().max_signature;
    let (token, mut payload) = parts(message, BufferType::TOKEN, Purpose::Read)?;
    fill_token(token, room, |bytes| session.make_mic(&mut payload, bytes))
}

/// VerifySignature.
pub(crate) fn verify_signature(
    session: &mut MessageSession,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<(), Error> {
    let (token, mut payload) = parts(message, BufferType::TOKEN, Purpose::Read)?;
    session
        .verify_mic(token.bytes(), &mut payload)
        .map_err(sspi_error)?
        .map_err(|irregular| sspi_error(MessageError::Sequence(irregular)))
}

//! How a message lies in SSPI's buffers.

use trihound_crypto::{Scatter, Segment};
use trihound_sspi::parts::{self, DataAccess, DataPart, DataParts, MessageParts};
use trihound_sspi::{BufferType, Error, SecBuffer, SecBufferDesc, SecurityStatus};

use crate::error::{MessageError, sspi_error};
use crate::messages::{MessageSession, Unwrapped};

/// The most padding that a mechanism here has, and some more, so that a longer one is noticed.
const MAX_PADDING: usize = 8;

/// The DATA buffers as the cryptography sees them.
struct Payload<'x, 'b>(DataParts<'x, 'b>);

impl Scatter for Payload<'_, '_> {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        match self.0.part(index) {
            DataPart::Sealed(bytes) => Segment::Sealed(bytes),
            DataPart::Signed(bytes) => Segment::Signed(bytes),
        }
    }
}

/// The TOKEN (or STREAM_HEADER) buffer, and the message around it.
fn split<'x, 'b>(
    message: &'x mut SecBufferDesc<'_, 'b>,
    token_type: BufferType,
    access: DataAccess,
) -> Result<(&'x mut SecBuffer<'b>, Payload<'x, 'b>), Error> {
    let found = MessageParts::of(message, token_type, access)?;
    Ok((found.token, Payload(found.data)))
}

/// EncryptMessage; `seal` is false for SECQOP_WRAP_NO_ENCRYPT.
pub(crate) fn encrypt(
    session: &mut MessageSession,
    seal: bool,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<(), Error> {
    parts::require_writable(message)?;
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
    let (token, mut payload) = split(message, token_type, DataAccess::Change)?;
    parts::fill_token(token, length, |bytes| {
        let wrapped = if stream {
            session.wrap_stream(seal, &mut payload, bytes, &mut padding)
        } else {
            session.wrap(seal, &mut payload, bytes, &mut padding)
        }
        .map_err(sspi_error)?;
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
    parts::open_stream(message, |bytes| {
        session.unwrap_stream(bytes).map_err(sspi_error)
    })
}

fn decrypt_parts(
    session: &mut MessageSession,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<Unwrapped, Error> {
    parts::require_writable(message)?;
    let mut padding = [0; MAX_PADDING];
    let padded = message
        .find(BufferType::PADDING)
        .map_or(&[][..], SecBuffer::bytes);
    let Some(padding) = padding.get_mut(..padded.len()) else {
        return Err(Error::new(
            SecurityStatus::SEC_E_INVALID_TOKEN,
            "the PADDING buffer is longer than any padding",
        ));
    };
    padding.copy_from_slice(padded);
    let (token, mut payload) = split(message, BufferType::TOKEN, DataAccess::Change)?;
    let unwrapped = session
        .unwrap(token.bytes_mut()?, &mut payload, padding)
        .map_err(sspi_error)?;
    if let Some(buffer) = message.find_mut(BufferType::PADDING) {
        buffer.set_len(0)?;
    }
    parts::cut_padding(message, unwrapped.padding)?;
    Ok(unwrapped)
}

/// MakeSignature.
pub(crate) fn make_signature(
    session: &mut MessageSession,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<(), Error> {
    let room = session.sizes().max_signature;
    let (token, mut payload) = split(message, BufferType::TOKEN, DataAccess::Read)?;
    parts::fill_token(token, room, |bytes| {
        session.make_mic(&mut payload, bytes).map_err(sspi_error)
    })
}

/// VerifySignature.
pub(crate) fn verify_signature(
    session: &mut MessageSession,
    message: &mut SecBufferDesc<'_, '_>,
) -> Result<(), Error> {
    let (token, mut payload) = split(message, BufferType::TOKEN, DataAccess::Read)?;
    session
        .verify_mic(token.bytes(), &mut payload)
        .map_err(sspi_error)?
        .map_err(|irregular| sspi_error(MessageError::Sequence(irregular)))
}

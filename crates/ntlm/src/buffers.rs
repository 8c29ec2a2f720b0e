//! SSPI's message functions over a session.

use trihound_crypto::{Scatter, Segment};
use trihound_sspi::parts::{self, DataAccess, DataPart, DataParts, MessageParts};
use trihound_sspi::{BufferType, Error, SECQOP_WRAP_NO_ENCRYPT, SecBufferDesc};

use crate::session::{SIGNATURE_LENGTH, SessionError, SessionSecurity};

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

/// Puts the signature at the front of the caller's TOKEN memory.
fn place(
    bytes: &mut [u8],
    make: impl FnOnce() -> Result<[u8; SIGNATURE_LENGTH], SessionError>,
) -> Result<usize, Error> {
    let found = bytes.len();
    let Some(front) = bytes.first_chunk_mut::<SIGNATURE_LENGTH>() else {
        return Err(SessionError::BufferTooSmall {
            needed: SIGNATURE_LENGTH,
            found,
        }
        .into());
    };
    *front = make()?;
    Ok(SIGNATURE_LENGTH)
}

impl SessionSecurity {
    /// MakeSignature: a TOKEN buffer of 16 bytes, and DATA buffers that are read.
    ///
    /// # Errors
    ///
    /// SEC_E_QOP_NOT_SUPPORTED when neither signing nor sealing was negotiated, and for a quality of
    /// protection other than 0; SEC_E_BUFFER_TOO_SMALL; SEC_E_INVALID_TOKEN without TOKEN or DATA.
    pub fn make_signature(
        &mut self,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error> {
        if quality_of_protection != 0 {
            return Err(SessionError::UnknownQop {
                qop: quality_of_protection,
            }
            .into());
        }
        self.require(false, "MakeSignature")?;
        let found = MessageParts::of(message, BufferType::TOKEN, DataAccess::Read)?;
        let mut payload = Payload(found.data);
        parts::fill_token(found.token, SIGNATURE_LENGTH, |bytes| {
            place(bytes, || self.sign(&mut payload, sequence_number))
        })
    }

    /// VerifySignature; the quality of protection is always 0.
    ///
    /// # Errors
    ///
    /// SEC_E_MESSAGE_ALTERED, SEC_E_OUT_OF_SEQUENCE or SEC_E_INVALID_TOKEN with the
    /// [`SessionError`] as source; SEC_E_QOP_NOT_SUPPORTED as for [`Self::make_signature`].
    pub fn verify_signature(
        &mut self,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        self.require(false, "VerifySignature")?;
        let found = MessageParts::of(message, BufferType::TOKEN, DataAccess::Read)?;
        let mut payload = Payload(found.data);
        self.verify(found.token.bytes(), &mut payload, sequence_number)?;
        Ok(0)
    }

    /// EncryptMessage, in place: TOKEN (or STREAM_HEADER) with DATA buffers. A PADDING or STREAM_TRAILER
    /// buffer is emptied, since NTLM pads nothing.
    ///
    /// SECQOP_WRAP_NO_ENCRYPT signs only, as it does on Windows.
    ///
    /// # Errors
    ///
    /// SEC_E_QOP_NOT_SUPPORTED for a protection that was not negotiated and one that NTLM does not have;
    /// SEC_E_INVALID_PARAMETER for a DATA buffer that cannot be written; otherwise as
    /// [`Self::make_signature`].
    pub fn encrypt_message(
        &mut self,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error> {
        let seal = match quality_of_protection {
            0 => true,
            SECQOP_WRAP_NO_ENCRYPT => false,
            qop => return Err(SessionError::UnknownQop { qop }.into()),
        };
        self.require(seal, "EncryptMessage")?;
        parts::require_writable(message)?;
        let is_stream = message.find(BufferType::STREAM_HEADER).is_some();
        let (token_type, padding_type) = if is_stream {
            (BufferType::STREAM_HEADER, BufferType::STREAM_TRAILER)
        } else {
            (BufferType::TOKEN, BufferType::PADDING)
        };
        let found = MessageParts::of(message, token_type, DataAccess::Change)?;
        let mut payload = Payload(found.data);
        parts::fill_token(found.token, SIGNATURE_LENGTH, |bytes| {
            place(bytes, || self.protect(seal, &mut payload, sequence_number))
        })?;
        if let Some(padding) = message.find_mut(padding_type) {
            padding.set_len(0)?;
        }
        Ok(())
    }

    /// DecryptMessage, in place: a STREAM buffer with a DATA buffer for the plaintext, or TOKEN with DATA
    /// buffers. The value is 0 for a message that was encrypted, SECQOP_WRAP_NO_ENCRYPT for one that
    /// was signed only.
    ///
    /// # Errors
    ///
    /// As [`Self::verify_signature`]; the DATA buffers are zeros then, but for the signed-only ones.
    pub fn decrypt_message(
        &mut self,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        self.require(false, "DecryptMessage")?;
        let unsealed = if message.find(BufferType::STREAM).is_some() {
            parts::open_stream(message, |bytes| {
                Ok(self.open_stream(bytes, sequence_number)?)
            })?
        } else {
            parts::require_writable(message)?;
            let found = MessageParts::of(message, BufferType::TOKEN, DataAccess::Change)?;
            let mut payload = Payload(found.data);
            let unsealed = self.open(found.token.bytes(), &mut payload, sequence_number)?;
            if let Some(padding) = message.find_mut(BufferType::PADDING) {
                padding.set_len(0)?;
            }
            unsealed
        };
        Ok(if unsealed.sealed {
            0
        } else {
            SECQOP_WRAP_NO_ENCRYPT
        })
    }
}

use crate::{Error, SecurityStatus};

const HEADER_LENGTH: usize = 32;

/// Channel bindings as SSPI passes them: `SEC_CHANNEL_BINDINGS` of sspi.h, a header of eight
/// little-endian 32-bit numbers, and the bytes that its offsets name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelBindings<'a> {
    /// `dwInitiatorAddrType` (the address families of RFC 2744 section 3.11).
    pub initiator_address_type: u32,
    /// The initiator's address.
    pub initiator_address: &'a [u8],
    /// `dwAcceptorAddrType`.
    pub acceptor_address_type: u32,
    /// The acceptor's address.
    pub acceptor_address: &'a [u8],
    /// The application data, `tls-server-end-point:` and a hash, for example (RFC 5929).
    pub application_data: &'a [u8],
}

impl<'a> ChannelBindings<'a> {
    /// Bindings of application data alone, which is what TLS ones are.
    #[must_use]
    pub fn application_data(data: &'a [u8]) -> Self {
        Self {
            application_data: data,
            ..Self::default()
        }
    }

    /// Reads a CHANNEL_BINDINGS buffer.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_TOKEN when the header is cut short or an offset and length leave the buffer.
    pub fn parse(buffer: &'a [u8]) -> Result<Self, Error> {
        let mut fields = [0u32; 8];
        let header = buffer
            .get(..HEADER_LENGTH)
            .ok_or_else(|| malformed(buffer.len(), "its header has 32 bytes"))?;
        for (field, chunk) in fields.iter_mut().zip(header.chunks_exact(4)) {
            *field = u32::from_le_bytes(chunk.try_into().unwrap_or_default());
        }
        let [
            initiator_type,
            initiator_len,
            initiator_at,
            acceptor_type,
            acceptor_len,
            acceptor_at,
            data_len,
            data_at,
        ] = fields;
        Ok(Self {
            initiator_address_type: initiator_type,
            initiator_address: span(buffer, initiator_at, initiator_len)?,
            acceptor_address_type: acceptor_type,
            acceptor_address: span(buffer, acceptor_at, acceptor_len)?,
            application_data: span(buffer, data_at, data_len)?,
        })
    }

    /// The bytes for [`crate::SecBuffer::channel_bindings`].
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_PARAMETER when the lengths do not fit 32 bits.
    pub fn to_buffer(&self) -> Result<Vec<u8>, Error> {
        let mut offset = 32u32;
        let mut buffer = Vec::with_capacity(
            HEADER_LENGTH
                .saturating_add(self.initiator_address.len())
                .saturating_add(self.acceptor_address.len())
                .saturating_add(self.application_data.len()),
        );
        let parts = [
            (Some(self.initiator_address_type), self.initiator_address),
            (Some(self.acceptor_address_type), self.acceptor_address),
            (None, self.application_data),
        ];
        for (address_type, bytes) in parts {
            let length = length_u32(bytes)?;
            if let Some(address_type) = address_type {
                buffer.extend_from_slice(&address_type.to_le_bytes());
            }
            buffer.extend_from_slice(&length.to_le_bytes());
            let at = if bytes.is_empty() { 0 } else { offset };
            buffer.extend_from_slice(&at.to_le_bytes());
            offset = offset.checked_add(length).ok_or_else(too_long)?;
        }
        for (_, bytes) in parts {
            buffer.extend_from_slice(bytes);
        }
        Ok(buffer)
    }

    /// The octets that Kerberos hashes with MD5 for the checksum 0x8003: each number little-endian
    /// on 32 bits, each address and the data behind its length (RFC 4121 section 4.1.1.2).
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_PARAMETER when a length does not fit 32 bits.
    pub fn gss_image(&self) -> Result<Vec<u8>, Error> {
        let mut image = Vec::new();
        for (address_type, address) in [
            (self.initiator_address_type, self.initiator_address),
            (self.acceptor_address_type, self.acceptor_address),
        ] {
            image.extend_from_slice(&address_type.to_le_bytes());
            image.extend_from_slice(&length_u32(address)?.to_le_bytes());
            image.extend_from_slice(address);
        }
        image.extend_from_slice(&length_u32(self.application_data)?.to_le_bytes());
        image.extend_from_slice(self.application_data);
        Ok(image)
    }
}

fn span(buffer: &[u8], offset: u32, length: u32) -> Result<&[u8], Error> {
    if length == 0 {
        return Ok(&[]);
    }
    let outside = || malformed(buffer.len(), "an offset and length point outside of it");
    let start = usize::try_from(offset).map_err(|_| outside())?;
    let length = usize::try_from(length).map_err(|_| outside())?;
    if start < HEADER_LENGTH {
        return Err(malformed(
            buffer.len(),
            "an offset points into its own header",
        ));
    }
    let end = start.checked_add(length).ok_or_else(outside)?;
    buffer.get(start..end).ok_or_else(outside)
}

fn length_u32(bytes: &[u8]) -> Result<u32, Error> {
    u32::try_from(bytes.len()).map_err(|_| too_long())
}

fn too_long() -> Error {
    Error::parameter("the channel bindings are longer than a 32-bit length can say")
}

fn malformed(length: usize, why: &str) -> Error {
    Error::new(
        SecurityStatus::SEC_E_INVALID_TOKEN,
        format!(
            "the CHANNEL_BINDINGS buffer of {length} bytes is not a SEC_CHANNEL_BINDINGS: {why}; \
             build it with ChannelBindings::to_buffer"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: ChannelBindings<'static> = ChannelBindings {
        initiator_address_type: 2,
        initiator_address: &[127, 0, 0, 1],
        acceptor_address_type: 24,
        acceptor_address: &[0; 16],
        application_data: b"tls-server-end-point:abc",
    };

    #[test]
    fn a_buffer_reads_back_as_what_made_it() {
        for bindings in [
            FULL,
            ChannelBindings::application_data(b"x"),
            ChannelBindings::default(),
        ] {
            let buffer = bindings.to_buffer().unwrap();
            assert_eq!(ChannelBindings::parse(&buffer).unwrap(), bindings);
        }
    }

    #[test]
    fn the_layout_is_that_of_the_header_file() {
        let buffer = ChannelBindings::application_data(b"abc")
            .to_buffer()
            .unwrap();
        let mut expected = vec![0; 24];
        expected.extend_from_slice(&[3, 0, 0, 0, 32, 0, 0, 0]);
        expected.extend_from_slice(b"abc");
        assert_eq!(buffer, expected);
    }

    #[test]
    fn the_hashed_image_is_that_of_rfc_4121() {
        let mut expected = vec![2, 0, 0, 0, 4, 0, 0, 0, 127, 0, 0, 1];
        expected.extend_from_slice(&[24, 0, 0, 0, 16, 0, 0, 0]);
        expected.extend_from_slice(&[0; 16]);
        expected.extend_from_slice(&[24, 0, 0, 0]);
        expected.extend_from_slice(b"tls-server-end-point:abc");
        assert_eq!(FULL.gss_image().unwrap(), expected);
    }

    #[test]
    fn every_truncation_is_refused() {
        let buffer = FULL.to_buffer().unwrap();
        for length in 0..buffer.len() {
            let error = ChannelBindings::parse(&buffer[..length]).unwrap_err();
            assert_eq!(
                error.status(),
                SecurityStatus::SEC_E_INVALID_TOKEN,
                "{length}"
            );
        }
    }

    #[test]
    fn offsets_that_overflow_or_meet_the_header_are_refused() {
        for (length, offset) in [(u32::MAX, 32), (1, u32::MAX), (u32::MAX, u32::MAX), (4, 0)] {
            let mut buffer = ChannelBindings::application_data(b"abcd")
                .to_buffer()
                .unwrap();
            buffer[24..28].copy_from_slice(&length.to_le_bytes());
            buffer[28..32].copy_from_slice(&offset.to_le_bytes());
            assert_eq!(
                ChannelBindings::parse(&buffer).unwrap_err().status(),
                SecurityStatus::SEC_E_INVALID_TOKEN
            );
        }
    }
}

//! Fixed parts and payload: how a message is taken apart and put together (MS-NLMP section 2.2.1).

use super::{Field, MessageError, MessageType, SIGNATURE, Version, message_type};
use crate::NegotiateFlags;

/// A message of the right type.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// Where the payload begins: the smallest offset of a field that has bytes, else the end of the message.
    payload: usize,
}

impl<'a> Reader<'a> {
    /// Takes a message whose fixed part has at least `header` bytes.
    pub(super) fn new(
        bytes: &'a [u8],
        expected: MessageType,
        header: usize,
    ) -> Result<Self, MessageError> {
        let found = message_type(bytes)?;
        // MS-NLMP sections 2.2.1.1 to 2.2.1.3: each message has its own MessageType.
        if found != expected {
            return Err(MessageError::WrongMessageType { expected, found });
        }
        // MS-NLMP sections 2.2.1.1 to 2.2.1.3: the fixed part is always there.
        if bytes.len() < header {
            return Err(MessageError::TooShort {
                needed: header,
                found: bytes.len(),
            });
        }
        Ok(Self {
            bytes,
            payload: bytes.len(),
        })
    }

    /// `N` bytes of the fixed part.
    pub(super) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], MessageError> {
        self.bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .ok_or(MessageError::TooShort {
                needed: at.saturating_add(N),
                found: self.bytes.len(),
            })
    }

    pub(super) fn flags(&self, at: usize) -> Result<NegotiateFlags, MessageError> {
        let bits = u32::from_le_bytes(self.array(at)?);
        Ok(NegotiateFlags::from_bits_retain(bits))
    }

    /// The bytes of the field whose description is `at`, and which must lie behind `header` bytes.
    ///
    /// An empty field lies nowhere, whatever its offset. MaxLen is ignored, as the specification says.
    pub(super) fn field(
        &mut self,
        at: usize,
        field: Field,
        header: usize,
    ) -> Result<&'a [u8], MessageError> {
        let [l0, l1, _, _, o0, o1, o2, o3] = self.array(at)?;
        let length = u16::from_le_bytes([l0, l1]);
        let offset = u32::from_le_bytes([o0, o1, o2, o3]);
        if length == 0 {
            return Ok(&[]);
        }
        let outside = MessageError::FieldOutOfBounds {
            field,
            offset,
            length,
            message: self.bytes.len(),
        };
        let Ok(start) = usize::try_from(offset) else {
            return Err(outside);
        };
        // MS-NLMP section 2.2.1: an offset is from the message's start into its payload.
        if start < header {
            return Err(MessageError::FieldInHeader {
                field,
                offset,
                header,
            });
        }
        let bytes = start
            .checked_add(length.into())
            .and_then(|end| self.bytes.get(start..end));
        let Some(bytes) = bytes else {
            return Err(outside);
        };
        self.payload = self.payload.min(start);
        Ok(bytes)
    }

    /// Whether the fixed part reaches to `end`: the payload begins there or later, and so does the message's end.
    /// To be asked when the fields are read (conformance row 146).
    pub(super) fn has_header(&self, end: usize) -> bool {
        end <= self.payload
    }

    /// The version, where the flags say that there is one and there is room for it.
    pub(super) fn version(
        &self,
        at: usize,
        flags: NegotiateFlags,
    ) -> Result<Option<Version>, MessageError> {
        // MS-NLMP section 2.2.2.5, T: without the flag the bytes mean nothing.
        if flags.contains(NegotiateFlags::NEGOTIATE_VERSION) && self.has_header(at + 8) {
            return Ok(Some(Version::from_bytes(self.array(at)?)));
        }
        Ok(None)
    }
}

/// A message in the making: the fixed part grows in `bytes`, and behind it the payload in the order of
/// [`Self::payload`], wherever the fields' descriptions are.
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A message with a fixed part of `header` bytes, zero but for signature and type, and room for `payload` more.
    pub(super) fn new(kind: MessageType, header: usize, payload: usize) -> Self {
        let mut bytes = Vec::with_capacity(header.saturating_add(payload));
        bytes.extend_from_slice(&SIGNATURE);
        bytes.extend_from_slice(&(kind as u32).to_le_bytes());
        bytes.resize(header, 0);
        Self { bytes }
    }

    /// Puts bytes into the fixed part, which has room for them.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self
            .bytes
            .get_mut(at..)
            .and_then(|rest| rest.get_mut(..bytes.len()))
        {
            place.copy_from_slice(bytes);
        }
    }

    /// Appends a field's bytes to the payload and describes them `at`.
    pub(super) fn payload(
        &mut self,
        at: usize,
        field: Field,
        bytes: &[u8],
    ) -> Result<(), MessageError> {
        let too_long = MessageError::FieldTooLong {
            field,
            length: bytes.len(),
        };
        // MS-NLMP section 2.2.1: a length has 16 bits, an offset 32.
        let (Ok(length), Ok(offset)) =
            (u16::try_from(bytes.len()), u32::try_from(self.bytes.len()))
        else {
            return Err(too_long);
        };
        let [l0, l1] = length.to_le_bytes();
        let [o0, o1, o2, o3] = offset.to_le_bytes();
        self.put(at, &[l0, l1, l0, l1, o0, o1, o2, o3]);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

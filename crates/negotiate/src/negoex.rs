//! The messages of NEGOEX (MS-NEGOEX), read and never spoken.
//!
//! Windows puts NEGOEX at the head of its mechanism list and its first messages into the optimistic token.
//! No package here takes part in it, so an acceptor passes over it to the next mechanism of the list; the
//! token is still read, since what claims to be NEGOEX and is not comes from a broken or hostile peer.
//! Checksums of VERIFY messages are handed out, not verified: that needs a key of a mechanism that was
//! negotiated with NEGOEX, and there is none.

use thiserror::Error;

/// A GUID in the order of the wire: CONVERSATION_ID and AUTH_SCHEME (MS-NEGOEX 2.2.2).
pub type Guid = [u8; 16];

/// The most messages that one token may hold. Windows sends four at most: NEGO, META_DATA, AP_REQUEST, VERIFY.
pub const MAX_MESSAGES: usize = 16;
/// The most authentication schemes that one NEGO_MESSAGE may offer. Windows offers one or two.
pub const MAX_AUTH_SCHEMES: usize = 64;
/// The most extensions of one NEGO_MESSAGE. None is defined.
pub const MAX_EXTENSIONS: usize = 64;
/// The most alerts of one ALERT_MESSAGE. One type of alert is defined.
pub const MAX_ALERTS: usize = 16;

/// "NEGOEXTS" (MS-NEGOEX 2.2.3).
const MESSAGE_SIGNATURE: &[u8; 8] = b"NEGOEXTS";
/// MESSAGE_HEADER alone (MS-NEGOEX 2.2.6.2).
const MESSAGE_HEADER_LENGTH: usize = 40;
/// CHECKSUM without its value (MS-NEGOEX 2.2.5.1.3).
const CHECKSUM_HEADER_LENGTH: u32 = 20;
/// CHECKSUM_SCHEME_RFC3961 (MS-NEGOEX 2.2.5.1.3).
const CHECKSUM_SCHEME_RFC3961: u32 = 1;
/// Type, offset and length: EXTENSION and ALERT (MS-NEGOEX 2.2.5.1.4, 2.2.5.1.1).
const TYPED_VECTOR_LENGTH: usize = 12;
/// The bit of an extension that its receiver must understand (MS-NEGOEX 2.2.5.1.4).
const CRITICAL: u32 = 0x8000_0000;

/// Why bytes are no token of NEGOEX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NegoExError {
    /// No message at all, or less than a header is left (MS-NEGOEX 2.2.6.2).
    #[error(
        "NEGOEX token ends {present} bytes after byte {offset}, a message header takes 40; the token was cut off"
    )]
    Truncated {
        /// Where the message begins.
        offset: usize,
        /// Bytes that are left there.
        present: usize,
    },
    /// The signature is not NEGOEXTS (MS-NEGOEX 2.2.6.2).
    #[error(
        "NEGOEX message at byte {offset} does not begin with NEGOEXTS; these bytes are something else"
    )]
    Signature {
        /// Where the message begins.
        offset: usize,
    },
    /// A type above 7 (MS-NEGOEX 2.2.6.1).
    #[error(
        "NEGOEX message has type {found}, only 0 to 7 are defined; the peer speaks another version"
    )]
    MessageType {
        /// The type that came.
        found: u32,
    },
    /// `cbMessageLength` runs past the token (MS-NEGOEX 2.2.6.2).
    #[error(
        "NEGOEX message says it has {claimed} bytes, {present} are there; the token was cut off or altered"
    )]
    MessageLength {
        /// What the header says.
        claimed: u32,
        /// Bytes that are left.
        present: usize,
    },
    /// `cbHeaderLength` is less than the header of this type takes, or more than the message (MS-NEGOEX 2.2.6.2).
    #[error(
        "NEGOEX message says its header has {claimed} bytes, must be {least} to {most}; the sender counts wrongly or the token was altered"
    )]
    HeaderLength {
        /// What the header says.
        claimed: u32,
        /// What the header of this type takes.
        least: usize,
        /// The whole message.
        most: usize,
    },
    /// A number out of its order (MS-NEGOEX 2.2.6.2).
    #[error(
        "NEGOEX message has number {found}, must be {expected}; a message was lost, repeated or put in"
    )]
    SequenceNumber {
        /// The number that came.
        found: u32,
        /// The next number of the conversation.
        expected: u32,
    },
    /// Another conversation (MS-NEGOEX 2.2.6.2: MUST remain the same).
    #[error(
        "NEGOEX message belongs to another conversation than the one before; tokens of two negotiations were mixed"
    )]
    ConversationId,
    /// A vector does not lie in the payload behind the header (MS-NEGOEX 2.2.5.2).
    #[error(
        "NEGOEX vector of {count} entries at byte {offset} does not lie in the payload of its message; the sender counts wrongly or the token was altered"
    )]
    Vector {
        /// Offset from the beginning of the message.
        offset: u32,
        /// Number of entries, for a BYTE_VECTOR bytes.
        count: u32,
    },
    /// More entries than are looked at.
    #[error(
        "NEGOEX {what} number {count}, over the limit of {limit}; no peer sends that many, so this one is hostile or damaged"
    )]
    TooMany {
        /// Messages, schemes, extensions or alerts.
        what: &'static str,
        /// How many there are; of messages, the first too many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// `ProtocolVersion` is not 0 (MS-NEGOEX 2.2.6.3).
    #[error(
        "NEGOEX message says protocol version {found}, only 0 is defined; the peer speaks another version"
    )]
    ProtocolVersion {
        /// The version that came.
        found: u64,
    },
    /// An extension that its receiver must understand (MS-NEGOEX 2.2.5.1.4).
    #[error(
        "NEGOEX message has the critical extension {extension_type:#x}, none is defined; the peer needs what nobody here can do"
    )]
    CriticalExtension {
        /// Type of the extension.
        extension_type: u32,
    },
    /// The fixed part of CHECKSUM is not 20 bytes (MS-NEGOEX 2.2.5.1.3).
    #[error(
        "NEGOEX checksum says its header has {found} bytes, must be 20; the sender counts wrongly or the token was altered"
    )]
    ChecksumHeaderLength {
        /// The length that came.
        found: u32,
    },
    /// A scheme other than that of RFC 3961 (MS-NEGOEX 2.2.5.1.3).
    #[error(
        "NEGOEX checksum has scheme {found}, only 1 is defined; the peer speaks another version"
    )]
    ChecksumScheme {
        /// The scheme that came.
        found: u32,
    },
}

/// MESSAGE_TYPE (MS-NEGOEX 2.2.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MessageType {
    /// The initiator's schemes.
    InitiatorNego = 0,
    /// The acceptor's schemes.
    AcceptorNego = 1,
    /// Metadata of one scheme, from the initiator.
    InitiatorMetaData = 2,
    /// Metadata of one scheme, from the acceptor.
    AcceptorMetaData = 3,
    /// Context token of the acceptor.
    Challenge = 4,
    /// Context token of the initiator.
    ApRequest = 5,
    /// Checksum over all messages so far.
    Verify = 6,
    /// Something to be told of a scheme.
    Alert = 7,
}

impl MessageType {
    const ALL: [Self; 8] = [
        Self::InitiatorNego,
        Self::AcceptorNego,
        Self::InitiatorMetaData,
        Self::AcceptorMetaData,
        Self::Challenge,
        Self::ApRequest,
        Self::Verify,
        Self::Alert,
    ];

    fn from_number(found: u32) -> Result<Self, NegoExError> {
        usize::try_from(found)
            .ok()
            .and_then(|index| Self::ALL.get(index))
            .copied()
            .ok_or(NegoExError::MessageType { found })
    }

    /// Bytes of the header that a message of this type has at least, without padding at its end
    /// (MS-NEGOEX 2.2.6.3 to 2.2.6.6).
    const fn header_length(self) -> usize {
        match self {
            Self::InitiatorNego | Self::AcceptorNego => 96,
            Self::InitiatorMetaData
            | Self::AcceptorMetaData
            | Self::Challenge
            | Self::ApRequest => 64,
            Self::Verify => 76,
            Self::Alert => 68,
        }
    }
}

/// One message of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is for.
    pub message_type: MessageType,
    /// Its number in the conversation, from 0, both sides counted together.
    pub sequence_number: u32,
    /// Which conversation.
    pub conversation_id: Guid,
    /// What it says.
    pub body: Body<'a>,
}

/// What follows MESSAGE_HEADER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// NEGO_MESSAGE (MS-NEGOEX 2.2.6.3).
    Nego {
        /// Random of the sender.
        random: [u8; 32],
        /// Schemes that the sender offers, the preferred one first.
        auth_schemes: Vec<Guid>,
        /// Extensions that need not be understood: type and value.
        extensions: Vec<(u32, &'a [u8])>,
    },
    /// EXCHANGE_MESSAGE (MS-NEGOEX 2.2.6.4).
    Exchange {
        /// For which scheme.
        auth_scheme: Guid,
        /// Metadata or a context token.
        exchange: &'a [u8],
    },
    /// VERIFY_MESSAGE (MS-NEGOEX 2.2.6.5).
    Verify {
        /// The scheme that was chosen.
        auth_scheme: Guid,
        /// Checksum type of RFC 3961.
        checksum_type: u32,
        /// The checksum, not verified.
        checksum: &'a [u8],
    },
    /// ALERT_MESSAGE (MS-NEGOEX 2.2.6.6).
    Alert {
        /// Of which scheme.
        auth_scheme: Guid,
        /// An NTSTATUS.
        error_code: u32,
        /// Type and value of each alert.
        alerts: Vec<(u32, &'a [u8])>,
    },
}

/// What must go on from token to token: the number of the next message and the conversation's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    next: u32,
    id: Option<Guid>,
}

impl Conversation {
    /// The conversation's name, once a message has said it.
    #[must_use]
    pub const fn id(&self) -> Option<Guid> {
        self.id
    }

    /// Reads all messages of the peer's next token.
    ///
    /// # Errors
    /// Anything malformed, out of order or of another conversation; `self` is then as it was.
    pub fn read<'a>(&mut self, token: &'a [u8]) -> Result<Vec<Message<'a>>, NegoExError> {
        let mut after = *self;
        let mut messages = Vec::new();
        let mut rest = token;
        loop {
            // One message at least: an empty token says nothing.
            let (message, behind) = after.read_message(rest, token.len() - rest.len())?;
            messages.push(message);
            if behind.is_empty() {
                break;
            }
            if messages.len() == MAX_MESSAGES {
                return Err(NegoExError::TooMany {
                    what: "messages of one token",
                    count: MAX_MESSAGES + 1,
                    limit: MAX_MESSAGES,
                });
            }
            rest = behind;
        }
        *self = after;
        Ok(messages)
    }

    /// Counts a message that this side sends itself.
    pub const fn sent(&mut self) {
        self.next = self.next.wrapping_add(1);
    }

    fn read_message<'a>(
        &mut self,
        rest: &'a [u8],
        offset: usize,
    ) -> Result<(Message<'a>, &'a [u8]), NegoExError> {
        let header = Header::read(rest, offset)?;
        // MS-NEGOEX 2.2.6.2: numbers begin with 0 and are incremented sequentially.
        if header.sequence_number != self.next {
            return Err(NegoExError::SequenceNumber {
                found: header.sequence_number,
                expected: self.next,
            });
        }
        // MS-NEGOEX 2.2.6.2: the ConversationID MUST remain the same throughout the exchange.
        if self.id.is_some_and(|id| id != header.conversation_id) {
            return Err(NegoExError::ConversationId);
        }
        let (message, behind) = rest.split_at(header.message_length.min(rest.len()));
        let body = Reader {
            message,
            header_length: header.header_length,
            at: MESSAGE_HEADER_LENGTH,
        }
        .body(header.message_type)?;
        self.id = Some(header.conversation_id);
        self.next = self.next.wrapping_add(1);
        let message = Message {
            message_type: header.message_type,
            sequence_number: header.sequence_number,
            conversation_id: header.conversation_id,
            body,
        };
        Ok((message, behind))
    }
}

/// MESSAGE_HEADER with its lengths checked against what is there.
struct Header {
    message_type: MessageType,
    sequence_number: u32,
    conversation_id: Guid,
    header_length: usize,
    message_length: usize,
}

impl Header {
    fn read(rest: &[u8], offset: usize) -> Result<Self, NegoExError> {
        let truncated = NegoExError::Truncated {
            offset,
            present: rest.len(),
        };
        let Some((fixed, _)) = rest.split_first_chunk::<MESSAGE_HEADER_LENGTH>() else {
            return Err(truncated);
        };
        // MS-NEGOEX 2.2.6.2: Signature contains MESSAGE_SIGNATURE.
        if !fixed.starts_with(MESSAGE_SIGNATURE) {
            return Err(NegoExError::Signature { offset });
        }
        let mut fields = Reader {
            message: fixed,
            header_length: MESSAGE_HEADER_LENGTH,
            at: MESSAGE_SIGNATURE.len(),
        };
        let message_type = MessageType::from_number(fields.u32()?)?;
        let sequence_number = fields.u32()?;
        let (claimed_header, claimed) = (fields.u32()?, fields.u32()?);
        let message_length = usize::try_from(claimed).unwrap_or(usize::MAX);
        // MS-NEGOEX 2.2.6.2: cbMessageLength is the length of the message, which lies in the token.
        if message_length > rest.len() {
            return Err(NegoExError::MessageLength {
                claimed,
                present: rest.len(),
            });
        }
        let header_length = usize::try_from(claimed_header).unwrap_or(usize::MAX);
        let least = message_type.header_length();
        // MS-NEGOEX 2.2.6.2: cbHeaderLength includes the message-specific header and excludes the payload.
        if header_length < least || header_length > message_length {
            return Err(NegoExError::HeaderLength {
                claimed: claimed_header,
                least,
                most: message_length,
            });
        }
        Ok(Self {
            message_type,
            sequence_number,
            conversation_id: fields.array()?,
            header_length,
            message_length,
        })
    }
}

/// Walks over the header of one message; vectors are offsets from its beginning.
struct Reader<'a> {
    message: &'a [u8],
    header_length: usize,
    at: usize,
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], NegoExError> {
        let end = self.at.saturating_add(N);
        let bytes = self
            .message
            .get(self.at..end.min(self.header_length))
            .and_then(|bytes| bytes.first_chunk::<N>())
            .ok_or(NegoExError::Truncated {
                offset: self.at,
                present: self.message.len().saturating_sub(self.at),
            })?;
        self.at = end;
        Ok(*bytes)
    }

    fn u16(&mut self) -> Result<u16, NegoExError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, NegoExError> {
        self.array().map(u32::from_le_bytes)
    }

    /// `count` entries of `width` bytes each, inside the payload.
    fn vector(&self, offset: u32, count: u32, width: usize) -> Result<&'a [u8], NegoExError> {
        if count == 0 {
            return Ok(&[]);
        }
        let outside = NegoExError::Vector { offset, count };
        let start = usize::try_from(offset).map_err(|_| outside)?;
        let length = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(width))
            .ok_or(outside)?;
        // MS-NEGOEX 2.2.5.2: a vector's entries lie in the message, behind its header.
        if start < self.header_length {
            return Err(outside);
        }
        let end = start.checked_add(length).ok_or(outside)?;
        self.message.get(start..end).ok_or(outside)
    }

    /// BYTE_VECTOR (MS-NEGOEX 2.2.5.2.3): an offset and a length, both of 32 bits.
    fn byte_vector(&mut self) -> Result<&'a [u8], NegoExError> {
        let (offset, length) = (self.u32()?, self.u32()?);
        self.vector(offset, length, 1)
    }

    /// A vector with a count of 16 bits, which the compiler of the standard pads to 8 bytes.
    fn counted_vector(
        &mut self,
        what: &'static str,
        width: usize,
        limit: usize,
    ) -> Result<&'a [u8], NegoExError> {
        let (offset, count, _padding) = (self.u32()?, self.u16()?, self.u16()?);
        if usize::from(count) > limit {
            return Err(NegoExError::TooMany {
                what,
                count: count.into(),
                limit,
            });
        }
        self.vector(offset, count.into(), width)
    }

    /// EXTENSION or ALERT: a type, and a value somewhere else in the payload.
    fn typed_values(&self, entries: &'a [u8]) -> Result<Vec<(u32, &'a [u8])>, NegoExError> {
        let (entries, _) = entries.as_chunks::<TYPED_VECTOR_LENGTH>();
        entries
            .iter()
            .map(|[t0, t1, t2, t3, o0, o1, o2, o3, l0, l1, l2, l3]| {
                let value = self.vector(
                    u32::from_le_bytes([*o0, *o1, *o2, *o3]),
                    u32::from_le_bytes([*l0, *l1, *l2, *l3]),
                    1,
                )?;
                Ok((u32::from_le_bytes([*t0, *t1, *t2, *t3]), value))
            })
            .collect()
    }

    fn body(mut self, message_type: MessageType) -> Result<Body<'a>, NegoExError> {
        match message_type {
            MessageType::InitiatorNego | MessageType::AcceptorNego => self.nego(),
            MessageType::InitiatorMetaData
            | MessageType::AcceptorMetaData
            | MessageType::Challenge
            | MessageType::ApRequest => Ok(Body::Exchange {
                auth_scheme: self.array()?,
                exchange: self.byte_vector()?,
            }),
            MessageType::Verify => self.verify(),
            MessageType::Alert => {
                let (auth_scheme, error_code) = (self.array()?, self.u32()?);
                let entries = self.counted_vector("alerts", TYPED_VECTOR_LENGTH, MAX_ALERTS)?;
                Ok(Body::Alert {
                    auth_scheme,
                    error_code,
                    alerts: self.typed_values(entries)?,
                })
            }
        }
    }

    fn nego(&mut self) -> Result<Body<'a>, NegoExError> {
        let random = self.array()?;
        let found = self.array().map(u64::from_le_bytes)?;
        // MS-NEGOEX 2.2.6.3: ProtocolVersion contains 0.
        if found != 0 {
            return Err(NegoExError::ProtocolVersion { found });
        }
        let schemes = self.counted_vector(
            "authentication schemes",
            size_of::<Guid>(),
            MAX_AUTH_SCHEMES,
        )?;
        let entries = self.counted_vector("extensions", TYPED_VECTOR_LENGTH, MAX_EXTENSIONS)?;
        let extensions = self.typed_values(entries)?;
        // MS-NEGOEX 2.2.5.1.4: without understanding a critical extension the attempt MUST be rejected.
        if let Some((extension_type, _)) = extensions.iter().find(|(kind, _)| kind & CRITICAL != 0)
        {
            return Err(NegoExError::CriticalExtension {
                extension_type: *extension_type,
            });
        }
        Ok(Body::Nego {
            random,
            auth_schemes: schemes.as_chunks().0.to_vec(),
            extensions,
        })
    }

    fn verify(&mut self) -> Result<Body<'a>, NegoExError> {
        let auth_scheme = self.array()?;
        let found = self.u32()?;
        // MS-NEGOEX 2.2.5.1.3: cbHeaderLength is the length of CHECKSUM without the value.
        if found != CHECKSUM_HEADER_LENGTH {
            return Err(NegoExError::ChecksumHeaderLength { found });
        }
        let found = self.u32()?;
        // MS-NEGOEX 2.2.5.1.3: ChecksumScheme is CHECKSUM_SCHEME_RFC3961.
        if found != CHECKSUM_SCHEME_RFC3961 {
            return Err(NegoExError::ChecksumScheme { found });
        }
        Ok(Body::Verify {
            auth_scheme,
            checksum_type: self.u32()?,
            checksum: self.byte_vector()?,
        })
    }
}

#[cfg(test)]
mod tests;

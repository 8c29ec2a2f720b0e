use core::fmt;

use thiserror::Error;

use super::MessageType;
use crate::AvId;

/// A field of a message whose bytes lie in the payload (MS-NLMP section 2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// DomainName.
    Domain,
    /// Workstation or WorkstationName.
    Workstation,
    /// UserName.
    User,
    /// TargetName.
    TargetName,
    /// TargetInfo.
    TargetInfo,
    /// LmChallengeResponse.
    LmResponse,
    /// NtChallengeResponse.
    NtResponse,
    /// EncryptedRandomSessionKey.
    EncryptedSessionKey,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domain => "DomainName",
            Self::Workstation => "Workstation",
            Self::User => "UserName",
            Self::TargetName => "TargetName",
            Self::TargetInfo => "TargetInfo",
            Self::LmResponse => "LmChallengeResponse",
            Self::NtResponse => "NtChallengeResponse",
            Self::EncryptedSessionKey => "EncryptedRandomSessionKey",
        })
    }
}

/// Why bytes are no NTLM message, or a part of one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// The signature is not "NTLMSSP" and a zero byte (MS-NLMP section 2.2).
    #[error(
        "the token does not begin with the NTLMSSP signature; it is of another security package"
    )]
    NotNtlmssp,

    /// MessageType is none of 1, 2 and 3 (MS-NLMP section 2.2).
    #[error(
        "NTLM message type {found} does not exist; there are NEGOTIATE (1), CHALLENGE (2) and AUTHENTICATE (3)"
    )]
    UnknownMessageType {
        /// The number in the message.
        found: u32,
    },

    /// The message is not the one whose turn it is (MS-NLMP sections 2.2.1.1 to 2.2.1.3).
    #[error("the peer sent {found} where {expected} has its turn")]
    WrongMessageType {
        /// The message whose turn it is.
        expected: MessageType,
        /// The message that came.
        found: MessageType,
    },

    /// The message ends before its fixed part does (MS-NLMP sections 2.2.1.1 to 2.2.1.3).
    #[error("the message has {found} bytes and its fixed part needs {needed}; it was cut off")]
    TooShort {
        /// The least length in bytes.
        needed: usize,
        /// The length in bytes.
        found: usize,
    },

    /// A field lies outside of the message, wholly or partly (MS-NLMP section 2.2.1; conformance row 145).
    #[error(
        "{field} of {length} bytes at offset {offset} does not lie in the message of {message} bytes"
    )]
    FieldOutOfBounds {
        /// Which field.
        field: Field,
        /// Its offset in bytes from the message's start.
        offset: u32,
        /// Its length in bytes.
        length: u16,
        /// The length of the message in bytes.
        message: usize,
    },

    /// A field lies over the fixed part of the message, which is not payload (MS-NLMP section 2.2.1).
    #[error("{field} at offset {offset} lies over the message's fixed part of {header} bytes")]
    FieldInHeader {
        /// Which field.
        field: Field,
        /// Its offset in bytes from the message's start.
        offset: u32,
        /// The length of the fixed part in bytes.
        header: usize,
    },

    /// A field is longer than its length field can say (MS-NLMP section 2.2.1).
    #[error("{field} of {length} bytes does not fit, a field has 65535 at most; shorten it")]
    FieldTooLong {
        /// Which field.
        field: Field,
        /// Its length in bytes.
        length: usize,
    },

    /// UTF-16 has two bytes a unit (MS-NLMP section 2.2; conformance row 144).
    #[error("UTF-16 text of {length} bytes, an odd number; it was cut off, or is OEM text")]
    OddTextLength {
        /// The length in bytes.
        length: usize,
    },

    /// Half of a surrogate pair stands alone in UTF-16 text (RFC 2781 section 2.2; conformance row 144).
    #[error("UTF-16 text has a lone surrogate at unit {unit}")]
    LoneSurrogate {
        /// The index of the first such unit.
        unit: usize,
    },

    /// A text has a character that OEM text cannot carry.
    #[error(
        "the text has a character outside of code page 1252, and the peer takes no Unicode; \
         use a name of that code page"
    )]
    NotInCodePage,

    /// An AV pair ends behind its list (MS-NLMP section 2.2.2.1; conformance row 143).
    #[error("{id} says {length} bytes where {left} are left of the AV pairs; they were cut off")]
    AvPairCut {
        /// Which pair.
        id: AvId,
        /// The length that the pair says, in bytes.
        length: u16,
        /// The bytes that are left.
        left: usize,
    },

    /// A list of AV pairs has no MsvAvEOL (MS-NLMP section 2.2.2.1; conformance row 143).
    #[error("the AV pairs have no MsvAvEOL at their end; they were cut off")]
    AvListUnterminated,

    /// An AV pair of fixed size has another (MS-NLMP section 2.2.2.1; conformance row 143).
    #[error("{id} has {found} bytes and must have {expected}")]
    AvLength {
        /// Which pair.
        id: AvId,
        /// The size that the specification gives, in bytes.
        expected: usize,
        /// The size in bytes.
        found: usize,
    },

    /// An AV pair is longer than its length field can say (MS-NLMP section 2.2.2.1).
    #[error("{id} of {length} bytes does not fit, an AV pair has 65535 at most; shorten it")]
    AvPairTooLong {
        /// Which pair.
        id: AvId,
        /// Its length in bytes.
        length: usize,
    },

    /// The NTLMv2 response ends before the fixed part of NTLMv2_CLIENT_CHALLENGE does (MS-NLMP section 2.2.2.8).
    #[error("the NTLMv2 response has {found} bytes and its fixed part needs {needed}")]
    ResponseTooShort {
        /// The least length in bytes.
        needed: usize,
        /// The length in bytes.
        found: usize,
    },

    /// RespType and HiRespType of NTLMv2_CLIENT_CHALLENGE must both be 1 (MS-NLMP section 2.2.2.7).
    #[error("an NTLMv2 response of version {current} to {highest}; there is only version 1")]
    ResponseVersion {
        /// RespType.
        current: u8,
        /// HiRespType.
        highest: u8,
    },
}

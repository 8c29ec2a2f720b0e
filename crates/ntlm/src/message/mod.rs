//! The three messages and what is inside of them, to and from bytes (MS-NLMP section 2.2).
//!
//! Parsing borrows: a message's fields are slices of the bytes that came. Nothing here decides whether a message
//! is acceptable; that a field is there says only that its bytes are.

mod authenticate;
mod challenge;
mod error;
mod fields;
mod filetime;
mod negotiate;
mod response;
pub mod text;

use core::fmt;

pub use authenticate::AuthenticateMessage;
pub use challenge::ChallengeMessage;
pub use error::{Field, MessageError};
pub use filetime::FileTime;
pub use negotiate::NegotiateMessage;
pub use response::{NtResponse, NtlmV2Response, ntlmv2_temp};

/// What every message begins with (MS-NLMP section 2.2).
pub const SIGNATURE: [u8; 8] = *b"NTLMSSP\0";

/// MessageType of a message (MS-NLMP section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MessageType {
    /// The initiator's first message.
    Negotiate = 1,
    /// The acceptor's answer.
    Challenge = 2,
    /// The initiator's second message.
    Authenticate = 3,
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negotiate => "a NEGOTIATE message",
            Self::Challenge => "a CHALLENGE message",
            Self::Authenticate => "an AUTHENTICATE message",
        })
    }
}

/// Whether a token is NTLM's own, without any framing of GSS or SPNEGO.
#[must_use]
pub fn is_ntlmssp(token: &[u8]) -> bool {
    token.starts_with(&SIGNATURE)
}

/// The type of a message, whatever else is in it.
///
/// # Errors
/// [`MessageError::NotNtlmssp`], [`MessageError::TooShort`], [`MessageError::UnknownMessageType`].
pub fn message_type(token: &[u8]) -> Result<MessageType, MessageError> {
    // MS-NLMP section 2.2: the signature must be this one.
    let Some(rest) = token.strip_prefix(&SIGNATURE) else {
        return Err(MessageError::NotNtlmssp);
    };
    let number = rest.first_chunk().ok_or(MessageError::TooShort {
        needed: SIGNATURE.len() + 4,
        found: token.len(),
    })?;
    match u32::from_le_bytes(*number) {
        1 => Ok(MessageType::Negotiate),
        2 => Ok(MessageType::Challenge),
        3 => Ok(MessageType::Authenticate),
        found => Err(MessageError::UnknownMessageType { found }),
    }
}

/// The version of the operating system that sent a message, for a person to read (MS-NLMP section 2.2.2.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version {
    /// ProductMajorVersion.
    pub major: u8,
    /// ProductMinorVersion.
    pub minor: u8,
    /// ProductBuild.
    pub build: u16,
    /// NTLMRevisionCurrent, 15 of every peer since Windows 2003.
    pub revision: u8,
}

impl Version {
    /// A version that tells of nobody's system: 10.0, build 0. There are peers that take a NEGOTIATE message
    /// only with a place for a version, as all of Windows have it.
    pub const UNTOLD: Self = Self {
        major: 10,
        minor: 0,
        build: 0,
        revision: Self::REVISION_W2K3,
    };

    /// NTLMSSP_REVISION_W2K3, the only revision that has a name.
    pub const REVISION_W2K3: u8 = 15;

    fn from_bytes(bytes: [u8; 8]) -> Self {
        let [major, minor, low, high, _, _, _, revision] = bytes;
        Self {
            major,
            minor,
            build: u16::from_le_bytes([low, high]),
            revision,
        }
    }

    fn to_bytes(self) -> [u8; 8] {
        let [low, high] = self.build.to_le_bytes();
        [self.major, self.minor, low, high, 0, 0, 0, self.revision]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} build {}", self.major, self.minor, self.build)
    }
}

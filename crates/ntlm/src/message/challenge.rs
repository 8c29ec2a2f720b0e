use super::fields::{Reader, Writer};
use super::{Field, MessageError, MessageType, Version, text};
use crate::{NegotiateFlags, TargetInfo};

/// Up to the challenge; what follows is left out by very old peers.
const SHORT_HEADER: usize = 32;
/// With the description of the target information; the version, if there is one, follows.
const HEADER: usize = 48;
const TARGET_NAME: usize = 12;
const FLAGS: usize = 20;
const SERVER_CHALLENGE: usize = 24;
const TARGET_INFO: usize = 40;

/// CHALLENGE_MESSAGE, the acceptor's answer (MS-NLMP section 2.2.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChallengeMessage<'a> {
    /// What the acceptor chose of what was offered.
    pub flags: NegotiateFlags,
    /// ServerChallenge, to be used once.
    pub server_challenge: [u8; 8],
    /// TargetName, in the encoding that the flags say: [`Self::target_name_text`].
    pub target_name: &'a [u8],
    /// TargetInfo as it came, if NEGOTIATE_TARGET_INFO is in the flags and there is any; [`TargetInfo`] reads it.
    pub target_info: Option<&'a [u8]>,
    /// Version, if NEGOTIATE_VERSION is in the flags.
    pub version: Option<Version>,
}

impl<'a> ChallengeMessage<'a> {
    /// Takes a message apart. Its fixed part may have 32, 48 or 56 bytes.
    ///
    /// # Errors
    /// [`MessageError`]: another message or none, cut off, or with a field outside of its payload.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes, MessageType::Challenge, SHORT_HEADER)?;
        let flags = reader.flags(FLAGS)?;
        let target_name = reader.field(TARGET_NAME, Field::TargetName, SHORT_HEADER)?;
        // MS-NLMP section 2.2.1.2: without the flag the description means nothing.
        let described = flags.contains(NegotiateFlags::NEGOTIATE_TARGET_INFO);
        let target_info = if described && reader.has_header(HEADER) {
            reader.field(TARGET_INFO, Field::TargetInfo, HEADER)?
        } else {
            &[]
        };
        Ok(Self {
            flags,
            server_challenge: reader.array(SERVER_CHALLENGE)?,
            target_name,
            target_info: (!target_info.is_empty()).then_some(target_info),
            version: reader.version(HEADER, flags)?,
        })
    }

    /// Puts the message together. The flags are the caller's to set for what there is.
    ///
    /// # Errors
    /// [`MessageError::FieldTooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, MessageError> {
        let header = HEADER + if self.version.is_some() { 8 } else { 0 };
        let target_info = self.target_info.unwrap_or_default();
        let payload = self.target_name.len().saturating_add(target_info.len());
        let mut writer = Writer::new(MessageType::Challenge, header, payload);
        writer.put(FLAGS, &self.flags.bits().to_le_bytes());
        writer.put(SERVER_CHALLENGE, &self.server_challenge);
        if let Some(version) = self.version {
            writer.put(HEADER, &version.to_bytes());
        }
        writer.payload(TARGET_NAME, Field::TargetName, self.target_name)?;
        writer.payload(TARGET_INFO, Field::TargetInfo, target_info)?;
        Ok(writer.finish())
    }

    /// The target's name as text.
    ///
    /// # Errors
    /// [`MessageError::OddTextLength`], [`MessageError::LoneSurrogate`].
    pub fn target_name_text(&self) -> Result<String, MessageError> {
        text::decode(self.flags, self.target_name)
    }

    /// The AV pairs of the target information, if there is any.
    ///
    /// # Errors
    /// What [`TargetInfo::parse`] gives.
    pub fn av_pairs(&self) -> Result<Option<TargetInfo<'a>>, MessageError> {
        self.target_info.map(TargetInfo::parse).transpose()
    }
}

use super::fields::{Reader, Writer};
use super::{Field, MessageError, MessageType, Version, text};
use crate::NegotiateFlags;

/// Up to the flags; the version and the MIC, if there are any, follow.
const HEADER: usize = 64;
const LM_RESPONSE: usize = 12;
const NT_RESPONSE: usize = 20;
const DOMAIN: usize = 28;
const USER: usize = 36;
const WORKSTATION: usize = 44;
const ENCRYPTED_SESSION_KEY: usize = 52;
const FLAGS: usize = 60;
const VERSION: usize = 64;

/// AUTHENTICATE_MESSAGE, the initiator's second (MS-NLMP section 2.2.1.3).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct AuthenticateMessage<'a> {
    /// What the initiator made of the acceptor's choice.
    pub flags: NegotiateFlags,
    /// LmChallengeResponse.
    pub lm_response: &'a [u8],
    /// NtChallengeResponse; [`super::NtResponse`] reads it.
    pub nt_response: &'a [u8],
    /// DomainName, in the encoding that the flags say: [`Self::domain_text`].
    pub domain: &'a [u8],
    /// UserName, in the encoding that the flags say: [`Self::user_text`].
    pub user: &'a [u8],
    /// Workstation, in the encoding that the flags say: [`Self::workstation_text`].
    pub workstation: &'a [u8],
    /// EncryptedRandomSessionKey: 16 bytes with NEGOTIATE_KEY_EXCH, else none.
    pub encrypted_session_key: &'a [u8],
    /// Version, if NEGOTIATE_VERSION is in the flags.
    pub version: Option<Version>,
    /// The place of the MIC, if the message has one. It may be all zero, and only MsvAvFlags in the
    /// response says whether a MIC is in it.
    pub mic: Option<[u8; 16]>,
}

/// A response can be tried against passwords, so it is no text for a log: only its length is.
impl core::fmt::Debug for AuthenticateMessage<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AuthenticateMessage")
            .field("flags", &self.flags)
            .field("nt_response", &self.nt_response.len())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl<'a> AuthenticateMessage<'a> {
    /// Where the MIC is in a message that has a place for the version too, as Windows leaves it even where there
    /// is no version. What [`Self::to_bytes`] makes has it here.
    pub const MIC_OFFSET: usize = 72;

    /// Where pyspnego has the MIC if there is no version: in the version's place.
    const MIC_OFFSET_WITHOUT_VERSION: usize = VERSION;

    /// Where the MIC of these bytes is, which are a message that has one.
    pub(crate) fn mic_offset(bytes: &[u8]) -> usize {
        let payload = (LM_RESPONSE..FLAGS)
            .step_by(8)
            .filter_map(|at| bytes.get(at..)?.first_chunk::<8>())
            .filter(|[l0, l1, ..]| (*l0, *l1) != (0, 0))
            .filter_map(|[_, _, _, _, o0, o1, o2, o3]| {
                usize::try_from(u32::from_le_bytes([*o0, *o1, *o2, *o3])).ok()
            })
            .fold(bytes.len(), usize::min);
        if payload < Self::MIC_OFFSET + 16 {
            Self::MIC_OFFSET_WITHOUT_VERSION
        } else {
            Self::MIC_OFFSET
        }
    }

    /// Takes a message apart. Its fixed part may have 64, 72, 80 or 88 bytes; which, its payload says, and of 80 what
    /// they are, the flags (conformance row 146).
    ///
    /// # Errors
    /// [`MessageError`]: another message or none, cut off, or with a field outside of its payload.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes, MessageType::Authenticate, HEADER)?;
        let mut field = |at, field| reader.field(at, field, HEADER);
        let lm_response = field(LM_RESPONSE, Field::LmResponse)?;
        let nt_response = field(NT_RESPONSE, Field::NtResponse)?;
        let domain = field(DOMAIN, Field::Domain)?;
        let user = field(USER, Field::User)?;
        let workstation = field(WORKSTATION, Field::Workstation)?;
        let encrypted_session_key = field(ENCRYPTED_SESSION_KEY, Field::EncryptedSessionKey)?;
        let flags = reader.flags(FLAGS)?;
        let mic_offset = if reader.has_header(Self::MIC_OFFSET + 16) {
            Some(Self::MIC_OFFSET)
        } else {
            let without = Self::MIC_OFFSET_WITHOUT_VERSION;
            let versioned = flags.contains(NegotiateFlags::NEGOTIATE_VERSION);
            (!versioned && reader.has_header(without + 16)).then_some(without)
        };
        let mic = mic_offset.map(|at| reader.array(at)).transpose()?;
        Ok(Self {
            flags,
            lm_response,
            nt_response,
            domain,
            user,
            workstation,
            encrypted_session_key,
            version: reader.version(VERSION, flags)?,
            mic,
        })
    }

    /// Puts the message together, in the order in which Windows has it. The flags are the caller's to set for what
    /// there is; a MIC that is not known yet is sixteen zero bytes.
    ///
    /// # Errors
    /// [`MessageError::FieldTooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, MessageError> {
        let header = match (self.mic, self.version) {
            (Some(_), _) => Self::MIC_OFFSET + 16,
            (None, Some(_)) => Self::MIC_OFFSET,
            (None, None) => HEADER,
        };
        let fields = [
            (DOMAIN, Field::Domain, self.domain),
            (USER, Field::User, self.user),
            (WORKSTATION, Field::Workstation, self.workstation),
            (LM_RESPONSE, Field::LmResponse, self.lm_response),
            (NT_RESPONSE, Field::NtResponse, self.nt_response),
            (
                ENCRYPTED_SESSION_KEY,
                Field::EncryptedSessionKey,
                self.encrypted_session_key,
            ),
        ];
        let payload = fields.iter().map(|(_, _, bytes)| bytes.len()).sum();
        let mut writer = Writer::new(MessageType::Authenticate, header, payload);
        writer.put(FLAGS, &self.flags.bits().to_le_bytes());
        if let Some(version) = self.version {
            writer.put(VERSION, &version.to_bytes());
        }
        if let Some(mic) = self.mic {
            writer.put(Self::MIC_OFFSET, &mic);
        }
        for (at, field, bytes) in fields {
            writer.payload(at, field, bytes)?;
        }
        Ok(writer.finish())
    }

    /// Writes the MIC into the bytes of a message that has a place for it.
    ///
    /// # Errors
    /// [`MessageError::TooShort`] for bytes that have none.
    pub fn set_mic(message: &mut [u8], mic: &[u8; 16]) -> Result<(), MessageError> {
        let found = message.len();
        let place = message
            .get_mut(Self::MIC_OFFSET..)
            .and_then(<[u8]>::first_chunk_mut)
            .ok_or(MessageError::TooShort {
                needed: Self::MIC_OFFSET + 16,
                found,
            })?;
        *place = *mic;
        Ok(())
    }

    /// The domain's name as text.
    ///
    /// # Errors
    /// [`MessageError::OddTextLength`], [`MessageError::LoneSurrogate`].
    pub fn domain_text(&self) -> Result<String, MessageError> {
        text::decode(self.flags, self.domain)
    }

    /// The user's name as text.
    ///
    /// # Errors
    /// [`MessageError::OddTextLength`], [`MessageError::LoneSurrogate`].
    pub fn user_text(&self) -> Result<String, MessageError> {
        text::decode(self.flags, self.user)
    }

    /// The workstation's name as text.
    ///
    /// # Errors
    /// [`MessageError::OddTextLength`], [`MessageError::LoneSurrogate`].
    pub fn workstation_text(&self) -> Result<String, MessageError> {
        text::decode(self.flags, self.workstation)
    }
}

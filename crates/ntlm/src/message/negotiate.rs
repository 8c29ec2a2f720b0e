use super::fields::{Reader, Writer};
use super::{Field, MessageError, MessageType, Version};
use crate::NegotiateFlags;

/// Signature, type and flags; what follows is left out by very old peers.
const SHORT_HEADER: usize = 16;
/// With the descriptions of both names; the version, if there is one, follows.
const HEADER: usize = 32;
const FLAGS: usize = 12;
const DOMAIN: usize = 16;
const WORKSTATION: usize = 24;

/// NEGOTIATE_MESSAGE, the initiator's first (MS-NLMP section 2.2.1.1).
///
/// Its names are OEM text always, whatever the flags ask for: see [`super::text::from_oem`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NegotiateMessage<'a> {
    /// What the initiator can do and asks for.
    pub flags: NegotiateFlags,
    /// DomainName, if NEGOTIATE_OEM_DOMAIN_SUPPLIED is in the flags.
    pub domain: Option<&'a [u8]>,
    /// WorkstationName, if NEGOTIATE_OEM_WORKSTATION_SUPPLIED is in the flags.
    pub workstation: Option<&'a [u8]>,
    /// Version, if NEGOTIATE_VERSION is in the flags.
    pub version: Option<Version>,
}

impl<'a> NegotiateMessage<'a> {
    /// Takes a message apart. Its fixed part may have 16, 32 or 40 bytes.
    ///
    /// # Errors
    /// [`MessageError`]: another message or none, cut off, or with a field outside of its payload.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes, MessageType::Negotiate, SHORT_HEADER)?;
        let flags = reader.flags(FLAGS)?;
        let mut supplied = |flag, at, field| {
            // MS-NLMP section 2.2.1.1: without the flag the description means nothing.
            if flags.contains(flag) {
                reader.field(at, field, HEADER).map(Some)
            } else {
                Ok(None)
            }
        };
        let domain = supplied(
            NegotiateFlags::NEGOTIATE_OEM_DOMAIN_SUPPLIED,
            DOMAIN,
            Field::Domain,
        )?;
        let workstation = supplied(
            NegotiateFlags::NEGOTIATE_OEM_WORKSTATION_SUPPLIED,
            WORKSTATION,
            Field::Workstation,
        )?;
        Ok(Self {
            flags,
            domain,
            workstation,
            version: reader.version(HEADER, flags)?,
        })
    }

    /// Puts the message together. The flags are the caller's to set for what there is.
    ///
    /// # Errors
    /// [`MessageError::FieldTooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, MessageError> {
        let header = HEADER + if self.version.is_some() { 8 } else { 0 };
        let (domain, workstation) = (self.domain, self.workstation);
        let payload = domain.map_or(0, <[u8]>::len) + workstation.map_or(0, <[u8]>::len);
        let mut writer = Writer::new(MessageType::Negotiate, header, payload);
        writer.put(FLAGS, &self.flags.bits().to_le_bytes());
        if let Some(version) = self.version {
            writer.put(HEADER, &version.to_bytes());
        }
        if let Some(domain) = domain {
            writer.payload(DOMAIN, Field::Domain, domain)?;
        }
        if let Some(workstation) = workstation {
            writer.payload(WORKSTATION, Field::Workstation, workstation)?;
        }
        Ok(writer.finish())
    }
}

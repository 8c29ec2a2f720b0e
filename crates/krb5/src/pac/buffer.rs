//! The buffers of a PAC by type (MS-PAC section 2.4).

use core::fmt;

use super::{
    ClaimsSet, ClientInfo, CredentialInfo, DeviceInfo, KerbValidationInfo, PacAttributes,
    PacSignatureData, S4uDelegationInfo, Sid, UnverifiedPac, UpnDnsInfo,
};
use crate::InvalidPac;

/// ulType of PAC_INFO_BUFFER (MS-PAC section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacBufferType(pub u32);

impl PacBufferType {
    /// KERB_VALIDATION_INFO (section 2.5).
    pub const LOGON_INFO: Self = Self(1);
    /// PAC_CREDENTIAL_INFO (section 2.6).
    pub const CREDENTIAL_INFO: Self = Self(2);
    /// The server signature (section 2.8.1).
    pub const SERVER_SIGNATURE: Self = Self(6);
    /// The KDC signature (section 2.8.2).
    pub const KDC_SIGNATURE: Self = Self(7);
    /// PAC_CLIENT_INFO (section 2.7).
    pub const CLIENT_INFO: Self = Self(10);
    /// S4U_DELEGATION_INFO (section 2.9).
    pub const DELEGATION_INFO: Self = Self(11);
    /// UPN_DNS_INFO (section 2.10).
    pub const UPN_DNS_INFO: Self = Self(12);
    /// PAC_CLIENT_CLAIMS_INFO (section 2.11).
    pub const CLIENT_CLAIMS: Self = Self(13);
    /// PAC_DEVICE_INFO (section 2.12).
    pub const DEVICE_INFO: Self = Self(14);
    /// PAC_DEVICE_CLAIMS_INFO (section 2.13).
    pub const DEVICE_CLAIMS: Self = Self(15);
    /// The ticket signature (section 2.8.3).
    pub const TICKET_SIGNATURE: Self = Self(16);
    /// PAC_ATTRIBUTES_INFO (section 2.14).
    pub const ATTRIBUTES: Self = Self(17);
    /// PAC_REQUESTOR (section 2.15).
    pub const REQUESTOR: Self = Self(18);
    /// The extended KDC signature over the full PAC (section 2.8.4).
    pub const FULL_CHECKSUM: Self = Self(19);

    /// Whether the buffer is a PAC_SIGNATURE_DATA.
    #[must_use]
    pub fn is_signature(self) -> bool {
        matches!(
            self,
            Self::SERVER_SIGNATURE
                | Self::KDC_SIGNATURE
                | Self::TICKET_SIGNATURE
                | Self::FULL_CHECKSUM
        )
    }
}

impl fmt::Display for PacBufferType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::LOGON_INFO => "logon information",
            Self::CREDENTIAL_INFO => "credential information",
            Self::SERVER_SIGNATURE => "server signature",
            Self::KDC_SIGNATURE => "KDC signature",
            Self::CLIENT_INFO => "client information",
            Self::DELEGATION_INFO => "delegation information",
            Self::UPN_DNS_INFO => "UPN and DNS information",
            Self::CLIENT_CLAIMS => "client claims",
            Self::DEVICE_INFO => "device information",
            Self::DEVICE_CLAIMS => "device claims",
            Self::TICKET_SIGNATURE => "ticket signature",
            Self::ATTRIBUTES => "attributes",
            Self::REQUESTOR => "requestor",
            Self::FULL_CHECKSUM => "full PAC checksum",
            Self(number) => return write!(f, "buffer of type {number}"),
        })
    }
}

/// What one buffer says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacBuffer {
    /// Type 1.
    LogonInfo(Box<KerbValidationInfo>),
    /// Type 2.
    CredentialInfo(CredentialInfo),
    /// Types 6, 7, 16 and 19.
    Signature(PacBufferType, PacSignatureData),
    /// Type 10.
    ClientInfo(ClientInfo),
    /// Type 11.
    DelegationInfo(S4uDelegationInfo),
    /// Type 12.
    UpnDnsInfo(Box<UpnDnsInfo>),
    /// Type 13, serialized: read by [`Pac::client_claims`].
    ClientClaims(Vec<u8>),
    /// Type 14.
    DeviceInfo(Box<DeviceInfo>),
    /// Type 15, serialized: read by [`Pac::device_claims`].
    DeviceClaims(Vec<u8>),
    /// Type 17.
    Attributes(PacAttributes),
    /// Type 18: the SID of whoever asked for the ticket.
    Requestor(Sid),
    /// A type that is not known here, as it came.
    Unknown(PacBufferType, Vec<u8>),
}

impl PacBuffer {
    fn read(buffer_type: PacBufferType, bytes: &[u8]) -> Result<Self, InvalidPac> {
        Ok(match buffer_type {
            PacBufferType::LOGON_INFO => {
                Self::LogonInfo(Box::new(KerbValidationInfo::from_bytes(bytes)?))
            }
            PacBufferType::CREDENTIAL_INFO => {
                Self::CredentialInfo(CredentialInfo::from_bytes(bytes)?)
            }
            PacBufferType::CLIENT_INFO => Self::ClientInfo(ClientInfo::from_bytes(bytes)?),
            PacBufferType::DELEGATION_INFO => {
                Self::DelegationInfo(S4uDelegationInfo::from_bytes(bytes)?)
            }
            PacBufferType::UPN_DNS_INFO => {
                Self::UpnDnsInfo(Box::new(UpnDnsInfo::from_bytes(bytes)?))
            }
            PacBufferType::CLIENT_CLAIMS => Self::ClientClaims(bytes.to_vec()),
            // A domain without devices sends the buffer and leaves it empty.
            PacBufferType::DEVICE_INFO if bytes.is_empty() => {
                Self::Unknown(buffer_type, Vec::new())
            }
            PacBufferType::DEVICE_INFO => {
                Self::DeviceInfo(Box::new(DeviceInfo::from_bytes(bytes)?))
            }
            PacBufferType::DEVICE_CLAIMS => Self::DeviceClaims(bytes.to_vec()),
            PacBufferType::ATTRIBUTES => Self::Attributes(PacAttributes::from_bytes(bytes)?),
            PacBufferType::REQUESTOR => Self::Requestor(Sid::from_bytes(bytes)?),
            signature if signature.is_signature() => {
                Self::Signature(signature, PacSignatureData::from_bytes(signature, bytes)?)
            }
            unknown => Self::Unknown(unknown, bytes.to_vec()),
        })
    }

    /// The type of the buffer.
    #[must_use]
    pub fn buffer_type(&self) -> PacBufferType {
        match self {
            Self::LogonInfo(_) => PacBufferType::LOGON_INFO,
            Self::CredentialInfo(_) => PacBufferType::CREDENTIAL_INFO,
            Self::ClientInfo(_) => PacBufferType::CLIENT_INFO,
            Self::DelegationInfo(_) => PacBufferType::DELEGATION_INFO,
            Self::UpnDnsInfo(_) => PacBufferType::UPN_DNS_INFO,
            Self::ClientClaims(_) => PacBufferType::CLIENT_CLAIMS,
            Self::DeviceInfo(_) => PacBufferType::DEVICE_INFO,
            Self::DeviceClaims(_) => PacBufferType::DEVICE_CLAIMS,
            Self::Attributes(_) => PacBufferType::ATTRIBUTES,
            Self::Requestor(_) => PacBufferType::REQUESTOR,
            Self::Signature(buffer_type, _) | Self::Unknown(buffer_type, _) => *buffer_type,
        }
    }
}

/// A PAC that can be read: [`UnverifiedPac::verify`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pac {
    buffers: Vec<PacBuffer>,
}

/// The first buffer of a kind; MS-PAC section 2.4 has further ones ignored.
macro_rules! first {
    ($pac:expr, $variant:ident) => {
        $pac.buffers.iter().find_map(|buffer| match buffer {
            PacBuffer::$variant(contents) => Some(contents),
            _ => None,
        })
    };
}

impl Pac {
    /// Reads every buffer; of a type that comes twice, the first counts and the others are left out
    /// (MS-PAC section 2.4).
    pub(super) fn read(pac: &UnverifiedPac<'_>) -> Result<Self, InvalidPac> {
        let mut buffers: Vec<PacBuffer> = Vec::with_capacity(pac.buffers().len());
        for info in pac.buffers() {
            let buffer_type = info.buffer_type;
            if buffers.iter().any(|seen| seen.buffer_type() == buffer_type) {
                continue;
            }
            let bytes = pac.find(buffer_type).unwrap_or_default();
            buffers.push(PacBuffer::read(buffer_type, bytes)?);
        }
        Ok(Self { buffers })
    }

    /// The buffers, in the PAC's order.
    #[must_use]
    pub fn buffers(&self) -> &[PacBuffer] {
        &self.buffers
    }

    /// The account and its groups. A KDC that is no domain controller leaves it out.
    #[must_use]
    pub fn logon_info(&self) -> Option<&KerbValidationInfo> {
        first!(self, LogonInfo).map(AsRef::as_ref)
    }

    /// To which ticket the PAC belongs.
    #[must_use]
    pub fn client_info(&self) -> Option<&ClientInfo> {
        first!(self, ClientInfo)
    }

    /// Names of the account.
    #[must_use]
    pub fn upn_dns_info(&self) -> Option<&UpnDnsInfo> {
        first!(self, UpnDnsInfo).map(AsRef::as_ref)
    }

    /// Through which services the login was delegated.
    #[must_use]
    pub fn delegation_info(&self) -> Option<&S4uDelegationInfo> {
        first!(self, DelegationInfo)
    }

    /// Credentials for other packages, encrypted.
    #[must_use]
    pub fn credential_info(&self) -> Option<&CredentialInfo> {
        first!(self, CredentialInfo)
    }

    /// The computer from which the user logged on.
    #[must_use]
    pub fn device_info(&self) -> Option<&DeviceInfo> {
        first!(self, DeviceInfo).map(AsRef::as_ref)
    }

    /// How the PAC came to be.
    #[must_use]
    pub fn attributes(&self) -> Option<&PacAttributes> {
        first!(self, Attributes)
    }

    /// Who asked for the ticket.
    #[must_use]
    pub fn requestor(&self) -> Option<&Sid> {
        first!(self, Requestor)
    }

    /// The signature of that type.
    #[must_use]
    pub fn signature(&self, buffer_type: PacBufferType) -> Option<&PacSignatureData> {
        self.buffers.iter().find_map(|buffer| match buffer {
            PacBuffer::Signature(found, data) if *found == buffer_type => Some(data),
            _ => None,
        })
    }

    /// What the domain says about the user; `None` without that buffer. Read when it is asked for, so
    /// that claims that cannot be read stop only those who need them.
    ///
    /// # Errors
    /// [`InvalidPac`], as [`ClaimsSet::from_bytes`].
    pub fn client_claims(&self) -> Result<Option<ClaimsSet>, InvalidPac> {
        first!(self, ClientClaims)
            .map(|bytes| ClaimsSet::from_bytes(bytes))
            .transpose()
    }

    /// What the domain says about the device, as [`Self::client_claims`].
    ///
    /// # Errors
    /// [`InvalidPac`], as [`ClaimsSet::from_bytes`].
    pub fn device_claims(&self) -> Result<Option<ClaimsSet>, InvalidPac> {
        first!(self, DeviceClaims)
            .map(|bytes| ClaimsSet::from_bytes(bytes))
            .transpose()
    }

    /// Who the user is: the SID of the logon information, else of UPN_DNS_INFO. A user is to be known
    /// by this and not by a name, which can be taken by somebody else (conformance row 44;
    /// CVE-2020-25717, CVE-2021-42278).
    #[must_use]
    pub fn user_sid(&self) -> Option<Sid> {
        self.logon_info()
            .and_then(KerbValidationInfo::user_sid)
            .or_else(|| self.upn_sid())
    }

    pub(super) fn upn_sid(&self) -> Option<Sid> {
        let extended = self.upn_dns_info()?.extended.as_ref()?;
        Some(extended.sid)
    }
}

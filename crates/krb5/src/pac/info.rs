//! The small buffers: client, UPN and DNS names, signatures, attributes, requestor, credentials,
//! delegation (MS-PAC sections 2.6 to 2.10, 2.14, 2.15).

use trihound_crypto::{ChecksumType, Enctype};

use super::ndr::{MAX_LIST, Ndr, utf16};
use super::{FileTime, PacBufferType, Sid, short};
use crate::InvalidPac;
use crate::reader::{Order, Reader};

/// PAC_CLIENT_INFO: to which ticket the PAC belongs (MS-PAC section 2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientInfo {
    /// The ticket's authtime.
    pub client_id: FileTime,
    /// The client's name, without a realm but in referrals of S4U2self.
    pub name: String,
}

impl ClientInfo {
    /// Reads the buffer of type 10.
    ///
    /// # Errors
    /// [`InvalidPac::Truncated`], [`InvalidPac::NotUtf16`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        const NAME: &str = "PAC_CLIENT_INFO";
        let mut reader = Reader::new(bytes, Order::Little);
        let short = short(NAME);
        let (low, high) = (reader.u32().map_err(short)?, reader.u32().map_err(short)?);
        Ok(Self {
            client_id: FileTime(u64::from(high) << 32 | u64::from(low)),
            name: utf16(reader.counted16().map_err(short)?, NAME)?,
        })
    }
}

/// UPN_DNS_INFO: the user principal name, the DNS name of the domain, and in newer PACs the account
/// name and SID (MS-PAC section 2.10).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpnDnsInfo {
    /// The user principal name.
    pub upn: String,
    /// The DNS name of the account's domain.
    pub dns_domain_name: String,
    /// Bits: [`Self::CONSTRUCTED`], [`Self::HAS_SAM_NAME_AND_SID`].
    pub flags: u32,
    /// The account's name and SID, where the flag says that they are there.
    pub extended: Option<SamNameAndSid>,
}

/// The extension of UPN_DNS_INFO (MS-PAC section 2.10, UPN_DNS_INFO_EX).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SamNameAndSid {
    /// sAMAccountName.
    pub sam_name: String,
    /// The account's SID.
    pub sid: Sid,
}

impl UpnDnsInfo {
    /// The account has no userPrincipalName; the name was put together from account and domain.
    pub const CONSTRUCTED: u32 = 0x1;
    /// The extension is there.
    pub const HAS_SAM_NAME_AND_SID: u32 = 0x2;
    const NAME: &'static str = "UPN_DNS_INFO";

    /// Reads the buffer of type 12.
    ///
    /// # Errors
    /// [`InvalidPac::Truncated`], [`InvalidPac::NotUtf16`], [`InvalidPac::MalformedSid`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        let mut reader = Reader::new(bytes, Order::Little);
        let place = |reader: &mut Reader<'_>| -> Result<(u16, u16), InvalidPac> {
            let short = short(Self::NAME);
            Ok((reader.u16().map_err(short)?, reader.u16().map_err(short)?))
        };
        let (upn, dns_domain_name) = (place(&mut reader)?, place(&mut reader)?);
        let flags = reader.u32().map_err(short(Self::NAME))?;
        let extended = (flags & Self::HAS_SAM_NAME_AND_SID != 0)
            .then(|| Ok::<_, InvalidPac>((place(&mut reader)?, place(&mut reader)?)))
            .transpose()?;
        let header = reader.offset();
        let text = |place| utf16(Self::part(bytes, header, place)?, Self::NAME);
        Ok(Self {
            upn: text(upn)?,
            dns_domain_name: text(dns_domain_name)?,
            flags,
            extended: extended
                .map(|(sam_name, sid)| {
                    Ok::<_, InvalidPac>(SamNameAndSid {
                        sam_name: text(sam_name)?,
                        sid: Sid::from_bytes(Self::part(bytes, header, sid)?)?,
                    })
                })
                .transpose()?,
        })
    }

    /// The bytes of a length and an offset, which must lie behind the header.
    fn part(
        bytes: &[u8],
        header: usize,
        (length, offset): (u16, u16),
    ) -> Result<&[u8], InvalidPac> {
        let (length, offset) = (usize::from(length), usize::from(offset));
        // MS-PAC 2.10: offsets are from the structure's beginning, to what stands behind it.
        if length == 0 {
            return Ok(&[]);
        }
        bytes
            .get(offset..offset.saturating_add(length))
            .filter(|_| offset >= header)
            .ok_or(InvalidPac::Truncated {
                structure: Self::NAME,
                offset,
                needed: length,
            })
    }
}

/// PAC_SIGNATURE_DATA (MS-PAC section 2.8).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacSignatureData {
    /// The checksum's type.
    pub signature_type: ChecksumType,
    /// The checksum.
    pub signature: Vec<u8>,
    /// The first 16 bits of the key version of the read-only domain controller that made it. In the KDC
    /// signature no other signature covers it: it is a hint for finding the key.
    pub rodc_identifier: Option<u16>,
}

impl PacSignatureData {
    /// Bytes of the type before the signature.
    pub(super) const TYPE_LENGTH: usize = 4;
    const NAME: &'static str = "PAC_SIGNATURE_DATA";

    /// Reads a buffer of type 6, 7, 16 or 19. Of a checksum type that is not known, all that
    /// follows is taken for the signature.
    ///
    /// # Errors
    /// [`InvalidPac::Truncated`], [`InvalidPac::SignatureLength`].
    pub fn from_bytes(buffer: PacBufferType, bytes: &[u8]) -> Result<Self, InvalidPac> {
        let mut reader = Reader::new(bytes, Order::Little);
        let signature_type = ChecksumType(reader.i32().map_err(short(Self::NAME))?);
        let length = reader.remaining();
        let expected = checksum_length(signature_type).unwrap_or(length);
        let wrong = InvalidPac::SignatureLength {
            buffer,
            kind: signature_type,
            length,
            expected,
        };
        let signature = reader.take(expected).map_err(|_| wrong.clone())?.to_vec();
        // MS-PAC 2.8: behind the signature stands nothing, or the RODCIdentifier, which the formal
        // definition pads with two reserved bytes.
        let rodc_identifier = match reader.rest() {
            [] => None,
            [low, high] | [low, high, _, _] => Some(u16::from_le_bytes([*low, *high])),
            _ => return Err(wrong),
        };
        Ok(Self {
            signature_type,
            signature,
            rodc_identifier,
        })
    }
}

/// The length of a keyed checksum of that type, from the enctype that makes it.
fn checksum_length(kind: ChecksumType) -> Option<usize> {
    [
        Enctype::AES128_CTS_HMAC_SHA1_96,
        Enctype::AES256_CTS_HMAC_SHA1_96,
        Enctype::AES128_CTS_HMAC_SHA256_128,
        Enctype::AES256_CTS_HMAC_SHA384_192,
        Enctype::RC4_HMAC,
    ]
    .into_iter()
    .filter_map(Enctype::profile)
    .find(|profile| profile.checksums.contains(&kind))
    .map(|profile| profile.checksum_length)
}

/// PAC_ATTRIBUTES_INFO: how the PAC came to be (MS-PAC section 2.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacAttributes {
    /// How many bits of flags there are.
    pub flags_length: u32,
    /// The first 32 of them, the only ones with a meaning.
    pub flags: u32,
}

impl PacAttributes {
    /// The client asked for a PAC.
    pub const PAC_WAS_REQUESTED: u32 = 0x1;
    /// The client said nothing and got one.
    pub const PAC_WAS_GIVEN_IMPLICITLY: u32 = 0x2;

    /// Reads the buffer of type 17.
    ///
    /// # Errors
    /// [`InvalidPac::Truncated`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        let short = short("PAC_ATTRIBUTES_INFO");
        let mut reader = Reader::new(bytes, Order::Little);
        let flags_length = reader.u32().map_err(short)?;
        // MS-PAC 2.14: the length is in bits, and they fill 32-bit integers.
        let words = super::ndr::to_usize(flags_length.div_ceil(32));
        let flags = reader.take(words.saturating_mul(4)).map_err(short)?;
        let flags = flags.first_chunk().copied().map_or(0, u32::from_le_bytes);
        Ok(Self {
            flags_length,
            flags,
        })
    }
}

/// PAC_CREDENTIAL_INFO: credentials for other packages, under the AS reply key (MS-PAC section 2.6).
/// They are not decrypted here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialInfo {
    /// Zero.
    pub version: u32,
    /// Of which type the key is.
    pub encryption_type: Enctype,
    /// PAC_CREDENTIAL_DATA, encrypted.
    pub serialized_data: Vec<u8>,
}

impl CredentialInfo {
    /// Reads the buffer of type 2.
    ///
    /// # Errors
    /// [`InvalidPac::Truncated`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        let short = short("PAC_CREDENTIAL_INFO");
        let mut reader = Reader::new(bytes, Order::Little);
        Ok(Self {
            version: reader.u32().map_err(short)?,
            encryption_type: Enctype(reader.i32().map_err(short)?),
            serialized_data: reader.rest().to_vec(),
        })
    }
}

/// S4U_DELEGATION_INFO: for whom and through which services a login was delegated (MS-PAC section 2.9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct S4uDelegationInfo {
    /// The service that the ticket is for.
    pub s4u2proxy_target: String,
    /// The services through which it went, in order.
    pub transited_services: Vec<String>,
}

impl S4uDelegationInfo {
    /// Reads the buffer of type 11.
    ///
    /// # Errors
    /// [`InvalidPac`]: not NDR, cut off, counts that disagree or are over their bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        let mut ndr = Ndr::open(bytes, "S4U_DELEGATION_INFO")?;
        let target = ndr.string_header()?;
        let services = (ndr.u32()?, ndr.pointer()?);
        let s4u2proxy_target = ndr.string(target)?;
        let what = "transited services";
        let headers = ndr.list(what, services, (MAX_LIST, 8), Ndr::string_header)?;
        let transited_services: Result<_, InvalidPac> = headers
            .into_iter()
            .map(|header| ndr.string(header))
            .collect();
        Ok(Self {
            s4u2proxy_target,
            transited_services: transited_services?,
        })
    }
}

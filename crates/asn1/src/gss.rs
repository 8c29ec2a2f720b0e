//! The frame around a mechanism's first token, and what the krb5 mechanism puts into the authenticator.
//!
//! The frame looks like ASN.1 but holds bytes that are not (RFC 2743 3.1), so it is taken apart here by hand.

use core::fmt;

use bitflags::bitflags;

use crate::der::{Header, length_octets, push_value, read_header};
use crate::error::{DecodeError, EncodeError};

/// 1.2.840.113554.1.2.2, the krb5 mechanism (RFC 4121 4.1): contents of the object identifier.
pub const KRB5_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
/// 1.2.840.48018.1.2.2, the same mechanism as Windows 2000 misspelt it (MS-SPNG 3.1.5.2), seen in SPNEGO only.
pub const MS_KRB5_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];
/// 1.2.840.113554.1.2.2.3, user-to-user Kerberos (draft-ietf-cat-user2user).
pub const KRB5_USER_TO_USER_OID: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x03];
/// 1.3.6.1.5.2.5, Kerberos through the acceptor (draft-ietf-kitten-iakerb).
pub const IAKERB_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x02, 0x05];
/// 1.3.6.1.5.5.2, SPNEGO (RFC 4178).
pub const SPNEGO_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
/// 1.3.6.1.4.1.311.2.2.10, NTLM (MS-NLMP 1.9).
pub const NTLM_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];
/// 1.3.6.1.4.1.311.2.2.30, NEGOEX (MS-NEGOEX).
pub const NEGOEX_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x1e];

/// `[APPLICATION 0]`, constructed.
const INITIAL_TOKEN: u8 = 0x60;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// TOK_ID of a context token (RFC 4121 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenId {
    /// KRB_AP_REQ follows.
    ApReq = 0x0100,
    /// KRB_AP_REP follows.
    ApRep = 0x0200,
    /// KRB_ERROR follows.
    Error = 0x0300,
}

impl TokenId {
    /// The two bytes on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        (self as u16).to_be_bytes()
    }

    /// Which of them the two bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        match u16::from_be_bytes(bytes) {
            0x0100 => Some(Self::ApReq),
            0x0200 => Some(Self::ApRep),
            0x0300 => Some(Self::Error),
            _ => None,
        }
    }
}

/// A context token of the krb5 mechanism, taken out of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GssToken<'a> {
    /// Contents of the mechanism's object identifier.
    pub oid: &'a [u8],
    /// TOK_ID as it came; [`TokenId::from_bytes`] knows the names.
    pub tok_id: [u8; 2],
    /// What follows, such as an AP-REQ.
    pub inner: &'a [u8],
}

impl GssToken<'_> {
    /// The token identifier, if it is one of a context token.
    #[must_use]
    pub const fn token_id(&self) -> Option<TokenId> {
        TokenId::from_bytes(self.tok_id)
    }
}

/// Puts a mechanism's first token, of any form, into the frame of RFC 2743 3.1.
#[must_use]
pub fn wrap_mechanism_token(oid: &[u8], inner: &[u8]) -> Vec<u8> {
    frame(oid, &[inner])
}

/// Puts a token of the krb5 mechanism into the frame: object identifier, TOK_ID, `inner` (RFC 4121 4.1).
#[must_use]
pub fn wrap_token(oid: &[u8], tok_id: [u8; 2], inner: &[u8]) -> Vec<u8> {
    frame(oid, &[&tok_id, inner])
}

fn frame(oid: &[u8], inner: &[&[u8]]) -> Vec<u8> {
    let mut mechanism = Vec::with_capacity(oid.len() + 4);
    push_value(&mut mechanism, OBJECT_IDENTIFIER, &[oid]);
    let inner_length: usize = inner.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(mechanism.len() + inner_length + 12);
    let mut parts = Vec::with_capacity(inner.len() + 1);
    parts.push(mechanism.as_slice());
    parts.extend_from_slice(inner);
    push_value(&mut out, INITIAL_TOKEN, &parts);
    out
}

/// Whether the bytes begin as an initial token does. A raw AP-REQ or an NTLM message does not.
#[must_use]
pub fn is_framed(token: &[u8]) -> bool {
    token.first() == Some(&INITIAL_TOKEN)
}

fn minimal_header(input: &[u8]) -> Result<Header, DecodeError> {
    const NAME: &str = "GSS token";
    let header = read_header(input).map_err(|fault| fault.at(NAME, 0))?;
    let shortest = 1 + length_octets(header.content_length).count();
    // RFC 2743 3.1: the length is a DER length, in the fewest octets.
    if header.header_length != shortest {
        return Err(DecodeError::FramingLengthNotMinimal);
    }
    Ok(header)
}

/// Takes a first token out of the frame of RFC 2743 3.1: the contents of the object identifier, and the rest.
///
/// # Errors
/// Not an initial token, a length that is not minimal or not that of what follows, no object identifier.
pub fn unwrap_mechanism_token(token: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let found = token.first().copied().unwrap_or_default();
    // RFC 2743 3.1: the first octet is 0x60.
    if found != INITIAL_TOKEN {
        return Err(DecodeError::NotInitialToken { found });
    }
    let header = minimal_header(token)?;
    let content = token.get(header.header_length..).unwrap_or_default();
    // RFC 2743 3.1: the length counts all octets that follow it, and nothing comes after them.
    if content.len() != header.content_length {
        return Err(DecodeError::FramingLength {
            claimed: header.content_length,
            present: content.len(),
        });
    }
    // RFC 2743 3.1: an object identifier comes first.
    if content.first() != Some(&OBJECT_IDENTIFIER) {
        return Err(DecodeError::MechanismMissing);
    }
    let header = minimal_header(content)?;
    let body = content.get(header.header_length..).unwrap_or_default();
    match body.split_at_checked(header.content_length) {
        Some((oid, inner)) if !oid.is_empty() => Ok((oid, inner)),
        _ => Err(DecodeError::MechanismMissing),
    }
}

/// Takes a token of the krb5 mechanism out of its frame (RFC 4121 4.1). Which mechanism it is, and which
/// token, is the caller's to check.
///
/// # Errors
/// As [`unwrap_mechanism_token`], and a token that ends before its TOK_ID.
pub fn unwrap_token(token: &[u8]) -> Result<GssToken<'_>, DecodeError> {
    let (oid, rest) = unwrap_mechanism_token(token)?;
    let (tok_id, inner) = rest
        .split_first_chunk::<2>()
        .ok_or(DecodeError::TokenIdMissing)?;
    Ok(GssToken {
        oid,
        tok_id: *tok_id,
        inner,
    })
}

bitflags! {
    /// The context flags in the authenticator checksum (RFC 4121 4.1.1.1; RFC 4757 7.1 for the last three).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct GssFlags: u32 {
        /// `GSS_C_DELEG_FLAG`
        const DELEG = 1;
        /// `GSS_C_MUTUAL_FLAG`
        const MUTUAL = 2;
        /// `GSS_C_REPLAY_FLAG`
        const REPLAY = 4;
        /// `GSS_C_SEQUENCE_FLAG`
        const SEQUENCE = 8;
        /// `GSS_C_CONF_FLAG`
        const CONF = 16;
        /// `GSS_C_INTEG_FLAG`
        const INTEG = 32;
        /// `GSS_C_DCE_STYLE`
        const DCE_STYLE = 0x1000;
        /// `GSS_C_IDENTIFY_FLAG`
        const IDENTIFY = 0x2000;
        /// `GSS_C_EXTENDED_ERROR_FLAG`
        const EXTENDED_ERROR = 0x4000;
    }
}

/// The contents of the authenticator's checksum of type 0x8003 (RFC 4121 4.1.1), all numbers little-endian:
///
/// ```text
/// 0..4    Lgth    16
/// 4..20   Bnd     MD5 of the channel bindings, or zeros
/// 20..24  Flags
/// 24..26  DlgOpt  1          only with GSS_C_DELEG_FLAG
/// 26..28  Dlgth              only with GSS_C_DELEG_FLAG
/// 28..    Deleg   KRB-CRED   only with GSS_C_DELEG_FLAG
/// ..      Exts
/// ```
/// `Debug` hides the KRB-CRED, whose keys some senders leave open.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GssChecksum {
    /// MD5 of [`ChannelBindings::packed`]; zeros if the initiator gave none.
    pub bindings: [u8; 16],
    /// The context flags. [`GssFlags::DELEG`] follows `delegation` when encoding.
    pub flags: GssFlags,
    /// DER of the KRB-CRED with the delegated ticket.
    pub delegation: Option<Vec<u8>>,
    /// What comes behind (RFC 6542 3), as received; unknown extensions are ignored.
    pub extensions: Vec<u8>,
}

/// `DlgOpt`: the only value that is defined.
const DELEGATION_OPTION: u16 = 1;
const BINDINGS_LENGTH: u32 = 16;
const FIXED_LENGTH: usize = 24;

impl fmt::Debug for GssChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delegation = self.delegation.as_ref().map(Vec::len);
        f.debug_struct("GssChecksum")
            .field("bindings", &self.bindings)
            .field("flags", &self.flags)
            .field("delegation_length", &delegation)
            .field("extensions", &self.extensions)
            .finish()
    }
}

impl GssChecksum {
    /// The checksum field's bytes.
    ///
    /// # Errors
    /// If the delegated credential is longer than 65535 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let delegation_length = self.delegation.as_ref().map_or(0, |cred| cred.len() + 4);
        let mut out = Vec::with_capacity(FIXED_LENGTH + delegation_length + self.extensions.len());
        let mut flags = self.flags;
        flags.set(GssFlags::DELEG, self.delegation.is_some());
        out.extend_from_slice(&BINDINGS_LENGTH.to_le_bytes());
        out.extend_from_slice(&self.bindings);
        out.extend_from_slice(&flags.bits().to_le_bytes());
        if let Some(cred) = &self.delegation {
            let length = u16::try_from(cred.len())
                .map_err(|_| EncodeError::DelegationTooLong { length: cred.len() })?;
            out.extend_from_slice(&DELEGATION_OPTION.to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(cred);
        }
        out.extend_from_slice(&self.extensions);
        Ok(out)
    }

    /// Takes the checksum field's bytes apart.
    ///
    /// # Errors
    /// Too short, a wrong length of the bindings, delegation fields that are cut off or of unknown form.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        // RFC 4121 4.1.1: Lgth, Bnd and Flags are always there.
        let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_LENGTH>() else {
            return Err(DecodeError::GssChecksumTooShort {
                length: bytes.len(),
            });
        };
        let [l0, l1, l2, l3, bindings @ .., f0, f1, f2, f3] = *fixed;
        let found = u32::from_le_bytes([l0, l1, l2, l3]);
        // RFC 4121 4.1.1: Lgth is 16.
        if found != BINDINGS_LENGTH {
            return Err(DecodeError::GssBindingsLength { found });
        }
        let flags = GssFlags::from_bits_retain(u32::from_le_bytes([f0, f1, f2, f3]));
        let (delegation, extensions) = if flags.contains(GssFlags::DELEG) {
            let (cred, rest) = Self::parse_delegation(rest)?;
            (Some(cred.to_vec()), rest)
        } else {
            (None, rest)
        };
        Ok(Self {
            bindings,
            flags,
            delegation,
            extensions: extensions.to_vec(),
        })
    }

    fn parse_delegation(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
        // RFC 4121 4.1.1.1: with the flag, DlgOpt and Dlgth are there.
        let Some(([o0, o1, l0, l1], rest)) = bytes.split_first_chunk::<4>() else {
            return Err(DecodeError::GssDelegationTruncated);
        };
        let found = u16::from_le_bytes([*o0, *o1]);
        // RFC 4121 4.1.1.1: DlgOpt is 1.
        if found != DELEGATION_OPTION {
            return Err(DecodeError::GssDelegationOption { found });
        }
        // RFC 4121 4.1.1.1: Dlgth is the length of Deleg, which lies inside the field.
        rest.split_at_checked(usize::from(u16::from_le_bytes([*l0, *l1])))
            .ok_or(DecodeError::GssDelegationTruncated)
    }
}

/// What binds a context to the channel it runs in (`gss_channel_bindings_struct`, RFC 2744 3.11).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// Address type of the initiator; 0 is unspecified.
    pub initiator_addrtype: u32,
    /// Address of the initiator.
    pub initiator_address: Vec<u8>,
    /// Address type of the acceptor.
    pub acceptor_addrtype: u32,
    /// Address of the acceptor.
    pub acceptor_address: Vec<u8>,
    /// Such as `tls-server-end-point:` and a hash (RFC 5929).
    pub application_data: Vec<u8>,
}

impl ChannelBindings {
    /// Bindings of application data only, as every deployed protocol has them.
    #[must_use]
    pub fn from_application_data(application_data: impl Into<Vec<u8>>) -> Self {
        Self {
            application_data: application_data.into(),
            ..Self::default()
        }
    }

    /// The bytes whose MD5 goes into `Bnd`: types and lengths as 32 bits, little-endian, each length before
    /// its bytes (RFC 4121 4.1.1.2).
    #[must_use]
    pub fn packed(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.initiator_addrtype.to_le_bytes());
        push_counted(&mut out, &self.initiator_address);
        out.extend_from_slice(&self.acceptor_addrtype.to_le_bytes());
        push_counted(&mut out, &self.acceptor_address);
        push_counted(&mut out, &self.application_data);
        out
    }
}

fn push_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

//! The tokens of SPNEGO: RFC 4178, and MS-SPNG for what Windows adds to it.
//!
//! NegTokenInit is read twice: as the type, and as the bytes of its mechTypes, since those are what
//! mechListMIC is computed over (RFC 4178 5, conformance row 29). Nothing here says what a token means for
//! the negotiation; that no field of it is protected but by that MIC is the reader's to know.

use std::borrow::Cow;

use rasn::prelude::*;

use crate::der::{check_structure, push_value, read_header};
use crate::error::{Cause, DecodeError, EncodeError};
use crate::gss::{SPNEGO_OID, is_framed, unwrap_mechanism_token, wrap_mechanism_token};
use crate::message::{Message, message};
use crate::oid::OidOctets;
use crate::primitive::KerberosString;
use crate::raw::Raw;

/// An object identifier in dotted form.
pub type Oid = String;

/// SPNEGO itself (RFC 4178 3.2).
pub const SPNEGO: &str = "1.3.6.1.5.5.2";
/// The krb5 mechanism (RFC 4121 4.1).
pub const KRB5: &str = "1.2.840.113554.1.2.2";
/// The krb5 mechanism as Windows 2000 misspelt it (MS-SPNG 3.1.5.2).
pub const MS_KRB5: &str = "1.2.840.48018.1.2.2";
/// User-to-user Kerberos (draft-ietf-cat-user2user).
pub const KRB5_U2U: &str = "1.2.840.113554.1.2.2.3";
/// NTLM (MS-NLMP 1.9).
pub const NTLMSSP: &str = "1.3.6.1.4.1.311.2.2.10";
/// NEGOEX (MS-NEGOEX).
pub const NEGOEX: &str = "1.3.6.1.4.1.311.2.2.30";

/// The most mechanisms that a list may name.
///
/// The standard gives no limit; Windows offers five. Each may cost its reader a look at every mechanism that it
/// has, and a list is read before anybody has proved anything.
pub const MAX_MECH_TYPES: usize = 64;

/// What Windows puts into a hint name, to no end (MS-SPNG 2.2.1).
pub const HINT_NAME: &str = "not_defined_in_RFC4178@please_ignore";

const INIT: &str = "NegTokenInit";
const RESP: &str = "NegTokenResp";
/// `NegotiationToken ::= CHOICE { negTokenInit [0], negTokenResp [1] }`: the two identifiers.
const INIT_TAG: u8 = 0xa0;
const RESP_TAG: u8 = 0xa1;
const SEQUENCE: u8 = 0x30;
/// Class and form of a field: context-specific, constructed.
const CONTEXT: u8 = 0xa0;
const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;

/// The last field of each SEQUENCE: what follows it belongs to a later version.
const LAST_OF_INIT: u8 = 0xa4;
const LAST_OF_RESP: u8 = 0xa3;

/// `MechTypeList ::= SEQUENCE OF MechType`, `MechType ::= OBJECT IDENTIFIER` (RFC 4178 4.1).
type MechTypeList = Vec<OidOctets>;

/// What the acceptor tells of the negotiation (RFC 4178 4.2.2).
#[derive(AsnType, Decode, Encode, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[rasn(enumerated)]
pub enum NegState {
    /// Nothing more is needed from the peer.
    AcceptCompleted = 0,
    /// Another token of the mechanism is awaited.
    AcceptIncomplete = 1,
    /// There will be no context.
    Reject = 2,
    /// As [`Self::AcceptIncomplete`], and the mechListMIC must be exchanged.
    RequestMic = 3,
}

/// ```text
/// NegHints ::= SEQUENCE {
///     hintName     [0] GeneralString OPTIONAL,
///     hintAddress  [1] OCTET STRING OPTIONAL
/// }
/// ```
/// MS-SPNG 2.2.1. Nobody vouches for it: neither field may be trusted (conformance row 163).
#[derive(AsnType, Decode, Encode, Clone, Debug, Default, PartialEq, Eq)]
pub struct NegHints {
    /// Such as [`HINT_NAME`]; servers of old said their principal name here.
    #[rasn(tag(explicit(0)))]
    pub hint_name: Option<KerberosString>,
    /// Never used.
    #[rasn(tag(explicit(1)))]
    pub hint_address: Option<OctetString>,
}

/// The fields of NegTokenInit and NegTokenInit2 as they lie on the wire, where `[3]` is one of two things.
#[derive(AsnType, Decode, Encode)]
#[rasn(tag(explicit(0)))]
struct InitFields {
    #[rasn(tag(explicit(0)))]
    mech_types: Raw<MechTypeList>,
    #[rasn(tag(explicit(1)))]
    req_flags: Option<Any>,
    #[rasn(tag(explicit(2)))]
    mech_token: Option<OctetString>,
    #[rasn(tag(explicit(3)))]
    hints_or_mic: Option<Any>,
    #[rasn(tag(explicit(4)))]
    mech_list_mic: Option<OctetString>,
}

#[derive(AsnType, Decode, Encode)]
#[rasn(tag(explicit(1)))]
struct RespFields {
    #[rasn(tag(explicit(0)))]
    neg_state: Option<NegState>,
    #[rasn(tag(explicit(1)))]
    supported_mech: Option<OidOctets>,
    #[rasn(tag(explicit(2)))]
    response_token: Option<OctetString>,
    #[rasn(tag(explicit(3)))]
    mech_list_mic: Option<OctetString>,
}

/// What a client begins with, and what a server of Windows may begin with.
///
/// ```text
/// NegTokenInit ::= SEQUENCE {               NegTokenInit2 ::= SEQUENCE {
///     mechTypes    [0] MechTypeList,            mechTypes    [0] MechTypeList OPTIONAL,
///     reqFlags     [1] ContextFlags OPTIONAL,   reqFlags     [1] ContextFlags OPTIONAL,
///     mechToken    [2] OCTET STRING OPTIONAL,   mechToken    [2] OCTET STRING OPTIONAL,
///     mechListMIC  [3] OCTET STRING OPTIONAL,   negHints     [3] NegHints OPTIONAL,
///     ...                                       mechListMIC  [4] OCTET STRING OPTIONAL,
/// }                                             ...
///                                           }
/// ```
/// RFC 4178 4.2.1, MS-SPNG 2.2.1. The two share a tag; field `[3]` tells them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NegTokenInit {
    /// The mechanisms, the preferred one first: one at least, [`MAX_MECH_TYPES`] at most. A NegTokenInit2
    /// that leaves them out, as MS-SPNG 2.2.1 lets it, offers nothing and is refused.
    pub mech_types: Vec<Oid>,
    /// The MechTypeList exactly as it lies in the token, from its SEQUENCE tag on: what mechListMIC is
    /// computed over (RFC 4178 5). [`Self::to_token`] sends these bytes, and [`Self::new`] makes them.
    pub mech_types_der: Vec<u8>,
    /// Contents of the BIT STRING, the count of unused bits first. Nothing protects them: they are to be
    /// ignored (RFC 4178 4.2.1, conformance row 164).
    pub req_flags: Option<Vec<u8>>,
    /// First token of the first mechanism.
    pub mech_token: Option<Vec<u8>>,
    /// There if this is a NegTokenInit2 with hints.
    pub hints: Option<NegHints>,
    /// MIC over `mech_types_der`.
    pub mech_list_mic: Option<Vec<u8>>,
}

impl NegTokenInit {
    /// A token that offers these mechanisms and says nothing else yet.
    ///
    /// # Errors
    /// No mechanism, more than [`MAX_MECH_TYPES`], or text that is not an object identifier.
    pub fn new<T: AsRef<str>>(mech_types: &[T]) -> Result<Self, EncodeError> {
        let list = mech_types
            .iter()
            .map(|oid| OidOctets::from_dotted(INIT, oid.as_ref()))
            .collect::<Result<MechTypeList, _>>()?;
        let der = list.to_der()?;
        Ok(Self {
            mech_types: mech_types
                .iter()
                .map(|oid| oid.as_ref().to_owned())
                .collect(),
            mech_types_der: der,
            ..Self::default()
        })
    }

    /// The token in the frame of RFC 2743 3.1. With `hints` it is a NegTokenInit2.
    ///
    /// # Errors
    /// `mech_types_der` is no MechTypeList, `req_flags` is no BIT STRING, or the token is too long.
    pub fn to_token(&self) -> Result<Vec<u8>, EncodeError> {
        Ok(wrap_mechanism_token(SPNEGO_OID, &self.to_der()?))
    }

    /// The token without a frame.
    ///
    /// # Errors
    /// As [`Self::to_token`].
    pub fn to_der(&self) -> Result<Vec<u8>, EncodeError> {
        let mut fields = InitFields {
            mech_types: Raw::from_der(self.mech_types_der.as_slice()).map_err(|cause| {
                EncodeError::WouldBeRefused {
                    type_name: INIT,
                    cause,
                }
            })?,
            req_flags: self
                .req_flags
                .as_deref()
                .map(|flags| any_of(BIT_STRING, flags)),
            mech_token: self.mech_token.as_deref().map(OctetString::from_slice),
            hints_or_mic: None,
            mech_list_mic: None,
        };
        match (&self.hints, &self.mech_list_mic) {
            (Some(hints), mic) => {
                fields.hints_or_mic = Some(Any::new(hints.to_der()?));
                fields.mech_list_mic = mic.as_deref().map(OctetString::from_slice);
            }
            (None, mic) => {
                fields.hints_or_mic = mic.as_deref().map(|mic| any_of(OCTET_STRING, mic));
            }
        }
        fields.to_der()
    }

    fn from_der(der: &[u8]) -> Result<Self, DecodeError> {
        let fields = InitFields::from_der(&without_extensions(INIT, der, LAST_OF_INIT)?)?;
        let (hints, third) = match &fields.hints_or_mic {
            None => (None, None),
            Some(any) => match any.as_bytes().first() {
                Some(&OCTET_STRING) => (None, Some(contents_of(INIT, any.as_bytes())?)),
                _ => (Some(NegHints::from_der(any.as_bytes())?), None),
            },
        };
        let fourth = fields.mech_list_mic.as_ref().map(|mic| mic.to_vec());
        // RFC 4178 4.2.1, MS-SPNG 2.2.1: one mechListMIC, in [3] or, behind the hints, in [4].
        if third.is_some() && fourth.is_some() {
            return Err(malformed(INIT, "mechListMIC", Cause::Duplicate));
        }
        let req_flags = match &fields.req_flags {
            None => None,
            Some(any) if any.as_bytes().first() == Some(&BIT_STRING) => {
                Some(contents_of(INIT, any.as_bytes())?)
            }
            // RFC 4178 4.2.1: reqFlags is a BIT STRING.
            Some(_) => return Err(malformed(INIT, "reqFlags", Cause::Form)),
        };
        Ok(Self {
            mech_types: dotted_list(&fields.mech_types)?,
            mech_types_der: fields.mech_types.der().to_vec(),
            req_flags,
            mech_token: fields.mech_token.map(|token| token.to_vec()),
            hints,
            mech_list_mic: third.or(fourth),
        })
    }
}

/// What both sides send from then on.
///
/// ```text
/// NegTokenResp ::= SEQUENCE {
///     negState       [0] ENUMERATED { accept-completed (0), accept-incomplete (1), reject (2), request-mic (3) } OPTIONAL,
///     supportedMech  [1] MechType OPTIONAL,
///     responseToken  [2] OCTET STRING OPTIONAL,
///     mechListMIC    [3] OCTET STRING OPTIONAL,
///     ...
/// }
/// ```
/// RFC 4178 4.2.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NegTokenResp {
    /// REQUIRED in the acceptor's first reply, OPTIONAL later and for the initiator.
    pub neg_state: Option<NegState>,
    /// The mechanism that the acceptor chose; in its first reply only.
    pub supported_mech: Option<Oid>,
    /// Next token of the mechanism.
    pub response_token: Option<Vec<u8>>,
    /// MIC over the list that the initiator offered.
    pub mech_list_mic: Option<Vec<u8>>,
}

impl NegTokenResp {
    /// The token; it has no frame.
    ///
    /// # Errors
    /// `supported_mech` is no object identifier, or the token is too long.
    pub fn to_token(&self) -> Result<Vec<u8>, EncodeError> {
        RespFields {
            neg_state: self.neg_state,
            supported_mech: self
                .supported_mech
                .as_deref()
                .map(|oid| OidOctets::from_dotted(RESP, oid))
                .transpose()?,
            response_token: self.response_token.as_deref().map(OctetString::from_slice),
            mech_list_mic: self.mech_list_mic.as_deref().map(OctetString::from_slice),
        }
        .to_der()
    }

    fn from_der(der: &[u8]) -> Result<Self, DecodeError> {
        let fields = RespFields::from_der(&without_extensions(RESP, der, LAST_OF_RESP)?)?;
        Ok(Self {
            neg_state: fields.neg_state,
            supported_mech: fields
                .supported_mech
                .map(|oid| oid.dotted(RESP, "supportedMech"))
                .transpose()?,
            response_token: fields.response_token.map(|token| token.to_vec()),
            mech_list_mic: fields.mech_list_mic.map(|mic| mic.to_vec()),
        })
    }
}

/// `NegotiationToken ::= CHOICE { negTokenInit [0] NegTokenInit, negTokenResp [1] NegTokenResp }`
/// (RFC 4178 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NegotiationToken {
    /// Either form of it.
    Init(NegTokenInit),
    /// `NegTokenTarg` of RFC 2478.
    Resp(NegTokenResp),
}

/// What a first token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitialToken<'a> {
    /// SPNEGO's.
    Init(NegTokenInit),
    /// Framed for another mechanism, which got it without a negotiation.
    Mechanism {
        /// The mechanism.
        oid: Oid,
        /// The whole token with its frame, as that mechanism reads it.
        token: &'a [u8],
    },
}

/// Whether the bytes are a token of SPNEGO, framed or not; they may yet be malformed.
#[must_use]
pub fn is_spnego(token: &[u8]) -> bool {
    match token.first() {
        Some(&(INIT_TAG | RESP_TAG)) => true,
        _ => unwrap_mechanism_token(token).is_ok_and(|(oid, _)| oid == SPNEGO_OID),
    }
}

/// Reads a first token: framed (RFC 2743 3.1), or a NegTokenInit without a frame, as some peers send.
///
/// # Errors
/// A broken frame, a token of SPNEGO that is no NegTokenInit or a malformed one, bytes that are neither.
/// A mechanism's own token without a frame, such as NTLM's, is the last of these.
pub fn parse_initial(token: &[u8]) -> Result<InitialToken<'_>, DecodeError> {
    if !is_framed(token) {
        return parse_init(token).map(InitialToken::Init);
    }
    let (oid, inner) = unwrap_mechanism_token(token)?;
    if oid == SPNEGO_OID {
        return parse_init(inner).map(InitialToken::Init);
    }
    match crate::oid::dotted(oid) {
        Some(oid) => Ok(InitialToken::Mechanism { oid, token }),
        None => Err(malformed("GSS token", "thisMech", Cause::ObjectIdentifier)),
    }
}

/// Reads a token behind the first one.
///
/// # Errors
/// No NegTokenResp, or a malformed one.
pub fn parse_response(token: &[u8]) -> Result<NegTokenResp, DecodeError> {
    expect_tag(RESP, RESP_TAG, token)?;
    NegTokenResp::from_der(token)
}

/// Reads a token of either kind, with or without a frame: what an initiator may get from a server that
/// speaks first.
///
/// # Errors
/// As [`parse_initial`] and [`parse_response`], and a frame of another mechanism.
pub fn parse(token: &[u8]) -> Result<NegotiationToken, DecodeError> {
    let inner = if is_framed(token) {
        let (oid, inner) = unwrap_mechanism_token(token)?;
        // RFC 4178 3.2: the frame of a negotiation token names SPNEGO.
        if oid != SPNEGO_OID {
            return Err(DecodeError::NotSpnego);
        }
        inner
    } else {
        token
    };
    if inner.first() == Some(&RESP_TAG) {
        parse_response(inner).map(NegotiationToken::Resp)
    } else {
        parse_init(inner).map(NegotiationToken::Init)
    }
}

fn parse_init(der: &[u8]) -> Result<NegTokenInit, DecodeError> {
    expect_tag(INIT, INIT_TAG, der)?;
    NegTokenInit::from_der(der)
}

fn expect_tag(type_name: &'static str, expected: u8, token: &[u8]) -> Result<(), DecodeError> {
    match token.first() {
        None => Err(DecodeError::Truncated {
            type_name,
            offset: 0,
        }),
        Some(&found) if found == expected => Ok(()),
        // RFC 4178 4.2: negTokenInit is [0], negTokenResp is [1].
        Some(&found) => Err(DecodeError::NegotiationTokenTag {
            type_name,
            expected,
            found,
        }),
    }
}

fn malformed(type_name: &'static str, field: &str, cause: Cause) -> DecodeError {
    DecodeError::Malformed {
        type_name,
        field: field.to_owned(),
        cause,
    }
}

fn any_of(identifier: u8, contents: &[u8]) -> Any {
    let mut der = Vec::with_capacity(contents.len() + 6);
    push_value(&mut der, identifier, &[contents]);
    Any::new(der)
}

fn contents_of(type_name: &'static str, der: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let header = read_header(der).map_err(|fault| fault.at(type_name, 0))?;
    Ok(der.get(header.header_length..).unwrap_or_default().to_vec())
}

fn dotted_list(list: &Raw<MechTypeList>) -> Result<Vec<Oid>, DecodeError> {
    // Counted before it is decoded, so that a long list costs nothing.
    check_count(members(list.der()).count())?;
    list.decode()?
        .iter()
        .map(|oid| oid.dotted(INIT, "mechTypes"))
        .collect()
}

fn check_count(count: usize) -> Result<(), DecodeError> {
    if count > MAX_MECH_TYPES {
        return Err(DecodeError::TooManyMechTypes {
            count,
            limit: MAX_MECH_TYPES,
        });
    }
    Ok(())
}

/// The values inside a constructed one whose structure has been checked.
fn members(der: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = read_header(der)
        .ok()
        .and_then(|header| der.get(header.header_length..))
        .unwrap_or_default();
    core::iter::from_fn(move || {
        let header = read_header(rest).ok()?;
        let (member, behind) =
            rest.split_at_checked(header.header_length.checked_add(header.content_length)?)?;
        rest = behind;
        Some(member)
    })
}

/// Cuts off the fields behind the last known one. Both types end in an extension marker (RFC 4178
/// appendix A), so what a later version puts there is skipped, where the decoder would refuse it.
fn without_extensions<'a>(
    type_name: &'static str,
    der: &'a [u8],
    last: u8,
) -> Result<Cow<'a, [u8]>, DecodeError> {
    check_structure(type_name, der)?;
    let header_of = |value: &[u8]| read_header(value).map_err(|fault| fault.at(type_name, 0));
    let outer = header_of(der)?;
    let sequence = der.get(outer.header_length..).unwrap_or_default();
    let is_extension = |field: &&[u8]| {
        field
            .first()
            .is_some_and(|identifier| identifier & CONTEXT == CONTEXT && *identifier > last)
    };
    if sequence.first() != Some(&SEQUENCE) || !members(sequence).any(|field| is_extension(&field)) {
        return Ok(Cow::Borrowed(der));
    }
    let known: Vec<&[u8]> = members(sequence)
        .take_while(|field| !is_extension(field))
        .collect();
    let mut kept = Vec::with_capacity(der.len());
    push_value(&mut kept, SEQUENCE, &known);
    let mut out = Vec::with_capacity(der.len());
    push_value(&mut out, outer.identifier, &[&kept]);
    Ok(Cow::Owned(out))
}

impl Message for MechTypeList {
    const NAME: &'static str = "MechTypeList";

    fn check(&self) -> Result<(), DecodeError> {
        // RFC 4178 4.2.1: there is a preferred mechanism, so there is one at least.
        if self.is_empty() {
            return Err(DecodeError::EmptySequence {
                type_name: INIT,
                field: "mechTypes",
            });
        }
        check_count(self.len())
    }
}

message! {
    NegHints = "NegHints",
    InitFields = "NegTokenInit",
    RespFields = "NegTokenResp",
}

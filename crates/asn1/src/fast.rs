//! Flexible Authentication Secure Tunneling (RFC 6113).

use rasn::prelude::*;

use crate::Message;
use crate::basic::{Checksum, EncryptedData, EncryptionKey, PaData, PrincipalName};
use crate::error::DecodeError;
use crate::flags::FastOptions;
use crate::kdc::KdcReqBody;
use crate::message::{check_microseconds, message};
use crate::primitive::{KerberosTime, Realm, UInt32};
use crate::raw::Raw;

/// ```text
/// KrbFastArmor ::= SEQUENCE {
///     armor-type   [0] Int32,
///     armor-value  [1] OCTET STRING
/// }
/// ```
/// RFC 6113 5.4.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KrbFastArmor {
    /// 1 is FX_FAST_ARMOR_AP_REQUEST.
    #[rasn(tag(explicit(0)))]
    pub armor_type: i32,
    /// The armor, such as an AP-REQ.
    #[rasn(tag(explicit(1)))]
    pub armor_value: OctetString,
}

/// ```text
/// KrbFastArmoredReq ::= SEQUENCE {
///     armor         [0] KrbFastArmor OPTIONAL,
///     req-checksum  [1] Checksum,
///     enc-fast-req  [2] EncryptedData -- KrbFastReq
/// }
/// ```
/// RFC 6113 5.4.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KrbFastArmoredReq {
    /// Absent in a TGS-REQ with implicit armor.
    #[rasn(tag(explicit(0)))]
    pub armor: Option<KrbFastArmor>,
    /// Over KDC-REQ-BODY or AP-REQ, key usage 50.
    #[rasn(tag(explicit(1)))]
    pub req_checksum: Checksum,
    /// [`KrbFastReq`], key usage 51.
    #[rasn(tag(explicit(2)))]
    pub enc_fast_req: EncryptedData,
}

/// ```text
/// KrbFastReq ::= SEQUENCE {
///     fast-options  [0] FastOptions,
///     padata        [1] SEQUENCE OF PA-DATA,
///     req-body      [2] KDC-REQ-BODY
/// }
/// ```
/// RFC 6113 5.4.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KrbFastReq {
    /// Options.
    #[rasn(tag(explicit(0)))]
    pub fast_options: FastOptions,
    /// The inner pre-authentication data.
    #[rasn(tag(explicit(1)))]
    pub padata: Vec<PaData>,
    /// The inner request.
    #[rasn(tag(explicit(2)))]
    pub req_body: Raw<KdcReqBody>,
}

/// ```text
/// KrbFastArmoredRep ::= SEQUENCE {
///     enc-fast-rep  [0] EncryptedData -- KrbFastResponse
/// }
/// ```
/// RFC 6113 5.4.3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KrbFastArmoredRep {
    /// [`KrbFastResponse`], key usage 52.
    #[rasn(tag(explicit(0)))]
    pub enc_fast_rep: EncryptedData,
}

/// ```text
/// KrbFastResponse ::= SEQUENCE {
///     padata          [0] SEQUENCE OF PA-DATA,
///     strengthen-key  [1] EncryptionKey OPTIONAL,
///     finished        [2] KrbFastFinished OPTIONAL,
///     nonce           [3] UInt32
/// }
/// ```
/// RFC 6113 5.4.3.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
pub struct KrbFastResponse {
    /// The inner pre-authentication data.
    #[rasn(tag(explicit(0)))]
    pub padata: Vec<PaData>,
    /// Mixed into the reply key.
    #[rasn(tag(explicit(1)))]
    pub strengthen_key: Option<EncryptionKey>,
    /// Present in the last reply.
    #[rasn(tag(explicit(2)))]
    pub finished: Option<KrbFastFinished>,
    /// That of the inner request.
    #[rasn(tag(explicit(3)))]
    pub nonce: UInt32,
}

/// ```text
/// KrbFastFinished ::= SEQUENCE {
///     timestamp        [0] KerberosTime,
///     usec             [1] Microseconds,
///     crealm           [2] Realm,
///     cname            [3] PrincipalName,
///     ticket-checksum  [4] Checksum
/// }
/// ```
/// RFC 6113 5.4.3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KrbFastFinished {
    /// The KDC's clock.
    #[rasn(tag(explicit(0)))]
    pub timestamp: KerberosTime,
    /// Microseconds of it.
    #[rasn(tag(explicit(1)))]
    pub usec: i32,
    /// Realm of the client.
    #[rasn(tag(explicit(2)))]
    pub crealm: Realm,
    /// Name of the client.
    #[rasn(tag(explicit(3)))]
    pub cname: PrincipalName,
    /// Over the ticket, key usage 53.
    #[rasn(tag(explicit(4)))]
    pub ticket_checksum: Checksum,
}

/// ```text
/// PA-AUTHENTICATION-SET-ELEM ::= SEQUENCE {
///     pa-type   [0] Int32,
///     pa-hint   [1] OCTET STRING OPTIONAL,
///     pa-value  [2] OCTET STRING OPTIONAL
/// }
/// ```
/// RFC 6113 5.3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaAuthenticationSetElem {
    /// Type of the pre-authentication data.
    #[rasn(tag(explicit(0)))]
    pub pa_type: i32,
    /// A hint for the client.
    #[rasn(tag(explicit(1)))]
    pub pa_hint: Option<OctetString>,
    /// Value to begin with.
    #[rasn(tag(explicit(2)))]
    pub pa_value: Option<OctetString>,
}

/// `PA-AUTHENTICATION-SET ::= SEQUENCE OF PA-AUTHENTICATION-SET-ELEM` (RFC 6113 5.3).
pub type PaAuthenticationSet = Vec<PaAuthenticationSetElem>;

/// ```text
/// PA-FX-FAST-REQUEST ::= CHOICE {
///     armored-data  [0] KrbFastArmoredReq,
///     ...
/// }
/// ```
/// RFC 6113 5.4.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(choice)]
#[non_exhaustive]
pub enum PaFxFastRequest {
    /// A request in armor.
    #[rasn(tag(explicit(0)))]
    ArmoredData(KrbFastArmoredReq),
}

/// ```text
/// PA-FX-FAST-REPLY ::= CHOICE {
///     armored-data  [0] KrbFastArmoredRep,
///     ...
/// }
/// ```
/// RFC 6113 5.4.3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(choice)]
#[non_exhaustive]
pub enum PaFxFastReply {
    /// A reply in armor.
    #[rasn(tag(explicit(0)))]
    ArmoredData(KrbFastArmoredRep),
}

impl Message for KrbFastFinished {
    const NAME: &'static str = "KrbFastFinished";

    fn check(&self) -> Result<(), DecodeError> {
        check_microseconds(Self::NAME, "usec", Some(self.usec))
    }
}

impl Message for KrbFastResponse {
    const NAME: &'static str = "KrbFastResponse";

    fn check(&self) -> Result<(), DecodeError> {
        self.finished.as_ref().map_or(Ok(()), Message::check)
    }
}

message! {
    KrbFastArmor = "KrbFastArmor",
    KrbFastArmoredReq = "KrbFastArmoredReq",
    KrbFastReq = "KrbFastReq",
    KrbFastArmoredRep = "KrbFastArmoredRep",
    PaAuthenticationSet = "PA-AUTHENTICATION-SET",
    PaFxFastRequest = "PA-FX-FAST-REQUEST",
    PaFxFastReply = "PA-FX-FAST-REPLY",
}

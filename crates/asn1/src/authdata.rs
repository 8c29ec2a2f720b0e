//! What authorization data holds (RFC 4120 5.2.6, RFC 7751, RFC 6806, MS-KILE).

use rasn::prelude::*;

use crate::Message;
use crate::basic::{AuthorizationData, Checksum, PrincipalName};
use crate::error::DecodeError;
use crate::message::message;
use crate::primitive::{Realm, UInt32};
use crate::raw::Raw;

/// ```text
/// AD-KDCIssued ::= SEQUENCE {
///     ad-checksum  [0] Checksum,
///     i-realm      [1] Realm OPTIONAL,
///     i-sname      [2] PrincipalName OPTIONAL,
///     elements     [3] AuthorizationData
/// }
/// ```
/// RFC 4120 5.2.6.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct AdKdcIssued {
    /// Over `elements`, key usage 19.
    #[rasn(tag(explicit(0)))]
    pub ad_checksum: Checksum,
    /// Realm of the issuer.
    #[rasn(tag(explicit(1)))]
    pub i_realm: Option<Realm>,
    /// Name of the issuer.
    #[rasn(tag(explicit(2)))]
    pub i_sname: Option<PrincipalName>,
    /// What was issued, kept as received.
    #[rasn(tag(explicit(3)))]
    pub elements: Raw<AuthorizationData>,
}

/// ```text
/// AD-AND-OR ::= SEQUENCE {
///     condition-count  [0] Int32,
///     elements         [1] AuthorizationData
/// }
/// ```
/// RFC 4120 5.2.6.3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct AdAndOr {
    /// How many of the elements must be met.
    #[rasn(tag(explicit(0)))]
    pub condition_count: i32,
    /// The elements.
    #[rasn(tag(explicit(1)))]
    pub elements: AuthorizationData,
}

/// ```text
/// AD-CAMMAC ::= SEQUENCE {
///     elements         [0] AuthorizationData,
///     kdc-verifier     [1] Verifier-MAC OPTIONAL,
///     svc-verifier     [2] Verifier-MAC OPTIONAL,
///     other-verifiers  [3] SEQUENCE (SIZE (1..MAX)) OF Verifier OPTIONAL
/// }
/// ```
/// RFC 7751 4.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct AdCammac {
    /// What is protected, kept as received.
    #[rasn(tag(explicit(0)))]
    pub elements: Raw<AuthorizationData>,
    /// By the key of the local krbtgt.
    #[rasn(tag(explicit(1)))]
    pub kdc_verifier: Option<VerifierMac>,
    /// By the key of the service.
    #[rasn(tag(explicit(2)))]
    pub svc_verifier: Option<VerifierMac>,
    /// By others.
    #[rasn(tag(explicit(3)))]
    pub other_verifiers: Option<Vec<Verifier>>,
}

/// ```text
/// Verifier-MAC ::= SEQUENCE {
///     identifier  [0] PrincipalName OPTIONAL,
///     kvno        [1] UInt32 OPTIONAL,
///     enctype     [2] Int32 OPTIONAL,
///     mac         [3] Checksum
/// }
/// ```
/// RFC 7751 4.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct VerifierMac {
    /// Whose key.
    #[rasn(tag(explicit(0)))]
    pub identifier: Option<PrincipalName>,
    /// Version of the key.
    #[rasn(tag(explicit(1)))]
    pub kvno: Option<UInt32>,
    /// Encryption type of the key.
    #[rasn(tag(explicit(2)))]
    pub enctype: Option<i32>,
    /// Over the elements, key usage 64.
    #[rasn(tag(explicit(3)))]
    pub mac: Checksum,
}

/// ```text
/// AD-LOGIN-ALIAS ::= SEQUENCE {
///     login-aliases  [0] SEQUENCE (SIZE (1..MAX)) OF PrincipalName
/// }
/// ```
/// RFC 6806 6.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct AdLoginAlias {
    /// Names that the client may log in as.
    #[rasn(tag(explicit(0)))]
    pub login_aliases: Vec<PrincipalName>,
}

/// ```text
/// KERB-AD-RESTRICTION-ENTRY ::= SEQUENCE {
///     restriction-type  [0] Int32,
///     restriction       [1] OCTET STRING
/// }
/// ```
/// MS-KILE 2.2.6.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KerbAdRestrictionEntry {
    /// 0.
    #[rasn(tag(explicit(0)))]
    pub restriction_type: i32,
    /// LSAP_TOKEN_INFO_INTEGRITY.
    #[rasn(tag(explicit(1)))]
    pub restriction: OctetString,
}

/// ```text
/// Verifier ::= CHOICE {
///     mac  Verifier-MAC,
///     ...
/// }
/// ```
/// RFC 7751 4.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(choice)]
#[non_exhaustive]
pub enum Verifier {
    /// A keyed checksum.
    Mac(VerifierMac),
}

/// Numbers of `ad-type` (RFC 4120 7.5.4 and the registry of IANA; MS-KILE).
pub mod ad_type {
    /// `AD-IF-RELEVANT`
    pub const AD_IF_RELEVANT: i32 = 1;
    /// `AD-KDCIssued`
    pub const AD_KDC_ISSUED: i32 = 4;
    /// `AD-AND-OR`
    pub const AD_AND_OR: i32 = 5;
    /// `AD-MANDATORY-FOR-KDC`
    pub const AD_MANDATORY_FOR_KDC: i32 = 8;
    /// `AD-INITIAL-VERIFIED-CAS` (RFC 4556)
    pub const AD_INITIAL_VERIFIED_CAS: i32 = 9;
    /// `AD-FX-FAST-ARMOR` (RFC 6113)
    pub const AD_FX_FAST_ARMOR: i32 = 71;
    /// `AD-FX-FAST-USED` (RFC 6113)
    pub const AD_FX_FAST_USED: i32 = 72;
    /// `AD-LOGIN-ALIAS` (RFC 6806)
    pub const AD_LOGIN_ALIAS: i32 = 80;
    /// `AD-CAMMAC` (RFC 7751)
    pub const AD_CAMMAC: i32 = 96;
    /// `AD-AUTHENTICATION-INDICATOR` (RFC 8129)
    pub const AD_AUTHENTICATION_INDICATOR: i32 = 97;
    /// `AD-WIN2K-PAC` (MS-PAC)
    pub const AD_WIN2K_PAC: i32 = 128;
    /// `AD-ETYPE-NEGOTIATION` (RFC 4537)
    pub const AD_ETYPE_NEGOTIATION: i32 = 129;
    /// `KERB-AUTH-DATA-TOKEN-RESTRICTIONS` (MS-KILE)
    pub const KERB_AUTH_DATA_TOKEN_RESTRICTIONS: i32 = 141;
    /// `KERB-LOCAL` (MS-KILE)
    pub const KERB_LOCAL: i32 = 142;
    /// `AD-AUTH-DATA-AP-OPTIONS` (MS-KILE)
    pub const AD_AUTH_DATA_AP_OPTIONS: i32 = 143;
    /// `AD-TARGET-PRINCIPAL` (MS-KILE)
    pub const AD_TARGET_PRINCIPAL: i32 = 144;
}

impl Message for AdCammac {
    const NAME: &'static str = "AD-CAMMAC";

    fn check(&self) -> Result<(), DecodeError> {
        // RFC 7751 4: other-verifiers has SIZE (1..MAX).
        if self.other_verifiers.as_ref().is_some_and(Vec::is_empty) {
            return Err(DecodeError::EmptySequence {
                type_name: Self::NAME,
                field: "other-verifiers",
            });
        }
        Ok(())
    }
}

impl Message for AdLoginAlias {
    const NAME: &'static str = "AD-LOGIN-ALIAS";

    fn check(&self) -> Result<(), DecodeError> {
        // RFC 6806 6: login-aliases has SIZE (1..MAX).
        if self.login_aliases.is_empty() {
            return Err(DecodeError::EmptySequence {
                type_name: Self::NAME,
                field: "login-aliases",
            });
        }
        Ok(())
    }
}

message! {
    AdKdcIssued = "AD-KDCIssued",
    AdAndOr = "AD-AND-OR",
    KerbAdRestrictionEntry = "KERB-AD-RESTRICTION-ENTRY",
    Vec<KerbAdRestrictionEntry> = "KERB-AD-RESTRICTION-ENTRY list",
}

//! Service for user and constrained delegation (MS-SFU).

use rasn::prelude::*;

use crate::basic::{Checksum, PrincipalName};
use crate::flags::S4uOptions;
use crate::message::message;
use crate::primitive::{KerberosString, Realm, UInt32};
use crate::raw::Raw;

/// ```text
/// PA-FOR-USER ::= SEQUENCE {
///     user-name     [0] PrincipalName,
///     user-realm    [1] Realm,
///     cksum         [2] Checksum,
///     auth-package  [3] KerberosString
/// }
/// ```
/// MS-SFU 2.2.1 (there in camel case: userName, userRealm).
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaForUser {
    /// The user to be impersonated.
    #[rasn(tag(explicit(0)))]
    pub user_name: PrincipalName,
    /// The user's realm.
    #[rasn(tag(explicit(1)))]
    pub user_realm: Realm,
    /// HMAC-MD5 under the TGT's session key, key usage 17.
    #[rasn(tag(explicit(2)))]
    pub cksum: Checksum,
    /// `Kerberos`.
    #[rasn(tag(explicit(3)))]
    pub auth_package: KerberosString,
}

/// ```text
/// PA-S4U-X509-USER ::= SEQUENCE {
///     user-id   [0] S4UUserID,
///     checksum  [1] Checksum
/// }
/// ```
/// MS-SFU 2.2.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaS4uX509User {
    /// Who, kept as received: the checksum goes over it.
    #[rasn(tag(explicit(0)))]
    pub user_id: Raw<S4uUserId>,
    /// Over `user-id`, key usage 26, or 27 in a reply.
    #[rasn(tag(explicit(1)))]
    pub checksum: Checksum,
}

/// ```text
/// S4UUserID ::= SEQUENCE {
///     nonce                [0] UInt32,
///     cname                [1] PrincipalName OPTIONAL,
///     crealm               [2] Realm,
///     subject-certificate  [3] OCTET STRING OPTIONAL,
///     options              [4] BIT STRING OPTIONAL
/// }
/// ```
/// MS-SFU 2.2.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct S4uUserId {
    /// That of the KDC-REQ-BODY.
    #[rasn(tag(explicit(0)))]
    pub nonce: UInt32,
    /// The user's name.
    #[rasn(tag(explicit(1)))]
    pub cname: Option<PrincipalName>,
    /// The user's realm.
    #[rasn(tag(explicit(2)))]
    pub crealm: Realm,
    /// The user's certificate.
    #[rasn(tag(explicit(3)))]
    pub subject_certificate: Option<OctetString>,
    /// Options.
    #[rasn(tag(explicit(4)))]
    pub options: Option<S4uOptions>,
}

message! {
    PaForUser = "PA-FOR-USER",
    PaS4uX509User = "PA-S4U-X509-USER",
    S4uUserId = "S4UUserID",
}

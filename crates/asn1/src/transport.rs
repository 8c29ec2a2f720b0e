//! What carries Kerberos messages elsewhere: KDC proxy, IAKERB, password change.

use rasn::prelude::*;

use crate::basic::{Checksum, PrincipalName};
use crate::message::message;
use crate::primitive::{Realm, SecretOctets, Utf8Bytes};

/// ```text
/// KDC-PROXY-MESSAGE ::= SEQUENCE {
///     kerb-message    [0] OCTET STRING,
///     target-domain   [1] KERB-REALM OPTIONAL,
///     dclocator-hint  [2] INTEGER OPTIONAL
/// }
/// ```
/// MS-KKDCP 2.2.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KdcProxyMessage {
    /// The message, with the four-byte length of TCP in front.
    #[rasn(tag(explicit(0)))]
    pub kerb_message: OctetString,
    /// Realm whose KDC is meant.
    #[rasn(tag(explicit(1)))]
    pub target_domain: Option<Realm>,
    /// Flags of DsGetDcName.
    #[rasn(tag(explicit(2)))]
    pub dclocator_hint: Option<i32>,
}

/// ```text
/// IAKERB-HEADER ::= SEQUENCE {
///     target-realm  [1] UTF8String,
///     cookie        [2] OCTET STRING OPTIONAL
/// }
/// ```
/// draft-ietf-kitten-iakerb 3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct IakerbHeader {
    /// Realm whose KDC is meant.
    #[rasn(tag(explicit(1)))]
    pub target_realm: Utf8Bytes,
    /// The acceptor's state.
    #[rasn(tag(explicit(2)))]
    pub cookie: Option<OctetString>,
}

/// ```text
/// IAKERB-FINISHED ::= SEQUENCE {
///     gss-mic  [1] Checksum
/// }
/// ```
/// draft-ietf-kitten-iakerb 3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct IakerbFinished {
    /// Over the exchange, key usage 42.
    #[rasn(tag(explicit(1)))]
    pub gss_mic: Checksum,
}

/// ```text
/// ChangePasswdData ::= SEQUENCE {
///     newpasswd  [0] OCTET STRING,
///     targname   [1] PrincipalName OPTIONAL,
///     targrealm  [2] Realm OPTIONAL
/// }
/// ```
/// RFC 3244 2.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
pub struct ChangePasswdData {
    /// The new password.
    #[rasn(tag(explicit(0)))]
    pub newpasswd: SecretOctets,
    /// Whose password; absent: the client's own.
    #[rasn(tag(explicit(1)))]
    pub targname: Option<PrincipalName>,
    /// Realm of `targname`.
    #[rasn(tag(explicit(2)))]
    pub targrealm: Option<Realm>,
}

message! {
    KdcProxyMessage = "KDC-PROXY-MESSAGE",
    IakerbHeader = "IAKERB-HEADER",
    IakerbFinished = "IAKERB-FINISHED",
    ChangePasswdData = "ChangePasswdData",
}

//! Names, keys, cipher texts, checksums, addresses, authorization data (RFC 4120 5.2).

use core::fmt;

use rasn::prelude::*;

use crate::message::message;
use crate::primitive::{KerberosString, Realm, SecretOctets, UInt32};

/// ```text
/// PrincipalName ::= SEQUENCE {
///     name-type    [0] Int32,
///     name-string  [1] SEQUENCE OF KerberosString
/// }
/// ```
/// RFC 4120 5.2.2. `==` compares the type too; [`Self::same_name`] does not.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PrincipalName {
    /// A number of [`name_type`]; a hint only.
    #[rasn(tag(explicit(0)))]
    pub name_type: i32,
    /// The components.
    #[rasn(tag(explicit(1)))]
    pub name_string: Vec<KerberosString>,
}

/// ```text
/// EncryptedData ::= SEQUENCE {
///     etype   [0] Int32,
///     kvno    [1] UInt32 OPTIONAL,
///     cipher  [2] OCTET STRING
/// }
/// ```
/// RFC 4120 5.2.9. `Debug` hides the cipher: with etype 0 it is none, and there are keys in a KRB-CRED.
#[derive(AsnType, Decode, Encode, Clone, PartialEq, Eq)]
pub struct EncryptedData {
    /// Encryption type.
    #[rasn(tag(explicit(0)))]
    pub etype: i32,
    /// Version of the key, for long-term keys.
    #[rasn(tag(explicit(1)))]
    pub kvno: Option<UInt32>,
    /// Confounder, plaintext and MAC, sealed.
    #[rasn(tag(explicit(2)))]
    pub cipher: OctetString,
}

impl fmt::Debug for EncryptedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedData")
            .field("etype", &self.etype)
            .field("kvno", &self.kvno)
            .field("cipher", &format_args!("{} bytes", self.cipher.len()))
            .finish()
    }
}

/// ```text
/// EncryptionKey ::= SEQUENCE {
///     keytype   [0] Int32,
///     keyvalue  [1] OCTET STRING
/// }
/// ```
/// RFC 4120 5.2.9. Wiped when dropped, hidden in `Debug`.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
pub struct EncryptionKey {
    /// Encryption type that the key is for.
    #[rasn(tag(explicit(0)))]
    pub keytype: i32,
    /// The key.
    #[rasn(tag(explicit(1)))]
    pub keyvalue: SecretOctets,
}

/// ```text
/// Checksum ::= SEQUENCE {
///     cksumtype  [0] Int32,
///     checksum   [1] OCTET STRING
/// }
/// ```
/// RFC 4120 5.2.9. `Debug` hides the bytes: those of type 0x8003 may have a KRB-CRED in them.
#[derive(AsnType, Decode, Encode, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// Checksum type.
    #[rasn(tag(explicit(0)))]
    pub cksumtype: i32,
    /// The checksum.
    #[rasn(tag(explicit(1)))]
    pub checksum: OctetString,
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checksum")
            .field("cksumtype", &self.cksumtype)
            .field("checksum", &format_args!("{} bytes", self.checksum.len()))
            .finish()
    }
}

/// ```text
/// HostAddress ::= SEQUENCE {
///     addr-type  [0] Int32,
///     address    [1] OCTET STRING
/// }
/// ```
/// RFC 4120 5.2.5.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// Type, such as 2 for IPv4, 24 for IPv6, 20 for NetBIOS (RFC 4120 7.5.3).
    #[rasn(tag(explicit(0)))]
    pub addr_type: i32,
    /// The address, in network byte order.
    #[rasn(tag(explicit(1)))]
    pub address: OctetString,
}

/// ```text
/// AuthorizationDataElement ::= SEQUENCE {
///     ad-type  [0] Int32,
///     ad-data  [1] OCTET STRING
/// }
/// ```
/// RFC 4120 5.2.6: a member of [`AuthorizationData`].
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationDataElement {
    /// A number of [`crate::ad_type`].
    #[rasn(tag(explicit(0)))]
    pub ad_type: i32,
    /// What the type says.
    #[rasn(tag(explicit(1)))]
    pub ad_data: OctetString,
}

/// ```text
/// PA-DATA ::= SEQUENCE {
///     padata-type   [1] Int32,
///     padata-value  [2] OCTET STRING
/// }
/// ```
/// RFC 4120 5.2.7.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaData {
    /// A number of [`crate::pa_type`].
    #[rasn(tag(explicit(1)))]
    pub padata_type: i32,
    /// What the type says.
    #[rasn(tag(explicit(2)))]
    pub padata_value: OctetString,
}

/// `HostAddresses ::= SEQUENCE OF HostAddress` (RFC 4120 5.2.5).
pub type HostAddresses = Vec<HostAddress>;

/// `AuthorizationData ::= SEQUENCE OF SEQUENCE { ad-type, ad-data }` (RFC 4120 5.2.6).
pub type AuthorizationData = Vec<AuthorizationDataElement>;

/// `METHOD-DATA ::= SEQUENCE OF PA-DATA` (RFC 4120 5.9.1).
pub type MethodData = Vec<PaData>;

/// `EtypeList ::= SEQUENCE OF Int32` (RFC 4537 3), preferred first.
pub type EtypeList = Vec<i32>;

/// Numbers of `name-type` (RFC 4120 6.2; RFC 6111, RFC 6806, MS-KILE).
pub mod name_type {
    /// Name type not known.
    pub const NT_UNKNOWN: i32 = 0;
    /// A user or a service, by name.
    pub const NT_PRINCIPAL: i32 = 1;
    /// A service and its instance, such as krbtgt.
    pub const NT_SRV_INST: i32 = 2;
    /// A service and its host.
    pub const NT_SRV_HST: i32 = 3;
    /// A service and its host, further components.
    pub const NT_SRV_XHST: i32 = 4;
    /// A unique identifier.
    pub const NT_UID: i32 = 5;
    /// An encoded X.500 name.
    pub const NT_X500_PRINCIPAL: i32 = 6;
    /// A name as in SMTP mail.
    pub const NT_SMTP_NAME: i32 = 7;
    /// An enterprise name (RFC 6806 5), which may hold an `@`.
    pub const NT_ENTERPRISE: i32 = 10;
    /// A well-known name (RFC 6111 3.1).
    pub const NT_WELLKNOWN: i32 = 11;
    /// A domain-based service (RFC 5179).
    pub const NT_SRV_HST_DOMAIN: i32 = 12;
    /// Microsoft: a user principal name.
    pub const NT_MS_PRINCIPAL: i32 = -128;
}

impl PrincipalName {
    /// A name of these components.
    pub fn new<C: Into<KerberosString>>(
        name_type: i32,
        components: impl IntoIterator<Item = C>,
    ) -> Self {
        Self {
            name_type,
            name_string: components.into_iter().map(Into::into).collect(),
        }
    }

    /// Whether both have the same components. The name type is a hint and does not count (RFC 4120 6.2).
    #[must_use]
    pub fn same_name(&self, other: &Self) -> bool {
        self.name_string == other.name_string
    }
}

impl EncryptionKey {
    /// A key of that encryption type; the length is not checked here.
    pub fn new(keytype: i32, keyvalue: impl Into<SecretOctets>) -> Self {
        Self {
            keytype,
            keyvalue: keyvalue.into(),
        }
    }
}

impl PaData {
    /// Pre-authentication data of that type.
    pub fn new(padata_type: i32, padata_value: impl Into<OctetString>) -> Self {
        Self {
            padata_type,
            padata_value: padata_value.into(),
        }
    }
}

impl Checksum {
    /// A checksum of that type.
    pub fn new(cksumtype: i32, checksum: impl Into<OctetString>) -> Self {
        Self {
            cksumtype,
            checksum: checksum.into(),
        }
    }
}

impl EncryptedData {
    /// A cipher text of that encryption type.
    pub fn new(etype: i32, kvno: Option<u32>, cipher: impl Into<OctetString>) -> Self {
        Self {
            etype,
            kvno: kvno.map(UInt32::new),
            cipher: cipher.into(),
        }
    }
}

impl AuthorizationDataElement {
    /// Authorization data of that type.
    pub fn new(ad_type: i32, ad_data: impl Into<OctetString>) -> Self {
        Self {
            ad_type,
            ad_data: ad_data.into(),
        }
    }
}

message! {
    PrincipalName = "PrincipalName",
    Realm = "Realm",
    EncryptedData = "EncryptedData",
    EncryptionKey = "EncryptionKey",
    Checksum = "Checksum",
    HostAddress = "HostAddress",
    HostAddresses = "HostAddresses",
    AuthorizationDataElement = "AuthorizationData element",
    AuthorizationData = "AuthorizationData",
    PaData = "PA-DATA",
    MethodData = "METHOD-DATA",
    EtypeList = "EtypeList",
}

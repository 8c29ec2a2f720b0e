//! The AP exchange (RFC 4120 5.5).

use rasn::prelude::*;

use crate::Message;
use crate::basic::{AuthorizationData, Checksum, EncryptedData, EncryptionKey, PrincipalName};
use crate::error::DecodeError;
use crate::flags::ApOptions;
use crate::message::{PVNO, check_header, check_microseconds, check_version};
use crate::primitive::{KerberosTime, Realm, UInt32};
use crate::raw::Raw;
use crate::ticket::Ticket;

/// ```text
/// AP-REQ ::= [APPLICATION 14] SEQUENCE {
///     pvno           [0] INTEGER (5),
///     msg-type       [1] INTEGER (14),
///     ap-options     [2] APOptions,
///     ticket         [3] Ticket,
///     authenticator  [4] EncryptedData -- Authenticator
/// }
/// ```
/// RFC 4120 5.5.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(tag(explicit(application, 14)))]
pub struct ApReq {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub pvno: i32,
    /// 14.
    #[rasn(tag(explicit(1)))]
    pub msg_type: i32,
    /// What the client wants of the exchange.
    #[rasn(tag(explicit(2)))]
    pub ap_options: ApOptions,
    /// The ticket as received.
    #[rasn(tag(explicit(3)))]
    pub ticket: Raw<Ticket>,
    /// [`Authenticator`], key usage 11, or 7 in a TGS-REQ.
    #[rasn(tag(explicit(4)))]
    pub authenticator: EncryptedData,
}

/// ```text
/// Authenticator ::= [APPLICATION 2] SEQUENCE {
///     authenticator-vno   [0] INTEGER (5),
///     crealm              [1] Realm,
///     cname               [2] PrincipalName,
///     cksum               [3] Checksum OPTIONAL,
///     cusec               [4] Microseconds,
///     ctime               [5] KerberosTime,
///     subkey              [6] EncryptionKey OPTIONAL,
///     seq-number          [7] UInt32 OPTIONAL,
///     authorization-data  [8] AuthorizationData OPTIONAL
/// }
/// ```
/// RFC 4120 5.5.1.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
#[rasn(tag(explicit(application, 2)))]
pub struct Authenticator {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub authenticator_vno: i32,
    /// Realm of the client.
    #[rasn(tag(explicit(1)))]
    pub crealm: Realm,
    /// Name of the client.
    #[rasn(tag(explicit(2)))]
    pub cname: PrincipalName,
    /// Over the application's data, key usage 10 or 6; type 0x8003 in GSS.
    #[rasn(tag(explicit(3)))]
    pub cksum: Option<Checksum>,
    /// Microseconds of `ctime`.
    #[rasn(tag(explicit(4)))]
    pub cusec: i32,
    /// The client's clock.
    #[rasn(tag(explicit(5)))]
    pub ctime: KerberosTime,
    /// Key for this session.
    #[rasn(tag(explicit(6)))]
    pub subkey: Option<EncryptionKey>,
    /// First sequence number of the client.
    #[rasn(tag(explicit(7)))]
    pub seq_number: Option<UInt32>,
    /// Further restrictions.
    #[rasn(tag(explicit(8)))]
    pub authorization_data: Option<AuthorizationData>,
}

/// ```text
/// AP-REP ::= [APPLICATION 15] SEQUENCE {
///     pvno      [0] INTEGER (5),
///     msg-type  [1] INTEGER (15),
///     enc-part  [2] EncryptedData -- EncAPRepPart
/// }
/// ```
/// RFC 4120 5.5.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(tag(explicit(application, 15)))]
pub struct ApRep {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub pvno: i32,
    /// 15.
    #[rasn(tag(explicit(1)))]
    pub msg_type: i32,
    /// [`EncApRepPart`], key usage 12.
    #[rasn(tag(explicit(2)))]
    pub enc_part: EncryptedData,
}

/// ```text
/// EncAPRepPart ::= [APPLICATION 27] SEQUENCE {
///     ctime       [0] KerberosTime,
///     cusec       [1] Microseconds,
///     subkey      [2] EncryptionKey OPTIONAL,
///     seq-number  [3] UInt32 OPTIONAL
/// }
/// ```
/// RFC 4120 5.5.2.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
#[rasn(tag(explicit(application, 27)))]
pub struct EncApRepPart {
    /// That of the authenticator.
    #[rasn(tag(explicit(0)))]
    pub ctime: KerberosTime,
    /// That of the authenticator.
    #[rasn(tag(explicit(1)))]
    pub cusec: i32,
    /// Key for this session.
    #[rasn(tag(explicit(2)))]
    pub subkey: Option<EncryptionKey>,
    /// First sequence number of the server.
    #[rasn(tag(explicit(3)))]
    pub seq_number: Option<UInt32>,
}

impl ApReq {
    /// An AP-REQ with these parts.
    #[must_use]
    pub fn new(ap_options: ApOptions, ticket: Raw<Ticket>, authenticator: EncryptedData) -> Self {
        Self {
            pvno: PVNO,
            msg_type: 14,
            ap_options,
            ticket,
            authenticator,
        }
    }
}

impl ApRep {
    /// An AP-REP with this encrypted part.
    #[must_use]
    pub fn new(enc_part: EncryptedData) -> Self {
        Self {
            pvno: PVNO,
            msg_type: 15,
            enc_part,
        }
    }
}

impl Message for ApReq {
    const NAME: &'static str = "AP-REQ";

    fn check(&self) -> Result<(), DecodeError> {
        check_header(Self::NAME, self.pvno, self.msg_type, 14)
    }
}

impl Message for Authenticator {
    const NAME: &'static str = "Authenticator";

    fn check(&self) -> Result<(), DecodeError> {
        check_version(Self::NAME, self.authenticator_vno)?;
        check_microseconds(Self::NAME, "cusec", Some(self.cusec))
    }
}

impl Message for ApRep {
    const NAME: &'static str = "AP-REP";

    fn check(&self) -> Result<(), DecodeError> {
        check_header(Self::NAME, self.pvno, self.msg_type, 15)
    }
}

impl Message for EncApRepPart {
    const NAME: &'static str = "EncAPRepPart";

    fn check(&self) -> Result<(), DecodeError> {
        check_microseconds(Self::NAME, "cusec", Some(self.cusec))
    }
}

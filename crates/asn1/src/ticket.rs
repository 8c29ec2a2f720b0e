//! Tickets (RFC 4120 5.3).

use rasn::prelude::*;

use crate::Message;
use crate::basic::{AuthorizationData, EncryptedData, EncryptionKey, HostAddresses, PrincipalName};
use crate::error::DecodeError;
use crate::flags::TicketFlags;
use crate::message::{check_version, message};
use crate::primitive::{KerberosTime, Realm};

/// ```text
/// Ticket ::= [APPLICATION 1] SEQUENCE {
///     tkt-vno   [0] INTEGER (5),
///     realm     [1] Realm,
///     sname     [2] PrincipalName,
///     enc-part  [3] EncryptedData -- EncTicketPart
/// }
/// ```
/// RFC 4120 5.3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(tag(explicit(application, 1)))]
pub struct Ticket {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub tkt_vno: i32,
    /// Realm of the server, which issued the ticket.
    #[rasn(tag(explicit(1)))]
    pub realm: Realm,
    /// Name of the server.
    #[rasn(tag(explicit(2)))]
    pub sname: PrincipalName,
    /// [`EncTicketPart`] under the server's key, key usage 2.
    #[rasn(tag(explicit(3)))]
    pub enc_part: EncryptedData,
}

/// ```text
/// EncTicketPart ::= [APPLICATION 3] SEQUENCE {
///     flags               [0] TicketFlags,
///     key                 [1] EncryptionKey,
///     crealm              [2] Realm,
///     cname               [3] PrincipalName,
///     transited           [4] TransitedEncoding,
///     authtime            [5] KerberosTime,
///     starttime           [6] KerberosTime OPTIONAL,
///     endtime             [7] KerberosTime,
///     renew-till          [8] KerberosTime OPTIONAL,
///     caddr               [9] HostAddresses OPTIONAL,
///     authorization-data  [10] AuthorizationData OPTIONAL
/// }
/// ```
/// RFC 4120 5.3.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
#[rasn(tag(explicit(application, 3)))]
pub struct EncTicketPart {
    /// What the ticket may do and how it came about.
    #[rasn(tag(explicit(0)))]
    pub flags: TicketFlags,
    /// Session key.
    #[rasn(tag(explicit(1)))]
    pub key: EncryptionKey,
    /// Realm of the client.
    #[rasn(tag(explicit(2)))]
    pub crealm: Realm,
    /// Name of the client.
    #[rasn(tag(explicit(3)))]
    pub cname: PrincipalName,
    /// Realms between the client's and the server's.
    #[rasn(tag(explicit(4)))]
    pub transited: TransitedEncoding,
    /// When the client first authenticated.
    #[rasn(tag(explicit(5)))]
    pub authtime: KerberosTime,
    /// Valid from; absent means from `authtime`.
    #[rasn(tag(explicit(6)))]
    pub starttime: Option<KerberosTime>,
    /// Valid until.
    #[rasn(tag(explicit(7)))]
    pub endtime: KerberosTime,
    /// Renewable until.
    #[rasn(tag(explicit(8)))]
    pub renew_till: Option<KerberosTime>,
    /// Addresses of the client; absent means any.
    #[rasn(tag(explicit(9)))]
    pub caddr: Option<HostAddresses>,
    /// Restrictions and the PAC.
    #[rasn(tag(explicit(10)))]
    pub authorization_data: Option<AuthorizationData>,
}

/// ```text
/// TransitedEncoding ::= SEQUENCE {
///     tr-type   [0] Int32,
///     contents  [1] OCTET STRING
/// }
/// ```
/// RFC 4120 5.3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct TransitedEncoding {
    /// 1 is DOMAIN-X500-COMPRESS (RFC 4120 3.3.3.2).
    #[rasn(tag(explicit(0)))]
    pub tr_type: i32,
    /// The realms, encoded as the type says.
    #[rasn(tag(explicit(1)))]
    pub contents: OctetString,
}

impl Message for Ticket {
    const NAME: &'static str = "Ticket";

    fn check(&self) -> Result<(), DecodeError> {
        check_version(Self::NAME, self.tkt_vno)
    }
}

message! {
    EncTicketPart = "EncTicketPart",
    TransitedEncoding = "TransitedEncoding",
}

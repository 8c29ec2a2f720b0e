//! Messages of an established session: KRB-SAFE, KRB-PRIV, KRB-CRED (RFC 4120 5.6 to 5.8).

use rasn::prelude::*;

use crate::Message;
use crate::basic::{
    Checksum, EncryptedData, EncryptionKey, HostAddress, HostAddresses, PrincipalName,
};
use crate::error::DecodeError;
use crate::flags::TicketFlags;
use crate::message::{PVNO, check_header, check_microseconds, message};
use crate::primitive::{KerberosTime, Realm, SecretOctets, UInt32};
use crate::raw::Raw;
use crate::ticket::Ticket;

/// ```text
/// KRB-SAFE ::= [APPLICATION 20] SEQUENCE {
///     pvno       [0] INTEGER (5),
///     msg-type   [1] INTEGER (20),
///     safe-body  [2] KRB-SAFE-BODY,
///     cksum      [3] Checksum
/// }
/// ```
/// RFC 4120 5.6.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(tag(explicit(application, 20)))]
pub struct KrbSafe {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub pvno: i32,
    /// 20.
    #[rasn(tag(explicit(1)))]
    pub msg_type: i32,
    /// The data, kept as received: the checksum goes over it.
    #[rasn(tag(explicit(2)))]
    pub safe_body: Raw<KrbSafeBody>,
    /// Over `safe-body`, key usage 15.
    #[rasn(tag(explicit(3)))]
    pub cksum: Checksum,
}

/// ```text
/// KRB-SAFE-BODY ::= SEQUENCE {
///     user-data   [0] OCTET STRING,
///     timestamp   [1] KerberosTime OPTIONAL,
///     usec        [2] Microseconds OPTIONAL,
///     seq-number  [3] UInt32 OPTIONAL,
///     s-address   [4] HostAddress,
///     r-address   [5] HostAddress OPTIONAL
/// }
/// ```
/// RFC 4120 5.6.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KrbSafeBody {
    /// The application's data.
    #[rasn(tag(explicit(0)))]
    pub user_data: OctetString,
    /// The sender's clock.
    #[rasn(tag(explicit(1)))]
    pub timestamp: Option<KerberosTime>,
    /// Microseconds of `timestamp`.
    #[rasn(tag(explicit(2)))]
    pub usec: Option<i32>,
    /// Sequence number.
    #[rasn(tag(explicit(3)))]
    pub seq_number: Option<UInt32>,
    /// Address of the sender.
    #[rasn(tag(explicit(4)))]
    pub s_address: HostAddress,
    /// Address of the receiver.
    #[rasn(tag(explicit(5)))]
    pub r_address: Option<HostAddress>,
}

/// ```text
/// KRB-PRIV ::= [APPLICATION 21] SEQUENCE {
///     pvno      [0] INTEGER (5),
///     msg-type  [1] INTEGER (21),
///     enc-part  [3] EncryptedData -- EncKrbPrivPart
/// }
/// ```
/// RFC 4120 5.7.1. There is no `[2]`.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(tag(explicit(application, 21)))]
pub struct KrbPriv {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub pvno: i32,
    /// 21.
    #[rasn(tag(explicit(1)))]
    pub msg_type: i32,
    /// [`EncKrbPrivPart`], key usage 13.
    #[rasn(tag(explicit(3)))]
    pub enc_part: EncryptedData,
}

/// ```text
/// EncKrbPrivPart ::= [APPLICATION 28] SEQUENCE {
///     user-data   [0] OCTET STRING,
///     timestamp   [1] KerberosTime OPTIONAL,
///     usec        [2] Microseconds OPTIONAL,
///     seq-number  [3] UInt32 OPTIONAL,
///     s-address   [4] HostAddress,
///     r-address   [5] HostAddress OPTIONAL
/// }
/// ```
/// RFC 4120 5.7.1.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
#[rasn(tag(explicit(application, 28)))]
pub struct EncKrbPrivPart {
    /// The application's data.
    #[rasn(tag(explicit(0)))]
    pub user_data: SecretOctets,
    /// The sender's clock.
    #[rasn(tag(explicit(1)))]
    pub timestamp: Option<KerberosTime>,
    /// Microseconds of `timestamp`.
    #[rasn(tag(explicit(2)))]
    pub usec: Option<i32>,
    /// Sequence number.
    #[rasn(tag(explicit(3)))]
    pub seq_number: Option<UInt32>,
    /// Address of the sender.
    #[rasn(tag(explicit(4)))]
    pub s_address: HostAddress,
    /// Address of the receiver.
    #[rasn(tag(explicit(5)))]
    pub r_address: Option<HostAddress>,
}

/// ```text
/// KRB-CRED ::= [APPLICATION 22] SEQUENCE {
///     pvno      [0] INTEGER (5),
///     msg-type  [1] INTEGER (22),
///     tickets   [2] SEQUENCE OF Ticket,
///     enc-part  [3] EncryptedData -- EncKrbCredPart
/// }
/// ```
/// RFC 4120 5.8.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(tag(explicit(application, 22)))]
pub struct KrbCred {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub pvno: i32,
    /// 22.
    #[rasn(tag(explicit(1)))]
    pub msg_type: i32,
    /// The tickets as received, in the order of `ticket-info`.
    #[rasn(tag(explicit(2)))]
    pub tickets: Vec<Raw<Ticket>>,
    /// [`EncKrbCredPart`], key usage 14.
    #[rasn(tag(explicit(3)))]
    pub enc_part: EncryptedData,
}

/// ```text
/// EncKrbCredPart ::= [APPLICATION 29] SEQUENCE {
///     ticket-info  [0] SEQUENCE OF KrbCredInfo,
///     nonce        [1] UInt32 OPTIONAL,
///     timestamp    [2] KerberosTime OPTIONAL,
///     usec         [3] Microseconds OPTIONAL,
///     s-address    [4] HostAddress OPTIONAL,
///     r-address    [5] HostAddress OPTIONAL
/// }
/// ```
/// RFC 4120 5.8.1.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
#[rasn(tag(explicit(application, 29)))]
pub struct EncKrbCredPart {
    /// One for each ticket.
    #[rasn(tag(explicit(0)))]
    pub ticket_info: Vec<KrbCredInfo>,
    /// That of the request, if one asked for it.
    #[rasn(tag(explicit(1)))]
    pub nonce: Option<UInt32>,
    /// The sender's clock.
    #[rasn(tag(explicit(2)))]
    pub timestamp: Option<KerberosTime>,
    /// Microseconds of `timestamp`.
    #[rasn(tag(explicit(3)))]
    pub usec: Option<i32>,
    /// Address of the sender.
    #[rasn(tag(explicit(4)))]
    pub s_address: Option<HostAddress>,
    /// Address of the receiver.
    #[rasn(tag(explicit(5)))]
    pub r_address: Option<HostAddress>,
}

/// ```text
/// KrbCredInfo ::= SEQUENCE {
///     key         [0] EncryptionKey,
///     prealm      [1] Realm OPTIONAL,
///     pname       [2] PrincipalName OPTIONAL,
///     flags       [3] TicketFlags OPTIONAL,
///     authtime    [4] KerberosTime OPTIONAL,
///     starttime   [5] KerberosTime OPTIONAL,
///     endtime     [6] KerberosTime OPTIONAL,
///     renew-till  [7] KerberosTime OPTIONAL,
///     srealm      [8] Realm OPTIONAL,
///     sname       [9] PrincipalName OPTIONAL,
///     caddr       [10] HostAddresses OPTIONAL
/// }
/// ```
/// RFC 4120 5.8.1.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
pub struct KrbCredInfo {
    /// Session key.
    #[rasn(tag(explicit(0)))]
    pub key: EncryptionKey,
    /// Realm of the client.
    #[rasn(tag(explicit(1)))]
    pub prealm: Option<Realm>,
    /// Name of the client.
    #[rasn(tag(explicit(2)))]
    pub pname: Option<PrincipalName>,
    /// Those of the ticket.
    #[rasn(tag(explicit(3)))]
    pub flags: Option<TicketFlags>,
    /// When the client first authenticated.
    #[rasn(tag(explicit(4)))]
    pub authtime: Option<KerberosTime>,
    /// Valid from.
    #[rasn(tag(explicit(5)))]
    pub starttime: Option<KerberosTime>,
    /// Valid until.
    #[rasn(tag(explicit(6)))]
    pub endtime: Option<KerberosTime>,
    /// Renewable until.
    #[rasn(tag(explicit(7)))]
    pub renew_till: Option<KerberosTime>,
    /// Realm of the server.
    #[rasn(tag(explicit(8)))]
    pub srealm: Option<Realm>,
    /// Name of the server.
    #[rasn(tag(explicit(9)))]
    pub sname: Option<PrincipalName>,
    /// Addresses that the ticket is good for.
    #[rasn(tag(explicit(10)))]
    pub caddr: Option<HostAddresses>,
}

impl KrbSafe {
    /// A KRB-SAFE with these parts.
    #[must_use]
    pub fn new(safe_body: Raw<KrbSafeBody>, cksum: Checksum) -> Self {
        Self {
            pvno: PVNO,
            msg_type: 20,
            safe_body,
            cksum,
        }
    }
}

impl KrbPriv {
    /// A KRB-PRIV with this encrypted part.
    #[must_use]
    pub fn new(enc_part: EncryptedData) -> Self {
        Self {
            pvno: PVNO,
            msg_type: 21,
            enc_part,
        }
    }
}

impl KrbCred {
    /// A KRB-CRED with these parts.
    #[must_use]
    pub fn new(tickets: Vec<Raw<Ticket>>, enc_part: EncryptedData) -> Self {
        Self {
            pvno: PVNO,
            msg_type: 22,
            tickets,
            enc_part,
        }
    }
}

impl Message for KrbSafe {
    const NAME: &'static str = "KRB-SAFE";

    fn check(&self) -> Result<(), DecodeError> {
        check_header(Self::NAME, self.pvno, self.msg_type, 20)
    }
}

impl Message for KrbSafeBody {
    const NAME: &'static str = "KRB-SAFE-BODY";

    fn check(&self) -> Result<(), DecodeError> {
        check_microseconds(Self::NAME, "usec", self.usec)
    }
}

impl Message for KrbPriv {
    const NAME: &'static str = "KRB-PRIV";

    fn check(&self) -> Result<(), DecodeError> {
        check_header(Self::NAME, self.pvno, self.msg_type, 21)
    }
}

impl Message for EncKrbPrivPart {
    const NAME: &'static str = "EncKrbPrivPart";

    fn check(&self) -> Result<(), DecodeError> {
        check_microseconds(Self::NAME, "usec", self.usec)
    }
}

impl Message for KrbCred {
    const NAME: &'static str = "KRB-CRED";

    fn check(&self) -> Result<(), DecodeError> {
        check_header(Self::NAME, self.pvno, self.msg_type, 22)
    }
}

impl Message for EncKrbCredPart {
    const NAME: &'static str = "EncKrbCredPart";

    fn check(&self) -> Result<(), DecodeError> {
        check_microseconds(Self::NAME, "usec", self.usec)
    }
}

message! {
    KrbCredInfo = "KrbCredInfo",
}

//! Requests to a KDC and its replies (RFC 4120 5.4).

use core::ops::Deref;

use rasn::prelude::*;

use crate::Message;
use crate::basic::{
    EncryptedData, EncryptionKey, HostAddresses, MethodData, PaData, PrincipalName,
};
use crate::error::DecodeError;
use crate::flags::{KdcOptions, TicketFlags};
use crate::message::{PVNO, check_header, message};
use crate::primitive::{KerberosTime, Realm, UInt32};
use crate::raw::Raw;
use crate::ticket::Ticket;

/// ```text
/// KDC-REQ ::= SEQUENCE {
///     pvno      [1] INTEGER (5),
///     msg-type  [2] INTEGER (10 -- AS -- | 12 -- TGS --),
///     padata    [3] SEQUENCE OF PA-DATA OPTIONAL,
///     req-body  [4] KDC-REQ-BODY
/// }
/// ```
/// RFC 4120 5.4.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KdcReq {
    /// 5.
    #[rasn(tag(explicit(1)))]
    pub pvno: i32,
    /// 10 or 12.
    #[rasn(tag(explicit(2)))]
    pub msg_type: i32,
    /// Pre-authentication data.
    #[rasn(tag(explicit(3)))]
    pub padata: Option<Vec<PaData>>,
    /// What is asked for, kept as received: checksums go over these bytes.
    #[rasn(tag(explicit(4)))]
    pub req_body: Raw<KdcReqBody>,
}

/// ```text
/// KDC-REQ-BODY ::= SEQUENCE {
///     kdc-options             [0] KDCOptions,
///     cname                   [1] PrincipalName OPTIONAL,
///     realm                   [2] Realm,
///     sname                   [3] PrincipalName OPTIONAL,
///     from                    [4] KerberosTime OPTIONAL,
///     till                    [5] KerberosTime,
///     rtime                   [6] KerberosTime OPTIONAL,
///     nonce                   [7] UInt32,
///     etype                   [8] SEQUENCE OF Int32,
///     addresses               [9] HostAddresses OPTIONAL,
///     enc-authorization-data  [10] EncryptedData OPTIONAL,
///     additional-tickets      [11] SEQUENCE OF Ticket OPTIONAL
/// }
/// ```
/// RFC 4120 5.4.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KdcReqBody {
    /// What the ticket shall be able to do.
    #[rasn(tag(explicit(0)))]
    pub kdc_options: KdcOptions,
    /// Client, in an AS-REQ only.
    #[rasn(tag(explicit(1)))]
    pub cname: Option<PrincipalName>,
    /// Realm of the server; in an AS-REQ also the client's.
    #[rasn(tag(explicit(2)))]
    pub realm: Realm,
    /// Server.
    #[rasn(tag(explicit(3)))]
    pub sname: Option<PrincipalName>,
    /// Valid from, for a postdated ticket.
    #[rasn(tag(explicit(4)))]
    pub from: Option<KerberosTime>,
    /// Valid until; 19700101000000Z asks for the longest.
    #[rasn(tag(explicit(5)))]
    pub till: KerberosTime,
    /// Renewable until.
    #[rasn(tag(explicit(6)))]
    pub rtime: Option<KerberosTime>,
    /// Comes back in the encrypted part of the reply.
    #[rasn(tag(explicit(7)))]
    pub nonce: UInt32,
    /// Encryption types that the client takes, preferred first.
    #[rasn(tag(explicit(8)))]
    pub etype: Vec<i32>,
    /// Addresses that the ticket shall be good for.
    #[rasn(tag(explicit(9)))]
    pub addresses: Option<HostAddresses>,
    /// Authorization data for the ticket, key usage 4 or 5.
    #[rasn(tag(explicit(10)))]
    pub enc_authorization_data: Option<EncryptedData>,
    /// User-to-user or evidence tickets.
    #[rasn(tag(explicit(11)))]
    pub additional_tickets: Option<Vec<Raw<Ticket>>>,
}

/// ```text
/// KDC-REP ::= SEQUENCE {
///     pvno      [0] INTEGER (5),
///     msg-type  [1] INTEGER (11 -- AS -- | 13 -- TGS --),
///     padata    [2] SEQUENCE OF PA-DATA OPTIONAL,
///     crealm    [3] Realm,
///     cname     [4] PrincipalName,
///     ticket    [5] Ticket,
///     enc-part  [6] EncryptedData
/// }
/// ```
/// RFC 4120 5.4.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KdcRep {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub pvno: i32,
    /// 11 or 13.
    #[rasn(tag(explicit(1)))]
    pub msg_type: i32,
    /// Pre-authentication data.
    #[rasn(tag(explicit(2)))]
    pub padata: Option<Vec<PaData>>,
    /// Realm of the client.
    #[rasn(tag(explicit(3)))]
    pub crealm: Realm,
    /// Name of the client.
    #[rasn(tag(explicit(4)))]
    pub cname: PrincipalName,
    /// The ticket as received.
    #[rasn(tag(explicit(5)))]
    pub ticket: Raw<Ticket>,
    /// [`EncKdcRepPart`], key usage 3, 8 or 9.
    #[rasn(tag(explicit(6)))]
    pub enc_part: EncryptedData,
}

/// ```text
/// EncKDCRepPart ::= SEQUENCE {
///     key                [0] EncryptionKey,
///     last-req           [1] LastReq,
///     nonce              [2] UInt32,
///     key-expiration     [3] KerberosTime OPTIONAL,
///     flags              [4] TicketFlags,
///     authtime           [5] KerberosTime,
///     starttime          [6] KerberosTime OPTIONAL,
///     endtime            [7] KerberosTime,
///     renew-till         [8] KerberosTime OPTIONAL,
///     srealm             [9] Realm,
///     sname              [10] PrincipalName,
///     caddr              [11] HostAddresses OPTIONAL,
///     encrypted-pa-data  [12] METHOD-DATA OPTIONAL
/// }
/// ```
/// RFC 4120 5.4.2; `encrypted-pa-data` RFC 6806 11.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
pub struct EncKdcRepPart {
    /// Session key.
    #[rasn(tag(explicit(0)))]
    pub key: EncryptionKey,
    /// When the client was last seen, and such.
    #[rasn(tag(explicit(1)))]
    pub last_req: LastReq,
    /// That of the request.
    #[rasn(tag(explicit(2)))]
    pub nonce: UInt32,
    /// When the client's key ends.
    #[rasn(tag(explicit(3)))]
    pub key_expiration: Option<KerberosTime>,
    /// Those of the ticket.
    #[rasn(tag(explicit(4)))]
    pub flags: TicketFlags,
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
    /// Realm of the server.
    #[rasn(tag(explicit(9)))]
    pub srealm: Realm,
    /// Name of the server.
    #[rasn(tag(explicit(10)))]
    pub sname: PrincipalName,
    /// Addresses that the ticket is good for.
    #[rasn(tag(explicit(11)))]
    pub caddr: Option<HostAddresses>,
    /// Pre-authentication data that is protected.
    #[rasn(tag(explicit(12)))]
    pub encrypted_pa_data: Option<MethodData>,
}

/// ```text
/// LastReq entry ::= SEQUENCE {
///     lr-type   [0] Int32,
///     lr-value  [1] KerberosTime
/// }
/// ```
/// RFC 4120 5.4.2: a member of [`LastReq`].
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct LastReqEntry {
    /// What the time says; a negative number: of this server alone.
    #[rasn(tag(explicit(0)))]
    pub lr_type: i32,
    /// The time.
    #[rasn(tag(explicit(1)))]
    pub lr_value: KerberosTime,
}

/// `LastReq ::= SEQUENCE OF SEQUENCE { lr-type, lr-value }` (RFC 4120 5.4.2).
pub type LastReq = Vec<LastReqEntry>;

macro_rules! application {
    ($(#[$doc:meta])* $name:ident($inner:ident), $tag:literal) => {
        $(#[$doc])*
        #[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
        #[rasn(delegate, tag(explicit(application, $tag)))]
        pub struct $name(pub $inner);

        impl Deref for $name {
            type Target = $inner;

            fn deref(&self) -> &$inner {
                &self.0
            }
        }
    };
}

application! {
    /// `AS-REQ ::= [APPLICATION 10] KDC-REQ` (RFC 4120 5.4.1).
    AsReq(KdcReq), 10
}

application! {
    /// `TGS-REQ ::= [APPLICATION 12] KDC-REQ` (RFC 4120 5.4.1).
    TgsReq(KdcReq), 12
}

application! {
    /// `AS-REP ::= [APPLICATION 11] KDC-REP` (RFC 4120 5.4.2).
    AsRep(KdcRep), 11
}

application! {
    /// `TGS-REP ::= [APPLICATION 13] KDC-REP` (RFC 4120 5.4.2).
    TgsRep(KdcRep), 13
}

/// `EncASRepPart ::= [APPLICATION 25] EncKDCRepPart` (RFC 4120 5.4.2).
#[derive(AsnType, Decode, Encode, Clone, Debug)]
#[rasn(delegate, tag(explicit(application, 25)))]
pub struct EncAsRepPart(pub EncKdcRepPart);

/// `EncTGSRepPart ::= [APPLICATION 26] EncKDCRepPart` (RFC 4120 5.4.2).
#[derive(AsnType, Decode, Encode, Clone, Debug)]
#[rasn(delegate, tag(explicit(application, 26)))]
pub struct EncTgsRepPart(pub EncKdcRepPart);

impl AsReq {
    /// An AS-REQ with these parts.
    #[must_use]
    pub fn new(padata: Option<Vec<PaData>>, req_body: Raw<KdcReqBody>) -> Self {
        Self(KdcReq {
            pvno: PVNO,
            msg_type: 10,
            padata,
            req_body,
        })
    }
}

impl TgsReq {
    /// A TGS-REQ with these parts.
    #[must_use]
    pub fn new(padata: Option<Vec<PaData>>, req_body: Raw<KdcReqBody>) -> Self {
        Self(KdcReq {
            pvno: PVNO,
            msg_type: 12,
            padata,
            req_body,
        })
    }
}

/// Decodes the decrypted part of an AS-REP or TGS-REP.
///
/// Deployed KDCs put the tag of an EncTGSRepPart into an AS-REP, and RFC 4120 5.4.2 lets a client take either.
///
/// # Errors
/// As [`Message::from_der`].
pub fn decode_enc_kdc_rep_part(der: &[u8]) -> Result<EncKdcRepPart, DecodeError> {
    const ENC_AS_REP_PART: u8 = 0x60 | 25;
    if der.first() == Some(&ENC_AS_REP_PART) {
        EncAsRepPart::from_der(der).map(|part| part.0)
    } else {
        EncTgsRepPart::from_der(der).map(|part| part.0)
    }
}

macro_rules! checked_header {
    ($($type:ty = $name:literal, $msg_type:literal);+ $(;)?) => {
        $(impl Message for $type {
            const NAME: &'static str = $name;

            fn check(&self) -> Result<(), DecodeError> {
                check_header(Self::NAME, self.pvno, self.msg_type, $msg_type)
            }
        })+
    };
}

checked_header! {
    AsReq = "AS-REQ", 10;
    AsRep = "AS-REP", 11;
    TgsReq = "TGS-REQ", 12;
    TgsRep = "TGS-REP", 13;
}

message! {
    KdcReqBody = "KDC-REQ-BODY",
    EncAsRepPart = "EncASRepPart",
    EncTgsRepPart = "EncTGSRepPart",
}

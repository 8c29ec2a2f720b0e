//! KRB-ERROR and what its `e-data` holds (RFC 4120 5.9.1).

use rasn::prelude::*;

use crate::Message;
use crate::basic::PrincipalName;
use crate::error::DecodeError;
use crate::message::{check_header, check_microseconds, message};
use crate::primitive::{KerberosString, KerberosTime, Realm};

/// ```text
/// KRB-ERROR ::= [APPLICATION 30] SEQUENCE {
///     pvno        [0] INTEGER (5),
///     msg-type    [1] INTEGER (30),
///     ctime       [2] KerberosTime OPTIONAL,
///     cusec       [3] Microseconds OPTIONAL,
///     stime       [4] KerberosTime,
///     susec       [5] Microseconds,
///     error-code  [6] Int32,
///     crealm      [7] Realm OPTIONAL,
///     cname       [8] PrincipalName OPTIONAL,
///     realm       [9] Realm -- service realm,
///     sname       [10] PrincipalName -- service name,
///     e-text      [11] KerberosString OPTIONAL,
///     e-data      [12] OCTET STRING OPTIONAL
/// }
/// ```
/// RFC 4120 5.9.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(tag(explicit(application, 30)))]
pub struct KrbError {
    /// 5.
    #[rasn(tag(explicit(0)))]
    pub pvno: i32,
    /// 30.
    #[rasn(tag(explicit(1)))]
    pub msg_type: i32,
    /// The client's clock, from the request.
    #[rasn(tag(explicit(2)))]
    pub ctime: Option<KerberosTime>,
    /// Microseconds of `ctime`.
    #[rasn(tag(explicit(3)))]
    pub cusec: Option<i32>,
    /// The server's clock.
    #[rasn(tag(explicit(4)))]
    pub stime: KerberosTime,
    /// Microseconds of `stime`.
    #[rasn(tag(explicit(5)))]
    pub susec: i32,
    /// A number of [`crate::error_code`].
    #[rasn(tag(explicit(6)))]
    pub error_code: i32,
    /// Realm of the client.
    #[rasn(tag(explicit(7)))]
    pub crealm: Option<Realm>,
    /// Name of the client.
    #[rasn(tag(explicit(8)))]
    pub cname: Option<PrincipalName>,
    /// Realm of the server.
    #[rasn(tag(explicit(9)))]
    pub realm: Realm,
    /// Name of the server.
    #[rasn(tag(explicit(10)))]
    pub sname: PrincipalName,
    /// Text for people; not protected.
    #[rasn(tag(explicit(11)))]
    pub e_text: Option<KerberosString>,
    /// More, by the code: METHOD-DATA, TYPED-DATA, KERB-ERROR-DATA.
    #[rasn(tag(explicit(12)))]
    pub e_data: Option<OctetString>,
}

/// ```text
/// TYPED-DATA element ::= SEQUENCE {
///     data-type   [0] Int32,
///     data-value  [1] OCTET STRING OPTIONAL
/// }
/// ```
/// RFC 4120 5.9.1: a member of [`TypedData`].
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct TypedDataElement {
    /// Type of the data.
    #[rasn(tag(explicit(0)))]
    pub data_type: i32,
    /// The data.
    #[rasn(tag(explicit(1)))]
    pub data_value: Option<OctetString>,
}

/// ```text
/// KERB-ERROR-DATA ::= SEQUENCE {
///     data-type   [1] INTEGER,
///     data-value  [2] OCTET STRING OPTIONAL
/// }
/// ```
/// MS-KILE 2.2.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KerbErrorData {
    /// 3 is KERB_ERR_TYPE_EXTENDED, 2 KERB_AP_ERR_TYPE_SKEW_RECOVERY.
    #[rasn(tag(explicit(1)))]
    pub data_type: i32,
    /// The data.
    #[rasn(tag(explicit(2)))]
    pub data_value: Option<OctetString>,
}

/// `TYPED-DATA ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { data-type, data-value }` (RFC 4120 5.9.1).
pub type TypedData = Vec<TypedDataElement>;

impl Message for KrbError {
    const NAME: &'static str = "KRB-ERROR";

    fn check(&self) -> Result<(), DecodeError> {
        check_header(Self::NAME, self.pvno, self.msg_type, 30)?;
        check_microseconds(Self::NAME, "cusec", self.cusec)?;
        check_microseconds(Self::NAME, "susec", Some(self.susec))
    }
}

impl Message for TypedData {
    const NAME: &'static str = "TYPED-DATA";

    fn check(&self) -> Result<(), DecodeError> {
        // RFC 4120 5.9.1: SIZE (1..MAX).
        if self.is_empty() {
            return Err(DecodeError::EmptySequence {
                type_name: Self::NAME,
                field: "TYPED-DATA",
            });
        }
        Ok(())
    }
}

message! {
    KerbErrorData = "KERB-ERROR-DATA",
}

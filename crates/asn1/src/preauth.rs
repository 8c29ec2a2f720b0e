//! What pre-authentication data holds (RFC 4120 5.2.7; MS-KILE).

use rasn::prelude::*;

use crate::Message;
use crate::basic::EncryptionKey;
use crate::error::DecodeError;
use crate::flags::PacOptions;
use crate::message::{check_microseconds, message};
use crate::primitive::{KerberosString, KerberosTime};

/// ```text
/// PA-ENC-TS-ENC ::= SEQUENCE {
///     patimestamp  [0] KerberosTime,
///     pausec       [1] Microseconds OPTIONAL
/// }
/// ```
/// RFC 4120 5.2.7.2. Encrypted with key usage 1 in PA-ENC-TIMESTAMP.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaEncTsEnc {
    /// The client's clock.
    #[rasn(tag(explicit(0)))]
    pub patimestamp: KerberosTime,
    /// Microseconds of it.
    #[rasn(tag(explicit(1)))]
    pub pausec: Option<i32>,
}

/// ```text
/// ETYPE-INFO-ENTRY ::= SEQUENCE {
///     etype  [0] Int32,
///     salt   [1] OCTET STRING OPTIONAL
/// }
/// ```
/// RFC 4120 5.2.7.4.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct EtypeInfoEntry {
    /// Encryption type.
    #[rasn(tag(explicit(0)))]
    pub etype: i32,
    /// Salt; absent means the default.
    #[rasn(tag(explicit(1)))]
    pub salt: Option<OctetString>,
}

/// ```text
/// ETYPE-INFO2-ENTRY ::= SEQUENCE {
///     etype      [0] Int32,
///     salt       [1] KerberosString OPTIONAL,
///     s2kparams  [2] OCTET STRING OPTIONAL
/// }
/// ```
/// RFC 4120 5.2.7.5.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct EtypeInfo2Entry {
    /// Encryption type.
    #[rasn(tag(explicit(0)))]
    pub etype: i32,
    /// Salt; absent means the default.
    #[rasn(tag(explicit(1)))]
    pub salt: Option<KerberosString>,
    /// Parameters of string-to-key.
    #[rasn(tag(explicit(2)))]
    pub s2kparams: Option<OctetString>,
}

/// ```text
/// KERB-PA-PAC-REQUEST ::= SEQUENCE {
///     include-pac  [0] BOOLEAN
/// }
/// ```
/// MS-KILE 2.2.3.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct KerbPaPacRequest {
    /// Whether the ticket shall have a PAC.
    #[rasn(tag(explicit(0)))]
    pub include_pac: bool,
}

/// ```text
/// PA-PAC-OPTIONS ::= SEQUENCE {
///     flags  [0] KerberosFlags
/// }
/// ```
/// MS-KILE 2.2.10.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaPacOptions {
    /// What the client can do.
    #[rasn(tag(explicit(0)))]
    pub flags: PacOptions,
}

/// `ETYPE-INFO ::= SEQUENCE OF ETYPE-INFO-ENTRY` (RFC 4120 5.2.7.4).
pub type EtypeInfo = Vec<EtypeInfoEntry>;

/// `ETYPE-INFO2 ::= SEQUENCE SIZE (1..MAX) OF ETYPE-INFO2-ENTRY` (RFC 4120 5.2.7.5).
pub type EtypeInfo2 = Vec<EtypeInfo2Entry>;

/// `KERB-KEY-LIST-REP ::= SEQUENCE OF EncryptionKey` (MS-KILE 2.2.12). KERB-KEY-LIST-REQ is an
/// [`crate::EtypeList`].
pub type KerbKeyListRep = Vec<EncryptionKey>;

impl Message for PaEncTsEnc {
    const NAME: &'static str = "PA-ENC-TS-ENC";

    fn check(&self) -> Result<(), DecodeError> {
        check_microseconds(Self::NAME, "pausec", self.pausec)
    }
}

impl Message for EtypeInfo2 {
    const NAME: &'static str = "ETYPE-INFO2";

    fn check(&self) -> Result<(), DecodeError> {
        // RFC 4120 5.2.7.5: SIZE (1..MAX).
        if self.is_empty() {
            return Err(DecodeError::EmptySequence {
                type_name: Self::NAME,
                field: "ETYPE-INFO2",
            });
        }
        Ok(())
    }
}

message! {
    EtypeInfo = "ETYPE-INFO",
    KerbPaPacRequest = "KERB-PA-PAC-REQUEST",
    PaPacOptions = "PA-PAC-OPTIONS",
    KerbKeyListRep = "KERB-KEY-LIST-REP",
}

//! One-time passwords: RFC 6560, whose ASN.1 uses implicit tags, and the single-use mechanism before it
//! (draft-ietf-krb-wg-kerberos-sam, explicit tags).

use rasn::prelude::*;

use crate::basic::{Checksum, EncryptedData};
use crate::flags::{OtpFlags, SamFlags};
use crate::message::message;
use crate::primitive::{KerberosString, KerberosTime, SecretOctets, Utf8Bytes};

/// ```text
/// AlgorithmIdentifier ::= SEQUENCE {
///     algorithm   OBJECT IDENTIFIER,
///     parameters  ANY DEFINED BY algorithm OPTIONAL
/// }
/// ```
/// RFC 5280 4.1.1.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct AlgorithmIdentifier {
    /// Which algorithm.
    pub algorithm: ObjectIdentifier,
    /// Its parameters, as received.
    pub parameters: Option<Any>,
}

/// ```text
/// OTP-TOKENINFO ::= SEQUENCE {
///     flags             [0] OTPFlags,
///     otp-vendor        [1] UTF8String OPTIONAL,
///     otp-challenge     [2] OCTET STRING (SIZE (1..MAX)) OPTIONAL,
///     otp-length        [3] Int32 OPTIONAL,
///     otp-format        [4] OTPFormat OPTIONAL,
///     otp-tokenID       [5] OCTET STRING OPTIONAL,
///     otp-algID         [6] AnyURI OPTIONAL,
///     supportedHashAlg  [7] SEQUENCE OF AlgorithmIdentifier OPTIONAL,
///     iterationCount    [8] Int32 OPTIONAL,
///     ...
/// }
/// ```
/// RFC 6560 4.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct OtpTokenInfo {
    /// How the value is to be used.
    #[rasn(tag(0))]
    pub flags: OtpFlags,
    /// Who made the token.
    #[rasn(tag(1))]
    pub otp_vendor: Option<Utf8Bytes>,
    /// Challenge for the token.
    #[rasn(tag(2))]
    pub otp_challenge: Option<OctetString>,
    /// Length of the value.
    #[rasn(tag(3))]
    pub otp_length: Option<i32>,
    /// 0 decimal, 1 hexadecimal, 2 alphanumeric, 3 binary, 4 base64.
    #[rasn(tag(4))]
    pub otp_format: Option<i32>,
    /// Which token.
    #[rasn(tag(5))]
    pub otp_token_id: Option<OctetString>,
    /// Which algorithm, a URI.
    #[rasn(tag(6))]
    pub otp_alg_id: Option<Utf8Bytes>,
    /// Hash algorithms that may be used on the value.
    #[rasn(tag(7))]
    pub supported_hash_alg: Option<Vec<AlgorithmIdentifier>>,
    /// How often to hash.
    #[rasn(tag(8))]
    pub iteration_count: Option<i32>,
}

/// ```text
/// PA-OTP-CHALLENGE ::= SEQUENCE {
///     nonce          [0] OCTET STRING,
///     otp-service    [1] UTF8String OPTIONAL,
///     otp-tokenInfo  [2] SEQUENCE (SIZE (1..MAX)) OF OTP-TOKENINFO,
///     salt           [3] KerberosString OPTIONAL,
///     s2kparams      [4] OCTET STRING OPTIONAL,
///     ...
/// }
/// ```
/// RFC 6560 4.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaOtpChallenge {
    /// To be encrypted by the client.
    #[rasn(tag(0))]
    pub nonce: OctetString,
    /// Which service.
    #[rasn(tag(1))]
    pub otp_service: Option<Utf8Bytes>,
    /// Tokens that may be used.
    #[rasn(tag(2))]
    pub otp_token_info: Vec<OtpTokenInfo>,
    /// Salt.
    #[rasn(tag(3))]
    pub salt: Option<KerberosString>,
    /// Parameters of string-to-key.
    #[rasn(tag(4))]
    pub s2kparams: Option<OctetString>,
}

/// ```text
/// PA-OTP-REQUEST ::= SEQUENCE {
///     flags           [0]  OTPFlags,
///     nonce           [1]  OCTET STRING OPTIONAL,
///     encData         [2]  EncryptedData,
///     hashAlg         [3]  AlgorithmIdentifier OPTIONAL,
///     iterationCount  [4]  Int32 OPTIONAL,
///     otp-value       [5]  OCTET STRING OPTIONAL,
///     otp-pin         [6]  UTF8String OPTIONAL,
///     otp-challenge   [7]  OCTET STRING (SIZE (1..MAX)) OPTIONAL,
///     otp-time        [8]  KerberosTime OPTIONAL,
///     otp-counter     [9]  OCTET STRING OPTIONAL,
///     otp-format      [10] OTPFormat OPTIONAL,
///     otp-tokenID     [11] OCTET STRING OPTIONAL,
///     otp-algID       [12] AnyURI OPTIONAL,
///     otp-vendor      [13] UTF8String OPTIONAL,
///     ...
/// }
/// ```
/// RFC 6560 4.2.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
pub struct PaOtpRequest {
    /// How the value was used.
    #[rasn(tag(0))]
    pub flags: OtpFlags,
    /// Nonce of the client.
    #[rasn(tag(1))]
    pub nonce: Option<OctetString>,
    /// Encrypted nonce or timestamp, key usage 45.
    #[rasn(tag(2))]
    pub enc_data: EncryptedData,
    /// Hash that was used on the value.
    #[rasn(tag(3))]
    pub hash_alg: Option<AlgorithmIdentifier>,
    /// How often.
    #[rasn(tag(4))]
    pub iteration_count: Option<i32>,
    /// The value.
    #[rasn(tag(5))]
    pub otp_value: Option<SecretOctets>,
    /// The PIN, UTF-8.
    #[rasn(tag(6))]
    pub otp_pin: Option<SecretOctets>,
    /// Challenge that was used.
    #[rasn(tag(7))]
    pub otp_challenge: Option<OctetString>,
    /// Time that was used.
    #[rasn(tag(8))]
    pub otp_time: Option<KerberosTime>,
    /// Counter that was used.
    #[rasn(tag(9))]
    pub otp_counter: Option<OctetString>,
    /// Format of the value.
    #[rasn(tag(10))]
    pub otp_format: Option<i32>,
    /// Which token.
    #[rasn(tag(11))]
    pub otp_token_id: Option<OctetString>,
    /// Which algorithm, a URI.
    #[rasn(tag(12))]
    pub otp_alg_id: Option<Utf8Bytes>,
    /// Who made the token.
    #[rasn(tag(13))]
    pub otp_vendor: Option<Utf8Bytes>,
}

/// ```text
/// PA-SAM-CHALLENGE-2 ::= SEQUENCE {
///     sam-body   [0] PA-SAM-CHALLENGE-2-BODY,
///     sam-cksum  [1] SEQUENCE (1..MAX) OF Checksum
/// }
/// ```
/// draft-ietf-krb-wg-kerberos-sam-03 4.1.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaSamChallenge2 {
    /// The challenge, as received: the checksums go over it.
    #[rasn(tag(explicit(0)))]
    pub sam_body: Any,
    /// Each under another key.
    #[rasn(tag(explicit(1)))]
    pub sam_cksum: Vec<Checksum>,
}

/// ```text
/// PA-SAM-RESPONSE-2 ::= SEQUENCE {
///     sam-type              [0] Int32,
///     sam-flags             [1] SAMFlags,
///     sam-track-id          [2] OCTET STRING OPTIONAL,
///     sam-enc-nonce-or-sad  [3] EncryptedData,
///     sam-nonce             [4] Int32
/// }
/// ```
/// draft-ietf-krb-wg-kerberos-sam-03 4.2.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
pub struct PaSamResponse2 {
    /// Which mechanism.
    #[rasn(tag(explicit(0)))]
    pub sam_type: i32,
    /// How the answer was made.
    #[rasn(tag(explicit(1)))]
    pub sam_flags: SamFlags,
    /// State of the KDC.
    #[rasn(tag(explicit(2)))]
    pub sam_track_id: Option<OctetString>,
    /// [`PaEncSamResponseEnc`].
    #[rasn(tag(explicit(3)))]
    pub sam_enc_nonce_or_sad: EncryptedData,
    /// That of the challenge.
    #[rasn(tag(explicit(4)))]
    pub sam_nonce: i32,
}

/// ```text
/// PA-ENC-SAM-RESPONSE-ENC ::= SEQUENCE {
///     sam-nonce  [0] Int32,
///     sam-sad    [1] OCTET STRING OPTIONAL
/// }
/// ```
/// draft-ietf-krb-wg-kerberos-sam-03 4.2; the password is an OCTET STRING in deployed encoders.
#[derive(AsnType, Decode, Encode, Clone, Debug)]
pub struct PaEncSamResponseEnc {
    /// That of the challenge.
    #[rasn(tag(explicit(0)))]
    pub sam_nonce: i32,
    /// The single-use password.
    #[rasn(tag(explicit(1)))]
    pub sam_sad: Option<SecretOctets>,
}

message! {
    PaSamChallenge2 = "PA-SAM-CHALLENGE-2",
    PaSamResponse2 = "PA-SAM-RESPONSE-2",
    PaEncSamResponseEnc = "PA-ENC-SAM-RESPONSE-ENC",
    AlgorithmIdentifier = "AlgorithmIdentifier",
    OtpTokenInfo = "OTP-TOKENINFO",
    PaOtpChallenge = "PA-OTP-CHALLENGE",
    PaOtpRequest = "PA-OTP-REQUEST",
}

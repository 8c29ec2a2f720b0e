//! Numbers of `padata-type` (RFC 4120 7.5.2 and the registry of IANA; MS-KILE, MS-SFU).

macro_rules! pa_types {
    ($($name:ident = $number:literal, $doc:literal;)+) => {
        $(#[doc = $doc] pub const $name: i32 = $number;)+

        /// The name of a number, for error texts and logs.
        #[must_use]
        pub const fn name(number: i32) -> Option<&'static str> {
            match number {
                $($number => Some(stringify!($name)),)+
                _ => None,
            }
        }
    };
}

pa_types! {
    PA_TGS_REQ = 1, "AP-REQ of a TGS-REQ (RFC 4120).";
    PA_ENC_TIMESTAMP = 2, "Encrypted timestamp (RFC 4120).";
    PA_PW_SALT = 3, "Salt, not encoded (RFC 4120).";
    PA_ETYPE_INFO = 11, "Encryption types and salts, old form (RFC 4120).";
    PA_SAM_CHALLENGE = 12, "Single-use authentication challenge.";
    PA_SAM_RESPONSE = 13, "Answer to it.";
    PA_PK_AS_REQ = 16, "PKINIT request (RFC 4556).";
    PA_PK_AS_REP = 17, "PKINIT reply (RFC 4556).";
    PA_ETYPE_INFO2 = 19, "Encryption types, salts, parameters (RFC 4120).";
    PA_SVR_REFERRAL_INFO = 20, "Referral, in a draft of RFC 6806.";
    PA_SAM_CHALLENGE_2 = 30, "Second form of the single-use challenge.";
    PA_SAM_RESPONSE_2 = 31, "Answer to it.";
    PA_PAC_REQUEST = 128, "Whether a PAC is wanted (MS-KILE).";
    PA_FOR_USER = 129, "Service for user (MS-SFU).";
    PA_S4U_X509_USER = 130, "Service for user by certificate (MS-SFU).";
    PA_AS_CHECKSUM = 132, "Checksum of the AS-REQ for PKINIT.";
    PA_FX_COOKIE = 133, "State of the KDC (RFC 6113).";
    PA_AUTHENTICATION_SET = 134, "Several mechanisms in turn (RFC 6113).";
    PA_AUTH_SET_SELECTED = 135, "The set that the client took (RFC 6113).";
    PA_FX_FAST = 136, "FAST (RFC 6113).";
    PA_FX_ERROR = 137, "KRB-ERROR inside FAST (RFC 6113).";
    PA_ENCRYPTED_CHALLENGE = 138, "Encrypted timestamp in FAST (RFC 6113).";
    PA_OTP_CHALLENGE = 141, "One-time password (RFC 6560).";
    PA_OTP_REQUEST = 142, "One-time password (RFC 6560).";
    PA_OTP_PIN_CHANGE = 144, "One-time password (RFC 6560).";
    PA_PKINIT_KX = 147, "Anonymous PKINIT (RFC 8062).";
    PA_REQ_ENC_PA_REP = 149, "Wish for protected pre-authentication data in the reply (RFC 6806).";
    PA_AS_FRESHNESS = 150, "Freshness token of PKINIT (RFC 8070).";
    PA_SPAKE = 151, "SPAKE (RFC 9588).";
    PA_KERB_KEY_LIST_REQ = 161, "Wish for keys (MS-KILE).";
    PA_KERB_KEY_LIST_REP = 162, "Keys (MS-KILE).";
    PA_SUPPORTED_ETYPES = 165, "Encryption types of the server, four bytes little-endian (MS-KILE).";
    PA_EXTENDED_ERROR = 166, "Extended error (MS-KILE).";
    PA_PAC_OPTIONS = 167, "What the client can do with PACs (MS-KILE).";
}

//! `KerberosFlags ::= BIT STRING (SIZE (32..MAX))` (RFC 4120 5.2.8): bit 0 is the most significant.
//!
//! Always 32 bits go out. Shorter strings, which old peers send, are filled up with zeros; bits beyond the
//! 32nd have no meaning to anyone and are dropped. Unknown bits are kept.

use bitflags::bitflags;
use rasn::types::{BitStr, BitString, Constraints, Identifier, Tag};
use rasn::{AsnType, Decode, Decoder, Encode, Encoder};

const fn bit(number: u32) -> u32 {
    1 << (31 - number)
}

fn to_word(bits: &BitStr) -> u32 {
    bits.iter().take(32).zip(0..32).fold(
        0,
        |word, (set, number)| if *set { word | bit(number) } else { word },
    )
}

macro_rules! kerberos_flags {
    ($($name:ident),+ $(,)?) => {
        $(
            impl AsnType for $name {
                const TAG: Tag = Tag::BIT_STRING;
            }

            impl Decode for $name {
                fn decode_with_tag_and_constraints<D: Decoder>(
                    decoder: &mut D,
                    tag: Tag,
                    constraints: &Constraints,
                ) -> Result<Self, D::Error> {
                    let bits: BitString = decoder.decode_bit_string(tag, constraints)?;
                    Ok(Self::from_bits_retain(to_word(&bits)))
                }
            }

            impl Encode for $name {
                fn encode_with_tag_and_constraints<'b, E: Encoder<'b>>(
                    &self,
                    encoder: &mut E,
                    tag: Tag,
                    constraints: &Constraints,
                    identifier: Identifier,
                ) -> Result<(), E::Error> {
                    let octets = self.bits().to_be_bytes();
                    encoder
                        .encode_bit_string(tag, constraints, BitStr::from_slice(&octets), identifier)
                        .map(drop)
                }
            }
        )+
    };
}

kerberos_flags!(
    TicketFlags,
    KdcOptions,
    ApOptions,
    FastOptions,
    PacOptions,
    S4uOptions,
    OtpFlags,
    SamFlags
);

bitflags! {
    /// `TicketFlags ::= KerberosFlags` (RFC 4120 5.3; RFC 6112 for anonymous, RFC 6806 for enc-pa-rep).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct TicketFlags: u32 {
        /// `reserved(0)`
        const RESERVED = bit(0);
        /// `forwardable(1)`
        const FORWARDABLE = bit(1);
        /// `forwarded(2)`
        const FORWARDED = bit(2);
        /// `proxiable(3)`
        const PROXIABLE = bit(3);
        /// `proxy(4)`
        const PROXY = bit(4);
        /// `may-postdate(5)`
        const MAY_POSTDATE = bit(5);
        /// `postdated(6)`
        const POSTDATED = bit(6);
        /// `invalid(7)`
        const INVALID = bit(7);
        /// `renewable(8)`
        const RENEWABLE = bit(8);
        /// `initial(9)`
        const INITIAL = bit(9);
        /// `pre-authent(10)`
        const PRE_AUTHENT = bit(10);
        /// `hw-authent(11)`
        const HW_AUTHENT = bit(11);
        /// `transited-policy-checked(12)`
        const TRANSITED_POLICY_CHECKED = bit(12);
        /// `ok-as-delegate(13)`
        const OK_AS_DELEGATE = bit(13);
        /// `enc-pa-rep(15)`
        const ENC_PA_REP = bit(15);
        /// `anonymous(16)`
        const ANONYMOUS = bit(16);
    }
}

bitflags! {
    /// `KDCOptions ::= KerberosFlags` (RFC 4120 5.4.1; RFC 6806 for canonicalize, RFC 6112 for
    /// request-anonymous, MS-SFU 2.2.3 for cname-in-addl-tkt).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct KdcOptions: u32 {
        /// `reserved(0)`
        const RESERVED = bit(0);
        /// `forwardable(1)`
        const FORWARDABLE = bit(1);
        /// `forwarded(2)`
        const FORWARDED = bit(2);
        /// `proxiable(3)`
        const PROXIABLE = bit(3);
        /// `proxy(4)`
        const PROXY = bit(4);
        /// `allow-postdate(5)`
        const ALLOW_POSTDATE = bit(5);
        /// `postdated(6)`
        const POSTDATED = bit(6);
        /// `renewable(8)`
        const RENEWABLE = bit(8);
        /// `opt-hardware-auth(11)`
        const OPT_HARDWARE_AUTH = bit(11);
        /// `cname-in-addl-tkt(14)`: constrained delegation
        const CNAME_IN_ADDL_TKT = bit(14);
        /// `canonicalize(15)`
        const CANONICALIZE = bit(15);
        /// `request-anonymous(16)`
        const REQUEST_ANONYMOUS = bit(16);
        /// `disable-transited-check(26)`
        const DISABLE_TRANSITED_CHECK = bit(26);
        /// `renewable-ok(27)`
        const RENEWABLE_OK = bit(27);
        /// `enc-tkt-in-skey(28)`
        const ENC_TKT_IN_SKEY = bit(28);
        /// `renew(30)`
        const RENEW = bit(30);
        /// `validate(31)`
        const VALIDATE = bit(31);
    }
}

bitflags! {
    /// `APOptions ::= KerberosFlags` (RFC 4120 5.5.1).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct ApOptions: u32 {
        /// `reserved(0)`
        const RESERVED = bit(0);
        /// `use-session-key(1)`
        const USE_SESSION_KEY = bit(1);
        /// `mutual-required(2)`
        const MUTUAL_REQUIRED = bit(2);
    }
}

bitflags! {
    /// `FastOptions ::= KerberosFlags` (RFC 6113 5.4.2). Bits 0 to 15 are critical.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct FastOptions: u32 {
        /// `reserved(0)`
        const RESERVED = bit(0);
        /// `hide-client-names(1)`
        const HIDE_CLIENT_NAMES = bit(1);
        /// `kdc-follow-referrals(16)`
        const KDC_FOLLOW_REFERRALS = bit(16);
    }
}

bitflags! {
    /// `PA-PAC-OPTIONS` flags (MS-KILE 2.2.10; MS-SFU 2.2.5 for bit 3).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct PacOptions: u32 {
        /// `Claims(0)`
        const CLAIMS = bit(0);
        /// `Branch Aware(1)`
        const BRANCH_AWARE = bit(1);
        /// `Forward to Full DC(2)`
        const FORWARD_TO_FULL_DC = bit(2);
        /// `resource-based constrained delegation(3)`
        const RESOURCE_BASED_CONSTRAINED_DELEGATION = bit(3);
    }
}

bitflags! {
    /// `S4UUserID` options (MS-SFU 2.2.2).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct S4uOptions: u32 {
        /// Bit 1: the KDC checks logon hours.
        const CHECK_LOGON_HOUR_RESTRICTIONS = bit(1);
        /// Bit 2: the KDC signs its answer with key usage 27.
        const SIGN_REPLY = bit(2);
    }
}

bitflags! {
    /// `OTPFlags ::= KerberosFlags` (RFC 6560 4.1).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct OtpFlags: u32 {
        /// `reserved(0)`
        const RESERVED = bit(0);
        /// `nextOTP(1)`
        const NEXT_OTP = bit(1);
        /// `combine(2)`
        const COMBINE = bit(2);
        /// `collect-pin(3)`
        const COLLECT_PIN = bit(3);
        /// `do-not-collect-pin(4)`
        const DO_NOT_COLLECT_PIN = bit(4);
        /// `must-encrypt-nonce(5)`
        const MUST_ENCRYPT_NONCE = bit(5);
        /// `separate-pin-required(6)`
        const SEPARATE_PIN_REQUIRED = bit(6);
        /// `check-digit(7)`
        const CHECK_DIGIT = bit(7);
    }
}

bitflags! {
    /// `SAMFlags ::= KerberosFlags` (draft-ietf-krb-wg-kerberos-sam-03 4.1).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct SamFlags: u32 {
        /// `use-sad-as-key(0)`
        const USE_SAD_AS_KEY = bit(0);
        /// `send-encrypted-sad(1)`
        const SEND_ENCRYPTED_SAD = bit(1);
        /// `must-pk-encrypt-sad(2)`
        const MUST_PK_ENCRYPT_SAD = bit(2);
    }
}

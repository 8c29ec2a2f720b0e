//! Flags of NTLM's messages, taken away and added: NEGOTIATE 0, CHALLENGE 1, AUTHENTICATE 2.

use trihound::ntlm::{NegotiateFlags, PeerMisbehaved, Unprotected};

use super::edit::flags;
use super::{Case, at, case, refused};

pub(super) const SIGN: u32 = NegotiateFlags::NEGOTIATE_SIGN.bits();
const SEAL: u32 = NegotiateFlags::NEGOTIATE_SEAL.bits();
pub(super) const STRONG: u32 = NegotiateFlags::NEGOTIATE_128.bits();
pub(super) const EXTENDED: u32 = NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY.bits();
const EXCHANGE: u32 = NegotiateFlags::NEGOTIATE_KEY_EXCH.bits();
const ALWAYS_SIGN: u32 = NegotiateFlags::NEGOTIATE_ALWAYS_SIGN.bits();
const TARGET: u32 = NegotiateFlags::REQUEST_TARGET.bits();

pub(super) fn without(number: usize, bits: u32) -> super::Attack {
    at(number, move |token| flags(token, |found| found & !bits))
}

pub(super) fn with(number: usize, bits: u32) -> super::Attack {
    at(number, move |token| flags(token, |found| found | bits))
}

/// Flags taken away where every protection was asked for.
pub(super) fn flags_of_protection() -> Vec<Case> {
    vec![
        case(
            "SIGN and SEAL out of NEGOTIATE",
            without(0, SIGN | SEAL),
            refused!(
                Initiator,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::Missing {
                    attribute: "INTEGRITY",
                    message: "CHALLENGE"
                }
            ),
        ),
        case(
            "SEAL out of NEGOTIATE",
            without(0, SEAL),
            refused!(
                Initiator,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::Missing {
                    attribute: "CONFIDENTIALITY",
                    message: "CHALLENGE"
                }
            ),
        ),
        case(
            "NEGOTIATE_128 out of NEGOTIATE",
            without(0, STRONG),
            refused!(
                Acceptor,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::KeysTooShort {
                    message: "NEGOTIATE"
                }
            ),
        ),
        case(
            "extended session security out of NEGOTIATE",
            without(0, EXTENDED),
            refused!(
                Acceptor,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::NoExtendedSessionSecurity {
                    message: "NEGOTIATE"
                }
            ),
        ),
        case(
            "SIGN and SEAL out of CHALLENGE",
            without(1, SIGN | SEAL),
            refused!(
                Initiator,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::Missing {
                    attribute: "INTEGRITY",
                    message: "CHALLENGE"
                }
            ),
        ),
        case(
            "SEAL out of CHALLENGE",
            without(1, SEAL),
            refused!(
                Initiator,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::Missing {
                    attribute: "CONFIDENTIALITY",
                    message: "CHALLENGE"
                }
            ),
        ),
        case(
            "NEGOTIATE_128 out of CHALLENGE",
            without(1, STRONG),
            refused!(
                Initiator,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::KeysTooShort {
                    message: "CHALLENGE"
                }
            ),
        ),
        case(
            "extended session security out of CHALLENGE",
            without(1, EXTENDED),
            refused!(
                Initiator,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::NoExtendedSessionSecurity {
                    message: "CHALLENGE"
                }
            ),
        ),
        case(
            "NEGOTIATE_128 out of AUTHENTICATE",
            without(2, STRONG),
            refused!(
                Acceptor,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::KeysTooShort {
                    message: "AUTHENTICATE"
                }
            ),
        ),
        case(
            "extended session security out of AUTHENTICATE",
            without(2, EXTENDED),
            refused!(
                Acceptor,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::NoExtendedSessionSecurity {
                    message: "AUTHENTICATE"
                }
            ),
        ),
    ]
}

/// Flags whose change only the MIC tells.
pub(super) fn flags_under_the_mic() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, attack) in [
        ("SIGN and SEAL out of AUTHENTICATE", without(2, SIGN | SEAL)),
        ("SEAL out of AUTHENTICATE", without(2, SEAL)),
        ("key exchange out of NEGOTIATE", without(0, EXCHANGE)),
        ("key exchange out of CHALLENGE", without(1, EXCHANGE)),
        ("key exchange out of AUTHENTICATE", without(2, EXCHANGE)),
        ("ALWAYS_SIGN out of NEGOTIATE", without(0, ALWAYS_SIGN)),
        ("ALWAYS_SIGN out of CHALLENGE", without(1, ALWAYS_SIGN)),
        ("ALWAYS_SIGN out of AUTHENTICATE", without(2, ALWAYS_SIGN)),
        ("REQUEST_TARGET out of NEGOTIATE", without(0, TARGET)),
        ("an unknown flag into NEGOTIATE", with(0, 0x0800_0000)),
        ("an unknown flag into CHALLENGE", with(1, 0x0800_0000)),
        ("an unknown flag into AUTHENTICATE", with(2, 0x0800_0000)),
    ] {
        cases.push(case(
            name,
            attack,
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicDiffers
            ),
        ));
    }
    cases
}

pub(super) fn added_flags() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, bits) in [
        (
            "keys of 56 bits into AUTHENTICATE",
            NegotiateFlags::NEGOTIATE_56,
        ),
        (
            "LM keys into AUTHENTICATE",
            NegotiateFlags::NEGOTIATE_LM_KEY,
        ),
        (
            "a datagram's flag into AUTHENTICATE",
            NegotiateFlags::NEGOTIATE_DATAGRAM,
        ),
    ] {
        cases.push(case(
            name,
            with(2, bits.bits()),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::FlagsNotOffered { .. }
            ),
        ));
    }
    cases.push(case(
        "no character set in NEGOTIATE",
        without(0, 3),
        refused!(
            Acceptor,
            SEC_E_INVALID_TOKEN,
            PeerMisbehaved,
            PeerMisbehaved::NoCharacterSet {
                message: "NEGOTIATE"
            }
        ),
    ));
    cases.push(case(
        "no character set in CHALLENGE",
        without(1, 3),
        refused!(
            Initiator,
            SEC_E_INVALID_TOKEN,
            PeerMisbehaved,
            PeerMisbehaved::NoCharacterSet {
                message: "CHALLENGE"
            }
        ),
    ));
    cases.push(case(
        "a datagram's flag into CHALLENGE",
        with(1, NegotiateFlags::NEGOTIATE_DATAGRAM.bits()),
        refused!(
            Initiator,
            SEC_E_INVALID_TOKEN,
            PeerMisbehaved,
            PeerMisbehaved::OtherKindOfContext {
                message: "CHALLENGE",
                ..
            }
        ),
    ));
    cases
}

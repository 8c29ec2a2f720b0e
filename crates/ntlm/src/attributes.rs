//! Between SSPI's context attributes and NegotiateFlags (MS-NLMP section 2.2.2.5).

use trihound_sspi::{
    AcceptorAttributes, AcceptorRequirements, InitiatorAttributes, InitiatorRequirements,
};

use crate::NegotiateFlags;
use crate::error::Unprotected;

/// What every message of this side that Windows would send has set, whatever is asked for.
const ALWAYS: NegotiateFlags = NegotiateFlags::REQUEST_TARGET
    .union(NegotiateFlags::NEGOTIATE_NTLM)
    .union(NegotiateFlags::NEGOTIATE_ALWAYS_SIGN)
    .union(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY)
    .union(NegotiateFlags::NEGOTIATE_128);

/// Both protections.
pub(crate) const PROTECTION: NegotiateFlags =
    NegotiateFlags::NEGOTIATE_SIGN.union(NegotiateFlags::NEGOTIATE_SEAL);

/// Whether the initiator draws the session key: with key exchange, and only where there is something to protect
/// (MS-NLMP sections 3.1.5.1.2 and 3.2.5.1.2); a datagram's initiator always does (section 3.2.5.2.1).
pub(crate) fn exchanges_key(flags: NegotiateFlags) -> bool {
    flags.contains(NegotiateFlags::NEGOTIATE_KEY_EXCH)
        && flags.intersects(PROTECTION.union(NegotiateFlags::NEGOTIATE_DATAGRAM))
}

/// What an initiator can do and asks for: the flags of its NEGOTIATE message. Keys of 56 bits and LM
/// keys are never offered.
pub(crate) fn offered_by_initiator(requirements: InitiatorRequirements) -> NegotiateFlags {
    let datagram = requirements.contains(InitiatorRequirements::DATAGRAM);
    let mut flags = ALWAYS | NegotiateFlags::NEGOTIATE_UNICODE | NegotiateFlags::NEGOTIATE_OEM;
    let protection = wanted_by_initiator(requirements);
    flags |= protection;
    // MS-NLMP section 3.1.5.1.2: the client chooses a key where messages are protected; a datagram's
    // client always does (section 3.2.5.2.1).
    flags.set(
        NegotiateFlags::NEGOTIATE_KEY_EXCH,
        datagram || !protection.is_empty(),
    );
    flags.set(
        NegotiateFlags::NEGOTIATE_IDENTIFY,
        requirements.contains(InitiatorRequirements::IDENTIFY),
    );
    flags.set(NegotiateFlags::NEGOTIATE_DATAGRAM, datagram);
    flags
}

/// The protection that an initiator's caller asked for.
pub(crate) fn wanted_by_initiator(requirements: InitiatorRequirements) -> NegotiateFlags {
    let signs = InitiatorRequirements::INTEGRITY
        | InitiatorRequirements::REPLAY_DETECT
        | InitiatorRequirements::SEQUENCE_DETECT;
    protection(
        requirements.intersects(signs),
        requirements.contains(InitiatorRequirements::CONFIDENTIALITY),
    )
}

/// The protection that an acceptor's caller asked for.
pub(crate) fn wanted_by_acceptor(requirements: AcceptorRequirements) -> NegotiateFlags {
    let signs = AcceptorRequirements::INTEGRITY
        | AcceptorRequirements::REPLAY_DETECT
        | AcceptorRequirements::SEQUENCE_DETECT;
    protection(
        requirements.intersects(signs),
        requirements.contains(AcceptorRequirements::CONFIDENTIALITY),
    )
}

/// What is sealed is signed too (MS-NLMP section 3.4.3).
fn protection(signs: bool, seals: bool) -> NegotiateFlags {
    let mut flags = NegotiateFlags::empty();
    flags.set(NegotiateFlags::NEGOTIATE_SIGN, signs || seals);
    flags.set(NegotiateFlags::NEGOTIATE_SEAL, seals);
    flags
}

/// The flags of a CHALLENGE message to a NEGOTIATE message with `asked`: what both can do.
pub(crate) fn chosen_by_acceptor(asked: NegotiateFlags) -> NegotiateFlags {
    let mut flags = asked
        & (ALWAYS
            | PROTECTION
            | NegotiateFlags::NEGOTIATE_KEY_EXCH
            | NegotiateFlags::NEGOTIATE_IDENTIFY
            | NegotiateFlags::NEGOTIATE_UNICODE
            | NegotiateFlags::NEGOTIATE_OEM);
    // MS-NLMP section 3.2.5.1.1: Unicode goes first, and only one of the two is chosen.
    if flags.contains(NegotiateFlags::NEGOTIATE_UNICODE) {
        flags.remove(NegotiateFlags::NEGOTIATE_OEM);
    }
    flags | NegotiateFlags::NEGOTIATE_NTLM | NegotiateFlags::NEGOTIATE_TARGET_INFO
}

/// The flags of a CHALLENGE message that begins a datagram context, where nothing was asked yet.
pub(crate) fn offered_by_acceptor() -> NegotiateFlags {
    ALWAYS
        | PROTECTION
        | NegotiateFlags::NEGOTIATE_UNICODE
        | NegotiateFlags::NEGOTIATE_KEY_EXCH
        | NegotiateFlags::NEGOTIATE_DATAGRAM
        | NegotiateFlags::NEGOTIATE_IDENTIFY
        | NegotiateFlags::NEGOTIATE_TARGET_INFO
}

/// Whether `flags` of the peer's `message` have what this side wants, and with it the keys that this
/// takes (conformance rows 37 and 147).
pub(crate) fn check_protection(
    wanted: NegotiateFlags,
    flags: NegotiateFlags,
    message: &'static str,
) -> Result<(), Unprotected> {
    for (flag, attribute) in [
        (NegotiateFlags::NEGOTIATE_SIGN, "INTEGRITY"),
        (NegotiateFlags::NEGOTIATE_SEAL, "CONFIDENTIALITY"),
    ] {
        // MS-NLMP section 3.1.5.1.2: what the application requires and the server does not have is a
        // failure.
        if wanted.contains(flag) && !flags.contains(flag) {
            return Err(Unprotected::Missing { attribute, message });
        }
    }
    if !flags.intersects(PROTECTION) {
        return Ok(());
    }
    // MS-NLMP section 3.4.4.1: without it a signature is a CRC under RC4.
    if !flags.contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY) {
        return Err(Unprotected::NoExtendedSessionSecurity { message });
    }
    // MS-NLMP section 3.1.5.1.2: ClientRequire128bitEncryption.
    if !flags.contains(NegotiateFlags::NEGOTIATE_128) {
        return Err(Unprotected::KeysTooShort { message });
    }
    Ok(())
}

/// What an initiator got. Replays and order are noticed where messages are signed one after the
/// other; a datagram's number is the caller's, and so is what it makes of it.
pub(crate) fn initiator_attributes(
    flags: NegotiateFlags,
    requirements: InitiatorRequirements,
    anonymous: bool,
) -> InitiatorAttributes {
    let signs = flags.contains(NegotiateFlags::NEGOTIATE_SIGN);
    let datagram = flags.contains(NegotiateFlags::NEGOTIATE_DATAGRAM);
    let asked = |flag| requirements.contains(flag);
    let mut attributes = InitiatorAttributes::empty();
    for (got, holds) in [
        (InitiatorAttributes::INTEGRITY, signs),
        (
            InitiatorAttributes::REPLAY_DETECT,
            signs && !datagram && asked(InitiatorRequirements::REPLAY_DETECT),
        ),
        (
            InitiatorAttributes::SEQUENCE_DETECT,
            signs && !datagram && asked(InitiatorRequirements::SEQUENCE_DETECT),
        ),
        (
            InitiatorAttributes::CONFIDENTIALITY,
            flags.contains(NegotiateFlags::NEGOTIATE_SEAL),
        ),
        (
            InitiatorAttributes::IDENTIFY,
            flags.contains(NegotiateFlags::NEGOTIATE_IDENTIFY),
        ),
        (InitiatorAttributes::DATAGRAM, datagram),
        (
            InitiatorAttributes::CONNECTION,
            !datagram && asked(InitiatorRequirements::CONNECTION),
        ),
        (
            InitiatorAttributes::USED_DCE_STYLE,
            asked(InitiatorRequirements::USE_DCE_STYLE),
        ),
        (
            InitiatorAttributes::ALLOCATED_MEMORY,
            asked(InitiatorRequirements::ALLOCATE_MEMORY),
        ),
        (InitiatorAttributes::NULL_SESSION, anonymous),
    ] {
        attributes.set(got, holds);
    }
    attributes
}

/// What an acceptor got; see [`initiator_attributes`].
pub(crate) fn acceptor_attributes(
    flags: NegotiateFlags,
    requirements: AcceptorRequirements,
    anonymous: bool,
    bindings_missing: bool,
) -> AcceptorAttributes {
    let signs = flags.contains(NegotiateFlags::NEGOTIATE_SIGN);
    let datagram = flags.contains(NegotiateFlags::NEGOTIATE_DATAGRAM);
    let asked = |flag| requirements.contains(flag);
    let mut attributes = AcceptorAttributes::empty();
    for (got, holds) in [
        (AcceptorAttributes::INTEGRITY, signs),
        (AcceptorAttributes::REPLAY_DETECT, signs && !datagram),
        (AcceptorAttributes::SEQUENCE_DETECT, signs && !datagram),
        (
            AcceptorAttributes::CONFIDENTIALITY,
            flags.contains(NegotiateFlags::NEGOTIATE_SEAL),
        ),
        (
            AcceptorAttributes::IDENTIFY,
            flags.contains(NegotiateFlags::NEGOTIATE_IDENTIFY),
        ),
        (AcceptorAttributes::DATAGRAM, datagram),
        (
            AcceptorAttributes::CONNECTION,
            !datagram && asked(AcceptorRequirements::CONNECTION),
        ),
        (
            AcceptorAttributes::USED_DCE_STYLE,
            asked(AcceptorRequirements::USE_DCE_STYLE),
        ),
        (
            AcceptorAttributes::ALLOCATED_MEMORY,
            asked(AcceptorRequirements::ALLOCATE_MEMORY),
        ),
        (AcceptorAttributes::NULL_SESSION, anonymous),
        (AcceptorAttributes::MISSING_BINDINGS, bindings_missing),
    ] {
        attributes.set(got, holds);
    }
    attributes
}

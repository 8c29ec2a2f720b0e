//! Between SSPI's context attributes and the flags of the GSS checksum (RFC 4121 section 4.1.1.1).

use trihound_asn1::gss::GssFlags;
use trihound_sspi::{
    AcceptorAttributes, AcceptorRequirements, InitiatorAttributes, InitiatorRequirements,
};

/// One attribute that both sides learn of through the initiator's checksum.
struct Row {
    flag: GssFlags,
    asks: InitiatorRequirements,
    initiator_gets: InitiatorAttributes,
    acceptor_gets: AcceptorAttributes,
}

macro_rules! row {
    ($flag:ident, $asks:ident, $gets:ident) => {
        Row {
            flag: GssFlags::$flag,
            asks: InitiatorRequirements::$asks,
            initiator_gets: InitiatorAttributes::$gets,
            acceptor_gets: AcceptorAttributes::$gets,
        }
    };
}

static ROWS: [Row; 8] = [
    row!(DELEG, DELEGATE, DELEGATE),
    row!(MUTUAL, MUTUAL_AUTH, MUTUAL_AUTH),
    row!(REPLAY, REPLAY_DETECT, REPLAY_DETECT),
    row!(SEQUENCE, SEQUENCE_DETECT, SEQUENCE_DETECT),
    row!(CONF, CONFIDENTIALITY, CONFIDENTIALITY),
    row!(INTEG, INTEGRITY, INTEGRITY),
    row!(DCE_STYLE, USE_DCE_STYLE, USED_DCE_STYLE),
    row!(IDENTIFY, IDENTIFY, IDENTIFY),
];

/// The flags that an initiator puts into its checksum. DELEG is not among them: it comes with the
/// delegated ticket, if there is one.
pub(crate) fn checksum_flags(requirements: InitiatorRequirements) -> GssFlags {
    let asked = requirements.normalized();
    let mut flags: GssFlags = ROWS
        .iter()
        .filter(|row| asked.contains(row.asks))
        .map(|row| row.flag)
        .collect();
    flags.remove(GssFlags::DELEG);
    flags.set(
        GssFlags::EXTENDED_ERROR,
        asked.contains(InitiatorRequirements::EXTENDED_ERROR),
    );
    flags
}

/// What a checksum's flags mean for the two sides, by the same rules as the initiator's own: an
/// acceptor does not rely on the peer to have kept them.
pub(crate) fn normalized(mut flags: GssFlags) -> GssFlags {
    if flags.intersects(GssFlags::REPLAY | GssFlags::SEQUENCE) {
        flags |= GssFlags::INTEG;
    }
    if flags.contains(GssFlags::DCE_STYLE) {
        flags |= GssFlags::MUTUAL;
    }
    flags
}

/// What an initiator got, once its handshake is over.
pub(crate) fn initiator_attributes(
    flags: GssFlags,
    requirements: InitiatorRequirements,
) -> InitiatorAttributes {
    let mut attributes: InitiatorAttributes = ROWS
        .iter()
        .filter(|row| flags.contains(row.flag))
        .map(|row| row.initiator_gets)
        .collect();
    for (asked, got) in [
        (
            InitiatorRequirements::EXTENDED_ERROR,
            InitiatorAttributes::EXTENDED_ERROR,
        ),
        (
            InitiatorRequirements::CONNECTION,
            InitiatorAttributes::CONNECTION,
        ),
        (
            InitiatorRequirements::ALLOCATE_MEMORY,
            InitiatorAttributes::ALLOCATED_MEMORY,
        ),
    ] {
        attributes.set(got, requirements.contains(asked));
    }
    attributes
}

/// What an acceptor got. The wire has the initiator's wishes and no answer to them, so an
/// acceptor's own for a protection that the initiator did not ask for goes unfulfilled.
pub(crate) fn acceptor_attributes(
    flags: GssFlags,
    requirements: AcceptorRequirements,
) -> AcceptorAttributes {
    let mut attributes: AcceptorAttributes = ROWS
        .iter()
        .filter(|row| flags.contains(row.flag))
        .map(|row| row.acceptor_gets)
        .collect();
    for (asked, got) in [
        (
            AcceptorRequirements::EXTENDED_ERROR,
            AcceptorAttributes::EXTENDED_ERROR,
        ),
        (
            AcceptorRequirements::CONNECTION,
            AcceptorAttributes::CONNECTION,
        ),
        (
            AcceptorRequirements::ALLOCATE_MEMORY,
            AcceptorAttributes::ALLOCATED_MEMORY,
        ),
    ] {
        attributes.set(got, requirements.contains(asked));
    }
    attributes
}

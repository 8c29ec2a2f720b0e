//! The checksum 0x8003 and its channel bindings (RFC 4121 section 4.1.1; conformance rows 15 to 17).

use trihound_asn1::gss::GssChecksum;
use trihound_secret::constant_time_eq;

use super::{AcceptedApReq, ChannelBindingChecked};
use crate::{Error, PeerMisbehaved};

/// The checksum type of GSS authenticators (RFC 4121 section 4.1.1).
const GSS_CHECKSUM_TYPE: i32 = 0x8003;

/// No channel bindings: sixteen zero bytes (RFC 4121 section 4.1.1.2).
const NONE: [u8; 16] = [0; 16];

/// What this side wants of the client's channel bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingDemand {
    /// This side knows of no channel; whatever the client says cannot be held against anything.
    NoChannel,
    /// The MD5 hash of this side's channel bindings (RFC 4121 section 4.1.1.2). A client that sends
    /// others is refused.
    Channel {
        /// The hash.
        hash: [u8; 16],
        /// Whether a client that sends none is let in, as SSPI's ALLOW_MISSING_BINDINGS. One
        /// that says it always binds (KERB_AP_OPTIONS_CBT) is not.
        allow_missing: bool,
    },
}

/// Parses the authenticator's checksum as GSS has it and checks the channel bindings.
///
/// # Errors
///
/// [`PeerMisbehaved::ChecksumMissing`], `ChecksumTypeDiffers`, `ChecksumMalformed`,
/// `ChannelBindingsDiffer`, `ChannelBindingsMissing`, `ChannelBindingsStripped`.
pub fn check_gss_checksum(
    accepted: &AcceptedApReq,
    demand: &BindingDemand,
) -> Result<(GssChecksum, ChannelBindingChecked), Error> {
    // RFC 4121 4.1.1: the authenticator "MUST" have a checksum of type 0x8003.
    let Some(checksum) = &accepted.authenticator.cksum else {
        return Err(PeerMisbehaved::ChecksumMissing.into());
    };
    if checksum.cksumtype != GSS_CHECKSUM_TYPE {
        return Err(PeerMisbehaved::ChecksumTypeDiffers {
            found: checksum.cksumtype,
        }
        .into());
    }
    let parsed =
        GssChecksum::parse(&checksum.checksum).map_err(PeerMisbehaved::ChecksumMalformed)?;
    let client_binds = accepted.authenticator_info.client_binds_channels;
    let checked = check(&parsed.bindings, client_binds, demand)?;
    Ok((parsed, checked))
}

fn check(
    sent: &[u8; 16],
    client_binds: bool,
    demand: &BindingDemand,
) -> Result<ChannelBindingChecked, PeerMisbehaved> {
    let BindingDemand::Channel {
        hash,
        allow_missing,
    } = demand
    else {
        return Ok(ChannelBindingChecked(()));
    };
    if sent == &NONE {
        // MS-KILE 3.2.5.8: a client that announced bindings and sends none was tampered with.
        if client_binds {
            return Err(PeerMisbehaved::ChannelBindingsStripped);
        }
        if !allow_missing {
            return Err(PeerMisbehaved::ChannelBindingsMissing);
        }
        return Ok(ChannelBindingChecked(()));
    }
    // RFC 4121 4.1.1.2: the acceptor compares the hash with that of its own bindings.
    if !constant_time_eq(sent, hash) {
        return Err(PeerMisbehaved::ChannelBindingsDiffer);
    }
    Ok(ChannelBindingChecked(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [u8; 16] = [7; 16];
    const STRICT: BindingDemand = BindingDemand::Channel {
        hash: OURS,
        allow_missing: false,
    };
    const LENIENT: BindingDemand = BindingDemand::Channel {
        hash: OURS,
        allow_missing: true,
    };

    /// Conformance row 16.
    #[test]
    fn bindings_that_differ_are_refused_and_missing_ones_by_policy() {
        assert!(check(&OURS, false, &STRICT).is_ok());
        assert!(check(&OURS, true, &LENIENT).is_ok());
        assert!(check(&NONE, false, &LENIENT).is_ok());
        assert!(check(&[9; 16], false, &BindingDemand::NoChannel).is_ok());
        assert_eq!(
            check(&NONE, false, &STRICT).err(),
            Some(PeerMisbehaved::ChannelBindingsMissing)
        );
        for demand in [STRICT, LENIENT] {
            let mut other = OURS;
            other[15] ^= 1;
            assert_eq!(
                check(&other, false, &demand).err(),
                Some(PeerMisbehaved::ChannelBindingsDiffer)
            );
        }
    }

    /// Conformance row 17.
    #[test]
    fn a_client_that_always_binds_may_not_come_without() {
        for demand in [STRICT, LENIENT] {
            assert_eq!(
                check(&NONE, true, &demand).err(),
                Some(PeerMisbehaved::ChannelBindingsStripped)
            );
        }
        // Without a channel of our own there is nothing to be stripped from.
        assert!(check(&NONE, true, &BindingDemand::NoChannel).is_ok());
    }
}

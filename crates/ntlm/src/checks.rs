//! What an acceptor checks of a client whose response was right, and the proofs that it did. A session
//! cannot be built without them.

use std::time::Duration;

use trihound_sansio::Timestamp;
use trihound_secret::constant_time_eq;
use trihound_sspi::ServicePrincipalName;

use crate::compute::{self, SessionKey};
use crate::error::{Error, PeerMisbehaved, PolicyError};
use crate::message::{AuthenticateMessage, FileTime, NtlmV2Response};
use crate::policy::{MicRequirement, NtlmPolicy, Requirement};
use crate::verifier::{AccountKind, VerifiedAccount};
use crate::{AvFlags, AvId, NegotiateFlags, TargetInfo};

/// A verifier found the response right.
#[derive(Debug)]
pub(crate) struct ResponseVerified(());

/// The channel bindings are right, or nobody asked for them.
#[derive(Debug)]
pub(crate) struct ChannelBindingsChecked(());

/// The target name is one of the acceptor's, or nobody asked for it.
#[derive(Debug)]
pub(crate) struct TargetNameChecked(());

/// The names in the response are those that this acceptor told.
#[derive(Debug)]
pub(crate) struct ServerNameChecked(());

/// The client's time is near enough.
#[derive(Debug)]
pub(crate) struct TimeChecked(());

/// The client's flags were offered.
#[derive(Debug)]
pub(crate) struct FlagsChecked(());

/// Whether the three messages are those that both sides saw.
#[derive(Debug)]
pub(crate) enum MicProof {
    /// The MIC is right.
    Verified(MicVerified),
    /// The client promised none, and the policy lets it.
    NotPromised(MicNotPromised),
}

/// The MIC is right.
#[derive(Debug)]
pub(crate) struct MicVerified(());

/// The client promised no MIC, and the policy lets it.
#[derive(Debug)]
pub(crate) struct MicNotPromised(());

/// The caller, or the policy, lets in a client that proved nothing.
#[derive(Debug)]
pub(crate) struct UnprovenAllowed(());

impl ResponseVerified {
    /// A verifier's account that is no guest's.
    pub(crate) fn by_verifier(account: &VerifiedAccount) -> Option<(Self, &SessionKey)> {
        match &account.kind {
            AccountKind::User { session_base_key } => Some((Self(()), session_base_key)),
            AccountKind::Guest => None,
        }
    }
}

impl UnprovenAllowed {
    /// A guest, as the policy has it.
    pub(crate) fn guest(user: &str, policy: &NtlmPolicy) -> Result<Self, PolicyError> {
        // Conformance row 158: a guest proved nothing.
        if policy.guests {
            return Ok(Self(()));
        }
        Err(PolicyError::GuestNotAllowed {
            user: user.to_owned(),
        })
    }

    /// An anonymous client, as the caller has it.
    pub(crate) fn anonymous(asked: bool) -> Result<Self, PolicyError> {
        // MS-NLMP section 3.2.5.1.2, conformance row 39: only where it was asked for.
        if asked {
            return Ok(Self(()));
        }
        Err(PolicyError::AnonymousNotAllowed)
    }
}

/// Looks for a second pair of a kind with which the client vouches for something.
///
/// A client copies the pairs of the CHALLENGE message and adds its own. One that copies these too hands
/// on what somebody in the middle put there, and the first of two counts (conformance row 143): that
/// would be a promise of no MIC, or another channel's bindings, under a right proof.
pub(crate) fn check_no_pair_twice(response: &TargetInfo<'_>) -> Result<(), PeerMisbehaved> {
    for id in [AvId::FLAGS, AvId::TARGET_NAME, AvId::CHANNEL_BINDINGS] {
        // MS-NLMP section 2.2.2.1: each pair occurs once; CVE-2019-1166, CVE-2019-1338.
        if response.iter().filter(|pair| pair.id == id).count() > 1 {
            return Err(PeerMisbehaved::PairTwice { pair: id });
        }
    }
    Ok(())
}

/// What the acceptor's caller says of the channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BindingDemand {
    /// There is nothing to bind to.
    NoChannel,
    /// The MD5 of the channel's bindings.
    Channel([u8; 16]),
    /// The channel ends in a proxy: the client has to have bound to something.
    Proxy,
}

/// Looks at MsvAvChannelBindings of the response (conformance rows 33 and 35). The second value is
/// whether the client sent none.
pub(crate) fn check_channel_bindings(
    demand: BindingDemand,
    requirement: Requirement,
    response: &TargetInfo<'_>,
) -> Result<(ChannelBindingsChecked, bool), Error> {
    let sent = response.channel_bindings();
    // MS-NLMP section 2.2.2.1: all zero stands for none.
    let empty = sent == Some([0; 16]);
    let absent = sent.is_none() || empty;
    let (expected, requirement) = match demand {
        BindingDemand::NoChannel => return Ok((ChannelBindingsChecked(()), absent)),
        BindingDemand::Channel(_) if requirement == Requirement::Off => {
            return Ok((ChannelBindingsChecked(()), absent));
        }
        BindingDemand::Channel(expected) => (Some(expected), requirement),
        BindingDemand::Proxy => (None, Requirement::Always),
    };
    // MS-NLMP section 3.2.5.1.2: a client that knows of bindings and has none spoke to no channel,
    // so somebody else ends this one.
    if empty || (absent && requirement == Requirement::Always) {
        return Err(PolicyError::ChannelBindingsMissing { empty }.into());
    }
    // MS-NLMP section 3.2.5.1.2: the bindings must be this channel's.
    if let (Some(expected), Some(sent)) = (expected, sent)
        && !constant_time_eq(&expected, &sent)
    {
        return Err(PeerMisbehaved::ChannelBindingsDiffer.into());
    }
    Ok((ChannelBindingsChecked(()), absent))
}

/// Looks at MsvAvTargetName of the response (conformance rows 33 and 36).
pub(crate) fn check_target_name(
    accepted: &[String],
    requirement: Requirement,
    response: &TargetInfo<'_>,
) -> Result<TargetNameChecked, Error> {
    if requirement == Requirement::Off || accepted.is_empty() {
        return Ok(TargetNameChecked(()));
    }
    // MS-NLMP section 2.2.2.1: a name that the client does not vouch for is as good as none.
    let unverified = response.flags().contains(AvFlags::UNVERIFIED_TARGET_NAME);
    let sent = response
        .target_name()?
        .filter(|name| !name.is_empty() && !unverified);
    let Some(sent) = sent else {
        // MS-NLMP section 3.2.5.1.2: ApplicationRequiresSPN or its like.
        if requirement == Requirement::Always {
            return Err(PolicyError::TargetNameMissing.into());
        }
        return Ok(TargetNameChecked(()));
    };
    // MS-NLMP section 3.2.5.1.2: the name must be one of this service's.
    if accepted.iter().any(|name| same_target(name, &sent)) {
        return Ok(TargetNameChecked(()));
    }
    Err(PeerMisbehaved::TargetNameDiffers {
        found: sent.chars().take(256).collect(),
        accepted: accepted.join(", "),
    }
    .into())
}

/// Whether a client's target is one of the acceptor's. Ports, third parts and realms count where the
/// accepted name has them.
fn same_target(accepted: &str, sent: &str) -> bool {
    let (Ok(accepted), Ok(sent)) = (
        ServicePrincipalName::parse(accepted),
        ServicePrincipalName::parse(sent),
    ) else {
        return accepted.eq_ignore_ascii_case(sent);
    };
    let where_given = |accepted: &Option<String>, sent: &Option<String>| match (accepted, sent) {
        (None, _) => true,
        (Some(accepted), Some(sent)) => accepted.eq_ignore_ascii_case(sent),
        (Some(_), None) => false,
    };
    (accepted.service == "*" || accepted.service.eq_ignore_ascii_case(&sent.service))
        && accepted.host.eq_ignore_ascii_case(&sent.host)
        && where_given(&accepted.port, &sent.port)
        && where_given(&accepted.name, &sent.name)
        && where_given(&accepted.realm, &sent.realm)
}

/// Looks at MsvAvNbComputerName of the response: a client repeats what it was told, so another name
/// was another server's (conformance row 156).
pub(crate) fn check_server_name(
    own: &str,
    response: &TargetInfo<'_>,
) -> Result<ServerNameChecked, Error> {
    match response.text(AvId::NB_COMPUTER_NAME)? {
        // MS-NLMP section 3.2.5.1.2, MS-APDS section 3.1.5: the response is for this server.
        Some(name) if name != own => Err(PeerMisbehaved::ServerNameDiffers {
            found: name.chars().take(64).collect(),
            own: own.to_owned(),
        }
        .into()),
        _ => Ok(ServerNameChecked(())),
    }
}

/// Looks at the time in the response (conformance row 157).
pub(crate) fn check_time(
    now: Timestamp,
    allowed: Duration,
    sent: FileTime,
) -> Result<TimeChecked, Error> {
    let away = now.distance(Timestamp::from(sent));
    // MS-NLMP section 3.2.5.1.2: MaxLifetime.
    if away > allowed {
        return Err(PeerMisbehaved::TimeDiffers { away, allowed }.into());
    }
    Ok(TimeChecked(()))
}

/// The flags that are negotiated. The others tell something of their own message and are set by
/// whoever sends it.
const NEGOTIATED: NegotiateFlags = NegotiateFlags::NEGOTIATE_UNICODE
    .union(NegotiateFlags::NEGOTIATE_OEM)
    .union(NegotiateFlags::NEGOTIATE_SIGN)
    .union(NegotiateFlags::NEGOTIATE_SEAL)
    .union(NegotiateFlags::NEGOTIATE_DATAGRAM)
    .union(NegotiateFlags::NEGOTIATE_LM_KEY)
    .union(NegotiateFlags::NEGOTIATE_ALWAYS_SIGN)
    .union(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY)
    .union(NegotiateFlags::REQUEST_NON_NT_SESSION_KEY)
    .union(NegotiateFlags::NEGOTIATE_128)
    .union(NegotiateFlags::NEGOTIATE_KEY_EXCH)
    .union(NegotiateFlags::NEGOTIATE_56);

/// Looks at the client's flags (conformance row 148). The second value is what was negotiated.
pub(crate) fn check_flags(
    offered: NegotiateFlags,
    answered: NegotiateFlags,
) -> Result<(FlagsChecked, NegotiateFlags), Error> {
    let mut negotiated = answered & NEGOTIATED;
    if negotiated.contains(NegotiateFlags::NEGOTIATE_UNICODE) {
        negotiated.remove(NegotiateFlags::NEGOTIATE_OEM);
    }
    let added = negotiated - offered;
    // MS-NLMP section 3.2.5.1.2: the client chooses among what was offered.
    if !added.is_empty() {
        return Err(PeerMisbehaved::FlagsNotOffered {
            flags: added.bits(),
        }
        .into());
    }
    // MS-NLMP section 2.2.2.5: a connectionless context stays one.
    if offered.contains(NegotiateFlags::NEGOTIATE_DATAGRAM)
        && !negotiated.contains(NegotiateFlags::NEGOTIATE_DATAGRAM)
    {
        return Err(PeerMisbehaved::OtherKindOfContext {
            message: "AUTHENTICATE",
            found: "connection-oriented",
        }
        .into());
    }
    Ok((FlagsChecked(()), negotiated))
}

/// The three messages as they were on the wire; the first is empty for a datagram context.
#[derive(Clone, Copy)]
pub(crate) struct Messages<'a> {
    pub(crate) negotiate: &'a [u8],
    pub(crate) challenge: &'a [u8],
    pub(crate) authenticate: &'a [u8],
}

/// Looks for the MIC that the response promised, and whether it had to (conformance rows 32 and 140).
pub(crate) fn check_mic(
    messages: Messages<'_>,
    authenticate: &AuthenticateMessage<'_>,
    promised: bool,
    exported: &SessionKey,
) -> Result<Option<MicVerified>, Error> {
    if !promised {
        return Ok(None);
    }
    // MS-NLMP section 3.2.5.1.2: what MsvAvFlags promises has to be there.
    let sent = authenticate.mic.ok_or(PeerMisbehaved::MicMissing)?;
    let expected = compute::mic(
        exported,
        messages.negotiate,
        messages.challenge,
        messages.authenticate,
    );
    // MS-NLMP section 3.2.5.1.2, in constant time (conformance row 18).
    if !constant_time_eq(&expected, &sent) {
        return Err(PeerMisbehaved::MicDiffers.into());
    }
    Ok(Some(MicVerified(())))
}

/// Whether a client that promised no MIC is let in.
pub(crate) fn without_mic(
    requirement: MicRequirement,
    protected: bool,
) -> Result<MicNotPromised, PolicyError> {
    let always = requirement == MicRequirement::Always;
    if always || (requirement == MicRequirement::WithProtection && protected) {
        return Err(PolicyError::MicNotPromised { always });
    }
    Ok(MicNotPromised(()))
}

/// Whether a response promises a MIC.
pub(crate) fn promises_mic(response: &NtlmV2Response<'_>) -> bool {
    response.av_pairs.flags().contains(AvFlags::MIC_PROVIDED)
}

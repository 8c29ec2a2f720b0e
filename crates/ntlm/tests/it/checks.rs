//! What an acceptor demands of a client whose response is right, by policy and by caller.

use std::time::Duration;

use trihound_ntlm::message::FileTime;
use trihound_ntlm::{
    AvFlags, AvId, MicRequirement, NegotiateFlags, PeerMisbehaved, PolicyError, Requirement,
    Unprotected, VerifierFailure,
};
use trihound_sansio::Timestamp;
use trihound_sspi::{
    AcceptorAttributes, AcceptorRequirements, ChannelBindings, Error, Established,
    InitiatorRequirements, MechListMic, SecurityStatus,
};

use crate::forge::{Forger, negotiate_of, with_response};
use crate::world::{NOW, Sides, TARGET, Wishes, World, acceptor_attributes, allowed, cause};

pub(crate) fn bindings(data: &[u8]) -> Option<Vec<u8>> {
    Some(ChannelBindings::application_data(data).to_buffer().unwrap())
}

/// What a client like curl asks for over HTTP.
fn plain_flags() -> NegotiateFlags {
    NegotiateFlags::NEGOTIATE_OEM
        | NegotiateFlags::REQUEST_TARGET
        | NegotiateFlags::NEGOTIATE_NTLM
        | NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY
        | NegotiateFlags::NEGOTIATE_ALWAYS_SIGN
}

/// What a client asks for that protects its messages.
fn protected_flags() -> NegotiateFlags {
    NegotiateFlags::NEGOTIATE_UNICODE
        | NegotiateFlags::REQUEST_TARGET
        | NegotiateFlags::NEGOTIATE_NTLM
        | NegotiateFlags::NEGOTIATE_SIGN
        | NegotiateFlags::NEGOTIATE_SEAL
        | NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY
        | NegotiateFlags::NEGOTIATE_ALWAYS_SIGN
        | NegotiateFlags::NEGOTIATE_128
        | NegotiateFlags::NEGOTIATE_KEY_EXCH
}

/// A handshake of a client that knows the password and answers as `shape` says.
fn forged(
    sides: &mut Sides<'_>,
    flags: NegotiateFlags,
    shape: impl FnOnce(Forger) -> Forger,
) -> Result<Established, Error> {
    let negotiate = negotiate_of(flags);
    let challenge = sides.challenge(&negotiate);
    let answer = shape(Forger::new(&negotiate, &challenge)).answer();
    let outcome = sides.accept(Some(&answer)).0?;
    Ok(outcome.established().cloned().unwrap())
}

fn policy_error(outcome: Result<Established, Error>) -> PolicyError {
    cause::<PolicyError>(&outcome.unwrap_err()).clone()
}

fn peer_error(outcome: Result<Established, Error>) -> PeerMisbehaved {
    cause::<PeerMisbehaved>(&outcome.unwrap_err()).clone()
}

#[test]
fn a_client_like_curl_logs_in_and_has_no_protection() {
    let world = World::new();
    let mut sides = world.sides(Wishes::none());
    let established = forged(&mut sides, plain_flags(), |forger| forger).unwrap();
    assert_eq!(
        acceptor_attributes(&established),
        AcceptorAttributes::empty()
    );
    assert_eq!(established.mech_list_mic, MechListMic::Impossible);
    let refusal = forged(&mut world.sides(Wishes::none()), plain_flags(), |mut f| {
        f.password = "wrong".to_owned();
        f
    });
    assert_eq!(
        *cause::<VerifierFailure>(&refusal.unwrap_err()),
        VerifierFailure::LogonFailed
    );
}

#[test]
fn a_client_without_a_mic_may_not_sign_unless_the_policy_says_so() {
    for (requirement, flags, outcome) in [
        (
            MicRequirement::WithProtection,
            protected_flags(),
            Some(false),
        ),
        (MicRequirement::WithProtection, plain_flags(), None),
        (MicRequirement::WhenPromised, protected_flags(), None),
        (MicRequirement::Always, plain_flags(), Some(true)),
    ] {
        let world = World::with_policy(allowed().mic(requirement));
        let mut sides = world.sides(Wishes::none());
        let result = forged(&mut sides, flags, |forger| forger);
        match outcome {
            None => {
                let expected = if flags.contains(NegotiateFlags::NEGOTIATE_SIGN) {
                    MechListMic::Possible
                } else {
                    MechListMic::Impossible
                };
                assert_eq!(result.unwrap().mech_list_mic, expected);
            }
            Some(always) => {
                assert_eq!(policy_error(result), PolicyError::MicNotPromised { always });
            }
        }
        let mut sides = world.sides(Wishes::none());
        forged(&mut sides, flags, Forger::with_mic).unwrap();
    }
}

/// Conformance row 155: whatever else is wrong, a client that does not know the password learns no more.
#[test]
fn row_155_the_response_is_judged_before_anything_else() {
    let world = World::with(|config| config.with_target_names([TARGET]));
    let name = trihound_ntlm::message::text::to_utf16("cifs/elsewhere");
    let mut wishes = Wishes::none();
    wishes.acceptor_bindings = bindings(b"ours");
    let outcome = forged(&mut world.sides(wishes), protected_flags(), |forger| {
        let mut forger = forger
            .with_mic()
            .with_pair(AvId::TARGET_NAME, &name)
            .with_pair(AvId::CHANNEL_BINDINGS, &[9; 16]);
        forger.password = "wrong".to_owned();
        forger.timestamp = Some(FileTime(1));
        forger.flags |= NegotiateFlags::NEGOTIATE_56;
        forger.key_length = 3;
        forger.negotiate.push(0);
        forger
    });
    assert_eq!(
        *cause::<VerifierFailure>(&outcome.unwrap_err()),
        VerifierFailure::LogonFailed
    );
}

/// Conformance row 32.
#[test]
fn row_32_a_promised_mic_is_checked_of_every_client() {
    let world = World::with_policy(allowed().mic(MicRequirement::WhenPromised));
    for flags in [plain_flags(), protected_flags()] {
        let outcome = forged(&mut world.sides(Wishes::none()), flags, |forger| {
            let mut forger = forger.with_mic();
            forger.with_mic = false;
            forger
        });
        assert_eq!(peer_error(outcome), PeerMisbehaved::MicMissing);
        let outcome = forged(&mut world.sides(Wishes::none()), flags, |forger| {
            let mut forger = forger.with_mic();
            forger.negotiate.push(0);
            forger
        });
        assert_eq!(peer_error(outcome), PeerMisbehaved::MicDiffers);
    }
}

/// Conformance row 35: the initiator's side of it.
#[test]
fn row_35_the_hash_of_the_bindings_is_sent_and_zeros_for_none() {
    let world = World::new();
    for given in [None, bindings(b"tls-server-end-point:abc")] {
        let mut wishes = Wishes::none();
        wishes.initiator_bindings.clone_from(&given);
        let token = world.sides(wishes).up_to_authenticate();
        let sent = with_response(&token, |response| response.av_pairs.channel_bindings());
        let expected = given.map_or([0; 16], |buffer| {
            let image = ChannelBindings::parse(&buffer)
                .unwrap()
                .gss_image()
                .unwrap();
            trihound_crypto::md5(&[&image])
        });
        assert_eq!(sent, Some(expected));
    }
}

/// What a client sends of bindings.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Right,
    Wrong,
    Zeros,
    Nothing,
}

/// Conformance rows 33 and 35.
#[test]
fn rows_33_and_35_bindings_are_checked_by_policy() {
    use Requirement::{Always, Off, WhenSupported};
    let missing = |empty| Some(PolicyError::ChannelBindingsMissing { empty });
    for requirement in [Off, WhenSupported, Always] {
        for sent in [Sent::Right, Sent::Wrong, Sent::Zeros, Sent::Nothing] {
            let world = World::with_policy(allowed().channel_bindings(requirement));
            let mut wishes = Wishes::none();
            wishes.acceptor_bindings = bindings(b"ours");
            let image = ChannelBindings::application_data(b"ours");
            let right = trihound_crypto::md5(&[&image.gss_image().unwrap()]);
            let outcome = forged(
                &mut world.sides(wishes),
                plain_flags(),
                |forger| match sent {
                    Sent::Right => forger.with_pair(AvId::CHANNEL_BINDINGS, &right),
                    Sent::Wrong => forger.with_pair(AvId::CHANNEL_BINDINGS, &[9; 16]),
                    Sent::Zeros => forger.with_pair(AvId::CHANNEL_BINDINGS, &[0; 16]),
                    Sent::Nothing => forger,
                },
            );
            let refusal = match (requirement, sent) {
                (Off, _) | (_, Sent::Right) | (WhenSupported, Sent::Nothing) => None,
                (_, Sent::Zeros) => missing(true),
                (_, Sent::Nothing) => missing(false),
                (_, Sent::Wrong) => {
                    assert_eq!(peer_error(outcome), PeerMisbehaved::ChannelBindingsDiffer);
                    continue;
                }
            };
            match refusal {
                None => {
                    let absent = matches!(sent, Sent::Zeros | Sent::Nothing);
                    let attributes = acceptor_attributes(&outcome.unwrap());
                    assert_eq!(
                        attributes.contains(AcceptorAttributes::MISSING_BINDINGS),
                        absent,
                        "{requirement:?} {sent:?}"
                    );
                }
                Some(expected) => {
                    let error = outcome.unwrap_err();
                    assert_eq!(error.status(), SecurityStatus::SEC_E_BAD_BINDINGS);
                    assert_eq!(*cause::<PolicyError>(&error), expected, "{sent:?}");
                }
            }
        }
    }
}

#[test]
fn both_callers_bindings_have_to_be_the_same() {
    let world = World::new();
    for (ours, theirs, refused) in [
        (bindings(b"one"), bindings(b"one"), false),
        (bindings(b"one"), bindings(b"two"), true),
        (None, bindings(b"two"), true),
        (bindings(b"one"), None, false),
        (None, None, false),
    ] {
        let mut wishes = Wishes::full();
        wishes.initiator_bindings = ours;
        wishes.acceptor_bindings = theirs;
        let mut sides = world.sides(wishes);
        if refused {
            let status = sides.refusal().status();
            assert_eq!(status, SecurityStatus::SEC_E_BAD_BINDINGS);
        } else {
            sides.establish();
        }
    }
}

#[test]
fn behind_a_proxy_bindings_are_demanded_and_not_compared() {
    let world = World::new();
    for (ours, empty) in [(bindings(b"of the proxy"), false), (None, true)] {
        let mut wishes = Wishes::full();
        wishes.initiator_bindings = ours;
        wishes.acceptor = AcceptorRequirements::PROXY_BINDINGS;
        let mut sides = world.sides(wishes);
        if empty {
            let expected = PolicyError::ChannelBindingsMissing { empty };
            assert_eq!(*cause::<PolicyError>(&sides.refusal()), expected);
        } else {
            sides.establish();
        }
    }
}

/// Conformance row 36: the acceptor's side of it.
#[test]
fn row_36_the_target_is_one_of_the_acceptors_names() {
    for (accepted, target, requirement, right) in [
        (TARGET, TARGET, Requirement::Always, true),
        ("http/WEB.example.com", TARGET, Requirement::Always, true),
        ("*/web.example.com", TARGET, Requirement::Always, true),
        (
            TARGET,
            "HTTP/web.example.com:8080@REALM",
            Requirement::Always,
            true,
        ),
        (
            "HTTP/web.example.com:80",
            "HTTP/web.example.com:8080",
            Requirement::Always,
            false,
        ),
        (
            "cifs/web.example.com",
            TARGET,
            Requirement::WhenSupported,
            false,
        ),
        (
            "HTTP/other.example.com",
            TARGET,
            Requirement::WhenSupported,
            false,
        ),
        ("HTTP/other.example.com", TARGET, Requirement::Off, true),
    ] {
        let world = World::with(|config| {
            config
                .with_policy(allowed().target_name(requirement))
                .with_target_names([accepted])
        });
        let mut wishes = Wishes::full();
        wishes.target = Some(target);
        let mut sides = world.sides(wishes);
        if right {
            sides.establish();
            continue;
        }
        let error = sides.refusal();
        assert_eq!(error.status(), SecurityStatus::SEC_E_WRONG_PRINCIPAL);
        assert_eq!(
            *cause::<PeerMisbehaved>(&error),
            PeerMisbehaved::TargetNameDiffers {
                found: target.to_owned(),
                accepted: accepted.to_owned()
            }
        );
    }
}

/// Conformance row 36: a name that the client does not vouch for is as good as none.
#[test]
fn row_36_an_unverified_or_missing_target_counts_as_none() {
    for (requirement, refused) in [
        (Requirement::WhenSupported, false),
        (Requirement::Always, true),
    ] {
        let world = World::with(|config| {
            config
                .with_policy(allowed().target_name(requirement))
                .with_target_names([TARGET])
        });
        let mut unverified = Wishes::full();
        unverified.initiator |= InitiatorRequirements::UNVERIFIED_TARGET_NAME;
        let mut none = Wishes::full();
        none.target = None;
        for wishes in [unverified, none] {
            let mut sides = world.sides(wishes);
            if refused {
                let error = sides.refusal();
                assert_eq!(
                    *cause::<PolicyError>(&error),
                    PolicyError::TargetNameMissing
                );
            } else {
                sides.establish();
            }
        }
    }
}

/// Conformance row 157.
#[test]
fn row_157_a_response_of_another_time_is_refused() {
    let hour = Duration::from_secs(3600);
    let world = World::with_policy(allowed().max_age(hour));
    for (seconds, fits) in [
        (0, true),
        (3600, true),
        (-3600, true),
        (3601, false),
        (-3601, false),
    ] {
        let time = FileTime::from(Timestamp::from_seconds(NOW + seconds));
        let outcome = forged(
            &mut world.sides(Wishes::none()),
            plain_flags(),
            |mut forger| {
                forger.timestamp = Some(time);
                forger
            },
        );
        if fits {
            outcome.unwrap();
            continue;
        }
        let error = outcome.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_TIME_SKEW);
        assert_eq!(
            *cause::<PeerMisbehaved>(&error),
            PeerMisbehaved::TimeDiffers {
                away: Duration::from_secs(3601),
                allowed: hour
            }
        );
    }
    let mut sides = world.sides(Wishes::full());
    let token = sides.up_to_authenticate();
    world.clock.advance(Duration::from_secs(3601));
    let error = sides.accept(Some(&token)).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_TIME_SKEW);
}

/// Conformance row 156.
#[test]
fn row_156_a_response_for_another_server_is_refused() {
    let world = World::new();
    let name = trihound_ntlm::message::text::to_utf16("OTHER");
    let outcome = forged(
        &mut world.sides(Wishes::none()),
        plain_flags(),
        |mut forger| {
            forger.without.push(AvId::NB_COMPUTER_NAME);
            forger.with_pair(AvId::NB_COMPUTER_NAME, &name)
        },
    );
    assert_eq!(
        peer_error(outcome),
        PeerMisbehaved::ServerNameDiffers {
            found: "OTHER".to_owned(),
            own: "WEB".to_owned()
        }
    );
}

/// Conformance row 147.
#[test]
fn row_147_short_keys_and_old_signatures_are_refused_where_messages_are_protected() {
    let world = World::new();
    let message = "NEGOTIATE";
    for (flag, expected) in [
        (
            NegotiateFlags::NEGOTIATE_128,
            Unprotected::KeysTooShort { message },
        ),
        (
            NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY,
            Unprotected::NoExtendedSessionSecurity { message },
        ),
    ] {
        let flags = (protected_flags() - flag) | NegotiateFlags::NEGOTIATE_56;
        let mut sides = world.sides(Wishes::none());
        let error = sides.accept(Some(&negotiate_of(flags))).0.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
        assert_eq!(*cause::<Unprotected>(&error), expected);
    }
    // Who only logs in needs no key.
    let flags = plain_flags() - NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY;
    forged(&mut world.sides(Wishes::none()), flags, |forger| forger).unwrap();
}

/// Conformance row 37: the acceptor's side of it.
#[test]
fn row_37_what_the_acceptors_caller_demands_the_client_has_to_offer() {
    let world = World::new();
    for (asked, attribute) in [
        (AcceptorRequirements::INTEGRITY, "INTEGRITY"),
        (AcceptorRequirements::SEQUENCE_DETECT, "INTEGRITY"),
        (AcceptorRequirements::CONFIDENTIALITY, "INTEGRITY"),
    ] {
        let mut wishes = Wishes::none();
        wishes.acceptor = asked;
        let mut sides = world.sides(wishes);
        let negotiate = sides.negotiate();
        let error = sides.accept(Some(&negotiate)).0.unwrap_err();
        assert_eq!(
            *cause::<Unprotected>(&error),
            Unprotected::Missing {
                attribute,
                message: "NEGOTIATE"
            }
        );
        let mut wishes = Wishes::full();
        wishes.acceptor = asked;
        world.sides(wishes).establish();
    }
}

/// Conformance rows 149 and 154: where nothing is protected the key is the one that both can compute,
/// whatever a client has in the field for its own.
#[test]
fn rows_149_and_154_without_protection_no_key_is_exchanged() {
    let world = World::new();
    let flags = plain_flags() | NegotiateFlags::NEGOTIATE_KEY_EXCH | NegotiateFlags::NEGOTIATE_128;
    for length in [0, 1, 15, 16] {
        let mut sides = world.sides(Wishes::none());
        forged(&mut sides, flags, |mut forger| {
            forger.key_length = length;
            forger
        })
        .unwrap();
    }
}

/// Conformance row 159.
#[test]
fn row_159_the_machine_tells_and_decides_nothing() {
    for (id, same) in [(Some([7; 32]), true), (None, false)] {
        let world = World::with(|config| match id {
            Some(id) => config.with_machine_id(id),
            None => config,
        });
        let mut sides = world.sides(Wishes::full());
        sides.establish();
        let uses = world.uses.take();
        assert_eq!(uses.last().unwrap().same_host, same);
    }
}

#[test]
fn flags_of_the_response_that_a_client_makes_up_are_ignored() {
    let world = World::new();
    let constrained = AvFlags::CONSTRAINED.bits().to_le_bytes();
    forged(&mut world.sides(Wishes::none()), plain_flags(), |forger| {
        forger.with_pair(AvId::FLAGS, &constrained)
    })
    .unwrap();
}

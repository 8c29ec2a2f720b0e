//! What the other side, or somebody between, may change: each has its exact error.

use trihound_asn1::{ApOptions, KerberosTime, Message, TicketFlags, ad_type, error_code, gss};
use trihound_crypto::{Enctype, md5};
use trihound_kerberos::{CredentialError, TokenError};
use trihound_krb5::{
    CredentialFailure, Error as KerberosError, InvalidMessage, PeerMisbehaved, PeerRefused, Policy,
    ReplayError,
};
use trihound_sspi::{
    AcceptorRequirements, ChannelBindings, ContextAttribute, InitiatorRequirements, SecurityStatus,
};

use crate::world::{
    HOUR, Leg, NOW, Sides, TicketSpec, Wishes, World, cause, failed, gss_checksum, if_relevant,
};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;

fn framed(message: &[u8]) -> Vec<u8> {
    gss::wrap_token(gss::KRB5_OID, [1, 0], message)
}

/// What the acceptor says of an AP-REQ of our own making.
fn accept(
    wishes: Wishes,
    options: ApOptions,
    change: impl FnOnce(&mut trihound_asn1::Authenticator),
) -> Leg {
    let world = World::new(AES256);
    let token = framed(&world.ap_req(options, change));
    Sides::new(&world, wishes).accept(Some(&token))
}

pub(crate) fn peer_fault(leg: Leg, status: SecurityStatus) -> PeerMisbehaved {
    match cause::<KerberosError>(&failed(leg, status)) {
        KerberosError::PeerMisbehaved(fault) => fault.clone(),
        other => panic!("{other:?}"),
    }
}

fn bindings(data: &[u8]) -> Option<Vec<u8>> {
    Some(ChannelBindings::application_data(data).to_buffer().unwrap())
}

/// The forged AP-REQ that the next tests change is itself accepted.
#[test]
fn an_unaltered_request_of_our_own_is_accepted() {
    let (outcome, _) = accept(Wishes::default(), ApOptions::empty(), |_| {});
    assert!(outcome.unwrap().established().is_some());
}

/// Conformance row 15: the checksum is there, of type 0x8003, and whole.
#[test]
fn the_gss_checksum_is_required() {
    let refuse = |change: fn(&mut trihound_asn1::Authenticator)| {
        peer_fault(
            accept(Wishes::default(), ApOptions::empty(), change),
            SecurityStatus::SEC_E_INVALID_TOKEN,
        )
    };
    assert_eq!(
        refuse(|authenticator| authenticator.cksum = None),
        PeerMisbehaved::ChecksumMissing
    );
    assert_eq!(
        refuse(|authenticator| {
            authenticator.cksum = Some(trihound_asn1::Checksum::new(16, vec![0; 12]));
        }),
        PeerMisbehaved::ChecksumTypeDiffers { found: 16 }
    );
    for length in 0..24 {
        let world = World::new(AES256);
        let message = world.ap_req(ApOptions::empty(), |authenticator| {
            let whole = gss_checksum(&[0; 16], 0).checksum;
            authenticator.cksum = Some(trihound_asn1::Checksum::new(
                0x8003,
                whole[..length].to_vec(),
            ));
        });
        let leg = Sides::new(&world, Wishes::default()).accept(Some(&framed(&message)));
        assert!(matches!(
            peer_fault(leg, SecurityStatus::SEC_E_INVALID_TOKEN),
            PeerMisbehaved::ChecksumMalformed(_)
        ));
    }
    // Conformance row 135: DELEG says that a credential follows, and none does.
    assert!(matches!(
        refuse(|authenticator| authenticator.cksum = Some(gss_checksum(&[0; 16], 1))),
        PeerMisbehaved::ChecksumMalformed(_)
    ));
}

/// Conformance row 16: right, wrong, absent, with each policy.
#[test]
fn channel_bindings_are_held_against_the_callers() {
    let allow = AcceptorRequirements::ALLOW_MISSING_BINDINGS;
    let proxy = AcceptorRequirements::PROXY_BINDINGS;
    let none = AcceptorRequirements::empty();
    let differ = Some(PeerMisbehaved::ChannelBindingsDiffer);
    let missing = Some(PeerMisbehaved::ChannelBindingsMissing);
    for (ours, theirs, policy, expected) in [
        (bindings(b"one"), bindings(b"one"), none, None),
        (bindings(b"one"), bindings(b"two"), none, differ.clone()),
        (bindings(b"one"), bindings(b"two"), allow, differ),
        (None, bindings(b"one"), none, missing.clone()),
        (None, bindings(b"one"), allow, None),
        (bindings(b"one"), None, none, None),
        (None, None, none, None),
        (bindings(b"proxy"), bindings(b"one"), proxy, None),
        (bindings(b"proxy"), None, proxy, None),
        (None, None, proxy, missing),
    ] {
        let world = World::new(AES256);
        let mut wishes = Wishes::full();
        (wishes.initiator_bindings, wishes.acceptor_bindings) = (ours, theirs);
        wishes.acceptor |= policy;
        let mut sides = Sides::new(&world, wishes);
        let (_, token) = sides.initialize(None);
        let leg = sides.accept(Some(&token));
        match expected {
            None => assert!(leg.0.unwrap().established().is_some()),
            Some(expected) => {
                assert_eq!(
                    peer_fault(leg, SecurityStatus::SEC_E_BAD_BINDINGS),
                    expected
                );
            }
        }
    }
}

/// Conformance row 17: a client that says it binds, and whose bindings are gone.
#[test]
fn stripped_channel_bindings_are_noticed() {
    let mut wishes = Wishes {
        acceptor_bindings: bindings(b"one"),
        acceptor: AcceptorRequirements::ALLOW_MISSING_BINDINGS,
        ..Wishes::default()
    };
    let options = 0x4000_u32.to_le_bytes().to_vec();
    let leg = accept(wishes.clone(), ApOptions::empty(), |authenticator| {
        authenticator.authorization_data =
            Some(if_relevant(ad_type::AD_AUTH_DATA_AP_OPTIONS, options));
    });
    assert_eq!(
        peer_fault(leg, SecurityStatus::SEC_E_BAD_BINDINGS),
        PeerMisbehaved::ChannelBindingsStripped
    );
    wishes.acceptor_bindings = None;
    assert!(accept(wishes, ApOptions::empty(), |_| {}).0.is_ok());
}

/// The hash of the bindings is MD5 over the layout of RFC 4121 section 4.1.1.2.
#[test]
fn the_hash_of_the_bindings_is_that_of_the_standard() {
    let mut image = vec![0; 16];
    image.extend_from_slice(&3_u32.to_le_bytes());
    image.extend_from_slice(b"one");
    let hash = md5(&[&image]);
    let wishes = Wishes {
        acceptor_bindings: bindings(b"one"),
        ..Wishes::default()
    };
    let leg = accept(wishes, ApOptions::empty(), |authenticator| {
        authenticator.cksum = Some(gss_checksum(&hash, 0));
    });
    assert!(leg.0.is_ok());
}

/// Conformance rows 8 and 10: another client's authenticator, and one of another time.
#[test]
fn the_authenticator_is_checked() {
    let leg = accept(Wishes::default(), ApOptions::empty(), |authenticator| {
        authenticator.cname = crate::world::principal("mallory").name;
    });
    assert!(matches!(
        peer_fault(leg, SecurityStatus::SEC_E_LOGON_DENIED),
        PeerMisbehaved::ClientsDiffer { .. }
    ));
    for skew in [-301, 302] {
        let leg = accept(Wishes::default(), ApOptions::empty(), |authenticator| {
            authenticator.ctime = KerberosTime::from_seconds(NOW + skew);
        });
        assert!(matches!(
            peer_fault(leg, SecurityStatus::SEC_E_TIME_SKEW),
            PeerMisbehaved::ClockSkew { skew: 300, .. }
        ));
    }
}

/// Conformance row 105: a ticket under a session key is for user-to-user servers.
#[test]
fn user_to_user_is_refused() {
    let leg = accept(Wishes::default(), ApOptions::USE_SESSION_KEY, |_| {});
    let error = failed(leg, SecurityStatus::SEC_E_NO_TGT_REPLY);
    assert!(matches!(
        cause(&error),
        KerberosError::Policy(Policy::UserToUserNotOffered)
    ));
}

/// Conformance row 11: the same AP-REQ twice; the peer is told, and so is its caller.
#[test]
fn a_replayed_request_is_refused() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    let (_, token) = sides.initialize(None);
    assert!(sides.accept(Some(&token)).0.is_ok());
    sides.acceptor = None;
    let (outcome, refusal) = sides.accept(Some(&token));
    let error = failed((outcome, Vec::new()), SecurityStatus::SEC_E_LOGON_DENIED);
    assert!(matches!(
        cause(&error),
        KerberosError::Replay(ReplayError::ReplayedAuthenticator { .. })
    ));
    let error = failed(
        sides.initialize(Some(&refusal)),
        SecurityStatus::SEC_E_LOGON_DENIED,
    );
    let KerberosError::PeerRefused(refused) = cause(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(refused.code, error_code::KRB_AP_ERR_REPEAT);
    // A second context is a new authenticator, which is no replay.
    let mut again = Sides::new(&world, Wishes::full());
    again.establish();
}

/// Conformance row 9: tickets that are over, not valid yet, or marked invalid.
#[test]
fn the_tickets_times_are_checked_by_the_acceptor() {
    let world = World::new(AES256);
    let refuse = |spec: &TicketSpec| {
        // The credentials say that all is well, so that the client sends the ticket.
        let ticket = world.forge(spec);
        let fresh = world.forge(&TicketSpec::default());
        let mut lying = std::sync::Arc::into_inner(fresh).unwrap();
        lying.ticket = ticket.ticket.clone();
        let mut sides = Sides::new(&world, Wishes::default());
        sides.client = world.client_with(std::sync::Arc::new(lying));
        let (_, token) = sides.initialize(None);
        sides.accept(Some(&token))
    };
    let spec = TicketSpec::default();
    let over = TicketSpec {
        end: NOW - 301,
        ..spec.clone()
    };
    assert!(matches!(
        peer_fault(refuse(&over), SecurityStatus::SEC_E_CONTEXT_EXPIRED),
        PeerMisbehaved::TicketExpired { .. }
    ));
    let early = TicketSpec {
        start: NOW + 301,
        ..spec.clone()
    };
    assert!(matches!(
        peer_fault(refuse(&early), SecurityStatus::SEC_E_TIME_SKEW),
        PeerMisbehaved::TicketNotYetValid { .. }
    ));
    let invalid = TicketSpec {
        flags: TicketFlags::INVALID,
        ..spec.clone()
    };
    assert!(matches!(
        peer_fault(refuse(&invalid), SecurityStatus::SEC_E_LOGON_DENIED),
        PeerMisbehaved::TicketInvalid { .. }
    ));
    let within_skew = TicketSpec {
        end: NOW - 299,
        ..spec
    };
    assert!(refuse(&within_skew).0.is_ok());
}

/// A client does not even show a ticket that is over.
#[test]
fn an_expired_ticket_is_not_used() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    world.clock.advance(HOUR);
    let error = failed(sides.initialize(None), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(matches!(
        cause(&error),
        CredentialError::NoTicketGrantingTicket { .. }
    ));
}

/// Conformance row 7: another key version, another service, and keys of nobody.
#[test]
fn the_key_has_to_fit_the_ticket() {
    let world = World::new(AES256);
    let refuse = |spec: &TicketSpec, wishes: Wishes| {
        let mut sides = Sides::new(&world, wishes);
        let ticket = world.forge(spec);
        sides.client = world.client_with(ticket);
        let (_, token) = sides.initialize(None);
        let (outcome, refusal) = sides.accept(Some(&token));
        let error = failed((outcome, Vec::new()), SecurityStatus::SEC_E_NO_KERB_KEY);
        assert!(matches!(
            cause(&error),
            KerberosError::Credential(CredentialFailure::NoKeyForTicket { .. })
        ));
        (sides, refusal)
    };
    let spec = TicketSpec {
        kvno: 9,
        ..TicketSpec::default()
    };
    let (_, silent) = refuse(&spec, Wishes::default());
    assert!(silent.is_empty());
    let (mut sides, refusal) = refuse(&spec, Wishes::full());
    let error = failed(
        sides.initialize(Some(&refusal)),
        SecurityStatus::SEC_E_WRONG_PRINCIPAL,
    );
    assert!(matches!(cause(&error), KerberosError::PeerRefused(refused)
        if matches!(&**refused, PeerRefused { code: error_code::KRB_AP_ERR_NOKEY, .. })));
    // The useless ticket is forgotten, so the next context asks for another.
    sides.initiator = None;
    let error = failed(sides.initialize(None), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(matches!(
        cause(&error),
        CredentialError::NoTicketGrantingTicket { .. }
    ));
}

/// EXTENDED_ERROR has a client told that does not wait for an answer.
#[test]
fn extended_error_tells_a_client_that_waits_for_nothing() {
    for wanted in [false, true] {
        let mut wishes = Wishes::default();
        wishes
            .acceptor
            .set(AcceptorRequirements::EXTENDED_ERROR, wanted);
        let leg = accept(wishes, ApOptions::empty(), |authenticator| {
            authenticator.ctime = KerberosTime::from_seconds(NOW - 1000);
        });
        assert_eq!(!leg.1.is_empty(), wanted);
        if wanted {
            let token = gss::unwrap_token(&leg.1).unwrap();
            assert_eq!(token.tok_id, [3, 0]);
            let error = trihound_asn1::KrbError::from_der(token.inner).unwrap();
            assert_eq!(error.error_code, error_code::KRB_AP_ERR_SKEW);
            assert_eq!(error.stime.seconds(), NOW);
            assert!(error.e_text.is_none() && error.e_data.is_none());
        }
        failed(leg, SecurityStatus::SEC_E_TIME_SKEW);
    }
}

/// Conformance rows 46 and 189: whichever byte of the AP-REQ is altered, no context comes of it.
#[test]
fn any_altered_byte_of_the_request_is_refused() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    let (_, token) = sides.initialize(None);
    let mut accepted = Vec::new();
    for at in 0..token.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut altered = token.clone();
            altered[at] ^= bit;
            sides.acceptor = None;
            if sides.accept(Some(&altered)).0.is_ok() {
                accepted.push(at);
            }
        }
    }
    // The clear names and the AP-REQ's options are not under any MAC (RFC 4120 section 5.5.1); the
    // first of them to get through makes a replay of all others.
    assert!(accepted.len() <= 1, "{accepted:?}");
    for length in 0..token.len() {
        sides.acceptor = None;
        assert!(sides.accept(Some(&token[..length])).0.is_err());
    }
}

pub(crate) fn token_fault(leg: Leg) -> TokenError {
    cause::<TokenError>(&failed(leg, SecurityStatus::SEC_E_INVALID_TOKEN)).clone()
}

/// Conformance rows 119 to 121: framing, mechanism, leg, and tokens that are not due.
#[test]
fn the_framing_is_checked() {
    let world = World::new(AES256);
    let message = world.ap_req(ApOptions::empty(), |_| {});
    let refuse =
        |token: Option<&[u8]>| token_fault(Sides::new(&world, Wishes::default()).accept(token));
    assert_eq!(refuse(None), TokenError::Missing { expected: "AP-REQ" });
    assert_eq!(
        refuse(Some(b"")),
        TokenError::Missing { expected: "AP-REQ" }
    );
    assert_eq!(refuse(Some(&message)), TokenError::FramingMissing);
    assert_eq!(refuse(Some(b"garbage")), TokenError::FramingMissing);
    let mut longer = framed(&message);
    longer.push(0);
    assert!(matches!(refuse(Some(&longer)), TokenError::Framing(_)));
    assert_eq!(
        refuse(Some(&gss::wrap_token(gss::SPNEGO_OID, [1, 0], &message))),
        TokenError::OtherMechanism
    );
    assert_eq!(
        refuse(Some(&gss::wrap_token(gss::KRB5_OID, [2, 0], &message))),
        TokenError::OtherLeg {
            expected: "AP-REQ",
            found: [2, 0]
        }
    );
    let message = world.ap_req(ApOptions::empty(), |authenticator| authenticator.cusec = 6);
    let microsoft = gss::wrap_token(gss::MS_KRB5_OID, [1, 0], &message);
    assert!(
        Sides::new(&world, Wishes::default())
            .accept(Some(&microsoft))
            .0
            .is_ok()
    );
}

/// Conformance rows 22 and 119: the initiator gets its own token back, or none, or one too many.
#[test]
fn unexpected_continuation_tokens_are_refused() {
    let world = World::new(AES256);
    let started = |wishes: Wishes| {
        let mut sides = Sides::new(&world, wishes);
        let (_, token) = sides.initialize(None);
        (sides, token)
    };
    let (mut sides, token) = started(Wishes::full());
    assert_eq!(
        token_fault(sides.initialize(Some(&token))),
        TokenError::OtherLeg {
            expected: "AP-REP",
            found: [1, 0]
        }
    );
    let (mut sides, _) = started(Wishes::full());
    assert_eq!(
        token_fault(sides.initialize(None)),
        TokenError::Missing { expected: "AP-REP" }
    );
    let (mut sides, _) = started(Wishes::full());
    assert_eq!(
        token_fault(sides.initialize(Some(&[0x6f, 0]))),
        TokenError::FramingMissing
    );
    let (mut sides, token) = started(Wishes::dce());
    let error = failed(
        sides.initialize(Some(&token)),
        SecurityStatus::SEC_E_INVALID_TOKEN,
    );
    assert!(matches!(
        cause(&error),
        KerberosError::InvalidMessage(InvalidMessage::Unexpected {
            found: Some(0x6e),
            ..
        })
    ));
    let mut sides = Sides::new(&world, Wishes::full());
    sides.establish();
    assert_eq!(
        token_fault(sides.accept(Some(b"more"))),
        TokenError::AfterEstablishment { length: 4 }
    );
    assert_eq!(
        token_fault(sides.initialize(Some(b"more"))),
        TokenError::AfterEstablishment { length: 4 }
    );
}

/// Conformance row 118: after a failed leg nothing is left, and deleting still works.
#[test]
fn a_failed_handshake_leaves_nothing() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    let (_, _) = sides.initialize(None);
    failed(
        sides.initialize(Some(b"junk")),
        SecurityStatus::SEC_E_INVALID_TOKEN,
    );
    let context = sides.initiator.unwrap();
    failed(sides.initialize(None), SecurityStatus::SEC_E_INVALID_HANDLE);
    let error = world
        .table
        .query_context_attributes(context, ContextAttribute::Sizes)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
    world.table.delete_security_context(context).unwrap();
    assert_eq!(world.package.live().1, 0);
}

/// Conformance row 58: a ticket of a weak enctype, where policy does not let it in.
#[test]
fn weak_enctypes_need_permission() {
    let world = World::new(Enctype::RC4_HMAC);
    Sides::new(&world, Wishes::full()).establish();
    let strict = World::with_policy(Enctype::RC4_HMAC, trihound_crypto::EnctypePolicy::default());
    let mut sides = Sides::new(&strict, Wishes::full());
    let error = failed(
        sides.initialize(None),
        SecurityStatus::SEC_E_ALGORITHM_MISMATCH,
    );
    assert!(matches!(
        cause(&error),
        KerberosError::Policy(Policy::EnctypeNotPermitted { .. })
    ));
    let (_, token) = Sides::new(&world, Wishes::full()).initialize(None);
    let error = failed(
        sides.accept(Some(&token)),
        SecurityStatus::SEC_E_ALGORITHM_MISMATCH,
    );
    assert!(matches!(
        cause(&error),
        KerberosError::Policy(Policy::EnctypeNotPermitted { .. })
    ));
}

/// A name that is no service, or that carries marshalled target information.
#[test]
fn bad_target_names_are_refused() {
    use trihound_sspi::{InitializeRequest, SecBuffer, SecBufferDesc};
    let world = World::new(AES256);
    let client = world.client();
    for target in [
        None,
        Some("localhost"),
        Some("HTTP/localhost1UWhRCAAAAAAAAAAUAAAAAAAAAAAAAAAA"),
    ] {
        let mut memory = [0; 4000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let request = InitializeRequest {
            target_name: target,
            requirements: InitiatorRequirements::empty(),
            ..InitializeRequest::default()
        };
        let error = world
            .table
            .initialize_security_context(
                Some(client),
                None,
                request,
                &mut SecBufferDesc::new(&mut buffers),
            )
            .unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    }
}

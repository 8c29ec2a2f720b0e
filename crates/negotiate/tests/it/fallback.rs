//! When an initiator goes on to the next mechanism, and when it does not.

use trihound_negotiate::{Fallback, NegotiatePolicy, NegotiationFailed, PolicyError};
use trihound_sansio::Reply;
use trihound_sspi::{
    AcquireRequest, CredentialUse, Error, MechListMic, RegisteredPackage, SecurityStatus, Step,
};

use crate::toy::{BETA, GAMMA, Script, Toy};
use crate::world::{Side, Who, assert_agreed, exchange, init, nobody, resp, run, unchanged};

fn failing(status: SecurityStatus) -> RegisteredPackage<Toy> {
    Toy::alpha(Script {
        initiate: Some(status),
        ..Script::default()
    })
}

fn beta() -> RegisteredPackage<Toy> {
    Toy::beta(Script::default())
}

fn both() -> Side {
    Side::new(vec![Toy::alpha(Script::default()), beta()])
}

fn tried(error: &Error) -> Vec<(String, SecurityStatus)> {
    let failed: &NegotiationFailed = error.find_source().expect("NegotiationFailed");
    failed
        .tried
        .iter()
        .map(|attempt| (attempt.package.clone(), attempt.error.status()))
        .collect()
}

/// Conformance row 173: what failed before a token of it was out is taken off the list, and the next
/// mechanism learns why it is used.
#[test]
fn an_unknown_target_leads_to_the_next_mechanism_which_learns_why() {
    for status in [
        SecurityStatus::SEC_E_TARGET_UNKNOWN,
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY,
        SecurityStatus::SEC_E_NO_CREDENTIALS,
    ] {
        let mut client = Side::new(vec![failing(status), beta(), Toy::gamma(Script::default())]);
        // An acceptor whose best mechanism is the one that the client has left.
        let mut server = Side::new(vec![beta()]);
        let ran = run(&mut client, &mut server, &unchanged);
        ran.end.unwrap();
        assert_eq!(init(&ran.tokens[0]).mech_types, [BETA, GAMMA]);
        assert_eq!(client.toy("Beta").log().reasons, [Some(status)]);
        assert_agreed(&client, &server, "Beta");
    }
}

/// Conformance rows 28 and 167 (RFC 4178 section 5): after a fallback the acceptor, which would have liked
/// the first mechanism better, asks for MICs, and the list of the second one alone is what they cover.
#[test]
fn an_acceptor_with_a_better_mechanism_asks_for_mics() {
    let status = SecurityStatus::SEC_E_TARGET_UNKNOWN;
    let mut client = Side::new(vec![failing(status), beta()]);
    let mut server = both();
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    assert_eq!(ran.tokens.len(), 3);
    assert!(resp(&ran.tokens[1]).mech_list_mic.is_some());
    assert!(resp(&ran.tokens[2]).mech_list_mic.is_some());
    assert_agreed(&client, &server, "Beta");
}

/// Conformance row 173: a wrong password, a failed proof, a skewed clock end it; the text has the reason.
#[test]
fn a_refusal_or_a_failed_proof_never_falls_back() {
    for status in [
        SecurityStatus::SEC_E_LOGON_DENIED,
        SecurityStatus::SEC_E_MUTUAL_AUTH_FAILED,
        SecurityStatus::SEC_E_WRONG_PRINCIPAL,
        SecurityStatus::SEC_E_MESSAGE_ALTERED,
        SecurityStatus::SEC_E_DOWNGRADE_DETECTED,
        SecurityStatus::SEC_E_TIME_SKEW,
        SecurityStatus::SEC_E_INTERNAL_ERROR,
    ] {
        let mut client = Side::new(vec![failing(status), beta()]);
        let (step, token) = client.initialize(None);
        let error = step.unwrap_err();
        assert_eq!(error.status(), status);
        assert_eq!(tried(&error), [("Alpha".to_owned(), status)]);
        assert!(error.text().contains("the toy Alpha says so"), "{error}");
        assert!(token.is_empty());
        assert_eq!(client.toy("Beta").log().begun, 0, "{status}");
    }
}

/// Conformance row 173: the owner's policy is asked, and then the second mechanism is not offered either.
#[test]
fn a_policy_of_no_fallback_offers_one_mechanism_and_ends_with_it() {
    let policy = || NegotiatePolicy::default().with_fallback(Fallback::Never);
    let status = SecurityStatus::SEC_E_TARGET_UNKNOWN;
    let mut client = Side::with_policy(vec![failing(status), beta()], policy());
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(tried(&error), [("Alpha".to_owned(), status)]);
    assert_eq!(client.toy("Beta").log().begun, 0);

    let toys = vec![beta(), Toy::gamma(Script::default())];
    let mut client = Side::with_policy(toys, policy());
    let (step, token) = client.initialize(None);
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    assert_eq!(init(&token).mech_types, [BETA]);
}

/// The error of a failed negotiation has the reason of each mechanism, in the order tried, and the status of
/// the last one that was begun.
#[test]
fn the_error_tells_of_every_mechanism() {
    let mut client = Side::new(vec![
        failing(SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY),
        Toy::beta(Script {
            acquire: Some(SecurityStatus::SEC_E_LOGON_DENIED),
            ..Script::default()
        }),
        Toy::gamma(Script {
            initiate: Some(SecurityStatus::SEC_E_NO_CREDENTIALS),
            ..Script::default()
        }),
    ]);
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(
        tried(&error),
        [
            (
                "Alpha".to_owned(),
                SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
            ),
            ("Beta".to_owned(), SecurityStatus::SEC_E_LOGON_DENIED),
            ("Gamma".to_owned(), SecurityStatus::SEC_E_NO_CREDENTIALS),
        ]
    );
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    for name in ["Alpha failed", "Beta has no credential", "Gamma failed"] {
        assert!(error.text().contains(name), "{error}");
    }
}

/// A mechanism whose credential is not to be had for an odd reason is not passed over in silence.
#[test]
fn a_preferred_mechanism_that_is_broken_is_told_and_not_passed_over() {
    let broken = Toy::alpha(Script {
        acquire: Some(SecurityStatus::SEC_E_INTERNAL_ERROR),
        ..Script::default()
    });
    let mut client = Side::new(vec![broken, beta()]);
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INTERNAL_ERROR);
    assert_eq!(client.toy("Beta").log().begun, 0);
}

/// A mechanism without a credential is passed over, and the reason goes along to the one that is used.
#[test]
fn a_mechanism_without_a_credential_is_passed_over() {
    let absent = Toy::alpha(Script {
        acquire: Some(SecurityStatus::SEC_E_NO_CREDENTIALS),
        ..Script::default()
    });
    let mut client = Side::new(vec![absent, beta()]);
    let (step, token) = client.initialize(None);
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    assert_eq!(init(&token).mech_types, [BETA]);
    assert_eq!(
        client.toy("Beta").log().reasons,
        [Some(SecurityStatus::SEC_E_NO_CREDENTIALS)]
    );
}

/// A target that is an IP address leads past a mechanism that needs host names, as on Windows; the
/// mechanism is not even asked, nor offered.
#[test]
fn an_address_leads_past_mechanisms_that_need_a_host_name() {
    let picky = || {
        Toy::alpha(Script {
            needs_host_name: true,
            ..Script::default()
        })
    };
    for target in [
        "HTTP/192.0.2.7",
        "HTTP/192.0.2.7:8080",
        "cifs/[2001:db8::7]",
    ] {
        for toys in [vec![picky(), beta()], vec![beta(), picky()]] {
            let mut client = Side::new(toys);
            client.target = target.to_owned();
            let (step, token) = client.initialize(None);
            assert!(matches!(step, Ok(Step::ContinueNeeded)), "{step:?}");
            assert_eq!(init(&token).mech_types, [BETA]);
            assert_eq!(client.toy("Alpha").log().begun, 0);
        }
    }
    let mut client = Side::new(vec![picky()]);
    client.target = "HTTP/192.0.2.7".to_owned();
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    let cause: &PolicyError = error.find_source().unwrap();
    assert!(matches!(cause, PolicyError::TargetIsAddress { .. }));
}

/// A KDC that does not answer leads on, since nothing of the mechanism is out; the reply goes through
/// untouched.
#[test]
fn a_round_trip_that_fails_leads_on_before_the_first_token() {
    let asks = Script {
        initiator_asks: true,
        ..Script::default()
    };
    for (reply, status) in [
        (None, SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY),
        (Some(&b"unknown"[..]), SecurityStatus::SEC_E_TARGET_UNKNOWN),
    ] {
        let mut client = Side::new(vec![Toy::alpha(asks.clone()), beta()]);
        let (step, _) = client.initialize(None);
        assert_eq!(exchange(&step).realm, "Alpha");
        let failure = nobody();
        let reply = reply.map_or(Reply::Failed(&failure), Reply::Bytes);
        let (step, token) = client.complete(reply);
        assert!(matches!(step, Ok(Step::ContinueNeeded)), "{step:?}");
        assert_eq!(init(&token).mech_types, [BETA]);
        assert_eq!(client.toy("Beta").log().reasons, [Some(status)]);
        assert_eq!(client.live_contexts(), 1);
    }
}

/// Conformance row 173: the KDC's answer to a wrong password is no reason to show it to another mechanism.
#[test]
fn a_round_trip_that_refuses_does_not_lead_on() {
    let asks = Script {
        initiator_asks: true,
        ..Script::default()
    };
    let mut client = Side::new(vec![Toy::alpha(asks), beta()]);
    let (step, _) = client.initialize(None);
    exchange(&step);
    let error = client
        .complete(Reply::Bytes(b"wrong password"))
        .0
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    assert_eq!(client.toy("Beta").log().begun, 0);
    assert_eq!(client.live_contexts(), 0);
    // The handshake failed: the handle is good for deleting only.
    let again = client.initialize(None).0.unwrap_err();
    assert_eq!(again.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
}

/// Conformance row 173: once a token of the mechanism is out, no failure leads on, not even one that the
/// table has.
#[test]
fn after_the_first_token_nothing_leads_on() {
    let asks_later = Script {
        legs: 3,
        asks_before: Some(3),
        ..Script::default()
    };
    let mut client = Side::new(vec![Toy::alpha(asks_later.clone()), beta()]);
    let mut server = Side::new(vec![Toy::alpha(asks_later), beta()]);
    let (_, token) = client.initialize(None);
    let (_, token) = server.accept(Some(&token));
    let (step, _) = client.initialize(Some(&token));
    exchange(&step);
    let failure = nobody();
    let error = client.complete(Reply::Failed(&failure)).0.unwrap_err();
    let status = SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY;
    assert_eq!(error.status(), status);
    assert_eq!(tried(&error), [("Alpha".to_owned(), status)]);
    assert_eq!(client.toy("Beta").log().begun, 0);
}

/// An acceptor whose mechanism failed does not try the next one: the client chose, and what failed was
/// that choice's proof.
#[test]
fn an_acceptor_does_not_go_on_after_a_failure() {
    let mut client = both();
    let refusing = Script {
        refuse_leg: Some(1),
        ..Script::default()
    };
    let mut server = Side::new(vec![Toy::alpha(refusing), beta()]);
    let ran = run(&mut client, &mut server, &unchanged);
    let (who, error) = ran.error();
    assert_eq!(who, Who::Acceptor);
    assert_eq!(
        tried(error),
        [("Alpha".to_owned(), SecurityStatus::SEC_E_LOGON_DENIED)]
    );
    assert_eq!(server.toy("Beta").log().begun, 0);
}

/// INTEGRITY is asked of the mechanism for the mechListMIC's sake, unless the caller wants none.
#[test]
fn integrity_is_asked_for_unless_the_caller_wants_none() {
    use trihound_sspi::InitiatorRequirements as R;
    for (asked, integrity) in [
        (R::empty(), true),
        (R::NO_INTEGRITY, false),
        (R::MUTUAL_AUTH, true),
    ] {
        let mut client = both();
        client.initiator = asked;
        let _ = client.initialize(None).0.unwrap();
        let told = client.toy("Alpha").log().initiator_asked[0];
        assert_eq!(told.contains(R::INTEGRITY), integrity, "{asked:?}");
        assert!(told.contains(asked));
    }
}

/// What was said of impersonation and of the outer reason goes down; a credential for the other direction
/// is told apart.
#[test]
fn a_credential_of_the_other_direction_is_refused() {
    let mut client = both();
    client
        .acquire(AcquireRequest::new(CredentialUse::INBOUND))
        .unwrap();
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(error.text().contains("outbound"), "{error}");
    let mut server = both();
    server
        .acquire(AcquireRequest::new(CredentialUse::OUTBOUND))
        .unwrap();
    let error = server.accept(Some(b"x")).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(error.text().contains("inbound"), "{error}");
}

/// After a fallback the mechanism that is left is the first of its list: without integrity it needs no MIC.
#[test]
fn a_mechanism_without_integrity_may_follow_a_fallback() {
    let plain = Script {
        mic: MechListMic::Impossible,
        ..Script::default()
    };
    let status = SecurityStatus::SEC_E_TARGET_UNKNOWN;
    let mut client = Side::new(vec![failing(status), Toy::beta(plain.clone())]);
    let mut server = Side::new(vec![Toy::alpha(Script::default()), Toy::beta(plain)]);
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    assert!(
        ran.tokens[1..]
            .iter()
            .all(|token| resp(token).mech_list_mic.is_none())
    );
}

/// Conformance row 93: a target with marshalled target information, which one mechanism refuses as
/// unknown, is not handed to the next.
#[test]
fn a_marshalled_target_leads_nowhere() {
    let mut client = both();
    client.target = "cifs/web1UWhRCAAAAAAAAAAAAAAAAAAAAAAAAAAAAYBAAAA".to_owned();
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    let cause: &PolicyError = error.find_source().unwrap();
    assert!(matches!(cause, PolicyError::MarshalledTarget));
    assert_eq!(client.toy("Alpha").log().begun, 0);
    assert_eq!(client.toy("Beta").log().begun, 0);
}

/// A mechanism that cannot read the user's name (Kerberos without a realm: a workgroup) is left out, and the
/// reason goes along.
#[test]
fn a_mechanism_that_cannot_read_the_name_is_left_out() {
    let workgroup = Toy::alpha(Script {
        acquire: Some(SecurityStatus::SEC_E_INVALID_PARAMETER),
        ..Script::default()
    });
    let mut client = Side::new(vec![workgroup, beta()]);
    let (step, token) = client.initialize(None);
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    assert_eq!(init(&token).mech_types, [BETA]);
    assert_eq!(
        client.toy("Beta").log().reasons,
        [Some(SecurityStatus::SEC_E_INVALID_PARAMETER)]
    );
}

//! For every fault of the KDC, the check of Trihound's exchanges that notices it.

use crate::client::{
    REALM, alice, as_client, environment, environment_at, log_in, logged_in, service, ticket,
    two_realms, without_timesync,
};
use crate::support::{advance, builder, clock};
use std::sync::Arc;
use std::time::Duration;
use trihound_asn1::{TicketFlags, error_code};
use trihound_crypto::{Enctype, EnctypePolicy};
use trihound_krb5::{
    Config, CredentialFailure, Error, InvalidMessage, KdcMisbehaved, Principal, TgsRequest,
};
use trihound_test_realm::{Carrier, Fault, PrincipalOptions, Repeat, RequestKind, danger};

/// A fault, the row that it shows, and the error that must come of it.
struct Row {
    row: u32,
    kind: RequestKind,
    fault: Fault,
    noticed: fn(&Error) -> bool,
}

macro_rules! row {
    ($row:literal, $kind:ident, $fault:expr, $pattern:pat) => {
        Row {
            row: $row,
            kind: RequestKind::$kind,
            fault: $fault,
            noticed: |error| matches!(error, $pattern),
        }
    };
}

macro_rules! kdc {
    ($pattern:pat) => {
        Error::KdcMisbehaved($pattern)
    };
}

fn as_and_tgs_rows() -> Vec<Row> {
    let mallory = || "mallory".to_owned();
    let other = || "OTHER.TEST".to_owned();
    let hour = Duration::from_secs(3600);
    vec![
        row!(2, As, Fault::Nonce, kdc!(KdcMisbehaved::ReplyNonceDiffers)),
        row!(2, Tgs, Fault::Nonce, kdc!(KdcMisbehaved::ReplyNonceDiffers)),
        row!(
            3,
            As,
            Fault::ClientName(mallory()),
            kdc!(KdcMisbehaved::ClientDiffers { .. })
        ),
        row!(
            3,
            Tgs,
            Fault::ClientName(mallory()),
            kdc!(KdcMisbehaved::ClientDiffers { .. })
        ),
        row!(
            3,
            As,
            Fault::ClientRealm(other()),
            kdc!(KdcMisbehaved::ClientDiffers { .. })
        ),
        row!(
            3,
            Tgs,
            Fault::ClientRealm(other()),
            kdc!(KdcMisbehaved::ClientDiffers { .. })
        ),
        row!(
            4,
            As,
            Fault::ServerName("HTTP/evil".into()),
            kdc!(KdcMisbehaved::ServerDiffers { .. })
        ),
        row!(
            4,
            Tgs,
            Fault::ServerName("HTTP/evil".into()),
            kdc!(KdcMisbehaved::ServerDiffers { .. })
        ),
        row!(
            4,
            As,
            Fault::ServerName("krbtgt/OTHER.TEST".into()),
            kdc!(KdcMisbehaved::ServerDiffers { .. })
        ),
        row!(
            4,
            As,
            Fault::ServerRealm(other()),
            kdc!(KdcMisbehaved::ServerDiffers { .. })
        ),
        row!(
            4,
            Tgs,
            Fault::ServerRealm(other()),
            kdc!(KdcMisbehaved::ServerDiffers { .. })
        ),
        row!(
            1,
            As,
            Fault::TicketName("HTTP/evil".into()),
            kdc!(KdcMisbehaved::TicketServerDiffers { .. })
        ),
        row!(
            1,
            Tgs,
            Fault::TicketName("HTTP/evil".into()),
            kdc!(KdcMisbehaved::TicketServerDiffers { .. })
        ),
        row!(
            1,
            As,
            Fault::TicketRealm(other()),
            kdc!(KdcMisbehaved::TicketServerDiffers { .. })
        ),
        row!(
            1,
            Tgs,
            Fault::TicketRealm(other()),
            kdc!(KdcMisbehaved::TicketServerDiffers { .. })
        ),
        row!(
            5,
            As,
            Fault::EndTime(hour),
            kdc!(KdcMisbehaved::EndTimeBeyondRequest { .. })
        ),
        row!(
            5,
            Tgs,
            Fault::EndTime(hour),
            kdc!(KdcMisbehaved::EndTimeBeyondRequest { .. })
        ),
        row!(
            5,
            As,
            Fault::ExtraFlags(TicketFlags::FORWARDABLE),
            kdc!(KdcMisbehaved::FlagsBeyondRequest { .. })
        ),
        row!(
            5,
            Tgs,
            Fault::ExtraFlags(TicketFlags::PROXY),
            kdc!(KdcMisbehaved::FlagsBeyondRequest { .. })
        ),
        row!(
            5,
            As,
            Fault::ExtraFlags(TicketFlags::MAY_POSTDATE),
            kdc!(KdcMisbehaved::FlagsBeyondRequest { .. })
        ),
        row!(
            6,
            As,
            Fault::KeyUsage,
            kdc!(KdcMisbehaved::ReplyDoesNotDecrypt { .. })
        ),
        row!(
            6,
            Tgs,
            Fault::KeyUsage,
            kdc!(KdcMisbehaved::ReplyDoesNotDecrypt { .. })
        ),
        row!(
            6,
            As,
            Fault::AnotherKey,
            kdc!(KdcMisbehaved::ReplyDoesNotDecrypt { .. })
        ),
        row!(
            6,
            Tgs,
            Fault::AnotherKey,
            kdc!(KdcMisbehaved::ReplyDoesNotDecrypt { .. })
        ),
        row!(
            19,
            As,
            Fault::FlipEncryptedPart,
            kdc!(KdcMisbehaved::ReplyDoesNotDecrypt { .. })
        ),
        row!(
            19,
            Tgs,
            Fault::FlipEncryptedPart,
            kdc!(KdcMisbehaved::ReplyDoesNotDecrypt { .. })
        ),
        row!(
            66,
            As,
            Fault::ReplyEtype(Enctype::RC4_HMAC),
            kdc!(KdcMisbehaved::ReplyEnctypeNotRequested {
                enctype: Enctype::RC4_HMAC
            })
        ),
        row!(
            66,
            Tgs,
            Fault::ReplyEtype(Enctype::RC4_HMAC),
            kdc!(KdcMisbehaved::ReplyEnctypeNotRequested {
                enctype: Enctype::RC4_HMAC
            })
        ),
        row!(
            66,
            As,
            Fault::SessionEtype(Enctype::RC4_HMAC),
            kdc!(KdcMisbehaved::SessionEnctypeNotRequested {
                enctype: Enctype::RC4_HMAC
            })
        ),
        row!(
            66,
            Tgs,
            Fault::SessionEtype(Enctype::RC4_HMAC),
            kdc!(KdcMisbehaved::SessionEnctypeNotRequested {
                enctype: Enctype::RC4_HMAC
            })
        ),
        row!(
            75,
            As,
            Fault::RequestChecksum,
            kdc!(KdcMisbehaved::RequestChecksumDiffers)
        ),
        row!(
            75,
            As,
            Fault::RequestChecksumMissing,
            kdc!(KdcMisbehaved::RequestChecksumMissing)
        ),
        row!(
            104,
            As,
            Fault::ResponseTooBigAlways,
            kdc!(KdcMisbehaved::TooBigForStream)
        ),
        row!(
            104,
            Tgs,
            Fault::ResponseTooBigAlways,
            kdc!(KdcMisbehaved::TooBigForStream)
        ),
        row!(
            184,
            As,
            Fault::OtherMessageType,
            Error::InvalidMessage(InvalidMessage::Unexpected {
                found: Some(0x6d),
                ..
            })
        ),
        row!(
            184,
            Tgs,
            Fault::OtherMessageType,
            Error::InvalidMessage(InvalidMessage::Unexpected {
                found: Some(0x6b),
                ..
            })
        ),
        row!(184, As, Fault::Dead, Error::Unreachable(_)),
        row!(184, Tgs, Fault::Dead, Error::Unreachable(_)),
        row!(
            90,
            Tgs,
            // Asked again without canonicalization, and then no referral is an answer.
            Fault::ReferralTo(REALM.into()),
            kdc!(KdcMisbehaved::ServerDiffers { .. })
        ),
        row!(
            90,
            Tgs,
            Fault::ReferralFrom {
                to: "B.TEST".into(),
                issuer: other()
            },
            kdc!(KdcMisbehaved::ReferralFromOtherRealm { .. })
        ),
    ]
}

/// Conformance rows 1 to 6, 19, 66, 75, 90, 104 and 184: one thing is wrong at a time, and the
/// check that it breaks is the one that speaks.
#[test]
fn each_fault_is_noticed_by_its_own_check() {
    let mut missed = Vec::new();
    for row in as_and_tgs_rows() {
        let (realm, environment, tgt) = logged_in();
        realm.set_fault_for(row.kind, row.fault.clone(), Repeat::Always);
        let result = match row.kind {
            RequestKind::Tgs => service(&realm, &tgt, &environment).map(|_| ()),
            _ => log_in(&realm, alice(), &environment).map(|_| ()),
        };
        let what = format!("row {}, {:?} {:?}", row.row, row.kind, row.fault);
        match result {
            Ok(()) => missed.push(format!("{what}: accepted")),
            Err(error) if !(row.noticed)(&error) => missed.push(format!("{what}: {error:?}")),
            Err(_) => {}
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Conformance row 5: renew-till is compared with what was asked for.
#[test]
fn a_longer_renew_till_is_noticed() {
    let (realm, environment, _) = logged_in();
    realm.set_fault(Fault::RenewTill(Duration::from_secs(86_400)));
    let mut request = alice();
    request.renew_lifetime = Some(Duration::from_secs(2 * 86_400));
    let error = log_in(&realm, request, &environment).unwrap_err();
    assert!(
        matches!(error, kdc!(KdcMisbehaved::RenewTillBeyondRequest { .. })),
        "{error:?}"
    );
}

/// Conformance row 5: a start that is not now.
#[test]
fn a_start_time_that_is_off_is_noticed() {
    let (realm, _, _) = logged_in();
    let config = without_timesync();
    for seconds in [-301, 301] {
        realm.clear_faults();
        realm.set_fault(Fault::StartTime(seconds));
        let error = log_in(&realm, alice(), &environment(config.clone())).unwrap_err();
        assert!(
            matches!(error, kdc!(KdcMisbehaved::StartTimeDiffers { .. })),
            "{error:?}"
        );
    }
}

/// Conformance row 2: an old reply under the same long-term key confirms another request, one under
/// an old sub-key does not decrypt. `Fault::Nonce` shows the nonce's own check.
#[test]
fn an_old_reply_is_noticed() {
    let (realm, environment, tgt) = logged_in();
    service(&realm, &tgt, &environment).unwrap();
    realm.set_fault(Fault::StaleReply);
    let error = log_in(&realm, alice(), &environment).unwrap_err();
    assert!(
        matches!(error, kdc!(KdcMisbehaved::RequestChecksumDiffers)),
        "{error:?}"
    );
    let error = service(&realm, &tgt, &environment).unwrap_err();
    assert!(
        matches!(error, kdc!(KdcMisbehaved::ReplyDoesNotDecrypt { .. })),
        "{error:?}"
    );
}

/// Conformance row 68: an error that anybody may have made up is told, and nothing is weakened.
#[test]
fn errors_are_told_with_their_codes() {
    for code in [
        error_code::KDC_ERR_ETYPE_NOSUPP,
        error_code::KDC_ERR_CLIENT_REVOKED,
        error_code::KDC_ERR_POLICY,
        error_code::KRB_ERR_GENERIC,
        error_code::KDC_ERR_WRONG_REALM,
        error_code::KRB_AP_ERR_SKEW,
        12_345,
    ] {
        for kind in [RequestKind::As, RequestKind::Tgs] {
            let (realm, environment, tgt) = logged_in();
            let text = "made up".to_owned();
            realm.set_fault_for(kind, Fault::Error { code, text }, Repeat::Always);
            let error = match kind {
                RequestKind::As => log_in(&realm, alice(), &environment).unwrap_err(),
                _ => service(&realm, &tgt, &environment).unwrap_err(),
            };
            let Error::KdcRefused(refused) = error else {
                panic!("{code}: {error:?}");
            };
            assert_eq!(refused.code, code);
            assert_eq!(refused.e_text.as_deref(), Some("made up"));
        }
    }
}

/// Conformance row 70: a KDC that asks for ever is left.
#[test]
fn endless_preauthentication_ends() {
    let (realm, environment, _) = logged_in();
    let text = String::new();
    realm.set_fault(Fault::Error {
        code: error_code::KDC_ERR_PREAUTH_REQUIRED,
        text,
    });
    let error = log_in(&realm, alice(), &environment).unwrap_err();
    assert!(
        matches!(
            error,
            Error::InvalidMessage(InvalidMessage::MethodDataMissing)
        ),
        "{error:?}"
    );
    realm.clear_faults();
    realm.set_fault(Fault::Error {
        code: error_code::KDC_ERR_PREAUTH_EXPIRED,
        text: String::new(),
    });
    let error = log_in(&realm, alice(), &environment).unwrap_err();
    assert!(
        matches!(error, kdc!(KdcMisbehaved::TooManyPreauthRounds { .. })),
        "{error:?}"
    );
}

/// Conformance row 90: two realms that send each other the client.
#[test]
fn a_loop_of_referrals_ends() {
    let (here, there, environment, tgt) = two_realms();
    here.set_fault_for(
        RequestKind::Tgs,
        Fault::ReferralTo("B.TEST".into()),
        Repeat::Always,
    );
    there.set_fault_for(
        RequestKind::Tgs,
        Fault::ReferralTo(REALM.into()),
        Repeat::Always,
    );
    let server = Principal::service("HTTP", "web.b.test", "");
    let request = TgsRequest::new(tgt, server);
    let error = ticket(here.transport().and(&there), request, &environment).unwrap_err();
    assert!(
        matches!(error, kdc!(KdcMisbehaved::ReferralLoop { .. })),
        "{error:?}"
    );
}

/// Conformance row 64: the password is not used for a type that was not offered (row 66), and a
/// wrong one is told as such.
#[test]
fn a_wrong_password_is_told() {
    let (realm, environment, _) = logged_in();
    let error = log_in(&realm, as_client("alice", "wrong"), &environment).unwrap_err();
    let Error::KdcRefused(refused) = error else {
        panic!("{error:?}");
    };
    assert_eq!(refused.code, error_code::KDC_ERR_PREAUTH_FAILED);
}

/// Conformance rows 58 and 65: an account whose only key is RC4 is not served by policy.
#[test]
fn an_account_with_a_weak_key_only() {
    let rc4 = PrincipalOptions::default().enctypes(&[Enctype::RC4_HMAC]);
    let realm = builder()
        .enctypes(danger::enctypes(
            EnctypePolicy::default(),
            &[Enctype::RC4_HMAC],
        ))
        .principal_with("weak", "password", rc4)
        .build()
        .unwrap();
    let strict = environment(Config::default());
    let error = log_in(&realm, as_client("weak", "password"), &strict).unwrap_err();
    let Error::KdcRefused(refused) = error else {
        panic!("{error:?}");
    };
    assert_eq!(refused.code, error_code::KDC_ERR_ETYPE_NOSUPP);
    let mut config = Config::default();
    config.permitted_enctypes = danger::enctypes(EnctypePolicy::default(), &[Enctype::RC4_HMAC]);
    log_in(&realm, as_client("weak", "password"), &environment(config)).unwrap();
}

/// Conformance row 54: a KDC cannot make the client use a count that is easy to guess against, or
/// one that takes for ever.
#[test]
fn absurd_iteration_counts_are_refused() {
    for count in [1, u32::MAX] {
        let realm = builder()
            .principal_with(
                "counted",
                "password",
                PrincipalOptions::default().iterations(count),
            )
            .build()
            .unwrap();
        let environment = environment(Config::default());
        let error = log_in(&realm, as_client("counted", "password"), &environment).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Crypto {
                    source: trihound_crypto::Error::IterationCount { .. },
                    ..
                }
            ),
            "{count}: {error:?}"
        );
    }
}

/// Conformance row 46: whatever bit is flipped on the way, the exchange ends with an error, or
/// with what it would have had anyway.
#[test]
fn no_flipped_bit_widens_a_ticket() {
    let (realm, environment, tgt) = logged_in();
    let good = service(&realm, &tgt, &environment).unwrap().credentials;
    let length = good.ticket.len() + 600;
    for offset in (0..length).step_by(3) {
        realm.clear_faults();
        realm.set_fault_for(RequestKind::Tgs, Fault::FlipReply(offset), Repeat::Always);
        if let Ok(outcome) = service(&realm, &tgt, &environment) {
            let got = outcome.credentials;
            assert_eq!(got.server, good.server, "{offset}");
            assert_eq!(got.client, good.client, "{offset}");
            assert_eq!(got.flags, good.flags, "{offset}");
            assert_eq!(got.endtime, good.endtime, "{offset}");
        }
    }
}

/// Conformance row 62: a session key of the wrong length serves nobody.
#[test]
fn a_session_key_of_the_wrong_length_is_noticed() {
    let (realm, environment, _) = logged_in();
    realm.set_fault_for(RequestKind::As, Fault::SessionKeyLength, Repeat::Always);
    let noticed = match log_in(&realm, alice(), &environment) {
        Err(error) => error,
        // At the latest when it is used.
        Ok(outcome) => service(&realm, &Arc::new(outcome.credentials), &environment).unwrap_err(),
    };
    assert!(
        matches!(
            noticed,
            Error::Crypto {
                source: trihound_crypto::Error::KeyLength { .. },
                ..
            }
        ),
        "{noticed:?}"
    );
}

#[test]
fn an_ended_ticket_is_not_sent() {
    let clock = clock();
    let realm = builder().clock(clock.clone()).build().unwrap();
    let environment = environment_at(clock.clone(), Config::default());
    let tgt = Arc::new(log_in(&realm, alice(), &environment).unwrap().credentials);
    advance(&clock, Duration::from_secs(2 * 86_400));
    let error = service(&realm, &tgt, &environment).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Credential(CredentialFailure::TicketExpired { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn a_lost_datagram_does_no_harm_and_the_carrier_is_told() {
    let (realm, environment, tgt) = logged_in();
    realm.set_fault_for(RequestKind::Tgs, Fault::DropDatagram, Repeat::ONCE);
    service(&realm, &tgt, &environment).unwrap();
    assert_eq!(
        realm.answer(&[0x6a], Carrier::Datagram).map(|r| r[0]),
        Some(0x7e)
    );
}

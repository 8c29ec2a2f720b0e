//! Trihound's own exchanges against the embedded KDC: what works, and for every fault which check
//! notices it.

use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{TicketFlags, error_code};
use trihound_crypto::{Enctype, EnctypePolicy, OsRandom};
use trihound_krb5::{
    AsExchange, AsOutcome, AsRequest, ClientSecret, Config, CredentialFailure, Credentials,
    Environment, Error, InvalidMessage, KdcMisbehaved, Principal, TgsExchange, TgsOutcome,
    TgsRequest,
};
use trihound_sansio::{DriveError, FixedClock, drive};
use trihound_secret::SecretString;
use trihound_test_realm::{
    Carrier, Fault, Policy, PrincipalOptions, RealmTransport, Repeat, RequestKind, TestRealm,
    danger,
};

use crate::support::{NOW, advance, builder, clock};

const REALM: &str = "EXAMPLE.TEST";

fn environment(config: Config) -> Environment {
    environment_at(clock(), config)
}

fn without_timesync() -> Config {
    let mut config = Config::default();
    config.kdc_timesync = false;
    config
}

fn environment_at(clock: Arc<FixedClock>, config: Config) -> Environment {
    Environment::new(clock, Arc::new(OsRandom), Arc::new(config))
}

fn principal(text: &str) -> Principal {
    Principal::parse(text, Some(REALM)).unwrap()
}

fn alice() -> AsRequest {
    as_client("alice", "password")
}

fn as_client(client: &str, password: &str) -> AsRequest {
    let secret = ClientSecret::Password(SecretString::from(password));
    let mut request = AsRequest::new(principal(client), secret);
    request.lifetime = Some(Duration::from_secs(36_000));
    request
}

fn ended<T>(result: Result<T, DriveError<Error>>) -> Result<T, Error> {
    result.map_err(|error| match error {
        DriveError::Protocol(error) => error,
        other => panic!("{other}"),
    })
}

fn log_in(
    realm: &Arc<TestRealm>,
    request: AsRequest,
    environment: &Environment,
) -> Result<AsOutcome, Error> {
    let exchange = AsExchange::begin(request, environment)?;
    ended(drive(exchange, realm.transport()))
}

fn ticket(
    transport: RealmTransport,
    request: TgsRequest,
    environment: &Environment,
) -> Result<TgsOutcome, Error> {
    let exchange = TgsExchange::begin(request, environment)?;
    ended(drive(exchange, transport))
}

/// A realm and a ticket-granting ticket of its client.
fn logged_in() -> (Arc<TestRealm>, Environment, Arc<Credentials>) {
    let realm = builder().build().unwrap();
    let environment = environment(Config::default());
    let outcome = log_in(&realm, alice(), &environment).unwrap();
    (realm, environment, Arc::new(outcome.credentials))
}

fn service(
    realm: &Arc<TestRealm>,
    tgt: &Arc<Credentials>,
    environment: &Environment,
) -> Result<TgsOutcome, Error> {
    let request = TgsRequest::new(Arc::clone(tgt), principal("HTTP/localhost"));
    ticket(realm.transport(), request, environment)
}

// ---- what works

#[test]
fn a_login_and_a_service_ticket() {
    let (realm, environment, tgt) = logged_in();
    assert_eq!(tgt.client, principal("alice"));
    assert_eq!(tgt.server, Principal::krbtgt(&REALM.into()));
    assert!(
        tgt.flags
            .contains(TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT)
    );
    let outcome = service(&realm, &tgt, &environment).unwrap();
    assert_eq!(outcome.credentials.server, principal("HTTP/localhost"));
    assert!(outcome.tgts.is_empty());
}

#[test]
fn every_enctype_salt_and_count() {
    for enctype in EnctypePolicy::default().enctypes() {
        let realm = builder()
            .only_enctype(*enctype)
            .principal_with(
                "salty",
                "password",
                PrincipalOptions::default().salt("other").iterations(40_000),
            )
            .build()
            .unwrap();
        let environment = environment(Config::default());
        let tgt = log_in(&realm, as_client("salty", "password"), &environment).unwrap();
        assert_eq!(tgt.credentials.session_key.enctype(), *enctype);
        service(&realm, &Arc::new(tgt.credentials), &environment).unwrap();
    }
}

#[test]
fn login_by_keytab_and_without_preauthentication() {
    let realm = builder()
        .principal_with("open", "x", PrincipalOptions::default().without_preauth())
        .build()
        .unwrap();
    let environment = environment(Config::default());
    let keytab = realm.keytab(&["alice"]).unwrap();
    let keys = keytab.client_keys(&principal("alice"), &EnctypePolicy::default());
    let request = AsRequest::new(principal("alice"), ClientSecret::Keys(keys));
    log_in(&realm, request, &environment).unwrap();
    let outcome = log_in(&realm, as_client("open", "x"), &environment).unwrap();
    assert!(!outcome.credentials.flags.contains(TicketFlags::PRE_AUTHENT));
}

/// Conformance row 65: an old KDC's ETYPE-INFO does where there is no ETYPE-INFO2.
#[test]
fn an_old_kdc_and_a_cookie() {
    let mut policy = Policy::default();
    policy.old_etype_info = true;
    policy.cookie = Some(b"cookie".to_vec());
    let realm = builder().policy(policy).build().unwrap();
    log_in(&realm, alice(), &environment(Config::default())).unwrap();
}

/// Conformance row 104: the request comes again over a stream.
#[test]
fn a_reply_that_is_too_big_comes_over_a_stream() {
    let (realm, environment, tgt) = logged_in();
    realm.set_fault(Fault::ResponseTooBig);
    log_in(&realm, alice(), &environment).unwrap();
    service(&realm, &tgt, &environment).unwrap();
}

/// Conformance row 103.
#[test]
fn renewal_and_forwarding() {
    let clock = clock();
    let realm = builder().clock(clock.clone()).build().unwrap();
    let environment = environment_at(clock.clone(), Config::default());
    let mut request = alice();
    request.options.forwardable = true;
    request.renew_lifetime = Some(Duration::from_secs(3 * 86_400));
    request.lifetime = Some(Duration::from_secs(3600));
    let tgt = Arc::new(log_in(&realm, request, &environment).unwrap().credentials);
    advance(&clock, Duration::from_secs(1800));
    let renewed = ticket(
        realm.transport(),
        TgsRequest::renew(Arc::clone(&tgt)),
        &environment,
    )
    .unwrap()
    .credentials;
    assert_eq!(renewed.endtime.seconds(), NOW + 1800 + 3600);
    assert_eq!(renewed.renew_till, tgt.renew_till);
    let forwarded = ticket(realm.transport(), TgsRequest::forward(tgt), &environment)
        .unwrap()
        .credentials;
    assert!(forwarded.flags.contains(TicketFlags::FORWARDED));
}

/// Conformance row 6: either tag on either reply.
#[test]
fn either_tag_is_accepted_on_the_encrypted_part() {
    let (realm, environment, tgt) = logged_in();
    realm.set_fault(Fault::OtherTag);
    log_in(&realm, alice(), &environment).unwrap();
    service(&realm, &tgt, &environment).unwrap();
}

/// Conformance row 69: a verified reply tells the offset; without one the login ends.
#[test]
fn a_kdc_whose_clock_is_off() {
    let realm = builder().build().unwrap();
    realm.set_fault(Fault::ClockSkew(3600));
    let outcome = log_in(&realm, alice(), &environment(Config::default())).unwrap();
    assert_eq!(outcome.time_offset, Some(3_600_000_000));
    let mut request = TgsRequest::new(Arc::new(outcome.credentials), principal("HTTP/localhost"));
    request.time_offset = 3_600_000_000;
    ticket(realm.transport(), request, &environment(Config::default())).unwrap();

    let config = without_timesync();
    let error = log_in(&realm, alice(), &environment(config)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::KdcMisbehaved(KdcMisbehaved::StartTimeDiffers { .. })
        ),
        "{error:?}"
    );
}

fn two_realms() -> (
    Arc<TestRealm>,
    Arc<TestRealm>,
    Environment,
    Arc<Credentials>,
) {
    let here = builder()
        .trust("B.TEST", "shared")
        .domain("b.test", "B.TEST")
        .build()
        .unwrap();
    let there = TestRealm::builder("B.TEST")
        .trust(REALM, "shared")
        .service("HTTP/web.b.test")
        .clock(clock())
        .build()
        .unwrap();
    let environment = environment(Config::default());
    let tgt = log_in(&here, alice(), &environment).unwrap().credentials;
    (here, there, environment, Arc::new(tgt))
}

#[test]
fn another_realm_by_name_and_by_referral() {
    let (here, there, environment, tgt) = two_realms();
    for server in [
        principal("HTTP/web.b.test@B.TEST"),
        principal("HTTP/web.b.test"),
        Principal::service("HTTP", "web.b.test", ""),
    ] {
        let asked = server.to_string();
        let request = TgsRequest::new(Arc::clone(&tgt), server);
        let outcome = ticket(here.transport().and(&there), request, &environment);
        let outcome = outcome.unwrap_or_else(|error| panic!("{asked}: {error}"));
        assert_eq!(
            outcome.credentials.server,
            principal("HTTP/web.b.test@B.TEST")
        );
        assert_eq!(outcome.credentials.client, principal("alice"));
        assert_eq!(outcome.tgts.len(), 1);
    }
}

// ---- what must be noticed

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
            Fault::ReferralTo(REALM.into()),
            kdc!(KdcMisbehaved::ReferralLoop { .. })
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

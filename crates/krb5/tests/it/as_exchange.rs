//! The AS exchange against a KDC that alters one thing at a time.

use std::time::Duration;

use trihound_asn1::{
    AsReq, EtypeInfoEntry, KdcOptions, KerberosTime, Message, PaData, Raw, TicketFlags, error_code,
    name_type, pa_type,
};
use trihound_crypto::{Enctype, EnctypePolicy, KeyUsage};
use trihound_krb5::{
    ApiMisuse, AsExchange, AsOutcome, AsRequest, ClientSecret, Config, CredentialFailure, Error,
    InvalidMessage, KdcMisbehaved, KeytabKey, Principal,
};
use trihound_sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Timestamp, TransportFailure, TransportHint,
};
use trihound_secret::SecretString;

use crate::small_kdc::*;

fn kdc_fault<T>(result: Result<T, Error>) -> KdcMisbehaved {
    match result {
        Err(Error::KdcMisbehaved(fault)) => fault,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("must be refused"),
    }
}

fn altered(alter: impl Fn(&mut Parts)) -> Result<AsOutcome, Error> {
    login(&World::new(), password_login(), alter)
}

/// Pre-authenticated login; `answer` may take over for the n-th request.
fn preauthenticated(
    world: &World,
    kdc: &Kdc,
    request: AsRequest,
    mut answer: impl FnMut(usize, &ExchangeRequest) -> Option<Vec<u8>>,
) -> (Result<AsOutcome, Error>, Vec<ExchangeRequest>) {
    let mut count = 0;
    run(AsExchange::begin(request, &world.environment), |request| {
        count += 1;
        if let Some(reply) = answer(count, request) {
            return reply;
        }
        match kdc.timestamp(&request.message) {
            None => kdc.preauth_required(),
            Some(stamp) if (stamp.patimestamp.seconds() - kdc.now()).abs() > 300 => {
                kdc.error(error_code::KRB_AP_ERR_SKEW, None)
            }
            Some(_) => kdc.as_reply(&request.message, |_| {}),
        }
    })
}

/// Conformance rows 6, 64 and 75.
#[test]
fn a_login_without_preauthentication_gives_what_the_encrypted_part_says() {
    let outcome = altered(|_| {}).unwrap();
    let credentials = &outcome.credentials;
    assert_eq!(credentials.client, alice());
    assert_eq!(credentials.server, Principal::krbtgt(&REALM.into()));
    assert_eq!(credentials.session_key.expose(), key(9, AES256).expose());
    assert_eq!(credentials.endtime, Timestamp::from_seconds(NOW + 36_000));
    assert_eq!(outcome.time_offset, None);
    assert!(outcome.fast_available);
    // RFC 4120 5.4.2: either tag is taken.
    assert!(altered(|parts| parts.other_tag = true).is_ok());
}

/// Conformance rows 64, 65, 67 and 70.
#[test]
fn preauthentication_sends_a_timestamp_once_the_kdc_told_the_enctype_and_echoes_the_cookie() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    world.clock.set(Timestamp::from_parts(NOW, 123_456));
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |_, _| None);
    result.unwrap();
    assert_eq!(requests.len(), 2);
    assert!(kdc.timestamp(&requests[0].message).is_none());
    let stamp = kdc.timestamp(&requests[1].message).unwrap();
    assert_eq!(
        (stamp.patimestamp.seconds(), stamp.pausec),
        (NOW, Some(123_456))
    );
    let second = AsReq::from_der(&requests[1].message).unwrap();
    let padata = second.padata.as_ref().unwrap();
    assert_eq!(find(padata, pa_type::PA_FX_COOKIE).unwrap(), b"cookie");
    assert_ne!(body(&requests[0]).nonce, body(&requests[1]).nonce);
    assert_eq!(requests[0].realm, REALM);
}

/// Conformance row 2.
#[test]
fn row_2_a_reply_with_another_nonce_is_refused() {
    let fault = kdc_fault(altered(|parts| {
        parts.part.nonce = nonce(parts.part.nonce.get() ^ 1)
    }));
    assert_eq!(fault, KdcMisbehaved::ReplyNonceDiffers);
}

/// Conformance row 2: the nonce has 31 bits and is new each time.
#[test]
fn row_2_nonces_are_fresh_and_positive() {
    let world = World::new();
    let mut seen = Vec::new();
    for _ in 0..20 {
        let mut exchange = AsExchange::begin(password_login(), &world.environment).unwrap();
        let Progress::Exchange(request) = exchange.step(None).unwrap() else {
            panic!()
        };
        let nonce = body(&request).nonce.get();
        assert!(nonce <= 0x7fff_ffff);
        assert!(!seen.contains(&nonce));
        seen.push(nonce);
    }
}

/// Conformance row 3.
#[test]
fn row_3_a_reply_for_another_client_is_refused() {
    for alter in [
        (|parts: &mut Parts| parts.cname = name(&["mallory"])) as fn(&mut Parts),
        |parts| parts.cname = name(&["alice", "admin"]),
        |parts| parts.crealm = "OTHER.EXAMPLE".into(),
    ] {
        assert!(matches!(
            kdc_fault(altered(alter)),
            KdcMisbehaved::ClientDiffers { .. }
        ));
    }
    // The type of a name is not part of it (RFC 4120 6.2).
    assert!(altered(|parts| parts.cname.name_type = name_type::NT_UNKNOWN).is_ok());
}

/// Conformance row 3: canonicalization, asked for or implied, lets the KDC change the name.
#[test]
fn row_3_canonicalization_may_change_the_client() {
    let mut canonical = password_login();
    canonical.options.canonicalize = true;
    let renamed = |parts: &mut Parts| parts.cname = name(&["Alice"]);
    let outcome = login(&World::new(), canonical, renamed).unwrap();
    assert_eq!(outcome.credentials.client.name, name(&["Alice"]));

    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.salt = "TEST.EXAMPLEalice";
    kdc.info = vec![(AES256, Some(kdc.salt), None)];
    let enterprise = AsRequest::new(
        Principal::parse_enterprise("alice@mail.example", Some(REALM)).unwrap(),
        ClientSecret::Password(SecretString::from(PASSWORD)),
    );
    let (result, requests) = run(
        AsExchange::begin(enterprise, &world.environment),
        |request| kdc.as_reply(&request.message, |parts| parts.cname = name(&["alice"])),
    );
    assert_eq!(result.unwrap().credentials.client, alice());
    let body = body(&requests[0]);
    assert!(body.kdc_options.contains(KdcOptions::CANONICALIZE));
    let cname = body.cname.unwrap();
    assert_eq!(cname.name_type, name_type::NT_ENTERPRISE);
    assert_eq!(cname.name_string, ["alice@mail.example"]);
}

/// Conformance rows 1 and 4.
#[test]
fn row_4_a_reply_for_another_service_is_refused() {
    for alter in [
        (|parts: &mut Parts| parts.part.sname = name(&["krbtgt", "OTHER"])) as fn(&mut Parts),
        |parts| parts.part.sname = name(&["kadmin", "changepw"]),
        |parts| parts.part.srealm = "OTHER.EXAMPLE".into(),
    ] {
        assert!(matches!(
            kdc_fault(altered(alter)),
            KdcMisbehaved::ServerDiffers { .. }
        ));
    }
}

/// Conformance row 1: what stands in clear in the ticket is never believed, and has to agree.
#[test]
fn row_1_a_ticket_whose_clear_name_differs_is_refused() {
    for alter in [
        (|parts: &mut Parts| parts.ticket_name = service()) as fn(&mut Parts),
        |parts| parts.ticket_name.realm = "OTHER.EXAMPLE".into(),
    ] {
        assert!(matches!(
            kdc_fault(altered(alter)),
            KdcMisbehaved::TicketServerDiffers { .. }
        ));
    }
    // With canonicalization the encrypted name still has to be a ticket-granting service's.
    let mut canonical = password_login();
    canonical.options.canonicalize = true;
    let result = login(&World::new(), canonical, |parts| {
        parts.part.sname = service().name;
        parts.ticket_name.name = service().name;
    });
    assert!(matches!(
        kdc_fault(result),
        KdcMisbehaved::ServerDiffers { .. }
    ));
}

/// Conformance row 5.
#[test]
fn row_5_times_beyond_the_request_are_refused() {
    let mut request = password_login();
    request.lifetime = Some(Duration::from_secs(3_600));
    request.renew_lifetime = Some(Duration::from_secs(7_200));
    let again = || AsRequest {
        lifetime: request.lifetime,
        renew_lifetime: request.renew_lifetime,
        ..password_login()
    };
    let outcome = login(&World::new(), again(), |_| {}).unwrap();
    assert_eq!(
        outcome.credentials.endtime,
        Timestamp::from_seconds(NOW + 3_600)
    );
    assert_eq!(
        outcome.credentials.renew_till,
        Some(Timestamp::from_seconds(NOW + 7_200))
    );
    let fault = kdc_fault(login(&World::new(), again(), |parts| {
        parts.part.endtime = time(NOW + 3_601);
    }));
    assert_eq!(
        fault,
        KdcMisbehaved::EndTimeBeyondRequest {
            asked: Timestamp::from_seconds(NOW + 3_600),
            found: Timestamp::from_seconds(NOW + 3_601),
        }
    );
    let fault = kdc_fault(login(&World::new(), again(), |parts| {
        parts.part.renew_till = Some(time(NOW + 7_201));
    }));
    assert!(matches!(
        fault,
        KdcMisbehaved::RenewTillBeyondRequest { .. }
    ));
}

/// Conformance row 5.
#[test]
fn row_5_a_start_apart_from_the_kdcs_present_is_refused() {
    for shift in [301, -301] {
        let fault = kdc_fault(altered(|parts| {
            parts.part.starttime = Some(time(NOW + shift))
        }));
        assert!(matches!(
            fault,
            KdcMisbehaved::StartTimeDiffers { skew: 300, .. }
        ));
    }
    assert!(altered(|parts| parts.part.starttime = Some(time(NOW + 300))).is_ok());
    assert!(altered(|parts| parts.part.starttime = None).is_ok());

    let mut postdated = password_login();
    postdated.start_time = Some(Timestamp::from_seconds(NOW + 86_400));
    let outcome = login(&World::new(), postdated, |_| {}).unwrap();
    assert!(outcome.credentials.flags.contains(TicketFlags::INVALID));
    let mut postdated = password_login();
    postdated.start_time = Some(Timestamp::from_seconds(NOW + 86_400));
    let fault = kdc_fault(login(&World::new(), postdated, |parts| {
        parts.part.starttime = Some(time(NOW));
    }));
    assert!(matches!(fault, KdcMisbehaved::StartTimeDiffers { .. }));
}

/// Conformance row 5.
#[test]
fn row_5_flags_that_nobody_asked_for_are_refused() {
    for flag in [
        TicketFlags::FORWARDABLE,
        TicketFlags::FORWARDED,
        TicketFlags::PROXIABLE,
        TicketFlags::PROXY,
        TicketFlags::MAY_POSTDATE,
        TicketFlags::POSTDATED,
        TicketFlags::RENEWABLE,
    ] {
        let fault = kdc_fault(altered(|parts| parts.part.flags |= flag));
        let KdcMisbehaved::FlagsBeyondRequest { flags } = fault else {
            panic!("{fault}")
        };
        assert_eq!(flags, flag.iter_names().next().unwrap().0.to_lowercase());
    }
    // These are the KDC's own to set.
    for flag in [
        TicketFlags::HW_AUTHENT,
        TicketFlags::OK_AS_DELEGATE,
        TicketFlags::TRANSITED_POLICY_CHECKED,
    ] {
        assert!(altered(|parts| parts.part.flags |= flag).is_ok());
    }
    let mut request = password_login();
    request.options.forwardable = true;
    request.options.proxiable = true;
    let outcome = login(&World::new(), request, |_| {}).unwrap();
    let flags = outcome.credentials.flags;
    assert!(flags.contains(TicketFlags::FORWARDABLE | TicketFlags::PROXIABLE));
}

/// Conformance row 6.
#[test]
fn row_6_another_key_or_key_usage_does_not_decrypt() {
    for alter in [
        (|parts: &mut Parts| parts.usage = KeyUsage::TGS_REP_ENC_PART_SESSKEY) as fn(&mut Parts),
        |parts| parts.usage = KeyUsage::KDC_REP_TICKET,
        |parts| parts.key = key(7, AES256),
    ] {
        let fault = kdc_fault(altered(alter));
        assert!(matches!(
            fault,
            KdcMisbehaved::ReplyDoesNotDecrypt {
                message: "AS-REP",
                enctype: AES256,
                ..
            }
        ));
    }
}

/// Conformance row 66.
#[test]
fn row_66_enctypes_that_were_not_requested_are_refused() {
    let world = || World::new();
    let only = || AsRequest {
        enctypes: Some(EnctypePolicy::only(&[AES256]).unwrap()),
        ..password_login()
    };
    let fault = kdc_fault(login(&world(), only(), |parts| {
        parts.part.key = wire(&key(9, AES128))
    }));
    assert_eq!(
        fault,
        KdcMisbehaved::SessionEnctypeNotRequested { enctype: AES128 }
    );
    let fault = kdc_fault(login(&world(), only(), |parts| {
        parts.etype = Some(AES128.0)
    }));
    assert_eq!(
        fault,
        KdcMisbehaved::ReplyEnctypeNotRequested { enctype: AES128 }
    );
    let fault = kdc_fault(altered(|parts| parts.etype = Some(Enctype::RC4_HMAC.0)));
    assert_eq!(
        fault,
        KdcMisbehaved::ReplyEnctypeNotRequested {
            enctype: Enctype::RC4_HMAC
        }
    );
}

/// Conformance row 75.
#[test]
fn row_75_the_kdcs_checksum_of_the_request_is_verified() {
    let fault = kdc_fault(altered(|parts| parts.confirms = None));
    assert_eq!(fault, KdcMisbehaved::RequestChecksumMissing);
    let fault = kdc_fault(altered(|parts| {
        if let Some(last) = parts
            .confirms
            .as_mut()
            .and_then(|request| request.last_mut())
        {
            *last ^= 1;
        }
    }));
    assert_eq!(fault, KdcMisbehaved::RequestChecksumDiffers);
    // A KDC that does not know the extension sets no flag.
    let outcome = altered(|parts| {
        parts.confirms = None;
        parts.part.flags.remove(TicketFlags::ENC_PA_REP);
    })
    .unwrap();
    assert!(!outcome.fast_available);
}

/// Conformance row 75: an attacker who takes the strong enctypes out of the request is noticed.
#[test]
fn row_75_a_request_that_was_altered_on_the_way_is_noticed() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let (result, _) = run(
        AsExchange::begin(password_login(), &world.environment),
        |request| {
            let original = AsReq::from_der(&request.message).unwrap();
            let mut body = original.req_body.decode().unwrap();
            body.etype.truncate(1);
            let altered = AsReq::new(original.padata.clone(), Raw::new(&body).unwrap());
            kdc.as_reply(&altered.to_der().unwrap(), |_| {})
        },
    );
    assert_eq!(kdc_fault(result), KdcMisbehaved::RequestChecksumDiffers);
}

/// Conformance row 65.
#[test]
fn row_65_etype_info_is_ignored_beside_etype_info2() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.client_key = password_key(AES256, "special", None);
    kdc.info = vec![(AES256, Some("special"), None)];
    let wrong = vec![EtypeInfoEntry {
        etype: AES128.0,
        salt: Some(b"wrong".to_vec().into()),
    }];
    let mut data = kdc.method_data();
    data.insert(
        0,
        PaData::new(pa_type::PA_ETYPE_INFO, wrong.to_der().unwrap()),
    );
    data.insert(0, PaData::new(pa_type::PA_PW_SALT, b"also wrong".to_vec()));
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |count, _| {
        (count == 1).then(|| kdc.error(25, Some(data.to_der().unwrap())))
    });
    result.unwrap();
    assert!(kdc.timestamp(&requests[1].message).is_some());
}

/// Conformance row 65: ETYPE-INFO and PA-PW-SALT serve where there is nothing better.
#[test]
fn row_65_older_hints_serve_where_etype_info2_is_absent() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.client_key = password_key(AES256, "old", None);
    kdc.info = vec![(AES256, Some("old"), None)];
    let info = vec![EtypeInfoEntry {
        etype: AES256.0,
        salt: Some(b"old".to_vec().into()),
    }];
    let stamp = PaData::new(pa_type::PA_ENC_TIMESTAMP, Vec::new());
    for hint in [
        PaData::new(pa_type::PA_ETYPE_INFO, info.to_der().unwrap()),
        PaData::new(pa_type::PA_PW_SALT, b"old".to_vec()),
    ] {
        let data = vec![stamp.clone(), hint];
        let (result, _) = preauthenticated(&world, &kdc, password_login(), |count, _| {
            (count == 1).then(|| kdc.error(25, Some(data.to_der().unwrap())))
        });
        result.unwrap();
    }
    let (result, _) = preauthenticated(&world, &kdc, password_login(), |_, _| {
        Some(kdc.error(25, Some(vec![stamp.clone()].to_der().unwrap())))
    });
    assert!(matches!(
        result,
        Err(Error::Credential(CredentialFailure::NoEnctypeInfo))
    ));
}

/// Conformance row 65: the KDC's order counts, within what was requested.
#[test]
fn row_65_the_first_requested_enctype_of_the_kdcs_list_is_taken() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    let salt = "TEST.EXAMPLEalice";
    kdc.client_key = password_key(AES128, salt, Some(&[0, 0, 0x20, 0]));
    let params = Some(vec![0, 0, 0x20, 0]);
    kdc.info = vec![
        (Enctype::RC4_HMAC, None, None),
        (AES128, Some(salt), params),
        (AES256, Some(salt), None),
    ];
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |_, _| None);
    result.unwrap();
    assert!(kdc.timestamp(&requests[1].message).is_some());
    kdc.info = vec![(Enctype::RC4_HMAC, None, None), (Enctype(3), None, None)];
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |_, _| None);
    assert!(matches!(
        kdc_fault(result),
        KdcMisbehaved::NoCommonEnctype { .. }
    ));
    assert_eq!(requests.len(), 1);
}

/// Conformance row 68: no KRB-ERROR makes the next request weaker.
#[test]
fn row_68_an_error_never_lowers_the_enctypes() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let (result, requests) =
        preauthenticated(&world, &kdc, password_login(), |count, _| match count {
            1 => Some(kdc.error(error_code::KRB_ERR_RESPONSE_TOO_BIG, None)),
            3 => Some(kdc.error(error_code::KRB_AP_ERR_SKEW, None)),
            _ => None,
        });
    result.unwrap();
    assert_eq!(requests.len(), 4);
    let offered: Vec<i32> = EnctypePolicy::default()
        .enctypes()
        .iter()
        .map(|enctype| enctype.0)
        .collect();
    for request in &requests {
        assert_eq!(body(request).etype, offered);
        assert_eq!(request.realm, REALM);
    }
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |count, _| {
        (count == 1).then(|| kdc.error(error_code::KDC_ERR_ETYPE_NOSUPP, None))
    });
    let Err(Error::KdcRefused(refused)) = result else {
        panic!()
    };
    assert_eq!(refused.code, error_code::KDC_ERR_ETYPE_NOSUPP);
    assert_eq!(requests.len(), 1);
}

/// Conformance row 69.
#[test]
fn row_69_a_wrong_clock_is_corrected_once_and_learned_from_the_reply_only() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.skew = 7_200;
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |_, _| None);
    let outcome = result.unwrap();
    assert_eq!(requests.len(), 3);
    assert_eq!(outcome.time_offset, Some(7_200_000_000));

    // A liar: says SKEW for ever.
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |count, _| {
        (count > 1).then(|| kdc.error(error_code::KRB_AP_ERR_SKEW, None))
    });
    let Err(Error::KdcRefused(refused)) = result else {
        panic!()
    };
    assert_eq!(refused.code, error_code::KRB_AP_ERR_SKEW);
    assert!(
        refused
            .advice
            .contains(&Timestamp::from_seconds(NOW + 7_200).to_string())
    );
    assert!(
        refused
            .advice
            .contains(&Timestamp::from_seconds(NOW).to_string())
    );
    assert_eq!(requests.len(), 3);

    // The error's time does not last: the reply says that the clocks agree.
    kdc.skew = 0;
    let (result, _) = preauthenticated(&world, &kdc, password_login(), |count, _| {
        (count == 2).then(|| {
            kdc.error_with(error_code::KRB_AP_ERR_SKEW, None, |error| {
                error.stime = time(NOW + 200);
            })
        })
    });
    assert_eq!(result.unwrap().time_offset, None);
}

/// Conformance rows 5 and 69: with kdc_timesync off the local clock is the measure.
#[test]
fn row_69_without_kdc_timesync_a_skewed_reply_is_refused() {
    let mut config = Config::default();
    config.kdc_timesync = false;
    let world = World::with(config);
    let mut kdc = Kdc::new(&world);
    kdc.skew = 301;
    let (result, _) = run(
        AsExchange::begin(password_login(), &world.environment),
        |request| kdc.as_reply(&request.message, |_| {}),
    );
    assert!(matches!(
        kdc_fault(result),
        KdcMisbehaved::StartTimeDiffers { .. }
    ));
}

/// Conformance row 70.
#[test]
fn row_70_preauthentication_rounds_are_bounded() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    for code in [
        error_code::KDC_ERR_PREAUTH_REQUIRED,
        error_code::KDC_ERR_PREAUTH_EXPIRED,
    ] {
        let (result, requests) = run(
            AsExchange::begin(password_login(), &world.environment),
            |_| kdc.error(code, Some(kdc.method_data().to_der().unwrap())),
        );
        assert_eq!(
            kdc_fault(result),
            KdcMisbehaved::TooManyPreauthRounds { limit: 6 }
        );
        assert_eq!(requests.len(), 7);
    }
}

/// Conformance rows 104 and 181: once, over a stream, and the very same bytes.
#[test]
fn row_104_a_reply_too_big_is_asked_for_again_over_a_stream() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |count, _| {
        (count == 2).then(|| kdc.error(error_code::KRB_ERR_RESPONSE_TOO_BIG, None))
    });
    result.unwrap();
    let hints: Vec<_> = requests.iter().map(|request| request.hint).collect();
    assert_eq!(
        hints,
        [
            TransportHint::Any,
            TransportHint::Any,
            TransportHint::StreamOnly
        ]
    );
    assert_eq!(requests[1].message, requests[2].message);
    let (result, requests) = run(
        AsExchange::begin(password_login(), &world.environment),
        |_| kdc.error(error_code::KRB_ERR_RESPONSE_TOO_BIG, None),
    );
    assert_eq!(kdc_fault(result), KdcMisbehaved::TooBigForStream);
    assert_eq!(requests.len(), 2);
}

/// Conformance rows 68 and 104: another realm only where canonicalization was asked for.
#[test]
fn row_104_wrong_realm_is_followed_with_canonicalization_only() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.info = vec![(AES256, Some("TEST.EXAMPLEalice"), None)];
    let wrong = |realm: &str| {
        kdc.error_with(error_code::KDC_ERR_WRONG_REALM, None, |error| {
            error.crealm = Some(realm.into());
        })
    };
    let (result, requests) = run(
        AsExchange::begin(password_login(), &world.environment),
        |_| wrong("B.EXAMPLE"),
    );
    assert!(matches!(result, Err(Error::KdcRefused(refused)) if refused.code == 68));
    assert_eq!(requests.len(), 1);

    let canonical = || {
        let mut request = password_login();
        request.options.canonicalize = true;
        AsExchange::begin(request, &world.environment)
    };
    let (result, requests) = run(canonical(), |request| match request.realm.as_str() {
        REALM => wrong("B.EXAMPLE"),
        _ => kdc.as_reply(&request.message, |_| {}),
    });
    let outcome = result.unwrap();
    assert_eq!(outcome.credentials.client.realm, "B.EXAMPLE");
    assert_eq!(
        outcome.credentials.server,
        Principal::krbtgt(&"B.EXAMPLE".into())
    );
    assert_eq!(body(&requests[1]).realm, "B.EXAMPLE");

    let (result, _) = run(canonical(), |request| match request.realm.as_str() {
        REALM => wrong("B.EXAMPLE"),
        _ => wrong(REALM),
    });
    let KdcMisbehaved::WrongRealmLoop { path } = kdc_fault(result) else {
        panic!()
    };
    assert_eq!(path, "TEST.EXAMPLE -> B.EXAMPLE -> TEST.EXAMPLE");
    let mut count = 0;
    let (result, requests) = run(canonical(), |_| {
        count += 1;
        wrong(&format!("R{count}"))
    });
    assert!(matches!(
        kdc_fault(result),
        KdcMisbehaved::WrongRealmLoop { .. }
    ));
    assert_eq!(requests.len(), 5);
    let (result, _) = run(canonical(), |_| {
        kdc.error(error_code::KDC_ERR_WRONG_REALM, None)
    });
    assert!(matches!(
        result,
        Err(Error::InvalidMessage(InvalidMessage::RealmMissing))
    ));
}

#[test]
fn refusals_tell_the_next_step() {
    for (code, word) in [
        (error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN, "spelling"),
        (error_code::KDC_ERR_CLIENT_REVOKED, "locked"),
        (error_code::KDC_ERR_KEY_EXPIRED, "change it"),
        (error_code::KDC_ERR_PREAUTH_FAILED, "the password is wrong"),
        (error_code::KDC_ERR_ETYPE_NOSUPP, "AES"),
    ] {
        let world = World::new();
        let kdc = Kdc::new(&world);
        let (result, _) = run(
            AsExchange::begin(password_login(), &world.environment),
            |_| kdc.error_with(code, None, |error| error.e_text = Some("why\x07".into())),
        );
        let Err(Error::KdcRefused(refused)) = result else {
            panic!()
        };
        assert_eq!(
            (refused.code, refused.e_text.as_deref()),
            (code, Some("why"))
        );
        assert!(refused.to_string().contains(word), "{refused}");
        assert!(
            refused.to_string().contains("alice@TEST.EXAMPLE"),
            "{refused}"
        );
        assert!(refused.to_string().contains(refused.name().unwrap()));
        assert!(!refused.to_string().contains(PASSWORD));
    }
}

#[test]
fn what_is_no_answer_to_an_as_req_is_refused() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let tgs_reply = {
        let request = trihound_krb5::TgsRequest::new(kdc.tgt(), service());
        let mut exchange = trihound_krb5::TgsExchange::begin(request, &world.environment).unwrap();
        let Progress::Exchange(request) = exchange.step(None).unwrap() else {
            panic!()
        };
        kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {})
    };
    for (bytes, found) in [
        (Vec::new(), None),
        (tgs_reply, Some(0x6d)),
        (b"HTTP/1.1".to_vec(), Some(b'H')),
    ] {
        let (result, _) = run(
            AsExchange::begin(password_login(), &world.environment),
            |_| bytes.clone(),
        );
        let Err(Error::InvalidMessage(InvalidMessage::Unexpected { found: got, .. })) = result
        else {
            panic!()
        };
        assert_eq!(got, found);
    }
    let (result, _) = run(
        AsExchange::begin(password_login(), &world.environment),
        |_| kdc.error(error_code::KDC_ERR_PREAUTH_REQUIRED, None),
    );
    assert!(matches!(
        result,
        Err(Error::InvalidMessage(InvalidMessage::MethodDataMissing))
    ));
    let (result, _) = run(
        AsExchange::begin(password_login(), &world.environment),
        |_| {
            let only = vec![PaData::new(pa_type::PA_PK_AS_REQ, Vec::new())];
            kdc.error(
                error_code::KDC_ERR_PREAUTH_REQUIRED,
                Some(only.to_der().unwrap()),
            )
        },
    );
    let Err(Error::Credential(CredentialFailure::NoPreauthentication { offered })) = result else {
        panic!()
    };
    assert_eq!(offered, "16");
}

/// Every byte of a reply, flipped: never accepted with other content, never a panic.
#[test]
fn a_reply_with_any_bit_flipped_gives_no_other_ticket() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let mut length = 0;
    let (result, _) = run(
        AsExchange::begin(password_login(), &world.environment),
        |request| {
            let reply = kdc.as_reply(&request.message, |_| {});
            length = reply.len();
            reply
        },
    );
    let good = result.unwrap().credentials;
    for position in 0..length {
        let (result, _) = run(
            AsExchange::begin(password_login(), &world.environment),
            |request| {
                let mut reply = kdc.as_reply(&request.message, |_| {});
                reply[position % length] ^= 1 << (position % 8);
                reply
            },
        );
        if let Ok(outcome) = result {
            let other = outcome.credentials;
            assert_eq!((&other.client, &other.server), (&good.client, &good.server));
            assert_eq!(other.session_key.expose(), good.session_key.expose());
        }
    }
}

#[test]
fn a_keytab_login_takes_the_key_that_the_kdc_names() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    let keys = |seeds: &[(u32, u8, Enctype)]| {
        seeds
            .iter()
            .map(|(kvno, seed, enctype)| KeytabKey {
                kvno: *kvno,
                key: key(*seed, *enctype).into(),
            })
            .collect::<Vec<_>>()
    };
    kdc.client_key = key(4, AES128);
    kdc.info = vec![(AES256, None, None), (AES128, None, None)];
    let request = AsRequest::new(
        alice(),
        ClientSecret::Keys(keys(&[(3, 3, AES128), (4, 4, AES128)])),
    );
    let (result, requests) = preauthenticated(&world, &kdc, request, |_, _| None);
    result.unwrap();
    assert_eq!(body(&requests[0]).etype[0], AES128.0);

    let request = AsRequest::new(alice(), ClientSecret::Keys(keys(&[(4, 8, AES128)])));
    let (result, _) = run(AsExchange::begin(request, &world.environment), |request| {
        kdc.as_reply(&request.message, |_| {})
    });
    let fault = kdc_fault(result);
    assert!(fault.to_string().contains("keytab"), "{fault}");

    let rc4 = AsRequest::new(alice(), ClientSecret::Keys(Vec::new()));
    assert!(matches!(
        AsExchange::begin(rc4, &world.environment),
        Err(Error::ApiMisuse(ApiMisuse::NoKeys { .. }))
    ));
    let mut request = AsRequest::new(alice(), ClientSecret::Keys(keys(&[(1, 1, AES128)])));
    request.enctypes = Some(EnctypePolicy::only(&[AES256]).unwrap());
    assert!(matches!(
        AsExchange::begin(request, &world.environment),
        Err(Error::Credential(
            CredentialFailure::NoPermittedClientKey { .. }
        ))
    ));
}

/// Conformance rows 117 to 119: nothing is left behind after an end.
#[test]
fn row_118_an_exchange_that_is_over_stays_over() {
    let world = World::new();
    let mut exchange = AsExchange::begin(password_login(), &world.environment).unwrap();
    assert!(matches!(
        exchange.step(Some(Reply::Bytes(b"early"))),
        Err(Error::ApiMisuse(ApiMisuse::OutOfStep(_)))
    ));
    for _ in 0..2 {
        assert!(matches!(
            exchange.step(None),
            Err(Error::ApiMisuse(ApiMisuse::OutOfStep(_)))
        ));
    }
    let mut exchange = AsExchange::begin(password_login(), &world.environment).unwrap();
    assert!(matches!(exchange.step(None), Ok(Progress::Exchange(_))));
    let failure = TransportFailure {
        realm: REALM.into(),
        ..Default::default()
    };
    assert!(matches!(
        exchange.step(Some(Reply::Failed(&failure))),
        Err(Error::Unreachable(_))
    ));
    let nameless = AsRequest::new(
        Principal::new("", name_type::NT_PRINCIPAL, ["alice"]),
        ClientSecret::Password(SecretString::from(PASSWORD)),
    );
    assert!(matches!(
        AsExchange::begin(nameless, &world.environment),
        Err(Error::ApiMisuse(ApiMisuse::EmptyName(_)))
    ));
}

#[test]
fn the_request_says_what_was_asked_for() {
    let world = World::new();
    let mut request = password_login();
    request.service = Some(Principal::parse("kadmin/changepw", Some(REALM)).unwrap());
    request.lifetime = Some(Duration::from_secs(60));
    request.renew_lifetime = Some(Duration::from_secs(600));
    request.options.forwardable = true;
    request.options.request_pac = Some(false);
    let mut exchange = AsExchange::begin(request, &world.environment).unwrap();
    let Progress::Exchange(sent) = exchange.step(None).unwrap() else {
        panic!()
    };
    let body = body(&sent);
    assert_eq!(
        body.kdc_options,
        KdcOptions::FORWARDABLE | KdcOptions::RENEWABLE
    );
    assert_eq!(body.sname.unwrap(), name(&["kadmin", "changepw"]));
    assert_eq!(body.till, KerberosTime::from_seconds(NOW + 60));
    assert_eq!(body.rtime, Some(KerberosTime::from_seconds(NOW + 600)));
    assert_eq!(body.addresses, None);
    let padata = AsReq::from_der(&sent.message).unwrap().0.padata.unwrap();
    assert!(find(&padata, pa_type::PA_PAC_REQUEST).is_some());
}

//! The AS exchange against a KDC that alters one thing at a time.

mod etype_info;
mod keys;
mod preauth;
mod primary;
mod reply;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{
    AsReq, EtypeInfoEntry, KdcOptions, KerberosTime, Message, PaData, Raw, TicketFlags, error_code,
    name_type, pa_type,
};
use trihound_crypto::{Enctype, EnctypePolicy, KeyUsage};
use trihound_krb5::{
    ApiMisuse, AsExchange, AsOutcome, AsRequest, ClientSecret, Config, CredentialFailure, Error,
    InvalidMessage, KdcMisbehaved, KeytabKey, Policy, Principal, Profile,
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
    assert_eq!(outcome.preauthentication, None);
    // RFC 4120 5.4.2: either tag is taken.
    assert!(altered(|parts| parts.other_tag = true).is_ok());
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
        (
            error_code::KDC_ERR_PREAUTH_FAILED,
            "the password is wrong: type it again; several wrong ones may lock the account",
        ),
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
    let Err(Error::Credential(CredentialFailure::NoPreauthentication {
        client,
        offered,
        asked,
    })) = result
    else {
        panic!()
    };
    assert_eq!(offered, "PA_PK_AS_REQ (16)");
    assert_eq!(client, "alice@TEST.EXAMPLE");
    // A KDC that has no key of these types takes no timestamp either: they are the evidence.
    assert!(asked.contains("aes256-cts-hmac-sha1-96"), "{asked}");
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

/// What krb5.conf says for logins of the client's realm, and no other, is asked for.
#[test]
fn a_configured_login_asks_for_what_the_configuration_has_for_its_realm() {
    let text = format!(
        "[libdefaults]
        ticket_lifetime = 1h
        renew_lifetime = 2h
        proxiable = true
        canonicalize = true
        noaddresses = false
        extra_addresses = 2001:db8::1
        {REALM} = {{
            ticket_lifetime = 30m
            forwardable = true
            proxiable = false
        }}
        OTHER = {{
            noaddresses = true
        }}"
    );
    let profile = Profile::parse(&text, &trihound_krb5::NoIncludes, "f").unwrap();
    let mut world = World::with(Config::from_profile(&profile).unwrap());
    world.environment.addresses = Arc::from([
        IpAddr::from([10, 0, 0, 1]),
        "::ffff:10.0.0.2".parse().unwrap(),
    ]);
    let request = |client: Principal| {
        let secret = ClientSecret::Password(SecretString::from("x"));
        let request = AsRequest::configured(client, secret, &world.environment);
        let mut exchange = AsExchange::begin(request, &world.environment).unwrap();
        let Progress::Exchange(sent) = exchange.step(None).unwrap() else {
            panic!()
        };
        body(&sent)
    };
    let own = request(alice());
    assert_eq!(
        own.kdc_options,
        KdcOptions::FORWARDABLE | KdcOptions::RENEWABLE | KdcOptions::CANONICALIZE
    );
    assert_eq!(own.till, KerberosTime::from_seconds(NOW + 1800));
    assert_eq!(own.rtime, Some(KerberosTime::from_seconds(NOW + 7200)));
    let addresses: Vec<_> = own
        .addresses
        .unwrap()
        .into_iter()
        .map(|address| (address.addr_type, address.address.to_vec()))
        .collect();
    let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(
        addresses,
        [
            (2, vec![10, 0, 0, 1]),
            (2, vec![10, 0, 0, 2]),
            (24, v6.to_vec())
        ]
    );
    let other = request(Principal::parse("bob@OTHER", None).unwrap());
    assert_eq!(
        other.kdc_options,
        KdcOptions::PROXIABLE | KdcOptions::RENEWABLE | KdcOptions::CANONICALIZE
    );
    assert_eq!(other.till, KerberosTime::from_seconds(NOW + 3600));
    assert_eq!(other.addresses, None);
}

#[test]
fn a_disabled_encrypted_timestamp_is_not_sent() {
    let text = format!("[realms]\n{REALM} = {{\ndisable_encrypted_timestamp = true\n}}");
    let profile = Profile::parse(&text, &trihound_krb5::NoIncludes, "f").unwrap();
    let world = World::with(Config::from_profile(&profile).unwrap());
    let kdc = Kdc::new(&world);
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |_, _| None);
    let Err(Error::Policy(Policy::EncryptedTimestampDisabled { realm })) = result else {
        panic!("{:?}", result.map(|_| ()));
    };
    assert_eq!(realm, REALM);
    assert_eq!(requests.len(), 1);
}

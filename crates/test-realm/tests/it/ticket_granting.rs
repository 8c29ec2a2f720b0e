//! The ticket-granting service's answers to requests that are put together by hand.

use crate::support::{
    DAY, NOW, TgsBuilder, advance, alice_key, ask_as, ask_tgs, body, builder, clock, login, name,
    open_ticket, realm, service_body, tgt_body, timestamp,
};
use std::sync::Arc;
use std::time::Duration;
use trihound_asn1::{
    AuthorizationDataElement, Checksum, EncryptedData, EncryptionKey, HostAddress, KdcOptions,
    KerberosTime, KrbError, Message, PaData, TicketFlags, error_code, pa_type,
};
use trihound_crypto::{ChecksumType, Enctype, EnctypePolicy, Key, KeyUsage, OsRandom};
use trihound_krb5::pac::remove_pacs;
use trihound_test_realm::{Carrier, Policy, PrincipalOptions, TestRealm};

#[test]
fn a_service_ticket_with_and_without_a_sub_key() {
    let realm = realm();
    let held = login(&realm, KdcOptions::FORWARDABLE);
    let plain = ask_tgs(&realm, &held, &service_body()).ticket();
    assert_eq!(plain.part.sname, name("HTTP/localhost"));
    let part = open_ticket(&realm, "HTTP/localhost", &plain);
    assert_eq!(part.crealm, "EXAMPLE.TEST");
    assert_eq!(part.cname, name("alice"));
    assert_eq!(part.key.keyvalue.expose(), plain.part.key.keyvalue.expose());
    assert_eq!(
        part.flags,
        TicketFlags::PRE_AUTHENT | TicketFlags::TRANSITED_POLICY_CHECKED
    );
    assert_eq!(part.endtime, held.part.endtime);

    let subkey = Key::generate(
        Enctype::AES128_CTS_HMAC_SHA1_96,
        &EnctypePolicy::default(),
        &OsRandom,
    )
    .unwrap();
    let mut request = TgsBuilder::new(&held, NOW);
    request.authenticator.subkey = Some(EncryptionKey::new(17, subkey.expose()));
    request.ask(&realm, &held, &service_body()).ticket();
}

/// Conformance rows 20, 21 and 87, the KDC's side.
#[test]
fn the_body_is_bound_by_a_keyed_checksum_of_the_keys_own_type() {
    let realm = realm();
    let held = login(&realm, KdcOptions::empty());
    let request = || TgsBuilder::new(&held, NOW);
    let mut other = service_body();
    other.sname = Some(name("krbtgt/EXAMPLE.TEST"));
    let mut altered = request();
    altered.checksummed = Some(other);
    let code = altered.ask(&realm, &held, &service_body()).code();
    assert_eq!(code, error_code::KRB_AP_ERR_MODIFIED);

    let mut missing = request();
    missing.keep_checksum = true;
    let code = missing.ask(&realm, &held, &service_body()).code();
    assert_eq!(code, error_code::KRB_AP_ERR_INAPP_CKSUM);

    let md5 =
        trihound_crypto::unkeyed_checksum(ChecksumType::RSA_MD5, &service_body().to_der().unwrap())
            .unwrap();
    let mut unkeyed = request();
    unkeyed.keep_checksum = true;
    unkeyed.authenticator.cksum = Some(Checksum::new(ChecksumType::RSA_MD5.0, md5));
    let code = unkeyed.ask(&realm, &held, &service_body()).code();
    assert_eq!(code, error_code::KRB_AP_ERR_INAPP_CKSUM);
}

/// Conformance rows 8, 9, 10 and 87, the KDC's side.
#[test]
fn the_authenticator_is_checked() {
    let clock = clock();
    let realm = builder().clock(clock.clone()).build().unwrap();
    let held = login(&realm, KdcOptions::empty());
    type Spoil = fn(&mut TgsBuilder);
    let cases: [(Spoil, i32); 5] = [
        (
            |r| r.authenticator.cname = name("mallory"),
            error_code::KRB_AP_ERR_BADMATCH,
        ),
        (
            |r| r.authenticator.crealm = "OTHER.TEST".into(),
            error_code::KRB_AP_ERR_BADMATCH,
        ),
        (
            |r| r.authenticator.ctime = KerberosTime::from_seconds(NOW + 301),
            error_code::KRB_AP_ERR_SKEW,
        ),
        (
            |r| r.authenticator.ctime = KerberosTime::from_seconds(NOW - 301),
            error_code::KRB_AP_ERR_SKEW,
        ),
        (
            |r| r.usage = KeyUsage::AP_REQ_AUTH,
            error_code::KRB_AP_ERR_BAD_INTEGRITY,
        ),
    ];
    for (spoil, expected) in cases {
        let mut request = TgsBuilder::new(&held, NOW);
        spoil(&mut request);
        assert_eq!(request.ask(&realm, &held, &service_body()).code(), expected);
    }
    let now = advance(&clock, Duration::from_secs(13 * 3600));
    let code = TgsBuilder::new(&held, now)
        .ask(&realm, &held, &service_body())
        .code();
    assert_eq!(code, error_code::KRB_AP_ERR_TKT_EXPIRED);
}

#[test]
fn only_a_ticket_for_this_tgs_grants_tickets() {
    let realm = realm();
    let held = login(&realm, KdcOptions::empty());
    let service = ask_tgs(&realm, &held, &service_body()).ticket();
    let code = ask_tgs(&realm, &service, &service_body()).code();
    assert_eq!(code, error_code::KRB_AP_ERR_NOT_US);

    let other = builder().build().unwrap();
    let code = ask_tgs(&other, &held, &service_body()).code();
    assert_eq!(code, error_code::KRB_AP_ERR_BAD_INTEGRITY);

    realm.rotate_keys("krbtgt/EXAMPLE.TEST").unwrap();
    ask_tgs(&realm, &held, &service_body()).ticket();

    let without =
        trihound_asn1::TgsReq::new(None, trihound_asn1::Raw::new(&service_body()).unwrap());
    let reply = realm
        .answer(&without.to_der().unwrap(), Carrier::Stream)
        .unwrap();
    let error = KrbError::from_der(&reply).unwrap();
    assert_eq!(error.error_code, error_code::KDC_ERR_PADATA_TYPE_NOSUPP);
}

/// Conformance row 103, the KDC's side.
#[test]
fn renewal_keeps_everything_but_the_times() {
    let clock = clock();
    let realm = builder().clock(clock.clone()).build().unwrap();
    let fixed = login(&realm, KdcOptions::empty());
    let held = login(&realm, KdcOptions::RENEWABLE | KdcOptions::FORWARDABLE);
    let mut renew = tgt_body();
    renew.cname = None;
    renew.kdc_options = KdcOptions::RENEW;
    let code = ask_tgs(&realm, &fixed, &renew).code();
    assert_eq!(code, error_code::KDC_ERR_BADOPTION);

    let now = advance(&clock, Duration::from_secs(3600));
    let again = TgsBuilder::new(&held, now)
        .ask(&realm, &held, &renew)
        .ticket();
    assert_eq!(
        again.part.flags,
        (held.part.flags - TicketFlags::INITIAL) | TicketFlags::TRANSITED_POLICY_CHECKED
    );
    assert_eq!(again.part.authtime, held.part.authtime);
    assert_eq!(again.part.renew_till, held.part.renew_till);
    assert_eq!(again.part.endtime.seconds(), now + DAY / 2);

    let mut other = renew.clone();
    other.sname = Some(name("HTTP/localhost"));
    let code = TgsBuilder::new(&held, now)
        .ask(&realm, &held, &other)
        .code();
    assert_eq!(code, error_code::KDC_ERR_SERVER_NOMATCH);
}

#[test]
fn forwarding_and_proxies_need_the_tickets_leave() {
    let realm = realm();
    let bare = login(&realm, KdcOptions::empty());
    let rich = login(&realm, KdcOptions::FORWARDABLE | KdcOptions::PROXIABLE);
    let mut forward = tgt_body();
    forward.cname = None;
    forward.kdc_options = KdcOptions::FORWARDED | KdcOptions::FORWARDABLE;
    let mut proxy = service_body();
    proxy.kdc_options = KdcOptions::PROXY;
    for request in [&forward, &proxy] {
        let code = ask_tgs(&realm, &bare, request).code();
        assert_eq!(code, error_code::KDC_ERR_BADOPTION);
    }
    let forwarded = ask_tgs(&realm, &rich, &forward).ticket();
    let both = TicketFlags::FORWARDED | TicketFlags::FORWARDABLE;
    assert!(forwarded.part.flags.contains(both));
    // A ticket by a forwarded one says so.
    let service = ask_tgs(&realm, &forwarded, &service_body()).ticket();
    assert!(service.part.flags.contains(TicketFlags::FORWARDED));
    let proxied = ask_tgs(&realm, &rich, &proxy).ticket();
    assert!(proxied.part.flags.contains(TicketFlags::PROXY));
    proxy.sname = Some(name("krbtgt/EXAMPLE.TEST"));
    let code = ask_tgs(&realm, &rich, &proxy).code();
    assert_eq!(code, error_code::KDC_ERR_BADOPTION);
}

/// RFC 4120 section 3.3.3: a forwarded ticket is bound to the addresses of the request, and to none where
/// it names none; any other one has those of the ticket that it was got with.
#[test]
fn a_forwarded_ticket_has_the_addresses_that_were_asked_for() {
    let realm = realm();
    let address = |last| {
        vec![HostAddress {
            addr_type: 2,
            address: vec![192, 0, 2, last].into(),
        }]
    };
    let mut wish = tgt_body();
    wish.kdc_options = KdcOptions::FORWARDABLE;
    wish.addresses = Some(address(1));
    let key = alice_key();
    let bound = ask_as(&realm, &wish, vec![timestamp(&key, NOW)], &key).ticket();
    assert_eq!(bound.part.caddr, Some(address(1)));
    let service = ask_tgs(&realm, &bound, &service_body()).ticket();
    assert_eq!(service.part.caddr, Some(address(1)));
    let mut forward = tgt_body();
    forward.cname = None;
    forward.kdc_options = KdcOptions::FORWARDED | KdcOptions::FORWARDABLE;
    for addresses in [None, Some(address(2))] {
        forward.addresses.clone_from(&addresses);
        let forwarded = ask_tgs(&realm, &bound, &forward).ticket();
        assert_eq!(forwarded.part.caddr, addresses);
    }
}

#[test]
fn delegation_that_is_not_there_is_refused() {
    let realm = realm();
    let held = login(&realm, KdcOptions::FORWARDABLE);
    for option in [
        KdcOptions::ENC_TKT_IN_SKEY,
        KdcOptions::CNAME_IN_ADDL_TKT,
        KdcOptions::REQUEST_ANONYMOUS,
    ] {
        let mut body = service_body();
        body.kdc_options = option;
        let code = ask_tgs(&realm, &held, &body).code();
        assert_eq!(code, error_code::KDC_ERR_BADOPTION);
    }
    for kind in [pa_type::PA_FOR_USER, pa_type::PA_S4U_X509_USER] {
        let mut request = TgsBuilder::new(&held, NOW);
        request.padata.push(PaData::new(kind, vec![]));
        let code = request.ask(&realm, &held, &service_body()).code();
        assert_eq!(code, error_code::KDC_ERR_BADOPTION);
    }
}

/// Conformance row 89, the KDC's side.
#[test]
fn authorization_data_of_the_request_reaches_the_ticket() {
    let realm = realm();
    let held = login(&realm, KdcOptions::empty());
    let data = vec![AuthorizationDataElement::new(-1, b"data".to_vec())];
    let seal = |usage| {
        let cipher = held
            .key
            .encrypt(usage, &data.to_der().unwrap(), &OsRandom)
            .unwrap();
        let mut body = service_body();
        body.enc_authorization_data = Some(EncryptedData::new(held.key.enctype().0, None, cipher));
        ask_tgs(&realm, &held, &body)
    };
    let ticket = seal(KeyUsage::TGS_REQ_AD_SESSKEY).ticket();
    let mut part = open_ticket(&realm, "HTTP/localhost", &ticket);
    remove_pacs(&mut part.authorization_data);
    assert_eq!(part.authorization_data, Some(data.clone()));
    let code = seal(KeyUsage::TGS_REQ_AD_SUBKEY).code();
    assert_eq!(code, error_code::KRB_AP_ERR_BAD_INTEGRITY);
}

/// Three realms, each with a trust to the next.
fn chain() -> [Arc<TestRealm>; 3] {
    let a = builder()
        .trust("B.TEST", "ab")
        .route("C.TEST", "B.TEST")
        .domain("c.test", "C.TEST");
    let b = TestRealm::builder("B.TEST")
        .trust("EXAMPLE.TEST", "ab")
        .trust("C.TEST", "bc")
        .clock(clock());
    let c = TestRealm::builder("C.TEST")
        .trust("B.TEST", "bc")
        .service("HTTP/web.c.test")
        .clock(clock());
    [a, b, c].map(|realm| realm.build().unwrap())
}

/// Conformance row 12, the KDC's side: the realm in between is listed, and known to be allowed.
#[test]
fn a_path_over_two_trusts() {
    let [a, b, c] = chain();
    let held = login(&a, KdcOptions::empty());
    // The direct way there is not known: the next realm on it comes instead.
    let to_b = ask_tgs(&a, &held, &body("EXAMPLE.TEST", None, "krbtgt/C.TEST")).ticket();
    assert_eq!(to_b.part.sname, name("krbtgt/B.TEST"));
    assert_eq!(to_b.part.srealm, "EXAMPLE.TEST");
    let to_c = ask_tgs(&b, &to_b, &body("B.TEST", None, "krbtgt/C.TEST")).ticket();
    assert_eq!(to_c.part.sname, name("krbtgt/C.TEST"));
    let service = ask_tgs(&c, &to_c, &body("C.TEST", None, "HTTP/web.c.test")).ticket();
    let part = open_ticket(&c, "HTTP/web.c.test", &service);
    assert_eq!(part.crealm, "EXAMPLE.TEST");
    assert_eq!(part.transited.contents.as_ref(), b"B.TEST");
    assert!(part.flags.contains(TicketFlags::TRANSITED_POLICY_CHECKED));

    let mut unchecked = body("C.TEST", None, "HTTP/web.c.test");
    unchecked.kdc_options = KdcOptions::DISABLE_TRANSITED_CHECK;
    let service = ask_tgs(&c, &to_c, &unchecked).ticket();
    let part = open_ticket(&c, "HTTP/web.c.test", &service);
    assert!(!part.flags.contains(TicketFlags::TRANSITED_POLICY_CHECKED));
}

/// Conformance row 90, the KDC's side: a referral only where the client can follow one.
#[test]
fn a_referral_by_the_hosts_domain() {
    let [a, ..] = chain();
    let held = login(&a, KdcOptions::empty());
    let mut ask = body("EXAMPLE.TEST", None, "HTTP/web.c.test");
    let code = ask_tgs(&a, &held, &ask).code();
    assert_eq!(code, error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN);
    ask.kdc_options = KdcOptions::CANONICALIZE;
    let referral = ask_tgs(&a, &held, &ask).ticket();
    assert_eq!(referral.part.sname, name("krbtgt/B.TEST"));
    ask.sname = Some(name("HTTP/web.d.test"));
    let code = ask_tgs(&a, &held, &ask).code();
    assert_eq!(code, error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN);
}

/// A path over a realm that the last one does not know: refused, or unchecked by policy.
#[test]
fn a_path_that_is_not_allowed() {
    for reject in [true, false] {
        let a = builder().trust("B.TEST", "ab").build().unwrap();
        let b = TestRealm::builder("B.TEST")
            .trust("EXAMPLE.TEST", "ab")
            .trust("C.TEST", "bc")
            .clock(clock())
            .build()
            .unwrap();
        let c = TestRealm::builder("C.TEST")
            .trust("B.TEST", "bc")
            .trust("D.TEST", "cd")
            .clock(clock())
            .build()
            .unwrap();
        let mut policy = Policy::default();
        policy.reject_bad_transit = reject;
        let d = TestRealm::builder("D.TEST")
            .trust("C.TEST", "cd")
            .service("HTTP/web")
            .policy(policy)
            .clock(clock())
            .build()
            .unwrap();
        let held = login(&a, KdcOptions::empty());
        let to_b = ask_tgs(&a, &held, &body("EXAMPLE.TEST", None, "krbtgt/B.TEST")).ticket();
        let to_c = ask_tgs(&b, &to_b, &body("B.TEST", None, "krbtgt/C.TEST")).ticket();
        let to_d = ask_tgs(&c, &to_c, &body("C.TEST", None, "krbtgt/D.TEST")).ticket();
        let answer = ask_tgs(&d, &to_d, &body("D.TEST", None, "HTTP/web"));
        if reject {
            assert_eq!(answer.code(), error_code::KDC_ERR_POLICY);
        } else {
            let part = open_ticket(&d, "HTTP/web", &answer.ticket());
            assert_eq!(part.transited.contents.as_ref(), b"B.TEST,C.TEST");
            assert!(!part.flags.contains(TicketFlags::TRANSITED_POLICY_CHECKED));
        }
    }
}

/// Another realm has no say over the clients of this one.
#[test]
fn a_client_of_this_realm_does_not_come_from_another() {
    let a = builder().trust("B.TEST", "ab").build().unwrap();
    let b = TestRealm::builder("B.TEST")
        .trust("EXAMPLE.TEST", "ab")
        .clock(clock())
        .build()
        .unwrap();
    let held = login(&a, KdcOptions::empty());
    let to_b = ask_tgs(&a, &held, &body("EXAMPLE.TEST", None, "krbtgt/B.TEST")).ticket();
    let back = ask_tgs(&b, &to_b, &body("B.TEST", None, "krbtgt/EXAMPLE.TEST")).ticket();
    let code = ask_tgs(&a, &back, &service_body()).code();
    assert_eq!(code, error_code::KDC_ERR_POLICY);
}

#[test]
fn trusts_with_different_passwords_do_not_fit() {
    let a = builder().trust("B.TEST", "one").build().unwrap();
    let b = TestRealm::builder("B.TEST")
        .trust("EXAMPLE.TEST", "other")
        .clock(clock())
        .build()
        .unwrap();
    let held = login(&a, KdcOptions::empty());
    let to_b = ask_tgs(&a, &held, &body("EXAMPLE.TEST", None, "krbtgt/B.TEST")).ticket();
    let code = ask_tgs(&b, &to_b, &body("B.TEST", None, "HTTP/web")).code();
    assert_eq!(code, error_code::KRB_AP_ERR_BAD_INTEGRITY);
}

/// Only who issued a ticket renews it.
#[test]
fn a_ticket_of_another_realm_is_not_renewed_here() {
    let a = builder().trust("B.TEST", "ab").build().unwrap();
    let b = TestRealm::builder("B.TEST")
        .trust("EXAMPLE.TEST", "ab")
        .clock(clock())
        .build()
        .unwrap();
    let held = login(&a, KdcOptions::RENEWABLE);
    let mut cross = body("EXAMPLE.TEST", None, "krbtgt/B.TEST");
    cross.kdc_options = KdcOptions::RENEWABLE;
    let to_b = ask_tgs(&a, &held, &cross).ticket();
    assert!(to_b.part.flags.contains(TicketFlags::RENEWABLE));
    let mut renew = body("B.TEST", None, "krbtgt/B.TEST");
    renew.kdc_options = KdcOptions::RENEW;
    let code = ask_tgs(&b, &to_b, &renew).code();
    assert_eq!(code, error_code::KRB_AP_ERR_NOT_US);
    renew.realm = "EXAMPLE.TEST".into();
    ask_tgs(&a, &to_b, &renew).ticket();
}

#[test]
fn a_services_own_limits_and_marks() {
    let limited = PrincipalOptions::default()
        .max_life(Duration::from_secs(60))
        .not_forwardable()
        .ok_as_delegate();
    let realm = builder()
        .service_with("imap/localhost", limited)
        .build()
        .unwrap();
    let held = login(&realm, KdcOptions::FORWARDABLE);
    let mut ask = body("EXAMPLE.TEST", None, "imap/localhost");
    ask.kdc_options = KdcOptions::FORWARDABLE;
    let got = ask_tgs(&realm, &held, &ask).ticket();
    assert_eq!(got.part.endtime.seconds(), NOW + 60);
    assert!(!got.part.flags.contains(TicketFlags::FORWARDABLE));
    assert!(got.part.flags.contains(TicketFlags::OK_AS_DELEGATE));
    ask.sname = Some(name("HTTP/localhost"));
    let got = ask_tgs(&realm, &held, &ask).ticket();
    assert!(got.part.flags.contains(TicketFlags::FORWARDABLE));
    assert!(!got.part.flags.contains(TicketFlags::OK_AS_DELEGATE));
}

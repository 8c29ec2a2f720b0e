//! The authentication service's answers to requests that are put together by hand.

use crate::support::{
    DAY, NOW, TgsBuilder, advance, alice_key, as_req, ask_as, ask_tgs, body, builder, clock, login,
    name, open_ticket, password_key, realm, service_body, tgt_body, timestamp,
};
use std::time::Duration;
use trihound_asn1::{
    AsRep, Checksum, EtypeInfo, EtypeInfo2, KdcOptions, KerberosTime, KrbError, Message,
    MethodData, PaData, TicketFlags, error_code, name_type, pa_type,
};
use trihound_crypto::{ChecksumType, Enctype, KeyUsage};
use trihound_sansio::Timestamp;
use trihound_test_realm::{Carrier, Error, Policy, PrincipalOptions, TestRealm};

/// The hints that come with KDC_ERR_PREAUTH_REQUIRED, by type.
fn hint(error: &KrbError, padata_type: i32) -> Option<Vec<u8>> {
    MethodData::from_der(error.e_data.as_ref()?)
        .unwrap()
        .into_iter()
        .find(|element| element.padata_type == padata_type)
        .map(|element| element.padata_value.to_vec())
}

/// Conformance row 64, the KDC's side: without a proof the hints come, with salt and enctypes in
/// the client's order.
#[test]
fn preauthentication_is_required_with_hints() {
    let error = ask_as(&realm(), &tgt_body(), vec![], &alice_key()).error();
    assert_eq!(error.error_code, error_code::KDC_ERR_PREAUTH_REQUIRED);
    assert_eq!(error.cname, Some(name("alice")));
    let info = EtypeInfo2::from_der(&hint(&error, pa_type::PA_ETYPE_INFO2).unwrap()).unwrap();
    let etypes: Vec<_> = info.iter().map(|entry| entry.etype).collect();
    assert_eq!(etypes, [18, 17, 20, 19]);
    assert!(
        info.iter()
            .all(|e| e.salt == Some("EXAMPLE.TESTalice".into()))
    );
    assert_eq!(hint(&error, pa_type::PA_ENC_TIMESTAMP), Some(vec![]));
}

#[test]
fn the_clients_order_decides_the_keys() {
    let mut body = tgt_body();
    body.etype = vec![99, 19, 18];
    let key = password_key(Enctype::AES128_CTS_HMAC_SHA256_128, "password");
    let held = ask_as(&realm(), &body, vec![timestamp(&key, NOW)], &key).ticket();
    assert_eq!(held.part.key.keytype, 19);
}

#[test]
fn an_old_kdc_speaks_etype_info() {
    let mut policy = Policy::default();
    policy.old_etype_info = true;
    let realm = builder().policy(policy).build().unwrap();
    let error = ask_as(&realm, &tgt_body(), vec![], &alice_key()).error();
    let info = EtypeInfo::from_der(&hint(&error, pa_type::PA_ETYPE_INFO).unwrap()).unwrap();
    assert_eq!(info.first().unwrap().etype, 18);
    assert_eq!(hint(&error, pa_type::PA_ETYPE_INFO2), None);
}

/// Conformance row 67, the KDC's side.
#[test]
fn the_proof_is_checked() {
    let realm = realm();
    let key = alice_key();
    let wrong = password_key(Enctype::AES256_CTS_HMAC_SHA1_96, "wrong");
    let garbage = PaData::new(pa_type::PA_ENC_TIMESTAMP, vec![1, 2, 3]);
    for (proof, expected) in [
        (timestamp(&wrong, NOW), error_code::KDC_ERR_PREAUTH_FAILED),
        (garbage, error_code::KDC_ERR_PREAUTH_FAILED),
        (timestamp(&key, NOW + 301), error_code::KRB_AP_ERR_SKEW),
        (timestamp(&key, NOW - 301), error_code::KRB_AP_ERR_SKEW),
    ] {
        assert_eq!(
            ask_as(&realm, &tgt_body(), vec![proof], &key).code(),
            expected
        );
    }
    for seconds in [NOW - 300, NOW + 300] {
        ask_as(&realm, &tgt_body(), vec![timestamp(&key, seconds)], &key).ticket();
    }
}

/// Conformance row 70, the KDC's side: the cookie has to come back.
#[test]
fn the_cookie_has_to_be_echoed() {
    let mut policy = Policy::default();
    policy.cookie = Some(b"cookie".to_vec());
    let realm = builder().policy(policy).build().unwrap();
    let key = alice_key();
    let error = ask_as(&realm, &tgt_body(), vec![], &key).error();
    assert_eq!(
        hint(&error, pa_type::PA_FX_COOKIE),
        Some(b"cookie".to_vec())
    );
    let without = ask_as(&realm, &tgt_body(), vec![timestamp(&key, NOW)], &key);
    assert_eq!(without.code(), error_code::KDC_ERR_PREAUTH_FAILED);
    let cookie = PaData::new(pa_type::PA_FX_COOKIE, b"cookie".to_vec());
    ask_as(
        &realm,
        &tgt_body(),
        vec![cookie, timestamp(&key, NOW)],
        &key,
    )
    .ticket();
}

#[test]
fn standing_of_client_and_server() {
    let options = PrincipalOptions::default;
    let past = Timestamp::from_seconds(NOW - 1);
    let realm = builder()
        .principal_with("gone", "x", options().expires(past))
        .principal_with("stale", "x", options().password_expires(past))
        .principal_with("locked", "x", options().locked())
        .principal_with("nobody/here", "x", options().client_only())
        .service_with("old/localhost", options().expires(past))
        .service_with("shut/localhost", options().locked())
        .service("kadmin/changepw")
        .build()
        .unwrap();
    let key = alice_key();
    let tgs = "krbtgt/EXAMPLE.TEST";
    for (client, server, expected) in [
        ("mallory", tgs, error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN),
        ("gone", tgs, error_code::KDC_ERR_NAME_EXP),
        ("stale", tgs, error_code::KDC_ERR_KEY_EXPIRED),
        (
            "stale",
            "kadmin/changepw",
            error_code::KDC_ERR_PREAUTH_REQUIRED,
        ),
        ("locked", tgs, error_code::KDC_ERR_CLIENT_REVOKED),
        (
            "alice",
            "HTTP/nowhere",
            error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN,
        ),
        (
            "alice",
            "nobody/here",
            error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN,
        ),
        ("alice", "old/localhost", error_code::KDC_ERR_SERVICE_EXP),
        (
            "alice",
            "shut/localhost",
            error_code::KDC_ERR_SERVICE_REVOKED,
        ),
    ] {
        let request = body("EXAMPLE.TEST", Some(client), server);
        let code = ask_as(&realm, &request, vec![], &key).code();
        assert_eq!(code, expected, "{client} to {server}");
    }
    let mut elsewhere = tgt_body();
    elsewhere.realm = "OTHER.TEST".into();
    let code = ask_as(&realm, &elsewhere, vec![], &key).code();
    assert_eq!(code, error_code::KDC_ERR_WRONG_REALM);
    let mut nameless = tgt_body();
    nameless.cname = None;
    let code = ask_as(&realm, &nameless, vec![], &key).code();
    assert_eq!(code, error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN);
}

#[test]
fn enctypes_without_a_key_are_not_supported() {
    let mut body = tgt_body();
    for etypes in [vec![], vec![1, 3, 16], vec![23]] {
        body.etype = etypes;
        let code = ask_as(&realm(), &body, vec![], &alice_key()).code();
        assert_eq!(code, error_code::KDC_ERR_ETYPE_NOSUPP);
    }
}

#[test]
fn options_of_the_other_service_are_bad() {
    for option in [
        KdcOptions::RENEW,
        KdcOptions::VALIDATE,
        KdcOptions::FORWARDED,
        KdcOptions::PROXY,
        KdcOptions::ENC_TKT_IN_SKEY,
        KdcOptions::REQUEST_ANONYMOUS,
    ] {
        let mut body = tgt_body();
        body.kdc_options = option;
        let code = ask_as(&realm(), &body, vec![], &alice_key()).code();
        assert_eq!(code, error_code::KDC_ERR_BADOPTION, "{option:?}");
    }
}

#[test]
fn times_and_flags_of_an_initial_ticket() {
    let realm = realm();
    let key = alice_key();
    let held = login(&realm, KdcOptions::empty());
    assert_eq!(
        held.part.flags,
        TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT
    );
    assert_eq!(held.part.authtime.seconds(), NOW);
    assert_eq!(held.part.endtime.seconds(), NOW + DAY / 2);
    assert_eq!(held.part.renew_till, None);
    assert_eq!(held.part.sname, name("krbtgt/EXAMPLE.TEST"));

    let mut wish = tgt_body();
    wish.kdc_options = KdcOptions::FORWARDABLE
        | KdcOptions::PROXIABLE
        | KdcOptions::RENEWABLE
        | KdcOptions::ALLOW_POSTDATE;
    wish.till = KerberosTime::from_seconds(0);
    wish.rtime = Some(KerberosTime::from_seconds(NOW + 30 * DAY));
    let held = ask_as(&realm, &wish, vec![timestamp(&key, NOW)], &key).ticket();
    let expected = TicketFlags::FORWARDABLE
        | TicketFlags::PROXIABLE
        | TicketFlags::RENEWABLE
        | TicketFlags::MAY_POSTDATE;
    assert!(held.part.flags.contains(expected));
    assert_eq!(held.part.endtime.seconds(), NOW + DAY);
    assert_eq!(held.part.renew_till.unwrap().seconds(), NOW + 7 * DAY);

    wish.kdc_options = KdcOptions::RENEWABLE_OK;
    wish.till = KerberosTime::from_seconds(NOW + 3 * DAY);
    wish.rtime = None;
    let held = ask_as(&realm, &wish, vec![timestamp(&key, NOW)], &key).ticket();
    assert_eq!(held.part.renew_till.unwrap().seconds(), NOW + 3 * DAY);

    wish.till = KerberosTime::from_seconds(NOW - 1);
    let code = ask_as(&realm, &wish, vec![timestamp(&key, NOW)], &key).code();
    assert_eq!(code, error_code::KDC_ERR_NEVER_VALID);
}

#[test]
fn what_the_policy_forbids_is_not_given() {
    let mut policy = Policy::default();
    policy.forwardable = false;
    policy.proxiable = false;
    policy.postdatable = false;
    let realm = builder().policy(policy).build().unwrap();
    let wish = KdcOptions::FORWARDABLE | KdcOptions::PROXIABLE | KdcOptions::ALLOW_POSTDATE;
    let held = login(&realm, wish);
    assert_eq!(
        held.part.flags,
        TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT
    );
    let mut later = tgt_body();
    later.kdc_options = KdcOptions::POSTDATED;
    later.from = Some(KerberosTime::from_seconds(NOW + 3600));
    let key = alice_key();
    let code = ask_as(&realm, &later, vec![timestamp(&key, NOW)], &key).code();
    assert_eq!(code, error_code::KDC_ERR_CANNOT_POSTDATE);
}

#[test]
fn a_postdated_ticket_has_to_be_validated_when_its_time_has_come() {
    let clock = clock();
    let realm = builder().clock(clock.clone()).build().unwrap();
    let key = alice_key();
    let mut later = tgt_body();
    later.from = Some(KerberosTime::from_seconds(NOW + 3600));
    let code = ask_as(&realm, &later, vec![timestamp(&key, NOW)], &key).code();
    assert_eq!(code, error_code::KDC_ERR_CANNOT_POSTDATE);
    later.kdc_options = KdcOptions::POSTDATED | KdcOptions::ALLOW_POSTDATE;
    let held = ask_as(&realm, &later, vec![timestamp(&key, NOW)], &key).ticket();
    assert!(
        held.part
            .flags
            .contains(TicketFlags::POSTDATED | TicketFlags::INVALID)
    );

    let mut validate = tgt_body();
    validate.kdc_options = KdcOptions::VALIDATE;
    let code = ask_tgs(&realm, &held, &validate).code();
    assert_eq!(code, error_code::KRB_AP_ERR_TKT_NYV);
    let now = advance(&clock, Duration::from_secs(3601));
    let ask = |body: &_| TgsBuilder::new(&held, now).ask(&realm, &held, body);
    assert_eq!(ask(&service_body()).code(), error_code::KRB_AP_ERR_TKT_NYV);
    let valid = ask(&validate).ticket();
    assert!(!valid.part.flags.contains(TicketFlags::INVALID));
    assert!(valid.part.flags.contains(TicketFlags::POSTDATED));
    TgsBuilder::new(&valid, now)
        .ask(&realm, &valid, &service_body())
        .ticket();
}

/// Conformance row 75, the KDC's side: the checksum is over the request's own bytes.
#[test]
fn the_request_is_confirmed_when_asked() {
    let realm = realm();
    let key = alice_key();
    let padata = vec![
        timestamp(&key, NOW),
        PaData::new(pa_type::PA_REQ_ENC_PA_REP, vec![]),
    ];
    let request = as_req(&tgt_body(), padata);
    let reply = realm.answer(&request, Carrier::Stream).unwrap();
    let reply = AsRep::from_der(&reply).unwrap();
    let plain = key
        .decrypt(KeyUsage::AS_REP_ENC_PART, &reply.enc_part.cipher)
        .unwrap();
    let part = trihound_asn1::decode_enc_kdc_rep_part(plain.expose()).unwrap();
    assert!(part.flags.contains(TicketFlags::ENC_PA_REP));
    let confirmed = part.encrypted_pa_data.unwrap();
    let sum = Checksum::from_der(&confirmed.first().unwrap().padata_value).unwrap();
    key.verify_checksum(
        KeyUsage::AS_REQ,
        ChecksumType(sum.cksumtype),
        &request,
        &sum.checksum,
    )
    .unwrap();
}

#[test]
fn enterprise_names_stand_for_accounts() {
    let realm = realm();
    let key = alice_key();
    let mut body = tgt_body();
    let enterprise =
        trihound_asn1::PrincipalName::new(name_type::NT_ENTERPRISE, ["alice@example.test"]);
    body.cname = Some(enterprise.clone());
    let held = ask_as(&realm, &body, vec![timestamp(&key, NOW)], &key).ticket();
    assert_eq!(held.client.name, enterprise);
    body.kdc_options = KdcOptions::CANONICALIZE;
    let held = ask_as(&realm, &body, vec![timestamp(&key, NOW)], &key).ticket();
    assert_eq!(held.client.name, name("alice"));
}

/// Conformance row 181, the KDC's side.
#[test]
fn a_long_reply_does_not_go_into_a_datagram() {
    let mut policy = Policy::default();
    policy.max_datagram = 200;
    let realm = builder().policy(policy).build().unwrap();
    let request = as_req(&tgt_body(), vec![timestamp(&alice_key(), NOW)]);
    let reply = realm.answer(&request, Carrier::Datagram).unwrap();
    let error = KrbError::from_der(&reply).unwrap();
    assert_eq!(error.error_code, error_code::KRB_ERR_RESPONSE_TOO_BIG);
    let reply = realm.answer(&request, Carrier::Stream).unwrap();
    AsRep::from_der(&reply).unwrap();
}

/// Conformance row 46: bytes of any kind are answered or dropped, never more.
#[test]
fn any_bytes_are_survived() {
    let realm = realm();
    let held = login(&realm, KdcOptions::empty());
    let requests = [
        as_req(&tgt_body(), vec![timestamp(&alice_key(), NOW)]),
        TgsBuilder::new(&held, NOW).bytes(&held, &service_body()),
    ];
    assert_eq!(realm.answer(b"", Carrier::Stream), None);
    assert_eq!(realm.answer(b"GET / HTTP/1.0", Carrier::Stream), None);
    for request in &requests {
        for cut in 0..request.len() {
            let _ = realm.answer(&request[..cut], Carrier::Stream);
        }
        for at in 0..request.len() {
            let mut spoiled = request.clone();
            spoiled[at] ^= 0xff;
            let _ = realm.answer(&spoiled, Carrier::Datagram);
        }
    }
}

#[test]
fn what_cannot_be_built_is_told() {
    let twice = builder().principal("alice", "x").build();
    assert!(matches!(twice, Err(Error::Duplicate(name)) if name == "alice@EXAMPLE.TEST"));
    assert!(matches!(
        builder().principal("", "x").build(),
        Err(Error::Name(_))
    ));
    let itself = builder().trust("EXAMPLE.TEST", "x").build();
    assert!(matches!(itself, Err(Error::TrustWithItself(_))));
    let none = builder()
        .service_with("x", PrincipalOptions::default().enctypes(&[]))
        .build();
    assert!(matches!(none, Err(Error::NoKey(_))));
    let weak = PrincipalOptions::default().enctypes(&[Enctype::RC4_HMAC]);
    assert!(matches!(
        builder().service_with("x", weak).build(),
        Err(Error::Key { .. })
    ));
    let realm = realm();
    assert!(matches!(
        realm.keytab(&["HTTP/nowhere"]),
        Err(Error::UnknownPrincipal(_))
    ));
    assert!(matches!(
        realm.set_password("bob", "x"),
        Err(Error::UnknownPrincipal(_))
    ));
    assert!(matches!(
        realm.rotate_keys("bob"),
        Err(Error::UnknownPrincipal(_))
    ));
}

#[test]
fn a_new_password_takes_the_place_of_the_old_one() {
    let realm = realm();
    realm.set_password("alice", "new").unwrap();
    let old = alice_key();
    let code = ask_as(&realm, &tgt_body(), vec![timestamp(&old, NOW)], &old).code();
    assert_eq!(code, error_code::KDC_ERR_PREAUTH_FAILED);
    let new = password_key(Enctype::AES256_CTS_HMAC_SHA1_96, "new");
    ask_as(&realm, &tgt_body(), vec![timestamp(&new, NOW)], &new).ticket();
}

#[test]
fn principals_come_from_a_keytab() {
    let first = realm();
    let keytab = first.keytab(&["alice", "HTTP/localhost"]).unwrap();
    let second = TestRealm::builder("EXAMPLE.TEST")
        .principals_of_keytab(&keytab, &PrincipalOptions::default())
        .clock(clock())
        .build()
        .unwrap();
    let held = login(&second, KdcOptions::empty());
    let service = ask_tgs(&second, &held, &service_body()).ticket();
    // The first realm's keytab opens the second realm's ticket.
    open_ticket(&first, "HTTP/localhost", &service);
}

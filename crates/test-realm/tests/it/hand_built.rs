//! The services' answers to requests that are put together by hand.

use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{
    AsRep, AuthorizationDataElement, Checksum, EncryptedData, EncryptionKey, EtypeInfo, EtypeInfo2,
    KdcOptions, KerberosTime, KrbError, Message, MethodData, PaData, TicketFlags, error_code,
    name_type, pa_type,
};
use trihound_crypto::{ChecksumType, Enctype, EnctypePolicy, Key, KeyUsage, OsRandom};
use trihound_sansio::Timestamp;
use trihound_test_realm::{Carrier, Error, Policy, PrincipalOptions, TestRealm};

use crate::support::{
    DAY, NOW, TgsBuilder, advance, alice_key, as_req, ask_as, ask_tgs, body, builder, clock, login,
    name, open_ticket, password_key, tgt_body, timestamp,
};

fn realm() -> Arc<TestRealm> {
    builder().build().unwrap()
}

fn service_body() -> trihound_asn1::KdcReqBody {
    body("EXAMPLE.TEST", None, "HTTP/localhost")
}

/// The hints that come with KDC_ERR_PREAUTH_REQUIRED, by type.
fn hint(error: &KrbError, padata_type: i32) -> Option<Vec<u8>> {
    MethodData::from_der(error.e_data.as_ref()?)
        .unwrap()
        .into_iter()
        .find(|element| element.padata_type == padata_type)
        .map(|element| element.padata_value.to_vec())
}

// ---- the authentication service

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

// ---- the ticket-granting service

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

#[test]
fn delegation_that_is_not_there_is_refused() {
    let realm = realm();
    let held = login(&realm, KdcOptions::FORWARDABLE);
    for option in [KdcOptions::ENC_TKT_IN_SKEY, KdcOptions::CNAME_IN_ADDL_TKT] {
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
    let part = open_ticket(&realm, "HTTP/localhost", &ticket);
    assert_eq!(part.authorization_data, Some(data.clone()));
    let code = seal(KeyUsage::TGS_REQ_AD_SUBKEY).code();
    assert_eq!(code, error_code::KRB_AP_ERR_BAD_INTEGRITY);
}

// ---- trust

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

// ---- the builder

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

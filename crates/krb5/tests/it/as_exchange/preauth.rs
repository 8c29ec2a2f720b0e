//! Pre-authentication, hints and clocks.

use super::*;

/// Conformance rows 64, 65, 67 and 70.
#[test]
fn preauthentication_sends_a_timestamp_once_the_kdc_told_the_enctype_and_echoes_the_cookie() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    world.clock.set(Timestamp::from_parts(NOW, 123_456));
    let (result, requests) = preauthenticated(&world, &kdc, password_login(), |_, _| None);
    assert_eq!(
        result.unwrap().preauthentication,
        Some(pa_type::PA_ENC_TIMESTAMP)
    );
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

#[test]
fn a_client_without_a_name_is_refused_before_any_request() {
    let nobody = Principal::new(REALM, name_type::NT_PRINCIPAL, Vec::<&str>::new());
    let request = AsRequest::new(nobody, ClientSecret::Password(SecretString::from(PASSWORD)));
    assert!(matches!(
        AsExchange::begin(request, &World::new().environment),
        Err(Error::ApiMisuse(ApiMisuse::EmptyName("name of the client")))
    ));
}

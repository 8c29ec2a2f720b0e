//! Which of the client's keys opens the reply, when it is another than the timestamp's.

use super::*;

const SALT: &str = "TEST.EXAMPLEalice";

/// A reply that names the version of the client's key.
fn with_kvno(reply: &[u8], kvno: u32) -> Vec<u8> {
    let mut reply = trihound_asn1::AsRep::from_der(reply).unwrap();
    reply.0.enc_part.kvno = Some(nonce(kvno));
    reply.to_der().unwrap()
}

/// A pre-authenticated login whose reply is altered; the timestamp has been verified before.
fn answered(kdc: &Kdc, world: &World, alter: impl Fn(&mut Parts)) -> Result<AsOutcome, Error> {
    preauthenticated(world, kdc, password_login(), |_, request| {
        kdc.timestamp(&request.message)
            .map(|_| kdc.as_reply(&request.message, &alter))
    })
    .0
}

/// Conformance rows 6 and 65: the reply's own etype decides, not that of the timestamp.
#[test]
fn row_65_the_reply_may_be_in_another_requested_enctype_than_the_timestamp() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.info = vec![(AES256, Some(SALT), None), (AES128, Some(SALT), None)];
    for padata in [Some(vec![kdc.info2()]), None] {
        let outcome = answered(&kdc, &world, |parts| {
            parts.key = password_key(AES128, SALT, None);
            parts.padata = padata.clone();
        });
        assert_eq!(outcome.unwrap().credentials.client, alice());
    }
    let fault = kdc_fault(answered(&kdc, &world, |parts| {
        parts.key = password_key(AES128, SALT, None);
        parts.etype = Some(AES256.0);
    }));
    assert!(matches!(
        fault,
        KdcMisbehaved::ReplyDoesNotDecrypt {
            enctype: AES256,
            ..
        }
    ));
}

/// Conformance row 65: a salt in the reply counts over the one told before; a reply that tells none
/// leaves it as it was.
#[test]
fn row_65_the_replys_salt_counts_over_the_earlier_one() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.client_key = password_key(AES256, "before", None);
    kdc.info = vec![(AES256, Some("before"), None)];
    answered(&kdc, &world, |parts| parts.padata = None).unwrap();

    let told = |salt| {
        let mut other = Kdc::new(&world);
        other.info = vec![(AES256, Some(salt), None)];
        Some(vec![other.info2()])
    };
    answered(&kdc, &world, |parts| {
        parts.key = password_key(AES256, "after", None);
        parts.padata = told("after");
    })
    .unwrap();
    let fault = kdc_fault(answered(&kdc, &world, |parts| {
        parts.padata = told("after");
    }));
    assert!(matches!(fault, KdcMisbehaved::ReplyDoesNotDecrypt { .. }));
}

/// Conformance row 7: of several versions of a key, the reply's kvno picks one; without a kvno it is
/// the one that made the timestamp.
#[test]
fn row_7_the_replys_kvno_picks_the_key_of_a_keytab() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.client_key = key(4, AES256);
    let secret = || {
        ClientSecret::Keys(
            [3_u32, 4]
                .map(|kvno| KeytabKey {
                    kvno,
                    key: key(kvno as u8, AES256).into(),
                })
                .into(),
        )
    };
    let reply_under = |seed, kvno: Option<u32>, with_timestamp| {
        let request = AsRequest::new(alice(), secret());
        preauthenticated(&world, &kdc, request, |_, request| {
            if with_timestamp {
                kdc.timestamp(&request.message)?;
            }
            let reply = kdc.as_reply(&request.message, |parts| parts.key = key(seed, AES256));
            Some(kvno.map_or(reply.clone(), |kvno| with_kvno(&reply, kvno)))
        })
        .0
    };
    for with_timestamp in [true, false] {
        reply_under(4, None, with_timestamp).unwrap();
        reply_under(4, Some(4), with_timestamp).unwrap();
        reply_under(3, Some(3), with_timestamp).unwrap();
        for (seed, kvno) in [(3, None), (3, Some(4)), (4, Some(3))] {
            let fault = kdc_fault(reply_under(seed, kvno, with_timestamp));
            assert!(matches!(fault, KdcMisbehaved::ReplyDoesNotDecrypt { .. }));
        }
    }
}

/// Conformance row 69: authtime has whole seconds, so one second is no difference yet.
#[test]
fn row_69_an_offset_is_more_than_one_second() {
    for (skew, offset) in [
        (1, None),
        (-1, None),
        (2, Some(2_000_000)),
        (-2, Some(-2_000_000)),
    ] {
        let world = World::new();
        let mut kdc = Kdc::new(&world);
        kdc.skew = skew;
        let (result, _) = preauthenticated(&world, &kdc, password_login(), |_, _| None);
        assert_eq!(result.unwrap().time_offset, offset, "{skew}");
    }
}

#[test]
fn an_enctype_that_no_key_has_is_told_with_those_that_there_are() {
    let world = World::new();
    let keys = vec![KeytabKey {
        kvno: 1,
        key: key(1, AES128).into(),
    }];
    let mut request = AsRequest::new(alice(), ClientSecret::Keys(keys));
    request.enctypes = Some(EnctypePolicy::only(&[AES256]).unwrap());
    let Err(Error::Credential(CredentialFailure::NoPermittedClientKey {
        permitted,
        available,
        ..
    })) = AsExchange::begin(request, &world.environment)
    else {
        panic!()
    };
    assert_eq!(permitted, AES256.to_string());
    assert_eq!(available, AES128.to_string());
}

/// Conformance row 70: the one retry after KRB_AP_ERR_SKEW is a round like the others.
#[test]
fn row_70_the_retry_with_a_corrected_clock_counts_as_a_round() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let mut count = 0;
    let (result, requests) = run(
        AsExchange::begin(password_login(), &world.environment),
        |_| {
            count += 1;
            match count {
                2 => kdc.error(error_code::KRB_AP_ERR_SKEW, None),
                _ => kdc.preauth_required(),
            }
        },
    );
    assert_eq!(
        kdc_fault(result),
        KdcMisbehaved::TooManyPreauthRounds { limit: 6 }
    );
    assert_eq!(requests.len(), 7);
}

#[test]
fn a_client_has_a_name() {
    let world = World::new();
    let none: [&str; 0] = [];
    let nameless = AsRequest::new(
        Principal::new(REALM, name_type::NT_PRINCIPAL, none),
        ClientSecret::Password(SecretString::from(PASSWORD)),
    );
    assert!(matches!(
        AsExchange::begin(nameless, &world.environment),
        Err(Error::ApiMisuse(ApiMisuse::EmptyName("name of the client")))
    ));
}

#[test]
fn a_kdcs_refusal_comes_with_the_next_step() {
    for (code, word) in [
        (error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN, "service name"),
        (error_code::KDC_ERR_NAME_EXP, "has expired"),
        (error_code::KDC_ERR_NEVER_VALID, "would end before"),
        (error_code::KDC_ERR_POLICY, "forbids"),
        (error_code::KDC_ERR_BADOPTION, "ask for less"),
        (error_code::KDC_ERR_CANNOT_POSTDATE, "starts now"),
        (error_code::KDC_ERR_WRONG_REALM, "another realm"),
        (error_code::KRB_AP_ERR_TKT_EXPIRED, "is over"),
        (error_code::KRB_AP_ERR_TKT_NYV, "not valid yet"),
        (error_code::KRB_AP_ERR_MODIFIED, "do not fit"),
        (error_code::KRB_AP_ERR_BAD_INTEGRITY, "do not fit"),
        (error_code::KRB_AP_ERR_BADADDR, "another address"),
        (error_code::KDC_ERR_SVC_UNAVAILABLE, "try again"),
        (error_code::KRB_ERR_GENERIC, "KDC's log"),
    ] {
        let world = World::new();
        let kdc = Kdc::new(&world);
        let (result, _) = run(
            AsExchange::begin(password_login(), &world.environment),
            |_| kdc.error(code, None),
        );
        let Err(Error::KdcRefused(refused)) = result else {
            panic!()
        };
        assert_eq!(refused.code, code);
        assert!(refused.advice.contains(word), "{}", refused.advice);
    }
}

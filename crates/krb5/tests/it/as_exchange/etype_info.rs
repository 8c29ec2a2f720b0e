//! Salts told by the KDC.

use trihound_krb5::{EtypeInfoExchange, StringToKeyInfo};

use super::*;

fn asked(
    world: &World,
    answer: impl FnMut(&ExchangeRequest) -> Vec<u8>,
) -> (Result<Vec<StringToKeyInfo>, Error>, Vec<ExchangeRequest>) {
    run(
        EtypeInfoExchange::begin(alice(), None, &world.environment),
        answer,
    )
}

fn told(result: Result<Vec<StringToKeyInfo>, Error>) -> Vec<(Enctype, Vec<u8>, Option<Vec<u8>>)> {
    let told = result.unwrap().into_iter();
    told.map(|info| (info.enctype, info.salt, info.s2kparams))
        .collect()
}

#[test]
fn salts_come_with_the_demand_for_preauthentication_and_with_a_ticket() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    let params = vec![0, 0, 0x20, 0];
    kdc.info = vec![
        (AES256, Some("special"), Some(params.clone())),
        (AES128, None, None),
        (Enctype(1), Some("of a type that was not asked for"), None),
    ];
    let expected = vec![
        (AES256, b"special".to_vec(), Some(params)),
        (AES128, alice().default_salt(), None),
    ];
    let (result, requests) = asked(&world, |_| kdc.preauth_required());
    assert_eq!(told(result), expected);
    assert_eq!(requests.len(), 1);
    let request = AsReq::from_der(&requests[0].message).unwrap();
    let padata = request.padata.clone().unwrap_or_default();
    assert_eq!(find(&padata, pa_type::PA_ENC_TIMESTAMP), None);
    let (result, _) = asked(&world, |request| {
        kdc.as_reply(&request.message, |parts| {
            parts.padata = Some(vec![kdc.info2()]);
        })
    });
    assert_eq!(told(result), expected);
}

/// A salt that is told once in a message of a megabyte is not copied for every repetition of its type.
#[test]
fn a_type_that_is_told_twice_has_the_first_salt_and_comes_once() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.info = vec![
        (AES256, Some("first"), None),
        (AES128, Some("other"), None),
        (AES256, Some("second"), None),
        (AES256, None, None),
    ];
    let (result, _) = asked(&world, |_| kdc.preauth_required());
    assert_eq!(
        told(result),
        [
            (AES256, b"first".to_vec(), None),
            (AES128, b"other".to_vec(), None),
        ]
    );
}

#[test]
fn a_reply_too_big_comes_over_a_stream_once() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let too_big = || kdc.error(error_code::KRB_ERR_RESPONSE_TOO_BIG, None);
    let (result, requests) = asked(&world, |_| too_big());
    assert!(matches!(
        result,
        Err(Error::KdcMisbehaved(KdcMisbehaved::TooBigForStream))
    ));
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].hint, TransportHint::StreamOnly);
}

#[test]
fn a_kdc_that_tells_nothing_and_one_that_refuses_are_told() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let silent = Vec::<PaData>::new().to_der().unwrap();
    let (result, _) = asked(&world, |_| {
        kdc.error(error_code::KDC_ERR_PREAUTH_REQUIRED, Some(silent.clone()))
    });
    assert!(matches!(
        result,
        Err(Error::Credential(CredentialFailure::NoEnctypeInfo))
    ));
    let (result, _) = asked(&world, |_| {
        kdc.error(error_code::KDC_ERR_PREAUTH_REQUIRED, None)
    });
    assert!(matches!(
        result,
        Err(Error::InvalidMessage(InvalidMessage::MethodDataMissing))
    ));
    let (result, _) = asked(&world, |_| {
        kdc.error(error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN, None)
    });
    assert!(matches!(result, Err(Error::KdcRefused(_))));
    let (result, _) = asked(&world, |_| vec![0x30, 0]);
    assert!(matches!(
        result,
        Err(Error::InvalidMessage(InvalidMessage::Unexpected { .. }))
    ));
}

//! The TGS exchange against KDCs that alter one thing at a time.

mod of_service;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{
    ApReq, EncTicketPart, KdcOptions, KdcReqBody, Message, TgsReq, TicketFlags, error_code,
    name_type, pa_type,
};
use trihound_crypto::KeyUsage;
use trihound_krb5::{
    ApiMisuse, Config, CredentialFailure, Credentials, Error, InvalidMessage, KdcMisbehaved,
    Policy, Principal, TgsExchange, TgsOutcome, TgsRequest, VerifyInitialCredentials,
    VerifyInitialRequest,
};
use trihound_sansio::{ExchangeRequest, Timestamp, TransportHint};

use crate::small_kdc::*;

fn kdc_fault<T>(result: Result<T, Error>) -> KdcMisbehaved {
    match result {
        Err(Error::KdcMisbehaved(fault)) => fault,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("must be refused"),
    }
}

fn altered(alter: impl Fn(&mut Parts)) -> Result<TgsOutcome, Error> {
    let world = World::new();
    let tgt = Kdc::new(&world).tgt();
    get_ticket(&world, TgsRequest::new(tgt, service()), alter)
}

fn request_body(request: &ExchangeRequest) -> KdcReqBody {
    TgsReq::from_der(&request.message)
        .unwrap()
        .req_body
        .decode()
        .unwrap()
}

fn krbtgt(target: &str, realm: &str) -> Principal {
    Principal::krbtgt_for(&target.into(), &realm.into())
}

/// Makes a reply a ticket for `server`, inside and outside.
fn becomes(parts: &mut Parts, server: &Principal) {
    parts.part.sname = server.name.clone();
    parts.part.srealm = server.realm.clone();
    parts.ticket_name = server.clone();
}

/// Conformance rows 87 and 88: the small KDC verifies usage 7, usage 6 and the checksum's type.
#[test]
fn row_87_a_service_ticket_is_got_with_a_keyed_checksum_and_a_subkey() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let request = TgsRequest::new(kdc.tgt(), service());
    let mut subkeys = Vec::new();
    let (result, requests) = run(TgsExchange::begin(request, &world.environment), |request| {
        let (_, _, authenticator) = kdc.open_tgs_request(&request.message, &kdc.krbtgt_key);
        subkeys.push(authenticator.subkey.unwrap().keyvalue.expose().to_vec());
        kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {})
    });
    let outcome = result.unwrap();
    assert_eq!(outcome.credentials.server, service());
    assert_eq!(outcome.credentials.client, alice());
    assert!(outcome.tgts.is_empty());
    assert_ne!(subkeys[0], key(9, AES256).expose());
    let body = request_body(&requests[0]);
    assert_eq!(body.cname, None);
    assert_eq!(body.sname.unwrap().name_type, name_type::NT_SRV_HST);
    assert!(body.kdc_options.contains(KdcOptions::CANONICALIZE));
    assert_eq!(body.till.seconds(), NOW + 36_000);
}

/// Conformance row 6: key usage 8 with the session key is taken as well as 9 with the sub-key, and
/// nothing else.
#[test]
fn row_6_the_reply_is_under_the_subkey_or_the_session_key() {
    assert!(
        altered(|parts| {
            parts.key = key(9, AES256);
            parts.usage = KeyUsage::TGS_REP_ENC_PART_SESSKEY;
            parts.other_tag = false;
        })
        .is_ok()
    );
    for alter in [
        (|parts: &mut Parts| parts.usage = KeyUsage::TGS_REP_ENC_PART_SESSKEY) as fn(&mut Parts),
        |parts| parts.key = key(9, AES256),
        |parts| parts.key = key(7, AES256),
        |parts| parts.usage = KeyUsage::AS_REP_ENC_PART,
    ] {
        let fault = kdc_fault(altered(alter));
        assert!(matches!(
            fault,
            KdcMisbehaved::ReplyDoesNotDecrypt {
                message: "TGS-REP",
                ..
            }
        ));
    }
    let fault = kdc_fault(altered(|parts| parts.etype = Some(AES128.0)));
    assert_eq!(
        fault,
        KdcMisbehaved::ReplyEnctypeNotRequested { enctype: AES128 }
    );
}

/// Conformance rows 2, 3, 4 and 5.
#[test]
fn row_2_to_5_a_reply_to_something_else_is_refused() {
    let fault = kdc_fault(altered(|parts| parts.part.nonce = nonce(1)));
    assert_eq!(fault, KdcMisbehaved::ReplyNonceDiffers);
    let fault = kdc_fault(altered(|parts| parts.cname = name(&["mallory"])));
    assert!(matches!(fault, KdcMisbehaved::ClientDiffers { .. }));
    let fault = kdc_fault(altered(|parts| parts.crealm = "OTHER".into()));
    assert!(matches!(fault, KdcMisbehaved::ClientDiffers { .. }));
    let other = Principal::service("HTTP", "mail.test.example", REALM);
    let fault = kdc_fault(altered(|parts| becomes(parts, &other)));
    assert!(matches!(fault, KdcMisbehaved::ServerDiffers { .. }));
    let fault = kdc_fault(altered(|parts| parts.ticket_name = other.clone()));
    assert!(matches!(fault, KdcMisbehaved::TicketServerDiffers { .. }));
    let fault = kdc_fault(altered(|parts| parts.part.endtime = time(NOW + 36_001)));
    assert!(matches!(fault, KdcMisbehaved::EndTimeBeyondRequest { .. }));
    let fault = kdc_fault(altered(|parts| {
        parts.part.flags |= TicketFlags::FORWARDABLE;
    }));
    assert!(matches!(fault, KdcMisbehaved::FlagsBeyondRequest { .. }));
    let fault = kdc_fault(altered(|parts| {
        parts.part.key = trihound_asn1::EncryptionKey::new(23, vec![1; 16]);
    }));
    assert!(matches!(
        fault,
        KdcMisbehaved::SessionEnctypeNotRequested { .. }
    ));
}

/// The ticket-granting ticket's own flags may stand on the service ticket.
#[test]
fn flags_of_the_ticket_granting_ticket_carry_over() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let tgt = kdc.credentials(krbtgt(REALM, REALM), |part| {
        part.flags |= TicketFlags::FORWARDED | TicketFlags::FORWARDABLE;
    });
    let outcome = get_ticket(&world, TgsRequest::new(Arc::new(tgt), service()), |parts| {
        parts.part.flags |= TicketFlags::FORWARDED;
    })
    .unwrap();
    assert!(
        outcome
            .credentials
            .flags
            .contains(TicketFlags::FORWARDED | TicketFlags::FORWARDABLE)
    );
}

/// A walk through realms: `next` says for (realm asked, service asked) where the ticket leads.
fn walk(
    world: &World,
    request: TgsRequest,
    next: impl Fn(&str, &Principal) -> Option<Principal>,
) -> (Result<TgsOutcome, Error>, Vec<ExchangeRequest>) {
    let kdc = Kdc::new(world);
    run(TgsExchange::begin(request, &world.environment), |request| {
        let body = request_body(request);
        let asked = Principal {
            realm: body.realm.clone(),
            name: body.sname.clone().unwrap(),
        };
        assert_eq!(asked.realm.to_string(), request.realm);
        match next(&request.realm, &asked) {
            None => kdc.error(error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN, None),
            Some(server) => kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |parts| {
                becomes(parts, &server);
            }),
        }
    })
}

fn referral_request(world: &World) -> TgsRequest {
    let server = Principal::service("HTTP", "web.b.example", "");
    TgsRequest::new(Kdc::new(world).tgt(), server)
}

/// Conformance row 93.
#[test]
fn row_93_a_name_with_marshalled_target_information_is_refused() {
    let world = World::new();
    let host = "web1UWhRCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwbEAYBAAAA";
    let request = TgsRequest::new(
        Kdc::new(&world).tgt(),
        Principal::service("cifs", host, REALM),
    );
    assert!(matches!(
        TgsExchange::begin(request, &world.environment),
        Err(Error::Policy(Policy::MarshalledTarget { .. }))
    ));
    let request = TgsRequest::new(
        Kdc::new(&world).tgt(),
        Principal::service("cifs", "1uwhrcaa", REALM),
    );
    assert!(TgsExchange::begin(request, &world.environment).is_ok());
}

fn renewable(world: &World) -> Arc<Credentials> {
    let alter = |part: &mut EncTicketPart| {
        part.flags |= TicketFlags::RENEWABLE | TicketFlags::FORWARDABLE;
        part.renew_till = Some(time(NOW + 100_000));
    };
    Arc::new(Kdc::new(world).credentials(krbtgt(REALM, REALM), alter))
}

fn renewed(parts: &mut Parts) {
    parts.part.flags |= TicketFlags::RENEWABLE | TicketFlags::FORWARDABLE;
    parts.part.endtime = time(NOW + 50_000);
    parts.part.renew_till = Some(time(NOW + 100_000));
}

/// Conformance row 103.
#[test]
fn row_103_renewal_keeps_the_ticket_and_its_limit() {
    let world = World::new();
    let outcome = get_ticket(&world, TgsRequest::renew(renewable(&world)), renewed).unwrap();
    assert_eq!(outcome.credentials.server, krbtgt(REALM, REALM));
    assert_eq!(
        outcome.credentials.endtime,
        Timestamp::from_seconds(NOW + 50_000)
    );
    let with = |alter: fn(&mut Parts)| {
        kdc_fault(get_ticket(
            &world,
            TgsRequest::renew(renewable(&world)),
            |parts| {
                renewed(parts);
                alter(parts);
            },
        ))
    };
    assert!(matches!(
        with(|parts| parts.part.renew_till = Some(time(NOW + 100_001))),
        KdcMisbehaved::RenewTillBeyondRequest { .. }
    ));
    assert!(matches!(
        with(|parts| parts.part.endtime = time(NOW + 100_001)),
        KdcMisbehaved::EndTimeBeyondRequest { .. }
    ));
    assert!(matches!(
        with(|parts| parts.part.flags |= TicketFlags::PROXIABLE),
        KdcMisbehaved::FlagsBeyondRequest { .. }
    ));
    assert_eq!(
        with(|parts| parts.part.flags.remove(TicketFlags::FORWARDABLE)),
        KdcMisbehaved::NotTheSameTicket {
            operation: "renewal",
            difference: "it lost flags"
        }
    );
    assert!(matches!(
        with(|parts| parts.part.authtime = time(NOW + 1)),
        KdcMisbehaved::NotTheSameTicket { .. }
    ));
    assert!(matches!(
        with(|parts| parts.part.flags |= TicketFlags::INVALID),
        KdcMisbehaved::NotTheSameTicket { .. }
    ));
    assert!(matches!(
        with(|parts| becomes(parts, &krbtgt("OTHER", REALM))),
        KdcMisbehaved::ServerDiffers { .. }
    ));
    assert!(matches!(
        TgsExchange::begin(
            TgsRequest::renew(Kdc::new(&world).tgt()),
            &world.environment
        ),
        Err(Error::Credential(CredentialFailure::NotRenewable { .. }))
    ));
}

/// Conformance row 103.
#[test]
fn row_103_validation_takes_the_invalid_flag_away() {
    let world = World::new();
    let postdated = || {
        let alter = |part: &mut EncTicketPart| {
            part.flags |= TicketFlags::INVALID | TicketFlags::POSTDATED;
        };
        Arc::new(Kdc::new(&world).credentials(krbtgt(REALM, REALM), alter))
    };
    let outcome = get_ticket(&world, TgsRequest::validate(postdated()), |parts| {
        parts.part.flags |= TicketFlags::POSTDATED;
    });
    assert!(
        !outcome
            .unwrap()
            .credentials
            .flags
            .contains(TicketFlags::INVALID)
    );
    let fault = kdc_fault(get_ticket(
        &world,
        TgsRequest::validate(postdated()),
        |parts| {
            parts.part.flags |= TicketFlags::POSTDATED | TicketFlags::INVALID;
        },
    ));
    assert!(matches!(
        fault,
        KdcMisbehaved::NotTheSameTicket {
            operation: "validation",
            ..
        }
    ));
}

/// Conformance row 95: a forwarded ticket-granting ticket without addresses.
#[test]
fn row_95_a_forwarded_ticket_is_marked_as_such() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let (result, requests) = run(
        TgsExchange::begin(TgsRequest::forward(renewable(&world)), &world.environment),
        |request| kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {}),
    );
    let credentials = result.unwrap().credentials;
    assert!(
        credentials
            .flags
            .contains(TicketFlags::FORWARDED | TicketFlags::FORWARDABLE)
    );
    let body = request_body(&requests[0]);
    assert_eq!(body.addresses, None);
    assert!(body.kdc_options.contains(KdcOptions::FORWARDED));
    let fault = kdc_fault(get_ticket(
        &world,
        TgsRequest::forward(renewable(&world)),
        |parts| {
            parts.part.flags.remove(TicketFlags::FORWARDED);
        },
    ));
    assert!(matches!(
        fault,
        KdcMisbehaved::NotTheSameTicket {
            operation: "forwarding",
            ..
        }
    ));
}

/// Conformance row 104.
#[test]
fn row_104_a_reply_too_big_is_asked_for_again_over_a_stream() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let mut count = 0;
    let request = || TgsRequest::new(kdc.tgt(), service());
    let (result, requests) = run(
        TgsExchange::begin(request(), &world.environment),
        |request| {
            count += 1;
            match count {
                1 => kdc.error(error_code::KRB_ERR_RESPONSE_TOO_BIG, None),
                _ => kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {}),
            }
        },
    );
    result.unwrap();
    assert_eq!(requests[1].hint, TransportHint::StreamOnly);
    assert_eq!(requests[0].message, requests[1].message);
    let (result, requests) = run(TgsExchange::begin(request(), &world.environment), |_| {
        kdc.error(error_code::KRB_ERR_RESPONSE_TOO_BIG, None)
    });
    assert_eq!(kdc_fault(result), KdcMisbehaved::TooBigForStream);
    assert_eq!(requests.len(), 2);
}

/// Conformance row 69: the offset of the login goes into the authenticator.
#[test]
fn row_69_the_authenticator_has_the_corrected_time() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let mut request = TgsRequest::new(kdc.tgt(), service());
    request.time_offset = 3_600_000_001;
    let mut seen = None;
    let (result, _) = run(TgsExchange::begin(request, &world.environment), |request| {
        let (_, _, authenticator) = kdc.open_tgs_request(&request.message, &kdc.krbtgt_key);
        seen = Some((authenticator.ctime.seconds(), authenticator.cusec));
        kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {})
    });
    result.unwrap();
    assert_eq!(seen, Some((NOW + 3_600, 1)));
}

#[test]
fn tickets_that_cannot_be_asked_with_are_refused_before_any_request() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let begin = |request| TgsExchange::begin(request, &world.environment);
    let no_tgt = Arc::new(kdc.credentials(service(), |_| {}));
    assert!(matches!(
        begin(TgsRequest::new(no_tgt, service())),
        Err(Error::ApiMisuse(ApiMisuse::NotATicketGrantingTicket { .. }))
    ));
    let nameless = Principal::new(REALM, name_type::NT_SRV_HST, Vec::<&str>::new());
    assert!(matches!(
        begin(TgsRequest::new(kdc.tgt(), nameless)),
        Err(Error::ApiMisuse(ApiMisuse::EmptyName(_)))
    ));
    world.clock.advance(Duration::from_secs(36_000));
    assert!(matches!(
        begin(TgsRequest::new(kdc.tgt(), service())),
        Err(Error::Credential(CredentialFailure::TicketExpired { .. }))
    ));
}

#[test]
fn what_is_no_answer_to_a_tgs_req_is_refused() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    for bytes in [Vec::new(), vec![0x6b, 0], vec![0x30, 0]] {
        let request = TgsRequest::new(kdc.tgt(), service());
        let (result, _) = run(TgsExchange::begin(request, &world.environment), |_| {
            bytes.clone()
        });
        assert!(matches!(
            result,
            Err(Error::InvalidMessage(InvalidMessage::Unexpected { .. }))
        ));
    }
    let request = TgsRequest::new(kdc.tgt(), service());
    let (result, _) = run(TgsExchange::begin(request, &world.environment), |_| {
        vec![0x6d, 0]
    });
    assert!(matches!(
        result,
        Err(Error::InvalidMessage(InvalidMessage::Decode(_)))
    ));
}

/// Conformance row 20: a checksum of the body stands in the authenticator of every request.
#[test]
fn row_20_a_changed_body_no_longer_fits_the_authenticator() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let request = TgsRequest::new(kdc.tgt(), service());
    let (_, requests) = run(TgsExchange::begin(request, &world.environment), |request| {
        kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {})
    });
    let message = TgsReq::from_der(&requests[0].message).unwrap();
    let (_, _, authenticator) = kdc.open_tgs_request(&requests[0].message, &kdc.krbtgt_key);
    let checksum = authenticator.cksum.unwrap();
    let session = key(9, AES256);
    let mut body = message.req_body.der().to_vec();
    *body.last_mut().unwrap() ^= 1;
    assert!(
        session
            .verify_checksum(
                KeyUsage::TGS_REQ_AUTH_CKSUM,
                session.required_checksum(),
                &body,
                &checksum.checksum
            )
            .is_err()
    );
    let ap_req = find(message.padata.as_ref().unwrap(), pa_type::PA_TGS_REQ).unwrap();
    assert!(ApReq::from_der(&ap_req).unwrap().ap_options.is_empty());
}

/// Conformance row 185.
#[test]
fn row_185_only_the_kdc_that_knows_the_hosts_key_passes_for_the_kdc() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let begin = |seed| {
        let keytab = Arc::new(keytab(service(), 2, key(seed, AES256)));
        let request = VerifyInitialRequest {
            tgt: kdc.tgt(),
            server: service(),
            keytab,
            time_offset: 0,
        };
        VerifyInitialCredentials::begin(request, &world.environment)
    };
    let answer =
        |request: &ExchangeRequest| kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {});
    assert_eq!(run(begin(2), answer).0.unwrap().server, service());
    let (result, _) = run(begin(3), answer);
    assert!(matches!(
        result,
        Err(Error::PeerMisbehaved(
            trihound_krb5::PeerMisbehaved::TicketDoesNotDecrypt { .. }
        ))
    ));
}

/// Every byte of a reply, flipped: never accepted with other content, never a panic.
#[test]
fn a_reply_with_any_bit_flipped_gives_no_other_ticket() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let request = || TgsRequest::new(kdc.tgt(), service());
    let mut length = 0;
    let (result, _) = run(
        TgsExchange::begin(request(), &world.environment),
        |request| {
            let reply = kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {});
            length = reply.len();
            reply
        },
    );
    let good = result.unwrap().credentials;
    for position in 0..length {
        let (result, _) = run(
            TgsExchange::begin(request(), &world.environment),
            |request| {
                let mut reply = kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {});
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

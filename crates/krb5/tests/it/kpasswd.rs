//! The password change against a service whose every answer can be altered (RFC 3244).

use std::sync::Arc;

use trihound_asn1::{
    ApRep, ChangePasswdData, EncApRepPart, EncKrbPrivPart, EncryptedData, HostAddress, KrbPriv,
    Message, TicketFlags, UInt32, error_code,
};
use trihound_crypto::{Key, KeyUsage};
use trihound_krb5::ap::{AcceptPolicy, AcceptRequest, AcceptedApReq, accept_ap_req};
use trihound_krb5::kpasswd::{
    ChangePasswordExchange, ChangePasswordRequest, Frame, KpasswdExchange, KpasswdRequest,
    KpasswdResult, PasswordChanged, PasswordPolicy, PasswordTicket, VERSION_CHANGE, VERSION_SET,
    changepw_principal,
};
use trihound_krb5::{
    ApiMisuse, ClientSecret, Error, InvalidMessage, KdcMisbehaved, KpasswdMisbehaved,
    MemoryReplayCache, PasswordRefused, PeerMisbehaved, Principal, read_krb_priv,
};
use trihound_sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Service, Timestamp, TransportFailure,
};
use trihound_secret::SecretString;

use crate::small_kdc::{
    AES128, AES256, Kdc, NOW, PASSWORD, Parts, REALM, World, alice, key, keytab, login, run, time,
};

const NEW: &str = "a new one, Wonder-Land-8";

fn service() -> Principal {
    changepw_principal(&REALM.into())
}

fn bob() -> Principal {
    Principal::parse("bob", Some(REALM)).unwrap()
}

fn change(target: Option<Principal>) -> ChangePasswordRequest {
    ChangePasswordRequest {
        target,
        ..ChangePasswordRequest::new(
            alice(),
            SecretString::from(PASSWORD),
            SecretString::from(NEW),
        )
    }
}

/// What an answer is made of, before it is sealed.
struct Answer {
    version: u16,
    ap: EncApRepPart,
    ap_key: Key,
    part: EncKrbPrivPart,
    key: Key,
    usage: KeyUsage,
    etype: Option<i32>,
}

/// What the service saw in a request.
struct Seen {
    version: u16,
    accepted: AcceptedApReq,
    part: EncKrbPrivPart,
}

fn see(world: &World, message: &[u8]) -> Seen {
    let frame = Frame::parse(message).unwrap();
    let kdc = Kdc::new(world);
    let keytab = keytab(service(), 2, kdc.service_key.duplicate());
    let accepted = accept_ap_req(
        frame.ap,
        &AcceptRequest {
            keytab: &keytab,
            principal: Some(&service()),
            policy: &AcceptPolicy::default(),
            replay_cache: &MemoryReplayCache::default(),
            client_address: None,
        },
        &world.environment,
    )
    .unwrap();
    let subkey = accepted.initiator_subkey.clone().unwrap();
    Seen {
        version: frame.version,
        part: read_krb_priv(frame.body, &subkey).unwrap(),
        accepted,
    }
}

/// The answer of an honest service with this user-data, altered.
fn answer(world: &World, message: &[u8], data: &[u8], alter: impl FnOnce(&mut Answer)) -> Vec<u8> {
    let seen = see(world, message);
    let subkey = seen.accepted.initiator_subkey.as_ref().unwrap();
    let sequence = UInt32::new(77);
    let mut answer = Answer {
        version: VERSION_CHANGE,
        ap: EncApRepPart {
            ctime: seen.accepted.authenticator.ctime,
            cusec: seen.accepted.authenticator.cusec,
            subkey: None,
            seq_number: Some(sequence),
        },
        ap_key: seen.accepted.session_key.duplicate(),
        part: EncKrbPrivPart {
            user_data: data.into(),
            timestamp: None,
            usec: None,
            seq_number: Some(sequence),
            s_address: HostAddress {
                addr_type: 2,
                address: vec![127, 0, 0, 1].into(),
            },
            r_address: None,
        },
        key: subkey.duplicate(),
        usage: KeyUsage::KRB_PRIV_ENC_PART,
        etype: None,
    };
    alter(&mut answer);
    let random = &*world.environment.random;
    let seal = |key: &Key, usage, plain: &[u8]| {
        let cipher = key.encrypt(usage, plain, random).unwrap();
        EncryptedData::new(key.enctype().0, None, cipher)
    };
    let plain = answer.ap.to_der().unwrap();
    let ap = ApRep::new(seal(&answer.ap_key, KeyUsage::AP_REP_ENC_PART, &plain));
    let plain = answer.part.to_der().unwrap();
    let mut sealed = seal(&answer.key, answer.usage, &plain);
    sealed.etype = answer.etype.unwrap_or(sealed.etype);
    let (ap, body) = (ap.to_der().unwrap(), KrbPriv::new(sealed).to_der().unwrap());
    Frame::new(answer.version, &ap, &body).to_bytes().unwrap()
}

const DONE: &[u8] = &[0, 0];

fn refusal(result: KpasswdResult, text: &[u8]) -> Vec<u8> {
    [&result.0.to_be_bytes(), text].concat()
}

/// Runs a change with its login; `kpasswd` answers the request to the password service.
fn changed(
    world: &World,
    request: ChangePasswordRequest,
    kpasswd: impl Fn(&[u8]) -> Vec<u8>,
) -> (Result<PasswordChanged, Error>, Vec<ExchangeRequest>) {
    let kdc = Kdc::new(world);
    let exchange = ChangePasswordExchange::begin(request, &world.environment);
    run(exchange, |request| match request.service {
        Service::Kdc => kdc.as_reply(&request.message, |_| {}),
        Service::LocalAddress => vec![192, 0, 2, 7],
        _ => kpasswd(&request.message),
    })
}

fn altered(data: &[u8], alter: impl Fn(&mut Answer)) -> Error {
    let world = World::new();
    let service = |message: &[u8]| answer(&world, message, data, &alter);
    changed(&world, change(None), service).0.unwrap_err()
}

fn misbehaved(error: Error) -> KpasswdMisbehaved {
    match error {
        Error::KpasswdMisbehaved(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn refused(error: Error) -> PasswordRefused {
    match error {
        Error::PasswordRefused(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ones_own_password_goes_by_the_first_version_under_the_sub_key() {
    let world = World::new();
    let (result, requests) = changed(&world, change(None), |message| {
        answer(&world, message, b"\0\0Done.", |_| {})
    });
    let done = result.unwrap();
    assert_eq!(done.account, alice());
    assert_eq!(done.text.as_deref(), Some("Done."));
    let services: Vec<_> = requests.iter().map(|request| request.service).collect();
    assert_eq!(
        services,
        [Service::Kdc, Service::LocalAddress, Service::Kpasswd]
    );
    assert!(requests[1].message.is_empty());
    let seen = see(&world, &requests[2].message);
    assert_eq!(seen.version, VERSION_CHANGE);
    assert_eq!(seen.part.user_data.expose(), NEW.as_bytes());
    assert!(seen.accepted.mutual_required());
    assert_eq!(
        seen.part.seq_number, seen.accepted.authenticator.seq_number,
        "KRB-PRIV begins the sequence of the AP-REQ"
    );
    // RFC 4120 5.7.1: the sender's address, as the transport told it.
    let sender = seen.part.s_address;
    assert_eq!(
        (sender.addr_type, &*sender.address),
        (2, &[192, 0, 2, 7][..])
    );
}

#[test]
fn anothers_password_goes_by_the_second_version_with_the_name() {
    let world = World::new();
    let (result, requests) = changed(&world, change(Some(bob())), |message| {
        answer(&world, message, DONE, |_| {})
    });
    assert_eq!(result.unwrap().account, bob());
    let seen = see(&world, &requests[2].message);
    assert_eq!(seen.version, VERSION_SET);
    let data = ChangePasswdData::from_der(seen.part.user_data.expose()).unwrap();
    assert_eq!(data.newpasswd.expose(), NEW.as_bytes());
    assert_eq!(data.targname, Some(bob().name));
    assert_eq!(data.targrealm, Some(bob().realm));
}

#[test]
fn row_85_the_ticket_is_asked_of_the_as_for_kadmin_changepw_and_short_lived() {
    let request = PasswordTicket::request(alice(), ClientSecret::Password(PASSWORD.into()));
    assert_eq!(request.service, Some(service()));
    assert_eq!(request.lifetime, Some(core::time::Duration::from_secs(300)));
    assert_eq!(request.renew_lifetime, None);
    assert_eq!(request.options, trihound_krb5::AsOptions::default());
}

fn ticket(world: &World, alter: impl Fn(&mut Parts)) -> Result<PasswordTicket, Error> {
    let request = PasswordTicket::request(alice(), ClientSecret::Password(PASSWORD.into()));
    PasswordTicket::from_outcome(login(world, request, alter)?)
}

#[test]
fn row_85_a_ticket_that_is_not_initial_changes_nothing() {
    let world = World::new();
    assert!(ticket(&world, |_| {}).is_ok());
    let without = |parts: &mut Parts| parts.part.flags.remove(TicketFlags::INITIAL);
    let error = ticket(&world, without).unwrap_err();
    assert!(
        matches!(
            &error,
            Error::KdcMisbehaved(KdcMisbehaved::TicketNotInitial { server })
                if *server == service().to_string()
        ),
        "{error:?}"
    );
}

#[test]
fn row_85_a_ticket_for_another_service_changes_nothing() {
    let world = World::new();
    for server in ["kadmin/admin", "krbtgt/TEST.EXAMPLE", "HTTP/changepw"] {
        let server = Principal::parse(server, Some(REALM)).unwrap();
        let mut request = PasswordTicket::request(alice(), ClientSecret::Password(PASSWORD.into()));
        request.service = Some(server.clone());
        let outcome = login(&world, request, |_| {}).unwrap();
        let error = PasswordTicket::from_outcome(outcome).unwrap_err();
        assert!(
            matches!(
                &error,
                Error::ApiMisuse(ApiMisuse::NotAPasswordTicket { server: found })
                    if *found == server.to_string()
            ),
            "{error:?}"
        );
    }
}

#[test]
fn row_85_a_ticket_granting_ticket_in_the_place_of_the_ticket_is_refused_in_the_login() {
    let world = World::new();
    let krbtgt = Principal::krbtgt(&REALM.into());
    let error = ticket(&world, |parts| parts.part.sname = krbtgt.name.clone()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::KdcMisbehaved(KdcMisbehaved::ServerDiffers { .. })
        ),
        "{error:?}"
    );
}

/// RFC 6806 section 7: an enterprise name of another realm; its password service is that realm's.
#[test]
fn the_password_service_is_that_of_the_realm_that_the_client_is_led_to() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.info = vec![(AES256, Some("TEST.EXAMPLEalice"), None)];
    let mut login = PasswordTicket::request(alice(), ClientSecret::Password(PASSWORD.into()));
    login.options.canonicalize = true;
    let exchange = trihound_krb5::AsExchange::begin(login, &world.environment);
    let (result, _) = run(exchange, |request| match request.realm.as_str() {
        REALM => kdc.error_with(error_code::KDC_ERR_WRONG_REALM, None, |error| {
            error.crealm = Some("B.EXAMPLE".into());
        }),
        _ => kdc.as_reply(&request.message, |_| {}),
    });
    let ticket = PasswordTicket::from_outcome(result.unwrap()).unwrap();
    assert_eq!(ticket.client().realm, "B.EXAMPLE");
}

#[test]
fn row_86_an_ap_rep_of_somebody_else_is_refused() {
    let error = altered(DONE, |answer| answer.ap_key = key(5, AES256));
    assert!(
        matches!(
            error,
            Error::PeerMisbehaved(PeerMisbehaved::ApReplyDoesNotDecrypt { .. })
        ),
        "{error:?}"
    );
    let error = altered(DONE, |answer| {
        answer.ap.cusec = (answer.ap.cusec + 1) % 1_000_000;
    });
    assert!(
        matches!(
            error,
            Error::PeerMisbehaved(PeerMisbehaved::ApReplyTimeDiffers { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn row_86_a_krb_priv_under_any_other_key_or_usage_is_refused() {
    let foreign = |answer: &mut Answer| answer.key = key(5, AES256);
    let session = |answer: &mut Answer| answer.key = answer.ap_key.duplicate();
    let usage = |answer: &mut Answer| answer.usage = KeyUsage::KRB_CRED_ENC_PART;
    let etype = |answer: &mut Answer| answer.etype = Some(AES128.0);
    let all: [&dyn Fn(&mut Answer); 4] = [&foreign, &session, &usage, &etype];
    for alter in all {
        let fault = misbehaved(altered(DONE, alter));
        assert_eq!(fault, KpasswdMisbehaved::PrivateDoesNotDecrypt);
    }
}

#[test]
fn row_86_a_sub_key_in_the_ap_rep_is_not_the_key_of_the_answer() {
    let with = |answer: &mut Answer| {
        let other = key(6, AES256);
        answer.ap.subkey = Some(crate::small_kdc::wire(&other));
    };
    let world = World::new();
    let service = |message: &[u8]| answer(&world, message, DONE, with);
    assert!(changed(&world, change(None), service).0.is_ok());
    let fault = misbehaved(altered(DONE, |answer| {
        with(answer);
        answer.key = key(6, AES256);
    }));
    assert_eq!(fault, KpasswdMisbehaved::PrivateDoesNotDecrypt);
}

#[test]
fn row_86_the_sequence_number_is_that_of_the_ap_rep() {
    let other = |answer: &mut Answer| answer.part.seq_number = Some(UInt32::new(78));
    let fault = misbehaved(altered(DONE, other));
    assert_eq!(fault, KpasswdMisbehaved::SequenceDiffers);
    let none = |answer: &mut Answer| answer.part.seq_number = None;
    let fault = misbehaved(altered(DONE, none));
    assert_eq!(fault, KpasswdMisbehaved::FreshnessMissing);
}

#[test]
fn row_86_a_time_in_the_answer_is_the_present_one() {
    let at = |seconds: i64| {
        move |answer: &mut Answer| {
            answer.part.seq_number = None;
            answer.part.timestamp = Some(time(NOW + seconds));
            answer.part.usec = Some(0);
        }
    };
    let world = World::new();
    let service = |message: &[u8]| answer(&world, message, DONE, at(299));
    assert!(changed(&world, change(None), service).0.is_ok());
    for seconds in [-301, 301] {
        let fault = misbehaved(altered(DONE, at(seconds)));
        assert_eq!(fault, KpasswdMisbehaved::TimeDiffers);
    }
}

#[test]
fn row_86_the_requests_own_krb_priv_is_no_answer() {
    let world = World::new();
    let reflect = |message: &[u8]| {
        let honest = answer(&world, message, DONE, |_| {});
        let ap = Frame::parse(&honest).unwrap().ap.to_vec();
        let own = Frame::parse(message).unwrap().body;
        Frame::new(VERSION_CHANGE, &ap, own).to_bytes().unwrap()
    };
    let error = changed(&world, change(None), reflect).0.unwrap_err();
    assert_eq!(misbehaved(error), KpasswdMisbehaved::Reflected);
}

#[test]
fn row_86_an_answer_to_another_change_is_refused() {
    let world = World::new();
    let (_, first) = changed(&world, change(None), |message| {
        answer(&world, message, DONE, |_| {})
    });
    let old = answer(&world, &first[2].message, DONE, |_| {});
    let (result, _) = changed(&world, change(None), |_| old.clone());
    let error = result.unwrap_err();
    assert!(
        matches!(
            error,
            Error::PeerMisbehaved(PeerMisbehaved::ApReplyTimeDiffers { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn row_86_a_krb_error_is_told_as_one_that_nobody_signed() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let data = refusal(
        KpasswdResult::AUTH_ERROR,
        b"Failed reading application request",
    );
    let error = kdc.error(error_code::KRB_AP_ERR_SKEW, Some(data));
    let framed = Frame::new(VERSION_CHANGE, &[], &error).to_bytes().unwrap();
    // Active Directory leaves the frame out.
    for reply in [framed, error] {
        let (result, _) = changed(&world, change(None), |_| reply.clone());
        let refusal = refused(result.unwrap_err());
        assert!(!refusal.is_authenticated());
        assert_eq!(refusal.krb_error, Some(error_code::KRB_AP_ERR_SKEW));
        assert_eq!(refusal.result, Some(KpasswdResult::AUTH_ERROR));
        let text = refusal.to_string();
        assert!(
            text.contains("Failed reading application request"),
            "{text}"
        );
        assert!(text.contains("not authenticated"), "{text}");
    }
}

#[test]
fn row_86_a_krb_error_without_a_result_shows_its_code_and_text() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let error = kdc.error_with(error_code::KRB_AP_ERR_NOKEY, None, |error| {
        error.e_text = Some("no key\x1b[2J here".into());
    });
    let (result, _) = changed(&world, change(None), |_| error.clone());
    let refusal = refused(result.unwrap_err());
    assert_eq!(refusal.result, None);
    assert_eq!(refusal.text.as_deref(), Some("no key[2J here"));
    let text = refusal.to_string();
    assert!(text.contains("KRB_AP_ERR_NOKEY (45)"), "{text}");
}

#[test]
fn row_86_success_in_a_krb_error_is_not_believed() {
    let world = World::new();
    let error = Kdc::new(&world).error(60, Some(DONE.to_vec()));
    let framed = Frame::new(VERSION_CHANGE, &[], &error).to_bytes().unwrap();
    for reply in [framed, error] {
        let (result, _) = changed(&world, change(None), |_| reply.clone());
        let fault = misbehaved(result.unwrap_err());
        assert_eq!(fault, KpasswdMisbehaved::SuccessNotAuthenticated);
    }
}

#[test]
fn a_refusal_has_the_services_words_in_one_line() {
    let data = refusal(
        KpasswdResult::SOFT_ERROR,
        b"New password is too short.\nPlease choose a password which is at least 8 characters long.\n",
    );
    let refusal = refused(altered(&data, |_| {}));
    assert!(refusal.is_authenticated());
    assert_eq!(refusal.result, Some(KpasswdResult::SOFT_ERROR));
    assert_eq!(
        refusal.to_string(),
        "the password service of realm TEST.EXAMPLE did not change the password of alice@TEST.EXAMPLE: \
         Password change rejected (4) \"New password is too short. Please choose a password which is at \
         least 8 characters long.\"; choose another password"
    );
}

#[test]
fn the_policy_of_an_active_directory_is_told_in_words() {
    let mut policy = vec![0, 0];
    for number in [7_u32, 24, 1] {
        policy.extend(number.to_be_bytes());
    }
    for days in [42_u64, 1] {
        policy.extend((days * 86_400 * 10_000_000).to_be_bytes());
    }
    let data = refusal(KpasswdResult::SOFT_ERROR, &policy);
    let refusal = refused(altered(&data, |_| {}));
    let found = refusal.policy.unwrap();
    assert_eq!((found.min_length, found.history), (7, 24));
    assert_eq!(found.properties, PasswordPolicy::COMPLEX);
    assert_eq!(found.max_age.unwrap().as_secs(), 42 * 86_400);
    assert_eq!(refusal.text, None);
    let text = refusal.to_string();
    assert!(
        text.contains(
            "\"at least 7 characters, characters of three kinds (upper case, lower case, digits, others) and \
             no part of the name, none of the last 24 passwords, one change a day\""
        ),
        "{text}"
    );
}

#[test]
fn a_policy_is_read_to_its_bounds_only() {
    assert_eq!(PasswordPolicy::parse(&[0; 29]), None);
    assert_eq!(PasswordPolicy::parse(&[0; 31]), None);
    let mut text = [b'x'; 30];
    assert_eq!(PasswordPolicy::parse(&text), None);
    text = [0xff; 30];
    text[..2].fill(0);
    let worst = PasswordPolicy::parse(&text).unwrap();
    assert_eq!(worst.max_age, None);
    assert!(worst.to_string().contains("4294967295 characters"));
    let none = PasswordPolicy::parse(&[0; 30]).unwrap();
    assert_eq!(none.to_string(), "");
}

#[test]
fn an_answer_without_a_result_code_is_refused() {
    for data in [&b""[..], b"\0"] {
        let fault = misbehaved(altered(data, |_| {}));
        assert_eq!(fault, KpasswdMisbehaved::ResultMissing);
    }
}

#[test]
fn a_frame_is_held_against_its_lengths_and_its_version() {
    let version = |answer: &mut Answer| answer.version = VERSION_SET;
    assert_eq!(
        misbehaved(altered(DONE, version)),
        KpasswdMisbehaved::VersionUnknown {
            expected: "1",
            found: VERSION_SET
        }
    );
    for (message, fault) in [
        (
            &[0_u8][..],
            KpasswdMisbehaved::CutShort {
                needed: 2,
                found: 1,
            },
        ),
        (
            &[0, 4, 0, 1],
            KpasswdMisbehaved::CutShort {
                needed: 6,
                found: 4,
            },
        ),
        (
            &[0, 7, 0, 1, 0, 2, 9],
            KpasswdMisbehaved::CutShort {
                needed: 8,
                found: 7,
            },
        ),
        (
            &[0, 9, 0, 1, 0, 0],
            KpasswdMisbehaved::LengthDiffers {
                announced: 9,
                found: 6,
            },
        ),
    ] {
        let world = World::new();
        let (result, _) = changed(&world, change(None), |_| message.to_vec());
        assert_eq!(misbehaved(result.unwrap_err()), fault);
    }
    let world = World::new();
    let (result, _) = changed(&world, change(None), |_| vec![0, 6, 0, 1, 0, 0]);
    let error = result.unwrap_err();
    assert!(
        matches!(error, Error::InvalidMessage(InvalidMessage::Decode(_))),
        "{error:?}"
    );
}

#[test]
fn a_change_that_nobody_answers_is_not_known_and_not_sent_again() {
    let world = World::new();
    let ticket = Arc::new(ticket(&world, |_| {}).unwrap());
    let request = KpasswdRequest {
        ticket,
        new_password: SecretString::from(NEW),
        target: None,
    };
    let mut exchange = KpasswdExchange::begin(request, &world.environment).unwrap();
    let failure = TransportFailure {
        realm: REALM.to_owned(),
        attempts: vec!["udp 192.0.2.1:464: no reply".to_owned()],
        advice: String::new(),
    };
    assert!(matches!(exchange.step(None), Ok(Progress::Exchange(_))));
    // A transport that does not know its address is no hindrance.
    let Progress::Exchange(request) = exchange.step(Some(Reply::Failed(&failure))).unwrap() else {
        panic!("the request is due");
    };
    let sender = see(&world, &request.message).part.s_address;
    assert_eq!(&*sender.address, [127, 0, 0, 1]);
    let error = exchange.step(Some(Reply::Failed(&failure))).unwrap_err();
    let Error::PasswordUnknown(unknown) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(unknown.account, alice().to_string());
    let text = error.to_string();
    assert!(
        text.contains("is not known") && text.contains("192.0.2.1"),
        "{text}"
    );
    let over = exchange.step(None).unwrap_err();
    assert!(
        matches!(over, Error::ApiMisuse(ApiMisuse::OutOfStep(_))),
        "{over:?}"
    );
}

#[test]
fn one_ticket_serves_for_several_tries_with_a_new_authenticator_each() {
    let world = World::new();
    let ticket = Arc::new(ticket(&world, |_| {}).unwrap());
    let attempt = |password: &str, data: &[u8]| {
        let request = KpasswdRequest {
            ticket: Arc::clone(&ticket),
            new_password: SecretString::from(password),
            target: None,
        };
        let exchange = KpasswdExchange::begin(request, &world.environment);
        run(exchange, |request| match request.service {
            Service::LocalAddress => vec![127, 0, 0, 1],
            _ => answer(&world, &request.message, data, |_| {}),
        })
    };
    let (first, one) = attempt("short", &refusal(KpasswdResult::SOFT_ERROR, b"too short"));
    assert_eq!(
        refused(first.unwrap_err()).text.as_deref(),
        Some("too short")
    );
    let (second, two) = attempt(NEW, DONE);
    assert!(second.is_ok());
    let times = [&one[1], &two[1]].map(|request| {
        let authenticator = see(&world, &request.message).accepted.authenticator;
        Timestamp::from_parts(authenticator.ctime.seconds(), authenticator.cusec as u32)
    });
    assert_ne!(times[0], times[1]);
}

#[test]
fn an_empty_password_and_one_that_no_message_holds_are_refused_before_anything_is_sent() {
    let world = World::new();
    let with = |password: &str| ChangePasswordRequest {
        new_password: SecretString::from(password),
        ..change(None)
    };
    let error = ChangePasswordExchange::begin(with(""), &world.environment).unwrap_err();
    assert!(
        matches!(
            error,
            Error::ApiMisuse(ApiMisuse::EmptyName("new password"))
        ),
        "{error:?}"
    );
    let (result, requests) = changed(&world, with(&"x".repeat(70_000)), |_| {
        panic!("nothing is sent")
    });
    let error = result.unwrap_err();
    assert!(
        matches!(error, Error::ApiMisuse(ApiMisuse::MessageTooLong { .. })),
        "{error:?}"
    );
    assert_eq!(requests.len(), 2);
}

#[test]
fn no_debug_output_has_a_password() {
    let world = World::new();
    let request = change(None);
    let shown = format!("{request:?}");
    assert!(!shown.contains(NEW) && !shown.contains(PASSWORD), "{shown}");
    let exchange = ChangePasswordExchange::begin(request, &world.environment).unwrap();
    let shown = format!("{exchange:?}");
    assert!(!shown.contains(NEW) && !shown.contains(PASSWORD), "{shown}");
}

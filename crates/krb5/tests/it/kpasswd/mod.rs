//! The password change against a service whose every answer can be altered (RFC 3244).

mod reply;

use std::sync::Arc;

use trihound_asn1::{
    ApRep, ChangePasswdData, EncApRepPart, EncKrbPrivPart, EncryptedData, HostAddress, KrbPriv,
    Message, TicketFlags, UInt32, error_code,
};
use trihound_crypto::{Key, KeyUsage};
use trihound_krb5::ap::{AcceptPolicy, AcceptRequest, AcceptedApReq, accept_ap_req};
use trihound_krb5::kpasswd::{
    ChangePasswordExchange, ChangePasswordRequest, Frame, KpasswdExchange, KpasswdRequest,
    KpasswdResult, PasswordChanged, PasswordTicket, VERSION_CHANGE, VERSION_SET,
    changepw_principal,
};
use trihound_krb5::{
    ApiMisuse, ClientSecret, Error, KdcMisbehaved, KpasswdMisbehaved, MemoryReplayCache,
    PasswordRefused, Principal, read_krb_priv,
};
use trihound_sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Service, Timestamp, TransportFailure,
};
use trihound_secret::SecretString;

use crate::small_kdc::{AES256, Kdc, PASSWORD, Parts, REALM, World, alice, keytab, login, run};

pub(super) const NEW: &str = "a new one, Wonder-Land-8";

pub(super) fn service() -> Principal {
    changepw_principal(&REALM.into())
}

pub(super) fn bob() -> Principal {
    Principal::parse("bob", Some(REALM)).unwrap()
}

pub(super) fn change(target: Option<Principal>) -> ChangePasswordRequest {
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
pub(super) struct Answer {
    pub(super) version: u16,
    pub(super) ap: EncApRepPart,
    pub(super) ap_key: Key,
    pub(super) part: EncKrbPrivPart,
    pub(super) key: Key,
    pub(super) usage: KeyUsage,
    pub(super) etype: Option<i32>,
}

/// What the service saw in a request.
pub(super) struct Seen {
    pub(super) version: u16,
    pub(super) accepted: AcceptedApReq,
    pub(super) part: EncKrbPrivPart,
}

pub(super) fn see(world: &World, message: &[u8]) -> Seen {
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
pub(super) fn answer(
    world: &World,
    message: &[u8],
    data: &[u8],
    alter: impl FnOnce(&mut Answer),
) -> Vec<u8> {
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

pub(super) const DONE: &[u8] = &[0, 0];

pub(super) fn refusal(result: KpasswdResult, text: &[u8]) -> Vec<u8> {
    [&result.0.to_be_bytes(), text].concat()
}

/// Runs a change with its login; `kpasswd` answers the request to the password service.
pub(super) fn changed(
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

pub(super) fn altered(data: &[u8], alter: impl Fn(&mut Answer)) -> Error {
    let world = World::new();
    let service = |message: &[u8]| answer(&world, message, data, &alter);
    changed(&world, change(None), service).0.unwrap_err()
}

pub(super) fn misbehaved(error: Error) -> KpasswdMisbehaved {
    match error {
        Error::KpasswdMisbehaved(fault) => fault,
        other => panic!("{other:?}"),
    }
}

pub(super) fn refused(error: Error) -> PasswordRefused {
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

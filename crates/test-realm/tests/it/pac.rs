//! The PACs of the realm's tickets, and what the KDC says to those that come back to it.

use std::sync::Arc;

use trihound_asn1::{
    EncTicketPart, EncryptedData, KdcOptions, KerbPaPacRequest, KerberosTime, Message, PaData, Raw,
    TicketFlags, error_code, pa_type,
};
use trihound_crypto::{EnctypePolicy, Key, KeyUsage, OsRandom};
use trihound_krb5::Principal;
use trihound_krb5::pac::{
    Demand, KdcChecks, Pac, PacAttributes, PacBufferType, PacBuilder, PacCheck, PacKind,
    PacSigners, Sid, TicketClient, UnverifiedPac, pac_of_ticket,
};
use trihound_test_realm::{
    Fault, PacFault, PacIssue, PrincipalOptions, Repeat, RequestKind, TestRealm,
};

use crate::support::{
    DAY, Held, NOW, alice_key, ask_as, ask_tgs, body, builder, clock, login, open_ticket, realm,
    service_body, tgt_body, timestamp,
};

const SERVICE: &str = "HTTP/localhost";
const TGS: &str = "krbtgt/EXAMPLE.TEST";

fn key_of(realm: &TestRealm, name: &str, held: &Held) -> Arc<Key> {
    let ticket = held.ticket.decode().unwrap();
    let keytab = realm.keytab(&[name]).unwrap();
    let entry = keytab
        .entries()
        .iter()
        .find(|entry| entry.key.enctype().0 == ticket.enc_part.etype)
        .unwrap();
    entry.key.key(&EnctypePolicy::default()).unwrap()
}

fn kdc_key(realm: &TestRealm) -> Arc<Key> {
    let keytab = realm.keytab(&[TGS]).unwrap();
    let entry = keytab.entries().first().unwrap();
    entry.key.key(&EnctypePolicy::default()).unwrap()
}

/// What a KDC gets to know of the ticket's PAC.
fn verified(realm: &TestRealm, name: &str, held: &Held) -> Pac {
    let part = open_ticket(realm, name, held);
    let bytes = pac_of_ticket(&part).unwrap().unwrap();
    let demand = if name == TGS {
        Demand::IfPresent
    } else {
        Demand::Required
    };
    let (server, kdc) = (key_of(realm, name, held), kdc_key(realm));
    let mut check = PacCheck::of_service(&server, TicketClient::of(&part));
    check.kdc = Some(KdcChecks {
        key: &kdc,
        ticket: &part,
        ticket_signature: demand,
        full_checksum: demand,
    });
    UnverifiedPac::parse(&bytes)
        .unwrap()
        .verify(&check)
        .unwrap()
        .0
}

/// The ticket with its encrypted part changed by somebody who has its key.
fn altered(
    realm: &TestRealm,
    name: &str,
    held: &Held,
    change: impl FnOnce(&mut EncTicketPart, &Key),
) -> Held {
    let mut part = open_ticket(realm, name, held);
    let key = key_of(realm, name, held);
    change(&mut part, &key);
    let cipher = key
        .encrypt(KeyUsage::KDC_REP_TICKET, &part.to_der().unwrap(), &OsRandom)
        .unwrap();
    let mut ticket = held.ticket.decode().unwrap();
    ticket.enc_part = EncryptedData::new(
        ticket.enc_part.etype,
        ticket.enc_part.kvno.map(trihound_asn1::UInt32::get),
        cipher,
    );
    Held {
        ticket: Raw::new(&ticket).unwrap(),
        key: Key::new(
            held.key.enctype(),
            held.key.expose(),
            &EnctypePolicy::default(),
        )
        .unwrap(),
        part: held.part.clone(),
        client: held.client.clone(),
    }
}

fn buffers(pac: &Pac) -> Vec<u32> {
    let types = pac.buffers().iter().map(|buffer| buffer.buffer_type().0);
    types.collect()
}

#[test]
fn tickets_have_the_buffers_that_ms_pac_gives_them() {
    let realm = realm();
    let held = login(&realm, KdcOptions::empty());
    let pac = verified(&realm, TGS, &held);
    assert_eq!(buffers(&pac), [1, 12, 17, 18, 10, 6, 7]);
    assert_eq!(pac.requestor().copied(), realm.sid("alice"));
    let implicitly = PacAttributes::PAC_WAS_GIVEN_IMPLICITLY;
    assert_eq!(pac.attributes().unwrap().flags, implicitly);
    let service = ask_tgs(&realm, &held, &service_body()).ticket();
    let pac = verified(&realm, SERVICE, &service);
    assert_eq!(buffers(&pac), [1, 12, 10, 6, 7, 16, 19]);
    assert_eq!(pac.user_sid(), realm.sid("alice"));
    assert_eq!(realm.sid("alice"), realm.domain_sid().unwrap().member(1104));
    assert_eq!(
        realm.sid("HTTP/localhost"),
        realm.domain_sid().unwrap().member(1105)
    );
    assert_eq!(realm.sid("nobody"), None);
}

#[test]
fn who_wants_no_pac_gets_none() {
    let realm = builder()
        .service_with("host/plain", PrincipalOptions::default().without_pac())
        .build()
        .unwrap();
    let key = alice_key();
    let login = |include_pac| {
        let request = KerbPaPacRequest { include_pac }.to_der().unwrap();
        let padata = vec![
            timestamp(&key, NOW),
            PaData::new(pa_type::PA_PAC_REQUEST, request),
        ];
        ask_as(&realm, &tgt_body(), padata, &key).ticket()
    };
    let held = login(false);
    let service = ask_tgs(&realm, &held, &service_body()).ticket();
    for (name, held) in [(TGS, &held), (SERVICE, &service)] {
        let part = open_ticket(&realm, name, held);
        assert_eq!(pac_of_ticket(&part).unwrap(), None);
    }
    let held = login(true);
    let requested = PacAttributes::PAC_WAS_REQUESTED;
    let pac = verified(&realm, TGS, &held);
    assert_eq!(pac.attributes().unwrap().flags, requested);
    let body = body("EXAMPLE.TEST", None, "host/plain");
    let service = ask_tgs(&realm, &held, &body).ticket();
    let part = open_ticket(&realm, "host/plain", &service);
    assert_eq!(pac_of_ticket(&part).unwrap(), None);
}

#[test]
fn a_minimal_pac_says_the_client_and_no_more() {
    let realm = builder().pac(PacIssue::Minimal).build().unwrap();
    let held = login(&realm, KdcOptions::empty());
    let service = ask_tgs(&realm, &held, &service_body()).ticket();
    let pac = verified(&realm, SERVICE, &service);
    assert_eq!(buffers(&pac), [10, 6, 7, 16, 19]);
    assert_eq!(pac.user_sid(), None);
}

/// A ticket that was renewed has its PAC signed anew; after new keys of the ticket-granting service too.
#[test]
fn a_renewed_ticket_keeps_what_its_pac_says() {
    let realm = realm();
    let held = login(&realm, KdcOptions::RENEWABLE);
    let mut body = service_body();
    body.kdc_options = KdcOptions::RENEWABLE;
    body.rtime = Some(KerberosTime::from_seconds(NOW + DAY));
    let service = ask_tgs(&realm, &held, &body).ticket();
    realm.rotate_keys(TGS).unwrap();
    body.kdc_options = KdcOptions::RENEW;
    let renewed = ask_tgs(&realm, &service, &body).ticket();
    let pac = verified(&realm, SERVICE, &renewed);
    assert_eq!(pac.user_sid(), realm.sid("alice"));
}

fn renew_refused(realm: &TestRealm, held: &Held) -> String {
    let mut body = service_body();
    body.kdc_options = KdcOptions::RENEW;
    let error = ask_tgs(realm, held, &body).error();
    assert_eq!(error.error_code, error_code::KRB_AP_ERR_MODIFIED);
    error.e_text.unwrap().to_string()
}

fn renewable(realm: &TestRealm) -> Held {
    let held = login(realm, KdcOptions::RENEWABLE);
    let mut body = service_body();
    body.kdc_options = KdcOptions::RENEWABLE;
    body.rtime = Some(KerberosTime::from_seconds(NOW + DAY));
    ask_tgs(realm, &held, &body).ticket()
}

/// Conformance row 99: CVE-2020-17049, a flag that the service set in a ticket for itself.
#[test]
fn row_99_the_kdc_sees_a_ticket_that_its_service_altered() {
    let realm = realm();
    let service = renewable(&realm);
    let forged = altered(&realm, SERVICE, &service, |part, _| {
        part.flags |= TicketFlags::FORWARDABLE;
    });
    let text = renew_refused(&realm, &forged);
    assert!(text.contains("ticket signature does not verify"), "{text}");
    // Without the PAC there is nothing that vouches for anybody.
    let untouched = altered(&realm, SERVICE, &service, |_, _| {});
    let mut body = service_body();
    body.kdc_options = KdcOptions::RENEW;
    ask_tgs(&realm, &untouched, &body).ticket();
}

/// Conformance row 100: CVE-2022-37967, a PAC that the service changed and signed with its own key.
#[test]
fn row_100_the_kdc_sees_a_pac_that_its_service_signed() {
    let realm = realm();
    let service = renewable(&realm);
    let administrator = realm.domain_sid().unwrap().member(500).unwrap();
    let other = Key::generate(
        kdc_key(&realm).enctype(),
        &EnctypePolicy::default(),
        &OsRandom,
    )
    .unwrap();
    let forged = altered(&realm, SERVICE, &service, |part, key| {
        let bytes = pac_of_ticket(part).unwrap().unwrap();
        let pac = UnverifiedPac::parse(&bytes).unwrap();
        let check = PacCheck::of_service(key, TicketClient::of(part));
        let (_, proof) = pac.verify(&check).unwrap();
        let mut pac = PacBuilder::of(&pac, &proof);
        pac.set(PacBufferType::REQUESTOR, administrator.to_bytes());
        pac.remove(PacBufferType::LOGON_INFO);
        let signers = PacSigners {
            server: key,
            kdc: &other,
        };
        pac.sign_into(part, PacKind::Service, &signers).unwrap();
    });
    let text = renew_refused(&realm, &forged);
    assert!(text.contains("KDC signature does not verify"), "{text}");
    // The fault has the right KDC signature and a checksum that is not of this PAC.
    for (buffer, name) in [
        (PacBufferType::FULL_CHECKSUM, "full PAC checksum"),
        (PacBufferType::TICKET_SIGNATURE, "ticket signature"),
    ] {
        let realm = crate::support::realm();
        realm.set_fault_for(
            RequestKind::Tgs,
            Fault::Pac(PacFault::Without(buffer)),
            Repeat::ONCE,
        );
        let text = renew_refused(&realm, &renewable(&realm));
        assert!(text.contains(&format!("the PAC has no {name}")), "{text}");
    }
}

/// Conformance row 101: CVE-2021-42287.
#[test]
fn row_101_a_ticket_granting_ticket_says_who_asked_for_it() {
    let refused = |fault| {
        let realm = realm();
        realm.set_fault_for(RequestKind::As, Fault::Pac(fault), Repeat::ONCE);
        let held = login(&realm, KdcOptions::empty());
        let error = ask_tgs(&realm, &held, &service_body()).error();
        assert_eq!(error.error_code, error_code::KRB_AP_ERR_MODIFIED);
        error.e_text.unwrap().to_string()
    };
    let text = refused(PacFault::Without(PacBufferType::REQUESTOR));
    assert!(text.contains("the PAC has no requestor"), "{text}");
    let other: Sid = "S-1-5-21-1-2-3-500".parse().unwrap();
    let text = refused(PacFault::Requestor(other));
    assert!(
        text.contains("was requested by S-1-5-21-1-2-3-500"),
        "{text}"
    );
    // And the checks of a service.
    let text = refused(PacFault::AnotherServerKey);
    assert!(text.contains("server signature does not verify"), "{text}");
    let text = refused(PacFault::ClientName("bob".into()));
    assert!(text.contains("the PAC is of \"bob\""), "{text}");
    let text = refused(PacFault::Bytes(vec![0; 3]));
    assert!(text.contains("PACTYPE is cut off"), "{text}");
}

/// Another domain speaks for its own accounts only.
#[test]
fn a_trusted_domains_pac_has_none_of_our_sids() {
    let build = |sid: Option<Sid>| {
        let here = builder().trust("OTHER.TEST", "shared").build().unwrap();
        let there = TestRealm::builder("OTHER.TEST")
            .service("HTTP/other")
            .trust("EXAMPLE.TEST", "shared")
            .clock(clock());
        let there = match sid {
            Some(_) => there.domain_sid(here.domain_sid().unwrap()),
            None => there,
        };
        (here, there.build().unwrap())
    };
    for (sid, expected) in [
        (None, None),
        (build(None).0.domain_sid(), Some(error_code::KDC_ERR_POLICY)),
    ] {
        let (here, there) = build(sid);
        let held = login(&here, KdcOptions::empty());
        let referral = ask_tgs(
            &here,
            &held,
            &body("EXAMPLE.TEST", None, "krbtgt/OTHER.TEST"),
        );
        let referral = referral.ticket();
        let answer = ask_tgs(&there, &referral, &body("OTHER.TEST", None, "HTTP/other"));
        match expected {
            Some(code) => assert_eq!(answer.code(), code),
            None => {
                answer.ticket();
            }
        }
    }
}

/// MIT krb5 verifies every signature of the realm's PACs, as a KDC and as a service.
#[cfg(target_os = "linux")]
#[test]
fn mit_verifies_the_pacs() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let realm = realm();
    let held = login(&realm, KdcOptions::empty());
    let service = ask_tgs(&realm, &held, &service_body()).ticket();
    for (name, held, types) in [
        (TGS, &held, "1 6 7 10 12 17 18"),
        (SERVICE, &service, "1 6 7 10 12 16 19"),
    ] {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let (server, kdc) = (key_of(&realm, name, held), kdc_key(&realm));
        let principal = Principal::parse(name, Some("EXAMPLE.TEST")).unwrap();
        let part = open_ticket(&realm, name, held);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pac_by_mit.py");
        let mut child = Command::new("python3")
            .args([script, &principal.to_string(), &NOW.to_string()])
            .args(["alice@EXAMPLE.TEST", &server.enctype().0.to_string()])
            .args([hex(server.expose()), kdc.enctype().0.to_string()])
            .arg(hex(kdc.expose()))
            .env("KRB5_CONFIG", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 does not start: install the package python3");
        let plain = hex(&part.to_der().unwrap());
        let mut input = child.stdin.take().unwrap();
        input.write_all(plain.as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {error}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), types);
    }
}

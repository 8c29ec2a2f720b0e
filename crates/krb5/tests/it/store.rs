//! The store in memory: tickets by client and service, and a keytab.

use std::sync::Arc;
use std::thread;

use trihound_asn1::TicketFlags;
use trihound_crypto::Enctype;
use trihound_krb5::{
    CredentialStore, Credentials, KeyMaterial, Keytab, MemoryStore, Principal, StoreError,
};
use trihound_sansio::Timestamp;

fn name(text: &str) -> Principal {
    Principal::parse(text, None).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn ticket(client: &str, server: &str, from: i64, to: i64) -> Arc<Credentials> {
    Arc::new(Credentials {
        client: name(client),
        server: name(server),
        session_key: KeyMaterial::new(Enctype(17), vec![1; 16].into()),
        ticket: vec![],
        flags: TicketFlags::empty(),
        authtime: at(from),
        starttime: None,
        endtime: at(to),
        renew_till: None,
        addresses: vec![],
        authdata: vec![],
        is_skey: false,
        second_ticket: vec![],
    })
}

#[test]
fn a_ticket_is_found_by_client_and_service_until_it_ends() {
    let store = MemoryStore::new();
    let held = ticket("alice@R", "HTTP/web@R", 0, 100);
    store.store(&held).unwrap();
    store.store(&ticket("bob@R", "HTTP/web@R", 0, 50)).unwrap();
    let find = |client: &str, server: &str, now| {
        store.find(&name(client), &name(server), at(now)).unwrap()
    };
    assert!(Arc::ptr_eq(
        &find("alice@R", "HTTP/web@R", 99).unwrap(),
        &held
    ));
    assert!(find("alice@R", "HTTP/web@R", 100).is_none());
    assert!(find("bob@R", "HTTP/web@R", 60).is_none());
    assert!(find("alice@S", "HTTP/web@R", 0).is_none());
    assert!(find("alice@R", "HTTP/web@S", 0).is_none());
}

#[test]
fn a_newer_ticket_takes_the_place_of_an_older_one() {
    let store = MemoryStore::new();
    store
        .store(&ticket("alice@R", "HTTP/web@R", 0, 100))
        .unwrap();
    store
        .store(&ticket("alice@R", "HTTP/web@R", 0, 200))
        .unwrap();
    let tickets = store.tickets(&name("alice@R")).unwrap();
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0].endtime, at(200));
    store.remove(&name("alice@R"), &name("HTTP/web@R")).unwrap();
    store.remove(&name("alice@R"), &name("HTTP/web@R")).unwrap();
    assert!(store.tickets(&name("alice@R")).unwrap().is_empty());
}

#[test]
fn the_first_client_is_the_default_unless_another_is_named() {
    let store = MemoryStore::new();
    assert_eq!(store.default_principal().unwrap(), None);
    store
        .store(&ticket("alice@R", "HTTP/web@R", 0, 100))
        .unwrap();
    store.store(&ticket("bob@R", "HTTP/web@R", 0, 100)).unwrap();
    assert_eq!(store.default_principal().unwrap(), Some(name("alice@R")));
    store.set_default_principal(Some(name("bob@R")));
    assert_eq!(store.default_principal().unwrap(), Some(name("bob@R")));
}

#[test]
fn the_keytab_and_the_time_offset_are_those_that_were_given() {
    let store = MemoryStore::new();
    assert!(matches!(store.keytab(), Err(StoreError::NoKeytab { .. })));
    assert!(matches!(
        store.client_keytab(),
        Err(StoreError::NoKeytab { .. })
    ));
    let keytab = Arc::new(Keytab::new());
    store.set_keytab(Some(Arc::clone(&keytab)));
    assert!(Arc::ptr_eq(&store.keytab().unwrap(), &keytab));
    assert!(MemoryStore::with_keytab(keytab).keytab().is_ok());

    assert_eq!(store.time_offset().unwrap(), None);
    store.set_time_offset(-5).unwrap();
    assert_eq!(store.time_offset().unwrap(), Some(-5));
}

/// A program that asks for tickets to ever new services does not grow for ever.
#[test]
fn expired_tickets_make_room_for_new_ones() {
    let store = MemoryStore::new();
    for number in 0..10_000_i64 {
        let server = format!("HTTP/host{number}@R");
        store
            .store(&ticket("alice@R", &server, number, number + 100))
            .unwrap();
    }
    let held = store.tickets(&name("alice@R")).unwrap();
    assert!(held.len() < 1000, "{}", held.len());
    let live = held
        .iter()
        .filter(|ticket| ticket.is_valid_at(at(9_999)))
        .count();
    assert_eq!(live, 100);
}

#[test]
fn threads_share_one_store() {
    let store = Arc::new(MemoryStore::new());
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                for number in 0..50 {
                    let server = format!("HTTP/host{number}@R");
                    store
                        .store(&ticket(&format!("user{thread}@R"), &server, 0, 100))
                        .unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    for thread in 0..4 {
        assert_eq!(
            store
                .tickets(&name(&format!("user{thread}@R")))
                .unwrap()
                .len(),
            50
        );
    }
}

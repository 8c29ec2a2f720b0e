//! Caches in the keyring of the test's own thread, which ends with it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use trihound_asn1::TicketFlags;
use trihound_krb5::{CredentialCache, Credentials, KeyMaterial, Principal, StoreError};
use trihound_sansio::{Clock, SystemClock, Timestamp};
use trihound_secret::SecretBytes;

use super::super::{Cache, CacheName, Collection};

const NAME: &str = "thread:tests";

/// Whether the kernel, and the sandbox around the tests, has keyrings. Only a caller who goes without
/// real peers gets a run without them.
fn keyrings() -> bool {
    let there = super::kernel::Special::Thread.serial();
    match super::kernel::search(there, super::kernel::Kind::User, "none", None) {
        Ok(_) => true,
        Err(error) => {
            let may_skip = std::env::var("TRIHOUND_NO_PEERS").is_ok_and(|value| value == "1");
            assert!(may_skip, "there are no keyrings here: {error}");
            eprintln!("SKIPPED for want of keyrings: {error}");
            false
        }
    }
}

fn alice() -> Principal {
    Principal::parse("alice@R", None).unwrap()
}

fn ticket(server: &str, length: usize) -> Arc<Credentials> {
    let now = SystemClock.now();
    Arc::new(Credentials {
        client: alice(),
        server: Principal::parse(server, None).unwrap(),
        session_key: KeyMaterial::new(trihound_crypto::Enctype(18), SecretBytes::zeroed(32)),
        ticket: vec![7; length],
        flags: TicketFlags::INITIAL,
        authtime: Timestamp::from_seconds(now.seconds()),
        starttime: None,
        endtime: Timestamp::from_seconds(now.seconds() + 3600),
        renew_till: None,
        addresses: Vec::new(),
        authdata: Vec::new(),
        is_skey: false,
        second_ticket: Vec::new(),
    })
}

fn open(residual: &str) -> Box<dyn Cache> {
    super::open(residual).unwrap()
}

fn all() -> Box<dyn Collection> {
    super::collection(NAME).unwrap()
}

#[test]
fn tickets_of_all_sizes_and_settings() {
    if !keyrings() {
        return;
    }
    let cache = open(NAME);
    assert_eq!(cache.name().to_string(), "KEYRING:thread:tests:tests");
    assert!(cache.read().unwrap().is_none());
    let mut content = CredentialCache::new(alice());
    content.time_offset = Some(-1_500_000);
    content.set_config("a", None, Some(b"1"));
    // Below, at and above the room that a first look has.
    for length in [1, 3_900, 4_096, 30_000] {
        content.store(ticket(&format!("h{length}@R"), length));
    }
    cache.initialize(&content).unwrap();
    let read = cache.read().unwrap().unwrap();
    assert_eq!(
        (&read.principal, read.time_offset),
        (&alice(), Some(-1_500_000))
    );
    assert_eq!(read.config("a", None), Some(&b"1"[..]));
    for held in &content.credentials {
        let mut found = read.credentials.iter();
        let found = found.find(|found| found.server == held.server).unwrap();
        assert_eq!(found.ticket, held.ticket);
    }
    // More than a key can have is refused, and what there was stays.
    let long = cache.store(&ticket("long@R", 2 << 20)).unwrap_err();
    assert!(matches!(long, StoreError::Unusable { .. }), "{long}");
    assert_eq!(cache.read().unwrap().unwrap().credentials.len(), 4);

    cache.store(&ticket("h1@R", 5)).unwrap();
    assert_eq!(cache.read().unwrap().unwrap().credentials.len(), 4);
    let server = Principal::parse("h1@R", None).unwrap();
    assert_eq!(cache.remove(&server, &server), Ok(0));
    assert_eq!(cache.remove(&alice(), &server), Ok(1));
    cache.set_config("a", None, Some(b"2")).unwrap();
    assert_eq!(
        cache.read().unwrap().unwrap().config("a", None),
        Some(&b"2"[..])
    );
    cache.set_config("a", None, None).unwrap();
    cache.set_time_offset(0).unwrap();
    let read = cache.read().unwrap().unwrap();
    assert_eq!((read.config.len(), read.time_offset), (0, None));
    assert_eq!((cache.destroy(), cache.destroy()), (Ok(true), Ok(false)));
}

#[test]
fn a_collection_and_its_primary() {
    if !keyrings() {
        return;
    }
    assert!(all().list().unwrap().is_empty());
    let first = open(NAME);
    let missing = first.store(&ticket("h@R", 1));
    assert!(
        matches!(missing, Err(StoreError::NoCache { .. })),
        "{missing:?}"
    );
    let content = CredentialCache::new(alice());
    first.initialize(&content).unwrap();
    let second = all().create().unwrap();
    assert!(all().switch_to(&second).is_err(), "there is nothing in it");
    let opened = super::super::open(&second, &trihound_krb5::Config::default()).unwrap();
    opened.initialize(&content).unwrap();
    all().switch_to(&second).unwrap();
    assert_eq!(
        all().list().unwrap(),
        [second.clone(), first.name().clone()]
    );
    assert_eq!(open(NAME).name(), &second);
    assert_eq!(all().primary().unwrap(), Some(second.clone()));

    // The primary one is gone, and the name still leads to it.
    opened.destroy().unwrap();
    assert_eq!(open(NAME).name(), &second);
    assert_eq!(all().list().unwrap(), [first.name().clone()]);
    let elsewhere = CacheName::Keyring("process:tests:tests".to_owned());
    assert!(matches!(
        all().switch_to(&elsewhere),
        Err(StoreError::NoCache { .. })
    ));
}

#[test]
fn names_that_lead_nowhere() {
    for (residual, reason) in [
        ("sesion:x", "is no keyring"),
        ("persistent:me", "no user's number"),
        ("session:a\0b", "a key cannot have that name"),
    ] {
        for error in [
            super::open(residual).map(drop).unwrap_err(),
            super::collection(residual).map(drop).unwrap_err(),
        ] {
            assert!(
                matches!(&error, StoreError::Unusable { reason: text, .. } if text.contains(reason)),
                "{error}"
            );
        }
    }
}

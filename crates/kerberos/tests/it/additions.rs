//! AddCredentials, and what can be set on a context, against two embedded KDCs.

use std::sync::Arc;
use std::time::Duration;

use trihound_krb5::MemoryStore;
use trihound_sansio::Timestamp;
use trihound_sspi::{
    AcquireRequest, ContextAttribute, ContextAttributeValue, CredentialAttribute,
    CredentialAttributeValue, CredentialSettings, CredentialUse, Expiry, Identity, SecBuffer,
    SecBufferDesc, SecPkgContextLifespan, SecurityStatus,
};

use crate::two_realms::{OTHER, PASSWORD, Site, THERE};
use crate::world::{NOW, REALM, TARGET};

#[test]
fn an_identity_that_was_added_serves_its_own_realm() {
    let site = Site::new();
    let credential = site.alice(|_| {}).unwrap();
    let there = Identity::password("alice", Some(OTHER), PASSWORD);
    let request = AcquireRequest {
        identity: Some(&there),
        ..AcquireRequest::default()
    };
    site.table.add_credentials(credential, request).unwrap();
    for (target, client) in [
        (TARGET, "alice@EXAMPLE.TEST"),
        (THERE, "alice@OTHER.TEST"),
        ("HTTP/web.other.test@OTHER.TEST", "alice@OTHER.TEST"),
    ] {
        let (context, _, _) = site.connect(credential, target).unwrap();
        assert_eq!(site.client(context), client, "{target}");
    }
    let names = CredentialAttributeValue::Names {
        user_name: "alice@EXAMPLE.TEST".to_owned(),
    };
    let attribute = CredentialAttribute::Names;
    let value = site
        .table
        .query_credentials_attributes(credential, attribute);
    assert_eq!(value.unwrap(), names);
    drop(site.other);
}

#[test]
fn the_same_identity_added_takes_the_place_of_the_old_one() {
    let site = Site::new();
    let credential = site.alice(|_| {}).unwrap();
    site.realm.set_password("alice", "new").unwrap();
    let error = site.connect(credential, TARGET).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    let renewed = Identity::password("alice", Some(REALM), "new");
    let request = AcquireRequest {
        identity: Some(&renewed),
        ..AcquireRequest::default()
    };
    site.table.add_credentials(credential, request).unwrap();
    site.connect(credential, TARGET).unwrap();
}

#[test]
fn keytabs_that_were_added_open_tickets_too() {
    let site = Site::new();
    let alice = site.alice(|_| {}).unwrap();
    let (_, token, _) = site.connect(alice, "host/localhost").unwrap();
    let acceptor = site
        .acquire(AcquireRequest::new(CredentialUse::INBOUND))
        .unwrap();
    let error = site.accept(acceptor, &token).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_KERB_KEY);
    let keytab = site.realm.keytab(&["host/localhost"]).unwrap();
    site.names
        .put("host", MemoryStore::with_keytab(Arc::new(keytab)));
    let mut settings = CredentialSettings::default();
    settings.keytab = Some("host".to_owned());
    let request = AcquireRequest {
        settings: Some(&settings),
        ..AcquireRequest::new(CredentialUse::INBOUND)
    };
    site.table.add_credentials(acceptor, request).unwrap();
    for target in [TARGET, "host/localhost"] {
        let (_, token, _) = site.connect(alice, target).unwrap();
        site.accept(acceptor, &token).unwrap();
    }
    // A direction that was not there: the service goes on as Alice.
    let identity = Identity::password("alice", Some(REALM), PASSWORD);
    let request = AcquireRequest {
        identity: Some(&identity),
        ..AcquireRequest::default()
    };
    site.connect(acceptor, TARGET).unwrap_err();
    site.table.add_credentials(acceptor, request).unwrap();
    site.connect(acceptor, TARGET).unwrap();
    // A keytab that cannot be read takes nothing away.
    site.names
        .stores
        .lock()
        .unwrap()
        .get("host")
        .unwrap()
        .set_keytab(None);
    let (_, token, _) = site.connect(alice, TARGET).unwrap();
    site.accept(acceptor, &token).unwrap();
}

#[test]
fn what_cannot_be_acquired_is_not_added() {
    let site = Site::new();
    let credential = site.alice(|_| {}).unwrap();
    let mut settings = CredentialSettings::default();
    settings.armor_cache = Some("FILE:/x".to_owned());
    let request = AcquireRequest {
        settings: Some(&settings),
        ..AcquireRequest::default()
    };
    let error = site.table.add_credentials(credential, request).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    let error = site
        .table
        .add_credentials(credential, AcquireRequest::default())
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    // One handle takes many and not any number.
    let mut outcome = Ok(());
    let mut added = 0;
    while outcome.is_ok() {
        let identity = Identity::password(format!("user{added}"), Some(REALM), "x");
        let request = AcquireRequest {
            identity: Some(&identity),
            ..AcquireRequest::default()
        };
        outcome = site.table.add_credentials(credential, request);
        added += 1;
    }
    assert_eq!(added, 65);
    assert_eq!(
        outcome.unwrap_err().status(),
        SecurityStatus::SEC_E_INSUFFICIENT_MEMORY
    );
}

#[test]
fn a_context_can_be_given_an_earlier_end_and_no_later_one() {
    let site = Site::new();
    let alice = site.alice(|_| {}).unwrap();
    let (context, _, _) = site.connect(alice, TARGET).unwrap();
    let query = || match site
        .table
        .query_context_attributes(context, ContextAttribute::Lifespan)
    {
        Ok(ContextAttributeValue::Lifespan(lifespan)) => lifespan,
        other => panic!("{other:?}"),
    };
    let set = |lifespan| {
        site.table
            .set_context_attributes(context, ContextAttributeValue::Lifespan(lifespan))
            .map_err(|error| error.status())
    };
    let sign = || {
        let (mut room, mut data) = ([0; 100], *b"data");
        let mut buffers = [SecBuffer::token(&mut room), SecBuffer::data(&mut data)];
        site.table
            .make_signature(context, 0, &mut SecBufferDesc::new(&mut buffers), 0)
            .map_err(|error| error.status())
    };
    let whole = query();
    let Expiry::At(end) = whole.expiry else {
        panic!("a ticket ends");
    };
    for refused in [
        SecPkgContextLifespan {
            expiry: Expiry::Never,
            ..whole
        },
        SecPkgContextLifespan {
            expiry: Expiry::At(end.plus(Duration::from_secs(1))),
            ..whole
        },
        SecPkgContextLifespan {
            start: whole.start.plus(Duration::from_secs(1)),
            ..whole
        },
    ] {
        assert_eq!(set(refused), Err(SecurityStatus::SEC_E_INVALID_PARAMETER));
        assert_eq!(query(), whole);
    }
    let earlier = Timestamp::from_seconds(NOW + 60);
    let shorter = SecPkgContextLifespan {
        expiry: Expiry::At(earlier),
        ..whole
    };
    set(shorter).unwrap();
    assert_eq!(query(), shorter);
    sign().unwrap();
    site.clock.set(earlier);
    assert_eq!(sign(), Err(SecurityStatus::SEC_E_CONTEXT_EXPIRED));
    let error = site
        .table
        .set_context_attributes(context, ContextAttributeValue::UserFlags(0))
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
}

//! A credential's own settings and its attributes, against two embedded KDCs.

use std::sync::Arc;
use std::time::Duration;

use trihound_kerberos::{CredentialError, KerberosCredential};
use trihound_krb5::{CredentialStore, MemoryStore, Principal};
use trihound_sansio::Timestamp;
use trihound_sspi::{
    AcquireRequest, CredentialAttribute, CredentialAttributeValue, CredentialSettings,
    CredentialUse, Error, Identity, SecurityPackage as _, SecurityStatus, SettingFields,
};

use crate::two_realms::{OTHER, PASSWORD, Site, THERE, proxy, to};
use crate::world::{HOUR, NOW, REALM, TARGET, cause, principal};

const OWN: Option<&str> = Some("tcp/kdc.example.test:750");
const PROXY: Option<&str> = Some("https://proxy.test/KdcProxy");

#[test]
fn a_kdc_of_ones_own_is_asked_for_the_clients_realm_only() {
    let site = Site::new();
    let url = Some("tcp://kdc.example.test:750".to_owned());
    let credential = site.alice(|own| own.kdc_url = url).unwrap();
    let (_, _, asked) = site.connect(credential, THERE).unwrap();
    let expected = [
        to(REALM, OWN),
        to(REALM, OWN),
        to(REALM, OWN),
        to(OTHER, None),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn an_https_address_is_a_proxy_for_every_realm() {
    let site = Site::new();
    let url = Some("https://proxy.test".to_owned());
    let credential = site.alice(|own| own.kdc_url = url).unwrap();
    let (_, _, asked) = site.connect(credential, THERE).unwrap();
    assert!(asked.iter().all(|(_, route)| route.as_deref() == PROXY));
    assert_eq!(asked.last().unwrap().0, OTHER);
}

#[test]
fn a_proxy_that_is_set_serves_the_contexts_after_it() {
    let site = Site::new();
    let credential = site.alice(|_| {}).unwrap();
    let query = || {
        let attribute = CredentialAttribute::KdcProxySettings;
        site.table
            .query_credentials_attributes(credential, attribute)
    };
    assert_eq!(query().unwrap(), proxy("", 0));
    let (_, _, asked) = site.connect(credential, TARGET).unwrap();
    assert!(asked.iter().all(|(_, route)| route.is_none()));
    site.set_proxy(credential, "proxy.test", 1).unwrap();
    assert_eq!(query().unwrap(), proxy("proxy.test", 1));
    let (_, _, asked) = site.connect(credential, "host/localhost").unwrap();
    assert_eq!(asked, [to(REALM, PROXY)]);
    site.set_proxy(credential, "", 0).unwrap();
    let (_, _, asked) = site.connect(credential, THERE).unwrap();
    assert!(asked.iter().all(|(_, route)| route.is_none()));
}

#[test]
fn a_proxy_that_is_not_forced_waits_until_nobody_answers() {
    let site = Site::new();
    let credential = site.alice(|_| {}).unwrap();
    site.set_proxy(credential, "proxy.test:443:KdcProxy", 0)
        .unwrap();
    *site.down.lock().unwrap() = (true, false);
    let (context, _, asked) = site.connect(credential, TARGET).unwrap();
    let proxy = Some("https://proxy.test:443/KdcProxy");
    let pair = [to(REALM, None), to(REALM, proxy)];
    assert_eq!(asked, [pair.clone(), pair.clone(), pair].concat());
    assert_eq!(site.client(context), "alice@EXAMPLE.TEST");

    *site.down.lock().unwrap() = (true, true);
    let error = site.connect(credential, "host/localhost").unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    let text = error.to_string();
    assert!(
        text.contains("the realm's KDC; https://proxy.test:443/KdcProxy"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_set_is_refused_and_changes_nothing() {
    let site = Site::new();
    let credential = site.alice(|_| {}).unwrap();
    let status = |outcome: Result<(), Error>| outcome.unwrap_err().status();
    assert_eq!(
        status(site.set_proxy(credential, "http://proxy.test", 1)),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
    assert_eq!(
        status(site.set_proxy(credential, "proxy.test", 0x8000_0001)),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
    let with_certificate = CredentialAttributeValue::KdcProxySettings {
        proxy_server: "proxy.test".to_owned(),
        flags: 0,
        client_tls_credential: vec![1],
    };
    let set = |value| site.table.set_credentials_attributes(credential, value);
    assert_eq!(
        status(set(with_certificate)),
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
    );
    let renamed = CredentialAttributeValue::Names {
        user_name: "bob".to_owned(),
    };
    assert_eq!(
        status(set(renamed)),
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
    );
    let attribute = CredentialAttribute::KdcProxySettings;
    let value = site
        .table
        .query_credentials_attributes(credential, attribute);
    assert_eq!(value.unwrap(), proxy("", 0));

    let inbound = AcquireRequest::new(CredentialUse::INBOUND);
    let acceptor = site.acquire(inbound).unwrap();
    let error = site.set_proxy(acceptor, "proxy.test", 1).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    let error = site
        .table
        .query_credentials_attributes(acceptor, attribute)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    for attribute in [CredentialAttribute::SsiProvider, CredentialAttribute::Cert] {
        let error = site
            .table
            .query_credentials_attributes(credential, attribute)
            .unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    }
}

/// No setting is passed over: what is not built, and what the package was not equipped for.
#[test]
fn settings_that_nothing_follows_are_refused() {
    let site = Site::new();
    let text = || Some("FILE:/nowhere".to_owned());
    for (name, field) in [
        ("armor_cache", SettingFields::ARMOR_CACHE),
        ("pkinit_anchors", SettingFields::PKINIT_ANCHORS),
        ("accounts", SettingFields::ACCOUNTS),
    ] {
        let error = site
            .alice(|own| match field {
                SettingFields::ARMOR_CACHE => own.armor_cache = text(),
                SettingFields::PKINIT_ANCHORS => own.pkinit_anchors = text(),
                _ => own.accounts = text(),
            })
            .unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
        assert!(error.to_string().contains(name), "{error}");
    }
    let bare = Site::with_opener(false);
    for cache in [true, false] {
        let error = bare
            .alice(|own| match cache {
                true => own.credential_cache = text(),
                false => own.keytab = text(),
            })
            .unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
        let setting = if cache { "credential_cache" } else { "keytab" };
        assert!(error.to_string().contains(setting), "{error}");
        // Nor does the package by itself.
        let mut settings = CredentialSettings::default();
        settings.keytab = text();
        let request = AcquireRequest {
            settings: Some(&settings),
            ..AcquireRequest::default()
        };
        let package = bare.package.package();
        let error = package.acquire_credentials_handle(request).unwrap_err();
        assert!(
            matches!(
                cause::<CredentialError>(&error),
                CredentialError::UnservedSetting {
                    setting: "keytab",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let site = Site::new();
    let wrong = |error: Error, setting: &str| {
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
        let found = cause::<CredentialError>(&error);
        assert!(
            matches!(found, CredentialError::WrongSetting { setting: named, .. } if *named == setting),
            "{error}"
        );
    };
    let url = Some("ldap://kdc".to_owned());
    wrong(site.alice(|own| own.kdc_url = url).unwrap_err(), "kdc_url");
    let moment = Some(Duration::from_millis(999));
    wrong(
        site.alice(|own| own.lifetime = moment).unwrap_err(),
        "lifetime",
    );
    let name = Some("API:x".to_owned());
    let error = site.alice(|own| own.credential_cache = name).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
}

#[test]
fn lifetimes_are_asked_for() {
    let site = Site::new();
    let cache = || Some("MEMORY:times".to_owned());
    let credential = site
        .alice(|own| {
            own.credential_cache = cache();
            own.lifetime = Some(Duration::from_secs(600));
            own.renewable_lifetime = Some(HOUR);
        })
        .unwrap();
    site.connect(credential, TARGET).unwrap();
    let now = Timestamp::from_seconds(NOW);
    let granting = site
        .names
        .named(Some("MEMORY:times"))
        .find(
            &principal("alice"),
            &Principal::krbtgt(&principal("alice").realm),
            now,
        )
        .unwrap()
        .unwrap();
    assert_eq!(granting.endtime, Timestamp::from_seconds(NOW + 600));
    assert_eq!(
        granting.renew_till,
        Some(Timestamp::from_seconds(NOW + 3600))
    );
    // The store outlives the credential, and the next one needs no login.
    let again = site.alice(|own| own.credential_cache = cache()).unwrap();
    let (_, _, asked) = site.connect(again, TARGET).unwrap();
    assert_eq!(asked, []);
}

/// RFC 4120 section 2.4.
#[test]
fn a_login_for_later_serves_from_then_on() {
    let site = Site::new();
    let credential = site.alice(|own| own.start_time = Some(HOUR)).unwrap();
    let error = site.connect(credential, TARGET).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_TIME_SKEW);
    let start = Timestamp::from_seconds(NOW + 3600);
    assert!(
        matches!(cause::<CredentialError>(&error), CredentialError::Postdated { start: told, .. } if *told == start),
        "{error}"
    );
    // It is not asked for again meanwhile.
    site.connect(credential, TARGET).unwrap_err();
    assert_eq!(*site.asked.lock().unwrap(), []);
    site.clock.set(start);
    let (context, _, asked) = site.connect(credential, TARGET).unwrap();
    // The ticket is validated, and then serves.
    assert_eq!(asked.len(), 2);
    assert_eq!(site.client(context), "alice@EXAMPLE.TEST");
}

#[test]
fn a_named_keytab_is_the_clients_for_outbound_use_and_the_services_for_inbound_use() {
    let site = Site::new();
    let put = |name: &str, keys: &str| {
        let keytab = site.realm.keytab(&[keys]).unwrap();
        site.names
            .put(name, MemoryStore::with_keytab(Arc::new(keytab)));
    };
    put("alice.keytab", "alice");
    put("host.keytab", "host/localhost");
    let mut settings = CredentialSettings::default();
    settings.keytab = Some("alice.keytab".to_owned());
    // Without an identity the first in the keytab is meant; with one, a keytab goes before its password.
    let wrong = Identity::password("alice", Some(REALM), "wrong");
    for identity in [None, Some(&wrong)] {
        let credential = site
            .acquire(AcquireRequest {
                identity,
                settings: Some(&settings),
                ..AcquireRequest::default()
            })
            .unwrap();
        let (context, _, _) = site.connect(credential, TARGET).unwrap();
        assert_eq!(site.client(context), "alice@EXAMPLE.TEST");
    }
    let bob = Identity::password("bob", Some(REALM), PASSWORD);
    let error = site
        .acquire(AcquireRequest {
            identity: Some(&bob),
            settings: Some(&settings),
            ..AcquireRequest::default()
        })
        .unwrap_err();
    assert!(
        matches!(cause::<CredentialError>(&error), CredentialError::NoKeyOfPrincipal { principal } if principal == "bob@EXAMPLE.TEST"),
        "{error}"
    );
    settings.keytab = Some("host.keytab".to_owned());
    let acceptor = site
        .acquire(AcquireRequest {
            settings: Some(&settings),
            ..AcquireRequest::new(CredentialUse::INBOUND)
        })
        .unwrap();
    // Of both directions the keytab is the service's, and the client has the password.
    let both = site
        .acquire(AcquireRequest {
            identity: Some(&bob),
            settings: Some(&settings),
            ..AcquireRequest::new(CredentialUse::BOTH)
        })
        .unwrap();
    let (_, token, _) = site.connect(both, "host/localhost").unwrap();
    let context = site.accept(acceptor, &token).unwrap();
    assert_eq!(site.client(context), "bob@EXAMPLE.TEST");
    let (_, token, _) = site.connect(both, TARGET).unwrap();
    let error = site.accept(acceptor, &token).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_KERB_KEY);
    let places = site.names.asked.lock().unwrap();
    let host = Some("host.keytab".to_owned());
    assert_eq!(places.last().unwrap(), &[None, host.clone(), host]);
}

#[test]
fn a_cache_of_somebody_else_is_not_used() {
    let site = Site::new();
    let cache = || Some("MEMORY:alices".to_owned());
    let alices = site.alice(|own| own.credential_cache = cache()).unwrap();
    site.connect(alices, TARGET).unwrap();
    let mut settings = CredentialSettings::default();
    settings.credential_cache = cache();
    let bob = Identity::password("bob", Some(REALM), PASSWORD);
    let error = site
        .acquire(AcquireRequest {
            identity: Some(&bob),
            settings: Some(&settings),
            ..AcquireRequest::default()
        })
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(
        matches!(
            cause::<CredentialError>(&error),
            CredentialError::CacheOfOther { .. }
        ),
        "{error}"
    );
    // Without an identity it is its owner's.
    let owner = site
        .acquire(AcquireRequest {
            settings: Some(&settings),
            ..AcquireRequest::default()
        })
        .unwrap();
    let (context, _, asked) = site.connect(owner, TARGET).unwrap();
    assert_eq!(site.client(context), "alice@EXAMPLE.TEST");
    assert_eq!(asked, []);
}

/// A credential that a program built takes attributes and additions as one that was acquired.
#[test]
fn an_adopted_credential_has_the_same_attributes() {
    let site = Site::new();
    let credential = KerberosCredential::from_password(principal("alice"), PASSWORD.into());
    let handle = site.package.adopt(credential).unwrap();
    site.set_proxy(handle, "https://proxy.test/KdcProxy", 1)
        .unwrap();
    let (_, _, asked) = site.connect(handle, TARGET).unwrap();
    assert!(asked.iter().all(|(_, route)| route.as_deref() == PROXY));
}

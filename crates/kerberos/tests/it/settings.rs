//! A credential's own settings, its attributes and what is added to it, against two embedded KDCs that trust
//! each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trihound_kerberos::{CredentialError, Kerberos, KerberosConfig, KerberosCredential};
use trihound_krb5::{
    Config, CredentialStore, Credentials, Environment, MemoryStore, Principal, StoreError,
    StoreOpener, StorePlaces,
};
use trihound_sansio::{FixedClock, Reply, Timestamp, Transport, TransportFailure};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, AcquireRequest, ContextAttribute, ContextAttributeValue,
    CredHandle, CredentialAttribute, CredentialAttributeValue, CredentialSettings, CredentialUse,
    CtxtHandle, Error, Expiry, Identity, InitializeRequest, InitiatorRequirements, InputDesc,
    RegisteredPackage, SecBuffer, SecBufferDesc, SecPkgContextLifespan, SecurityFunctionTable,
    SecurityStatus, SettingFields,
};
use trihound_test_realm::{Policy, RealmTransport, TestRealm};

use crate::support::Seeded;
use crate::world::{HOUR, NOW, REALM, TARGET, cause, principal};

const OTHER: &str = "OTHER.TEST";
const THERE: &str = "HTTP/web.other.test";
const PASSWORD: &str = "correct horse";

/// Stores by name, and what was asked for.
#[derive(Default)]
struct Names {
    stores: Mutex<HashMap<String, Arc<MemoryStore>>>,
    asked: Mutex<Vec<[Option<String>; 3]>>,
}

/// A store whose keys are one named keytab's and whose tickets are one named cache's.
struct Parts {
    cache: Arc<MemoryStore>,
    keytab: Arc<MemoryStore>,
}

impl Names {
    fn named(&self, name: Option<&str>) -> Arc<MemoryStore> {
        let mut stores = self.stores.lock().unwrap();
        let name = name.unwrap_or("the machine's").to_owned();
        Arc::clone(stores.entry(name).or_default())
    }

    fn put(&self, name: &str, store: MemoryStore) {
        let mut stores = self.stores.lock().unwrap();
        stores.insert(name.to_owned(), Arc::new(store));
    }
}

impl StoreOpener for Names {
    fn open(&self, places: &StorePlaces<'_>) -> Result<Arc<dyn CredentialStore>, StoreError> {
        let own = |name: Option<&str>| name.map(str::to_owned);
        self.asked.lock().unwrap().push([
            own(places.cache),
            own(places.keytab),
            own(places.client_keytab),
        ]);
        if places.cache == Some("API:x") {
            return Err(StoreError::Name {
                reason: "API:x is not served".to_owned(),
            });
        }
        Ok(Arc::new(Parts {
            cache: self.named(places.cache),
            keytab: self.named(places.keytab.or(places.client_keytab)),
        }))
    }
}

impl CredentialStore for Parts {
    fn default_principal(&self) -> Result<Option<Principal>, StoreError> {
        self.cache.default_principal()
    }

    fn find(
        &self,
        client: &Principal,
        server: &Principal,
        now: Timestamp,
    ) -> Result<Option<Arc<Credentials>>, StoreError> {
        self.cache.find(client, server, now)
    }

    fn tickets(&self, client: &Principal) -> Result<Vec<Arc<Credentials>>, StoreError> {
        self.cache.tickets(client)
    }

    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError> {
        self.cache.store(credentials)
    }

    fn remove(&self, client: &Principal, server: &Principal) -> Result<(), StoreError> {
        self.cache.remove(client, server)
    }

    fn keytab(&self) -> Result<Arc<trihound_krb5::Keytab>, StoreError> {
        self.keytab.keytab()
    }

    fn client_keytab(&self) -> Result<Arc<trihound_krb5::Keytab>, StoreError> {
        self.keytab.keytab()
    }
}

struct Site {
    clock: Arc<FixedClock>,
    realm: Arc<TestRealm>,
    other: Arc<TestRealm>,
    transport: Mutex<RealmTransport>,
    /// The realm and the route of every request.
    asked: Mutex<Vec<(String, Option<String>)>>,
    /// Whether only routed requests are answered, and whether none is.
    down: Mutex<(bool, bool)>,
    names: Arc<Names>,
    package: RegisteredPackage<Kerberos>,
    table: SecurityFunctionTable,
}

fn realm(
    name: &str,
    there: &str,
    clock: &Arc<FixedClock>,
) -> trihound_test_realm::TestRealmBuilder {
    let mut policy = Policy::default();
    policy.postdatable = true;
    TestRealm::builder(name)
        .principal("alice", PASSWORD)
        .trust(there, "between us")
        .policy(policy)
        .clock(clock.clone())
        .random(Arc::new(Seeded::new(3)))
}

impl Site {
    fn new() -> Self {
        Self::with_opener(true)
    }

    fn with_opener(opener: bool) -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
        let here = realm(REALM, OTHER, &clock)
            .principal("bob", PASSWORD)
            .service(TARGET)
            .service("host/localhost")
            .domain("web.other.test", OTHER)
            .build()
            .unwrap();
        let other = realm(OTHER, REALM, &clock).service(THERE).build().unwrap();
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        config.map_domain("web.other.test", OTHER);
        let random = Arc::new(Seeded::new(5));
        let environment = Environment::new(clock.clone(), random, Arc::new(config));
        let store = MemoryStore::with_keytab(Arc::new(here.keytab(&[TARGET]).unwrap()));
        let names = Arc::new(Names::default());
        let mut config = KerberosConfig::new(environment, Arc::new(store));
        if opener {
            config.stores = Some(names.clone());
        }
        let package = RegisteredPackage::new(Kerberos::new(config));
        let table = SecurityFunctionTable::builder()
            .package(&package)
            .build()
            .unwrap();
        Self {
            clock,
            transport: Mutex::new(RealmTransport::to([here.clone(), other.clone()])),
            realm: here,
            other,
            asked: Mutex::default(),
            down: Mutex::default(),
            names,
            package,
            table,
        }
    }

    fn acquire(&self, request: AcquireRequest<'_>) -> Result<CredHandle, Error> {
        self.table
            .acquire_credentials_handle("Kerberos", request)
            .map(|acquired| acquired.credential)
    }

    /// Alice's credential by her password, with settings of its own.
    fn alice(&self, change: impl FnOnce(&mut CredentialSettings)) -> Result<CredHandle, Error> {
        let mut settings = CredentialSettings::default();
        change(&mut settings);
        self.acquire(AcquireRequest {
            identity: Some(&Identity::password("alice", Some(REALM), PASSWORD)),
            settings: Some(&settings),
            ..AcquireRequest::default()
        })
    }

    fn round_trip(
        &self,
        request: &trihound_sansio::ExchangeRequest,
    ) -> Result<Vec<u8>, TransportFailure> {
        let route = request.route.as_ref().map(|route| route.0.clone());
        let (unrouted, all) = *self.down.lock().unwrap();
        let down = all || (unrouted && route.is_none());
        self.asked
            .lock()
            .unwrap()
            .push((request.realm.clone(), route.clone()));
        if down {
            return Err(TransportFailure {
                realm: request.realm.clone(),
                attempts: vec![route.unwrap_or_else(|| "the realm's KDC".to_owned())],
                advice: String::new(),
            });
        }
        self.transport.lock().unwrap().round_trip(request)
    }

    /// An initiator's context up to its AP-REQ, and whom it asked.
    fn connect(
        &self,
        credential: CredHandle,
        target: &str,
    ) -> Result<(CtxtHandle, Vec<u8>, Vec<(String, Option<String>)>), Error> {
        self.asked.lock().unwrap().clear();
        let mut memory = [0; 8000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let request = InitializeRequest {
            target_name: Some(target),
            requirements: InitiatorRequirements::INTEGRITY,
            ..InitializeRequest::default()
        };
        let table = &self.table;
        let mut outcome =
            table.initialize_security_context(Some(credential), None, request, &mut output)?;
        while let Some(request) = outcome.exchange() {
            let answer = self.round_trip(request);
            let reply = match &answer {
                Ok(bytes) => Reply::Bytes(bytes),
                Err(failure) => Reply::Failed(failure),
            };
            outcome = table.complete_exchange(outcome.context, reply, &mut output)?;
        }
        let asked = core::mem::take(&mut *self.asked.lock().unwrap());
        Ok((outcome.context, output.token().unwrap().to_vec(), asked))
    }

    fn accept(&self, credential: CredHandle, token: &[u8]) -> Result<CtxtHandle, Error> {
        let mut memory = [0; 1000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let input = [SecBuffer::token_input(token)];
        let request = AcceptRequest {
            requirements: AcceptorRequirements::INTEGRITY,
            input: Some(InputDesc::new(&input)),
        };
        let mut output = SecBufferDesc::new(&mut buffers);
        self.table
            .accept_security_context(Some(credential), None, request, &mut output)
            .map(|outcome| outcome.context)
    }

    fn client(&self, context: CtxtHandle) -> String {
        match self
            .table
            .query_context_attributes(context, ContextAttribute::Names)
        {
            Ok(ContextAttributeValue::Names(name)) => name,
            other => panic!("{other:?}"),
        }
    }

    fn set_proxy(&self, credential: CredHandle, server: &str, flags: u32) -> Result<(), Error> {
        self.table
            .set_credentials_attributes(credential, proxy(server, flags))
    }
}

fn proxy(server: &str, flags: u32) -> CredentialAttributeValue {
    CredentialAttributeValue::KdcProxySettings {
        proxy_server: server.to_owned(),
        flags,
        client_tls_credential: Vec::new(),
    }
}

fn to(realm: &str, route: Option<&str>) -> (String, Option<String>) {
    (realm.to_owned(), route.map(str::to_owned))
}

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
        let found = cause::<CredentialError>(&error);
        assert!(
            matches!(found, CredentialError::UnservedSetting { setting: named, .. } if *named == setting),
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

//! Two embedded KDCs that trust each other, stores by name, and a record of who was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use trihound_kerberos::{Kerberos, KerberosConfig};
use trihound_krb5::{
    Config, CredentialStore, Credentials, Environment, MemoryStore, Principal, StoreError,
    StoreOpener, StorePlaces,
};
use trihound_sansio::{FixedClock, Reply, Timestamp, Transport, TransportFailure};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, AcquireRequest, ContextAttribute, ContextAttributeValue,
    CredHandle, CredentialAttributeValue, CredentialSettings, CtxtHandle, Error, Identity,
    InitializeRequest, InitiatorRequirements, InputDesc, RegisteredPackage, SecBuffer,
    SecBufferDesc, SecurityFunctionTable,
};
use trihound_test_realm::{Policy, RealmTransport, TestRealm};

use crate::support::Seeded;
use crate::world::{NOW, REALM, TARGET};

pub(crate) const OTHER: &str = "OTHER.TEST";
pub(crate) const THERE: &str = "HTTP/web.other.test";
pub(crate) const PASSWORD: &str = "correct horse";

/// Stores by name, and what was asked for.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) stores: Mutex<HashMap<String, Arc<MemoryStore>>>,
    pub(crate) asked: Mutex<Vec<[Option<String>; 3]>>,
}

/// A store whose keys are one named keytab's and whose tickets are one named cache's.
pub(crate) struct Parts {
    pub(crate) cache: Arc<MemoryStore>,
    pub(crate) keytab: Arc<MemoryStore>,
}

impl Names {
    pub(crate) fn named(&self, name: Option<&str>) -> Arc<MemoryStore> {
        let mut stores = self.stores.lock().unwrap();
        let name = name.unwrap_or("the machine's").to_owned();
        Arc::clone(stores.entry(name).or_default())
    }

    pub(crate) fn put(&self, name: &str, store: MemoryStore) {
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

/// The realm and the route of a request.
pub(crate) type Asked = (String, Option<String>);

pub(crate) struct Site {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) realm: Arc<TestRealm>,
    pub(crate) other: Arc<TestRealm>,
    pub(crate) transport: Mutex<RealmTransport>,
    /// The realm and the route of every request.
    pub(crate) asked: Mutex<Vec<Asked>>,
    /// Whether only routed requests are answered, and whether none is.
    pub(crate) down: Mutex<(bool, bool)>,
    pub(crate) names: Arc<Names>,
    pub(crate) package: RegisteredPackage<Kerberos>,
    pub(crate) table: SecurityFunctionTable,
}

pub(crate) fn realm(
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
    pub(crate) fn new() -> Self {
        Self::with_opener(true)
    }

    pub(crate) fn with_opener(opener: bool) -> Self {
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

    pub(crate) fn acquire(&self, request: AcquireRequest<'_>) -> Result<CredHandle, Error> {
        self.table
            .acquire_credentials_handle("Kerberos", request)
            .map(|acquired| acquired.credential)
    }

    /// Alice's credential by her password, with settings of its own.
    pub(crate) fn alice(
        &self,
        change: impl FnOnce(&mut CredentialSettings),
    ) -> Result<CredHandle, Error> {
        let mut settings = CredentialSettings::default();
        change(&mut settings);
        self.acquire(AcquireRequest {
            identity: Some(&Identity::password("alice", Some(REALM), PASSWORD)),
            settings: Some(&settings),
            ..AcquireRequest::default()
        })
    }

    pub(crate) fn round_trip(
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
    pub(crate) fn connect(
        &self,
        credential: CredHandle,
        target: &str,
    ) -> Result<(CtxtHandle, Vec<u8>, Vec<Asked>), Error> {
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

    pub(crate) fn accept(&self, credential: CredHandle, token: &[u8]) -> Result<CtxtHandle, Error> {
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

    pub(crate) fn client(&self, context: CtxtHandle) -> String {
        match self
            .table
            .query_context_attributes(context, ContextAttribute::Names)
        {
            Ok(ContextAttributeValue::Names(name)) => name,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn set_proxy(
        &self,
        credential: CredHandle,
        server: &str,
        flags: u32,
    ) -> Result<(), Error> {
        self.table
            .set_credentials_attributes(credential, proxy(server, flags))
    }
}

pub(crate) fn proxy(server: &str, flags: u32) -> CredentialAttributeValue {
    CredentialAttributeValue::KdcProxySettings {
        proxy_server: server.to_owned(),
        flags,
        client_tls_credential: Vec::new(),
    }
}

pub(crate) fn to(realm: &str, route: Option<&str>) -> Asked {
    (realm.to_owned(), route.map(str::to_owned))
}

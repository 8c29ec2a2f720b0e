//! Delegation against the embedded KDC: what the initiator sends and to whom, what the acceptor has of it,
//! and where the ticket leads.

use std::sync::{Arc, Mutex};

use trihound_asn1::{TicketFlags, error_code, gss};
use trihound_kerberos::{
    ContextError, DelegationPolicy, Kerberos, KerberosConfig, KerberosCredential, danger,
};
use trihound_krb5::ap::{AcceptPolicy, AcceptRequest as ApAcceptRequest, accept_ap_req};
use trihound_krb5::{
    Config, CredentialStore, Credentials, Environment, MemoryReplayCache, MemoryStore,
};
use trihound_sansio::{FixedClock, Reply, Timestamp, Transport};
use trihound_sspi::{
    AcceptRequest, AcceptorAttributes, AccessToken, AcquireRequest, CredHandle, CredentialUse,
    CtxtHandle, Error, EstablishedAttributes, Identity, ImpersonationLevel, InitializeRequest,
    InitiatorAttributes, InitiatorRequirements, InputDesc, RegisteredPackage, SecBuffer,
    SecBufferDesc, SecurityFunctionTable, SecurityStatus,
};
use trihound_test_realm::{
    Fault, PrincipalOptions, RealmTransport, Repeat, RequestKind, TestRealm,
};

use crate::support::Seeded;
use crate::world::{ALICE, NOW, REALM, cause, principal};

const PASSWORD: &str = "correct horse";
/// Trusted to act for its clients.
pub(crate) const FRONT: &str = "HTTP/front.example.test";
/// So too.
pub(crate) const MIDDLE: &str = "HTTP/middle.example.test";
/// Not so.
pub(crate) const PLAIN: &str = "HTTP/plain.example.test";

/// A realm, the clients' package, and the services' own.
pub(crate) struct Site {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) realm: Arc<TestRealm>,
    transport: Mutex<RealmTransport>,
    pub(crate) clients: RegisteredPackage<Kerberos>,
    pub(crate) services: RegisteredPackage<Kerberos>,
    /// Both packages' tables, the clients' first.
    tables: [SecurityFunctionTable; 2],
}

/// Which of the two tables.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Clients,
    Services,
}

/// What a context came to on both sides.
pub(crate) struct Contexts {
    initiator: InitiatorAttributes,
    acceptor: AcceptorAttributes,
    accepted: CtxtHandle,
    token: Vec<u8>,
}

impl Contexts {
    /// Whether both sides say that something was delegated; they have to agree.
    fn is_delegated(&self) -> bool {
        let ours = self.initiator.contains(InitiatorAttributes::DELEGATE);
        let theirs = self.acceptor.contains(AcceptorAttributes::DELEGATE);
        assert_eq!(ours, theirs);
        ours
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, PrincipalOptions::default(), |_| {})
    }

    fn with_kerberos(change: impl FnOnce(&mut KerberosConfig)) -> Self {
        Self::with(|_| {}, PrincipalOptions::default(), change)
    }

    fn with(
        config_change: impl FnOnce(&mut Config),
        alice: PrincipalOptions,
        change: impl FnOnce(&mut KerberosConfig),
    ) -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
        let trusted = || PrincipalOptions::default().ok_as_delegate();
        let realm = TestRealm::builder(REALM)
            .principal_with("alice", PASSWORD, alice)
            .principal("bob", PASSWORD)
            .service_with(FRONT, trusted())
            .service_with(MIDDLE, trusted())
            .service(PLAIN)
            .clock(clock.clone())
            .random(Arc::new(Seeded::new(3)))
            .build()
            .unwrap();
        let package = |seed, store, config: Config, change: &mut dyn FnMut(&mut KerberosConfig)| {
            let environment =
                Environment::new(clock.clone(), Arc::new(Seeded::new(seed)), Arc::new(config));
            let mut config = KerberosConfig::new(environment, Arc::new(store));
            change(&mut config);
            RegisteredPackage::new(Kerberos::new(config))
        };
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        let mut of_clients = config.clone();
        config_change(&mut of_clients);
        let mut change = Some(change);
        let mut change = |config: &mut KerberosConfig| {
            if let Some(change) = change.take() {
                change(config);
            }
        };
        let clients = package(5, MemoryStore::new(), of_clients, &mut change);
        let keytab = realm.keytab(&[FRONT, MIDDLE, PLAIN]).unwrap();
        let store = MemoryStore::with_keytab(Arc::new(keytab));
        let services = package(7, store, config, &mut |_| {});
        let table = |package| {
            SecurityFunctionTable::builder()
                .package(package)
                .build()
                .unwrap()
        };
        Self {
            clock,
            transport: Mutex::new(realm.transport()),
            realm,
            tables: [table(&clients), table(&services)],
            clients,
            services,
        }
    }

    fn table(&self, of: Of) -> &SecurityFunctionTable {
        &self.tables[of as usize]
    }

    fn round_trips(&self) -> usize {
        self.transport.lock().unwrap().round_trips()
    }

    pub(crate) fn acquire(&self, of: Of, request: AcquireRequest<'_>) -> Result<CredHandle, Error> {
        self.table(of)
            .acquire_credentials_handle("Kerberos", request)
            .map(|acquired| acquired.credential)
    }

    pub(crate) fn alice(&self) -> CredHandle {
        self.user("alice")
    }

    pub(crate) fn user(&self, user: &str) -> CredHandle {
        let identity = Identity::password(user, Some(REALM), PASSWORD);
        let request = AcquireRequest {
            identity: Some(&identity),
            ..AcquireRequest::default()
        };
        self.acquire(Of::Clients, request).unwrap()
    }

    /// Alice with a ticket-granting ticket of these properties and no secret.
    fn alice_with_ticket(&self, forwardable: bool) -> CredHandle {
        let store = Arc::new(MemoryStore::new());
        let ticket = self.granting_ticket("alice", forwardable);
        store.store(&ticket).unwrap();
        let credential = KerberosCredential::from_store(principal(ALICE), store);
        self.clients.adopt(credential).unwrap()
    }

    pub(crate) fn granting_ticket(&self, user: &str, forwardable: bool) -> Arc<Credentials> {
        use trihound_krb5::{AsExchange, AsRequest, ClientSecret};
        let secret = ClientSecret::Password(PASSWORD.into());
        let mut request = AsRequest::new(principal(user), secret);
        request.options.forwardable = forwardable;
        let environment = self.clients.package().environment();
        let exchange = AsExchange::begin(request, environment).unwrap();
        let outcome = trihound_sansio::drive(exchange, &mut *self.transport.lock().unwrap());
        Arc::new(outcome.unwrap().credentials)
    }

    /// InitializeSecurityContext with all its round trips.
    fn initialize(
        &self,
        of: Of,
        credential: CredHandle,
        context: Option<CtxtHandle>,
        request: InitializeRequest<'_>,
    ) -> Result<(CtxtHandle, Option<EstablishedAttributes>, Vec<u8>), Error> {
        let table = self.table(of);
        let mut memory = vec![0; 16_000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let mut outcome =
            table.initialize_security_context(Some(credential), context, request, &mut output)?;
        while let Some(request) = outcome.exchange() {
            let answer = self.transport.lock().unwrap().round_trip(request);
            let reply = match &answer {
                Ok(bytes) => Reply::Bytes(bytes),
                Err(failure) => Reply::Failed(failure),
            };
            outcome = table.complete_exchange(outcome.context, reply, &mut output)?;
        }
        let token = output.token().unwrap_or_default().to_vec();
        let attributes = outcome.established().map(|one| one.attributes);
        Ok((outcome.context, attributes, token))
    }

    fn accept(&self, token: &[u8]) -> Result<(CtxtHandle, AcceptorAttributes, Vec<u8>), Error> {
        let service = self.acquire(Of::Services, AcquireRequest::new(CredentialUse::INBOUND))?;
        let mut memory = vec![0; 400];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let input = [SecBuffer::token_input(token)];
        let request = AcceptRequest {
            input: Some(InputDesc::new(&input)),
            ..AcceptRequest::default()
        };
        let table = self.table(Of::Services);
        let outcome = table.accept_security_context(Some(service), None, request, &mut output)?;
        let Some(EstablishedAttributes::Acceptor(attributes)) =
            outcome.established().map(|one| one.attributes)
        else {
            panic!("{outcome:?}");
        };
        let answer = output.token().unwrap_or_default().to_vec();
        Ok((outcome.context, attributes, answer))
    }

    pub(crate) fn connect_as(
        &self,
        of: Of,
        credential: CredHandle,
        target: &str,
        requirements: InitiatorRequirements,
        impersonation: Option<&Arc<AccessToken>>,
    ) -> Result<Contexts, Error> {
        let request = InitializeRequest {
            target_name: Some(target),
            requirements: requirements | InitiatorRequirements::MUTUAL_AUTH,
            impersonation,
            ..InitializeRequest::default()
        };
        let (context, _, token) = self.initialize(of, credential, None, request)?;
        let (accepted, acceptor, answer) = self.accept(&token)?;
        let input = [SecBuffer::token_input(&answer)];
        let request = InitializeRequest {
            input: Some(InputDesc::new(&input)),
            ..InitializeRequest::default()
        };
        let (_, attributes, _) = self.initialize(of, credential, Some(context), request)?;
        let Some(EstablishedAttributes::Initiator(initiator)) = attributes else {
            panic!("{attributes:?}");
        };
        Ok(Contexts {
            initiator,
            acceptor,
            accepted,
            token,
        })
    }

    /// A context of a client that asks for DELEGATE.
    pub(crate) fn delegate(&self, credential: CredHandle, target: &str) -> Contexts {
        let asked = InitiatorRequirements::DELEGATE;
        self.connect_as(Of::Clients, credential, target, asked, None)
            .unwrap()
    }

    pub(crate) fn token_of(&self, contexts: &Contexts) -> Arc<AccessToken> {
        self.table(Of::Services)
            .query_security_context_token(contexts.accepted)
            .unwrap()
    }

    /// The delegated KRB-CRED as it lies in the checksum, opened with the session key, whose it is.
    fn on_the_wire(&self, contexts: &Contexts) -> Option<Vec<Credentials>> {
        let token = gss::unwrap_token(&contexts.token).unwrap();
        let environment = self.services.package().environment();
        let keytab = self.realm.keytab(&[FRONT, MIDDLE, PLAIN]).unwrap();
        let accepted = accept_ap_req(
            token.inner,
            &ApAcceptRequest {
                keytab: &keytab,
                principal: None,
                policy: &AcceptPolicy::default(),
                replay_cache: &MemoryReplayCache::default(),
                client_address: None,
            },
            environment,
        )
        .unwrap();
        let checksum = accepted.authenticator.cksum.clone().unwrap();
        let checksum = gss::GssChecksum::parse(&checksum.checksum).unwrap();
        let message = checksum.delegation?;
        // Conformance row 95: under the session key, and not under the sub-key.
        let subkey = accepted.initiator_subkey.as_ref().unwrap();
        assert!(trihound_krb5::read_krb_cred(&message, &[subkey]).is_err());
        let tickets = trihound_krb5::read_krb_cred(&message, &[&accepted.session_key]);
        Some(tickets.unwrap())
    }
}

/// Whether a client's ticket reaches a service at all.
pub(crate) fn works() -> bool {
    let site = Site::new();
    site.delegate(site.alice(), FRONT).is_delegated()
}

/// Conformance row 94: without OK-AS-DELEGATE in the service's ticket nothing is sent.
#[test]
fn row_94_only_a_service_that_its_realm_trusts_gets_a_ticket() {
    let site = Site::new();
    let alice = site.alice();
    let trusted = site.delegate(alice, FRONT);
    assert!(trusted.is_delegated());
    assert_eq!(
        site.token_of(&trusted).level,
        ImpersonationLevel::Delegation
    );
    let plain = site.delegate(alice, PLAIN);
    assert!(!plain.is_delegated());
    assert!(site.on_the_wire(&plain).is_none());
    let token = site.token_of(&plain);
    assert_eq!(token.level, ImpersonationLevel::Impersonation);
    assert!(token.delegated_credential.is_none());
    // Who does not ask sends nothing, whomever the realm trusts.
    let asked = InitiatorRequirements::empty();
    let quiet = site
        .connect_as(Of::Clients, alice, FRONT, asked, None)
        .unwrap();
    assert!(!quiet.is_delegated());
    assert!(site.on_the_wire(&quiet).is_none());
}

/// Conformance row 94: the explicit ask.
#[test]
fn row_94_the_policy_may_name_services_that_the_realm_does_not_trust() {
    let delegated = |policy: DelegationPolicy, target: &str| {
        let site = Site::with_kerberos(|config| config.delegation = policy);
        let contexts = site.delegate(site.alice(), target);
        assert_eq!(
            site.on_the_wire(&contexts).is_some(),
            contexts.is_delegated()
        );
        contexts.is_delegated()
    };
    assert!(delegated(danger::delegate_to_any_service(), PLAIN));
    assert!(delegated(danger::delegate_to([PLAIN]), PLAIN));
    assert!(delegated(danger::delegate_to([PLAIN]), FRONT));
    assert!(delegated(
        danger::delegate_to([format!("{PLAIN}@{REALM}")]),
        PLAIN
    ));
    assert!(!delegated(
        danger::delegate_to([format!("{PLAIN}@OTHER.TEST")]),
        PLAIN
    ));
    assert!(!delegated(danger::delegate_to([MIDDLE]), PLAIN));
    assert!(!delegated(danger::delegate_to([""]), PLAIN));
    assert!(!delegated(DelegationPolicy::never(), FRONT));
}

/// Conformance row 94: `enforce_ok_as_delegate` in krb5.conf goes before any policy of a program.
#[test]
fn row_94_the_configuration_can_insist_on_ok_as_delegate() {
    let site = Site::with(
        |config| config.enforce_ok_as_delegate = true,
        PrincipalOptions::default(),
        |config| config.delegation = danger::delegate_to_any_service(),
    );
    let alice = site.alice();
    assert!(!site.delegate(alice, PLAIN).is_delegated());
    assert!(site.delegate(alice, FRONT).is_delegated());
}

#[test]
fn a_credential_may_have_a_policy_of_its_own() {
    let site = Site::new();
    let alice = |policy| {
        let password = KerberosCredential::from_password(principal(ALICE), PASSWORD.into());
        let credential = password.with_delegation(policy);
        site.clients.adopt(credential).unwrap()
    };
    let free = alice(danger::delegate_to_any_service());
    assert!(site.delegate(free, PLAIN).is_delegated());
    let never = alice(DelegationPolicy::never());
    assert!(!site.delegate(never, FRONT).is_delegated());
}

/// Conformance row 95: a forwarded ticket without addresses, under the session key; and another one for
/// each context, so that services do not share a key.
#[test]
fn row_95_what_is_sent_is_a_forwarded_ticket_for_this_context() {
    let site = Site::new();
    let alice = site.alice();
    let keys: Vec<Vec<u8>> = [FRONT, FRONT, MIDDLE]
        .iter()
        .map(|target| {
            let contexts = site.delegate(alice, target);
            let tickets = site.on_the_wire(&contexts).unwrap();
            let [ticket] = tickets.as_slice() else {
                panic!("{tickets:?}");
            };
            assert_eq!(ticket.client, principal(ALICE));
            assert_eq!(ticket.server, principal("krbtgt/EXAMPLE.TEST"));
            let flags = TicketFlags::FORWARDED | TicketFlags::FORWARDABLE;
            assert!(ticket.flags.contains(flags), "{:?}", ticket.flags);
            assert!(ticket.addresses.is_empty());
            ticket.session_key.expose().to_vec()
        })
        .collect();
    assert!(keys[0] != keys[1] && keys[1] != keys[2]);
}

/// DELEGATE costs one round trip a context; a password logs in for a forwardable ticket at once.
#[test]
fn a_delegation_asks_the_kdc_once_more() {
    let site = Site::new();
    let alice = site.alice();
    site.delegate(alice, FRONT);
    assert_eq!(site.round_trips(), 4);
    site.delegate(alice, FRONT);
    assert_eq!(site.round_trips(), 5);
    // A credential that has logged in without asking does it again, once.
    let quiet = site.alice();
    let asked = InitiatorRequirements::empty();
    site.connect_as(Of::Clients, quiet, FRONT, asked, None)
        .unwrap();
    let before = site.round_trips();
    assert!(site.delegate(quiet, FRONT).is_delegated());
    assert_eq!(site.round_trips(), before + 3);
    assert!(site.delegate(quiet, MIDDLE).is_delegated());
    assert_eq!(site.round_trips(), before + 5);
}

#[test]
fn without_a_forwardable_ticket_the_context_goes_without() {
    let site = Site::new();
    let stuck = site.alice_with_ticket(false);
    let contexts = site.delegate(stuck, FRONT);
    assert!(!contexts.is_delegated());
    assert!(site.on_the_wire(&contexts).is_none());
    let forwardable = site.alice_with_ticket(true);
    assert!(site.delegate(forwardable, FRONT).is_delegated());
    // A ticket for the service alone, and nothing to get another with.
    let store = Arc::new(MemoryStore::new());
    let alice = site.granting_ticket("alice", true);
    store.store(&alice).unwrap();
    let credential = KerberosCredential::from_store(principal(ALICE), store.clone());
    let handle = site.clients.adopt(credential).unwrap();
    assert!(site.delegate(handle, FRONT).is_delegated());
    store.remove(&alice.client, &alice.server).unwrap();
    assert!(!site.delegate(handle, FRONT).is_delegated());
}

/// An account whose tickets the KDC gives to be forwarded by nobody: one login finds out, and contexts
/// after it do not ask again.
#[test]
fn a_kdc_that_refuses_forwardable_tickets_is_asked_once() {
    let options = PrincipalOptions::default().not_forwardable();
    let site = Site::with(|_| {}, options, |_| {});
    let alice = site.alice();
    assert!(!site.delegate(alice, FRONT).is_delegated());
    let before = site.round_trips();
    assert!(!site.delegate(alice, FRONT).is_delegated());
    assert_eq!(site.round_trips(), before);
}

/// Whatever keeps the forwarded ticket away, the context comes about and says that nothing is delegated.
#[test]
fn a_failing_forward_leaves_the_context_without_delegate() {
    for fault in [
        Fault::Error {
            code: error_code::KDC_ERR_BADOPTION,
            text: "no".into(),
        },
        Fault::Nonce,
        Fault::Dead,
        Fault::ServerName("HTTP/evil.example.test".into()),
        Fault::ClientName("bob".into()),
        Fault::FlipEncryptedPart,
        Fault::FlipReply(0),
    ] {
        let site = Site::new();
        let alice = site.alice();
        site.delegate(alice, FRONT);
        site.realm
            .set_fault_for(RequestKind::Tgs, fault.clone(), Repeat::Always);
        let contexts = site.delegate(alice, FRONT);
        assert!(!contexts.is_delegated(), "{fault:?}");
        assert!(site.on_the_wire(&contexts).is_none());
        site.realm.clear_faults();
        assert!(site.delegate(alice, FRONT).is_delegated(), "{fault:?}");
    }
}

/// IDENTIFY lets the server know the client, and neither impersonate nor delegate.
#[test]
fn identify_excludes_delegation() {
    let site = Site::new();
    let asked = InitiatorRequirements::DELEGATE | InitiatorRequirements::IDENTIFY;
    let contexts = site
        .connect_as(Of::Clients, site.alice(), FRONT, asked, None)
        .unwrap();
    assert!(!contexts.is_delegated());
    assert!(site.on_the_wire(&contexts).is_none());
    let token = site.token_of(&contexts);
    assert_eq!(token.level, ImpersonationLevel::Identification);
}

/// Nothing but the KDC's reply goes on with a context that waits for one.
#[test]
fn a_context_that_waits_for_the_forwarded_ticket_takes_nothing_else() {
    let site = Site::new();
    let alice = site.alice();
    site.delegate(alice, FRONT);
    let table = site.table(Of::Clients);
    let request = InitializeRequest {
        target_name: Some(FRONT),
        requirements: InitiatorRequirements::DELEGATE,
        ..InitializeRequest::default()
    };
    let mut none = SecBufferDesc::new(&mut []);
    let outcome = table
        .initialize_security_context(Some(alice), None, request, &mut none)
        .unwrap();
    assert!(outcome.exchange().is_some());
    let context = Some(outcome.context);
    let error = table
        .initialize_security_context(Some(alice), context, request, &mut none)
        .unwrap_err();
    assert_eq!(
        *cause::<ContextError>(&error),
        ContextError::ExchangeUnderWay
    );
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
}

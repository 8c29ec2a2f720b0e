//! Delegation by clients and servers: a chain of services, each of which goes on as the first client.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use trihound::kerberos::danger;
use trihound::krb5::MemoryStore;
use trihound::ntlm::NtlmCredentialSource;
use trihound::sansio::SystemClock;
use trihound::sspi::{
    AcceptorRequirements, AccessToken, AcquireRequest, CredHandle, CredentialUse, Identity,
    ImpersonationLevel, InitiatorRequirements, RegisteredPackage, SecurityFunctionTable,
    SecurityStatus,
};
use trihound::{
    Acceptor, Client, DelegationPolicy, Error, Initiator, NegotiatePolicy, Ntlm, NtlmConfig,
    NtlmCredential, NtlmPolicy, NtlmRule, Package, Packages, SecureStream, Server,
};
use trihound_test_realm::{PrincipalOptions, TestRealm};

use crate::programs::config;
use crate::support::REALM;

/// Trusted to act for its clients.
const FRONT: &str = "HTTP/front.example.test";
/// Not so.
const PLAIN: &str = "HTTP/plain.example.test";

fn realm() -> Arc<TestRealm> {
    TestRealm::builder(REALM)
        .principal("alice", "password")
        .service_with(FRONT, PrincipalOptions::default().ok_as_delegate())
        .service(PLAIN)
        .build()
        .unwrap()
}

fn server(realm: &TestRealm, package: Package) -> Server {
    let keytab = Arc::new(realm.keytab(&[FRONT, PLAIN]).unwrap());
    Server::builder()
        .config(config())
        .keytab(keytab)
        .package(package)
        .build()
        .unwrap()
}

/// Alice by her password, or whoever the token is of.
fn client(
    realm: &Arc<TestRealm>,
    package: Package,
    token: Option<&Arc<AccessToken>>,
    to: Option<DelegationPolicy>,
) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .config(config())
        .transport(realm.transport())
        .package(package);
    builder = match token {
        Some(token) => builder.on_behalf_of(Arc::clone(token)),
        None => builder.password("alice", "password"),
    };
    match to {
        Some(policy) => builder.delegate(policy).build(),
        None => builder.build(),
    }
}

/// A connection, both ends of it.
fn connect(
    client: &Client,
    server: &Server,
    target: &str,
) -> (SecureStream<TcpStream>, SecureStream<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let accepted = scope.spawn(|| server.accept(listener.accept().unwrap().0).unwrap());
        let ours = client.connect(target, TcpStream::connect(address).unwrap());
        (ours.unwrap(), accepted.join().unwrap())
    })
}

/// Conformance row 94 as a program meets it: what it asks for, and whether it got it.
#[test]
fn row_94_a_client_delegates_where_the_realm_or_the_program_says_so() {
    let realm = realm();
    for package in [Package::Kerberos, Package::Negotiate] {
        let server = server(&realm, package);
        let any = danger::delegate_to_any_service;
        for (to, target, delegated) in [
            (None, FRONT, false),
            (Some(DelegationPolicy::default()), FRONT, true),
            (Some(DelegationPolicy::default()), PLAIN, false),
            (Some(DelegationPolicy::never()), FRONT, false),
            (Some(any()), PLAIN, true),
            (Some(danger::delegate_to([PLAIN])), PLAIN, true),
        ] {
            let client = client(&realm, package, None, to.clone()).unwrap();
            let (ours, theirs) = connect(&client, &server, target);
            let case = format!("{package:?} {to:?} {target}");
            assert_eq!(ours.context().is_delegated(), delegated, "{case}");
            assert_eq!(theirs.context().is_delegated(), delegated, "{case}");
            let token = theirs.context().access_token().unwrap();
            assert_eq!(token.delegated_credential.is_some(), delegated, "{case}");
            let level = if delegated {
                ImpersonationLevel::Delegation
            } else {
                ImpersonationLevel::Impersonation
            };
            assert_eq!(token.level, level, "{case}");
        }
    }
}

/// Five services, each of which knows the first client, and nobody's password but hers was ever used.
#[test]
fn a_chain_of_services_goes_on_as_the_first_client() {
    let realm = realm();
    for package in [Package::Kerberos, Package::Negotiate] {
        let server = server(&realm, package);
        let to = DelegationPolicy::default;
        let alice = client(&realm, package, None, Some(to())).unwrap();
        let (mut ours, mut theirs) = connect(&alice, &server, FRONT);
        for hop in 0..5 {
            ours.send(format!("{hop}").as_bytes()).unwrap();
            assert_eq!(
                theirs.receive().unwrap().unwrap(),
                format!("{hop}").as_bytes()
            );
            assert_eq!(theirs.peer(), "alice@EXAMPLE.TEST");
            let token = theirs.context().access_token().unwrap();
            let onward = client(&realm, package, Some(&token), Some(to())).unwrap();
            let last = if hop == 4 { PLAIN } else { FRONT };
            (ours, theirs) = connect(&onward, &server, last);
        }
        assert_eq!(theirs.peer(), "alice@EXAMPLE.TEST");
        assert!(!theirs.context().is_delegated());
        // Here the chain ends: nothing was delegated to the last one.
        let token = theirs.context().access_token().unwrap();
        let Error::Security(error) = client(&realm, package, Some(&token), None).unwrap_err()
        else {
            panic!("{package:?}");
        };
        assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    }
}

/// The account of the service itself, which must never stand in for a client.
struct OwnAccount;

impl NtlmCredentialSource for OwnAccount {
    fn default_credential(&self, _principal: Option<&str>) -> Option<NtlmCredential> {
        Some(NtlmCredential::from_password(
            "service",
            "",
            "secret".into(),
        ))
    }
}

/// The function table of a service with keys, no tickets, and an NTLM account of its own.
fn service_packages(realm: &TestRealm) -> Packages {
    let keytab = Arc::new(realm.keytab(&[FRONT, PLAIN]).unwrap());
    let kerberos = trihound::kerberos(
        Arc::new(config()),
        Arc::new(MemoryStore::with_keytab(keytab)),
        Arc::new(SystemClock),
        Arc::new(trihound::OsRandom),
    );
    let ntlm = NtlmConfig::default()
        .with_policy(NtlmPolicy::default().outgoing(NtlmRule::Allow))
        .with_credential_source(Arc::new(OwnAccount));
    let ntlm = RegisteredPackage::new(Ntlm::new(ntlm));
    Packages::new(&kerberos, &ntlm, NegotiatePolicy::default()).unwrap()
}

/// A handshake of two handles of one table; what the acceptor knows of the client.
fn handshake(
    table: &SecurityFunctionTable,
    realm: &Arc<TestRealm>,
    [client, service]: [CredHandle; 2],
    asked: InitiatorRequirements,
) -> Result<trihound::SecurityContext, trihound::sspi::Error> {
    let mut initiator = Initiator::new(table, client, FRONT, asked);
    let mut acceptor = Acceptor::new(table, service, AcceptorRequirements::empty());
    let mut kdc = realm.transport();
    let mut to_client: Option<Vec<u8>> = None;
    loop {
        let leg = initiator
            .step(to_client.as_deref(), &mut kdc)
            .map_err(|refused| refused.error)?;
        if let Some(token) = &leg.token {
            to_client = acceptor.step(token).map_err(|refused| refused.error)?.token;
        }
        if leg.complete {
            return acceptor.into_context();
        }
    }
}

/// SECPKG_CRED_BOTH: the handle that accepted goes on as the client while the thread impersonates it, for
/// each package, and never as the service by any of them.
#[test]
fn a_handle_for_both_directions_follows_the_thread() {
    let realm = realm();
    let packages = service_packages(&realm);
    let table = packages.table().unwrap();
    let acquire = |package, request| {
        table
            .acquire_credentials_handle(package, request)
            .map(|acquired| acquired.credential)
    };
    let identity = Identity::password("alice", Some(REALM), "password");
    let mut request = AcquireRequest::new(CredentialUse::OUTBOUND);
    request.identity = Some(&identity);
    let alice = acquire("Kerberos", request).unwrap();
    let delegates = InitiatorRequirements::DELEGATE | InitiatorRequirements::MUTUAL_AUTH;
    let plain = InitiatorRequirements::MUTUAL_AUTH;
    for package in ["Kerberos", "Negotiate"] {
        let both = acquire(package, AcquireRequest::new(CredentialUse::BOTH)).unwrap();
        let first = handshake(&table, &realm, [alice, both], delegates).unwrap();
        let impersonation = first.impersonate().unwrap();
        let second = handshake(&table, &realm, [both, both], delegates).unwrap();
        // And so with a handle that is acquired now.
        let own = acquire(package, AcquireRequest::new(CredentialUse::OUTBOUND)).unwrap();
        let third = handshake(&table, &realm, [own, both], plain).unwrap();
        drop(impersonation);
        for context in [&second, &third] {
            let token = context.access_token().unwrap();
            assert_eq!(token.client_name, "alice@EXAMPLE.TEST", "{package}");
            assert_eq!(token.package, "Kerberos");
        }
        assert!(second.is_delegated() && !third.is_delegated());
        // The third client delegated nothing: its thread has no credentials, though the service has some.
        let _impersonation = third.impersonate().unwrap();
        for package in ["Kerberos", "Negotiate", "NTLM"] {
            let error = acquire(package, AcquireRequest::new(CredentialUse::OUTBOUND)).unwrap_err();
            assert_eq!(
                error.status(),
                SecurityStatus::SEC_E_NO_CREDENTIALS,
                "{package}: {error}"
            );
        }
        let error = handshake(&table, &realm, [both, both], plain)
            .err()
            .unwrap();
        assert_eq!(
            error.status(),
            SecurityStatus::SEC_E_NO_CREDENTIALS,
            "{package}: {error}"
        );
    }
    // As itself the service has its account by NTLM; a handle for both directions is nobody's while the
    // thread impersonates, since NTLM delegates nothing.
    let ntlm = acquire("NTLM", AcquireRequest::new(CredentialUse::BOTH)).unwrap();
    let begin = || {
        let mut initiator = Initiator::new(&table, ntlm, FRONT, InitiatorRequirements::empty());
        let leg = initiator.step(None, &mut realm.transport());
        leg.map_err(|refused| refused.error.status())
    };
    assert!(begin().is_ok());
    let both = acquire("Kerberos", AcquireRequest::new(CredentialUse::BOTH)).unwrap();
    let context = handshake(&table, &realm, [alice, both], delegates).unwrap();
    let impersonation = context.impersonate().unwrap();
    assert_eq!(begin().err(), Some(SecurityStatus::SEC_E_NO_CREDENTIALS));
    drop(impersonation);
    assert!(begin().is_ok());
}

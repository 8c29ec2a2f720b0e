//! Clients and servers that speak Negotiate or NTLM.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;

use trihound::krb5::{MemoryStore, Principal};
use trihound::negotiate::Fallback;
use trihound::ntlm::{LocalVerifier, MemoryAccounts, NtlmObserver, NtlmOutcome, NtlmUse};
use trihound::sansio::SystemClock;
use trihound::secret::SecretString;
use trihound::sspi::{
    AcceptorRequirements, AcquireRequest, CredentialUse, Identity, InitiatorRequirements,
    RegisteredPackage, SecurityStatus,
};
use trihound::{
    Acceptor, Client, ClientBuilder, Error, Initiator, KerberosCredential, NegotiatePolicy, Ntlm,
    NtlmConfig, NtlmCredential, NtlmPolicy, NtlmRule, OsRandom, Package, Packages, Server,
    ServerBuilder,
};
use trihound_test_realm::TestRealm;

use crate::programs::{config, connection};
use crate::support::{Counted, REALM, SERVICE, alice, keytab, realm};

/// The service by its address, which no KDC knows.
const BY_ADDRESS: &str = "HTTP/127.0.0.1";

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// Each use of NTLM, as its owner is told.
#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<NtlmUse>>);

impl NtlmObserver for Log {
    fn used(&self, event: &NtlmUse) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Log {
    fn uses(&self) -> Vec<NtlmUse> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) fn audited() -> NtlmPolicy {
    NtlmPolicy::both(NtlmRule::Audit)
}

pub(crate) fn client(package: Package) -> ClientBuilder {
    Client::builder()
        .package(package)
        .config(config())
        .password("alice@EXAMPLE.TEST", "password")
}

/// A client that may fall back, with its way to the KDC.
pub(crate) fn falling_back(kdc: &Counted, log: &Arc<Log>) -> Client {
    client(Package::Negotiate)
        .ntlm_policy(audited())
        .ntlm_observer(Arc::clone(log) as _)
        .transport(kdc.clone())
        .build()
        .unwrap()
}

pub(crate) fn accounts() -> Arc<LocalVerifier<MemoryAccounts>> {
    let accounts = MemoryAccounts::new().with_password(REALM, "alice", secret("password"));
    Arc::new(LocalVerifier::new(accounts))
}

fn service(package: Package, realm: &TestRealm) -> ServerBuilder {
    Server::builder()
        .package(package)
        .config(config())
        .keytab(keytab(realm))
        .ntlm_policy(audited())
        .ntlm_verifier(accounts())
}

pub(crate) fn server(realm: &TestRealm) -> Server {
    service(Package::Negotiate, realm).build().unwrap()
}

/// What a connection came to: the mechanisms of both sides and the client's name, with a message each way.
fn talk(client: &Client, target: &str, server: &Server) -> Result<(String, String, String), Error> {
    let (near, far): (TcpStream, TcpStream) = connection();
    thread::scope(|scope| {
        let serving = scope.spawn(|| -> Result<_, Error> {
            let mut secure = server.accept(far)?;
            let message = secure.receive()?.unwrap_or_default();
            secure.send(&message)?;
            Ok((secure.context().mechanism()?, secure.peer().to_owned()))
        });
        let connected = client.connect(target, near).and_then(|mut secure| {
            secure.send(b"both ways")?;
            assert_eq!(secure.receive()?.as_deref(), Some(b"both ways".as_slice()));
            Ok(secure.context().mechanism()?)
        });
        let served = serving.join().unwrap();
        let mechanism = connected?;
        let (theirs, name) = served?;
        Ok((mechanism, theirs, name))
    })
}

fn status(error: &Error) -> SecurityStatus {
    match error {
        Error::Security(error) => error.status(),
        other => panic!("{other}"),
    }
}

/// A user with a password: Kerberos is chosen, and any number of connections at once ask for each ticket
/// once.
#[test]
fn negotiate_prefers_kerberos_and_asks_once() {
    let realm = realm();
    let (kdc, log) = (Counted::new(&realm).slow(), Arc::default());
    let client = falling_back(&kdc, &log);
    let server = server(&realm);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let (ours, theirs, name) = talk(&client, SERVICE, &server).unwrap();
                assert_eq!((ours.as_str(), theirs.as_str()), ("Kerberos", "Kerberos"));
                assert_eq!(name, "alice@EXAMPLE.TEST");
            });
        }
    });
    let (logins, tickets, failed) = kdc.asked.counts();
    assert!(logins <= 2, "{logins} with what pre-authentication takes");
    assert_eq!((tickets, failed), (1, 0));
    assert_eq!(log.uses(), []);
}

/// One Kerberos: a ticket that was got directly serves Negotiate.
#[test]
fn a_ticket_got_by_kerberos_directly_serves_negotiate() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    let store = Arc::new(MemoryStore::new());
    let package = trihound::kerberos(
        Arc::new(config()),
        Arc::clone(&store) as _,
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let credential = KerberosCredential::from_password(alice(), secret("password"));
    let with = |choice| {
        Client::builder()
            .package(choice)
            .kerberos(&package)
            .credential(credential.clone())
            .ntlm_policy(NtlmPolicy::default())
            .transport(kdc.clone())
            .build()
            .unwrap()
    };
    with(Package::Kerberos).get_ticket(SERVICE).unwrap();
    let before = kdc.asked.counts();
    let (ours, ..) = talk(&with(Package::Negotiate), SERVICE, &server(&realm)).unwrap();
    assert_eq!(ours, "Kerberos");
    assert_eq!(kdc.asked.counts(), before);
}

/// The owner is told why.
#[test]
fn a_dead_kdc_leads_to_ntlm_after_it_was_asked_once() {
    let realm = realm();
    let (kdc, log) = (Counted::new(&realm), Arc::default());
    kdc.asked.cut(true);
    let client = falling_back(&kdc, &log);
    let server = server(&realm);
    let (ours, theirs, name) = talk(&client, SERVICE, &server).unwrap();
    assert_eq!((ours.as_str(), theirs.as_str()), ("NTLM", "NTLM"));
    assert!(name.ends_with("\\alice"), "{name}");
    let failed = kdc.asked.counts().2;
    // Within the rest after a failure nobody is asked again.
    talk(&client, SERVICE, &server).unwrap();
    assert_eq!(kdc.asked.counts().2, failed);
    let uses = log.uses();
    assert_eq!(uses.len(), 2);
    assert_eq!(uses[0].outcome, NtlmOutcome::Audited);
    assert_eq!(uses[0].target.as_deref(), Some(SERVICE));
    let reason = uses[0].kerberos_error.as_deref().unwrap();
    assert!(reason.contains("plug the cable in"), "{reason}");
}

#[test]
fn an_unknown_service_and_an_address_lead_to_ntlm() {
    let realm = realm();
    let (kdc, log) = (Counted::new(&realm), Arc::default());
    let client = falling_back(&kdc, &log);
    let server = server(&realm);
    let (ours, ..) = talk(&client, BY_ADDRESS, &server).unwrap();
    assert_eq!(ours, "NTLM");
    assert_eq!(
        kdc.asked.counts(),
        (0, 0, 0),
        "nobody is asked for an address"
    );
    let (ours, ..) = talk(&client, "HTTP/absent.example.test", &server).unwrap();
    assert_eq!(ours, "NTLM");
    let uses = log.uses();
    let reason = uses[1].kerberos_error.as_deref().unwrap();
    assert!(reason.contains("HTTP/absent.example.test"), "{reason}");
    // Kerberos serves as before.
    assert_eq!(talk(&client, SERVICE, &server).unwrap().0, "Kerberos");
}

/// What a KDC refused is not tried with NTLM, and not sent again.
#[test]
fn a_wrong_password_does_not_lead_to_ntlm() {
    let realm = realm();
    let (kdc, log) = (Counted::new(&realm), Arc::<Log>::default());
    let client = client(Package::Negotiate)
        .password("alice@EXAMPLE.TEST", "a guess")
        .ntlm_policy(audited())
        .ntlm_observer(Arc::clone(&log) as _)
        .transport(kdc.clone())
        .build()
        .unwrap();
    let server = server(&realm);
    for _ in 0..2 {
        let error = talk(&client, SERVICE, &server).unwrap_err();
        assert_eq!(status(&error), SecurityStatus::SEC_E_LOGON_DENIED);
    }
    assert!(kdc.asked.counts().0 <= 2);
    assert_eq!(log.uses(), []);
}

#[test]
fn without_a_policy_that_allows_it_ntlm_is_never_used() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    kdc.asked.cut(true);
    let negotiating = client(Package::Negotiate)
        .ntlm_policy(NtlmPolicy::default())
        .transport(kdc)
        .build()
        .unwrap();
    let error = talk(&negotiating, SERVICE, &server(&realm)).unwrap_err();
    assert_eq!(
        status(&error),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    assert!(error.to_string().contains("TRIHOUND_NTLM"), "{error}");
    let alone = client(Package::Ntlm).ntlm_policy(NtlmPolicy::default());
    let error = alone.build().unwrap_err();
    assert_eq!(status(&error), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    let accepting = service(Package::Ntlm, &realm).ntlm_policy(NtlmPolicy::default());
    let error = accepting.build().unwrap_err();
    assert_eq!(status(&error), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
}

/// A typed credential does not go past the policy.
#[test]
fn a_server_that_may_not_use_ntlm_refuses_clients_that_do() {
    let realm = realm();
    let strict = service(Package::Negotiate, &realm)
        .ntlm_policy(NtlmPolicy::default())
        .ntlm_credential(NtlmCredential::acceptor(accounts()))
        .build()
        .unwrap();
    let (kdc, log) = (Counted::new(&realm), Arc::default());
    let client = falling_back(&kdc, &log);
    assert_eq!(talk(&client, SERVICE, &strict).unwrap().0, "Kerberos");
    let (near, far) = connection();
    let refused = thread::scope(|scope| {
        scope.spawn(|| drop(client.connect(BY_ADDRESS, near)));
        strict.accept(far).map(drop)
    });
    let Err(Error::Security(error)) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.to_string().contains("NTLM"), "{error}");
}

#[test]
fn a_package_list_leaves_out_what_it_does_not_name() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    let listed = |list: &str| {
        client(Package::Negotiate)
            .ntlm_policy(audited())
            .package_list(list)
            .transport(kdc.clone())
            .build()
    };
    let server = server(&realm);
    let ntlm = listed("NTLM").unwrap();
    assert_eq!(talk(&ntlm, SERVICE, &server).unwrap().0, "NTLM");
    // What is left out is nothing to fall back from.
    let strict = client(Package::Negotiate)
        .ntlm_policy(audited())
        .negotiate_policy(NegotiatePolicy::default().with_fallback(Fallback::Never))
        .package_list("!Kerberos")
        .build()
        .unwrap();
    assert_eq!(talk(&strict, SERVICE, &server).unwrap().0, "NTLM");
    let kerberos = listed("Kerberos,!NTLM").unwrap();
    assert_eq!(talk(&kerberos, SERVICE, &server).unwrap().0, "Kerberos");
    let error = talk(&kerberos, BY_ADDRESS, &server).unwrap_err();
    assert_eq!(status(&error), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    let error = listed("Digest").unwrap_err().to_string();
    assert!(error.contains("package_list()"), "{error}");
    let error = listed("Kerberos,!").unwrap_err();
    assert_eq!(status(&error), SecurityStatus::SEC_E_INVALID_PARAMETER);
    // A slip of the pen does not leave NTLM in.
    for list in ["!NTML", "Kerberos,Digest"] {
        let built = client(Package::Negotiate).package_list(list).build();
        let error = built.unwrap_err().to_string();
        assert!(error.contains("what Negotiate can choose"), "{error}");
    }
}

#[test]
fn a_policy_without_fallback_keeps_to_kerberos() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    kdc.asked.cut(true);
    let client = client(Package::Negotiate)
        .ntlm_policy(audited())
        .negotiate_policy(NegotiatePolicy::default().with_fallback(Fallback::Never))
        .transport(kdc)
        .build()
        .unwrap();
    let server = server(&realm);
    for (target, wanted) in [
        (SERVICE, SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY),
        (BY_ADDRESS, SecurityStatus::SEC_E_TARGET_UNKNOWN),
    ] {
        let error = talk(&client, target, &server).unwrap_err();
        assert_eq!(status(&error), wanted, "{error}");
    }
}

/// NTLM without Negotiate, on both sides.
#[test]
fn ntlm_alone_needs_no_kerberos() {
    let server = Server::builder()
        .package(Package::Ntlm)
        .ntlm_policy(audited())
        .ntlm_verifier(accounts())
        .build()
        .unwrap();
    let with = |password: &str| {
        Client::builder()
            .package(Package::Ntlm)
            .password("EXAMPLE.TEST\\alice", password)
            .ntlm_policy(audited())
            .build()
            .unwrap()
    };
    let client = with("password");
    assert_eq!(client.principal().map(Principal::to_string), None);
    client.log_in().unwrap();
    let (ours, theirs, name) = talk(&client, SERVICE, &server).unwrap();
    assert_eq!((ours.as_str(), theirs.as_str()), ("NTLM", "NTLM"));
    assert_eq!(name, "EXAMPLE.TEST\\alice");
    let (near, far) = connection();
    let refused = thread::scope(|scope| {
        scope.spawn(|| drop(with("a guess").connect(SERVICE, near)));
        server.accept(far).map(drop)
    });
    assert_eq!(
        status(&refused.unwrap_err()),
        SecurityStatus::SEC_E_LOGON_DENIED
    );
}

/// NTLM cannot prove the server: who insists on that is not connected.
#[test]
fn mutual_authentication_that_was_asked_for_outright_is_missed() {
    let realm = realm();
    let (kdc, log) = (Counted::new(&realm), Arc::default());
    let client = falling_back(&kdc, &log);
    let server = server(&realm);
    let (near, far) = connection();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| drop(server.accept(far)));
        let asked = InitiatorRequirements::MUTUAL_AUTH
            | InitiatorRequirements::CONFIDENTIALITY
            | InitiatorRequirements::INTEGRITY
            | InitiatorRequirements::REPLAY_DETECT
            | InitiatorRequirements::SEQUENCE_DETECT;
        let connector = client.connector(BY_ADDRESS).requirements(asked);
        connector.connect(near).map(drop)
    });
    let Err(Error::AttributesMissing { missing }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(missing, "MUTUAL_AUTH");
}

/// Clients without SPNEGO, and services without a keytab.
#[test]
fn a_negotiating_server_takes_either_mechanism_as_it_is() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    let server = server(&realm);
    let kerberos = client(Package::Kerberos).transport(kdc.clone());
    let kerberos = kerberos.build().unwrap();
    assert_eq!(talk(&kerberos, SERVICE, &server).unwrap().1, "Kerberos");
    let ntlm = client(Package::Ntlm).ntlm_policy(audited());
    let ntlm = ntlm.build().unwrap();
    assert_eq!(talk(&ntlm, SERVICE, &server).unwrap().1, "NTLM");

    let without_keys = Server::builder()
        .package(Package::Negotiate)
        .config(config())
        .store(Arc::new(MemoryStore::new()))
        .ntlm_policy(audited())
        .ntlm_verifier(accounts())
        .build()
        .unwrap();
    let negotiating = falling_back(&kdc, &Arc::default());
    let listed = client(Package::Negotiate)
        .ntlm_policy(audited())
        .package_list("NTLM")
        .build()
        .unwrap();
    assert_eq!(talk(&listed, SERVICE, &without_keys).unwrap().1, "NTLM");
    // Kerberos was offered first, and the service chose again: that counts with a verified MIC.
    let chosen = talk(&negotiating, SERVICE, &without_keys).unwrap();
    assert_eq!(chosen.0, "NTLM");
}

pub(crate) fn both(realm: &TestRealm) -> Packages {
    let store = MemoryStore::with_keytab(keytab(realm));
    let kerberos = trihound::kerberos(
        Arc::new(config()),
        Arc::new(store),
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let ntlm = NtlmConfig::default()
        .with_policy(audited())
        .with_verifier(accounts());
    let ntlm = RegisteredPackage::new(Ntlm::new(ntlm));
    Packages::new(&kerberos, &ntlm, NegotiatePolicy::default()).unwrap()
}

/// Where confidentiality was not asked for, messages are signed and readable.
#[test]
fn integrity_alone_is_enough_for_either_mechanism() {
    use trihound::sspi::AcceptorAttributes;

    let realm = realm();
    let server = service(Package::Negotiate, &realm)
        .require(AcceptorAttributes::INTEGRITY)
        .build()
        .unwrap();
    let client = client(Package::Negotiate)
        .ntlm_policy(audited())
        .requirements(InitiatorRequirements::INTEGRITY)
        .transport(Counted::new(&realm))
        .build()
        .unwrap();
    for (target, mechanism) in [(SERVICE, "Kerberos"), (BY_ADDRESS, "NTLM")] {
        let (ours, theirs, _) = talk(&client, target, &server).unwrap();
        assert_eq!((ours.as_str(), theirs.as_str()), (mechanism, mechanism));
    }
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use tokio::io::duplex;

    use super::*;

    async fn mechanism(client: &trihound::tokio::Client, target: &str, server: &Server) -> String {
        let (near, far) = duplex(1000);
        let server = trihound::tokio::Server::from(server.clone());
        let serving = tokio::spawn(async move {
            let mut secure = server.accept(far).await.unwrap();
            let message = secure.receive().await.unwrap().unwrap();
            secure.send(&message).await.unwrap();
        });
        let mut secure = client.connect(target, near).await.unwrap();
        secure.send(b"both ways").await.unwrap();
        assert_eq!(secure.receive().await.unwrap().unwrap(), b"both ways");
        serving.await.unwrap();
        secure.context().mechanism().unwrap()
    }

    #[tokio::test]
    async fn tasks_negotiate_like_threads() {
        let realm = realm();
        let (kdc, log) = (Counted::new(&realm), Arc::default());
        let client = falling_back(&kdc, &log);
        let client = trihound::tokio::Client::from(client).with_transport(kdc.clone());
        let server = server(&realm);
        assert_eq!(mechanism(&client, SERVICE, &server).await, "Kerberos");
        assert_eq!(mechanism(&client, BY_ADDRESS, &server).await, "NTLM");
        let absent = "HTTP/absent.example.test";
        assert_eq!(mechanism(&client, absent, &server).await, "NTLM");
        assert!(log.uses()[1].kerberos_error.is_some());
    }

    #[tokio::test]
    async fn a_task_speaks_ntlm_alone() {
        let client = client(Package::Ntlm).ntlm_policy(audited()).build();
        let client = trihound::tokio::Client::from(client.unwrap());
        let server = server(&realm());
        assert_eq!(mechanism(&client, SERVICE, &server).await, "NTLM");
        // There is nothing to keep fresh.
        drop(client.keep_fresh());
        client.log_in().await.unwrap();
    }
}

/// Conformance row 39: nobody's context is NTLM's, since Kerberos would show who the client is.
#[test]
fn who_asks_for_no_credentials_is_never_shown_by_kerberos() {
    let realm = realm();
    let table = both(&realm).table().unwrap();
    let acquire = |package, credential_use| {
        let identity = Identity::password("alice", Some(REALM), "password");
        let request = AcquireRequest {
            identity: Some(&identity),
            ..AcquireRequest::new(credential_use)
        };
        let acquired = table.acquire_credentials_handle(package, request);
        acquired.unwrap().credential
    };
    let nobody = InitiatorRequirements::NULL_SESSION | InitiatorRequirements::CONNECTION;
    let begin = |package| {
        let credential = acquire(package, CredentialUse::OUTBOUND);
        Initiator::new(&table, credential, SERVICE, nobody)
    };
    let refused = begin("Kerberos").step(None, &mut realm.transport());
    let status = SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION;
    assert_eq!(refused.unwrap_err().error.status(), status);

    let inbound =
        table.acquire_credentials_handle("NTLM", AcquireRequest::new(CredentialUse::INBOUND));
    let allowed = AcceptorRequirements::ALLOW_NULL_SESSION | AcceptorRequirements::CONNECTION;
    let mut acceptor = Acceptor::new(&table, inbound.unwrap().credential, allowed);
    let mut initiator = begin("NTLM");
    let mut answer = None;
    for _ in 0..2 {
        let leg = initiator
            .step(answer.as_deref(), &mut realm.transport())
            .unwrap();
        answer = acceptor.step(&leg.token.unwrap()).unwrap().token;
    }
    let first = begin("Negotiate")
        .step(None, &mut realm.transport())
        .unwrap();
    let token = first.token.unwrap();
    // No name of the user, and no ticket.
    assert!(token.len() < 120, "{}", token.len());
}

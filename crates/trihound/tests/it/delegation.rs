//! Delegation by clients and servers: a chain of services, each of which goes on as the first client.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use trihound::kerberos::danger;
use trihound::sspi::{AccessToken, ImpersonationLevel, SecurityStatus};
use trihound::{Client, DelegationPolicy, Error, Package, SecureStream, Server};
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

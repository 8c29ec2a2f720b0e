//! A chain of services whose tasks change threads: each goes on as the first client by its token.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use tokio::net::{TcpListener, TcpStream};
use trihound::krb5::MemoryStore;
use trihound::sansio::SystemClock;
use trihound::sspi::{
    AcceptorRequirements, AccessToken, AcquireRequest, CredentialUse, InitiatorRequirements,
    SecurityStatus, thread_token,
};
use trihound::tokio::{Client, Server};
use trihound::{Acceptor, DelegationPolicy, Error, Initiator, OsRandom};
use trihound_test_realm::{PrincipalOptions, TestRealm};

use crate::programs::config;
use crate::support::REALM;

/// The services in their order; the last one is not trusted by the realm.
const SERVICES: [&str; 4] = ["HTTP/one", "HTTP/two", "HTTP/three", "HTTP/four"];

fn realm() -> Arc<TestRealm> {
    let mut builder = TestRealm::builder(REALM)
        .principal("alice", "password")
        .principal("bob", "password")
        .service(SERVICES[3]);
    for name in &SERVICES[..3] {
        builder = builder.service_with(name, PrincipalOptions::default().ok_as_delegate());
    }
    builder.build().unwrap()
}

/// One service of the chain.
struct Service {
    realm: Arc<TestRealm>,
    at: usize,
    server: Server,
    listener: TcpListener,
    /// Where the others are.
    addresses: [std::net::SocketAddr; 4],
    threads: Arc<Mutex<HashSet<ThreadId>>>,
}

/// A client by a token, or alice by her password.
fn client(realm: &Arc<TestRealm>, token: Option<&Arc<AccessToken>>) -> Result<Client, Error> {
    let builder = trihound::Client::builder()
        .config(config())
        .store(Arc::new(MemoryStore::new()))
        .delegate(DelegationPolicy::default())
        .transport(realm.transport());
    let builder = match token {
        Some(token) => builder.on_behalf_of(Arc::clone(token)),
        None => builder.password("alice", "password"),
    };
    Ok(Client::from(builder.build()?))
}

async fn ask(client: &Client, target: &str, address: std::net::SocketAddr) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut secure = client.connect(target, stream).await.unwrap();
    secure.send(b"who am I?").await.unwrap();
    let answer = secure.receive().await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

impl Service {
    /// Whoever else runs on this thread, nobody impersonates on it.
    async fn elsewhere(&self) {
        for _ in 0..3 {
            assert!(thread_token().is_none());
            self.threads
                .lock()
                .unwrap()
                .insert(std::thread::current().id());
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    async fn serve_one(&self, stream: TcpStream) {
        let mut secure = self.server.accept(stream).await.unwrap();
        let token = secure.context().access_token().unwrap();
        let question = secure.receive().await.unwrap().unwrap();
        assert_eq!(question, b"who am I?");
        self.elsewhere().await;
        let next = self.at + 1;
        let answer = match SERVICES.get(next) {
            Some(target) => {
                let client = client(&self.realm, Some(&token)).unwrap();
                ask(&client, target, self.addresses[next]).await
            }
            None => {
                let Err(Error::Security(error)) = client(&self.realm, Some(&token)) else {
                    panic!("nothing was delegated to {}", SERVICES[self.at]);
                };
                assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
                token.client_name.clone()
            }
        };
        self.elsewhere().await;
        // On a thread for work that blocks, the token is impersonated without a context.
        let table = self.server.table().clone();
        let acting = tokio::task::spawn_blocking(move || {
            let acting = table.impersonate_token(&token).unwrap();
            assert_eq!(
                thread_token().unwrap().client_name,
                acting.token().client_name
            );
        });
        acting.await.unwrap();
        let answer = format!("{} < {answer}", SERVICES[self.at]);
        secure.send(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_change_threads_go_on_as_the_first_client() {
    let realm = realm();
    let keytab = Arc::new(realm.keytab(&SERVICES).unwrap());
    let mut listeners = Vec::new();
    for _ in SERVICES {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses: Vec<_> = listeners
        .iter()
        .map(|one| one.local_addr().unwrap())
        .collect();
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let addresses: [std::net::SocketAddr; 4] = addresses.try_into().unwrap();
    for (at, listener) in listeners.into_iter().enumerate() {
        let server = trihound::Server::builder()
            .config(config())
            .keytab(Arc::clone(&keytab))
            .principal(SERVICES[at])
            .build()
            .unwrap();
        let service = Arc::new(Service {
            realm: Arc::clone(&realm),
            at,
            server: Server::from(server),
            listener,
            addresses,
            threads: Arc::clone(&threads),
        });
        tokio::spawn(async move {
            loop {
                let (stream, _) = service.listener.accept().await.unwrap();
                let service = Arc::clone(&service);
                tokio::spawn(async move { service.serve_one(stream).await });
            }
        });
    }
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let alice = client(&realm, None).unwrap();
        callers.spawn(async move { ask(&alice, SERVICES[0], addresses[0]).await });
    }
    let way = SERVICES.join(" < ");
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap(), format!("{way} < alice@{REALM}"));
    }
    assert!(
        threads.lock().unwrap().len() > 1,
        "the tasks did change threads"
    );
}

/// SECPKG_CRED_BOTH: the handle that accepted goes on for the client whose token the handshake is given.
#[test]
fn a_handshake_may_be_told_for_whom_it_is() {
    let realm = realm();
    let keytab = Arc::new(realm.keytab(&SERVICES).unwrap());
    let package = trihound::kerberos(
        Arc::new(config()),
        Arc::new(MemoryStore::with_keytab(keytab)),
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let table = trihound::security_function_table(&package).unwrap();
    let both = AcquireRequest::new(CredentialUse::BOTH);
    let both = table.acquire_credentials_handle("Kerberos", both).unwrap();
    let alice = trihound::Client::builder()
        .config(config())
        .password("alice", "password")
        .delegate(DelegationPolicy::default())
        .transport(realm.transport())
        .build()
        .unwrap();
    let mut initiator = alice.connector(SERVICES[0]).handshake();
    let mut acceptor = Acceptor::new(&table, both.credential, AcceptorRequirements::empty());
    let first = initiator.step(None).unwrap().token.unwrap();
    assert!(acceptor.step(&first).unwrap().complete);
    let token = acceptor.into_context().unwrap().access_token().unwrap();

    let onward = || {
        let asked = InitiatorRequirements::MUTUAL_AUTH;
        Initiator::new(&table, both.credential, SERVICES[1], asked)
    };
    let mut kdc = realm.transport();
    let refused = onward().step(None, &mut kdc).unwrap_err();
    let none = SecurityStatus::SEC_E_NO_CREDENTIALS;
    assert_eq!(refused.error.status(), none);
    let mut initiator = onward().on_behalf_of(token);
    let first = initiator.step(None, &mut kdc).unwrap().token.unwrap();
    let mut acceptor = Acceptor::new(&table, both.credential, AcceptorRequirements::empty());
    assert!(acceptor.step(&first).unwrap().complete);
    let last = acceptor.into_context().unwrap().access_token().unwrap();
    assert_eq!(last.client_name, format!("alice@{REALM}"));
}

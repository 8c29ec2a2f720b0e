//! A chain of four services, each impersonating the first client towards the next, against MIT's KDC and the
//! embedded one.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use trihound::environment::{CacheName, UserStore, load_config_from};
use trihound::krb5::{Config, CredentialStore};
use trihound::sspi::{ImpersonationLevel, SecurityStatus, thread_token};
use trihound::{Client, DelegationPolicy, Error, Package, SecureStream, Server};
use trihound_interop::{Background, Peers, Realm, Scratch};

use crate::world::{finished, peers, succeeded};

/// The services in their order, and whether their realm trusts them to act for their clients. The last one is not,
/// so that nothing is delegated to it.
const SERVICES: [(&str, bool); 4] = [
    ("HTTP/one.localhost", true),
    ("HTTP/two.localhost", true),
    ("HTTP/three.localhost", true),
    ("HTTP/four.localhost", false),
];

/// One realm with the services, whoever its KDC is.
struct Kdc {
    config: Arc<Config>,
    conf: PathBuf,
    keytab: PathBuf,
    scratch: Scratch,
    /// Ends the KDC.
    _served: Box<dyn std::any::Any>,
}

fn mit(peers: &'static Peers) -> Kdc {
    let realm = Realm::start(peers).unwrap();
    let scratch = Scratch::new().unwrap();
    let keytab = scratch.join("chain.keytab");
    for (name, is_trusted) in SERVICES {
        let sign = if is_trusted { '+' } else { '-' };
        for query in [
            format!("add_principal -randkey {sign}ok_as_delegate {name}"),
            format!("ktadd -norandkey -k {} {name}", keytab.display()),
        ] {
            let mut command = realm.command("kadmin.local", &scratch.cache("admin"));
            command.args(["-r", realm.variable("KDC_REALM"), "-q", &query]);
            succeeded(&finished(command, ""));
        }
    }
    let conf = PathBuf::from(realm.variable("KRB5_CONFIG"));
    Kdc::of(conf, keytab, scratch, Box::new(realm))
}

fn embedded(peers: &'static Peers) -> Kdc {
    let scratch = Scratch::new().unwrap();
    let mut settings = "realm = \"EMBEDDED.TEST\"\n".to_owned();
    for (name, password) in [("alice", "Wonder-Land-7"), ("bob", "Builder-Can-8")] {
        settings += &format!("[[principal]]\nname = \"{name}\"\npassword = \"{password}\"\n");
    }
    for (name, is_trusted) in SERVICES {
        settings += &format!("[[principal]]\nname = \"{name}\"\nok_as_delegate = {is_trusted}\n");
    }
    fs::write(scratch.join("realm.toml"), settings).unwrap();
    let (conf, keytab) = (scratch.join("krb5.conf"), scratch.join("chain.keytab"));
    let mut kdc = Command::new(&peers.program);
    kdc.arg("kdc").arg(scratch.join("realm.toml"));
    kdc.arg("--krb5-conf")
        .arg(&conf)
        .arg("--keytab")
        .arg(&keytab);
    let mut kdc = Background::start(kdc).unwrap();
    kdc.wait_for_line("listening ").unwrap();
    Kdc::of(conf, keytab, scratch, Box::new(kdc))
}

impl Kdc {
    fn of(
        conf: PathBuf,
        keytab: PathBuf,
        scratch: Scratch,
        served: Box<dyn std::any::Any>,
    ) -> Self {
        Self {
            config: Arc::new(load_config_from(&conf).unwrap()),
            conf,
            keytab,
            scratch,
            _served: served,
        }
    }

    /// Tickets of the services' own: each could go on as bob.
    fn own_store(&self, peers: &Peers) -> Arc<dyn CredentialStore> {
        let cache = self.scratch.cache("own");
        let mut kinit = Command::new(&peers.program);
        kinit
            .args(["kinit", "bob"])
            .env("KRB5_CONFIG", &self.conf)
            .env("KRB5CCNAME", &cache);
        succeeded(&finished(kinit, "Builder-Can-8\n"));
        let nowhere = Path::new("/nonexistent/keytab").to_owned();
        let name = CacheName::parse(&cache).unwrap();
        Arc::new(UserStore::new(name, nowhere.clone(), nowhere))
    }
}

/// One service of the chain, with tickets of its own.
struct Service {
    name: &'static str,
    package: Package,
    config: Arc<Config>,
    own: Arc<dyn CredentialStore>,
    server: Server,
    listener: TcpListener,
    next: Option<(&'static str, SocketAddr)>,
}

impl Service {
    /// As whoever the thread acts for.
    fn client(&self) -> Result<Client, Error> {
        Client::builder()
            .config(Arc::clone(&self.config))
            .store(Arc::clone(&self.own))
            .package(self.package)
            .delegate(DelegationPolicy::default())
            .build()
    }

    /// Serves one client: asks the next service in its name, and hands back what that said.
    fn serve(&self) {
        let (stream, _) = self.listener.accept().unwrap();
        let mut secure = self.server.accept(stream).unwrap();
        assert_eq!(secure.receive().unwrap().unwrap(), b"who am I?");
        assert!(
            self.principal_of_client().starts_with("bob@"),
            "{}",
            self.name
        );
        let acting = secure.context().impersonate().unwrap();
        let answer = match self.next {
            Some((target, address)) => {
                assert_eq!(acting.token().level, ImpersonationLevel::Delegation);
                assert_eq!(self.principal_of_client(), acting.token().client_name);
                let client = self.client().unwrap();
                ask(&client, target, address)
            }
            None => self.end_of_chain(&secure),
        };
        drop(acting);
        assert!(
            self.principal_of_client().starts_with("bob@"),
            "{}",
            self.name
        );
        secure
            .send(format!("{} < {answer}", self.name).as_bytes())
            .unwrap();
    }

    fn principal_of_client(&self) -> String {
        self.client().unwrap().principal().unwrap().to_string()
    }

    /// The last service knows the first client, and may not go on: not as it, and least of all as itself.
    fn end_of_chain(&self, secure: &SecureStream<TcpStream>) -> String {
        let token = thread_token().unwrap();
        assert_eq!(token.level, ImpersonationLevel::Impersonation);
        assert!(token.delegated_credential.is_none());
        let Err(Error::Security(error)) = self.client() else {
            panic!("the service went on by itself");
        };
        assert_eq!(
            error.status(),
            SecurityStatus::SEC_E_NO_CREDENTIALS,
            "{error}"
        );
        assert_eq!(secure.peer(), token.client_name);
        token.client_name.clone()
    }
}

fn ask(client: &Client, target: &str, address: SocketAddr) -> String {
    let mut secure = client
        .connect(target, TcpStream::connect(address).unwrap())
        .unwrap();
    secure.send(b"who am I?").unwrap();
    let answer = secure.receive().unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

fn chain(kdc: &Kdc, own: &Arc<dyn CredentialStore>, package: Package) {
    let listeners = SERVICES.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners
        .each_ref()
        .map(|listener| listener.local_addr().unwrap());
    let services: Vec<Service> = listeners
        .into_iter()
        .enumerate()
        .map(|(at, listener)| Service {
            name: SERVICES[at].0,
            package,
            config: Arc::clone(&kdc.config),
            own: Arc::clone(own),
            server: Server::builder()
                .config(Arc::clone(&kdc.config))
                .keytab(kdc.keytab.as_path())
                .principal(SERVICES[at].0)
                .package(package)
                .build()
                .unwrap(),
            listener,
            next: addresses
                .get(at + 1)
                .map(|&next| (SERVICES[at + 1].0, next)),
        })
        .collect();
    let alice = Client::builder()
        .config(Arc::clone(&kdc.config))
        .password("alice", "Wonder-Land-7")
        .package(package)
        .delegate(DelegationPolicy::default())
        .build()
        .unwrap();
    thread::scope(|scope| {
        for service in &services {
            scope.spawn(|| service.serve());
        }
        let answer = ask(&alice, SERVICES[0].0, addresses[0]);
        let realm = kdc.config.default_realm.as_deref().unwrap();
        let way: Vec<_> = SERVICES.iter().map(|(name, _)| *name).collect();
        assert_eq!(answer, format!("{} < alice@{realm}", way.join(" < ")));
    });
}

#[test]
fn the_last_of_four_services_sees_the_first_client() {
    let Some(peers) = peers() else { return };
    for start in [mit, embedded] {
        let kdc = start(peers);
        let own = kdc.own_store(peers);
        for package in [Package::Kerberos, Package::Negotiate] {
            chain(&kdc, &own, package);
        }
    }
}

//! A pure-Rust security provider in the shape of Windows SSPI.
//!
//! Trihound is to any program what `secur32` is to a Windows program: a table of security functions over
//! packages that authenticate two peers to each other and protect their messages: Kerberos, NTLM, and
//! Negotiate, which chooses between the two. They speak with the stacks of others and need neither Windows
//! nor a C library.
//!
//! Most programs need two types: a [`Client`] connects to a service, a [`Server`] accepts clients, and each
//! makes a [`SecureStream`] of a connection. They are ten lines each; with the feature `tokio` the module
//! `tokio` has the same with `.await`:
//!
//! ```no_run
//! use std::net::{TcpListener, TcpStream};
//! use std::time::Duration;
//! use trihound::{Client, Error, Server};
//!
//! # fn main() -> Result<(), Error> {
//! let client = Client::from_environment()?; // krb5.conf, tickets and keys of this machine
//! let mut secure = client.connect("host/web.example.com", TcpStream::connect("web.example.com:4444")?)?;
//! secure.send(b"hello")?;
//! let answer = secure.receive()?;
//!
//! let server = Server::from_environment()?; // the keytab of this machine
//! for stream in TcpListener::bind("0.0.0.0:4444")?.incoming() {
//!     let (server, stream) = (server.clone(), stream?);
//!     std::thread::spawn(move || serve(&server, stream).unwrap_or_else(|error| eprintln!("{error}")));
//! }
//!
//! fn serve(server: &Server, stream: TcpStream) -> Result<(), Error> {
//!     stream.set_read_timeout(Some(Duration::from_secs(60)))?; // who says nothing is let go
//!     let mut secure = server.accept(stream)?;
//!     while let Some(message) = secure.receive()? {
//!         secure.send(&message)?;
//!     }
//!     secure.close()
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The manual is the folder `docs/manual` of the sources: `programs.md` for clients and servers, `services.md` for
//! those that run for long, `krb5-conf.md`, `caches.md`, `keytabs.md` and `kdc-location.md` for the machine,
//! `errors.md` and `trace.md` for when it does not work.
//!
//! Clients and servers speak Kerberos. [`ClientBuilder::package`] and [`ServerBuilder::package`] choose
//! Negotiate or NTLM; NTLM is denied until somebody allows it ([`NtlmPolicy`], TRIHOUND_NTLM).
//!
//! This crate is the composition root. It puts the packages behind one [`SecurityFunctionTable`],
//! reads the machine's [`environment`] (krb5.conf, caches, keytabs, NTLM's accounts), and has what programs write around
//! the table, in three levels: [`Client`] and [`Server`] over a byte stream; [`ClientHandshake`],
//! [`ServerHandshake`] and [`SecurityContext`] for programs that carry the tokens themselves; and, with
//! a credential handle in hand, [`Initiator`] and [`Acceptor`]:
//!
//! ```no_run
//! use trihound::sspi::{AcquireRequest, CredentialUse, InitiatorRequirements};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let table = trihound::init_security_interface()?;
//! let mut kdc = trihound::kdc_transport()?;
//! let credential = table.acquire_credentials_handle("Kerberos", AcquireRequest::new(CredentialUse::OUTBOUND))?;
//! let asked = InitiatorRequirements::MUTUAL_AUTH | InitiatorRequirements::CONFIDENTIALITY;
//! let mut initiator = trihound::Initiator::new(&table, credential.credential, "HTTP/web.example.com", asked);
//! let to_server = initiator.step(None, &mut kdc)?;       // send its token
//! # let from_server = Vec::new();
//! let leg = initiator.step(Some(&from_server), &mut kdc)?; // with the server's answer
//! let context = initiator.into_context()?;
//! let sealed = context.encrypt(b"hello")?;
//! # Ok(())
//! # }
//! ```
//!
//! # A client and a service, in a test
//!
//! `trihound-test-realm` is a KDC in memory. What a service does is the same with a real one: its keytab
//! comes from the machine then, by `CredentialUse::INBOUND`.
//!
//! ```
//! use std::sync::Arc;
//! use trihound::krb5::{Config, MemoryStore, Principal};
//! use trihound::sansio::SystemClock;
//! use trihound::sspi::{AcceptorRequirements, ContextAttribute, InitiatorRequirements};
//! use trihound::{Acceptor, Initiator, KerberosCredential, OsRandom};
//! use trihound_test_realm::TestRealm;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let realm = TestRealm::builder("EXAMPLE.TEST").principal("alice", "secret").service("HTTP/localhost").build()?;
//! let keytab = realm.keytab(&["HTTP/localhost"])?;
//! let mut kdc = realm.transport();
//!
//! // Values instead of the machine's files: `Config` says which realm, credentials are adopted.
//! let mut config = Config::default();
//! config.default_realm = Some("EXAMPLE.TEST".to_owned());
//! let package = trihound::kerberos(
//!     Arc::new(config), Arc::new(MemoryStore::new()), Arc::new(SystemClock), Arc::new(OsRandom));
//! let table = trihound::security_function_table(&package)?;
//! let alice = Principal::parse("alice@EXAMPLE.TEST", None)?;
//! let client = package.adopt(KerberosCredential::from_password(alice, "secret".into()))?;
//! let service = package.adopt(KerberosCredential::acceptor(Arc::new(keytab), None))?;
//!
//! let asked = InitiatorRequirements::MUTUAL_AUTH | InitiatorRequirements::CONFIDENTIALITY;
//! let mut initiator = Initiator::new(&table, client, "HTTP/localhost", asked);
//! let mut acceptor = Acceptor::new(&table, service, AcceptorRequirements::empty());
//! let mut to_client: Option<Vec<u8>> = None;
//! loop {
//!     let leg = initiator.step(to_client.as_deref(), &mut kdc)?;
//!     if let Some(token) = &leg.token {
//!         to_client = acceptor.step(token)?.token;
//!     }
//!     if leg.complete {
//!         break;
//!     }
//! }
//! let (client, service) = (initiator.into_context()?, acceptor.into_context()?);
//! println!("{:?}", service.query(ContextAttribute::Names)?);
//! assert_eq!(service.open(&client.encrypt(b"hello")?)?.data, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! A program needs no other crate: what the values of a configuration, a credential or a policy are made of
//! is in [`krb5`], [`crypto`], [`asn1`], [`mod@kerberos`], [`ntlm`], [`negotiate`], [`sansio`] and [`secret`]. Its tests find a realm with an
//! embedded KDC in `trihound-test-realm`.
//!
//! What this crate does not do: it opens no connection but to a KDC, through [`kdc_transport`] or
//! whatever [`sansio::Transport`] the caller has.

pub mod blocking;
mod client;
mod client_builder;
mod connector;
pub mod environment;
mod error;
mod flight;
mod frame;
mod handshake;
mod keeper;
mod message;
mod packages;
mod password;
mod sealer;
mod server;
mod server_builder;
mod settings;
mod stream;
mod tickets;
#[cfg(feature = "tokio")]
pub mod tokio;

use std::sync::Arc;

use trihound_krb5::{Config, CredentialStore, Environment};
use trihound_sansio::{Clock, RandomSource};
use trihound_sspi::{RegisteredPackage, SecurityFunctionTable, SecurityStatus};

pub use client::Client;
pub use client_builder::ClientBuilder;
pub use connector::{ClientHandshake, Connector};
pub use error::{Error, Rejected};
pub use handshake::{Acceptor, Initiator, Leg, Refused};
pub use keeper::Keeper;
pub use message::{Opened, SecurityContext};
pub use packages::{Package, Packages};
pub use password::{PasswordChange, change_password};
pub use sealer::{ContextKey, ContextKeys, SealError};
pub use server::{Server, ServerHandshake};
pub use server_builder::ServerBuilder;
pub use settings::KeytabSource;
pub use stream::SecureStream;
pub use trihound_asn1 as asn1;
pub use trihound_crypto as crypto;
pub use trihound_crypto::OsRandom;
pub use trihound_crypto::ntlm::NtHash;
pub use trihound_kdc_transport as transport;
pub use trihound_kdc_transport::KdcTransport;
pub use trihound_kerberos as kerberos;
pub use trihound_kerberos::{DelegationPolicy, Kerberos, KerberosConfig, KerberosCredential};
pub use trihound_krb5 as krb5;
pub use trihound_negotiate as negotiate;
pub use trihound_negotiate::{Negotiate, NegotiateConfig, NegotiateCredential, NegotiatePolicy};
pub use trihound_ntlm as ntlm;
pub use trihound_ntlm::{Ntlm, NtlmConfig, NtlmCredential, NtlmPolicy, NtlmRule};
pub use trihound_sansio as sansio;
pub use trihound_secret as secret;
pub use trihound_sspi as sspi;

/// InitSecurityInterface: the function table of this machine, with every package that there is: Negotiate,
/// Kerberos and NTLM. Negotiate chooses of the same Kerberos and the same NTLM, whose tickets and replay
/// cache serve both ways.
///
/// The configuration and the names of cache, keytab and files of accounts are read once, here; the files
/// behind these names are read when they are needed, and again when they change. NTLM may be used in no
/// direction unless TRIHOUND_NTLM says so.
///
/// # Errors
///
/// SEC_E_CANNOT_INSTALL, with the file and the line, or the variable, that is wrong.
pub fn init_security_interface() -> Result<SecurityFunctionTable, sspi::Error> {
    Packages::from_environment()?.table()
}

/// The way to the KDCs of this machine's krb5.conf.
///
/// # Errors
///
/// SEC_E_CANNOT_INSTALL, with the file and the line that is wrong.
pub fn kdc_transport() -> Result<KdcTransport, sspi::Error> {
    trace_if_asked();
    Ok(KdcTransport::new(Arc::new(configuration()?)))
}

/// The Kerberos package over values of the caller's own: no file is read and no variable.
#[must_use]
pub fn kerberos(
    config: Arc<Config>,
    store: Arc<dyn CredentialStore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
) -> RegisteredPackage<Kerberos> {
    let environment = Environment::new(clock, random, config);
    RegisteredPackage::new(Kerberos::new(KerberosConfig::new(environment, store)))
}

/// A function table over a Kerberos package alone; [`Packages::table`] is one over all.
///
/// # Errors
///
/// Those of [`sspi::SecurityFunctionTableBuilder::build`].
pub fn security_function_table(
    kerberos: &RegisteredPackage<Kerberos>,
) -> Result<SecurityFunctionTable, sspi::Error> {
    SecurityFunctionTable::builder()
        .package(kerberos)
        .thread_identity(packages::local_accounts(kerberos))
        .context_sealer(ContextKeys::of_this_process()?)
        .build()
}

/// The programs of the manual.
#[cfg(doctest)]
mod manual {
    #[doc = include_str!("../../../docs/manual/programs.md")]
    struct Programs;
    #[doc = include_str!("../../../docs/manual/services.md")]
    struct Services;
    #[doc = include_str!("../../../docs/manual/trace.md")]
    struct Trace;
    #[doc = include_str!("../../../docs/manual/caches.md")]
    struct Caches;
    #[doc = include_str!("../../../docs/manual/kdc-location.md")]
    struct KdcLocation;
    #[doc = include_str!("../../../docs/manual/keytabs.md")]
    struct Keytabs;
    #[doc = include_str!("../../../docs/manual/ntlm.md")]
    struct Ntlm;
    #[doc = include_str!("../../../docs/manual/negotiate.md")]
    struct Negotiate;
    #[doc = include_str!("../../../docs/manual/passwords.md")]
    struct Passwords;
    #[doc = include_str!("../../../docs/manual/export.md")]
    struct Export;
    #[doc = include_str!("../../../docs/manual/delegation.md")]
    struct Delegation;
    #[doc = include_str!("../../../docs/manual/authorization.md")]
    struct Authorization;
}

/// KRB5_TRACE, for whatever looks at the machine.
fn trace_if_asked() {
    // A trace that cannot be written is no reason to refuse a login.
    let _ = environment::install_trace();
}

fn configuration() -> Result<Config, sspi::Error> {
    environment::load_config().map_err(cannot_install)
}

fn cannot_install<E: std::error::Error + Send + Sync + 'static>(error: E) -> sspi::Error {
    sspi::Error::from_source(SecurityStatus::SEC_E_CANNOT_INSTALL, error)
}

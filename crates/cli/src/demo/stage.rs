use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use trihound::environment::{load_config_from, read_keytab};
use trihound::sspi::{CredHandle, RegisteredPackage, SecurityFunctionTable};
use trihound::{Kerberos, KerberosCredential};
use trihound_crypto::OsRandom;
use trihound_krb5::{Config, Keytab, MemoryStore, NoIncludes, Principal, Profile};
use trihound_sansio::SystemClock;
use trihound_secret::SecretString;
use trihound_test_realm::{TestKdcServer, TestRealm};

use super::Arguments;
use crate::outcome::{Failure, say};

pub(super) const REALM: &str = "DEMO.TRIHOUND.TEST";
pub(super) const CLIENT: &str = "alice";
pub(super) const PASSWORD: &str = "correct horse battery staple";
pub(super) const SERVICE: &str = "HTTP/localhost";

/// The actors: a KDC, a client and a service that share nothing but the realm.
pub(super) struct Stage {
    pub(super) config: Arc<Config>,
    pub(super) client: Side,
    pub(super) service: Side,
    pub(super) client_name: Principal,
    pub(super) service_name: String,
    /// Held so that the embedded KDC answers until the end.
    _kdc: Option<TestKdcServer>,
}

/// One program: a function table of its own, and a credential.
pub(super) struct Side {
    pub(super) table: SecurityFunctionTable,
    pub(super) credential: CredHandle,
}

impl Stage {
    pub(super) fn set(arguments: &Arguments) -> Result<Self, Failure> {
        match &arguments.kdc_config {
            None => Self::embedded(),
            Some(path) => Self::foreign(arguments, path),
        }
    }

    /// Everything in this process, over real sockets.
    fn embedded() -> Result<Self, Failure> {
        let realm = TestRealm::builder(REALM)
            .principal(CLIENT, PASSWORD)
            .service(SERVICE)
            .build()?;
        let keytab = Arc::new(realm.keytab(&[SERVICE])?);
        let kdc = TestKdcServer::start(realm)?;
        say(format_args!(
            "1. An embedded KDC serves realm {REALM} on {} (UDP and TCP).",
            kdc.address()
        ))?;
        say(format_args!(
            "   It knows {CLIENT} by password and {SERVICE} by a random key."
        ))?;
        let config = config_of(&kdc)?;
        let client_name = Principal::parse(CLIENT, Some(REALM))?;
        let client =
            KerberosCredential::from_password(client_name.clone(), SecretString::from(PASSWORD));
        Ok(Self {
            client: Side::new(&config, client)?,
            service: Side::new(&config, KerberosCredential::acceptor(keytab, None))?,
            config,
            client_name,
            service_name: SERVICE.to_owned(),
            _kdc: Some(kdc),
        })
    }

    /// The KDC of somebody's krb5.conf; client and service have their keys in a keytab.
    fn foreign(arguments: &Arguments, path: &Path) -> Result<Self, Failure> {
        let config = Arc::new(load_config_from(path)?);
        let keytab_path = match &arguments.keytab {
            Some(path) => path.clone(),
            None => trihound::environment::default_keytab_path(&config)?,
        };
        let keytab = Arc::new(read_keytab(&keytab_path)?);
        let service = service_of(arguments, &config, &keytab)?;
        let client_keytab = match &arguments.client_keytab {
            Some(path) => Arc::new(read_keytab(path)?),
            None => Arc::clone(&keytab),
        };
        let client_name = match &arguments.client {
            Some(name) => Principal::parse(name, config.default_realm.as_deref())?,
            None if arguments.client_keytab.is_some() => first_principal(&client_keytab)?,
            // With no other key at hand the service logs in as itself.
            None => service.clone(),
        };
        say(format_args!("1. The KDC is that of {}.", path.display()))?;
        say(format_args!(
            "   Client {client_name}, service {service}, keys from {}.",
            keytab_path.display()
        ))?;
        let client = KerberosCredential::from_keytab(client_name.clone(), client_keytab);
        Ok(Self {
            client: Side::new(&config, client)?,
            service: Side::new(
                &config,
                KerberosCredential::acceptor(keytab, Some(service.clone())),
            )?,
            config,
            client_name,
            service_name: service.to_string(),
            _kdc: None,
        })
    }
}

impl Side {
    fn new(config: &Arc<Config>, credential: KerberosCredential) -> Result<Self, Failure> {
        let package: RegisteredPackage<Kerberos> = trihound::kerberos(
            Arc::clone(config),
            Arc::new(MemoryStore::new()),
            Arc::new(SystemClock),
            Arc::new(OsRandom),
        );
        Ok(Self {
            table: trihound::security_function_table(&package)?,
            credential: package.adopt(credential)?,
        })
    }
}

pub(super) fn config_of(kdc: &TestKdcServer) -> Result<Arc<Config>, Failure> {
    let profile = Profile::parse(
        &kdc.krb5_conf(),
        &NoIncludes,
        "the embedded KDC's krb5.conf",
    )?;
    Ok(Arc::new(Config::from_profile(&profile)?))
}

fn service_of(
    arguments: &Arguments,
    config: &Config,
    keytab: &Keytab,
) -> Result<Principal, Failure> {
    if let Some(name) = &arguments.service {
        return Ok(Principal::parse(name, config.default_realm.as_deref())?);
    }
    keytab
        .entries()
        .iter()
        .map(|entry| &entry.principal)
        .find(|principal| principal.components().count() == 2 && !principal.is_krbtgt())
        .cloned()
        .ok_or_else(|| {
            Failure::new("the keytab has no service/host principal; name one with --service")
        })
}

fn first_principal(keytab: &Keytab) -> Result<Principal, Failure> {
    keytab
        .entries()
        .first()
        .map(|entry| entry.principal.clone())
        .ok_or_else(|| Failure::new("the client keytab has no key"))
}

/// A free loopback port.
pub(super) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

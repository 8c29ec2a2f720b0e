//! What the builders of clients and servers have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use trihound_krb5::pac::PacPolicy;
use trihound_krb5::{
    Config, CredentialStore, Environment, Keytab, MemoryStore, PlainCredentials, ReplacedKeys,
};
use trihound_negotiate::PackageList;
use trihound_ntlm::{Ntlm, NtlmConfig, NtlmObserver, NtlmPolicy, NtlmVerifier};
use trihound_sansio::{Clock, RandomSource, SystemClock};
use trihound_sspi::{
    ContextSealer, Error, RegisteredPackage, SecurityFunctionTable, SecurityFunctionTableBuilder,
    SecurityStatus,
};

use crate::environment::{self, KeytabName, UserStore};
use crate::frame::MAX_MESSAGE;
use crate::packages::sealer_or_own;
use crate::{
    Kerberos, KerberosConfig, NegotiatePolicy, OsRandom, Package, Packages, cannot_install,
};

/// Where a builder's keys are.
///
/// It is made of a name (`/etc/krb5.keytab`, `FILE:/etc/krb5.keytab`, `MEMORY:name`), a path, or a keytab in memory. A
/// file is read again whenever it has changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeytabSource {
    /// A name as KRB5_KTNAME has it.
    Name(String),
    /// A file.
    Path(PathBuf),
    /// These keys.
    Keys(Arc<Keytab>),
}

impl From<&str> for KeytabSource {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for KeytabSource {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<&Path> for KeytabSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<PathBuf> for KeytabSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<Arc<Keytab>> for KeytabSource {
    fn from(keytab: Arc<Keytab>) -> Self {
        Self::Keys(keytab)
    }
}

impl From<Keytab> for KeytabSource {
    fn from(keytab: Keytab) -> Self {
        Self::Keys(Arc::new(keytab))
    }
}

/// The world that a client or a server lives in; what is not given is the machine's.
pub(crate) struct Settings {
    pub(crate) package: Package,
    /// Which packages Negotiate may choose of.
    pub(crate) package_list: Option<String>,
    pub(crate) negotiate_policy: NegotiatePolicy,
    pub(crate) kerberos: Option<RegisteredPackage<Kerberos>>,
    pub(crate) ntlm: Option<RegisteredPackage<Ntlm>>,
    pub(crate) ntlm_policy: Option<NtlmPolicy>,
    pub(crate) ntlm_observer: Option<Arc<dyn NtlmObserver>>,
    pub(crate) ntlm_verifier: Option<Arc<dyn NtlmVerifier>>,
    pub(crate) sealer: Option<Arc<dyn ContextSealer>>,
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) store: Option<Arc<dyn CredentialStore>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) max_message: usize,
    /// For how long replaced keys are served.
    pub(crate) replaced_keys: Duration,
    /// What a server wants of the PACs of tickets.
    pub(crate) pac: PacPolicy,
    /// What a server does about delegated credentials that are not encrypted.
    pub(crate) plain_credentials: PlainCredentials,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            package: Package::default(),
            package_list: None,
            negotiate_policy: NegotiatePolicy::default(),
            kerberos: None,
            ntlm: None,
            ntlm_policy: None,
            ntlm_observer: None,
            ntlm_verifier: None,
            sealer: None,
            config: None,
            store: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            max_message: MAX_MESSAGE,
            replaced_keys: ReplacedKeys::LIFETIME,
            pac: PacPolicy::default(),
            plain_credentials: PlainCredentials::default(),
        }
    }
}

impl Settings {
    /// What a table begins with whatever its packages are.
    pub(crate) fn table(&self) -> Result<SecurityFunctionTableBuilder, Error> {
        let sealer = sealer_or_own(self.sealer.as_ref())?;
        Ok(SecurityFunctionTable::builder().context_sealer(sealer))
    }

    /// The configuration: the package's, the one given, the machine's.
    pub(crate) fn config(&mut self) -> Result<Arc<Config>, Error> {
        if let Some(package) = &self.kerberos {
            return Ok(Arc::clone(&package.package().environment().config));
        }
        if let Some(config) = &self.config {
            return Ok(Arc::clone(config));
        }
        crate::trace_if_asked();
        let config = Arc::new(crate::configuration()?);
        Ok(Arc::clone(self.config.insert(config)))
    }

    /// Kerberos: the package given, or one over the store given, or over the machine's tickets and
    /// keys if `of_machine`, or over nothing but memory.
    pub(crate) fn kerberos(
        &mut self,
        of_machine: bool,
    ) -> Result<RegisteredPackage<Kerberos>, Error> {
        if let Some(package) = &self.kerberos {
            return Ok(package.clone());
        }
        let config = self.config()?;
        let store: Arc<dyn CredentialStore> = match &self.store {
            Some(store) => Arc::clone(store),
            None if of_machine => {
                crate::trace_if_asked();
                let store = UserStore::from_environment(&config).map_err(cannot_install)?;
                Arc::new(store.serving_replaced_keys_for(self.replaced_keys))
            }
            None => Arc::new(MemoryStore::new()),
        };
        let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
        let mut environment = Environment::new(clock, random, config);
        if !environment.config.noaddresses {
            let addresses = crate::environment::local_addresses().map_err(cannot_install)?;
            environment.addresses = addresses.into();
        }
        let mut config = KerberosConfig::new(environment, store);
        config.accept_policy.pac = self.pac;
        config.accept_policy.plain_credentials = self.plain_credentials;
        let package = Kerberos::new(config);
        Ok(self
            .kerberos
            .insert(RegisteredPackage::new(package))
            .clone())
    }

    /// NTLM: the package given, or one with what else was given, and for the rest as the environment has it.
    pub(crate) fn ntlm(&mut self) -> Result<RegisteredPackage<Ntlm>, Error> {
        if let Some(package) = &self.ntlm {
            return Ok(package.clone());
        }
        let policy = match self.ntlm_policy.take() {
            Some(policy) => policy,
            None => environment::ntlm_policy().map_err(cannot_install)?,
        };
        let config = NtlmConfig::new(Arc::clone(&self.clock), Arc::clone(&self.random));
        let verifier = self.ntlm_verifier.take();
        let mut config = environment::equip(config, policy, verifier).map_err(cannot_install)?;
        if let Some(observer) = self.ntlm_observer.take() {
            config = config.with_observer(observer);
        }
        let package = RegisteredPackage::new(Ntlm::new(config));
        Ok(self.ntlm.insert(package).clone())
    }

    /// Whether Negotiate may choose Kerberos, and whether NTLM, by the list that the program gave.
    pub(crate) fn listed(&self) -> Result<(bool, bool), trihound_sspi::Error> {
        let list = PackageList::parse(self.package_list.as_deref())
            .map_err(|error| trihound_sspi::Error::from(trihound_negotiate::Error::from(error)))?;
        let packages = [Package::Kerberos, Package::Ntlm];
        if let Some(name) = list.unknown(&packages.map(Package::name)).next() {
            return Err(trihound_sspi::Error::new(
                SecurityStatus::SEC_E_INVALID_PARAMETER,
                format!(
                    "package_list() names {name:?}; what Negotiate can choose is called Kerberos and NTLM"
                ),
            ));
        }
        let listed = packages.map(|one| list.permits(one.name()));
        if listed == [false, false] {
            return Err(trihound_sspi::Error::new(
                SecurityStatus::SEC_E_INVALID_PARAMETER,
                "package_list() leaves neither Kerberos nor NTLM to choose; there is nothing else",
            ));
        }
        Ok(listed.into())
    }

    /// Negotiate over both.
    pub(crate) fn packages(&mut self, of_machine: bool) -> Result<Packages, Error> {
        let kerberos = self.kerberos(of_machine)?;
        let policy = self.negotiate_policy.clone();
        let packages = Packages::new(&kerberos, &self.ntlm()?, policy)?;
        Ok(match &self.sealer {
            Some(sealer) => packages.with_context_sealer(Arc::clone(sealer)),
            None => packages,
        })
    }
}

/// A store whose keys of services, or of a client, are those of a file, and whose tickets are in
/// memory; replaced keys of services are served for `replaced_keys`.
pub(crate) fn store_over(
    source: KeytabSource,
    replaced_keys: Duration,
) -> Result<Arc<dyn CredentialStore>, Error> {
    let name = match source {
        KeytabSource::Keys(keytab) => return Ok(Arc::new(MemoryStore::with_keytab(keytab))),
        KeytabSource::Path(path) => KeytabName::File(path),
        KeytabSource::Name(name) => KeytabName::parse(&name).map_err(cannot_install)?,
    };
    let store = UserStore::without_cache(name.clone(), name);
    Ok(Arc::new(store.serving_replaced_keys_for(replaced_keys)))
}

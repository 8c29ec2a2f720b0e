//! Which packages there are, and the table over them.

use std::sync::Arc;

use trihound_krb5::Environment;
use trihound_negotiate::{Negotiate, NegotiateConfig, NegotiateCredential, NegotiatePolicy};
use trihound_ntlm::{Ntlm, NtlmCredential};
use trihound_sansio::SystemClock;
use trihound_sspi::{
    ContextSealer, Error, RegisteredPackage, SecurityFunctionTable, ThreadIdentity,
};

use crate::environment::{self, LocalAccounts, UserStore};
use crate::{
    ContextKeys, Kerberos, KerberosConfig, KerberosCredential, OsRandom, cannot_install,
    configuration, trace_if_asked,
};

/// Which security package a client or a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Package {
    /// Kerberos and nothing else: both sides prove themselves, and there is nothing to fall back to.
    #[default]
    Kerberos,
    /// What both sides have: Kerberos where it can be had, else NTLM where its policy lets it be used.
    Negotiate,
    /// NTLM and nothing else, where its policy lets it be used. The server does not prove itself.
    Ntlm,
}

impl Package {
    /// The name by which the function table has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kerberos => Kerberos::NAME,
            Self::Negotiate => Negotiate::NAME,
            Self::Ntlm => Ntlm::NAME,
        }
    }
}

/// The packages of a function table. Clones share them: a ticket that was got by Kerberos directly serves
/// Negotiate, and what one of them has seen is a replay for the other.
#[derive(Clone)]
pub struct Packages {
    negotiate: RegisteredPackage<Negotiate>,
    kerberos: RegisteredPackage<Kerberos>,
    ntlm: RegisteredPackage<Ntlm>,
    identity: Arc<dyn ThreadIdentity>,
    sealer: Option<Arc<dyn ContextSealer>>,
}

impl core::fmt::Debug for Packages {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Packages").finish_non_exhaustive()
    }
}

impl Packages {
    /// Negotiate over this Kerberos and this NTLM, preferred in that order.
    ///
    /// # Errors
    ///
    /// Those of [`trihound_sspi::SecurityFunctionTableBuilder::build`].
    pub fn new(
        kerberos: &RegisteredPackage<Kerberos>,
        ntlm: &RegisteredPackage<Ntlm>,
        policy: NegotiatePolicy,
    ) -> Result<Self, Error> {
        let mechanisms = SecurityFunctionTable::builder()
            .package(kerberos)
            .package(ntlm)
            .build()?;
        let config = NegotiateConfig::new(mechanisms).with_policy(policy);
        Ok(Self {
            negotiate: RegisteredPackage::new(Negotiate::new(config)),
            kerberos: kerberos.clone(),
            ntlm: ntlm.clone(),
            identity: local_accounts(kerberos),
            sealer: None,
        })
    }

    /// The packages as this machine has them: krb5.conf, caches and keytabs for Kerberos, TRIHOUND_NTLM,
    /// NTLM_USER_FILE and NTLM_HASH_FILE for NTLM; the key of exported contexts from TRIHOUND_CONTEXT_KEY_FILE.
    ///
    /// # Errors
    ///
    /// SEC_E_CANNOT_INSTALL, with the file and the line, or the variable, that is wrong.
    pub fn from_environment() -> Result<Self, Error> {
        let ntlm = environment::ntlm_config().map_err(cannot_install)?;
        let packages = Self::new(
            &kerberos_from_environment()?,
            &RegisteredPackage::new(Ntlm::new(ntlm)),
            NegotiatePolicy::default(),
        )?;
        Ok(match environment::context_keys().map_err(cannot_install)? {
            Some(keys) => packages.with_context_sealer(keys),
            None => packages,
        })
    }

    /// What an impersonating thread may do on this machine, in place of [`LocalAccounts`] by the rules of Kerberos'
    /// configuration.
    #[must_use]
    pub fn with_thread_identity(mut self, identity: Arc<dyn ThreadIdentity>) -> Self {
        self.identity = identity;
        self
    }

    /// Seals exported contexts with this, such as [`crate::ContextKeys`] that several processes share, in place
    /// of the process's own key.
    #[must_use]
    pub fn with_context_sealer(mut self, sealer: Arc<dyn ContextSealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// A function table with all of them: Negotiate, Kerberos, NTLM.
    ///
    /// # Errors
    ///
    /// Those of [`trihound_sspi::SecurityFunctionTableBuilder::build`].
    pub fn table(&self) -> Result<SecurityFunctionTable, Error> {
        SecurityFunctionTable::builder()
            .package(&self.negotiate)
            .package(&self.kerberos)
            .package(&self.ntlm)
            .thread_identity(Arc::clone(&self.identity))
            .context_sealer(sealer_or_own(self.sealer.as_ref())?)
            .build()
    }

    /// A credential of Negotiate: of Kerberos and NTLM, or why one of them has none. `None` leaves it out.
    ///
    /// # Errors
    ///
    /// The reasons of both, where neither has one.
    pub(crate) fn negotiated(
        &self,
        kerberos: Option<Result<KerberosCredential, Error>>,
        ntlm: Option<Result<NtlmCredential, Error>>,
    ) -> Result<NegotiateCredential, Error> {
        let kerberos = kerberos.map(|made| {
            let handle = made.and_then(|credential| self.kerberos.adopt(credential));
            (Kerberos::NAME, handle)
        });
        let ntlm = ntlm.map(|made| {
            let handle = made.and_then(|credential| self.ntlm.adopt(credential));
            (Ntlm::NAME, handle)
        });
        let parts = kerberos.into_iter().chain(ntlm).collect();
        NegotiateCredential::from_outcomes(self.negotiate.package().mechanisms(), parts)
    }

    /// The Negotiate package.
    #[must_use]
    pub fn negotiate(&self) -> &RegisteredPackage<Negotiate> {
        &self.negotiate
    }

    /// The Kerberos package.
    #[must_use]
    pub fn kerberos(&self) -> &RegisteredPackage<Kerberos> {
        &self.kerberos
    }

    /// The NTLM package.
    #[must_use]
    pub fn ntlm(&self) -> &RegisteredPackage<Ntlm> {
        &self.ntlm
    }
}

/// The sealer that was given, or the process's own key.
pub(crate) fn sealer_or_own(
    given: Option<&Arc<dyn ContextSealer>>,
) -> Result<Arc<dyn ContextSealer>, Error> {
    match given {
        Some(sealer) => Ok(Arc::clone(sealer)),
        None => Ok(ContextKeys::of_this_process()?),
    }
}

/// The accounts of Kerberos' clients by the rules of its configuration.
pub(crate) fn local_accounts(kerberos: &RegisteredPackage<Kerberos>) -> Arc<dyn ThreadIdentity> {
    let config = &kerberos.package().environment().config;
    Arc::new(LocalAccounts::new(Arc::clone(config)))
}

fn kerberos_from_environment() -> Result<RegisteredPackage<Kerberos>, Error> {
    trace_if_asked();
    let config = Arc::new(configuration()?);
    let store = UserStore::from_environment(&config).map_err(cannot_install)?;
    let mut environment = Environment::new(Arc::new(SystemClock), Arc::new(OsRandom), config);
    if !environment.config.noaddresses {
        let addresses = environment::local_addresses().map_err(cannot_install)?;
        environment.addresses = addresses.into();
    }
    let stores = environment::NamedStores::new(Arc::clone(&environment.config));
    let mut config = KerberosConfig::new(environment, Arc::new(store));
    config.stores = Some(Arc::new(stores));
    Ok(RegisteredPackage::new(Kerberos::new(config)))
}

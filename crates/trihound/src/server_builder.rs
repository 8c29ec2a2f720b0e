use std::sync::Arc;
use std::time::Duration;

use trihound_krb5::pac::PacPolicy;
use trihound_krb5::{Config, CredentialStore, PlainCredentials};
use trihound_ntlm::{Direction, Ntlm, NtlmCredential, NtlmObserver, NtlmPolicy, NtlmVerifier};
use trihound_sansio::{Clock, RandomSource};
use trihound_sspi::{
    AcceptorAttributes, AcceptorRequirements, AcquireRequest, ContextSealer, CredHandle,
    CredentialUse, Error as SspiError, RegisteredPackage, SecurityFunctionTable, SecurityPackage,
    ThreadIdentity,
};

use crate::packages::local_accounts;
use crate::server::ServerCore;
use crate::settings::{KeytabSource, Settings, store_over};
use crate::{Error, Kerberos, KerberosCredential, NegotiatePolicy, Package, Server};

/// What a server insists on when it says nothing else.
const REQUIRED: AcceptorAttributes = AcceptorAttributes::CONFIDENTIALITY
    .union(AcceptorAttributes::INTEGRITY)
    .union(AcceptorAttributes::REPLAY_DETECT)
    .union(AcceptorAttributes::SEQUENCE_DETECT);

/// Makes a [`Server`] of choices; what is not chosen is the machine's.
pub struct ServerBuilder {
    settings: Settings,
    principal: Option<String>,
    keys: Option<KeytabSource>,
    credential: Option<KerberosCredential>,
    ntlm_credential: Option<NtlmCredential>,
    requirements: AcceptorRequirements,
    required: AcceptorAttributes,
    identity: Option<Arc<dyn ThreadIdentity>>,
}

impl core::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerBuilder").finish_non_exhaustive()
    }
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            principal: None,
            keys: None,
            credential: None,
            ntlm_credential: None,
            requirements: AcceptorRequirements::empty(),
            required: REQUIRED,
            identity: None,
        }
    }

    /// Which package it speaks: Kerberos unless this says otherwise. One that speaks Negotiate takes
    /// clients that speak Kerberos or NTLM without it too, unless its [`NegotiatePolicy`] refuses them.
    #[must_use]
    pub fn package(mut self, package: Package) -> Self {
        self.settings.package = package;
        self
    }

    /// Which packages Negotiate may choose of, as SSPI's callers write it: `Kerberos,!NTLM`.
    #[must_use]
    pub fn package_list(mut self, list: impl Into<String>) -> Self {
        self.settings.package_list = Some(list.into());
        self
    }

    /// How Negotiate chooses, in place of the default.
    #[must_use]
    pub fn negotiate_policy(mut self, policy: NegotiatePolicy) -> Self {
        self.settings.negotiate_policy = policy;
        self
    }

    /// Whether NTLM may be used, in place of what TRIHOUND_NTLM says. Where neither says anything it may
    /// not.
    #[must_use]
    pub fn ntlm_policy(mut self, policy: NtlmPolicy) -> Self {
        self.settings.ntlm_policy = Some(policy);
        self
    }

    /// Who says whether an NTLM client's response is right, in place of NTLM_USER_FILE and NTLM_HASH_FILE.
    /// One that has to ask somebody else is served through [`crate::Acceptor::step_over`].
    #[must_use]
    pub fn ntlm_verifier(mut self, verifier: Arc<dyn NtlmVerifier>) -> Self {
        self.settings.ntlm_verifier = Some(verifier);
        self
    }

    /// Is told of each use of NTLM, as the events of `tracing` are.
    #[must_use]
    pub fn ntlm_observer(mut self, observer: Arc<dyn NtlmObserver>) -> Self {
        self.settings.ntlm_observer = Some(observer);
        self
    }

    /// An NTLM credential that the program made, with its verifier and perhaps a policy of its own.
    #[must_use]
    pub fn ntlm_credential(mut self, credential: NtlmCredential) -> Self {
        self.ntlm_credential = Some(credential);
        self
    }

    /// Accepts as this principal alone, and not as any that the keytab has keys of.
    #[must_use]
    pub fn principal(mut self, name: impl Into<String>) -> Self {
        self.principal = Some(name.into());
        self
    }

    /// Other keys than those of the machine's keytab.
    #[must_use]
    pub fn keytab(mut self, keys: impl Into<KeytabSource>) -> Self {
        self.keys = Some(keys.into());
        self
    }

    /// For how long a key that a newer one replaced in the keytab stays in service: 24 hours otherwise. Zero
    /// is never, for whoever exchanges keys because they were stolen. A store, a credential or a package of
    /// the program's own decides by itself.
    #[must_use]
    pub fn serving_replaced_keys_for(mut self, lifetime: Duration) -> Self {
        self.settings.replaced_keys = lifetime;
        self
    }

    /// What is wanted of the PAC in a client's Kerberos ticket: it is verified where there is one, unless this says
    /// that there has to be one. A package of the program's own decides by itself.
    #[must_use]
    pub fn pac_policy(mut self, policy: PacPolicy) -> Self {
        self.settings.pac = policy;
        self
    }

    /// Whether delegated credentials that are not encrypted count, as Heimdal's and Samba's clients send them: not unless
    /// this is [`take_plain_credentials`](trihound_kerberos::danger::take_plain_credentials). A package of the program's
    /// own decides by itself.
    #[must_use]
    pub fn plain_credentials(mut self, policy: PlainCredentials) -> Self {
        self.settings.plain_credentials = policy;
        self
    }

    /// A credential that the program made.
    #[must_use]
    pub fn credential(mut self, credential: KerberosCredential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Another configuration than krb5.conf.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.settings.config = Some(config.into());
        self
    }

    /// Other keys than the machine's, from a store of the program's own.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn CredentialStore>) -> Self {
        self.settings.store = Some(store);
        self
    }

    /// What AcceptSecurityContext is called with, such as ALLOW_MISSING_BINDINGS.
    #[must_use]
    pub fn requirements(mut self, requirements: AcceptorRequirements) -> Self {
        self.requirements = requirements;
        self
    }

    /// Which attributes a context must have, in place of CONFIDENTIALITY, INTEGRITY, REPLAY_DETECT and
    /// SEQUENCE_DETECT. A client that did not ask for them is refused.
    #[must_use]
    pub fn require(mut self, attributes: AcceptorAttributes) -> Self {
        self.required = attributes;
        self
    }

    /// What a thread that impersonates a client may do on this machine. Otherwise it is what
    /// [`LocalAccounts::new`](crate::environment::LocalAccounts::new) says, by the rules of krb5.conf.
    #[must_use]
    pub fn thread_identity(mut self, identity: Arc<dyn ThreadIdentity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The longest message that is sent or taken, in bytes; 16 MiB otherwise.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.settings.max_message = bytes;
        self
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Another source of randomness than the operating system's.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn RandomSource>) -> Self {
        self.settings.random = random;
        self
    }

    /// A Kerberos package that the program has, with its replay cache, configuration, store, clock and
    /// randomness; those given to the builder count for nothing then, nor does [`Self::keytab`].
    #[must_use]
    pub fn kerberos(mut self, package: &RegisteredPackage<Kerberos>) -> Self {
        self.settings.kerberos = Some(package.clone());
        self
    }

    /// Seals exported contexts with this, such as [`crate::ContextKeys`] that several processes share, in place
    /// of the process's own key.
    #[must_use]
    pub fn context_sealer(mut self, sealer: Arc<dyn ContextSealer>) -> Self {
        self.settings.sealer = Some(sealer);
        self
    }

    /// An NTLM package that the program has, with its policy, accounts, clock and randomness; those given
    /// to the builder count for nothing then.
    #[must_use]
    pub fn ntlm(mut self, package: &RegisteredPackage<Ntlm>) -> Self {
        self.settings.ntlm = Some(package.clone());
        self
    }

    /// The server.
    ///
    /// # Errors
    ///
    /// A broken krb5.conf; a keytab that is missing, cannot be read or has no key of the principal; NTLM
    /// where its policy denies it or there are no accounts. With Negotiate, if neither has what it needs.
    pub fn build(mut self) -> Result<Server, Error> {
        if let Some(keys) = self.keys.take() {
            self.settings.store = Some(store_over(keys, self.settings.replaced_keys)?);
        }
        let (table, handle) = match self.settings.package {
            Package::Kerberos => self.kerberos_alone()?,
            Package::Ntlm => self.ntlm_alone()?,
            Package::Negotiate => self.negotiated()?,
        };
        let owned = table.own_credential(handle)?;
        Ok(Server {
            core: Arc::new(ServerCore {
                table,
                credential: Arc::new(owned),
                requirements: self.requirements,
                required: self.required,
                max_message: self.settings.max_message,
            }),
        })
    }

    fn kerberos_alone(&mut self) -> Result<(SecurityFunctionTable, CredHandle), Error> {
        let package = self.settings.kerberos(self.credential.is_none())?;
        let identity = self.identity.take();
        let table = self
            .settings
            .table()?
            .package(&package)
            .thread_identity(identity.unwrap_or_else(|| local_accounts(&package)))
            .build()?;
        let credential = self.kerberos_part(&package)?;
        Ok((table, package.adopt(credential)?))
    }

    fn ntlm_alone(&mut self) -> Result<(SecurityFunctionTable, CredHandle), Error> {
        let package = self.settings.ntlm()?;
        let mut table = self.settings.table()?.package(&package);
        // No rule of krb5.conf is for clients of NTLM.
        if let Some(identity) = self.identity.take() {
            table = table.thread_identity(identity);
        }
        let table = table.build()?;
        let credential = self.ntlm_part(&package)?;
        Ok((table, package.adopt(credential)?))
    }

    fn negotiated(&mut self) -> Result<(SecurityFunctionTable, CredHandle), Error> {
        let mut packages = self.settings.packages(self.credential.is_none())?;
        if let Some(identity) = self.identity.take() {
            packages = packages.with_thread_identity(identity);
        }
        let (with_kerberos, with_ntlm) = self.settings.listed()?;
        let kerberos = with_kerberos.then(|| self.kerberos_part(packages.kerberos()));
        let ntlm = with_ntlm.then(|| self.ntlm_part(packages.ntlm()));
        let credential = packages.negotiated(kerberos, ntlm)?;
        let handle = packages.negotiate().adopt(credential)?;
        Ok((packages.table()?, handle))
    }

    fn kerberos_part(
        &mut self,
        package: &RegisteredPackage<Kerberos>,
    ) -> Result<KerberosCredential, SspiError> {
        if let Some(credential) = self.credential.take() {
            return Ok(credential);
        }
        let mut request = AcquireRequest::new(CredentialUse::INBOUND);
        request.principal = self.principal.as_deref();
        package.package().acquire_credentials_handle(request)
    }

    fn ntlm_part(
        &mut self,
        package: &RegisteredPackage<Ntlm>,
    ) -> Result<NtlmCredential, SspiError> {
        if let Some(credential) = self.ntlm_credential.take() {
            let incoming = Direction::Incoming;
            package.package().check_permitted(&credential, incoming)?;
            return Ok(credential);
        }
        let request = AcquireRequest::new(CredentialUse::INBOUND);
        package.package().acquire_credentials_handle(request)
    }
}

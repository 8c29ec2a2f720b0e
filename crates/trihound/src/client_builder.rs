use std::sync::Arc;

use trihound_kdc_transport::Limits;
use trihound_krb5::{Config, CredentialStore, Principal};
use trihound_ntlm::{Direction, Ntlm, NtlmCredential, NtlmObserver, NtlmPolicy};
use trihound_sansio::{Clock, RandomSource, Transport};
use trihound_secret::SecretString;
use trihound_sspi::{
    AccessToken, AcquireRequest, ContextSealer, CredHandle, CredentialUse, Error as SspiError,
    Identity, InitiatorRequirements, RegisteredPackage, SecurityFunctionTable, SecurityPackage,
    SecurityStatus, thread_token,
};

use crate::client::{ClientCore, Fallback, Transports, Way};
use crate::flight::{Flights, LANDING_MARGIN};
use crate::settings::{KeytabSource, Settings, store_over};
use crate::tickets::Tickets;
use crate::{
    Client, DelegationPolicy, Error, Kerberos, KerberosCredential, NegotiatePolicy, Package,
    cannot_install,
};

/// Who a client is.
enum Who {
    /// Whoever the store says, or this principal with what the store has of it.
    Stored(Option<String>),
    Password(String, SecretString),
    Keytab(String, KeytabSource),
    Credential(KerberosCredential),
}

/// Makes a [`Client`] of choices; what is not chosen is the machine's.
pub struct ClientBuilder {
    settings: Settings,
    who: Who,
    /// Whose delegated credential is taken, where `who` is nobody else.
    impersonation: Option<Arc<AccessToken>>,
    ntlm_credential: Option<NtlmCredential>,
    transports: Option<Arc<dyn Transports>>,
    requirements: Option<InitiatorRequirements>,
    delegation: Option<DelegationPolicy>,
}

impl core::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            who: Who::Stored(None),
            impersonation: None,
            ntlm_credential: None,
            transports: None,
            requirements: None,
            delegation: None,
        }
    }

    /// Which package it speaks: Kerberos unless this says otherwise.
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

    /// Is told of each use of NTLM, as the events of `tracing` are.
    #[must_use]
    pub fn ntlm_observer(mut self, observer: Arc<dyn NtlmObserver>) -> Self {
        self.settings.ntlm_observer = Some(observer);
        self
    }

    /// Whom NTLM speaks for, in place of the identity that was given for all packages: an account with
    /// the hash of its password, say.
    #[must_use]
    pub fn ntlm_credential(mut self, credential: NtlmCredential) -> Self {
        self.ntlm_credential = Some(credential);
        self
    }

    /// This principal, with the tickets or client keys that the store has of it.
    #[must_use]
    pub fn principal(mut self, name: impl Into<String>) -> Self {
        self.who = Who::Stored(Some(name.into()));
        self
    }

    /// A user (`alice`, `alice@REALM`, `REALM\alice`) with a password, for every package. Tickets are kept
    /// in memory.
    #[must_use]
    pub fn password(mut self, user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        self.who = Who::Password(user.into(), password.into());
        self
    }

    /// A principal with the keys of a keytab. Tickets are kept in memory. A file is read at every
    /// login, so that a changed key is picked up.
    #[must_use]
    pub fn keytab(mut self, principal: impl Into<String>, keys: impl Into<KeytabSource>) -> Self {
        self.who = Who::Keytab(principal.into(), keys.into());
        self
    }

    /// A credential that the program made.
    #[must_use]
    pub fn credential(mut self, credential: KerberosCredential) -> Self {
        self.who = Who::Credential(credential);
        self
    }

    /// The client whose token this is, with the credential that it delegated, whatever the calling thread
    /// impersonates: for a task that changes threads. Without this, [`Self::build`] on a thread that impersonates
    /// does the same with the thread's token, unless the client is a credential of its own.
    #[must_use]
    pub fn on_behalf_of(mut self, token: Arc<AccessToken>) -> Self {
        self.who = Who::Stored(None);
        self.impersonation = Some(token);
        self
    }

    /// Another configuration than krb5.conf; no variable of the environment is read then but for the
    /// names of cache and keytab, where these are asked for.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.settings.config = Some(config.into());
        self
    }

    /// Other tickets and keys than the machine's.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn CredentialStore>) -> Self {
        self.settings.store = Some(store);
        self
    }

    /// A way to the KDCs of the program's own; a clone of it does each round trip.
    #[must_use]
    pub fn transport<T: Transport + Clone + Send + Sync + 'static>(mut self, transport: T) -> Self {
        self.transports = Some(Arc::new(transport));
        self
    }

    /// What is asked for in place of MUTUAL_AUTH, CONFIDENTIALITY, INTEGRITY, REPLAY_DETECT and
    /// SEQUENCE_DETECT.
    #[must_use]
    pub fn requirements(mut self, requirements: InitiatorRequirements) -> Self {
        self.requirements = Some(requirements);
        self
    }

    /// Hands the services a ticket to act for this client with (DELEGATE): with
    /// `DelegationPolicy::default()` those that their realm trusts to do so (OK-AS-DELEGATE), with a
    /// policy of [`kerberos::danger`](crate::kerberos::danger) others too. Where nothing was delegated,
    /// because of the policy, or since the client's ticket cannot be forwarded, the connection comes about
    /// all the same: [`SecurityContext::is_delegated`](crate::SecurityContext::is_delegated) tells.
    #[must_use]
    pub fn delegate(mut self, to: DelegationPolicy) -> Self {
        self.delegation = Some(to);
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

    /// A Kerberos package that the program has, with its configuration, store, clock and randomness; those
    /// given to the builder count for nothing then.
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

    /// The client. Nobody is asked yet; [`Client::log_in`] does it, or the first connection.
    ///
    /// # Errors
    ///
    /// A broken krb5.conf, a keytab without the principal's keys, no identity at all, nothing that an impersonated
    /// client delegated; NTLM where its policy denies it.
    pub fn build(mut self) -> Result<Client, Error> {
        self.impersonation = self.impersonation.or_else(thread_token);
        match self.settings.package {
            Package::Kerberos => self.build_kerberos(),
            Package::Ntlm => self.build_ntlm(),
            Package::Negotiate => self.build_negotiate(),
        }
    }

    fn build_kerberos(&mut self) -> Result<Client, Error> {
        let (package, credential) = self.kerberos_part()?;
        let table = self.settings.table()?.package(&package).build()?;
        let handle = package.adopt(credential.clone())?;
        let tickets = tickets_of(&package, credential);
        self.client(table, handle, Some(tickets), None)
    }

    fn build_ntlm(&mut self) -> Result<Client, Error> {
        let (package, credential) = self.ntlm_part()?;
        let table = self.settings.table()?.package(&package).build()?;
        let handle = package.adopt(credential)?;
        self.client(table, handle, None, None)
    }

    /// Each mechanism has a credential where it can have one; that one of them has none is told when
    /// nothing else is left.
    fn build_negotiate(&mut self) -> Result<Client, Error> {
        let packages = self.settings.packages(self.is_of_machine())?;
        let (with_kerberos, with_ntlm) = self.settings.listed()?;
        let kerberos = with_kerberos.then(|| Ok(self.kerberos_part()?.1));
        let ntlm = with_ntlm.then(|| Ok(self.ntlm_part()?.1));
        let fallback = ntlm.clone().map(|ntlm| Fallback {
            packages: packages.clone(),
            ntlm,
        });
        let had = |made: &Result<KerberosCredential, SspiError>| made.as_ref().ok().cloned();
        let tickets = kerberos.as_ref().and_then(had);
        let tickets = tickets.map(|credential| tickets_of(packages.kerberos(), credential));
        let credential = packages.negotiated(kerberos, ntlm)?;
        let handle = packages.negotiate().adopt(credential)?;
        self.client(packages.table()?, handle, tickets, fallback)
    }

    fn client(
        &mut self,
        table: SecurityFunctionTable,
        credential: CredHandle,
        tickets: Option<Tickets>,
        fallback: Option<Fallback>,
    ) -> Result<Client, Error> {
        let owned = table.own_credential(credential)?;
        let way = match (self.transports.take(), &tickets) {
            (Some(transports), _) => Way::Own(transports),
            (None, Some(tickets)) => Way::Configured(Arc::clone(&tickets.environment.config)),
            (None, None) => Way::Nowhere,
        };
        Ok(Client {
            core: Arc::new(ClientCore {
                table,
                credential: Arc::new(owned),
                package: self.settings.package,
                tickets: tickets.map(Arc::new),
                fallback,
                requirements: self.requirements,
                delegates: self.delegation.is_some(),
                max_message: self.settings.max_message,
            }),
            way,
        })
    }

    /// Whether the machine's tickets and keys are needed.
    fn is_of_machine(&self) -> bool {
        matches!(self.who, Who::Stored(_)) && self.impersonation.is_none()
    }

    fn kerberos_part(
        &mut self,
    ) -> Result<(RegisteredPackage<Kerberos>, KerberosCredential), SspiError> {
        let config = self.settings.config()?;
        let package = self.settings.kerberos(self.is_of_machine())?;
        let impersonation = self.impersonation.as_ref();
        let credential =
            kerberos_credential(&self.who, impersonation, &self.settings, &config, &package)?;
        let credential = match &self.delegation {
            Some(policy) => credential.with_delegation(policy.clone()),
            None => credential,
        };
        Ok((package, credential))
    }

    fn ntlm_part(&mut self) -> Result<(RegisteredPackage<Ntlm>, NtlmCredential), SspiError> {
        let package = self.settings.ntlm()?;
        let credential = match self.ntlm_credential.take() {
            Some(credential) => {
                let outgoing = Direction::Outgoing;
                package.package().check_permitted(&credential, outgoing)?;
                credential
            }
            None => ntlm_credential(&self.who, self.impersonation.as_ref(), &package)?,
        };
        Ok((package, credential))
    }
}

fn tickets_of(package: &RegisteredPackage<Kerberos>, credential: KerberosCredential) -> Tickets {
    let environment = package.package().environment().clone();
    let round_trip = Limits::from_config(&environment.config).total;
    Tickets {
        kerberos: credential,
        environment,
        flights: Flights::new(round_trip.saturating_add(LANDING_MARGIN)),
    }
}

fn ntlm_credential(
    who: &Who,
    impersonation: Option<&Arc<AccessToken>>,
    package: &RegisteredPackage<Ntlm>,
) -> Result<NtlmCredential, SspiError> {
    let mut request = AcquireRequest::new(CredentialUse::OUTBOUND);
    request.impersonation = impersonation;
    let identity;
    match who {
        Who::Stored(principal) => request.principal = principal.as_deref(),
        Who::Password(user, password) => {
            identity = Identity::password(user.as_str(), None, password.duplicate());
            request.identity = Some(&identity);
        }
        Who::Keytab(..) | Who::Credential(_) => {
            return Err(SspiError::new(
                SecurityStatus::SEC_E_NO_CREDENTIALS,
                "a Kerberos key or ticket is no credential of NTLM; give the client an \
                 ntlm_credential() beside it, or a password",
            ));
        }
    }
    package.package().acquire_credentials_handle(request)
}

fn kerberos_credential(
    who: &Who,
    impersonation: Option<&Arc<AccessToken>>,
    settings: &Settings,
    config: &Config,
    package: &RegisteredPackage<Kerberos>,
) -> Result<KerberosCredential, SspiError> {
    let mut request = AcquireRequest::new(CredentialUse::OUTBOUND);
    request.impersonation = impersonation;
    Ok(match who {
        Who::Credential(credential) => credential.clone(),
        Who::Stored(principal) => {
            request.principal = principal.as_deref();
            package.package().acquire_credentials_handle(request)?
        }
        Who::Password(user, password) => {
            let identity = Identity::password(user.as_str(), None, password.duplicate());
            request.identity = Some(&identity);
            package.package().acquire_credentials_handle(request)?
        }
        Who::Keytab(principal, keys) => {
            let client = Principal::parse(principal, config.default_realm.as_deref())
                .map_err(|error| SspiError::from(trihound_kerberos::Error::from(error)))?;
            match (keys, &settings.store) {
                (KeytabSource::Keys(keytab), None) => {
                    KerberosCredential::from_keytab(client, Arc::clone(keytab))
                }
                (KeytabSource::Keys(keytab), Some(store)) => {
                    KerberosCredential::from_keytab_in_store(
                        client,
                        Arc::clone(keytab),
                        Arc::clone(store),
                    )
                }
                (file, _) => {
                    let store = store_over(file.clone(), settings.replaced_keys)?;
                    let keytab = store.client_keytab().map_err(cannot_install)?;
                    if keytab.of_principal(&client).next().is_none() {
                        return Err(no_key(&client));
                    }
                    KerberosCredential::from_client_keytab(client, store)
                }
            }
        }
    })
}

fn no_key(client: &Principal) -> SspiError {
    let missing = trihound_kerberos::CredentialError::NoKeyOfPrincipal {
        principal: client.to_string(),
    };
    trihound_kerberos::Error::from(missing).into()
}

//! What a credential handle names: a client's secret or tickets, a service's keys, or both.

mod attributes;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use trihound_asn1::name_type::NT_ENTERPRISE;
use trihound_krb5::{
    AsRequest, ClientSecret, Config, CredentialStore, Credentials, Environment, Keytab,
    MemoryStore, Principal,
};
use trihound_sansio::Timestamp;
use trihound_secret::SecretString;
use trihound_sspi::{AccessToken, Expiry};

use crate::added::{self, Added};
use crate::delegation::{self, DelegationPolicy};
use crate::error::{CredentialError, Error};
use crate::keeping::{LoginSecret, SecretKind};
use crate::login::LoginTimes;
use crate::route::KdcChoice;

/// Names by which services were asked for, and found under others, that one credential remembers.
const MAX_ALIASES: usize = 1024;

/// A credential of the Kerberos package. Clones are the same credential, with the same tickets.
///
/// [`trihound_sspi::RegisteredPackage::adopt`] makes a handle of one.
#[derive(Clone, Debug, Default)]
pub struct KerberosCredential {
    outbound: Option<Arc<Outbound>>,
    inbound: Option<Arc<Inbound>>,
    delegation: Option<DelegationPolicy>,
    onward: Onward,
    /// What AddCredentials brought.
    added: Arc<Added>,
}

/// Whether contexts of an impersonating thread are made by what its client delegated.
#[derive(Clone, Debug, Default)]
pub(crate) enum Onward {
    /// The credential is somebody's, whoever the thread impersonates.
    #[default]
    Never,
    /// It was acquired for both directions without an identity: by the service's own tickets while the
    /// thread is itself, else by its client's.
    ByClient {
        /// Why the service has no tickets of its own, where it has none.
        own: Option<CredentialError>,
    },
}

impl KerberosCredential {
    /// A client with a password. Tickets are kept in memory, and got anew when they end.
    #[must_use]
    pub fn from_password(client: Principal, password: SecretString) -> Self {
        Self::outbound_in_memory(client, Secret::Password(password))
    }

    /// A client with a password, whose tickets go into a store.
    #[must_use]
    pub fn from_password_in_store(
        client: Principal,
        password: SecretString,
        store: Arc<dyn CredentialStore>,
    ) -> Self {
        Self::with_outbound(Outbound::new(client, Secret::Password(password), store))
    }

    /// A client with a keytab. Tickets are kept in memory, and got anew when they end.
    #[must_use]
    pub fn from_keytab(client: Principal, keytab: Arc<Keytab>) -> Self {
        Self::outbound_in_memory(client, Secret::Keytab(keytab))
    }

    /// A client with the tickets of a store, such as a credential cache file. What is got with
    /// them goes into the store; a renewable ticket-granting ticket is renewed before it ends.
    #[must_use]
    pub fn from_store(client: Principal, store: Arc<dyn CredentialStore>) -> Self {
        Self::with_outbound(Outbound::new(client, Secret::None, store))
    }

    /// A client with a keytab, whose tickets go into a store.
    #[must_use]
    pub fn from_keytab_in_store(
        client: Principal,
        keytab: Arc<Keytab>,
        store: Arc<dyn CredentialStore>,
    ) -> Self {
        Self::with_outbound(Outbound::new(client, Secret::Keytab(keytab), store))
    }

    /// A client with the client keytab of a store, as it is at the time of each login, whose tickets
    /// go into the store: a key that was changed in the file is used from the next login on.
    #[must_use]
    pub fn from_client_keytab(client: Principal, store: Arc<dyn CredentialStore>) -> Self {
        Self::with_outbound(Outbound::new(client, Secret::ClientKeytab, store))
    }

    /// A client with one ticket, for its service or for the ticket-granting service.
    ///
    /// # Errors
    ///
    /// None: the store is in memory. The signature is that of any store.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the credential takes the ticket over"
    )]
    pub fn from_ticket(ticket: Arc<Credentials>) -> Result<Self, Error> {
        let store = MemoryStore::new();
        store.store(&ticket)?;
        Ok(Self::from_store(ticket.client.clone(), Arc::new(store)))
    }

    /// A service with the keys of a keytab: of `principal` alone, or of anyone in it.
    #[must_use]
    pub fn acceptor(keytab: Arc<Keytab>, principal: Option<Principal>) -> Self {
        Self::with_inbound(KeySource::Keytab(keytab), principal)
    }

    /// A service with the keys that a store has at the time of each call.
    #[must_use]
    pub fn acceptor_from_store(
        store: Arc<dyn CredentialStore>,
        principal: Option<Principal>,
    ) -> Self {
        Self::with_inbound(KeySource::Store(store), principal)
    }

    /// Both directions: this credential's own, and for the direction that it lacks `other`'s.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            outbound: self.outbound.or(other.outbound),
            inbound: self.inbound.or(other.inbound),
            delegation: self.delegation.or(other.delegation),
            onward: self.onward,
            added: self.added,
        }
    }

    /// AddCredentials: from here on `other` serves beside what is there.
    pub(crate) fn add(&self, other: &Self) -> Result<(), CredentialError> {
        let outbound = other.outbound.as_ref();
        let inbound = other.inbound.as_ref();
        let full = outbound.is_some_and(|new| !self.added.add_outbound(new))
            || inbound.is_some_and(|new| !self.added.add_inbound(new));
        match full {
            true => Err(CredentialError::TooMany),
            false => Ok(()),
        }
    }

    /// The identities of clients that there are, the first of them being the default.
    pub(crate) fn outbounds(&self) -> Vec<Arc<Outbound>> {
        self.added.outbound(self.outbound.as_ref())
    }

    /// The same credential with a delegation policy of its own in place of the package's. Its logins ask
    /// for tickets that can be forwarded, unless the policy is [`DelegationPolicy::never`].
    #[must_use]
    pub fn with_delegation(mut self, policy: DelegationPolicy) -> Self {
        if let Some(outbound) = &self.outbound
            && policy != DelegationPolicy::never()
        {
            outbound.ask_forwardable();
        }
        self.delegation = Some(policy);
        self
    }

    /// A client's delegated tickets.
    pub(crate) fn from_delegated(tickets: Vec<Credentials>) -> Result<Self, Error> {
        let store = MemoryStore::new();
        let mut client = None;
        for ticket in tickets {
            client.get_or_insert_with(|| ticket.client.clone());
            store.store(&Arc::new(ticket))?;
        }
        let client = client.ok_or(CredentialError::UnknownIdentity {
            reason: "there is no ticket in it",
        })?;
        Ok(Self::from_store(client, Arc::new(store)))
    }

    pub(crate) fn with_onward(mut self, onward: Onward) -> Self {
        self.onward = onward;
        self
    }

    pub(crate) fn delegation<'a>(
        &'a self,
        of_package: &'a DelegationPolicy,
    ) -> &'a DelegationPolicy {
        self.delegation.as_ref().unwrap_or(of_package)
    }

    /// Whose credential it is: the client, else the service's principal if it is one.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        match (&self.outbound, &self.inbound) {
            (Some(outbound), _) => Some(&outbound.client),
            (None, Some(inbound)) => inbound.principal.as_ref(),
            (None, None) => None,
        }
    }

    fn outbound_in_memory(client: Principal, secret: Secret) -> Self {
        Self::with_outbound(Outbound::new(client, secret, Arc::new(MemoryStore::new())))
    }

    fn with_outbound(outbound: Outbound) -> Self {
        Self {
            outbound: Some(Arc::new(outbound)),
            ..Self::default()
        }
    }

    fn with_inbound(keys: KeySource, principal: Option<Principal>) -> Self {
        Self {
            inbound: Some(Arc::new(Inbound { keys, principal })),
            ..Self::default()
        }
    }

    fn no_outbound(&self) -> CredentialError {
        match &self.onward {
            Onward::ByClient { own: Some(error) } => error.clone(),
            _ => CredentialError::OtherDirection {
                direction: "outbound",
                flag: "SECPKG_CRED_OUTBOUND",
            },
        }
    }

    /// The default identity of a client.
    pub(crate) fn outbound(&self) -> Result<Arc<Outbound>, CredentialError> {
        let first = self.outbounds().into_iter().next();
        first.ok_or_else(|| self.no_outbound())
    }

    /// What a context with a service is made by: the tickets that the impersonated client delegated, where
    /// that is what the credential is for, else its own identity for that service.
    pub(crate) fn outbound_for(
        &self,
        server: &Principal,
        impersonation: Option<&Arc<AccessToken>>,
        config: &Config,
    ) -> Result<Arc<Outbound>, Error> {
        match (&self.onward, impersonation) {
            (Onward::ByClient { .. }, Some(token)) => {
                let client = Self::from_delegated(delegation::of_token(token)?)?;
                Ok(client.outbound()?)
            }
            _ => added::for_service(&self.outbounds(), server, config)
                .ok_or_else(|| self.no_outbound().into()),
        }
    }

    /// The keys of services, all in one.
    pub(crate) fn inbound(&self) -> Result<Arc<Inbound>, Error> {
        let all = self.added.inbound(self.inbound.as_ref());
        match all.as_slice() {
            [] => Err(CredentialError::OtherDirection {
                direction: "inbound",
                flag: "SECPKG_CRED_INBOUND",
            }
            .into()),
            [only] => Ok(Arc::clone(only)),
            several => added::joined(several),
        }
    }

    /// A credential with a secret does not end; one of tickets alone ends with them.
    pub(crate) fn expiry(&self, now: Timestamp) -> Expiry {
        self.outbound()
            .map_or(Expiry::Never, |outbound| outbound.expiry(now))
    }
}

/// What a client proves itself with, besides tickets.
#[derive(Debug)]
enum Secret {
    None,
    Password(SecretString),
    Keytab(Arc<Keytab>),
    /// The store's client keytab, read when it is needed.
    ClientKeytab,
}

/// The outbound side.
pub(crate) struct Outbound {
    pub(crate) client: Principal,
    /// Whose an enterprise name is, once a KDC has told (RFC 6806 section 5): tickets are this client's.
    account: OnceLock<Principal>,
    secret: Secret,
    store: Arc<dyn CredentialStore>,
    /// Services found under another name or realm than they were asked for.
    aliases: Mutex<HashMap<Principal, Principal>>,
    /// Which times its logins ask for.
    times: OnceLock<LoginTimes>,
    /// Whom it asks.
    kdcs: RwLock<KdcChoice>,
    /// Whether logins ask for a ticket that can be forwarded, whatever the configuration says.
    forwardable: AtomicBool,
    /// Whether a login was made for the sake of such a ticket alone.
    tried_forwardable: AtomicBool,
}

impl core::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Outbound")
            .field("client", &self.client.to_string())
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    fn new(client: Principal, secret: Secret, store: Arc<dyn CredentialStore>) -> Self {
        Self {
            client,
            account: OnceLock::new(),
            secret,
            store,
            aliases: Mutex::default(),
            times: OnceLock::new(),
            kdcs: RwLock::default(),
            forwardable: AtomicBool::new(false),
            tried_forwardable: AtomicBool::new(false),
        }
    }

    /// From here on logins ask for a ticket that can be forwarded.
    pub(crate) fn ask_forwardable(&self) {
        self.forwardable.store(true, Ordering::Relaxed);
    }

    pub(crate) fn asks_forwardable(&self) -> bool {
        self.forwardable.load(Ordering::Relaxed)
    }

    /// Whether to log in anew because the ticket at hand cannot be forwarded: once in a credential's life,
    /// since a KDC that refused it or the secret does so again, and counts.
    pub(crate) fn may_log_in_to_forward(&self) -> bool {
        self.has_secret() && !self.tried_forwardable.swap(true, Ordering::Relaxed)
    }

    /// Has it follow settings of its own; once, before it is used.
    pub(crate) fn follow(&self, kdcs: KdcChoice, times: LoginTimes) {
        self.times.get_or_init(|| times);
        *self.kdcs.write().unwrap_or_else(PoisonError::into_inner) = kdcs;
    }

    /// Whom it asks.
    pub(crate) fn kdcs(&self) -> KdcChoice {
        // Each change is one assignment, so a panic elsewhere leaves the value whole.
        self.kdcs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS, for searches that begin from here on.
    pub(crate) fn set_proxy(&self, server: &str, flags: u32) -> Result<(), CredentialError> {
        let mut kdcs = self.kdcs.write().unwrap_or_else(PoisonError::into_inner);
        kdcs.set_proxy(server, flags)
    }

    /// Puts the times that were set into a request for a login.
    pub(crate) fn ask_times(&self, request: &mut AsRequest, now: Timestamp) {
        if let Some(times) = self.times.get() {
            times.ask(request, now);
        }
    }

    /// Whose tickets they are.
    pub(crate) fn account(&self) -> &Principal {
        self.account.get().unwrap_or(&self.client)
    }

    /// Whether there is something to log in with besides tickets.
    pub(crate) fn has_secret(&self) -> bool {
        !matches!(self.secret, Secret::None)
    }

    /// The secret for one AS exchange; `None` when there are only tickets.
    pub(crate) fn secret(&self, environment: &Environment) -> Result<Option<ClientSecret>, Error> {
        let policy = &environment.config.permitted_enctypes;
        let keys =
            |keytab: &Keytab| Some(ClientSecret::Keys(keytab.client_keys(&self.client, policy)));
        Ok(match &self.secret {
            Secret::None => None,
            Secret::Password(password) => Some(ClientSecret::Password(password.duplicate())),
            Secret::Keytab(keytab) => keys(keytab),
            Secret::ClientKeytab => keys(&*self.store.client_keytab()?),
        })
    }

    /// What [`Self::secret`] is made of, at this moment.
    pub(crate) fn login_secret(&self) -> Result<Option<LoginSecret>, Error> {
        let keys = |keytab| SecretKind::Keys(self.client.clone(), keytab);
        let kind = match &self.secret {
            Secret::None => return Ok(None),
            Secret::Password(_) => SecretKind::Password,
            Secret::Keytab(keytab) => keys(Arc::clone(keytab)),
            Secret::ClientKeytab => keys(self.store.client_keytab()?),
        };
        Ok(Some(LoginSecret(kind)))
    }

    /// The KDC's clock less ours, in microseconds.
    pub(crate) fn time_offset(&self) -> Result<i64, Error> {
        Ok(self.store.time_offset()?.unwrap_or_default())
    }

    pub(crate) fn set_time_offset(&self, offset: i64) -> Result<(), Error> {
        Ok(self.store.set_time_offset(offset)?)
    }

    /// The ticket-granting ticket of the client's own realm.
    pub(crate) fn ticket_granting_ticket(
        &self,
        now: Timestamp,
    ) -> Result<Option<Arc<Credentials>>, Error> {
        let account = self.account();
        let krbtgt = Principal::krbtgt(&account.realm);
        Ok(self.store.find(account, &krbtgt, now)?)
    }

    /// A valid ticket for a service under any name that it is known by.
    pub(crate) fn service_ticket(
        &self,
        asked: &Principal,
        guesses: &[Principal],
        now: Timestamp,
    ) -> Result<Option<Arc<Credentials>>, Error> {
        let alias = self.aliases().get(asked).cloned();
        for server in alias.iter().chain(guesses) {
            if let Some(ticket) = self.store.find(self.account(), server, now)? {
                return Ok(Some(ticket));
            }
        }
        Ok(None)
    }

    /// Keeps a ticket for a service, and under which name it was asked for.
    pub(crate) fn keep(&self, asked: &Principal, ticket: &Arc<Credentials>) -> Result<(), Error> {
        self.store.store(ticket)?;
        if ticket.server != *asked {
            let mut aliases = self.aliases();
            if aliases.len() >= MAX_ALIASES {
                aliases.clear();
            }
            aliases.insert(asked.clone(), ticket.server.clone());
        }
        Ok(())
    }

    /// Keeps a ticket-granting ticket.
    pub(crate) fn keep_granting(&self, ticket: &Arc<Credentials>) -> Result<(), Error> {
        if self.client.name.name_type == NT_ENTERPRISE {
            self.account.get_or_init(|| ticket.client.clone());
        }
        Ok(self.store.store(ticket)?)
    }

    /// Forgets a service ticket that its service cannot open.
    pub(crate) fn forget(&self, server: &Principal) -> Result<(), Error> {
        Ok(self.store.remove(self.account(), server)?)
    }

    fn aliases(&self) -> std::sync::MutexGuard<'_, HashMap<Principal, Principal>> {
        // Each change is one insertion, so a panic elsewhere leaves the map whole.
        self.aliases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expiry(&self, now: Timestamp) -> Expiry {
        if self.has_secret() {
            return Expiry::Never;
        }
        let granting = self.ticket_granting_ticket(now).ok().flatten();
        let last = match granting {
            Some(ticket) => Some(ticket.endtime),
            None => self
                .store
                .tickets(self.account())
                .unwrap_or_default()
                .iter()
                .map(|ticket| ticket.endtime)
                .max(),
        };
        Expiry::At(last.unwrap_or(now))
    }
}

/// Where the keys of a service are.
enum KeySource {
    Keytab(Arc<Keytab>),
    Store(Arc<dyn CredentialStore>),
}

/// The inbound side.
pub(crate) struct Inbound {
    keys: KeySource,
    /// As whom to accept; `None` is anyone in the keytab.
    pub(crate) principal: Option<Principal>,
}

impl core::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inbound")
            .field(
                "principal",
                &self.principal.as_ref().map(Principal::to_string),
            )
            .finish_non_exhaustive()
    }
}

impl Inbound {
    /// Anyone in a keytab.
    pub(crate) fn of_keytab(keytab: Arc<Keytab>) -> Self {
        Self {
            keys: KeySource::Keytab(keytab),
            principal: None,
        }
    }

    pub(crate) fn keytab(&self) -> Result<Arc<Keytab>, Error> {
        match &self.keys {
            KeySource::Keytab(keytab) => Ok(Arc::clone(keytab)),
            KeySource::Store(store) => Ok(store.keytab()?),
        }
    }
}

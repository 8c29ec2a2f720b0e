use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use trihound_asn1::Realm;
use trihound_crypto::{Enctype, EnctypePolicy};
use trihound_krb5::kpasswd::changepw_principal;
use trihound_krb5::pac::Sid;
use trihound_krb5::{Keytab, MemoryReplayCache, Principal};
use trihound_sansio::{Clock, RandomSource};
use trihound_secret::SecretString;

use crate::Error;
use crate::database::{Database, Entry, PrincipalOptions, Secret};
use crate::fault::Faults;
use crate::kpasswd::PasswordRules;
use crate::pac::{FIRST_RID, KRBTGT_RID, PacIssue, domain_sid_of};
use crate::realm::TestRealm;

/// Puts a [`TestRealm`] together.
///
/// Nothing is checked before [`Self::build`], so that the calls can be chained.
pub struct TestRealmBuilder {
    realm: String,
    pending: Vec<Pending>,
    trusts: Vec<(String, String)>,
    domains: BTreeMap<String, String>,
    next_hops: BTreeMap<String, String>,
    transit: BTreeSet<String>,
    enctypes: EnctypePolicy,
    policy: Policy,
    pac: PacIssue,
    domain_sid: Option<Sid>,
    clock: Option<Arc<dyn Clock>>,
    random: Option<Arc<dyn RandomSource>>,
}

struct Pending {
    name: String,
    secret: Secret,
    options: PrincipalOptions,
}

impl TestRealmBuilder {
    pub(crate) fn new(realm: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            pending: Vec::new(),
            trusts: Vec::new(),
            domains: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            transit: BTreeSet::new(),
            enctypes: EnctypePolicy::default(),
            policy: Policy::default(),
            pac: PacIssue::default(),
            domain_sid: domain_sid_of(realm),
            clock: None,
            random: None,
        }
    }

    /// A user with a password, who has to pre-authenticate.
    #[must_use]
    pub fn principal(self, name: &str, password: &str) -> Self {
        self.principal_with(name, password, PrincipalOptions::default())
    }

    /// A principal with a password and options.
    #[must_use]
    pub fn principal_with(mut self, name: &str, password: &str, options: PrincipalOptions) -> Self {
        self.pending.push(Pending {
            name: name.to_owned(),
            secret: Secret::Password(SecretString::from(password)),
            options,
        });
        self
    }

    /// A service with random keys; [`TestRealm::keytab`] gives them to its acceptor.
    #[must_use]
    pub fn service(self, name: &str) -> Self {
        self.service_with(name, PrincipalOptions::default())
    }

    /// A service with random keys and options.
    #[must_use]
    pub fn service_with(mut self, name: &str, options: PrincipalOptions) -> Self {
        self.pending.push(Pending {
            name: name.to_owned(),
            secret: Secret::Random,
            options,
        });
        self
    }

    /// The principals of a keytab, each with its keys of every version. Entries of other realms
    /// and of enctypes that this realm does not permit are left out.
    #[must_use]
    pub fn principals_of_keytab(mut self, keytab: &Keytab, options: &PrincipalOptions) -> Self {
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for entry in keytab.entries() {
            if entry.principal.realm != self.realm.as_str() {
                continue;
            }
            if let Ok(key) = entry.key.key(&self.enctypes) {
                by_name
                    .entry(entry.principal.to_string())
                    .or_default()
                    .push((entry.kvno, key));
            }
        }
        for (name, keys) in by_name {
            self.pending.push(Pending {
                name,
                secret: Secret::Given(keys),
                options: options.clone(),
            });
        }
        self
    }

    /// Mutual trust with another realm, by keys that both derive from one password.
    #[must_use]
    pub fn trust(mut self, realm: &str, shared_password: &str) -> Self {
        self.trusts
            .push((realm.to_owned(), shared_password.to_owned()));
        self
    }

    /// Hosts of this DNS domain (`example.org`), or this very host, are services of that realm: a
    /// ticket for one is answered with a referral (RFC 6806 section 8).
    #[must_use]
    pub fn domain(mut self, domain: &str, realm: &str) -> Self {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        self.domains.insert(domain, realm.to_owned());
        self
    }

    /// The way to `realm` leads through `next`, with which there is a trust (RFC 4120 section 1.2).
    #[must_use]
    pub fn route(mut self, realm: &str, next: &str) -> Self {
        self.next_hops.insert(realm.to_owned(), next.to_owned());
        self
    }

    /// Clients may come through this realm, besides those with which there is a trust.
    #[must_use]
    pub fn allow_transit(mut self, realm: &str) -> Self {
        self.transit.insert(realm.to_owned());
        self
    }

    /// The enctypes of the realm, in order of preference. One that is weak has to come through
    /// [`crate::danger::enctypes`].
    #[must_use]
    pub fn enctypes(mut self, enctypes: EnctypePolicy) -> Self {
        self.enctypes = enctypes;
        self
    }

    /// Only this enctype, which must not be a weak one: otherwise nothing changes and
    /// [`Self::build`] fails for want of keys.
    #[must_use]
    pub fn only_enctype(mut self, enctype: Enctype) -> Self {
        self.enctypes = EnctypePolicy::only(&[enctype]).unwrap_or(self.enctypes);
        self
    }

    /// Lifetimes and what else the realm allows.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What the PACs of the realm's tickets say.
    #[must_use]
    pub fn pac(mut self, pac: PacIssue) -> Self {
        self.pac = pac;
        self
    }

    /// The SID of the realm's domain, instead of one by its name.
    #[must_use]
    pub fn domain_sid(mut self, sid: Sid) -> Self {
        self.domain_sid = Some(sid);
        self
    }

    /// The KDC's clock; the machine's own unless told.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The KDC's randomness; the operating system's unless told.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn RandomSource>) -> Self {
        self.random = Some(random);
        self
    }

    /// Makes the realm, with its own ticket-granting service.
    ///
    /// # Errors
    ///
    /// [`Error`]: a bad or doubled name, no key for a principal, no clock or randomness on this
    /// platform.
    pub fn build(self) -> Result<Arc<TestRealm>, Error> {
        let clock = self.clock.map_or_else(own_clock, Ok)?;
        let random = self.random.map_or_else(own_random, Ok)?;
        let name = Realm::from(self.realm.as_str());
        let mut database = Database::default();
        let mut add = |principal: Principal, secret, options| {
            Entry::new(principal, secret, options, &self.enctypes, &*random)
                .and_then(|entry| database.insert(entry))
        };
        add(
            Principal::krbtgt(&name),
            Secret::Random,
            PrincipalOptions::default().rid(KRBTGT_RID),
        )?;
        for (other, password) in &self.trusts {
            if *other == self.realm {
                return Err(Error::TrustWithItself(self.realm));
            }
            let other = Realm::from(other.as_str());
            for principal in [
                Principal::krbtgt_for(&other, &name),
                Principal::krbtgt_for(&name, &other),
            ] {
                let secret = Secret::Password(SecretString::from(password.as_str()));
                add(principal, secret, PrincipalOptions::default())?;
            }
        }
        for (pending, rid) in self.pending.into_iter().zip(FIRST_RID..) {
            let principal = Principal::parse(&pending.name, Some(&self.realm))?;
            let mut options = pending.options;
            options.rid.get_or_insert(rid);
            add(principal, pending.secret, options)?;
        }
        // The password service is there unless somebody brought its keys.
        let changepw = changepw_principal(&name);
        if database.get(&changepw).is_none() {
            let options = PrincipalOptions::default();
            let entry = Entry::new(changepw, Secret::Random, options, &self.enctypes, &*random)?;
            database.insert(entry)?;
        }
        Ok(Arc::new(TestRealm {
            trusts: self.trusts.into_iter().map(|(realm, _)| realm).collect(),
            name,
            database: RwLock::new(database),
            domains: self.domains,
            next_hops: self.next_hops,
            transit: self.transit,
            enctypes: self.enctypes,
            policy: self.policy,
            pac: self.pac,
            domain_sid: self.domain_sid,
            clock,
            random,
            faults: Faults::default(),
            history: crate::realm::History::default(),
            kpasswd_replays: MemoryReplayCache::default(),
        }))
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn own_clock() -> Result<Arc<dyn Clock>, Error> {
    Ok(Arc::new(trihound_sansio::SystemClock))
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn own_clock() -> Result<Arc<dyn Clock>, Error> {
    Err(Error::NotOnThisPlatform("clock"))
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn own_random() -> Result<Arc<dyn RandomSource>, Error> {
    Ok(Arc::new(trihound_crypto::OsRandom))
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn own_random() -> Result<Arc<dyn RandomSource>, Error> {
    Err(Error::NotOnThisPlatform("randomness"))
}

impl core::fmt::Debug for TestRealmBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TestRealmBuilder")
            .field("realm", &self.realm)
            .field("principals", &self.pending.len())
            .finish_non_exhaustive()
    }
}

/// What the realm allows. The default is a usual MIT realm's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The longest life of a ticket.
    pub max_life: Duration,
    /// The longest time until which a ticket can be renewed.
    pub max_renewable_life: Duration,
    /// A shorter life than this is not worth a ticket (KDC_ERR_NEVER_VALID).
    pub min_life: Duration,
    /// How far clocks may be apart (RFC 4120 section 1.6).
    pub clock_skew: Duration,
    /// Whether tickets may be forwardable and forwarded.
    pub forwardable: bool,
    /// Whether tickets may be proxiable and proxies.
    pub proxiable: bool,
    /// Whether tickets may begin later (postdated).
    pub postdatable: bool,
    /// Whether PA-ETYPE-INFO comes in place of PA-ETYPE-INFO2, as from an old KDC (RFC 4120 section
    /// 5.2.7.4).
    pub old_etype_info: bool,
    /// A PA-FX-COOKIE to hand out and to have echoed (RFC 6113 section 5.2).
    pub cookie: Option<Vec<u8>>,
    /// What is asked of new passwords, and who may set another's (RFC 3244).
    pub passwords: PasswordRules,
    /// The longest reply that goes into a datagram, in bytes (RFC 4120 section 7.2.1).
    pub max_datagram: usize,
    /// Whether a ticket that came through a realm that is not allowed is refused; otherwise it only
    /// lacks transited-policy-checked (RFC 4120 section 3.3.3.2).
    pub reject_bad_transit: bool,
}

impl Default for Policy {
    fn default() -> Self {
        const HOUR: u64 = 3600;
        Self {
            max_life: Duration::from_secs(24 * HOUR),
            max_renewable_life: Duration::from_secs(7 * 24 * HOUR),
            min_life: Duration::from_secs(1),
            clock_skew: Duration::from_secs(300),
            forwardable: true,
            proxiable: true,
            postdatable: true,
            old_etype_info: false,
            cookie: None,
            passwords: PasswordRules::default(),
            max_datagram: 4096,
            reject_bad_transit: true,
        }
    }
}

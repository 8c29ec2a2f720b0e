//! What the package is made of.

use core::fmt;
use std::sync::Arc;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use trihound_crypto::OsRandom;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use trihound_sansio::SystemClock;
use trihound_sansio::{Clock, RandomSource};

use crate::credential::NtlmCredentialSource;
use crate::event::NtlmObserver;
use crate::message::Version;
use crate::policy::NtlmPolicy;
use crate::verifier::{NtlmAccountsOpener, NtlmVerifier};

/// The longest NetBIOS name, in characters (RFC 1001 section 14.1, less the byte for its kind).
const NETBIOS_LENGTH: usize = 15;

/// The names that an acceptor tells of itself (MS-NLMP section 2.2.2.1). A client shows them to nobody
/// and believes none of them, but computes its MIC over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerNames {
    /// MsvAvNbComputerName.
    pub netbios_computer: String,
    /// MsvAvNbDomainName: the domain, or the computer again where there is none.
    pub netbios_domain: String,
    /// MsvAvDnsComputerName.
    pub dns_computer: Option<String>,
    /// MsvAvDnsDomainName.
    pub dns_domain: Option<String>,
    /// MsvAvDnsTreeName: the forest.
    pub dns_tree: Option<String>,
    /// Whether the host belongs to the domain, so that the target name is the domain's
    /// (TARGET_TYPE_DOMAIN) and not the computer's (TARGET_TYPE_SERVER).
    pub in_domain: bool,
}

impl ServerNames {
    /// The names of a host that belongs to no domain: `web.example.com` is `WEB` in NetBIOS.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        let (label, _) = host.split_once('.').unwrap_or((host, ""));
        let netbios: String = label
            .chars()
            .take(NETBIOS_LENGTH)
            .map(|letter| letter.to_ascii_uppercase())
            .collect();
        Self {
            netbios_computer: netbios.clone(),
            netbios_domain: netbios,
            dns_computer: Some(host.to_owned()),
            dns_domain: None,
            dns_tree: None,
            in_domain: false,
        }
    }

    /// The same host as a member of a domain.
    #[must_use]
    pub fn in_domain(mut self, netbios: impl Into<String>, dns: Option<String>) -> Self {
        self.netbios_domain = netbios.into();
        self.dns_tree.clone_from(&dns);
        self.dns_domain = dns;
        self.in_domain = true;
        self
    }

    /// TargetName of the CHALLENGE message.
    pub(crate) fn target(&self) -> &str {
        if self.in_domain {
            &self.netbios_domain
        } else {
            &self.netbios_computer
        }
    }

    /// Whether a domain that a client sends is none, or means this host's own accounts.
    pub(crate) fn is_own(&self, domain: &str) -> bool {
        domain.is_empty()
            // Windows sends a full stop for "the accounts of the target itself".
            || domain == "."
            || [&self.netbios_computer, &self.netbios_domain]
                .into_iter()
                .chain(self.dns_computer.iter())
                .chain(self.dns_domain.iter())
                .any(|name| name.eq_ignore_ascii_case(domain))
    }
}

impl Default for ServerNames {
    fn default() -> Self {
        Self::of_host("localhost")
    }
}

/// What the package is made of. Each part has a default; the default policy denies both directions.
#[derive(Clone)]
pub struct NtlmConfig {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) policy: Arc<NtlmPolicy>,
    pub(crate) verifier: Option<Arc<dyn NtlmVerifier>>,
    pub(crate) accounts: Option<Arc<dyn NtlmAccountsOpener>>,
    pub(crate) credentials: Option<Arc<dyn NtlmCredentialSource>>,
    pub(crate) observer: Option<Arc<dyn NtlmObserver>>,
    pub(crate) names: ServerNames,
    pub(crate) target_names: Vec<String>,
    pub(crate) workstation: String,
    pub(crate) version: Version,
    pub(crate) machine_id: Option<[u8; 32]>,
}

impl NtlmConfig {
    /// With this clock and this source of randomness.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>) -> Self {
        Self {
            clock,
            random,
            policy: Arc::default(),
            verifier: None,
            accounts: None,
            credentials: None,
            observer: None,
            names: ServerNames::default(),
            target_names: Vec::new(),
            workstation: String::new(),
            version: Version::UNTOLD,
            machine_id: None,
        }
    }

    /// Sets the policy of all contexts whose credential has none of its own.
    #[must_use]
    pub fn with_policy(mut self, policy: NtlmPolicy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Sets who says which clients are right, for acceptors that acquire their credential.
    #[must_use]
    pub fn with_verifier(mut self, verifier: Arc<dyn NtlmVerifier>) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// Sets who opens the accounts that a credential's settings name
    /// ([`trihound_sspi::CredentialSettings::accounts`]); without it that setting is refused.
    #[must_use]
    pub fn with_accounts_opener(mut self, opener: Arc<dyn NtlmAccountsOpener>) -> Self {
        self.accounts = Some(opener);
        self
    }

    /// Whether passwords can be changed: somebody keeps accounts here, and the policy lets clients use them.
    pub(crate) fn changes_passwords(&self) -> bool {
        self.policy.incoming.permits_any()
            && self
                .verifier
                .as_ref()
                .is_some_and(|verifier| verifier.changes_passwords())
    }

    /// Sets where initiators get their credential who acquire without an identity.
    #[must_use]
    pub fn with_credential_source(mut self, source: Arc<dyn NtlmCredentialSource>) -> Self {
        self.credentials = Some(source);
        self
    }

    /// Sets who is told of each use of NTLM.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn NtlmObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Sets the names that an acceptor tells of itself.
    #[must_use]
    pub fn with_server_names(mut self, names: ServerNames) -> Self {
        self.names = names;
        self
    }

    /// Sets the service principal names that clients of an acceptor here may mean, such as
    /// `HTTP/web.example.com`. Without any, the target name is not checked.
    ///
    /// `*` in the place of the service is any service of the host. Ports and realms count only where
    /// the name here has them; case does not.
    #[must_use]
    pub fn with_target_names<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.target_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the name that an initiator tells of its host; it tells none unless this is set, though
    /// Windows servers may restrict an account to some.
    #[must_use]
    pub fn with_workstation(mut self, name: impl Into<String>) -> Self {
        self.workstation = name.into();
        self
    }

    /// Sets the version that the messages carry, [`Version::UNTOLD`] by default. Nothing but people looks
    /// at it (MS-NLMP section 2.2.2.10).
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Sets a random value, drawn when the host started, by which both sides notice that they run on
    /// one host (MS-NLMP section 2.2.2.2). It shows in [`crate::NtlmUse`] and decides nothing.
    #[must_use]
    pub fn with_machine_id(mut self, id: [u8; 32]) -> Self {
        self.machine_id = Some(id);
        self
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
impl Default for NtlmConfig {
    /// With the machine's clock and the operating system's randomness.
    fn default() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(OsRandom))
    }
}

impl fmt::Debug for NtlmConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtlmConfig")
            .field("policy", &self.policy)
            .field("names", &self.names)
            .field("target_names", &self.target_names)
            .field("workstation", &self.workstation)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

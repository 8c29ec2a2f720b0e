//! What krb5.conf says, typed (MIT, krb5.conf(5)).

mod appdefaults;
mod enctypes;
mod error;
mod hosts;
mod known;
mod local;
mod realm;
mod regex;
mod values;
mod warning;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use trihound_crypto::{Enctype, EnctypePolicy};

use crate::profile::Profile;

pub use error::{ConfigError, LocalNameError};
pub use realm::{LoginDefaults, RealmConfig};
pub use values::{parse_boolean, parse_duration};
pub use warning::{ConfigWarning, WarningReason};

use realm::RealmDefaults;
use values::LibDefaults;

/// Clock skew when nothing is configured (RFC 4120 section 8.2 recommends five minutes).
pub const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(300);
/// Ticket lifetime to ask for when nothing is configured, as MIT does.
pub const DEFAULT_TICKET_LIFETIME: Duration = Duration::from_secs(86_400);
/// Longest message that is first tried over UDP when nothing is configured, as MIT does.
pub const DEFAULT_UDP_PREFERENCE_LIMIT: usize = 1465;
/// The largest limit that is taken, as MIT does: a datagram holds no more.
const MAX_UDP_PREFERENCE_LIMIT: usize = 32_700;

/// Whether host names of services are looked up in DNS before use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsCanonicalization {
    /// Never: DNS is not authenticated (RFC 4120 section 1.3). Ours unless configured.
    #[default]
    No,
    /// Always.
    Yes,
    /// Only when the KDC does not know the name as given.
    Fallback,
}

/// The configuration, as far as it is used here; see [`Config::default`] for what holds when
/// nothing is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Realm of names without one.
    pub default_realm: Option<String>,
    /// Encryption types that may be used for anything, best first.
    pub permitted_enctypes: EnctypePolicy,
    /// Those to ask for in an AS exchange, when they differ (`default_tkt_enctypes`).
    pub default_tkt_enctypes: Option<EnctypePolicy>,
    /// Those to ask for in a TGS exchange, when they differ (`default_tgs_enctypes`).
    pub default_tgs_enctypes: Option<EnctypePolicy>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
    /// Ticket lifetime to ask for.
    pub ticket_lifetime: Duration,
    /// Renewable lifetime to ask for; zero for tickets that cannot be renewed.
    pub renew_lifetime: Duration,
    /// Whether to ask for forwardable tickets.
    pub forwardable: bool,
    /// Whether to ask for proxiable tickets.
    pub proxiable: bool,
    /// Whether tickets are asked for without addresses.
    pub noaddresses: bool,
    /// Addresses that tickets are bound to besides those of this host, where they are bound to any.
    pub extra_addresses: Vec<IpAddr>,
    /// Whether the KDC may give the client another name (RFC 6806).
    pub canonicalize: bool,
    /// Whether the difference to the KDC's clock is corrected for.
    pub kdc_timesync: bool,
    /// Messages longer than this go over TCP first.
    pub udp_preference_limit: usize,
    /// How long one KDC is waited for before the next is asked too; the transport's choice when
    /// `None`.
    pub kdc_timeout: Option<Duration>,
    /// How often the list of KDCs is gone through; the transport's choice when `None`.
    pub max_retries: Option<u32>,
    /// How long one request may take in all; the transport's choice when `None`.
    pub request_timeout: Option<Duration>,
    /// Whether KDCs are looked up by URI records of DNS before SRV records.
    pub dns_uri_lookup: bool,
    /// Whether KDCs are looked up in DNS when none is listed.
    pub dns_lookup_kdc: bool,
    /// Whether realms of hosts are looked up in DNS.
    pub dns_lookup_realm: bool,
    /// How many domains around a host are tried as its realm ([`Self::fallback_realm`]); `None` for
    /// none, 0 for the host's name itself.
    pub realm_try_domains: Option<u32>,
    /// Whether host names of services are looked up in DNS.
    pub dns_canonicalize_hostname: DnsCanonicalization,
    /// Whether that lookup includes the reverse one. Only if said so, unlike MIT: whoever answers for
    /// the address would choose the service's name.
    pub rdns: bool,
    /// Whether an acceptor takes tickets for any host name of its service.
    pub ignore_acceptor_hostname: bool,
    /// Whether the verification of a login fails where the host has no keytab to do it with.
    pub verify_ap_req_nofail: bool,
    /// Whether credentials are delegated only to services whose tickets have OK-AS-DELEGATE.
    pub enforce_ok_as_delegate: bool,
    /// Whether every authentication says that this client knows channel bindings (MS-KILE section
    /// 3.2.5.8); otherwise those that bring bindings do.
    pub client_aware_channel_bindings: bool,
    /// Domain for host names without a dot.
    pub qualify_shortname: Option<String>,
    /// The credential cache, such as `FILE:...`, with `%{uid}` and the like unexpanded.
    pub default_ccache_name: Option<String>,
    /// The version of credential cache files to write, 1 to 4.
    pub ccache_type: Option<u8>,
    /// The socket of the KCM daemon; the usual one when `None`.
    pub kcm_socket: Option<String>,
    /// The keytab of services.
    pub default_keytab_name: Option<String>,
    /// The keytab of clients.
    pub default_client_keytab_name: Option<String>,
    /// What is known of each realm.
    pub realms: BTreeMap<String, RealmConfig>,
    realm_defaults: BTreeMap<String, RealmDefaults>,
    domain_realm: HashMap<String, String>,
    /// By client realm, then by server realm: the realms between.
    capaths: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// For `[appdefaults]`, whose names are the applications' own.
    profile: Option<Arc<Profile>>,
    warnings: Vec<ConfigWarning>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            default_realm: None,
            permitted_enctypes: EnctypePolicy::default(),
            default_tkt_enctypes: None,
            default_tgs_enctypes: None,
            clock_skew: DEFAULT_CLOCK_SKEW,
            ticket_lifetime: DEFAULT_TICKET_LIFETIME,
            renew_lifetime: Duration::ZERO,
            forwardable: false,
            proxiable: false,
            noaddresses: true,
            extra_addresses: Vec::new(),
            canonicalize: false,
            kdc_timesync: true,
            udp_preference_limit: DEFAULT_UDP_PREFERENCE_LIMIT,
            kdc_timeout: None,
            max_retries: None,
            request_timeout: None,
            dns_uri_lookup: true,
            dns_lookup_kdc: true,
            dns_lookup_realm: false,
            realm_try_domains: None,
            dns_canonicalize_hostname: DnsCanonicalization::No,
            rdns: false,
            ignore_acceptor_hostname: false,
            verify_ap_req_nofail: false,
            enforce_ok_as_delegate: false,
            client_aware_channel_bindings: false,
            qualify_shortname: None,
            default_ccache_name: None,
            ccache_type: None,
            kcm_socket: None,
            default_keytab_name: None,
            default_client_keytab_name: None,
            realms: BTreeMap::new(),
            realm_defaults: BTreeMap::new(),
            domain_realm: HashMap::new(),
            capaths: BTreeMap::new(),
            profile: None,
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Reads what it knows; what it does not, it passes over and tells ([`Self::warnings`]).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a value that cannot be what its relation asks for: to go on with a
    /// default there could be weaker than what was meant.
    pub fn from_profile(profile: &Profile) -> Result<Self, ConfigError> {
        let mut config = Self {
            warnings: profile.warnings().to_vec(),
            ..Self::default()
        };
        let lib = LibDefaults {
            profile,
            realm: None,
        };
        config.read_enctypes(lib)?;
        config.read_tickets(lib)?;
        config.read_network(lib)?;
        config.read_host_names(lib)?;
        config.read_places(lib)?;
        config.read_realms(profile)?;
        config.read_capaths(profile);
        for (host, realm) in profile.relations(&["domain_realm"]) {
            config
                .domain_realm
                .entry(host.to_ascii_lowercase())
                .or_insert_with(|| realm.to_owned());
        }
        config.tell_unknown(profile);
        if !profile.content(&["appdefaults"]).is_empty() {
            config.profile = Some(Arc::new(profile.clone()));
        }
        Ok(config)
    }

    /// What was passed over although it may have been meant, such as a misspelt relation.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// The KDCs of `realm` as configured, in order; empty when DNS has to tell.
    #[must_use]
    pub fn kdcs(&self, realm: &str) -> &[String] {
        self.realms
            .get(realm)
            .map_or(&[], |realm| realm.kdcs.as_slice())
    }

    /// Encryption types to ask for in an AS exchange, best first: those of `default_tkt_enctypes`
    /// that are permitted, or all permitted ones.
    #[must_use]
    pub fn as_enctypes(&self) -> Vec<Enctype> {
        self.requested(self.default_tkt_enctypes.as_ref())
    }

    /// Encryption types to ask for in a TGS exchange, best first.
    #[must_use]
    pub fn tgs_enctypes(&self) -> Vec<Enctype> {
        self.requested(self.default_tgs_enctypes.as_ref())
    }

    fn requested(&self, wanted: Option<&EnctypePolicy>) -> Vec<Enctype> {
        let wanted = wanted.unwrap_or(&self.permitted_enctypes);
        wanted
            .enctypes()
            .iter()
            .copied()
            .filter(|&enctype| self.permitted_enctypes.permits(enctype))
            .collect()
    }

    fn read_tickets(&mut self, lib: LibDefaults<'_>) -> Result<(), ConfigError> {
        self.default_realm = lib.text("default_realm");
        set(&mut self.clock_skew, lib.duration("clockskew")?);
        set(&mut self.ticket_lifetime, lib.duration("ticket_lifetime")?);
        set(&mut self.renew_lifetime, lib.duration("renew_lifetime")?);
        set(&mut self.forwardable, lib.boolean("forwardable")?);
        set(&mut self.proxiable, lib.boolean("proxiable")?);
        set(&mut self.noaddresses, lib.boolean("noaddresses")?);
        self.extra_addresses = lib.addresses("extra_addresses")?;
        set(&mut self.canonicalize, lib.boolean("canonicalize")?);
        set(&mut self.kdc_timesync, lib.boolean("kdc_timesync")?);
        let nofail = lib.boolean("verify_ap_req_nofail")?;
        set(&mut self.verify_ap_req_nofail, nofail);
        let enforce = lib.boolean("enforce_ok_as_delegate")?;
        set(&mut self.enforce_ok_as_delegate, enforce);
        let aware = lib.boolean("client_aware_channel_bindings")?;
        set(&mut self.client_aware_channel_bindings, aware);
        let ignore = lib.boolean("ignore_acceptor_hostname")?;
        set(&mut self.ignore_acceptor_hostname, ignore);
        Ok(())
    }

    fn read_network(&mut self, lib: LibDefaults<'_>) -> Result<(), ConfigError> {
        self.kdc_timeout = lib.duration("kdc_timeout")?;
        self.max_retries = lib.number("max_retries")?;
        self.request_timeout = lib.duration("request_timeout")?;
        let fallback = lib.boolean("dns_fallback")?;
        let lookup_kdc = lib.boolean("dns_lookup_kdc")?.or(fallback);
        let lookup_realm = lib.boolean("dns_lookup_realm")?.or(fallback);
        set(&mut self.dns_lookup_kdc, lookup_kdc);
        set(&mut self.dns_lookup_realm, lookup_realm);
        set(&mut self.dns_uri_lookup, lib.boolean("dns_uri_lookup")?);
        let limit = lib.number::<usize>("udp_preference_limit")?;
        let limit = limit.map(|limit| limit.min(MAX_UDP_PREFERENCE_LIMIT));
        set(&mut self.udp_preference_limit, limit);
        Ok(())
    }

    fn read_host_names(&mut self, lib: LibDefaults<'_>) -> Result<(), ConfigError> {
        let name = "dns_canonicalize_hostname";
        self.dns_canonicalize_hostname = match lib.find(name) {
            None => DnsCanonicalization::No,
            Some(found) if found.value.eq_ignore_ascii_case("fallback") => {
                DnsCanonicalization::Fallback
            }
            Some(found) if found.boolean()? => DnsCanonicalization::Yes,
            Some(_) => DnsCanonicalization::No,
        };
        if let Some(found) = lib.find("rdns") {
            self.rdns = found.boolean()?;
            if self.rdns && self.dns_canonicalize_hostname != DnsCanonicalization::No {
                self.warnings.push(found.warning(WarningReason::ReverseDns));
            }
        }
        self.qualify_shortname = lib.text("qualify_shortname");
        // MIT's -1 is for none.
        let domains = lib.parsed("realm_try_domains", |text| text.parse::<i32>().ok())?;
        self.realm_try_domains = domains.and_then(|domains| u32::try_from(domains).ok());
        Ok(())
    }

    fn read_places(&mut self, lib: LibDefaults<'_>) -> Result<(), ConfigError> {
        self.default_ccache_name = lib.text("default_ccache_name");
        self.default_keytab_name = lib.text("default_keytab_name");
        self.default_client_keytab_name = lib.text("default_client_keytab_name");
        self.kcm_socket = lib.text("kcm_socket");
        self.ccache_type = lib.parsed("ccache_type", |text| {
            text.parse()
                .ok()
                .filter(|version| (1..=4).contains(version))
        })?;
        Ok(())
    }
}

fn set<T>(into: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *into = value;
    }
}

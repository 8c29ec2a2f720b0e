//! What krb5.conf says, typed (MIT, krb5.conf(5)).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use trihound_crypto::{Enctype, EnctypePolicy, Status, danger};

use crate::profile::Profile;

/// Clock skew when nothing is configured (RFC 4120 section 8.2 recommends five minutes).
pub const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(300);
/// Ticket lifetime to ask for when nothing is configured, as MIT does.
pub const DEFAULT_TICKET_LIFETIME: Duration = Duration::from_secs(86_400);
/// Longest message that is first tried over UDP when nothing is configured, as MIT does.
pub const DEFAULT_UDP_PREFERENCE_LIMIT: usize = 1465;
/// The largest limit that is taken, as MIT does: a datagram holds no more.
const MAX_UDP_PREFERENCE_LIMIT: usize = 32_700;

/// A relation whose value cannot be what it says.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not a duration.
    #[error("{relation} = {value}: not a duration; write seconds, `10h`, `1d 2h 3m 4s` or `h:m:s`")]
    Duration {
        /// Section and name.
        relation: String,
        /// The value.
        value: String,
    },
    /// Not a truth value.
    #[error("{relation} = {value}: neither true (yes, y, t, 1, on) nor false (no, n, nil, 0, off)")]
    Boolean {
        /// Section and name.
        relation: String,
        /// The value.
        value: String,
    },
    /// Not a number in range.
    #[error("{relation} = {value}: not a number in range")]
    Number {
        /// Section and name.
        relation: String,
        /// The value.
        value: String,
    },
    /// A list of encryption types in which nothing usable is left.
    #[error(
        "{relation} = {value}: no encryption type is left that is supported and permitted; \
         rc4-hmac needs allow_rc4 = true"
    )]
    NoEnctype {
        /// Section and name.
        relation: String,
        /// The value.
        value: String,
    },
}

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

/// The configuration of a realm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealmConfig {
    /// KDCs in the order to try, each `host`, `host:port`, `[address]:port` or a URL.
    pub kdcs: Vec<String>,
    /// KDCs that know a changed password first (`primary_kdc`, once `master_kdc`).
    pub primary_kdcs: Vec<String>,
    /// Administration servers.
    pub admin_servers: Vec<String>,
    /// Password-change servers; when empty, the administration servers at port 464.
    pub kpasswd_servers: Vec<String>,
    /// Domain of the realm's hosts with short names.
    pub default_domain: Option<String>,
    /// Certificates that a KDC proxy's may be checked against, each `FILE:path`, `DIR:path` or
    /// `ENV:variable`; when empty, those of the system.
    pub http_anchors: Vec<String>,
    /// The site of this host, whose KDCs are asked for first in DNS.
    pub sitename: Option<String>,
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
    /// Whether host names of services are looked up in DNS.
    pub dns_canonicalize_hostname: DnsCanonicalization,
    /// Whether that lookup includes the reverse one.
    pub rdns: bool,
    /// Whether an acceptor takes tickets for any host name of its service.
    pub ignore_acceptor_hostname: bool,
    /// Domain for host names without a dot.
    pub qualify_shortname: Option<String>,
    /// The credential cache, such as `FILE:...`, with `%{uid}` and the like unexpanded.
    pub default_ccache_name: Option<String>,
    /// The socket of the KCM daemon; the usual one when `None`.
    pub kcm_socket: Option<String>,
    /// The keytab of services.
    pub default_keytab_name: Option<String>,
    /// The keytab of clients.
    pub default_client_keytab_name: Option<String>,
    /// What is known of each realm.
    pub realms: BTreeMap<String, RealmConfig>,
    domain_realm: HashMap<String, String>,
    warnings: Vec<String>,
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
            canonicalize: false,
            kdc_timesync: true,
            udp_preference_limit: DEFAULT_UDP_PREFERENCE_LIMIT,
            kdc_timeout: None,
            max_retries: None,
            request_timeout: None,
            dns_uri_lookup: true,
            dns_lookup_kdc: true,
            dns_lookup_realm: false,
            dns_canonicalize_hostname: DnsCanonicalization::No,
            rdns: true,
            ignore_acceptor_hostname: false,
            qualify_shortname: None,
            default_ccache_name: None,
            kcm_socket: None,
            default_keytab_name: None,
            default_client_keytab_name: None,
            realms: BTreeMap::new(),
            domain_realm: HashMap::new(),
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Reads what it knows and passes over what it does not.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a value that cannot be what its relation asks for: to go on with a
    /// default there could be weaker than what was meant.
    pub fn from_profile(profile: &Profile) -> Result<Self, ConfigError> {
        let mut config = Self {
            warnings: profile.ignored().to_vec(),
            ..Self::default()
        };
        let lib = LibDefaults { profile };
        config.default_realm = lib.text("default_realm");
        config.read_enctypes(&lib)?;
        lib.duration("clockskew", &mut config.clock_skew)?;
        lib.duration("ticket_lifetime", &mut config.ticket_lifetime)?;
        lib.duration("renew_lifetime", &mut config.renew_lifetime)?;
        lib.boolean("forwardable", &mut config.forwardable)?;
        lib.boolean("proxiable", &mut config.proxiable)?;
        lib.boolean("noaddresses", &mut config.noaddresses)?;
        lib.boolean("canonicalize", &mut config.canonicalize)?;
        lib.boolean("kdc_timesync", &mut config.kdc_timesync)?;
        config.kdc_timeout = lib.optional_duration("kdc_timeout")?;
        config.max_retries = lib.number("max_retries")?;
        config.request_timeout = lib.optional_duration("request_timeout")?;
        config.kcm_socket = lib.text("kcm_socket");
        lib.boolean("dns_uri_lookup", &mut config.dns_uri_lookup)?;
        lib.boolean("dns_lookup_kdc", &mut config.dns_lookup_kdc)?;
        lib.boolean("dns_lookup_realm", &mut config.dns_lookup_realm)?;
        lib.boolean("rdns", &mut config.rdns)?;
        lib.boolean(
            "ignore_acceptor_hostname",
            &mut config.ignore_acceptor_hostname,
        )?;
        config.read_canonicalization(&lib)?;
        config.udp_preference_limit = lib
            .number("udp_preference_limit")?
            .unwrap_or(DEFAULT_UDP_PREFERENCE_LIMIT)
            .min(MAX_UDP_PREFERENCE_LIMIT);
        config.qualify_shortname = lib.text("qualify_shortname");
        config.default_ccache_name = lib.text("default_ccache_name");
        config.default_keytab_name = lib.text("default_keytab_name");
        config.default_client_keytab_name = lib.text("default_client_keytab_name");
        for realm in profile.subsections(&["realms"]) {
            let read = realm_config(profile, realm);
            config.realms.insert(realm.to_owned(), read);
        }
        for (host, realm) in profile.relations(&["domain_realm"]) {
            config
                .domain_realm
                .entry(host.to_ascii_lowercase())
                .or_insert_with(|| realm.to_owned());
        }
        Ok(config)
    }

    /// What was passed over although it may have been meant: unknown encryption types, modules.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
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

    /// Maps a host name, or with a leading dot a domain, to a realm; the last such mapping of a
    /// name counts.
    pub fn map_domain(&mut self, host_or_domain: &str, realm: &str) {
        self.domain_realm
            .insert(host_or_domain.to_ascii_lowercase(), realm.to_owned());
    }

    /// The realm that `[domain_realm]` gives a host: an entry for the host itself, else for the
    /// closest domain around it, with or without its leading dot, as MIT searches.
    ///
    /// An IP address is in no domain. Case and a final dot do not count.
    #[must_use]
    pub fn realm_of_host(&self, host: &str) -> Option<&str> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Some(realm) = self.domain_realm.get(&host.to_ascii_lowercase()) {
            return Some(realm);
        }
        if host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let host = host.to_ascii_lowercase();
        let mut rest = host.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            let found = self
                .domain_realm
                .get(&format!(".{parent}"))
                .or_else(|| self.domain_realm.get(parent));
            if found.is_some() {
                return found.map(String::as_str);
            }
            rest = parent;
        }
        None
    }

    fn read_enctypes(&mut self, lib: &LibDefaults<'_>) -> Result<(), ConfigError> {
        let mut allow = Weak::default();
        lib.boolean("allow_rc4", &mut allow.rc4)?;
        lib.boolean("allow_weak_crypto", &mut allow.listed)?;
        let warnings = &mut self.warnings;
        let mut read = |name: &str| {
            lib.value(name)
                .map(|text| enctypes(name, text, allow, warnings))
                .transpose()
        };
        let permitted = read("permitted_enctypes")?;
        self.default_tkt_enctypes = read("default_tkt_enctypes")?;
        self.default_tgs_enctypes = read("default_tgs_enctypes")?;
        self.permitted_enctypes = match permitted {
            Some(policy) => policy,
            None => enctypes("permitted_enctypes", "DEFAULT", allow, warnings)?,
        };
        Ok(())
    }

    fn read_canonicalization(&mut self, lib: &LibDefaults<'_>) -> Result<(), ConfigError> {
        let name = "dns_canonicalize_hostname";
        self.dns_canonicalize_hostname = if lib.value(name) == Some("fallback") {
            DnsCanonicalization::Fallback
        } else {
            let mut yes = false;
            lib.boolean(name, &mut yes)?;
            if yes {
                DnsCanonicalization::Yes
            } else {
                DnsCanonicalization::No
            }
        };
        Ok(())
    }
}

/// Which weak encryption types the configuration allows.
#[derive(Clone, Copy, Default)]
struct Weak {
    /// RC4, also as a part of the default list.
    rc4: bool,
    /// Those that a list names.
    listed: bool,
}

struct LibDefaults<'a> {
    profile: &'a Profile,
}

impl<'a> LibDefaults<'a> {
    fn value(&self, name: &str) -> Option<&'a str> {
        self.profile.value(&["libdefaults", name])
    }

    fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(str::to_owned)
    }

    fn duration(&self, name: &str, into: &mut Duration) -> Result<(), ConfigError> {
        if let Some(duration) = self.optional_duration(name)? {
            *into = duration;
        }
        Ok(())
    }

    fn optional_duration(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        self.value(name)
            .map(|value| {
                parse_duration(value).ok_or_else(|| ConfigError::Duration {
                    relation: relation(name),
                    value: value.to_owned(),
                })
            })
            .transpose()
    }

    fn boolean(&self, name: &str, into: &mut bool) -> Result<(), ConfigError> {
        if let Some(value) = self.value(name) {
            *into = parse_boolean(value).ok_or_else(|| ConfigError::Boolean {
                relation: relation(name),
                value: value.to_owned(),
            })?;
        }
        Ok(())
    }

    fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, ConfigError> {
        self.value(name)
            .map(|value| {
                value.parse().map_err(|_| ConfigError::Number {
                    relation: relation(name),
                    value: value.to_owned(),
                })
            })
            .transpose()
    }
}

fn relation(name: &str) -> String {
    format!("[libdefaults] {name}")
}

fn realm_config(profile: &Profile, realm: &str) -> RealmConfig {
    let list = |name: &str| -> Vec<String> {
        profile
            .values(&["realms", realm, name])
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    let mut primary_kdcs = list("primary_kdc");
    if primary_kdcs.is_empty() {
        primary_kdcs = list("master_kdc");
    }
    RealmConfig {
        kdcs: list("kdc"),
        primary_kdcs,
        admin_servers: list("admin_server"),
        kpasswd_servers: list("kpasswd_server"),
        default_domain: profile
            .value(&["realms", realm, "default_domain"])
            .map(str::to_owned),
        http_anchors: list("http_anchors"),
        sitename: profile
            .value(&["realms", realm, "sitename"])
            .map(str::to_owned),
    }
}

/// Reads MIT's list of encryption types: names, families and `DEFAULT`, a `-` before what is to
/// go; unknown names are passed over with a warning.
fn enctypes(
    name: &str,
    text: &str,
    allow: Weak,
    warnings: &mut Vec<String>,
) -> Result<EnctypePolicy, ConfigError> {
    let mut list: Vec<Enctype> = Vec::new();
    for token in text.split([' ', '\t', ',', '\r', '\n']) {
        let (removes, token) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token.strip_prefix('+').unwrap_or(token)),
        };
        if token.is_empty() {
            continue;
        }
        let meant = family(token, allow);
        if meant.is_empty() {
            warnings.push(format!(
                "{}: {token:?} is not an encryption type that is supported; passed over",
                relation(name)
            ));
        }
        for enctype in meant {
            if removes {
                list.retain(|listed| *listed != enctype);
            } else if !list.contains(&enctype) {
                list.push(enctype);
            }
        }
    }
    list.retain(|enctype| {
        let is_weak = enctype
            .profile()
            .is_some_and(|profile| profile.status == Status::Weak);
        let allowed = allow.listed || (allow.rc4 && *enctype == Enctype::RC4_HMAC);
        if is_weak && !allowed {
            warnings.push(format!(
                "{}: {enctype} is weak and allow_rc4 is not set; passed over",
                relation(name)
            ));
        }
        !is_weak || allowed
    });
    danger::only_with_weak(&list).map_err(|_| ConfigError::NoEnctype {
        relation: relation(name),
        value: text.to_owned(),
    })
}

fn family(token: &str, allow: Weak) -> Vec<Enctype> {
    let default = EnctypePolicy::default();
    if token.eq_ignore_ascii_case("default") {
        let mut list = default.enctypes().to_vec();
        if allow.rc4 {
            list.push(Enctype::RC4_HMAC);
        }
        return list;
    }
    if token.eq_ignore_ascii_case("aes") {
        return default.enctypes().to_vec();
    }
    if token.eq_ignore_ascii_case("rc4") {
        return vec![Enctype::RC4_HMAC];
    }
    Enctype::from_name(token).into_iter().collect()
}

/// Reads a truth value as krb5.conf spells it.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["y", "yes", "true", "t", "1", "on"]) {
        return Some(true);
    }
    is_one_of(&["n", "no", "false", "nil", "0", "off"]).then_some(false)
}

/// Reads a duration as krb5.conf and kinit spell it: seconds, `1d 2h 3m 4s` in this order with
/// any part left out, `h:m`, `h:m:s`, or `d-h:m:s`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let seconds = if text.contains(':') {
        let (days, clock) = match text.split_once('-') {
            Some((days, clock)) => (number(days)?, clock),
            None => (0, text),
        };
        let mut parts = clock.split(':');
        let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
        let seconds = parts.next().map_or(Some(0), number)?;
        if parts.next().is_some() {
            return None;
        }
        sum(&[(days, 86_400), (hours, 3600), (minutes, 60), (seconds, 1)])?
    } else if let Some(seconds) = number(text) {
        seconds
    } else {
        if text.is_empty() {
            return None;
        }
        let mut rest = text;
        let mut total: u64 = 0;
        let mut units = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)].iter();
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (digits, tail) = rest.split_at_checked(end)?;
            let tail = tail.trim_start();
            let letter = tail.chars().next()?.to_ascii_lowercase();
            let (_, unit) = units.find(|(name, _)| *name == letter)?;
            total = total.checked_add(number(digits)?.checked_mul(*unit)?)?;
            rest = tail.get(1..)?.trim_start();
        }
        total
    };
    // A duration past 32 bits of seconds cannot be told from a mistake, nor put into a file.
    u32::try_from(seconds)
        .ok()
        .map(|seconds| Duration::from_secs(seconds.into()))
}

/// Digits only: neither a sign nor an empty text is a number here.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn sum(parts: &[(u64, u64)]) -> Option<u64> {
    parts.iter().try_fold(0_u64, |total, (count, unit)| {
        total.checked_add(count.checked_mul(*unit)?)
    })
}

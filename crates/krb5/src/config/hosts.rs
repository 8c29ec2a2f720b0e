//! From hosts to realms, and the names of hosts in services' names.

use std::net::IpAddr;

use super::Config;

impl Config {
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

    /// The realm to try for a host that no entry of `[domain_realm]` is for and that the client's
    /// KDC does not know: of the host's name and as many domains around it as `realm_try_domains`
    /// says, the first that is a realm of `[realms]`, in upper case; else the domain of the host.
    ///
    /// MIT also looks each of them up in DNS; so whoever answers for DNS could choose the realm.
    #[must_use]
    pub fn fallback_realm(&self, host: &str) -> Option<String> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let host = host.to_ascii_uppercase();
        let around = core::iter::successors(Some(host.as_str()), |name| {
            name.split_once('.').map(|(_, parent)| parent)
        });
        let tried = self.realm_try_domains.map_or(0, |domains| {
            usize::try_from(domains).map_or(usize::MAX, |count| count.saturating_add(1))
        });
        // MIT goes no further than to names of two labels.
        let mut candidates = around.filter(|name| name.contains('.')).take(tried);
        let known = candidates.find(|name| self.realms.contains_key(*name));
        let (_, domain) = host.split_once('.')?;
        let realm = known.unwrap_or(domain);
        (!realm.is_empty()).then(|| realm.to_owned())
    }

    /// A host name without a domain, with the one of `qualify_shortname`; `None` for a name that has
    /// a domain, or where none is configured.
    ///
    /// Where `qualify_shortname` is not set, MIT adds the machine's first search domain. Here a short
    /// name then stays as it is: the search domain is what the network says it is.
    #[must_use]
    pub fn qualified_host(&self, host: &str) -> Option<String> {
        let domain = self.qualify_shortname.as_deref()?.trim_matches('.');
        let is_short = !host.is_empty() && !host.contains(['.', ':']);
        (is_short && !domain.is_empty()).then(|| format!("{host}.{domain}"))
    }
}

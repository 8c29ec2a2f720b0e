//! resolv.conf(5): who is asked, how long, and how a short name is completed.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of name servers (RFC 1035 section 4.2).
pub const DNS_PORT: u16 = 53;
/// resolv.conf(5): at most three name servers are asked.
const MAX_NAME_SERVERS: usize = 3;
/// resolv.conf(5) allows any number of domains today; no real one has this many.
const MAX_SEARCH_DOMAINS: usize = 32;
/// resolv.conf(5): the largest values that the options take.
const MAX_NDOTS: usize = 15;
const MAX_TIMEOUT: u64 = 30;
pub(super) const MAX_ATTEMPTS: usize = 5;

/// Whom a [`crate::SystemResolver`] asks, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolverConfig {
    /// The name servers, in the order of asking.
    pub name_servers: Vec<SocketAddr>,
    /// How a short name is completed.
    pub search: SearchRules,
    /// How long a name server may take (`timeout:n`).
    pub timeout: Duration,
    /// How often each is asked (`attempts:n`); five times at most.
    pub attempts: usize,
    /// Whether the first to be asked changes from one question to the next (`rotate`).
    pub rotate: bool,
    /// Whether TCP is used from the start (`use-vc`).
    pub use_tcp: bool,
}

/// How a short name is completed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchRules {
    /// The domains to put behind a name, in order, without the dot at the end.
    pub domains: Vec<String>,
    /// A name with at least this many dots is tried as it is first.
    pub ndots: usize,
}

impl Default for SearchRules {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            ndots: 1,
        }
    }
}

impl SearchRules {
    /// The complete names that `name` may stand for, in the order of asking.
    #[must_use]
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(complete) = name.strip_suffix('.') {
            return vec![complete.to_owned()];
        }
        let completed = self.domains.iter().map(|domain| format!("{name}.{domain}"));
        let as_is = core::iter::once(name.to_owned());
        if name.matches('.').count() >= self.ndots {
            as_is.chain(completed).collect()
        } else {
            completed.chain(as_is).collect()
        }
    }
}

impl ResolverConfig {
    /// The usual times, and these name servers.
    #[must_use]
    pub fn new(name_servers: Vec<SocketAddr>) -> Self {
        Self {
            name_servers,
            search: SearchRules::default(),
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            use_tcp: false,
        }
    }

    /// Reads the text of a resolv.conf. What it does not know it passes over, as every reader of
    /// that file does. With no usable `nameserver` line it is this machine's own.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut config = Self::new(Vec::new());
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(name_server);
                    if config.name_servers.len() < MAX_NAME_SERVERS {
                        config.name_servers.extend(server);
                    }
                }
                // The last of these lines counts.
                Some("search") => config.search.domains = domains(words),
                Some("domain") => config.search.domains = domains(words.take(1)),
                Some("options") => words.for_each(|option| config.option(option)),
                _ => {}
            }
        }
        if config.name_servers.is_empty() {
            let own = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DNS_PORT);
            config.name_servers.push(own);
        }
        config
    }

    fn option(&mut self, option: &str) {
        let (name, value) = option.split_once(':').unwrap_or((option, ""));
        match name {
            "ndots" => {
                if let Ok(dots) = value.parse::<usize>() {
                    self.search.ndots = dots.min(MAX_NDOTS);
                }
            }
            "timeout" => {
                if let Ok(seconds) = value.parse::<u64>() {
                    self.timeout = Duration::from_secs(seconds.clamp(1, MAX_TIMEOUT));
                }
            }
            "attempts" => {
                if let Ok(attempts) = value.parse::<usize>() {
                    self.attempts = attempts.clamp(1, MAX_ATTEMPTS);
                }
            }
            "rotate" => self.rotate = true,
            "use-vc" | "usevc" | "tcp" => self.use_tcp = true,
            _ => {}
        }
    }
}

fn domains<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words
        .map(|domain| domain.trim_matches('.').to_owned())
        .filter(|domain| !domain.is_empty())
        .take(MAX_SEARCH_DOMAINS)
        .collect()
}

/// An address, of IPv6 perhaps with the scope behind it: `fe80::1%2`.
fn name_server(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, DNS_PORT));
    }
    let (address, scope) = text.split_once('%')?;
    let scope = scope.parse().or_else(|_| interface(scope)).ok()?;
    let address = address.parse().ok()?;
    Some(std::net::SocketAddrV6::new(address, DNS_PORT, 0, scope).into())
}

/// The number of a network interface by its name.
fn interface(name: &str) -> Result<u32, ()> {
    // Linux tells it in a file; elsewhere the number itself has to be written.
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !plain {
        return Err(());
    }
    std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_manual_page_says() {
        let config = ResolverConfig::parse(
            "# a comment\n; another\nnameserver 192.0.2.1\nnameserver 2001:db8::53\n\
             nameserver fe80::1%7\nnameserver 192.0.2.4\nnameserver rubbish\n\
             domain old.example\nsearch a.example. b.example\n\
             options ndots:2 timeout:1 attempts:3 rotate use-vc edns0 unknown:9\n\
             sortlist 192.0.2.0/24\n",
        );
        let servers: Vec<_> = config
            .name_servers
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            servers,
            ["192.0.2.1:53", "[2001:db8::53]:53", "[fe80::1%7]:53"]
        );
        assert_eq!(config.search.domains, ["a.example", "b.example"]);
        assert_eq!(config.search.ndots, 2);
        assert_eq!(config.timeout, Duration::from_secs(1));
        assert_eq!(config.attempts, 3);
        assert!(config.rotate && config.use_tcp);
    }

    #[test]
    fn values_out_of_range_are_brought_into_it() {
        let config = ResolverConfig::parse("options ndots:99 timeout:0 attempts:99\n");
        assert_eq!((config.search.ndots, config.attempts), (15, 5));
        assert_eq!(config.timeout, Duration::from_secs(1));
        let config = ResolverConfig::parse("options timeout:99 attempts:0 ndots:x");
        assert_eq!((config.search.ndots, config.attempts), (1, 1));
        assert_eq!(config.timeout, Duration::from_secs(30));
    }

    #[test]
    fn an_empty_file_means_this_machine() {
        let config = ResolverConfig::parse("");
        assert_eq!(config.name_servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(config.attempts, 2);
        assert_eq!(config.timeout, Duration::from_secs(5));
    }

    #[test]
    fn the_last_of_domain_and_search_counts() {
        let of = |text| ResolverConfig::parse(text).search.domains;
        assert_eq!(of("search a b\ndomain c d\n"), ["c"]);
        assert_eq!(of("domain c\nsearch a b\n"), ["a", "b"]);
        assert_eq!(of("search .\n"), [""; 0]);
    }

    #[test]
    fn short_names_are_completed_first_and_long_ones_last() {
        let rules = SearchRules {
            domains: vec!["a".into(), "b".into()],
            ndots: 2,
        };
        assert_eq!(rules.candidates("h"), ["h.a", "h.b", "h"]);
        assert_eq!(rules.candidates("h.x"), ["h.x.a", "h.x.b", "h.x"]);
        assert_eq!(rules.candidates("h.x.y"), ["h.x.y", "h.x.y.a", "h.x.y.b"]);
        assert_eq!(rules.candidates("h."), ["h"]);
        assert_eq!(SearchRules::default().candidates("h"), ["h"]);
    }
}

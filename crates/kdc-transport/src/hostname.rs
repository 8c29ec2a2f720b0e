//! Full names of hosts, and realms of hosts, out of DNS.

use std::net::IpAddr;

use tracing::debug;
use trihound_krb5::Config;
use trihound_sansio::{ExchangeRequest, Service, TransportFailure};

use crate::dns::{Record, RecordType, Resolve, ResolveError};

/// How many domains around a host are asked for its realm.
const MAX_DOMAINS: usize = 8;
/// The longest name of a realm that is taken from DNS.
const MAX_REALM_LENGTH: usize = 255;

/// Answers a request that goes to DNS and not to a server; `None` for one that is none of those.
/// Blocking.
pub(crate) fn answer(
    config: &Config,
    request: &ExchangeRequest,
    resolver: &dyn Resolve,
) -> Option<Result<Vec<u8>, TransportFailure>> {
    let find: fn(&Config, &str, &dyn Resolve) -> Result<String, Failure> = match request.service {
        Service::HostName { reverse: false } => {
            |config, host, resolver| full_name(config, host, resolver).map(|found| found.name)
        }
        Service::HostName { reverse: true } => name_of_address,
        Service::HostRealm => |_, host, resolver| realm_of(host, resolver),
        _ => return None,
    };
    let host = core::str::from_utf8(&request.message).unwrap_or_default();
    Some(
        find(config, host, resolver)
            .map(String::into_bytes)
            .map_err(|failure| TransportFailure {
                realm: request.realm.clone(),
                attempts: failure.attempts,
                advice: failure.advice,
            }),
    )
}

/// What was asked in vain, and what to do.
struct Failure {
    attempts: Vec<String>,
    advice: String,
}

/// What is known of a host.
struct FullName {
    name: String,
    address: Option<IpAddr>,
}

/// The name at the end of the aliases: of the machine's own list, else of DNS by its search rules.
fn full_name(config: &Config, host: &str, resolver: &dyn Resolve) -> Result<FullName, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(FullName {
            name: host.to_ascii_lowercase(),
            address: Some(address),
        });
    }
    let mut found = match resolver.host_entry(host) {
        Some(entry) => FullName {
            address: entry.addresses.first().copied(),
            name: entry.name,
        },
        None => in_dns(host, resolver)?,
    };
    if !found.name.contains('.') {
        // MIT's krb5.conf(5): a name that is still short gets this domain, by default the first
        // that the machine searches; an empty one means none.
        let first = || resolver.search_rules().domains.first().cloned();
        let domain = config.qualify_shortname.clone().or_else(first);
        if let Some(domain) = domain.filter(|domain| !domain.is_empty()) {
            found.name = format!("{}.{}", found.name, domain.to_ascii_lowercase());
        }
    }
    debug!(
        host,
        name = found.name,
        "the full name of {host} is {}",
        found.name
    );
    Ok(found)
}

fn in_dns(host: &str, resolver: &dyn Resolve) -> Result<FullName, Failure> {
    let mut attempts = Vec::new();
    for name in resolver.search_rules().candidates(host) {
        for kind in [RecordType::A, RecordType::Aaaa] {
            match resolver.query(&name, kind) {
                Ok(answer) => {
                    let address = answer.records.iter().find_map(|record| match record {
                        Record::Address(address) => Some(*address),
                        _ => None,
                    });
                    if address.is_some() && !answer.name.is_empty() {
                        let name = answer.name;
                        return Ok(FullName { name, address });
                    }
                    attempts.push(format!("DNS: no {kind} record of {name}"));
                }
                Err(error) => {
                    let over = is_over(&error);
                    attempts.push(format!("DNS: {error}"));
                    if over {
                        return Err(unknown_host(host, attempts));
                    }
                }
            }
        }
    }
    Err(unknown_host(host, attempts))
}

fn unknown_host(host: &str, attempts: Vec<String>) -> Failure {
    Failure {
        attempts,
        advice: format!(
            "check the name of the host {host:?}, or set `dns_canonicalize_hostname = false` in \
             [libdefaults] of krb5.conf, so that names are taken as they are given"
        ),
    }
}

/// The name in the PTR record of the host's first address, else the full name.
fn name_of_address(config: &Config, host: &str, resolver: &dyn Resolve) -> Result<String, Failure> {
    let found = full_name(config, host, resolver)?;
    let Some(address) = found.address else {
        return Ok(found.name);
    };
    let answer = resolver.query(&reverse_name(address), RecordType::Ptr);
    let names = answer.map(|answer| answer.records).unwrap_or_default();
    let name = names.into_iter().find_map(|record| match record {
        Record::Ptr(name) if !name.is_empty() => Some(name),
        _ => None,
    });
    Ok(name.unwrap_or(found.name))
}

/// RFC 1035 section 3.5 and RFC 3596 section 2.5.
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let mut name = String::with_capacity(72);
            for octet in address.octets().into_iter().rev() {
                name.push_str(&format!("{:x}.{:x}.", octet & 0xf, octet >> 4));
            }
            name.push_str("ip6.arpa");
            name
        }
    }
}

/// The TXT record `_kerberos` of the host, else of the domains around it but the topmost.
fn realm_of(host: &str, resolver: &dyn Resolve) -> Result<String, Failure> {
    let mut attempts = Vec::new();
    let mut domain = host.trim_end_matches('.');
    for _ in 0..MAX_DOMAINS {
        let name = format!("_kerberos.{domain}");
        match resolver.query(&name, RecordType::Txt) {
            Ok(answer) => {
                let realm = answer.records.into_iter().find_map(|record| match record {
                    Record::Txt(text) => Some(text.trim_end_matches('.').to_owned()),
                    _ => None,
                });
                if let Some(realm) = realm.filter(|realm| is_realm(realm)) {
                    debug!(host, realm, "DNS says that {host} is in realm {realm}");
                    return Ok(realm);
                }
                attempts.push(format!("DNS: no TXT record of {name} that names a realm"));
            }
            Err(error) => {
                let over = is_over(&error);
                attempts.push(format!("DNS: {error}"));
                if over {
                    break;
                }
            }
        }
        match domain.split_once('.') {
            // Nobody's realm is that of a whole top-level domain.
            Some((_, rest)) if rest.contains('.') => domain = rest,
            _ => break,
        }
    }
    Err(Failure {
        attempts,
        advice: format!("write the realm of {host:?} into [domain_realm] of krb5.conf"),
    })
}

/// RFC 4120 section 6.1: realms of the domain style have none of these.
fn is_realm(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_REALM_LENGTH
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'@' | b'\\'))
}

/// Whether asking for other names would only take as long again for nothing.
fn is_over(error: &ResolveError) -> bool {
    matches!(
        error,
        ResolveError::Silent { .. } | ResolveError::NoNameServers(_)
    )
}

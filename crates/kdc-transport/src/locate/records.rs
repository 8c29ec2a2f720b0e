//! The servers that DNS has for a realm.

use trihound_crypto::OsRandom;

use super::order::{Weighted, by_priority_and_weight};
use super::{Server, ServerProtocol, entry};
use crate::dns::{Record, RecordType, Resolve, ResolveError};

/// How many records of one name are taken.
const MAX_RECORDS: usize = 64;

/// What to look for.
pub(super) struct Lookup<'a> {
    pub(super) realm: &'a str,
    /// The service's label, `_kerberos` or `_kpasswd`.
    pub(super) service: &'a str,
    /// The label for SRV records, which is another one where only primary KDCs are wanted.
    pub(super) srv_service: &'a str,
    pub(super) port: u16,
    pub(super) site: Option<&'a str>,
    pub(super) uri: bool,
    pub(super) primary_only: bool,
}

/// What was found, and lines about what was not.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) servers: Vec<Server>,
    pub(super) lines: Vec<String>,
    /// The name servers are out of reach: asking on is waiting on.
    pub(super) over: bool,
}

impl Found {
    pub(super) fn add(&mut self, server: Server) {
        if !self.servers.iter().any(|known| known.same_place(&server)) {
            self.servers.push(server);
        }
    }
}

impl Lookup<'_> {
    /// The servers of the site if there is one and it has any, else those of the realm.
    pub(super) fn run(&self, resolver: &dyn Resolve, found: &mut Found) {
        for site in [self.site, None]
            .into_iter()
            .skip(usize::from(self.site.is_none()))
        {
            self.of_site(site, resolver, found);
            if !found.servers.is_empty() || found.over {
                return;
            }
        }
    }

    fn of_site(&self, site: Option<&str>, resolver: &dyn Resolve, found: &mut Found) {
        let tail = match site {
            Some(site) => format!("{site}._sites.{}", self.realm),
            None => self.realm.to_owned(),
        };
        if self.uri {
            self.uris(&format!("{}.{tail}", self.service), resolver, found);
        }
        // Where there are proxies only, a client that cannot reach them may still reach a KDC.
        let direct = |server: &Server| !matches!(server.protocol, ServerProtocol::Https { .. });
        if found.over || found.servers.iter().any(direct) {
            return;
        }
        let udp = self.services(
            &format!("{}._udp.{tail}", self.srv_service),
            resolver,
            found,
        );
        if found.over {
            return;
        }
        let tcp = self.services(
            &format!("{}._tcp.{tail}", self.srv_service),
            resolver,
            found,
        );
        merge(&udp, &tcp, self.primary_only, found);
    }

    fn uris(&self, name: &str, resolver: &dyn Resolve, found: &mut Found) {
        let mut targets = Vec::new();
        for record in ask(name, RecordType::Uri, resolver, found) {
            if let Record::Uri {
                priority,
                weight,
                target,
            } = record
            {
                targets.push(Target {
                    priority,
                    weight,
                    value: target,
                });
            }
        }
        for target in by_priority_and_weight(targets, &OsRandom) {
            match entry::parse_uri(&target.value, self.port) {
                Ok(server) if self.primary_only && !server.primary => {}
                Ok(server) => found.add(server),
                Err(line) => found.lines.push(format!("DNS: URI {name}: {line}")),
            }
        }
    }

    /// The hosts and ports of an SRV record.
    fn services(
        &self,
        name: &str,
        resolver: &dyn Resolve,
        found: &mut Found,
    ) -> Vec<(String, u16)> {
        let mut targets = Vec::new();
        let records = ask(name, RecordType::Srv, resolver, found);
        for record in records {
            if let Record::Srv {
                priority,
                weight,
                port,
                target,
            } = record
            {
                // RFC 2782: a target of "." means that the service is decidedly not available.
                if target.is_empty() || port == 0 {
                    found.lines.push(format!(
                        "DNS: SRV {name} says that the service is not offered"
                    ));
                } else {
                    targets.push(Target {
                        priority,
                        weight,
                        value: (target, port),
                    });
                }
            }
        }
        by_priority_and_weight(targets, &OsRandom)
            .into_iter()
            .map(|target| target.value)
            .collect()
    }
}

/// Who stands in both lists can be reached either way. The order is that of the datagrams' list.
fn merge(udp: &[(String, u16)], tcp: &[(String, u16)], primary: bool, found: &mut Found) {
    let mut add = |(host, port): &(String, u16), protocol| {
        let mut server = Server::new(host.as_str(), *port, protocol);
        server.primary = primary;
        found.add(server);
    };
    for place in udp {
        let both = tcp.contains(place);
        add(
            place,
            if both {
                ServerProtocol::Any
            } else {
                ServerProtocol::Udp
            },
        );
    }
    for place in tcp.iter().filter(|place| !udp.contains(place)) {
        add(place, ServerProtocol::Tcp);
    }
}

fn ask(
    name: &str,
    kind: RecordType,
    resolver: &dyn Resolve,
    found: &mut Found,
) -> impl Iterator<Item = Record> + use<> {
    let records = match resolver.query(name, kind) {
        Ok(answer) => {
            if answer.records.is_empty() {
                found.lines.push(format!("DNS: no {kind} record of {name}"));
            }
            answer.records
        }
        Err(error) => {
            found.over = matches!(
                error,
                ResolveError::Silent { .. } | ResolveError::NoNameServers(_)
            );
            found.lines.push(format!("DNS: {error}"));
            Vec::new()
        }
    };
    records.into_iter().take(MAX_RECORDS)
}

struct Target<T> {
    priority: u16,
    weight: u16,
    value: T,
}

impl<T> Weighted for Target<T> {
    fn priority(&self) -> u16 {
        self.priority
    }
    fn weight(&self) -> u16 {
        self.weight
    }
}

//! Which servers of a realm there are.

mod server;

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, SocketAddr};

use trihound_krb5::Config;
use trihound_sansio::{ExchangeRequest, Service, TransportFailure};

use crate::dns::Resolve;
pub use server::{Server, ServerProtocol};

/// The port of the Kerberos service (RFC 4120 section 7.2).
pub const KDC_PORT: u16 = 88;
/// The port of the password-change service (RFC 3244 section 2).
pub const KPASSWD_PORT: u16 = 464;
/// The port of HTTPS, where a KDC proxy listens.
pub const HTTPS_PORT: u16 = 443;

/// The servers to ask, in the order of asking. Blocking, since DNS may be asked.
///
/// With [`trihound_sansio::TransportHint::is_primary_only`], only those that are known to be
/// primary KDCs.
///
/// # Errors
///
/// [`TransportFailure`] that says what was looked for and what to configure, when there is none.
#[allow(dead_code)] // until the race asks for it
pub(crate) fn locate(
    config: &Config,
    request: &ExchangeRequest,
    resolver: &dyn Resolve,
) -> Result<Vec<Server>, TransportFailure> {
    let _ = resolver;
    let mut all: Vec<Server> = servers(config, request)?
        .into_iter()
        .map(|address| Server::new(address.host, address.port, ServerProtocol::Any))
        .collect();
    if request.hint.is_primary_only() {
        all.retain(|server| server.primary);
    }
    if all.is_empty() {
        return Err(TransportFailure::no_primary(&request.realm));
    }
    Ok(all)
}

/// A host, by name or by address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// The name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl ServerAddress {
    /// Reads `host`, `host:port`, `[address]:port` or a bare IPv6 address.
    #[must_use]
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        let text = text.trim();
        if let Ok(address) = IpAddr::from_str(text) {
            return Some(Self {
                host: address.to_string(),
                port: default_port,
            });
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, behind) = rest.split_once(']')?;
            let port = match behind.strip_prefix(':') {
                Some(port) => port.parse().ok()?,
                None if behind.is_empty() => default_port,
                None => return None,
            };
            (host, port)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (text, default_port),
            }
        };
        let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        (plain && port != 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The socket address, if the host is an IP address.
    #[must_use]
    pub fn literal(&self) -> Option<SocketAddr> {
        let address = IpAddr::from_str(&self.host).ok()?;
        Some(SocketAddr::new(address, self.port))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One entry of krb5.conf that names a server, as far as this transport can use it.
enum Entry {
    Address(ServerAddress),
    Unusable(String),
}

/// The servers to ask, in the configured order.
///
/// # Errors
///
/// [`TransportFailure`] that says what to configure, when there is none.
pub(crate) fn servers(
    config: &Config,
    request: &ExchangeRequest,
) -> Result<Vec<ServerAddress>, TransportFailure> {
    let realm = request.realm.as_str();
    let entries = match (&request.route, request.service) {
        // What the protocol prescribes goes before what is configured.
        (Some(route), service) => vec![entry(&route.0, port_of(service))],
        (None, Service::Kdc) => config
            .kdcs(realm)
            .iter()
            .map(|t| entry(t, KDC_PORT))
            .collect(),
        (None, Service::Kpasswd) => kpasswd(config, realm),
        (None, _) => Vec::new(),
    };
    let mut servers: Vec<ServerAddress> = Vec::new();
    let mut attempts = Vec::new();
    for entry in entries {
        match entry {
            Entry::Address(address) if servers.contains(&address) => {}
            Entry::Address(address) => servers.push(address),
            Entry::Unusable(why) => attempts.push(why),
        }
    }
    if servers.is_empty() {
        return Err(TransportFailure {
            realm: realm.to_owned(),
            attempts,
            advice: advice(request.service, realm),
        });
    }
    Ok(servers)
}

fn port_of(service: Service) -> u16 {
    match service {
        Service::Kpasswd => KPASSWD_PORT,
        _ => KDC_PORT,
    }
}

/// `kpasswd_server`, else the hosts of `admin_server` at the password-change port.
fn kpasswd(config: &Config, realm: &str) -> Vec<Entry> {
    let Some(realm) = config.realms.get(realm) else {
        return Vec::new();
    };
    if !realm.kpasswd_servers.is_empty() {
        return realm
            .kpasswd_servers
            .iter()
            .map(|text| entry(text, KPASSWD_PORT))
            .collect();
    }
    realm
        .admin_servers
        .iter()
        .map(|text| match entry(text, KPASSWD_PORT) {
            // The port of an admin_server is that of kadmin, a different protocol.
            Entry::Address(address) => Entry::Address(ServerAddress {
                port: KPASSWD_PORT,
                ..address
            }),
            unusable => unusable,
        })
        .collect()
}

fn entry(text: &str, default_port: u16) -> Entry {
    if text.contains("://") {
        return Entry::Unusable(format!(
            "{text}: a KDC proxy, which this transport does not speak"
        ));
    }
    ServerAddress::parse(text, default_port).map_or_else(
        || {
            Entry::Unusable(format!(
                "{text}: not of the form host, host:port or [address]:port"
            ))
        },
        Entry::Address,
    )
}

fn advice(service: Service, realm: &str) -> String {
    match service {
        Service::Kdc => format!(
            "no server is configured: write `kdc = host` for {realm} in the [realms] section of \
             krb5.conf (lookup in DNS is not supported yet)"
        ),
        Service::Kpasswd => format!(
            "no server is configured: write `kpasswd_server = host` or `admin_server = host` for \
             {realm} in the [realms] section of krb5.conf"
        ),
        other => format!("this transport does not reach services of the kind {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trihound_krb5::config::RealmConfig;
    use trihound_sansio::{Route, TransportHint};

    fn address(host: &str, port: u16) -> Option<ServerAddress> {
        Some(ServerAddress {
            host: host.into(),
            port,
        })
    }

    #[test]
    fn reads_the_forms_of_krb5_conf() {
        for (text, expected) in [
            ("kdc.example", address("kdc.example", 88)),
            (" kdc.example:750 ", address("kdc.example", 750)),
            ("192.0.2.1:88", address("192.0.2.1", 88)),
            ("2001:db8::1", address("2001:db8::1", 88)),
            ("[2001:db8::1]", address("2001:db8::1", 88)),
            ("[2001:db8::1]:89", address("2001:db8::1", 89)),
            ("", None),
            (":88", None),
            ("kdc:", None),
            ("kdc:0", None),
            ("kdc:65536", None),
            ("kdc:88:88", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]x", None),
            ("k dc", None),
        ] {
            assert_eq!(ServerAddress::parse(text, 88), expected, "{text:?}");
        }
    }

    fn request(service: Service, route: Option<&str>) -> ExchangeRequest {
        ExchangeRequest {
            service,
            realm: "R".into(),
            message: Vec::new(),
            hint: TransportHint::Any,
            route: route.map(|r| Route(r.into())),
        }
    }

    fn config(realm: RealmConfig) -> Config {
        let mut config = Config::default();
        config.realms.insert("R".into(), realm);
        config
    }

    #[test]
    fn a_route_goes_before_the_configuration() {
        let config = config(RealmConfig {
            kdcs: vec!["a".into()],
            ..RealmConfig::default()
        });
        let at = |route| servers(&config, &request(Service::Kdc, route)).unwrap();
        assert_eq!(at(None), [address("a", 88).unwrap()]);
        assert_eq!(at(Some("b:1")), [address("b", 1).unwrap()]);
    }

    #[test]
    fn the_password_service_falls_back_to_the_admin_servers_host() {
        let with_admin = RealmConfig {
            admin_servers: vec!["admin:749".into()],
            ..RealmConfig::default()
        };
        let mut both = with_admin.clone();
        both.kpasswd_servers = vec!["pw:4464".into()];
        let at = |realm| servers(&config(realm), &request(Service::Kpasswd, None)).unwrap();
        assert_eq!(at(with_admin), [address("admin", 464).unwrap()]);
        assert_eq!(at(both), [address("pw", 4464).unwrap()]);
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let config = config(RealmConfig {
            kdcs: vec!["https://proxy.example/KdcProxy".into(), "a b".into()],
            ..RealmConfig::default()
        });
        let failure = servers(&config, &request(Service::Kdc, None)).unwrap_err();
        assert_eq!(failure.attempts.len(), 2);
        assert!(failure.attempts[0].contains("KDC proxy"), "{failure}");
        assert!(failure.advice.contains("kdc = host"), "{failure}");
        let failure = servers(&config, &request(Service::Verifier, None)).unwrap_err();
        assert!(failure.advice.contains("Verifier"), "{failure}");
    }
}

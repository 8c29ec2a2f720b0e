//! From which address this host reaches a password service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use trihound_krb5::Config;
use trihound_sansio::{ExchangeRequest, Service, TransportFailure};

use crate::dns::Resolve;
use crate::{Server, ServerProtocol, locate};

/// Answers [`Service::LocalAddress`]; `None` for any other request. Blocking, since names may have to be
/// resolved.
pub(crate) fn answer(
    config: &Config,
    request: &ExchangeRequest,
    resolver: &dyn Resolve,
) -> Option<Result<Vec<u8>, TransportFailure>> {
    if request.service != Service::LocalAddress {
        return None;
    }
    let asked = ExchangeRequest {
        service: Service::Kpasswd,
        ..request.clone()
    };
    let found = locate::locate(config, &asked, resolver).and_then(|servers| {
        servers
            .iter()
            .filter(|server| !matches!(server.protocol, ServerProtocol::Https { .. }))
            .find_map(|server| towards(server, resolver))
            .ok_or_else(|| TransportFailure {
                realm: request.realm.clone(),
                attempts: servers.iter().map(ToString::to_string).collect(),
                advice: "no address of this host leads to the password service".to_owned(),
            })
    });
    Some(found.map(|address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }))
}

/// The address that the system would take. A socket for datagrams that is connected has one, and nothing was
/// sent for it.
fn towards(server: &Server, resolver: &dyn Resolve) -> Option<IpAddr> {
    let addresses = match server.literal() {
        Some(literal) => vec![literal.ip()],
        None => resolver.addresses(&server.host).ok()?,
    };
    addresses.into_iter().find_map(|address| {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(SocketAddr::new(address, server.port)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use trihound_krb5::config::RealmConfig;
    use trihound_sansio::{Transport, TransportHint};

    use super::*;
    use crate::dns::{Answer, RecordType, ResolveError};
    use crate::{KdcTransport, Limits};

    /// A network in which one name has an address.
    #[derive(Debug)]
    struct Names;

    impl Resolve for Names {
        fn query(&self, name: &str, _: RecordType) -> Result<Answer, ResolveError> {
            panic!("{name} is configured");
        }

        fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
            match host {
                "pw.example" => Ok(vec![Ipv4Addr::new(127, 0, 0, 9).into()]),
                _ => Err(io::Error::other("no such host")),
            }
        }
    }

    fn asked(servers: &[&str]) -> Result<Vec<u8>, TransportFailure> {
        let mut config = Config::default();
        config.realms.insert(
            "R.EXAMPLE".to_owned(),
            RealmConfig {
                kpasswd_servers: servers.iter().map(|&server| server.to_owned()).collect(),
                ..RealmConfig::default()
            },
        );
        let limits = Limits::from_config(&config);
        KdcTransport::with_limits(Arc::new(config), limits)
            .with_resolver(Arc::new(Names))
            .round_trip(&ExchangeRequest {
                service: Service::LocalAddress,
                realm: "R.EXAMPLE".to_owned(),
                message: Vec::new(),
                hint: TransportHint::Any,
                route: None,
            })
    }

    #[test]
    fn the_address_is_the_one_towards_the_password_service() {
        for servers in [
            &["127.0.0.1:464"][..],
            &["pw.example"],
            &["nowhere.example", "pw.example"],
        ] {
            assert_eq!(asked(servers).unwrap(), [127, 0, 0, 1], "{servers:?}");
        }
    }

    #[test]
    fn without_a_way_there_is_no_address() {
        for servers in [
            &["nowhere.example"][..],
            &["https://proxy.example/KdcProxy"],
        ] {
            let failure = asked(servers).unwrap_err();
            assert_eq!(failure.realm, "R.EXAMPLE");
            assert!(failure.attempts[0].contains(".example"), "{failure}");
        }
    }
}

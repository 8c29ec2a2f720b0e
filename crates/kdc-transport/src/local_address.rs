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

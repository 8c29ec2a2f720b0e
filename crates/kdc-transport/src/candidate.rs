use std::net::SocketAddr;

use trihound_krb5::Config;
use trihound_sansio::ExchangeRequest;

use crate::memory::Place;
use crate::{MAX_DATAGRAM_LENGTH, Server, ServerProtocol};

/// How bytes travel to a server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Carrier {
    Udp,
    Tcp,
}

impl Carrier {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Udp => Self::Tcp,
            Self::Tcp => Self::Udp,
        }
    }
}

/// One server over one carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) server: Server,
    /// `None` for a KDC proxy.
    pub(crate) carrier: Option<Carrier>,
    /// Known once the server's name is resolved; an IP literal is from the start.
    pub(crate) address: Option<SocketAddr>,
}

impl Candidate {
    pub(crate) fn new(server: &Server, carrier: Option<Carrier>) -> Self {
        Self {
            server: server.clone(),
            carrier,
            address: server.literal(),
        }
    }

    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self {
            address: Some(address),
            ..self.clone()
        }
    }

    /// What is dead if this does not answer.
    pub(crate) fn place(&self) -> Place {
        match (self.carrier, self.address) {
            (Some(carrier), Some(address)) => Place::Address(address, carrier),
            (Some(_), None) => Place::Host(self.server.host.to_ascii_lowercase()),
            (None, _) => Place::Url(self.server.to_string()),
        }
    }

    /// `udp 192.0.2.1:88`, with the name in front where there was one, or the URL of a proxy.
    pub(crate) fn describe(&self) -> String {
        let carrier = match self.carrier {
            Some(Carrier::Udp) => "udp",
            Some(Carrier::Tcp) => "tcp",
            None => return self.server.to_string(),
        };
        match self.address {
            Some(address) if self.server.literal().is_none() => {
                format!("{carrier} {} ({address})", self.server)
            }
            Some(address) => format!("{carrier} {address}"),
            None => format!("{carrier} {}", self.server),
        }
    }
}

/// Every server over every carrier that may take the message, in the order of asking, and a line
/// for each server that cannot take it at all.
///
/// RFC 4120 section 7.2.1: UDP where the message is small, TCP where it is large; whichever it is,
/// the other one follows once all servers had their turn.
pub(crate) fn plan(
    config: &Config,
    request: &ExchangeRequest,
    servers: &[Server],
) -> (Vec<Candidate>, Vec<String>) {
    let length = request.message.len();
    let datagram = !request.hint.is_stream_only() && length <= MAX_DATAGRAM_LENGTH;
    let (first, second) = if !datagram {
        (Carrier::Tcp, None)
    } else if length > config.udp_preference_limit {
        (Carrier::Tcp, Some(Carrier::Udp))
    } else {
        (Carrier::Udp, Some(Carrier::Tcp))
    };
    let (mut now, mut then, mut unfit) = (Vec::new(), Vec::new(), Vec::new());
    for server in servers {
        let new = |carrier| Candidate::new(server, carrier);
        match &server.protocol {
            ServerProtocol::Any => {
                now.push(new(Some(first)));
                then.extend(second.map(|carrier| new(Some(carrier))));
            }
            ServerProtocol::Udp if datagram => now.push(new(Some(Carrier::Udp))),
            ServerProtocol::Udp => unfit.push(format!(
                "udp {server}: not asked, since the answer does not fit a datagram and this server \
                 is listed for UDP only"
            )),
            ServerProtocol::Tcp => now.push(new(Some(Carrier::Tcp))),
            ServerProtocol::Https { .. } => now.push(new(None)),
        }
    }
    now.append(&mut then);
    (now, unfit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trihound_sansio::{Service, TransportHint};

    fn texts(limit: usize, hint: TransportHint, servers: &[Server]) -> (Vec<String>, Vec<String>) {
        let mut config = Config::default();
        config.udp_preference_limit = limit;
        let request = ExchangeRequest {
            service: Service::Kdc,
            realm: "R".into(),
            message: vec![0; 10],
            hint,
            route: None,
        };
        let (plan, unfit) = plan(&config, &request, servers);
        (plan.iter().map(Candidate::describe).collect(), unfit)
    }

    /// Conformance row 181: the limit decides which carrier goes first.
    #[test]
    fn each_server_is_asked_over_each_carrier_it_has() {
        let https = ServerProtocol::Https { path: "/p".into() };
        let servers = [
            Server::new("a", 88, ServerProtocol::Any),
            Server::new("b", 88, ServerProtocol::Udp),
            Server::new("2001:db8::1", 88, ServerProtocol::Tcp),
            Server::new("c", 443, https),
        ];
        let (small, unfit) = texts(10, TransportHint::Any, &servers);
        assert_eq!(
            small,
            [
                "udp a:88",
                "udp b:88",
                "tcp [2001:db8::1]:88",
                "https://c/p",
                "tcp a:88"
            ]
        );
        assert!(unfit.is_empty());
        let (large, _) = texts(9, TransportHint::Any, &servers);
        assert_eq!(large.first().unwrap(), "tcp a:88");
        assert_eq!(large.last().unwrap(), "udp a:88");
        let (stream, unfit) = texts(10, TransportHint::StreamOnly, &servers);
        assert_eq!(stream, ["tcp a:88", "tcp [2001:db8::1]:88", "https://c/p"]);
        assert_eq!(unfit.len(), 1);
        assert!(unfit[0].contains("UDP only"), "{unfit:?}");
    }
}

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One server of a realm, as the configuration, DNS or the protocol names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Server {
    /// The name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How it may be reached.
    pub protocol: ServerProtocol,
    /// Whether it is known to be a primary KDC, which has the newest passwords.
    pub primary: bool,
}

/// How a server may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerProtocol {
    /// UDP and TCP, as the size of the message asks.
    Any,
    /// UDP only.
    Udp,
    /// TCP only.
    Tcp,
    /// A KDC proxy over HTTPS (MS-KKDCP).
    Https {
        /// The path of the URL with its leading `/`, and its query if it has one.
        path: Arc<str>,
    },
}

impl Server {
    /// A server that is not known to be a primary one.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, protocol: ServerProtocol) -> Self {
        Self {
            host: host.into(),
            port,
            protocol,
            primary: false,
        }
    }

    /// The socket address, if the host is an IP address.
    #[must_use]
    pub fn literal(&self) -> Option<SocketAddr> {
        let address = IpAddr::from_str(&self.host).ok()?;
        Some(SocketAddr::new(address, self.port))
    }

    /// Whether both are reached at the same host and port by the same protocol.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// The URL of a KDC proxy; `None` for the others.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let ServerProtocol::Https { path } = &self.protocol else {
            return None;
        };
        let port = if self.port == super::HTTPS_PORT {
            String::new()
        } else {
            format!(":{}", self.port)
        };
        Some(if self.host.contains(':') {
            format!("https://[{}]{port}{path}", self.host)
        } else {
            format!("https://{}{port}{path}", self.host)
        })
    }
}

impl fmt::Display for Server {
    /// `kdc.example:88`, `[2001:db8::1]:88`, or the URL of a proxy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(url) = self.url() {
            f.write_str(&url)
        } else if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

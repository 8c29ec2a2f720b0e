//! DNS: what is asked, the answers, and the resolver that asks over plain sockets.

mod ask;
mod cache;
mod error;
mod hosts;
mod question;
mod resolv_conf;
mod system;

use core::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};

pub use error::ResolveError;
pub use hosts::HostEntry;
pub use question::{Question, Reply, ReplyError};
pub use resolv_conf::{DNS_PORT, ResolverConfig, SearchRules};
pub use system::SystemResolver;

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
    /// Text.
    Txt,
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Srv => "SRV",
            Self::Uri => "URI",
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ptr => "PTR",
            Self::Txt => "TXT",
        })
    }
}

/// A record of an answer. Names are those of hosts, in lower case and without the dot at the end;
/// the root is the empty string.
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
        /// The host; empty where the service is decidedly not offered.
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
    /// The strings of a TXT record, joined.
    Txt(String),
}

/// What was found for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The name that the records belong to, behind all aliases; the one asked for if there are
    /// none. In lower case, without the dot at the end.
    pub name: String,
    /// The records of the type asked for; empty if the name has none or does not exist.
    pub records: Vec<Record>,
}

/// Asks DNS.
///
/// [`SystemResolver`] is the usual one; a caller may hand in their own, over whatever knows the
/// names. Only [`Self::query`] has to be written.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// The records of `name`, which is complete: no search list applies. Blocking, but bounded.
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

    /// How a short name is completed. No search list by default.
    fn search_rules(&self) -> SearchRules {
        SearchRules::default()
    }

    /// What this machine itself knows of a name, before DNS is asked. Nothing by default.
    fn host_entry(&self, name: &str) -> Option<HostEntry> {
        let _ = name;
        None
    }
}

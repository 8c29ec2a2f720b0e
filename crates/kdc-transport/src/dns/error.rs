use thiserror::Error;

/// Why DNS gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The system names no name server.
    #[error("no name server is configured (a `nameserver` line of /etc/resolv.conf)")]
    NoNameServers,
}

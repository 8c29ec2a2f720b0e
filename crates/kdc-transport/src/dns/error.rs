use thiserror::Error;

use super::RecordType;

/// Why DNS gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The system names no name server.
    #[error(
        "no name server is known: write a `nameserver` line into {0}, or configure the servers \
         themselves"
    )]
    NoNameServers(String),
    /// The text cannot be a name in DNS: letters, digits, `-` and `_` in labels of up to 63.
    #[error("{0:?} cannot be a name in DNS")]
    NotAName(String),
    /// Name servers were asked and none said anything.
    #[error("no name server answered the question for {kind} {name} ({})", .attempts.join("; "))]
    Silent {
        /// The name asked for.
        name: String,
        /// The records asked for.
        kind: RecordType,
        /// One line for each thing tried.
        attempts: Vec<String>,
    },
    /// Name servers answered, but none usefully.
    #[error(
        "no name server could answer the question for {kind} {name} ({})", .attempts.join("; ")
    )]
    Failed {
        /// The name asked for.
        name: String,
        /// The records asked for.
        kind: RecordType,
        /// One line for each thing tried.
        attempts: Vec<String>,
    },
    /// A resolver of the caller's own failed.
    #[error("{0}")]
    Other(String),
}

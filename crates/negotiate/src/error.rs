//! What can go wrong, by culprit. The statuses are in `status.rs`.

use core::fmt;

use thiserror::Error;
use trihound_asn1::{DecodeError, EncodeError};

/// Why a function of the package failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's token cannot be read (RFC 4178 section 4.2).
    #[error("the negotiation token cannot be read: {0}; does the peer speak SPNEGO (RFC 4178)?")]
    InvalidMessage(#[from] DecodeError),
    /// The optimistic token of NEGOEX cannot be read (MS-NEGOEX section 2.2).
    #[error(transparent)]
    NegoEx(#[from] crate::negoex::NegoExError),
    /// The peer broke a rule of the negotiation.
    #[error(transparent)]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The peer ended the negotiation.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// No mechanism led to a context.
    #[error(transparent)]
    NegotiationFailed(#[from] NegotiationFailed),
    /// The owner's policy forbids it.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A call that does not fit.
    #[error(transparent)]
    ApiMisuse(#[from] ApiMisuse),
    /// A token of ours cannot be written.
    #[error(
        "the negotiation token cannot be written: {0}; the mechanism's identifier is malformed"
    )]
    Encode(#[from] EncodeError),
    /// The chosen mechanism refused a call outside of the handshake proper.
    #[error("{package} could not {task}: {source}")]
    Mechanism {
        /// The mechanism's package.
        package: String,
        /// What was asked of it.
        task: &'static str,
        /// What it said.
        source: trihound_sspi::Error,
    },
}

/// The peer broke a rule of the negotiation.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A token is due and none is in the input (RFC 2743 section 2.2).
    #[error("the peer's {expected} is due and the input has no TOKEN buffer with bytes in it")]
    MissingToken {
        /// What is due.
        expected: &'static str,
    },
    /// A token for a context that needs none any more (RFC 2743 section 2.2).
    #[error(
        "the context is established and expects no token, yet the peer sent one of {length} bytes"
    )]
    AfterEstablishment {
        /// Its length.
        length: usize,
    },
    /// The first token is neither SPNEGO's nor one that a mechanism here knows (RFC 4178 section 3.2,
    /// MS-SPNG section 3.3.5).
    #[error(
        "the first token ({length} bytes) is neither SPNEGO's nor one of a mechanism here \
         ({here}); was it taken off the wire whole?"
    )]
    UnknownFirstToken {
        /// Its length.
        length: usize,
        /// The mechanisms that could have taken it.
        here: String,
    },
    /// supportedMech names what was not offered (RFC 4178 section 4.2.2).
    #[error(
        "the acceptor chose {oid}, which was not offered ([{offered}]); the reply was altered, or the acceptor is broken"
    )]
    UnofferedMechanism {
        /// What it chose.
        oid: String,
        /// What was offered.
        offered: String,
    },
    /// supportedMech of a later token is another than that of the first reply (RFC 4178 section 4.2.2:
    /// it stands in the first reply only).
    #[error("{chosen} was chosen, and a later token names {named}")]
    ChangedMechanism {
        /// What was chosen.
        chosen: String,
        /// What the later token names.
        named: String,
    },
    /// The choice of another mechanism came with a token, which could only answer one that was never
    /// sent (RFC 4178 section 3.2).
    #[error(
        "the acceptor chose {package} in place of the optimistic mechanism and answers a token that was never sent"
    )]
    TokenWithReselection {
        /// The package chosen.
        package: String,
    },
    /// accept-completed, while the mechanism is not done (RFC 4178 section 4.2.2).
    #[error(
        "the acceptor says accept-completed, and the {package} context is not established; without its proof the acceptor is nobody"
    )]
    CompletedTooEarly {
        /// The mechanism's package.
        package: String,
    },
    /// The mechanism needs a token and the message has none (RFC 4178 section 4.2.2).
    #[error("the peer's message has no token for {package}, which is not established yet")]
    MissingMechanismToken {
        /// The mechanism's package.
        package: String,
    },
    /// A token for a mechanism that is done (RFC 2743 section 2.2).
    #[error(
        "the peer's message has a token of {length} bytes for {package}, which is established already"
    )]
    SpuriousMechanismToken {
        /// The mechanism's package.
        package: String,
        /// Its length.
        length: usize,
    },
    /// A mechListMIC before the mechanism was done (RFC 4178 section 5).
    #[error(
        "a mechListMIC came before the {package} context was established, so that nothing could have made it"
    )]
    PrematureMic {
        /// The mechanism's package.
        package: String,
    },
    /// A second mechListMIC (RFC 4178 section 5).
    #[error("a second mechListMIC came; one was verified already")]
    SecondMic,
    /// No mechListMIC where one has to be (RFC 4178 section 5).
    #[error(
        "the peer sent no mechListMIC, which is needed since {why}; somebody may have altered the list of mechanisms, or the peer does not follow RFC 4178"
    )]
    MicMissing {
        /// Why it is needed.
        why: &'static str,
    },
    /// The mechListMIC is not that of the list that was offered (RFC 4178 section 5).
    #[error(
        "the mechListMIC is not that of the list of mechanisms that was {list}: somebody on the way altered it ({source})"
    )]
    MicWrong {
        /// Sent or received.
        list: &'static str,
        /// What the mechanism said.
        source: trihound_sspi::Error,
    },
    /// A mechListMIC over a context that has no integrity on this side (RFC 4178 section 5).
    #[error(
        "a mechListMIC came, and the {package} context has no integrity to check it with; the two sides disagree"
    )]
    MicWithoutIntegrity {
        /// The mechanism's package.
        package: String,
    },
    /// request-mic in another token than the first reply (RFC 4178 section 4.2.2).
    #[error("request-mic stands in a later token, and only the first reply may have it")]
    RequestMicTooLate,
    /// accept-incomplete where nothing is left to send (RFC 4178 section 4.2.2).
    #[error(
        "the acceptor says accept-incomplete and sends nothing, while {package} is established here and has nothing left to send"
    )]
    NothingLeft {
        /// The mechanism's package.
        package: String,
    },
    /// A mechanism that never comes to an end.
    #[error(
        "{package} is not established after {legs} tokens; the two sides send each other in circles"
    )]
    TooManyLegs {
        /// The mechanism's package.
        package: String,
        /// How many tokens were taken.
        legs: u32,
    },
}

/// The peer ended the negotiation: negState is reject (RFC 4178 section 4.2.2).
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Who: initiator or acceptor.
    pub by: &'static str,
    /// The mechanism's package, where one was chosen.
    pub package: Option<String>,
    /// What the mechanism reads in the error token that came along.
    pub reason: Option<trihound_sspi::Error>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} rejected the negotiation", self.by)?;
        if let Some(package) = &self.package {
            write!(f, " while {package} was under way")?;
        }
        match &self.reason {
            Some(reason) => write!(f, "; its token says: {reason}"),
            None => write!(f, " and gave no reason; its own log has it"),
        }
    }
}

impl core::error::Error for Rejected {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.reason.as_ref().map(|reason| reason as _)
    }
}

/// A mechanism that was tried, or could not be, and why.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The mechanism's package.
    pub package: String,
    /// What it said.
    pub error: trihound_sspi::Error,
    /// Whether a context was begun; otherwise its credential was not to be had.
    pub begun: bool,
}

/// No mechanism led to a context. Below it in the chain is the error of the last one that was tried;
/// all are in [`Self::tried`].
#[derive(Clone, Debug)]
pub struct NegotiationFailed {
    /// What was tried, in order.
    pub tried: Vec<Attempt>,
}

impl NegotiationFailed {
    /// The attempt that decided: the last one that was begun, else the first.
    #[must_use]
    pub fn deciding(&self) -> Option<&Attempt> {
        let begun = self.tried.iter().rfind(|attempt| attempt.begun);
        begun.or_else(|| self.tried.first())
    }
}

impl fmt::Display for NegotiationFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tried.is_empty() {
            return f.write_str(
                "there is no mechanism to negotiate: register one, or let the package list name one",
            );
        }
        f.write_str("no mechanism led to a context: ")?;
        for (position, attempt) in self.tried.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            let how = if attempt.begun {
                "failed"
            } else {
                "has no credential"
            };
            write!(
                f,
                "{separator}{} {how} ({})",
                attempt.package, attempt.error
            )?;
        }
        Ok(())
    }
}

impl core::error::Error for NegotiationFailed {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.deciding().map(|attempt| &attempt.error as _)
    }
}

/// The owner's policy forbids it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// None of the initiator's mechanisms is here (RFC 4178 section 4.2.2).
    #[error(
        "none of the mechanisms that the initiator offers ([{offered}]) is to be had here ({here})"
    )]
    NoCommonMechanism {
        /// The identifiers offered.
        offered: String,
        /// What is here, and why others are not.
        here: String,
    },
    /// A first token without SPNEGO around it (MS-SPNG section 3.3.5).
    #[error(
        "the client sent a bare {package} token, which the policy refuses (RawTokens::Refuse); let it speak Negotiate"
    )]
    RawTokenRefused {
        /// The mechanism's package.
        package: String,
    },
    /// The choice of a mechanism that is not the preferred one, over a context that cannot protect the
    /// choice (RFC 4178 section 5).
    #[error(
        "{package} was chosen in place of {preferred}, and its context has no integrity, so that nobody can tell whether the list of mechanisms was altered"
    )]
    UnprotectedReselection {
        /// The mechanism's package.
        package: String,
        /// What the initiator prefers.
        preferred: String,
    },
    /// The target name carries marshalled target information (conformance row 93).
    #[error(
        "the target name carries marshalled target information (1UWhRCA...), which a service name never does; someone may be redirecting the connection, so no mechanism is tried"
    )]
    MarshalledTarget,
    /// The target is named by an IP address.
    #[error(
        "the target {target:?} is named by an IP address, and {package} knows services by the names of their hosts; use the host's name"
    )]
    TargetIsAddress {
        /// The mechanism's package.
        package: String,
        /// The target name.
        target: String,
    },
    /// The acceptor chose another mechanism than the one begun. This is no failure; the mechanism that is
    /// begun in its place learns of it.
    #[error("the acceptor chose {package} in place of {preferred}")]
    Reselected {
        /// What it chose.
        package: String,
        /// What was begun.
        preferred: String,
    },
}

/// A call that does not fit the context, the credential or the package.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// The handshake is not over (RFC 2743 section 2.2).
    #[error("the context is not established yet; go on with the handshake first")]
    NotEstablished,
    /// A reply came that no exchange waits for.
    #[error(
        "no exchange is under way on this context; complete_exchange follows ExchangeNeeded only"
    )]
    NoExchange,
    /// An exchange is under way.
    #[error("the context waits for a round trip; do it and call complete_exchange")]
    ExchangeUnderWay,
    /// The function of the other role was called.
    #[error("this is the {role}'s context; use the function of that role")]
    OtherRole {
        /// The context's role.
        role: &'static str,
    },
    /// The credential was acquired for neither direction.
    #[error(
        "the credential has no direction; acquire it with SECPKG_CRED_INBOUND, SECPKG_CRED_OUTBOUND or SECPKG_CRED_BOTH"
    )]
    NoDirection,
    /// The credential was not acquired for this direction.
    #[error("the credential was not acquired for {direction} use; acquire it with {flag}")]
    OtherDirection {
        /// Inbound or outbound.
        direction: &'static str,
        /// The flag to acquire it with.
        flag: &'static str,
    },
    /// The package list has a `!` without a name.
    #[error(
        "the package list {list:?} has a '!' without a package behind it; write it like Kerberos,!NTLM"
    )]
    PackageList {
        /// The list.
        list: String,
    },
    /// A package that Negotiate cannot use.
    #[error("{package} is not a mechanism that can be negotiated: {reason}")]
    NotAMechanism {
        /// The package.
        package: String,
        /// Why not.
        reason: &'static str,
    },
    /// The mechanism needs CompleteAuthToken, which does not reach through a negotiation.
    #[error(
        "{package} asks for CompleteAuthToken, which cannot be done inside a negotiation; use the package by itself"
    )]
    CompleteAuthToken {
        /// The mechanism's package.
        package: String,
    },
    /// The token is longer than any that this package makes.
    #[error("the token has {length} bytes, more than cbMaxToken ({limit})")]
    TokenTooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

impl From<Error> for trihound_sspi::Error {
    fn from(error: Error) -> Self {
        // The chain below shows the error of the culprit, without this crate's wrapper.
        let status = error.status();
        match error {
            Error::NegoEx(inner) => Self::from_source(status, inner),
            Error::PeerMisbehaved(inner) => Self::from_source(status, inner),
            Error::Rejected(inner) => Self::from_source(status, inner),
            Error::NegotiationFailed(inner) => Self::from_source(status, inner),
            Error::Policy(inner) => Self::from_source(status, inner),
            Error::ApiMisuse(inner) => Self::from_source(status, inner),
            other => Self::from_source(status, other),
        }
    }
}

/// Any error of this crate as SSPI's.
pub(crate) fn sspi_error(error: impl Into<Error>) -> trihound_sspi::Error {
    error.into().into()
}

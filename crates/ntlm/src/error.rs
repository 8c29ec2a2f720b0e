//! What can go wrong in a handshake, by culprit. The statuses are in `status.rs`.

use std::time::Duration;

use thiserror::Error;
use trihound_sansio::{RandomFailure, TransportFailure};
use trihound_sspi::image::ImageError;

use crate::AvId;
use crate::message::MessageError;

/// Why a function of the package failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Bytes are not the message that they should be.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The peer's token cannot be taken.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The peer broke a rule of the handshake, or somebody between did.
    #[error(transparent)]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// What the peer can do is less than what this side wants.
    #[error(transparent)]
    Unprotected(#[from] Unprotected),
    /// A policy forbids it.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The client was not let in.
    #[error(transparent)]
    Verifier(#[from] VerifierFailure),
    /// No credential serves the call.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The context does not serve the call.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// No challenge or key could be drawn.
    #[error(transparent)]
    Random(#[from] RandomFailure),
    /// The image of a context that was exported cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// The peer's handshake token cannot be taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// A token is due and none is in the input.
    #[error(
        "the peer's {expected} message is due and the input has no TOKEN buffer with bytes in it"
    )]
    Missing {
        /// What is due.
        expected: &'static str,
    },
    /// A token for a context that needs none any more.
    #[error(
        "the context is established and expects no token, yet the peer sent one of {length} bytes"
    )]
    AfterEstablishment {
        /// Its length.
        length: usize,
    },
    /// A token where the first call of a datagram context takes none (MS-NLMP section 3.2.5.2.1).
    #[error(
        "a datagram context begins with the acceptor's CHALLENGE, yet the peer sent {length} bytes first"
    )]
    BeforeChallenge {
        /// Its length.
        length: usize,
    },
    /// The token is longer than any that this package makes or takes.
    #[error("the token has {length} bytes, more than cbMaxToken ({limit})")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

/// The peer broke a rule of the handshake, or somebody between the two did.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// Neither NEGOTIATE_UNICODE nor NEGOTIATE_OEM (MS-NLMP section 3.2.5.1.1).
    #[error("the {message} message names no character set; NTLM needs Unicode or OEM")]
    NoCharacterSet {
        /// Which message.
        message: &'static str,
    },
    /// A flag of the answer was not offered (MS-NLMP section 3.2.5.1.2).
    #[error(
        "the client's AUTHENTICATE message has flags {flags:#010x} that the CHALLENGE did not offer; it was altered, or the client does not negotiate"
    )]
    FlagsNotOffered {
        /// The flags too many.
        flags: u32,
    },
    /// The message is for the other kind of context (MS-NLMP section 2.2.2.5, NEGOTIATE_DATAGRAM).
    #[error(
        "the peer's {message} message is for a {found} context and this one is not; both sides have to ask for the same"
    )]
    OtherKindOfContext {
        /// Which message.
        message: &'static str,
        /// What the message says.
        found: &'static str,
    },
    /// A pair with which the client vouches for something is in the response twice (MS-NLMP section
    /// 2.2.2.1): a client copies the pairs of the CHALLENGE, where somebody may have put one before it.
    #[error(
        "the client's response has {pair} twice; somebody put one into the CHALLENGE for the client to copy"
    )]
    PairTwice {
        /// Which pair.
        pair: AvId,
    },
    /// The response promises a MIC and the message has no room for one (MS-NLMP section 3.2.5.1.2).
    #[error(
        "the client's response promises a MIC and its AUTHENTICATE message has none; somebody took it away"
    )]
    MicMissing,
    /// The MIC is not that of the three messages (MS-NLMP section 3.2.5.1.2).
    #[error(
        "the MIC is not that of the three messages as this side has them; one of them was altered on its way"
    )]
    MicDiffers,
    /// The channel bindings are those of another channel (MS-NLMP section 3.2.5.1.2).
    #[error(
        "the client's channel bindings are not those of this channel; somebody may be relaying its logon"
    )]
    ChannelBindingsDiffer,
    /// The target name is not one of this acceptor's (MS-NLMP section 3.2.5.1.2).
    #[error(
        "the client meant {found:?}, which is none of this acceptor's names ({accepted}); somebody may be relaying its logon"
    )]
    TargetNameDiffers {
        /// MsvAvTargetName.
        found: String,
        /// The acceptor's names.
        accepted: String,
    },
    /// The response is for another server (MS-APDS section 3.1.5).
    #[error(
        "the client's response is for the server {found:?} and this one is {own:?}; somebody may be relaying its logon"
    )]
    ServerNameDiffers {
        /// MsvAvNbComputerName of the response.
        found: String,
        /// This acceptor's.
        own: String,
    },
    /// The client's time is too far away (MS-NLMP section 3.2.5.1.2).
    #[error(
        "the client's time is {} s away from this host's and {} s are allowed; its clock is wrong, or the response is an old one",
        away.as_secs(), allowed.as_secs()
    )]
    TimeDiffers {
        /// How far away it is.
        away: Duration,
        /// How far it may be.
        allowed: Duration,
    },
    /// EncryptedRandomSessionKey is not of 16 bytes (MS-NLMP section 2.2.1.3).
    #[error("the encrypted session key has {found} bytes where key exchange needs 16")]
    EncryptedSessionKeyLength {
        /// Its length.
        found: usize,
    },
    /// The message says at once that the client is anonymous and that it is somebody (MS-NLMP section
    /// 3.2.5.1.2).
    #[error(
        "the client's AUTHENTICATE message is half anonymous: {found}; an anonymous one has no name and no response"
    )]
    HalfAnonymous {
        /// What contradicts.
        found: &'static str,
    },
}

/// What the two sides can agree on is less than what this side wants.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unprotected {
    /// An attribute that the caller asked for is missing in the peer's flags (MS-NLMP sections
    /// 3.1.5.1.2 and 3.2.5.1.1).
    #[error(
        "{attribute} was asked for and the peer's {message} message does not have it; somebody may have taken it away"
    )]
    Missing {
        /// The attribute.
        attribute: &'static str,
        /// Which message.
        message: &'static str,
    },
    /// Signing or sealing with keys of 40 or 56 bits (MS-NLMP sections 3.1.5.1.2 and 3.2.5.1.2).
    #[error(
        "the peer's {message} message has no NEGOTIATE_128, and signing and sealing need keys of 128 bits"
    )]
    KeysTooShort {
        /// Which message.
        message: &'static str,
    },
    /// Signing or sealing without extended session security (MS-NLMP section 3.4.4.1: the checksum is
    /// then a CRC).
    #[error(
        "the peer's {message} message has no extended session security, without which a signature is a CRC"
    )]
    NoExtendedSessionSecurity {
        /// Which message.
        message: &'static str,
    },
    /// Signing or sealing was negotiated for a client that has no key (conformance rows 39 and 158).
    #[error("an anonymous client and a guest have no key, and {attribute} was asked for")]
    NoKey {
        /// The attribute.
        attribute: &'static str,
    },
}

/// A policy forbids it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// NTLM is not allowed in this direction, or not towards this target (MS-NLMP sections 3.1.5.1.1 and
    /// 3.2.5.1.1: ClientBlocked, ServerBlock).
    #[error(
        "the policy denies {direction} NTLM{}; to allow it set the {direction} rule of NtlmPolicy (TRIHOUND_NTLM={direction}=allow or audit), better still make Kerberos work",
        towards(target.as_deref())
    )]
    Denied {
        /// Outgoing or incoming.
        direction: &'static str,
        /// The target, if it was that.
        target: Option<String>,
    },
    /// The target name carries marshalled target information (conformance row 93): the name that is
    /// authenticated and the host that is connected to may differ.
    #[error(
        "the target name carries marshalled target information (1UWhRCA...), which a service name never does; someone may be redirecting the connection"
    )]
    MarshalledTarget,
    /// The client promised no MIC (architecture: NTLMv2 with MIC).
    #[error(
        "the client promised no MIC over the messages and the policy demands one{}; see NtlmPolicy::mic",
        if *always { "" } else { " of those who sign or seal" }
    )]
    MicNotPromised {
        /// Whether the policy demands it of all.
        always: bool,
    },
    /// The client sent no channel bindings, or empty ones (MS-NLMP section 3.2.5.1.2).
    #[error(
        "the client sent {} and this acceptor has a channel to bind to; see NtlmPolicy::channel_bindings",
        if *empty { "empty channel bindings, though it knows of them," } else { "no channel bindings" }
    )]
    ChannelBindingsMissing {
        /// Whether the client sent the pair, with nothing in it.
        empty: bool,
    },
    /// The client sent no target name, or one that it does not vouch for (MS-NLMP section 3.2.5.1.2).
    #[error(
        "the client named no target that it vouches for and the policy demands one; see NtlmPolicy::target_name"
    )]
    TargetNameMissing,
    /// The response is NTLMv1 or LM (MS-NLMP section 3.1.1.1).
    #[error(
        "the client's response is {found}, which anybody who sees it can break; have the client send NTLMv2 (LmCompatibilityLevel 3 or more)"
    )]
    OldResponse {
        /// What it is.
        found: &'static str,
    },
    /// The client is anonymous, and this acceptor did not ask for that (conformance row 39).
    #[error("the client is anonymous, and the acceptor did not set ALLOW_NULL_SESSION")]
    AnonymousNotAllowed,
    /// The client would be a guest (conformance row 158).
    #[error(
        "the client {user:?} has no account and would be a guest, which the policy does not let in"
    )]
    GuestNotAllowed {
        /// The name that it gave.
        user: String,
    },
}

fn towards(target: Option<&str>) -> String {
    target.map_or_else(String::new, |target| format!(" towards {target:?}"))
}

/// Why a verifier did not let a client in.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifierFailure {
    /// There is no such account, or its password is another: nobody is told which (conformance row 161).
    #[error("the user name or the password is wrong")]
    LogonFailed,
    /// The account may not log in: it is disabled or over, for example.
    #[error("the account may not log in: {reason}")]
    AccountRestricted {
        /// Why.
        reason: String,
    },
    /// The verifier does not work.
    #[error("the client's response cannot be verified: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// Nobody answered the verifier's exchange.
    #[error("the domain controller cannot be reached: {0}")]
    Unreachable(TransportFailure),
}

/// No credential serves the call.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialError {
    /// There is no identity.
    #[error(
        "there is no identity for NTLM{}; give a name and password, or list the account in NTLM_USER_FILE",
        named(principal.as_deref())
    )]
    NoIdentity {
        /// Whom the caller named.
        principal: Option<String>,
    },
    /// Nobody says which clients are right.
    #[error(
        "the acceptor has no accounts; hand a verifier to NtlmConfig, or list accounts in NTLM_USER_FILE"
    )]
    NoVerifier,
    /// The credential was acquired for the other direction.
    #[error("the credential was not acquired for {direction} use; acquire it with {flag}")]
    OtherDirection {
        /// Inbound or outbound.
        direction: &'static str,
        /// The flag to acquire it with.
        flag: &'static str,
    },
    /// The credential is of a kind that the package does not know.
    #[error("this kind of identity is not one that NTLM can use: {reason}")]
    UnknownIdentity {
        /// Why not.
        reason: &'static str,
    },
    /// The thread impersonates a client, whose secret NTLM never had.
    #[error(
        "the thread impersonates {client}, and NTLM delegates no credential; the service's own is not used in its place"
    )]
    NothingDelegated {
        /// The client.
        client: String,
    },
    /// AddCredentials with another account than the credential's.
    #[error(
        "the credential is that of {has:?}, and NTLM takes one account a handle: a server proves nothing before it \
         is answered, so that it would choose whose response it gets; acquire another handle"
    )]
    OtherAccount {
        /// The account that is there; empty for nobody.
        has: String,
    },
    /// AddCredentials with other accounts to accept by.
    #[error(
        "the credential has its accounts to accept by, and NTLM takes one set a handle; acquire another handle"
    )]
    OtherVerifier,
    /// The accounts that the settings name cannot be used.
    #[error("the credential's accounts cannot be used: {0}")]
    Accounts(VerifierFailure),
    /// The identity is anonymous and the caller did not ask for that (conformance row 39).
    #[error(
        "the identity has neither name nor password, which is anonymous; ask for NULL_SESSION if that is meant"
    )]
    AnonymousNotAsked,
}

fn named(principal: Option<&str>) -> String {
    principal.map_or_else(String::new, |name| format!(" of {name:?}"))
}

/// The context does not serve the call.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextError {
    /// The handshake is not over.
    #[error("the context is not established yet; go on with the handshake first")]
    NotEstablished,
    /// A reply came that no exchange waits for.
    #[error(
        "no exchange is under way on this context; complete_exchange follows ExchangeNeeded only"
    )]
    NoExchange,
    /// The function of the other role was called.
    #[error("this is the {role}'s context; use the function of that role")]
    OtherRole {
        /// The context's role.
        role: &'static str,
    },
    /// An exchange is under way.
    #[error(
        "the context waits for the verifier's reply; do the round trip and call complete_exchange"
    )]
    ExchangeUnderWay,
    /// The attribute that the function needs was not negotiated.
    #[error(
        "{function} needs {attribute}, which was not negotiated; the initiator has to ask for it"
    )]
    NotNegotiated {
        /// The function.
        function: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// RESET_NEW for a context that has protected messages (MS-NLMP section 3.4).
    #[error(
        "the context has protected messages, and its key stream goes on from each to the next: starting anew \
         would use it twice; export without SECPKG_CONTEXT_EXPORT_RESET_NEW"
    )]
    KeyStreamUsed,
    /// A context whose two directions share one key stream, which no handshake of this package gives.
    #[error("the context cannot be exported: it has no extended session security")]
    NotWritable,
    /// A context attribute that is not there.
    #[error("an NTLM context of this side has no attribute {attribute}")]
    NoAttribute {
        /// Its name.
        attribute: String,
    },
    /// A credential attribute that is not there.
    #[error("an NTLM credential of this kind has no attribute {attribute}")]
    NoCredentialAttribute {
        /// Its name.
        attribute: String,
    },
}

impl From<Error> for trihound_sspi::Error {
    fn from(error: Error) -> Self {
        // The chain below shows the error of the layer that found it, without this crate's wrapper.
        let status = error.status();
        match error {
            Error::Message(inner) => Self::from_source(status, inner),
            Error::Token(inner) => Self::from_source(status, inner),
            Error::PeerMisbehaved(inner) => Self::from_source(status, inner),
            Error::Unprotected(inner) => Self::from_source(status, inner),
            Error::Policy(inner) => Self::from_source(status, inner),
            Error::Verifier(inner) => Self::from_source(status, inner),
            Error::Credential(inner) => Self::from_source(status, inner),
            Error::Context(inner) => Self::from_source(status, inner),
            Error::Random(inner) => Self::from_source(status, inner),
            Error::Image(inner) => Self::from_source(status, inner),
        }
    }
}

/// Any error of this crate as SSPI's.
pub(crate) fn sspi_error(error: impl Into<Error>) -> trihound_sspi::Error {
    error.into().into()
}

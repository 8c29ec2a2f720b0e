//! What can go wrong, by culprit. The statuses are in `status.rs`.

use thiserror::Error;
use trihound_asn1::{DecodeError, EncodeError};
use trihound_krb5::{NameError, StoreError};
use trihound_sansio::{RandomFailure, Timestamp};
use trihound_sspi::image::ImageError;

/// "1 number", "2 numbers".
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// What replay and sequence detection say of a message whose MAC held (RFC 2743 section 1.2.3).
///
/// SSPI has one status for all of them, SEC_E_OUT_OF_SEQUENCE; the difference is here. The message
/// itself is authentic and stands verified (and decrypted) in the caller's buffers.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SequenceError {
    /// The number was received before: GSS_S_DUPLICATE_TOKEN.
    #[error(
        "the message was received before ({} behind the expected one); it is a replay",
        counted(*behind, "number")
    )]
    Duplicate {
        /// How far behind the expected number it is.
        behind: u64,
    },
    /// The number is too far back to tell whether it was received before: GSS_S_OLD_TOKEN.
    #[error(
        "the message is {} behind the expected one, too old to tell whether it is a replay",
        counted(*behind, "number")
    )]
    Old {
        /// How far behind the expected number it is.
        behind: u64,
    },
    /// Messages before it did not arrive: GSS_S_GAP_TOKEN.
    #[error(
        "{} before this one did not arrive: lost, held back or still to come",
        counted(*missing, "message")
    )]
    Gap {
        /// How many numbers were left out.
        missing: u64,
    },
    /// It should have come earlier: GSS_S_UNSEQ_TOKEN.
    #[error(
        "the message comes late: it should have been received {} ago",
        counted(*behind, "message")
    )]
    Unsequenced {
        /// How far behind the expected number it is.
        behind: u64,
    },
}

/// Why a per-message function failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// The token ends before its header and MAC do (RFC 4121 section 4.2.6, RFC 1964 section 1.2).
    #[error("the token has {found} bytes and needs at least {needed}; it was cut off")]
    TokenTooShort {
        /// The least length in bytes.
        needed: usize,
        /// The length in bytes.
        found: usize,
    },
    /// Bytes follow where the token should end.
    #[error("the token has {found} bytes where {needed} are all that it can have")]
    TokenTooLong {
        /// The length that the token's own fields give.
        needed: usize,
        /// The length in bytes.
        found: usize,
    },
    /// TOK_ID is not 05 04, or 02 01 for RC4 (RFC 4121 section 4.2.6.2, RFC 4757 section 7.3).
    #[error(
        "this is not a Wrap token: it begins with {found:02x?}; was a MIC given to DecryptMessage?"
    )]
    NotAWrapToken {
        /// The TOK_ID found.
        found: [u8; 2],
    },
    /// TOK_ID is not 04 04, or 01 01 for RC4 (RFC 4121 section 4.2.6.1, RFC 4757 section 7.2).
    #[error(
        "this is not a MIC token: it begins with {found:02x?}; was a sealed message given to VerifySignature?"
    )]
    NotAMicToken {
        /// The TOK_ID found.
        found: [u8; 2],
    },
    /// The framing of RFC 2743 section 3.1 is not right: tag, length or mechanism.
    #[error("the token's GSS framing is damaged: tag, length or mechanism is wrong")]
    Framing,
    /// The SentByAcceptor flag, or the direction bytes, name this side (RFC 4121 section 4.2.2).
    #[error("the token was made by this side of the context; somebody sent it back")]
    SentByWrongSide,
    /// The AcceptorSubkey flag disagrees with the context (RFC 4121 section 4.2.2).
    #[error(
        "the AcceptorSubkey flag is not {expected}, so that the peer uses another key than this context"
    )]
    AcceptorSubkeyFlag {
        /// What the handshake agreed on.
        expected: bool,
    },
    /// A byte that is fixed by the standard has another value (RFC 4121 section 4.2.6, RFC 1964
    /// section 1.2).
    #[error(
        "a filler or algorithm byte of the token's header has a value that the standard excludes"
    )]
    Filler,
    /// The Sealed flag is set in a MIC token (RFC 4121 section 4.2.2).
    #[error("the MIC token has the Sealed flag, which only Wrap tokens may have")]
    SealedMic,
    /// EC is more than there is, or not the checksum's length (RFC 4121 section 4.2.4).
    #[error("the token's extra count of {ec} does not fit its length or its checksum")]
    ExtraCount {
        /// The EC field.
        ec: u16,
    },
    /// The encrypted copy of the header is another one (RFC 4121 section 4.2.4).
    #[error("the encrypted copy of the header differs from the header; the header was altered")]
    HeaderCopyDiffers,
    /// The padding byte is not 1 (RFC 4757 section 7.3).
    #[error("the padding behind the data is not the byte 01")]
    Padding,
    /// The boundary of TOKEN and DATA is not where this token's rotation puts it.
    #[error(
        "a TOKEN buffer of {token} bytes and RRC {rrc} do not put the data where the DATA buffers are; \
         give the whole token as one STREAM buffer"
    )]
    LayoutNotOfBuffers {
        /// The RRC field.
        rrc: u16,
        /// Bytes in the TOKEN buffer.
        token: usize,
    },
    /// The MAC is not that of the message (RFC 4121 section 4.2.4, RFC 3961 section 3).
    #[error(
        "the message does not verify: it was altered on its way, or belongs to another context"
    )]
    IntegrityCheckFailed,
    /// A buffer of the caller is too small; nothing has changed.
    #[error("the buffer has {found} bytes and {needed} are needed; query SECPKG_ATTR_SIZES")]
    BufferTooSmall {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        found: usize,
    },
    /// The message is out of order, or was received before.
    #[error("{0}")]
    Sequence(#[from] SequenceError),
    /// No confounder could be drawn.
    #[error(transparent)]
    Random(#[from] RandomFailure),
    /// The key cannot do what the message asks for.
    #[error(transparent)]
    Crypto(trihound_crypto::Error),
}

impl From<trihound_crypto::Error> for MessageError {
    fn from(error: trihound_crypto::Error) -> Self {
        match error {
            trihound_crypto::Error::IntegrityCheckFailed => Self::IntegrityCheckFailed,
            other => Self::Crypto(other),
        }
    }
}

/// Why a function of the package failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An exchange with a KDC or the peer failed.
    #[error(transparent)]
    Kerberos(#[from] trihound_krb5::Error),
    /// A per-message function failed.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The credential store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A principal name cannot be read.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A field does not fit the message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The peer's token cannot be taken.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No credential serves the call.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The context does not serve the call.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The image of a context that was exported cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// The peer's handshake token cannot be taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// A token is due and none is in the input (RFC 2743 section 2.2).
    #[error("the peer's {expected} is due and the input has no TOKEN buffer with bytes in it")]
    Missing {
        /// What is due.
        expected: &'static str,
    },
    /// The framing is damaged (RFC 2743 section 3.1).
    #[error("the token's GSS framing cannot be read: {0}")]
    Framing(DecodeError),
    /// The token is of another mechanism (RFC 4121 section 4.1).
    #[error("the token is of another mechanism than Kerberos; does the peer speak Negotiate?")]
    OtherMechanism,
    /// TOK_ID is not one that may come here (RFC 4121 section 4.1).
    #[error("expected {expected}, the token says {found:02x?}; it belongs to another leg")]
    OtherLeg {
        /// What may come here.
        expected: &'static str,
        /// TOK_ID.
        found: [u8; 2],
    },
    /// A token without framing outside of DCE style (RFC 4121 section 4.1, MS-KILE section
    /// 3.4.5.1).
    #[error(
        "the token has no GSS framing, which only DCE style leaves out, and the client did not ask for that"
    )]
    FramingMissing,
    /// A token for a context that needs none any more (RFC 2743 section 2.2).
    #[error(
        "the context is established and expects no token, yet the peer sent one of {length} bytes"
    )]
    AfterEstablishment {
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

/// No credential serves the call.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialError {
    /// Nobody is logged in.
    #[error("there is no identity: {reason}; give a name and password, or log in first (kinit)")]
    NoIdentity {
        /// What was looked for.
        reason: String,
    },
    /// The ticket-granting ticket is missing or over, and there is no secret to get another.
    #[error(
        "{client} has no valid ticket-granting ticket and no password or key to get one with; log in again (kinit)"
    )]
    NoTicketGrantingTicket {
        /// The client.
        client: String,
    },
    /// The keytab has no key of the principal to accept as.
    #[error(
        "the keytab has no key of {principal}; export it into the keytab, or accept as anyone in it"
    )]
    NoKeyOfPrincipal {
        /// The principal.
        principal: String,
    },
    /// The keytab is empty.
    #[error("the keytab has no keys at all; export the service's keys into it")]
    EmptyKeytab,
    /// The credential was acquired for the other direction.
    #[error("the credential was not acquired for {direction} use; acquire it with {flag}")]
    OtherDirection {
        /// Inbound or outbound.
        direction: &'static str,
        /// The flag to acquire it with.
        flag: &'static str,
    },
    /// The credential is of a kind that the package does not know.
    #[error("this kind of identity is not one that Kerberos can use: {reason}")]
    UnknownIdentity {
        /// Why not.
        reason: &'static str,
    },
    /// The thread impersonates a client that delegated nothing.
    #[error(
        "the thread impersonates {client}, who delegated no credential; the service's own is not used in its place"
    )]
    NothingDelegated {
        /// The client.
        client: String,
    },
    /// Another client was asked for than the one who delegated the credential.
    #[error(
        "the credential was delegated by {client}, and {asked} was asked for; leave the name out"
    )]
    OtherClient {
        /// Who was asked for.
        asked: String,
        /// Whose credential it is.
        client: String,
    },
    /// The ticket-granting ticket cannot be forwarded (RFC 4120 section 2.6).
    #[error(
        "the ticket-granting ticket of {client} is not forwardable; log in for one that is (kinit -f, or \
         forwardable = true in krb5.conf), if the KDC gives {client} any"
    )]
    NotForwardable {
        /// The client.
        client: String,
    },
    /// A setting of the credential makes no sense.
    #[error("the credential's {setting} cannot be followed: {reason}")]
    WrongSetting {
        /// The field of the settings, or the attribute.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting that needs what the package was not given, or that does not go with the identity.
    #[error("the credential's {setting} is not followed here: {reason}")]
    UnservedSetting {
        /// The field of the settings.
        setting: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The credential cache is another client's.
    #[error(
        "the credential cache {cache} is that of {owner}, and the credential is of {client}; name another \
         cache"
    )]
    CacheOfOther {
        /// The cache's name.
        cache: String,
        /// Whose it is.
        owner: String,
        /// Whose credential it is.
        client: String,
    },
    /// More was added to one handle than it takes.
    #[error(
        "the credential has as many identities or keytabs as one handle takes; acquire another handle"
    )]
    TooMany,
    /// The ticket-granting ticket is postdated (RFC 4120 section 2.4).
    #[error(
        "the ticket-granting ticket of {client} begins at {start}, now is {now}; wait until then, or log in \
         without a start time"
    )]
    Postdated {
        /// The client.
        client: String,
        /// When it begins.
        start: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// No realm is known for a name.
    #[error("no realm is known for {name}; write name@REALM or set default_realm")]
    NoRealm {
        /// The name.
        name: String,
    },
}

/// The context does not serve the call.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextError {
    /// No target name on the first call.
    #[error("there is no target name; name the service, as in HTTP/host.example.com")]
    NoTarget,
    /// NULL_SESSION: Kerberos has anonymous tickets (RFC 8062), which are not there yet, and nothing else.
    #[error(
        "a context without credentials was asked for (NULL_SESSION), and Kerberos would show who the \
         client is; leave the flag out, or use a package that has anonymous clients"
    )]
    NoAnonymity,
    /// The handshake is not over (RFC 2743 section 2.2).
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
    #[error("the context waits for a KDC's reply; do the round trip and call complete_exchange")]
    ExchangeUnderWay,
    /// The ticket is over, and the context with it (RFC 2743 section 1.2.1).
    #[error("the context ended with its ticket at {end}, now is {now}; establish a new one")]
    Expired {
        /// When it ended.
        end: Timestamp,
        /// Now.
        now: Timestamp,
    },
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
    /// A quality of protection that Kerberos does not have.
    #[error(
        "the quality of protection {qop:#x} is not one of Kerberos; use 0 or SECQOP_WRAP_NO_ENCRYPT"
    )]
    UnknownQop {
        /// What was asked for.
        qop: u32,
    },
    /// RESET_NEW for a context under RC4 that has sent messages (RFC 4757 section 7.3).
    #[error(
        "the context has sent messages under RC4, whose key stream depends on the sequence number: starting \
         the numbers anew would use it twice; export without SECPKG_CONTEXT_EXPORT_RESET_NEW"
    )]
    KeyStreamUsed,
    /// Something of the context that an image has no room for.
    #[error("the context cannot be exported: it has {what}")]
    NotWritable {
        /// What it is.
        what: &'static str,
    },
    /// SetContextAttributes with a life that the context cannot have.
    #[error("the context's LIFESPAN cannot be set so: {reason}; an earlier end is what can be set")]
    Lifespan {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A context attribute that is not there.
    #[error("a Kerberos context has no attribute {attribute}")]
    NoAttribute {
        /// Its name.
        attribute: String,
    },
}

impl From<MessageError> for trihound_sspi::Error {
    fn from(error: MessageError) -> Self {
        Self::from_source(error.status(), error)
    }
}

impl From<Error> for trihound_sspi::Error {
    fn from(error: Error) -> Self {
        // The chain below shows the error of the layer that found it, without this crate's wrapper.
        let status = error.status();
        match error {
            Error::Kerberos(inner) => Self::from_source(status, inner),
            Error::Message(inner) => Self::from_source(status, inner),
            Error::Store(inner) => Self::from_source(status, inner),
            Error::Name(inner) => Self::from_source(status, inner),
            Error::Encode(inner) => Self::from_source(status, inner),
            Error::Token(inner) => Self::from_source(status, inner),
            Error::Credential(inner) => Self::from_source(status, inner),
            Error::Context(inner) => Self::from_source(status, inner),
            Error::Image(inner) => Self::from_source(status, inner),
        }
    }
}

/// Any error of this crate as SSPI's.
pub(crate) fn sspi_error(error: impl Into<Error>) -> trihound_sspi::Error {
    error.into().into()
}

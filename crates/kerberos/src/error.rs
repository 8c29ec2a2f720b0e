use thiserror::Error;
use trihound_sansio::RandomFailure;

/// What replay and sequence detection say of a message whose MAC held (RFC 2743 section 1.2.3).
///
/// SSPI has one status for all of them, SEC_E_OUT_OF_SEQUENCE; the difference is here. The message
/// itself is authentic and stands verified (and decrypted) in the caller's buffers.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SequenceError {
    /// The number was received before: GSS_S_DUPLICATE_TOKEN.
    #[error(
        "the message was received before ({behind} numbers behind the expected one); it is a replay"
    )]
    Duplicate {
        /// How far behind the expected number it is.
        behind: u64,
    },
    /// The number is too far back to tell whether it was received before: GSS_S_OLD_TOKEN.
    #[error(
        "the message is {behind} numbers behind the expected one, too old to tell whether it is a replay"
    )]
    Old {
        /// How far behind the expected number it is.
        behind: u64,
    },
    /// Messages before it did not arrive: GSS_S_GAP_TOKEN.
    #[error("{missing} messages before this one are missing: lost, held back or still to come")]
    Gap {
        /// How many numbers were left out.
        missing: u64,
    },
    /// It should have come earlier: GSS_S_UNSEQ_TOKEN.
    #[error("the message comes late: it should have been received {behind} messages ago")]
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
    #[error(transparent)]
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

use thiserror::Error;
use trihound_sspi::SecurityStatus as Status;

/// Why a message was not protected or not believed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// Signing or sealing with extended session security left out: its signatures are CRC-32, which
    /// anyone can forge (MS-NLMP section 3.4.4.1).
    #[error(
        "signing or sealing was negotiated without extended session security, whose checksum anyone can \
         forge; make the peer offer NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY, or see danger"
    )]
    NoExtendedSessionSecurity,
    /// Signing or sealing with a key that can be searched for (MS-NLMP section 3.4.5.3).
    #[error(
        "signing or sealing was negotiated with keys of {bits} bits, which can be searched for; make the \
         peer offer NTLMSSP_NEGOTIATE_128, or see danger"
    )]
    WeakKey {
        /// The key's length.
        bits: u8,
    },
    /// The context has neither signing nor sealing, or not the one asked for (MS-NLMP section 2.2.2.5,
    /// flags D and E).
    #[error(
        "{function} needs {attribute}, which was not negotiated; ask for it in the handshake, and look at \
         the attributes that came of it"
    )]
    NotNegotiated {
        /// The function's SSPI name.
        function: &'static str,
        /// What is missing.
        attribute: &'static str,
    },
    /// A quality of protection that NTLM does not have.
    #[error(
        "{qop:#010x} is no quality of protection of NTLM; 0 and SECQOP_WRAP_NO_ENCRYPT are (the latter \
         for EncryptMessage)"
    )]
    UnknownQop {
        /// The value given.
        qop: u32,
    },
    /// The signature ends before its 16 bytes do (MS-NLMP section 2.2.2.9).
    #[error("the signature has {found} bytes where NTLM's have 16; it was cut off")]
    SignatureTooShort {
        /// Bytes there are.
        found: usize,
    },
    /// Bytes follow the 16 of a signature (MS-NLMP section 2.2.2.9).
    #[error(
        "the signature has {found} bytes where NTLM's have 16; is it a token of another mechanism?"
    )]
    SignatureTooLong {
        /// Bytes there are.
        found: usize,
    },
    /// Version is not 1 (MS-NLMP section 2.2.2.9).
    #[error("the signature is of version {found}, and only version 1 exists; is it NTLM's at all?")]
    SignatureVersion {
        /// The field.
        found: u32,
    },
    /// The signature is the constant of a context that signs nothing (MS-NLMP section 2.2.2.5, flag M).
    #[error(
        "the signature is the dummy of a peer that does not sign; it protects nothing and is not taken"
    )]
    DummySignature,
    /// The message is not the one that is due (MS-NLMP section 3.1.1.2).
    #[error(
        "message number {expected} is due and this one says {found}: one was lost, replayed or overtaken, \
         or the number was altered; a connection of NTLM cannot go on without the one that is due"
    )]
    SequenceNumber {
        /// The number that is due.
        expected: u32,
        /// The number in the signature.
        found: u32,
    },
    /// The checksum is not that of the message (MS-NLMP section 3.4.4).
    #[error(
        "the message does not verify: it was altered on its way, came back from this side, or belongs \
         to another context"
    )]
    IntegrityCheckFailed,
    /// Every sequence number was used, and without key exchange each can be used only once: the same
    /// signature would serve again (MS-NLMP section 3.4.4.2).
    #[error(
        "all 2^32 sequence numbers of this direction were used; make a new context, with key exchange \
         if it is to last"
    )]
    SequenceNumbersUsedUp,
    /// A datagram under a number that another one was sent under, or that is more than 63 behind the
    /// highest: both would be under one key stream (MS-NLMP section 3.4).
    #[error(
        "a datagram was sent under number {number} before, or one so far ahead that it may have been; \
         count MessageSeqNo up"
    )]
    DatagramNumberUsed {
        /// The number given.
        number: u32,
    },
    /// A buffer of the caller is too small; nothing has changed.
    #[error("the buffer has {found} bytes and {needed} are needed; query SECPKG_ATTR_SIZES")]
    BufferTooSmall {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        found: usize,
    },
}

impl SessionError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NoExtendedSessionSecurity | Self::WeakKey { .. } => {
                Status::SEC_E_SECURITY_QOS_FAILED
            }
            Self::NotNegotiated { .. } | Self::UnknownQop { .. } => Status::SEC_E_QOP_NOT_SUPPORTED,
            Self::SignatureTooShort { .. }
            | Self::SignatureTooLong { .. }
            | Self::SignatureVersion { .. } => Status::SEC_E_INVALID_TOKEN,
            Self::DummySignature | Self::IntegrityCheckFailed => Status::SEC_E_MESSAGE_ALTERED,
            Self::SequenceNumber { .. } => Status::SEC_E_OUT_OF_SEQUENCE,
            Self::SequenceNumbersUsedUp => Status::SEC_E_CONTEXT_EXPIRED,
            Self::DatagramNumberUsed { .. } => Status::SEC_E_INVALID_PARAMETER,
            Self::BufferTooSmall { .. } => Status::SEC_E_BUFFER_TOO_SMALL,
        }
    }
}

impl From<SessionError> for trihound_sspi::Error {
    fn from(error: SessionError) -> Self {
        Self::new(error.status(), error.to_string()).with_source(error)
    }
}

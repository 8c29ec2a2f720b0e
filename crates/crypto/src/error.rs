use thiserror::Error;
use trihound_sansio::RandomFailure;

use crate::{ChecksumType, Enctype};

/// Why a cryptographic operation was refused or failed.
///
/// No variant holds a byte of a key, a password or a plaintext.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The message authentication code or checksum is not the one that the key gives
    /// (RFC 3961 section 3, "integrity").
    #[error(
        "integrity check failed: the data was altered, or it was made with another key or key usage; \
         compare the key version and the principal on both sides"
    )]
    IntegrityCheckFailed,

    /// The ciphertext cannot hold a confounder and a checksum (RFC 3961 section 5.3, RFC 4757 section 5).
    #[error(
        "ciphertext of {actual} bytes is too short for {enctype}, which needs at least {minimum}; \
         the message was cut or is not of this enctype"
    )]
    CiphertextTooShort {
        /// The enctype of the key.
        enctype: Enctype,
        /// The least number of bytes.
        minimum: usize,
        /// The number of bytes given.
        actual: usize,
    },

    /// The sealed segments of a scattered message are together less than one cipher block
    /// (RFC 3962 section 5).
    #[error(
        "{actual} sealed bytes, where ciphertext stealing needs at least {minimum}; the message was cut"
    )]
    SealedTooShort {
        /// The least number of bytes.
        minimum: usize,
        /// The number of bytes given.
        actual: usize,
    },

    /// A key's length is not the enctype's (RFC 3961 section 3, "protocol key format").
    #[error(
        "key of {actual} bytes for {enctype}, which takes {expected}; \
         the key and its enctype number do not belong together"
    )]
    KeyLength {
        /// The enctype that the key was said to be of.
        enctype: Enctype,
        /// The enctype's key length in bytes.
        expected: usize,
        /// The number of bytes given.
        actual: usize,
    },

    /// A confounder's length is not the enctype's (RFC 3961 section 5.3).
    #[error("confounder of {actual} bytes for {enctype}, which takes {expected}")]
    ConfounderLength {
        /// The enctype of the key.
        enctype: Enctype,
        /// The enctype's confounder length in bytes.
        expected: usize,
        /// The number of bytes given.
        actual: usize,
    },

    /// The place for a checksum has not the checksum's length; a caller's mistake.
    #[error("room of {actual} bytes for a checksum of {expected}")]
    ChecksumLength {
        /// The checksum's length in bytes.
        expected: usize,
        /// The number of bytes given.
        actual: usize,
    },

    /// This build knows no such enctype.
    #[error(
        "{0} is not supported; supported are aes128- and aes256-cts-hmac-sha1-96, \
         aes128-cts-hmac-sha256-128, aes256-cts-hmac-sha384-192, and arcfour-hmac by explicit permission"
    )]
    UnknownEnctype(Enctype),

    /// The enctype is known, but the policy does not list it.
    #[error(
        "{0} is not among the permitted enctypes; add it to permitted_enctypes if both sides need it"
    )]
    NotPermitted(Enctype),

    /// The enctype is Weak, and may be permitted by `danger::permit_weak_enctypes` only (RFC 8429).
    #[error(
        "{0} is weak and refused (RFC 8429); give the account an AES key, \
         or permit the weak enctype by name through the danger module"
    )]
    WeakEnctype(Enctype),

    /// A policy without a single enctype can do nothing.
    #[error("a policy must permit at least one enctype")]
    NoEnctype,

    /// The checksum type does not go with the key's enctype (RFC 3961 sections 3 and 4).
    #[error(
        "{checksum} does not belong to a key of {enctype}; the peer chose the wrong checksum type"
    )]
    ChecksumTypeNotOfEnctype {
        /// The checksum type that was asked for.
        checksum: ChecksumType,
        /// The enctype of the key.
        enctype: Enctype,
    },

    /// The checksum type takes no key, so anyone can make it (RFC 4120 section 5.3.1 wants keyed ones).
    #[error(
        "{0} is not keyed and protects nothing here; the peer must use the required checksum of its key's enctype"
    )]
    UnkeyedChecksum(ChecksumType),

    /// This build knows no such checksum type.
    #[error("{0} is not supported")]
    UnknownChecksum(ChecksumType),

    /// An iteration count of a string-to-key parameter is outside the permitted range
    /// (RFC 3962 section 4, RFC 8009 section 4).
    #[error(
        "iteration count {count} for {enctype} is outside {minimum}..={maximum}; \
         a lower count eases guessing of the password, a higher one burns the processor"
    )]
    IterationCount {
        /// The enctype of the key to be made.
        enctype: Enctype,
        /// The count that was given.
        count: u32,
        /// The least permitted count.
        minimum: u32,
        /// The greatest permitted count.
        maximum: u32,
    },

    /// String-to-key parameters are not of the length that the enctype takes
    /// (RFC 3962 section 4, RFC 8009 section 4: 4 bytes; RFC 4757: none).
    #[error("string-to-key parameters of {actual} bytes for {enctype}, which takes {expected}")]
    S2kParams {
        /// The enctype of the key to be made.
        enctype: Enctype,
        /// The number of bytes that the enctype takes.
        expected: usize,
        /// The number of bytes given.
        actual: usize,
    },

    /// The password is not UTF-8, so it has no UTF-16 form (RFC 4757 section 2).
    #[error("the password is not valid UTF-8, which arcfour-hmac needs to make its key")]
    PasswordNotUtf8,

    /// An NT hash is not 16 bytes in hexadecimal digits (MS-NLMP section 3.3.1).
    #[error(
        "the NT hash is not 32 hexadecimal digits; a hash of a password is MD4 over its UTF-16LE form"
    )]
    NtHashNotHex,

    /// The source of randomness failed.
    #[error(transparent)]
    Random(#[from] RandomFailure),

    /// The enctype defines no such operation.
    #[error("{enctype} does not define {operation}")]
    NotDefined {
        /// The enctype of the key.
        enctype: Enctype,
        /// What was asked for.
        operation: &'static str,
    },

    /// A message is longer than this machine can address.
    #[error("the message is too long for this machine")]
    TooLong,

    /// A scattered message had other segments at the second walk than at the first; a caller's mistake.
    #[error("the segments of the message changed while it was being processed")]
    SegmentsChanged,
}

//! What can be wrong with a PAC: its bytes, or what it claims.

use thiserror::Error;
use trihound_crypto::ChecksumType;
use trihound_sansio::Timestamp;

use crate::pac::{PacBufferType, Sid};

/// The bytes are not a PAC, or one of its buffers is not what its type says. Nothing of it was used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPac {
    /// A length or offset goes past the end.
    #[error(
        "{structure} is cut off: {needed} bytes are announced at byte {offset} and are not there; the PAC was altered or its issuer is faulty"
    )]
    Truncated {
        /// The structure.
        structure: &'static str,
        /// Where, in bytes from the beginning of the structure.
        offset: usize,
        /// How many bytes are announced.
        needed: usize,
    },
    /// The PAC is longer than any that is looked at.
    #[error("a PAC of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// [`crate::pac::MAX_PAC_LENGTH`].
        limit: usize,
    },
    /// PACTYPE's version is not 0 (MS-PAC section 2.3).
    #[error("a PAC of version {found}, where only version 0 is defined (MS-PAC section 2.3)")]
    Version {
        /// The version that came.
        found: u32,
    },
    /// More buffers than any PAC has (MS-PAC section 2.3; CVE-2022-42898).
    #[error("the PAC announces {count} buffers, over the limit of {limit}")]
    TooManyBuffers {
        /// How many are announced.
        count: u32,
        /// [`crate::pac::MAX_PAC_BUFFERS`].
        limit: u32,
    },
    /// A buffer does not begin on an 8-byte boundary (MS-PAC section 2.3).
    #[error(
        "the PAC's {buffer} begins at byte {offset}, which is no 8-byte boundary (MS-PAC section 2.3)"
    )]
    Misaligned {
        /// The buffer.
        buffer: PacBufferType,
        /// Where it begins.
        offset: u64,
    },
    /// A buffer lies outside of the PAC, or within its header (MS-PAC section 2.4; CVE-2022-42898).
    #[error(
        "the PAC's {buffer} of {size} bytes at byte {offset} does not lie behind the header within a PAC of {length} bytes"
    )]
    BufferOutside {
        /// The buffer.
        buffer: PacBufferType,
        /// Where it begins.
        offset: u64,
        /// Its size in bytes.
        size: u32,
        /// The PAC's length in bytes.
        length: usize,
    },
    /// Two buffers share bytes, so that a signature could be read as something else (MS-PAC section
    /// 2.3 places them one behind the other).
    #[error("the PAC's {first} and {second} share bytes; it was put together to deceive")]
    BuffersOverlap {
        /// The one that begins first.
        first: PacBufferType,
        /// The other.
        second: PacBufferType,
    },
    /// A signature's length is not the one of its type, with or without an RODC's identifier
    /// (MS-PAC section 2.8).
    #[error(
        "the PAC's {buffer} of {kind} has {length} bytes of signature, {expected} belong there"
    )]
    SignatureLength {
        /// The buffer.
        buffer: PacBufferType,
        /// The checksum's type.
        kind: ChecksumType,
        /// The number of bytes behind the type.
        length: usize,
        /// The number of bytes of such a checksum.
        expected: usize,
    },
    /// The serialization is not NDR 2.0 in little-endian order (MS-RPCE section 2.2.6).
    #[error(
        "{structure} is not serialized as NDR version 1, little-endian (MS-RPCE section 2.2.6.1)"
    )]
    NotNdr {
        /// The structure.
        structure: &'static str,
    },
    /// A pointer that must point to something is null.
    #[error("{structure} leaves out its {field}")]
    NullPointer {
        /// The structure.
        structure: &'static str,
        /// What is missing.
        field: &'static str,
    },
    /// A count is over its bound.
    #[error("{structure} announces {count} {field}, over the limit of {limit}")]
    TooMany {
        /// The structure.
        structure: &'static str,
        /// What is counted.
        field: &'static str,
        /// How many are announced.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// A count and the array it belongs to disagree (C706 section 14.3.3.2).
    #[error("{structure} has {announced} {field} by its count and {found} by the array's size")]
    CountsDiffer {
        /// The structure.
        structure: &'static str,
        /// What is counted.
        field: &'static str,
        /// By the count.
        announced: u32,
        /// By the array.
        found: u32,
    },
    /// A string's lengths contradict each other (MS-DTYP section 2.3.10, C706 section 14.3.4.2).
    #[error("{structure} has a string whose lengths contradict each other at byte {offset}")]
    StringLength {
        /// The structure.
        structure: &'static str,
        /// Where the string's characters should begin.
        offset: usize,
    },
    /// A string is not UTF-16 (MS-DTYP section 2.3.10).
    #[error("{structure} has a string that is not UTF-16")]
    NotUtf16 {
        /// The structure.
        structure: &'static str,
    },
    /// A security identifier is not one: its revision is not 1, or it has more than 15
    /// sub-authorities, or not its length (MS-DTYP section 2.4.2).
    #[error("{structure} has a security identifier that is malformed (MS-DTYP section 2.4.2)")]
    MalformedSid {
        /// The structure.
        structure: &'static str,
    },
    /// An enumeration or union has a value that is not defined.
    #[error("{structure} has the undefined value {value} for its {field}")]
    UndefinedValue {
        /// The structure.
        structure: &'static str,
        /// The field.
        field: &'static str,
        /// The value.
        value: u32,
    },
    /// The discriminant within a union differs from the one before it (C706 section 14.3.8).
    #[error("{structure} says type {announced} and holds type {found}")]
    DiscriminantsDiffer {
        /// The structure.
        structure: &'static str,
        /// Outside.
        announced: u16,
        /// Inside.
        found: u16,
    },
    /// Claims are compressed in a way that is not read here (MS-ADTS section 2.2.18.4).
    #[error(
        "the claims are compressed with format {format}; read are format 0, which is none, and format 4, which is XPRESS with Huffman codes"
    )]
    ClaimsCompressed {
        /// The format's number: 2 LZNT1, 3 XPRESS.
        format: u16,
    },
    /// Compressed claims that no compressor wrote (MS-XCA section 2.2.4).
    #[error(
        "the compressed claims do not decompress; they were altered, or their issuer is faulty"
    )]
    ClaimsCorrupt,
}

/// A PAC that is well-formed and must not be believed. Nothing of it was used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacNotTrusted {
    /// A buffer that every PAC must have is not there (MS-PAC section 2.4).
    #[error(
        "the PAC has no {buffer} (MS-PAC section 2.4); the ticket was altered, or its issuer is faulty"
    )]
    BufferMissing {
        /// The buffer.
        buffer: PacBufferType,
    },
    /// A signature is of a type that anybody can make (MS-PAC section 2.8; CVE-2014-6324).
    #[error(
        "the PAC's {buffer} is of {kind}, which takes no key, so that anybody can make it; the PAC is forged"
    )]
    SignatureNotKeyed {
        /// The buffer.
        buffer: PacBufferType,
        /// The checksum's type.
        kind: ChecksumType,
    },
    /// A signature's type is not of the key's enctype (MS-PAC section 2.8; CVE-2016-2126).
    #[error(
        "the PAC's {buffer} is of {kind}, where the key makes {expected}; the PAC was signed with another key"
    )]
    SignatureTypeDiffers {
        /// The buffer.
        buffer: PacBufferType,
        /// The checksum's type.
        kind: ChecksumType,
        /// The type that the key makes.
        expected: ChecksumType,
    },
    /// A signature is not the one that the key gives (MS-PAC section 2.8).
    #[error(
        "the PAC's {buffer} does not verify: the PAC was altered, or it was signed with another key"
    )]
    SignatureInvalid {
        /// The buffer.
        buffer: PacBufferType,
    },
    /// The ticket whose signature is to be checked does not hold this PAC (MS-PAC section 2.8.3).
    #[error("the ticket does not hold this PAC, so its signature cannot be checked")]
    TicketWithoutPac,
    /// PAC_CLIENT_INFO names somebody else than the ticket (MS-PAC section 2.7).
    #[error("the PAC is of {pac:?}, the ticket of {ticket}; it was taken from another ticket")]
    ClientNameDiffers {
        /// The name in the PAC.
        pac: String,
        /// The client of the ticket.
        ticket: String,
    },
    /// PAC_CLIENT_INFO has another time than the ticket's authtime (MS-PAC section 2.7).
    #[error(
        "the PAC is of a login at FILETIME {pac}, the ticket of one at {ticket}; it was taken from another ticket"
    )]
    ClientIdDiffers {
        /// 100 ns units since 1601, from the PAC.
        pac: u64,
        /// The ticket's authtime.
        ticket: Timestamp,
    },
    /// PAC_REQUESTOR is somebody else than the user (MS-PAC section 2.15; CVE-2021-42287).
    #[error("the ticket was requested by {requestor}, and its PAC is of {user}")]
    RequestorDiffers {
        /// The SID in PAC_REQUESTOR.
        requestor: Box<Sid>,
        /// The user's SID.
        user: Box<Sid>,
    },
    /// UPN_DNS_INFO has another SID than the logon information (MS-PAC section 2.10).
    #[error(
        "the PAC is of {logon_info} by its logon information and of {upn_dns_info} by its UPN_DNS_INFO"
    )]
    UserSidsDiffer {
        /// The SID in KERB_VALIDATION_INFO.
        logon_info: Box<Sid>,
        /// The SID in UPN_DNS_INFO.
        upn_dns_info: Box<Sid>,
    },
}

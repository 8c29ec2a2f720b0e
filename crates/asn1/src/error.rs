//! What can be wrong with a message, without quoting a byte of it: it may be a decrypted part.

use rasn::error::{BerDecodeErrorKind, CodecDecodeError, DecodeErrorKind};

use crate::primitive::{TIME_FAULT, UINT32_FAULT};
use crate::raw::RAW_TAG_FAULT;

/// Why bytes are not the message they were taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message is longer than any that is looked at.
    #[error(
        "{type_name} of {length} bytes is over the limit of {limit} for one message; check that the peer speaks Kerberos on this port"
    )]
    TooLong {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Bytes that came.
        length: usize,
        /// [`crate::MAX_MESSAGE_LENGTH`].
        limit: usize,
    },
    /// A length says more bytes than its parent has.
    #[error(
        "{type_name} is cut off: the value at byte {offset} runs past the end; read the whole message before decoding"
    )]
    Truncated {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Where the value begins, in bytes.
        offset: usize,
    },
    /// A length in the indefinite form (X.690 10.1 forbids it in DER).
    #[error(
        "{type_name} has an indefinite length at byte {offset}, which DER forbids; the sender must encode in DER"
    )]
    IndefiniteLength {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Where the value begins, in bytes.
        offset: usize,
    },
    /// A length in more than four octets.
    #[error(
        "{type_name} has a length of more than four octets at byte {offset}; no message is that long"
    )]
    LengthTooLarge {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Where the value begins, in bytes.
        offset: usize,
    },
    /// A tag number above 30, which no type of Kerberos has.
    #[error(
        "{type_name} has a tag number above 30 at byte {offset}, which no Kerberos type uses; these bytes are something else"
    )]
    HighTagNumber {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Where the value begins, in bytes.
        offset: usize,
    },
    /// Values nest deeper than in any message.
    #[error(
        "{type_name} nests deeper than {limit} levels at byte {offset}; no Kerberos message does, so this one is hostile or damaged"
    )]
    TooDeep {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Where the value that is one too deep begins, in bytes.
        offset: usize,
        /// [`crate::MAX_DEPTH`].
        limit: usize,
    },
    /// A string in pieces (X.690 10.2 forbids it in DER).
    #[error(
        "{type_name} has a constructed string at byte {offset}, which DER forbids; the sender must encode in DER"
    )]
    ConstructedString {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Where the value begins, in bytes.
        offset: usize,
    },
    /// Bytes follow the end of the message.
    #[error(
        "{type_name} is followed by {count} bytes that do not belong to it; the framing around it is wrong or the message was altered"
    )]
    TrailingBytes {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// How many bytes follow.
        count: usize,
    },
    /// The parts are not those of the type.
    #[error("{type_name} is not valid{}: {cause}; the sender does not follow the standard, or this is another message", in_field(.field))]
    Malformed {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Path of the field, such as `key.keyvalue`; empty for the type itself and for an OPTIONAL field.
        field: String,
        /// What is wrong there.
        cause: Cause,
    },
    /// A protocol version other than 5 (RFC 4120 5.2.1 for messages, 5.3 for tickets, 5.5.1 for authenticators).
    #[error(
        "{type_name} says protocol version {found}, only 5 is known; the peer speaks another Kerberos"
    )]
    ProtocolVersion {
        /// ASN.1 name of the type.
        type_name: &'static str,
        /// The version that came.
        found: i32,
    },
    /// A `msg-type` that is not the one of the message (RFC 4120 5.10).
    #[error(
        "{type_name} says message type {found}, must be {expected}; the message was assembled wrongly or altered"
    )]
    MessageType {
        /// ASN.1 name of the type.
        type_name: &'static str,
        /// The type that came.
        found: i32,
        /// The type that belongs to the message.
        expected: i32,
    },
    /// Microseconds outside 0..=999999 (RFC 4120 5.2.4).
    #[error(
        "{type_name} has {found} microseconds in {field}, must be 0 to 999999; the sender's clock code is wrong"
    )]
    MicrosecondsOutOfRange {
        /// ASN.1 name of the type.
        type_name: &'static str,
        /// Name of the field.
        field: &'static str,
        /// The number that came.
        found: i32,
    },
    /// A SEQUENCE OF that the standard wants to have a member has none.
    #[error(
        "{type_name} has no entry in {field}, the standard asks for one at least; the sender left out what it must say"
    )]
    EmptySequence {
        /// ASN.1 name of the type.
        type_name: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// Not `[APPLICATION 0]`, so not an initial context token (RFC 2743 3.1).
    #[error(
        "GSS token begins with byte {found:#04x}, an initial token with 0x60; if this is a raw AP-REQ or a later token, do not unwrap it"
    )]
    NotInitialToken {
        /// First byte of the token.
        found: u8,
    },
    /// The length in the framing is not what is left (RFC 2743 3.1).
    #[error(
        "GSS token says {claimed} bytes follow, {present} do; the transport cut it or glued two tokens together"
    )]
    FramingLength {
        /// What the framing says.
        claimed: usize,
        /// What is there.
        present: usize,
    },
    /// The length in the framing has leading zeros or the long form for a short length (RFC 2743 3.1).
    #[error(
        "GSS token's length field is not in the shortest form, which RFC 2743 asks for; the sender's framing is wrong"
    )]
    FramingLengthNotMinimal,
    /// No object identifier behind the framing's length (RFC 2743 3.1).
    #[error(
        "GSS token has no object identifier of a mechanism behind its length; it is damaged or not a GSS token"
    )]
    MechanismMissing,
    /// The token ends before its TOK_ID (RFC 4121 4.1).
    #[error("GSS token ends before its two-byte token identifier; it was cut off")]
    TokenIdMissing,
    /// The authenticator checksum 0x8003 is shorter than its fixed fields (RFC 4121 4.1.1).
    #[error(
        "GSS checksum field has {length} bytes, 24 at least are needed; the initiator did not build it by RFC 4121 4.1.1"
    )]
    GssChecksumTooShort {
        /// Bytes that came.
        length: usize,
    },
    /// `Lgth` is not 16 (RFC 4121 4.1.1).
    #[error(
        "GSS checksum field says {found} bytes of channel bindings, must be 16; the initiator did not build it by RFC 4121 4.1.1"
    )]
    GssBindingsLength {
        /// The length that came.
        found: u32,
    },
    /// GSS_C_DELEG_FLAG is set and the delegation fields are not there (RFC 4121 4.1.1.1).
    #[error(
        "GSS checksum field sets the delegation flag, but its delegation fields are cut off; the initiator did not build it by RFC 4121 4.1.1.1"
    )]
    GssDelegationTruncated,
    /// `DlgOpt` is not 1 (RFC 4121 4.1.1.1).
    #[error(
        "GSS checksum field has delegation option {found}, only 1 is defined; the initiator did not build it by RFC 4121 4.1.1.1"
    )]
    GssDelegationOption {
        /// The option that came.
        found: u16,
    },
    /// Another alternative of NegotiationToken, or none (RFC 4178 4.2).
    #[error(
        "SPNEGO token begins with byte {found:#04x}, {type_name} with {expected:#04x}; the peer is at another step of the negotiation, or speaks something else"
    )]
    NegotiationTokenTag {
        /// ASN.1 name of the type that was expected.
        type_name: &'static str,
        /// Identifier that belongs there.
        expected: u8,
        /// First byte that came.
        found: u8,
    },
    /// The frame names another mechanism than SPNEGO (RFC 4178 3.2).
    #[error(
        "GSS token is framed for another mechanism than SPNEGO; give it to that mechanism, the peer does not negotiate"
    )]
    NotSpnego,
    /// More mechanisms than are looked at.
    #[error(
        "NegTokenInit offers {count} mechanisms, over the limit of {limit}; no peer has that many, so this one is hostile or damaged"
    )]
    TooManyMechTypes {
        /// How many came.
        count: usize,
        /// [`crate::spnego::MAX_MECH_TYPES`].
        limit: usize,
    },
}

fn in_field(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!(" in field {field}")
    }
}

/// What is wrong with a field of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Another tag than the type's.
    #[error("expected tag {expected}, found {found}")]
    Tag {
        /// Class and number that belong there.
        expected: String,
        /// Class and number that came.
        found: String,
    },
    /// A field that is not OPTIONAL is absent.
    #[error("a required field is missing")]
    Missing,
    /// A field twice.
    #[error("the field comes twice")]
    Duplicate,
    /// Fields that the type does not have, or not in this place.
    #[error("there is a field that the type does not have there")]
    Unexpected,
    /// An INTEGER that the type cannot hold.
    #[error("the number does not fit into 32 bits")]
    Number,
    /// Not a time in the form YYYYMMDDHHMMSSZ (RFC 4120 5.2.3).
    #[error("the time is not of the form YYYYMMDDHHMMSSZ without a fraction")]
    Time,
    /// No alternative of a CHOICE, or no known value of an ENUMERATED.
    #[error("the alternative is not known")]
    Alternative,
    /// A constructed encoding where a primitive one belongs, or the other way.
    #[error("primitive and constructed form are mixed up")]
    Form,
    /// A BIT STRING whose count of unused bits is impossible.
    #[error("the bit string has an impossible number of unused bits")]
    BitString,
    /// An OBJECT IDENTIFIER that is empty, cut off, too long or not in its shortest form (X.690 8.19).
    #[error("the object identifier is not valid")]
    ObjectIdentifier,
    /// Anything else that breaks DER.
    #[error("the encoding is not DER of this type")]
    Encoding,
}

impl DecodeError {
    /// Takes over what the decoder says, less the input that it quotes.
    pub(crate) fn from_rasn(type_name: &'static str, error: &rasn::error::DecodeError) -> Self {
        // The decoder's names are `Type.field`; one for an OPTIONAL field may be absent.
        fn push(path: &mut Vec<&'static str>, name: &'static str) {
            let field = name.rsplit('.').next().unwrap_or(name);
            if path.last() != Some(&field) {
                path.push(field);
            }
        }
        let mut path = Vec::new();
        let mut kind = error.kind.as_ref();
        while let DecodeErrorKind::FieldError { name, nested } = kind {
            push(&mut path, name);
            kind = nested.kind.as_ref();
        }
        if let DecodeErrorKind::MissingField { name } | DecodeErrorKind::DuplicateField { name } =
            kind
        {
            push(&mut path, name);
        }
        Self::Malformed {
            type_name,
            field: path.join("."),
            cause: cause_of(kind),
        }
    }
}

fn cause_of(kind: &DecodeErrorKind) -> Cause {
    match kind {
        DecodeErrorKind::CodecSpecific {
            inner: CodecDecodeError::Ber(kind),
        } => cause_of_ber(kind),
        DecodeErrorKind::CodecSpecific {
            inner: CodecDecodeError::Der(_),
        } => Cause::Form,
        DecodeErrorKind::MissingField { .. }
        | DecodeErrorKind::Incomplete { .. }
        | DecodeErrorKind::Eof
        | DecodeErrorKind::UnexpectedEmptyInput => Cause::Missing,
        DecodeErrorKind::DuplicateField { .. } => Cause::Duplicate,
        DecodeErrorKind::UnexpectedExtraData { .. }
        | DecodeErrorKind::UnknownField { .. }
        | DecodeErrorKind::TypeNotExtensible => Cause::Unexpected,
        DecodeErrorKind::IntegerOverflow { .. }
        | DecodeErrorKind::IntegerTypeConversionFailed { .. } => Cause::Number,
        DecodeErrorKind::NoValidChoice { .. }
        | DecodeErrorKind::ChoiceIndexNotFound { .. }
        | DecodeErrorKind::EnumerationIndexNotFound { .. }
        | DecodeErrorKind::DiscriminantValueNotFound { .. } => Cause::Alternative,
        DecodeErrorKind::InvalidBitString { .. } => Cause::BitString,
        DecodeErrorKind::Custom { msg } => match msg.as_str() {
            TIME_FAULT => Cause::Time,
            UINT32_FAULT => Cause::Number,
            RAW_TAG_FAULT => Cause::Tag {
                expected: "of the value that is kept as received".to_owned(),
                found: "another".to_owned(),
            },
            _ => Cause::Encoding,
        },
        _ => Cause::Encoding,
    }
}

fn cause_of_ber(kind: &BerDecodeErrorKind) -> Cause {
    match kind {
        BerDecodeErrorKind::MismatchedTag { expected, actual } => Cause::Tag {
            expected: expected.to_string(),
            found: actual.to_string(),
        },
        BerDecodeErrorKind::InvalidConstructedIdentifier => Cause::Form,
        BerDecodeErrorKind::InvalidDate { .. } => Cause::Time,
        _ => Cause::Encoding,
    }
}

/// Why a value cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field holds what the type cannot carry.
    #[error(
        "{type_name} cannot be encoded: a time lies outside the years 0 to 9999 or a value is not valid; correct the field before encoding"
    )]
    NotEncodable {
        /// ASN.1 name of the type.
        type_name: &'static str,
    },
    /// The value breaks a rule that its receiver would check.
    #[error("{type_name} would be refused by its receiver")]
    WouldBeRefused {
        /// ASN.1 name of the type.
        type_name: &'static str,
        /// What the receiver would say.
        #[source]
        cause: DecodeError,
    },
    /// The encoding is longer than any that is looked at.
    #[error(
        "{type_name} takes {length} bytes, over the limit of {limit} for one message; send less authorization data or fewer tickets"
    )]
    TooLong {
        /// ASN.1 name of the type.
        type_name: &'static str,
        /// Bytes of the encoding.
        length: usize,
        /// [`crate::MAX_MESSAGE_LENGTH`].
        limit: usize,
    },
    /// A field of the GSS checksum is longer than its length field can say (RFC 4121 4.1.1.1).
    #[error(
        "delegated credential has {length} bytes, the GSS checksum can carry 65535; delegate a ticket with less authorization data"
    )]
    DelegationTooLong {
        /// Bytes of the KRB-CRED.
        length: usize,
    },
}

//! The door between bytes and types.

use crate::der::{MAX_MESSAGE_LENGTH, check_structure};
use crate::error::{DecodeError, EncodeError};

/// A type that goes over the wire on its own.
pub trait Message: rasn::Decode + rasn::Encode {
    /// The name in the ASN.1 module, for error texts.
    const NAME: &'static str;

    /// Checks what the ASN.1 definition says in words or ranges: version, message type, microseconds.
    ///
    /// # Errors
    /// The variant of [`DecodeError`] that names the broken rule.
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }

    /// Decodes exactly one value from all of `der`.
    ///
    /// # Errors
    /// Too long, too deep, not DER, bytes left over, not this type, or refused by [`Self::check`].
    fn from_der(der: &[u8]) -> Result<Self, DecodeError> {
        check_structure(Self::NAME, der)?;
        let value = rasn::der::decode::<Self>(der)
            .map_err(|error| DecodeError::from_rasn(Self::NAME, &error))?;
        value.check()?;
        Ok(value)
    }

    /// Encodes in DER.
    ///
    /// # Errors
    /// A value that a receiver of this crate would refuse, or one that is too long.
    fn to_der(&self) -> Result<Vec<u8>, EncodeError> {
        self.check().map_err(|cause| EncodeError::WouldBeRefused {
            type_name: Self::NAME,
            cause,
        })?;
        let der = rasn::der::encode(self).map_err(|_| EncodeError::NotEncodable {
            type_name: Self::NAME,
        })?;
        if der.len() > MAX_MESSAGE_LENGTH {
            return Err(EncodeError::TooLong {
                type_name: Self::NAME,
                length: der.len(),
                limit: MAX_MESSAGE_LENGTH,
            });
        }
        Ok(der)
    }
}

/// Gives types that have nothing to check their ASN.1 name.
macro_rules! message {
    ($($type:ty = $name:literal),+ $(,)?) => {
        $(impl $crate::Message for $type {
            const NAME: &'static str = $name;
        })+
    };
}
pub(crate) use message;

/// The protocol version of every message and ticket (RFC 4120 5.2.1, 5.3, 5.5.1).
pub(crate) const PVNO: i32 = 5;

pub(crate) fn check_version(type_name: &'static str, found: i32) -> Result<(), DecodeError> {
    // RFC 4120 5.4.1, 5.3: pvno INTEGER (5), tkt-vno INTEGER (5).
    if found != PVNO {
        return Err(DecodeError::ProtocolVersion { type_name, found });
    }
    Ok(())
}

pub(crate) fn check_header(
    type_name: &'static str,
    pvno: i32,
    found: i32,
    expected: i32,
) -> Result<(), DecodeError> {
    check_version(type_name, pvno)?;
    // RFC 4120 5.10: each message has one number, which msg-type repeats.
    if found != expected {
        return Err(DecodeError::MessageType {
            type_name,
            found,
            expected,
        });
    }
    Ok(())
}

pub(crate) fn check_microseconds(
    type_name: &'static str,
    field: &'static str,
    value: Option<i32>,
) -> Result<(), DecodeError> {
    // RFC 4120 5.2.4: Microseconds ::= INTEGER (0..999999).
    if let Some(found) = value
        && !(0..=999_999).contains(&found)
    {
        return Err(DecodeError::MicrosecondsOutOfRange {
            type_name,
            field,
            found,
        });
    }
    Ok(())
}

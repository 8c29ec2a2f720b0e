//! A value as it was received.

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;

use rasn::types::{Any, Constraints, Identifier, Tag};
use rasn::{AsnType, Decode, Decoder, Encode, Encoder};

use crate::error::{DecodeError, EncodeError};
use crate::message::Message;

pub(crate) const RAW_TAG_FAULT: &str = "raw tag";

/// The DER of one `T`, exactly as received or as first encoded.
///
/// A checksum, signature or replay check goes over these bytes; encoding a decoded value again could give
/// others, since a sender may not have used the shortest form. Only the outer tag is checked when the value
/// is taken out of its message; [`Self::decode`] looks inside. A clone shares the bytes.
pub struct Raw<T> {
    der: Arc<Any>,
    of: PhantomData<fn() -> T>,
}

impl<T> Raw<T> {
    /// The bytes: identifier, length and contents.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.der.as_bytes()
    }

    fn keep(any: Any) -> Self {
        Self {
            der: Arc::new(any),
            of: PhantomData,
        }
    }
}

impl<T: Message> Raw<T> {
    /// Encodes `value` once and keeps the bytes.
    ///
    /// # Errors
    /// As [`Message::to_der`].
    pub fn new(value: &T) -> Result<Self, EncodeError> {
        Ok(Self::keep(Any::new(value.to_der()?)))
    }

    /// Takes bytes that came from elsewhere, such as a ticket from a credential cache.
    ///
    /// # Errors
    /// If the bytes are not a whole `T`.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, DecodeError> {
        let der = der.into();
        T::from_der(&der)?;
        Ok(Self::keep(Any::new(der)))
    }

    /// The value that the bytes encode. Decodes anew each time: keep the result.
    ///
    /// # Errors
    /// As [`Message::from_der`].
    pub fn decode(&self) -> Result<T, DecodeError> {
        T::from_der(self.der())
    }
}

impl<T> Clone for Raw<T> {
    fn clone(&self) -> Self {
        Self {
            der: Arc::clone(&self.der),
            of: PhantomData,
        }
    }
}

impl<T> PartialEq for Raw<T> {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl<T> Eq for Raw<T> {}

impl<T: Message> fmt::Debug for Raw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw<{}>({} bytes)", T::NAME, self.der().len())
    }
}

impl<T: AsnType> AsnType for Raw<T> {
    const TAG: Tag = T::TAG;
}

fn has_tag(der: &[u8], tag: Tag) -> bool {
    der.first().is_some_and(|identifier| {
        identifier >> 6 == tag.class as u8 && u32::from(identifier & 0x1f) == tag.value
    })
}

impl<T: AsnType> Decode for Raw<T> {
    fn decode_with_tag_and_constraints<D: Decoder>(
        decoder: &mut D,
        _: Tag,
        _: &Constraints,
    ) -> Result<Self, D::Error> {
        let any = decoder.decode_any(Tag::EOC)?;
        if has_tag(any.as_bytes(), T::TAG) {
            Ok(Self::keep(any))
        } else {
            Err(rasn::de::Error::custom(RAW_TAG_FAULT, decoder.codec()))
        }
    }
}

impl<T: AsnType> Encode for Raw<T> {
    fn encode_with_tag_and_constraints<'b, E: Encoder<'b>>(
        &self,
        encoder: &mut E,
        tag: Tag,
        _: &Constraints,
        identifier: Identifier,
    ) -> Result<(), E::Error> {
        // Bytes as received cannot be given another tag; every use in the standards tags them explicitly.
        if tag != T::TAG {
            return Err(rasn::enc::Error::custom(RAW_TAG_FAULT, encoder.codec()));
        }
        encoder
            .encode_any(Tag::EOC, &self.der, identifier)
            .map(drop)
    }
}

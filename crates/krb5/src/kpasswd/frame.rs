//! The frame of both messages (RFC 3244 section 2).

use crate::reader::{Order, Reader, Short};
use crate::{ApiMisuse, KpasswdMisbehaved};

/// The original protocol, and every reply.
pub const VERSION_CHANGE: u16 = 1;
/// The request that may name whose password it is.
pub const VERSION_SET: u16 = 0xff80;

/// Bytes of the three numbers in front.
const HEADER_LENGTH: usize = 6;

/// A message of the password service, either way: length, version, length of the AP-REQ or AP-REP, that, and a
/// KRB-PRIV or KRB-ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// [`VERSION_CHANGE`] or [`VERSION_SET`]; any other is still to be refused.
    pub version: u16,
    /// The AP-REQ or AP-REP; empty where a KRB-ERROR follows.
    pub ap: &'a [u8],
    /// The KRB-PRIV or KRB-ERROR.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes a message apart; its parts are not looked into.
    ///
    /// # Errors
    ///
    /// [`KpasswdMisbehaved::CutShort`], [`KpasswdMisbehaved::LengthDiffers`].
    pub fn parse(message: &'a [u8]) -> Result<Self, KpasswdMisbehaved> {
        let short = |short: Short| KpasswdMisbehaved::CutShort {
            needed: short.offset.saturating_add(short.needed),
            found: message.len(),
        };
        let mut reader = Reader::new(message, Order::Big);
        let announced = usize::from(reader.u16().map_err(short)?);
        // RFC 3244 2: the length field counts the whole message, itself included.
        if announced != message.len() {
            return Err(KpasswdMisbehaved::LengthDiffers {
                announced,
                found: message.len(),
            });
        }
        Ok(Self {
            version: reader.u16().map_err(short)?,
            ap: reader.counted16().map_err(short)?,
            body: reader.rest(),
        })
    }

    /// The message.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::MessageTooLong`]: the length has 16 bits.
    pub fn to_bytes(self) -> Result<Vec<u8>, ApiMisuse> {
        let length = HEADER_LENGTH
            .saturating_add(self.ap.len())
            .saturating_add(self.body.len());
        let too_long = |_| ApiMisuse::MessageTooLong {
            what: "a message of the password service",
            length,
            limit: usize::from(u16::MAX),
        };
        let total = u16::try_from(length).map_err(too_long)?;
        let ap = u16::try_from(self.ap.len()).map_err(too_long)?;
        let mut message = Vec::with_capacity(length);
        for number in [total, self.version, ap] {
            message.extend_from_slice(&number.to_be_bytes());
        }
        message.extend_from_slice(self.ap);
        message.extend_from_slice(self.body);
        Ok(message)
    }

    /// A message of these parts.
    #[must_use]
    pub fn new(version: u16, ap: &'a [u8], body: &'a [u8]) -> Self {
        Self { version, ap, body }
    }
}

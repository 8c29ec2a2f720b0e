//! Object identifiers between their octets and dotted text.
//!
//! The decoder's own type holds 32 bits an arc, which an identifier made from a UUID (X.667, under 2.25)
//! does not fit: one such mechanism in a list would make the whole list unreadable.

use core::fmt::Write as _;

use rasn::prelude::*;

use crate::error::{Cause, DecodeError, EncodeError};

/// The most octets that an object identifier of a mechanism may have. One made from a UUID has 20.
pub const MAX_OID_LENGTH: usize = 64;

/// The contents of an OBJECT IDENTIFIER, as received.
#[derive(AsnType, Decode, Encode, Clone, Debug, PartialEq, Eq)]
#[rasn(delegate, tag(universal, 6))]
pub(crate) struct OidOctets(OctetString);

impl OidOctets {
    /// Dotted text, such as `1.2.840.113554.1.2.2`.
    pub(crate) fn dotted(
        &self,
        type_name: &'static str,
        field: &str,
    ) -> Result<String, DecodeError> {
        dotted(&self.0).ok_or_else(|| DecodeError::Malformed {
            type_name,
            field: field.to_owned(),
            cause: Cause::ObjectIdentifier,
        })
    }

    pub(crate) fn from_dotted(type_name: &'static str, text: &str) -> Result<Self, EncodeError> {
        octets(text)
            .map(|octets| Self(octets.into()))
            .ok_or(EncodeError::NotEncodable { type_name })
    }
}

/// The octets of an identifier in dotted form: without tag and length.
///
/// `None`: not dotted numbers, fewer than two, a first above 2, a second above 39 under 0 or 1, an arc of
/// more than 128 bits, or more than [`MAX_OID_LENGTH`] octets (X.690 8.19).
#[must_use]
pub fn octets(text: &str) -> Option<Vec<u8>> {
    let mut arcs = text.split('.').map(arc);
    let (first, second) = (arcs.next()??, arcs.next()??);
    if first > 2 || (first < 2 && second > 39) {
        return None;
    }
    let mut out = Vec::new();
    push_arc(&mut out, second.checked_add(first * 40)?);
    for value in arcs {
        push_arc(&mut out, value?);
        if out.len() > MAX_OID_LENGTH {
            return None;
        }
    }
    Some(out)
}

fn arc(text: &str) -> Option<u128> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    if plain && shortest {
        text.parse().ok()
    } else {
        None
    }
}

fn push_arc(out: &mut Vec<u8>, value: u128) {
    let groups = (128 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let seven = u8::try_from(value >> (group * 7) & 0x7f).unwrap_or_default();
        out.push(if group == 0 { seven } else { 0x80 | seven });
    }
}

/// Dotted form of an identifier's octets.
///
/// `None`: no octet, more than [`MAX_OID_LENGTH`], an arc that is cut off, has a leading zero (X.690 8.19.2)
/// or more than 128 bits.
#[must_use]
pub fn dotted(octets: &[u8]) -> Option<String> {
    if octets.is_empty() || octets.len() > MAX_OID_LENGTH {
        return None;
    }
    let mut text = String::new();
    let mut value = 0_u128;
    let mut within = false;
    for &octet in octets {
        // X.690 8.19.2: a subidentifier has the fewest octets, so the first of them is not 0x80.
        if !within && octet == 0x80 {
            return None;
        }
        if value >> 121 != 0 {
            return None;
        }
        value = value << 7 | u128::from(octet & 0x7f);
        within = octet & 0x80 != 0;
        if within {
            continue;
        }
        if text.is_empty() {
            let first = (value / 40).min(2);
            write!(text, "{first}.{}", value - first * 40).ok()?;
        } else {
            write!(text, ".{value}").ok()?;
        }
        value = 0;
    }
    (!within).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_text_and_octets_are_two_forms_of_one_identifier() {
        for (text, wanted) in [
            ("0.0", &[0][..]),
            ("1.39", &[79]),
            ("2.0", &[80]),
            ("2.999.3", &[0x88, 0x37, 0x03]),
            ("1.2.840.113554.1.2.2", crate::gss::KRB5_OID),
            ("1.3.6.1.4.1.311.2.2.10", crate::gss::NTLM_OID),
        ] {
            assert_eq!(octets(text).as_deref(), Some(wanted), "{text}");
            assert_eq!(dotted(wanted).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_identifier_made_from_a_uuid_is_read() {
        let text = "2.25.340282366920938463463374607431768211455";
        let wanted = octets(text).unwrap();
        assert_eq!(wanted.len(), 20);
        assert_eq!(dotted(&wanted).as_deref(), Some(text));
    }

    #[test]
    fn octets_that_are_no_identifier_are_refused() {
        assert_eq!(dotted(&[]), None, "none");
        assert_eq!(dotted(&[0x2a, 0x86]), None, "cut off");
        assert_eq!(dotted(&[0x2a, 0x80, 0x01]), None, "a leading zero");
        let mut above = vec![0x84];
        above.extend([0x80; 17]);
        above.push(0);
        assert_eq!(dotted(&above), None, "2 to the 128th");
        *above.first_mut().unwrap() = 0x83;
        assert!(dotted(&above).is_some(), "three quarters of it");
    }

    #[test]
    fn the_longest_identifier_is_read_and_one_octet_more_is_not() {
        let longest = [1; MAX_OID_LENGTH];
        assert_eq!(octets(&dotted(&longest).unwrap()).unwrap(), longest);
        let above = [1; MAX_OID_LENGTH + 1];
        assert_eq!(dotted(&above), None);
        assert_eq!(octets(&format!("{}.1", dotted(&longest).unwrap())), None);
    }

    #[test]
    fn text_that_is_no_identifier_is_refused() {
        for text in [
            "",
            "1",
            "1.",
            ".1",
            "3.1",
            "0.40",
            "1.40",
            "1.2.-3",
            "1.2.+3",
            "1.2.03",
            "1.2. 3",
            "1.2.340282366920938463463374607431768211456",
        ] {
            assert_eq!(octets(text), None, "{text:?}");
        }
    }
}

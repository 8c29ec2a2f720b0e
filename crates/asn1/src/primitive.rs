//! The types that everything else is made of.

use core::fmt;
use std::borrow::Cow;

use rasn::types::{Constraints, Identifier, OctetString, Tag};
use rasn::{AsnType, Decode, Decoder, Encode, Encoder};
use zeroize::Zeroizing;

pub(crate) const TIME_FAULT: &str = "kerberos time";
pub(crate) const UINT32_FAULT: &str = "uint32";

/// Whether a character must not reach a terminal or a log as it is: control characters steer the one
/// and break the lines of the other, and those of writing direction and of lines (Unicode UAX #9
/// section 2, U+2028 and U+2029) show a name as another than it is.
#[must_use]
pub fn is_treacherous(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Bytes of a peer as text for people: what is not UTF-8, and every [treacherous](is_treacherous)
/// character, is shown as U+FFFD, so that a name can neither steer the terminal that it is shown on
/// nor break a line of a log.
#[must_use]
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if !text.contains(is_treacherous) {
        return text;
    }
    Cow::Owned(text.replace(is_treacherous, "\u{fffd}"))
}

macro_rules! byte_string {
    ($(#[$doc:meta])* $name:ident, $tag:literal) => {
        $(#[$doc])*
        #[derive(AsnType, Decode, Encode, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[rasn(delegate, tag(universal, $tag))]
        pub struct $name(OctetString);

        impl $name {
            /// The bytes as they are on the wire.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The text, if the bytes are UTF-8.
            #[must_use]
            pub fn to_str(&self) -> Option<&str> {
                core::str::from_utf8(&self.0).ok()
            }

            /// Whether there is no byte.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(OctetString::from(text.as_bytes()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(OctetString::from(text.into_bytes()))
            }
        }

        impl From<&[u8]> for $name {
            fn from(bytes: &[u8]) -> Self {
                Self(OctetString::from(bytes))
            }
        }

        impl From<Vec<u8>> for $name {
            fn from(bytes: Vec<u8>) -> Self {
                Self(OctetString::from(bytes))
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        /// Text for people, as [`printable`] makes it.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&printable(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{}\"", self.0.escape_ascii())
            }
        }
    };
}

byte_string! {
    /// `KerberosString ::= GeneralString (IA5String)` (RFC 4120 5.2.1).
    ///
    /// Deployed KDCs put UTF-8 there, and old ones local character sets, so any bytes are taken and given back.
    KerberosString, 27
}

byte_string! {
    /// A `UTF8String` that carries a name. Bytes that are not UTF-8 are taken and given back, as in
    /// [`KerberosString`], so that a realm means the same wherever it is written.
    Utf8Bytes, 12
}

/// `Realm ::= KerberosString` (RFC 4120 5.2.2).
pub type Realm = KerberosString;

/// An `OCTET STRING` that is wiped when dropped and never printed: a key, a password, a decrypted payload.
#[derive(Clone, Default)]
pub struct SecretOctets(Zeroizing<Vec<u8>>);

impl SecretOctets {
    /// The bytes themselves. The caller answers for what becomes of them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for SecretOctets {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl From<Vec<u8>> for SecretOctets {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for SecretOctets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretOctets({} bytes)", self.0.len())
    }
}

impl AsnType for SecretOctets {
    const TAG: Tag = Tag::OCTET_STRING;
}

impl Decode for SecretOctets {
    fn decode_with_tag_and_constraints<D: Decoder>(
        decoder: &mut D,
        tag: Tag,
        constraints: &Constraints,
    ) -> Result<Self, D::Error> {
        decoder
            .decode_octet_string::<Vec<u8>>(tag, constraints)
            .map(Self::from)
    }
}

impl Encode for SecretOctets {
    fn encode_with_tag_and_constraints<'b, E: Encoder<'b>>(
        &self,
        encoder: &mut E,
        tag: Tag,
        constraints: &Constraints,
        identifier: Identifier,
    ) -> Result<(), E::Error> {
        encoder
            .encode_octet_string(tag, constraints, &self.0, identifier)
            .map(drop)
    }
}

/// `UInt32 ::= INTEGER (0..4294967295)` (RFC 4120 5.2.4): a key version, nonce or sequence number.
///
/// Older peers write the upper half as negative numbers, and a read-only domain controller's key versions
/// lie there (conformance row 110): a negative number of 32 bits is taken modulo 2^32. Equality is that of
/// the value; the sign that came is kept for [`crate::Message::to_der`] only.
#[derive(Clone, Copy, Default)]
pub struct UInt32 {
    value: u32,
    negative: bool,
}

impl UInt32 {
    /// A number, which will be encoded without a sign.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self {
            value,
            negative: false,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.value
    }
}

impl From<u32> for UInt32 {
    fn from(value: u32) -> Self {
        Self::new(value)
    }
}

impl From<UInt32> for u32 {
    fn from(value: UInt32) -> Self {
        value.value
    }
}

impl PartialEq for UInt32 {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for UInt32 {}

impl PartialEq<u32> for UInt32 {
    fn eq(&self, other: &u32) -> bool {
        self.value == *other
    }
}

impl core::hash::Hash for UInt32 {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl fmt::Debug for UInt32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value, f)
    }
}

impl fmt::Display for UInt32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}

impl AsnType for UInt32 {
    const TAG: Tag = Tag::INTEGER;
}

impl Decode for UInt32 {
    fn decode_with_tag_and_constraints<D: Decoder>(
        decoder: &mut D,
        tag: Tag,
        constraints: &Constraints,
    ) -> Result<Self, D::Error> {
        let number = decoder.decode_integer::<i64>(tag, constraints)?;
        if let Ok(value) = u32::try_from(number) {
            return Ok(Self::new(value));
        }
        match i32::try_from(number) {
            Ok(negative) => Ok(Self {
                value: negative.cast_unsigned(),
                negative: true,
            }),
            Err(_) => Err(rasn::de::Error::custom(UINT32_FAULT, decoder.codec())),
        }
    }
}

impl Encode for UInt32 {
    fn encode_with_tag_and_constraints<'b, E: Encoder<'b>>(
        &self,
        encoder: &mut E,
        tag: Tag,
        constraints: &Constraints,
        identifier: Identifier,
    ) -> Result<(), E::Error> {
        let number = if self.negative {
            i64::from(self.value.cast_signed())
        } else {
            i64::from(self.value)
        };
        encoder
            .encode_integer(tag, constraints, &number, identifier)
            .map(drop)
    }
}

/// `KerberosTime ::= GeneralizedTime -- with no fractional seconds` (RFC 4120 5.2.3).
///
/// Seconds since 1970-01-01 00:00:00 UTC, leap seconds not counted. Only years 0 to 9999 can be encoded.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KerberosTime(i64);

const SECONDS_PER_DAY: i64 = 86_400;
/// 0000-01-01 00:00:00 and 9999-12-31 23:59:59, the ends of what fifteen characters can say.
const EARLIEST: i64 = -62_167_219_200;
const LATEST: i64 = 253_402_300_799;

impl KerberosTime {
    /// The time so many seconds after 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (digits, b'Z') = text
            .split_last_chunk::<1>()
            .map(|(digits, [last])| (digits, *last))?
        else {
            return None;
        };
        let digits: &[u8; 14] = digits.try_into().ok()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |range: core::ops::Range<usize>| {
            digits
                .get(range)
                .unwrap_or_default()
                .iter()
                .fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'))
        };
        let (year, month, day) = (number(0..4), number(4..6), number(6..8));
        let (hour, minute, second) = (number(8..10), number(10..12), number(12..14));
        let valid = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        valid.then(|| {
            Self(
                days_from_civil(year, month, day) * SECONDS_PER_DAY
                    + hour * 3600
                    + minute * 60
                    + second,
            )
        })
    }

    fn text(self) -> Option<String> {
        if !(EARLIEST..=LATEST).contains(&self.0) {
            return None;
        }
        let (year, month, day) = civil_from_days(self.0.div_euclid(SECONDS_PER_DAY));
        let second = self.0.rem_euclid(SECONDS_PER_DAY);
        Some(format!(
            "{year:04}{month:02}{day:02}{:02}{:02}{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        ))
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days before 1 March in a year that begins with March: the leap day then falls at its end.
fn days_before_month(month: i64) -> i64 {
    (153 * ((month + 9) % 12) + 2) / 5
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let leap_days =
        march_year.div_euclid(4) - march_year.div_euclid(100) + march_year.div_euclid(400);
    march_year * 365 + leap_days + days_before_month(month) + day - 1 - 719_468
}

/// The date so many days after 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // A first guess by the mean length of a year is at most one off.
    let mut year = (days * 400).div_euclid(146_097) + 1970;
    while days_from_civil(year, 1, 1) > days {
        year -= 1;
    }
    while days_from_civil(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    let mut day = days - days_from_civil(year, 1, 1) + 1;
    while day > days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    (year, month, day)
}

/// `YYYYMMDDHHMMSSZ`, or the seconds if the year has more than four digits.
impl fmt::Display for KerberosTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} s since 1970", self.0),
        }
    }
}

impl fmt::Debug for KerberosTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AsnType for KerberosTime {
    const TAG: Tag = Tag::GENERALIZED_TIME;
}

impl Decode for KerberosTime {
    fn decode_with_tag_and_constraints<D: Decoder>(
        decoder: &mut D,
        tag: Tag,
        constraints: &Constraints,
    ) -> Result<Self, D::Error> {
        let codec = decoder.codec();
        let text = decoder.decode_octet_string::<Cow<'_, [u8]>>(tag, constraints)?;
        // RFC 4120 5.2.3: no fraction and no separator, always ending in Z.
        Self::parse(&text).ok_or_else(|| rasn::de::Error::custom(TIME_FAULT, codec))
    }
}

impl Encode for KerberosTime {
    fn encode_with_tag_and_constraints<'b, E: Encoder<'b>>(
        &self,
        encoder: &mut E,
        tag: Tag,
        constraints: &Constraints,
        identifier: Identifier,
    ) -> Result<(), E::Error> {
        let Some(text) = self.text() else {
            return Err(rasn::enc::Error::custom(TIME_FAULT, encoder.codec()));
        };
        encoder
            .encode_octet_string(tag, constraints, text.as_bytes(), identifier)
            .map(drop)
    }
}

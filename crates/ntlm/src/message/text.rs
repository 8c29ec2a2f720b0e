//! Text in messages: UTF-16LE where NEGOTIATE_UNICODE is agreed, OEM text else (MS-NLMP section 2.2).

use super::MessageError;
use crate::NegotiateFlags;

/// Text in the encoding that the flags of its message say.
///
/// # Errors
/// [`MessageError::OddTextLength`], [`MessageError::LoneSurrogate`].
pub fn decode(flags: NegotiateFlags, bytes: &[u8]) -> Result<String, MessageError> {
    if flags.contains(NegotiateFlags::NEGOTIATE_UNICODE) {
        from_utf16(bytes)
    } else {
        Ok(from_oem(bytes))
    }
}

/// Bytes in the encoding that the flags of their message say.
///
/// # Errors
/// [`MessageError::NotInCodePage`].
pub fn encode(flags: NegotiateFlags, text: &str) -> Result<Vec<u8>, MessageError> {
    if flags.contains(NegotiateFlags::NEGOTIATE_UNICODE) {
        Ok(to_utf16(text))
    } else {
        to_oem(text)
    }
}

/// Text of UTF-16LE bytes.
///
/// # Errors
/// [`MessageError::OddTextLength`], [`MessageError::LoneSurrogate`].
pub fn from_utf16(bytes: &[u8]) -> Result<String, MessageError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    // MS-NLMP section 2.2: Unicode text is UTF-16LE, two bytes a unit.
    if !rest.is_empty() {
        return Err(MessageError::OddTextLength {
            length: bytes.len(),
        });
    }
    let mut text = String::with_capacity(pairs.len());
    let mut unit = 0;
    for letter in char::decode_utf16(pairs.iter().copied().map(u16::from_le_bytes)) {
        let letter = letter.map_err(|_| MessageError::LoneSurrogate { unit })?;
        unit += letter.len_utf16();
        text.push(letter);
    }
    Ok(text)
}

/// UTF-16LE bytes of a text.
#[must_use]
pub fn to_utf16(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 2);
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

/// Text of bytes in an OEM code page.
///
/// Which code page, a message does not say. Below 0x80 all of them are ASCII; above, code page 1252 is taken, as
/// other portable implementations do, with the five bytes that it leaves open as control characters.
#[must_use]
pub fn from_oem(bytes: &[u8]) -> String {
    bytes.iter().copied().map(from_1252).collect()
}

/// Bytes of a text in code page 1252: see [`from_oem`].
///
/// # Errors
/// [`MessageError::NotInCodePage`].
pub fn to_oem(text: &str) -> Result<Vec<u8>, MessageError> {
    text.chars().map(to_1252).collect()
}

/// What code page 1252 has for 0x80 to 0x9f; the rest of it is Latin-1.
const WINDOWS_1252: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

fn from_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252
            .get(usize::from(byte - 0x80))
            .copied()
            .unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}

fn to_1252(letter: char) -> Result<u8, MessageError> {
    if let Some(place) = (0x80u8..).zip(WINDOWS_1252).find(|(_, c)| *c == letter) {
        return Ok(place.0);
    }
    match u8::try_from(letter) {
        Ok(byte) if !(0x80..=0x9f).contains(&byte) => Ok(byte),
        _ => Err(MessageError::NotInCodePage),
    }
}

//! Windows' upper case, with which both sides of NTLM write the user's name (conformance row 141).

/// A text in UTF-16 code units, each in Windows' upper case.
pub fn simple_uppercase(text: &str) -> impl Iterator<Item = u16> {
    text.encode_utf16().map(uppercase_unit)
}

/// The upper case of one UTF-16 code unit as Windows' table has it (`RtlUpcaseUnicodeChar`, MS-UCODEREF section 3.1.5.3).
///
/// It maps one unit to one unit: "ß" stays, and so does either half of a surrogate pair. And it leaves out
/// what would not come back: "ı", "ſ", "µ" and "ς" stay too, since their capitals have another small letter.
#[must_use]
pub fn uppercase_unit(unit: u16) -> u16 {
    if unit < 0x80 {
        return match unit {
            0x61..=0x7a => unit - 0x20,
            _ => unit,
        };
    }
    match unit {
        // Unicode writes these with an iota of its own in upper case; one by one they have a capital each.
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => unit + 8,
        0x1fb3 | 0x1fc3 | 0x1ff3 => unit + 9,
        // Letters whose capitals came to Unicode after Windows' table: Georgian, and Cherokee's small letters.
        0x10d0..=0x10ff | 0x13f8..=0x13fd | 0xab70..=0xabbf => unit,
        _ => mapped(unit).unwrap_or(unit),
    }
}

fn mapped(unit: u16) -> Option<u16> {
    let upper = only(char::from_u32(u32::from(unit))?.to_uppercase())?;
    let lower = only(char::from_u32(u32::from(upper))?.to_lowercase())?;
    (lower == unit).then_some(upper)
}

/// The one unit of a mapping that is one unit.
fn only(mut mapping: impl Iterator<Item = char>) -> Option<u16> {
    let first = mapping.next()?;
    if mapping.next().is_some() {
        return None;
    }
    u16::try_from(u32::from(first)).ok()
}

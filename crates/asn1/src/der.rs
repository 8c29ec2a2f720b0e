//! The look at a message's skeleton before any type is decoded: size, depth, lengths.
//!
//! One loop and a fixed array, so neither stack nor heap grows with what a peer sends (CVE-2020-28196
//! was the recursion this replaces).

use crate::error::DecodeError;

/// The most bytes that one message may have: 1 MiB.
///
/// The standards give no limit. A ticket of Active Directory with the largest token that Windows allows
/// (`MaxTokenSize`, 65535 bytes) is a sixteenth of it, and it is the limit of MIT's KDC for a request
/// over TCP, so no deployed message is refused and no peer can make us work on gigabytes.
pub const MAX_MESSAGE_LENGTH: usize = 1 << 20;

/// The deepest nesting of constructed values that is looked at.
///
/// The deepest message of RFC 4120, an AS-REQ with a name inside an additional ticket, has 12.
pub const MAX_DEPTH: usize = 32;

const CONSTRUCTED: u8 = 0x20;
const CLASS_MASK: u8 = 0xc0;
const TAG_MASK: u8 = 0x1f;
const SEQUENCE: u8 = 16;
const SET: u8 = 17;

/// One identifier and length.
pub(crate) struct Header {
    pub(crate) identifier: u8,
    /// Bytes of identifier and length together.
    pub(crate) header_length: usize,
    pub(crate) content_length: usize,
}

/// Why a header cannot be read; the caller knows the type and the place.
pub(crate) enum HeaderFault {
    Truncated,
    Indefinite,
    LengthTooLarge,
    HighTagNumber,
}

impl HeaderFault {
    pub(crate) fn at(&self, type_name: &'static str, offset: usize) -> DecodeError {
        match self {
            Self::Truncated => DecodeError::Truncated { type_name, offset },
            Self::Indefinite => DecodeError::IndefiniteLength { type_name, offset },
            Self::LengthTooLarge => DecodeError::LengthTooLarge { type_name, offset },
            Self::HighTagNumber => DecodeError::HighTagNumber { type_name, offset },
        }
    }
}

/// Reads identifier and definite length at the front of `input`, which may end before the contents do.
pub(crate) fn read_header(input: &[u8]) -> Result<Header, HeaderFault> {
    let (&identifier, rest) = input.split_first().ok_or(HeaderFault::Truncated)?;
    // Kerberos, its extensions and the GSS framing have no tag number above 30.
    if identifier & TAG_MASK == TAG_MASK {
        return Err(HeaderFault::HighTagNumber);
    }
    let (&first, rest) = rest.split_first().ok_or(HeaderFault::Truncated)?;
    if first < 0x80 {
        return Ok(Header {
            identifier,
            header_length: 2,
            content_length: usize::from(first),
        });
    }
    // X.690 10.1: DER uses the definite form of length, and RFC 4120 5.1 uses DER.
    if first == 0x80 {
        return Err(HeaderFault::Indefinite);
    }
    let octets = usize::from(first & 0x7f);
    if octets > size_of::<u32>() {
        return Err(HeaderFault::LengthTooLarge);
    }
    let length = rest.get(..octets).ok_or(HeaderFault::Truncated)?;
    let content_length = length
        .iter()
        .fold(0_u32, |value, &octet| (value << 8) | u32::from(octet));
    Ok(Header {
        identifier,
        header_length: octets + 2,
        content_length: usize::try_from(content_length).map_err(|_| HeaderFault::LengthTooLarge)?,
    })
}

/// The octets of a length in their shortest form.
pub(crate) fn length_octets(length: usize) -> impl Iterator<Item = u8> {
    let octets = length.to_be_bytes();
    let skip = octets.iter().take_while(|&&octet| octet == 0).count();
    let significant = octets.len() - skip;
    // X.690 10.1: the short form below 128, otherwise the count of octets with bit 8 set, and the octets.
    let count = (length > 0x7f).then(|| 0x80 | u8::try_from(significant).unwrap_or(0x7f));
    let skip = if length == 0 { octets.len() - 1 } else { skip };
    count.into_iter().chain(octets.into_iter().skip(skip))
}

/// Appends identifier, length and contents, which come in parts.
pub(crate) fn push_value(out: &mut Vec<u8>, identifier: u8, content: &[&[u8]]) {
    out.push(identifier);
    out.extend(length_octets(content.iter().map(|part| part.len()).sum()));
    for part in content {
        out.extend_from_slice(part);
    }
}

/// Checks that `input` is one value whose parts nest within their parents and within the bounds above.
pub(crate) fn check_structure(type_name: &'static str, input: &[u8]) -> Result<(), DecodeError> {
    if input.len() > MAX_MESSAGE_LENGTH {
        return Err(DecodeError::TooLong {
            type_name,
            length: input.len(),
            limit: MAX_MESSAGE_LENGTH,
        });
    }
    let mut parents = [0_usize; MAX_DEPTH];
    let mut depth = 0_usize;
    let mut position = 0_usize;
    let mut end = input.len();
    loop {
        let rest = input.get(position..end).ok_or(DecodeError::Truncated {
            type_name,
            offset: position,
        })?;
        let header = read_header(rest).map_err(|fault| fault.at(type_name, position))?;
        let content = position + header.header_length;
        let content_end = content
            .checked_add(header.content_length)
            .filter(|&content_end| content_end <= end)
            .ok_or(DecodeError::Truncated {
                type_name,
                offset: position,
            })?;
        if depth == 0 && content_end != end {
            return Err(DecodeError::TrailingBytes {
                type_name,
                count: end - content_end,
            });
        }
        if header.identifier & CONSTRUCTED == 0 {
            position = content_end;
        } else {
            let tag = header.identifier & TAG_MASK;
            // X.690 10.2: DER encodes a string in the primitive form only.
            if header.identifier & CLASS_MASK == 0 && tag != SEQUENCE && tag != SET {
                return Err(DecodeError::ConstructedString {
                    type_name,
                    offset: position,
                });
            }
            let parent = parents.get_mut(depth).ok_or(DecodeError::TooDeep {
                type_name,
                offset: position,
                limit: MAX_DEPTH,
            })?;
            *parent = end;
            depth += 1;
            end = content_end;
            position = content;
        }
        while position == end {
            let Some(above) = depth.checked_sub(1) else {
                return Ok(());
            };
            depth = above;
            end = parents.get(depth).copied().unwrap_or_default();
        }
    }
}

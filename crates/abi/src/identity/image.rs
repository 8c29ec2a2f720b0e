//! `SEC_WINNT_AUTH_IDENTITY_EX2`: an identity in one piece, as the Sspi functions make and take it.
//!
//! It is read as bytes: nothing in it is believed before it was held against the piece's length.

use core::ffi::c_void;

use trihound::secret::{SecretBytes, SecretString};
use trihound::sspi::{CredentialSettings, Error};
use zeroize::Zeroize;

use super::{Given, open, refuse_protected};
use crate::memory::size_of_piece;
use crate::pointer::{bytes, parameter, read as read_from};
use crate::text::{Narrow, Text, Wide};
use crate::types as c;

/// The header's size.
const HEADER: usize = size_of::<c::SEC_WINNT_AUTH_IDENTITY_EX2>();
/// The size of the header of packed credentials.
const PACKED: usize = size_of::<c::SEC_WINNT_AUTH_PACKED_CREDENTIALS>();
/// Four parts of 16-bit lengths and their header come to no more.
const LONGEST: usize = 1 << 19;

/// Whether the numbers behind the version are those of a header: its size, and two bytes without a use.
pub(super) fn is_header(number: u32) -> bool {
    let [low, high, ..] = number.to_ne_bytes();
    usize::from(u16::from_ne_bytes([low, high])) == HEADER
}

/// The bytes of an identity.
///
/// # Safety
///
/// The pointer is not aligned, or an identity of this form is there, as long as it says, which nobody
/// writes for `'a`.
pub(crate) unsafe fn read<'a>(identity: *const c_void) -> Result<&'a [u8], Error> {
    let what = "the identity";
    // SAFETY: the contract says that a header is there, and behind it as much as it says.
    unsafe {
        let header = read_from(identity.cast::<c::SEC_WINNT_AUTH_IDENTITY_EX2>(), what)?;
        let length = header.cbStructureLength;
        if !(HEADER..=LONGEST).contains(&(length as usize)) {
            return Err(parameter(format!(
                "the identity says that it has {length} bytes, and can have {HEADER} to {LONGEST}"
            )));
        }
        // What this library gave out has an end that it knows, whatever the caller wrote or takes it for.
        if size_of_piece(identity).is_some_and(|size| size < length as usize) {
            return Err(cut_short());
        }
        let image = bytes(identity.cast(), length, what)?;
        if !begins_as_one(image) {
            return Err(parameter(
                "what is there is no identity: it lacks SEC_WINNT_AUTH_IDENTITY_VERSION_2 and its header's size",
            ));
        }
        Ok(image)
    }
}

/// Whether bytes have the first two numbers of an image.
fn begins_as_one(image: &[u8]) -> bool {
    number(image, 0).is_ok_and(|version| version == c::SEC_WINNT_AUTH_IDENTITY_VERSION_2)
        && number(image, 4).is_ok_and(is_header)
}

/// What stands in an image, taken apart.
pub(crate) struct Parts {
    pub(crate) user: Option<String>,
    pub(crate) domain: Option<String>,
    /// The packed credentials as they are, encrypted or not.
    pub(crate) packed: SecretBytes,
    pub(crate) package_list: Option<String>,
    pub(crate) flags: c::ULONG,
}

fn number(image: &[u8], at: usize) -> Result<u32, Error> {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().map(u32::from_ne_bytes).ok_or_else(cut_short)
}

fn short(image: &[u8], at: usize) -> Result<u16, Error> {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().map(u16::from_ne_bytes).ok_or_else(cut_short)
}

fn cut_short() -> Error {
    parameter("the identity is cut short, or a part of it lies outside of it")
}

/// The part whose offset and length are at these places of the header.
fn part(image: &[u8], offset_at: usize, length_at: usize) -> Result<&[u8], Error> {
    let length = usize::from(short(image, length_at)?);
    if length == 0 {
        return Ok(&[]);
    }
    let start = usize::try_from(number(image, offset_at)?).map_err(|_| cut_short())?;
    let end = start.checked_add(length).ok_or_else(cut_short)?;
    if start < HEADER {
        return Err(cut_short());
    }
    image.get(start..end).ok_or_else(cut_short)
}

/// Text in bytes.
fn decoded(bytes: &[u8], is_wide: bool) -> Result<Option<String>, Error> {
    let text = if is_wide {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let mut units: Vec<u16> = pairs.iter().copied().map(u16::from_ne_bytes).collect();
        let text = Wide::decode(&units).filter(|_| rest.is_empty());
        units.zeroize();
        text
    } else {
        let mut units: Vec<_> = bytes
            .iter()
            .map(|byte| c::SEC_CHAR::from_ne_bytes([*byte]))
            .collect();
        let text = Narrow::decode(&units);
        units.zeroize();
        text
    };
    let text = text.ok_or_else(|| parameter("the identity has a part that is no text"))?;
    Ok((!text.is_empty()).then_some(text))
}

fn is_wide(flags: c::ULONG) -> bool {
    flags & c::SEC_WINNT_AUTH_IDENTITY_UNICODE != 0 || flags & c::SEC_WINNT_AUTH_IDENTITY_ANSI == 0
}

/// Takes an image apart.
pub(crate) fn parts(image: &[u8]) -> Result<Parts, Error> {
    let flags = number(image, 36)?;
    let wide = is_wide(flags);
    Ok(Parts {
        user: decoded(part(image, 12, 16)?, wide)?,
        domain: decoded(part(image, 20, 24)?, wide)?,
        packed: SecretBytes::from(part(image, 28, 32)?),
        package_list: decoded(part(image, 40, 44)?, wide)?,
        flags,
    })
}

/// What an image says.
pub(super) fn given(image: &[u8]) -> Result<Given, Error> {
    let parts = parts(image)?;
    let encrypted = c::SEC_WINNT_AUTH_IDENTITY_FLAGS_PROCESS_ENCRYPTED;
    refuse_protected(parts.flags & !encrypted)?;
    let packed = match parts.flags & encrypted {
        0 => parts.packed,
        _ => open(parts.packed.expose())?,
    };
    Ok(Given {
        user: parts.user,
        domain: parts.domain,
        password: password(packed.expose(), is_wide(parts.flags))?,
        package_list: parts.package_list,
        settings: CredentialSettings::default(),
    })
}

/// The password of packed credentials; some callers give it as it is.
fn password(packed: &[u8], wide: bool) -> Result<Option<SecretString>, Error> {
    let text = |bytes, wide| Ok(decoded(bytes, wide)?.map(SecretString::from));
    let is_packed = packed.len() >= PACKED
        && usize::from(short(packed, 0)?) == PACKED
        && usize::from(short(packed, 2)?) == packed.len();
    if !is_packed {
        return text(packed, wide);
    }
    if packed.get(4..20) != Some(&guid_bytes(c::SEC_WINNT_AUTH_DATA_TYPE_PASSWORD)) {
        return Err(parameter(
            "the identity's packed credentials are no password, and others are not there",
        ));
    }
    let inner = vector(packed, 20).ok_or_else(cut_short)?;
    // What the vector names may be the password, or one more vector with it. An empty password is one.
    let password = text(vector_in(packed, inner).unwrap_or(inner), true)?;
    Ok(Some(password.unwrap_or_else(|| SecretString::from(""))))
}

/// The bytes that a SEC_WINNT_AUTH_BYTE_VECTOR at this place names.
fn vector(packed: &[u8], at: usize) -> Option<&[u8]> {
    let start = usize::try_from(number(packed, at).ok()?).ok()?;
    let length = usize::from(short(packed, at.checked_add(4)?).ok()?);
    (start >= PACKED).then_some(())?;
    packed.get(start..start.checked_add(length)?)
}

fn vector_in<'a>(packed: &'a [u8], inner: &[u8]) -> Option<&'a [u8]> {
    let start = usize::try_from(number(inner, 0).ok()?).ok()?;
    let length = usize::from(short(inner, 4).ok()?);
    (start >= PACKED).then_some(())?;
    packed.get(start..start.checked_add(length)?)
}

fn guid_bytes(guid: c::GUID) -> [u8; 16] {
    let mut bytes = [0; 16];
    let fields = guid.Data1.to_ne_bytes().into_iter();
    let fields = fields
        .chain(guid.Data2.to_ne_bytes())
        .chain(guid.Data3.to_ne_bytes());
    for (to, from) in bytes.iter_mut().zip(fields.chain(guid.Data4)) {
        *to = from;
    }
    bytes
}

/// A password as packed credentials; nothing for none.
pub(crate) fn packed(password: Option<&SecretString>) -> Result<SecretBytes, Error> {
    let Some(password) = password else {
        return Ok(SecretBytes::from(Vec::new()));
    };
    let mut units = Wide::encode(password.expose());
    let length = units.len().saturating_mul(2);
    let whole = PACKED.saturating_add(length);
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend(part_length(PACKED)?.to_ne_bytes());
    bytes.extend(part_length(whole)?.to_ne_bytes());
    bytes.extend(guid_bytes(c::SEC_WINNT_AUTH_DATA_TYPE_PASSWORD));
    bytes.extend(u32::from(part_length(PACKED)?).to_ne_bytes());
    bytes.extend(part_length(length)?.to_ne_bytes());
    bytes.extend([0; 2]);
    bytes.extend(units.iter().flat_map(|unit| unit.to_ne_bytes()));
    units.zeroize();
    Ok(SecretBytes::from(bytes))
}

fn part_length(length: usize) -> Result<u16, Error> {
    u16::try_from(length).map_err(|_| {
        parameter(format!(
            "a part of the identity has {length} bytes, more than its 16-bit length can say"
        ))
    })
}

impl Parts {
    /// Without a password.
    pub(crate) fn new(user: Option<String>, domain: Option<String>) -> Self {
        Self {
            user,
            domain,
            packed: SecretBytes::from(Vec::new()),
            package_list: None,
            flags: c::SEC_WINNT_AUTH_IDENTITY_UNICODE,
        }
    }

    /// The image. The packed credentials stand last, so that they can grow when they are encrypted.
    pub(crate) fn image(&self) -> Result<SecretBytes, Error> {
        // In the kind of text that the flags announce, which the packed credentials may be in too.
        let is_wide = is_wide(self.flags);
        let bytes = |text: &Option<String>| -> Vec<u8> {
            let text = text.as_deref().unwrap_or_default();
            match is_wide {
                true => text.encode_utf16().flat_map(u16::to_ne_bytes).collect(),
                false => text.as_bytes().to_vec(),
            }
        };
        let (user, domain, list) = (
            bytes(&self.user),
            bytes(&self.domain),
            bytes(&self.package_list),
        );
        let mut at = HEADER;
        let mut places = Vec::new();
        for part in [&user[..], &domain, &list, self.packed.expose()] {
            places.push((
                u32::try_from(at).map_err(|_| cut_short())?,
                part_length(part.len())?,
            ));
            at = at.saturating_add(part.len().next_multiple_of(8));
        }
        let [user_at, domain_at, list_at, packed_at] = places[..] else {
            return Err(cut_short());
        };
        let mut image = SecretBytes::zeroed(at);
        let header = image_header(at, self.flags, [user_at, domain_at, packed_at, list_at])?;
        put(&mut image, 0, &header);
        for ((start, _), part) in
            places
                .iter()
                .zip([&user[..], &domain, &list, self.packed.expose()])
        {
            put(&mut image, *start as usize, part);
        }
        Ok(image)
    }
}

fn put(image: &mut SecretBytes, at: usize, bytes: &[u8]) {
    let there = image.expose_mut().iter_mut().skip(at);
    for (to, from) in there.zip(bytes) {
        *to = *from;
    }
}

/// The header's bytes, field by field and with the holes that C has between them.
fn image_header(
    whole: usize,
    flags: c::ULONG,
    parts: [(u32, u16); 4],
) -> Result<[u8; HEADER], Error> {
    let mut header = [0; HEADER];
    let mut set = |at: usize, bytes: &[u8]| {
        for (to, from) in header.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    };
    set(0, &c::SEC_WINNT_AUTH_IDENTITY_VERSION_2.to_ne_bytes());
    set(4, &part_length(HEADER)?.to_ne_bytes());
    set(
        8,
        &u32::try_from(whole).map_err(|_| cut_short())?.to_ne_bytes(),
    );
    set(36, &flags.to_ne_bytes());
    for ((offset_at, length_at), (offset, length)) in [(12, 16), (20, 24), (28, 32), (40, 44)]
        .into_iter()
        .zip(parts)
    {
        set(offset_at, &offset.to_ne_bytes());
        set(length_at, &length.to_ne_bytes());
    }
    Ok(header)
}

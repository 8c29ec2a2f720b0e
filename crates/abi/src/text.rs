//! The two kinds of text: `CHAR`, which is UTF-8 here, and `WCHAR`, which is UTF-16.

use trihound::secret::SecretString;
use trihound::sspi::Error;
use zeroize::Zeroize;

use crate::pointer::{parameter, read};
use crate::types::{SEC_CHAR, SEC_WCHAR, SecPkgInfoA, SecPkgInfoW, ULONG};

/// The longest text that is read, in units: no name, list or password is as long.
const LONGEST: usize = 0x1_0000;

/// A kind of text, and with it the A or the W form of what has text in it.
pub(crate) trait Text: 'static {
    /// One unit of it; zero ends a text.
    type Unit: Copy + Default + PartialEq + Zeroize + 'static;
    /// `SecPkgInfo`, the same in both forms but for the type of its texts.
    type Info;

    /// Whether it is UTF-16.
    const WIDE: bool;

    /// The text of these units.
    fn decode(units: &[Self::Unit]) -> Option<String>;

    /// The units of a text, without an end.
    fn encode(text: &str) -> Vec<Self::Unit>;
}

/// The A functions.
pub(crate) enum Narrow {}

/// The W functions.
pub(crate) enum Wide {}

impl Text for Narrow {
    type Unit = SEC_CHAR;
    type Info = SecPkgInfoA;
    const WIDE: bool = false;

    fn decode(units: &[SEC_CHAR]) -> Option<String> {
        // At its full size from the start, so that no copy of a password stays behind.
        let mut bytes = Vec::with_capacity(units.len());
        bytes.extend(units.iter().map(|unit| unit.to_ne_bytes()[0]));
        String::from_utf8(bytes)
            .map_err(|error| error.into_bytes().zeroize())
            .ok()
    }

    fn encode(text: &str) -> Vec<SEC_CHAR> {
        text.bytes()
            .map(|byte| SEC_CHAR::from_ne_bytes([byte]))
            .collect()
    }
}

impl Text for Wide {
    type Unit = SEC_WCHAR;
    type Info = SecPkgInfoW;
    const WIDE: bool = true;

    fn decode(units: &[SEC_WCHAR]) -> Option<String> {
        // No unit has more than three bytes in UTF-8; as above.
        let mut text = String::with_capacity(units.len().saturating_mul(3));
        for unit in char::decode_utf16(units.iter().copied()) {
            match unit {
                Ok(unit) => text.push(unit),
                Err(_) => {
                    text.zeroize();
                    return None;
                }
            }
        }
        Some(text)
    }

    fn encode(text: &str) -> Vec<SEC_WCHAR> {
        let mut units = Vec::with_capacity(text.len());
        units.extend(text.encode_utf16());
        units
    }
}

/// The units of a text up to its end; `None` for NULL.
///
/// # Safety
///
/// The pointer is NULL, not aligned, or units are there up to a zero.
unsafe fn ended<T: Text>(pointer: *const T::Unit, what: &str) -> Result<Option<Units<T>>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        // SAFETY: no unit before this one was the end, so this one is there too.
        let unit = unsafe { read(pointer.wrapping_add(length), what) }?;
        if unit == T::Unit::default() {
            break;
        }
        length += 1;
        if length > LONGEST {
            return Err(too_long(what));
        }
    }
    // SAFETY: these are the units that were read.
    unsafe { copied::<T>(pointer, length, what) }.map(Some)
}

/// # Safety
///
/// As many units are there.
unsafe fn copied<T: Text>(
    pointer: *const T::Unit,
    length: usize,
    what: &str,
) -> Result<Units<T>, Error> {
    let mut units = Vec::with_capacity(length);
    for at in 0..length {
        // SAFETY: the unit is one of those that are there.
        units.push(unsafe { read(pointer.wrapping_add(at), what) }?);
    }
    Ok(Units(units))
}

/// Units that are wiped: they may be a password's.
struct Units<T: Text>(Vec<T::Unit>);

impl<T: Text> Drop for Units<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Text> Units<T> {
    fn decode(&self, what: &str) -> Result<String, Error> {
        T::decode(&self.0).ok_or_else(|| {
            let kind = if T::WIDE { "UTF-16" } else { "UTF-8" };
            parameter(format!("{what} is not {kind} text"))
        })
    }
}

fn too_long(what: &str) -> Error {
    parameter(format!(
        "{what} has more than {LONGEST} units, which no text of SSPI has; it may lack its end"
    ))
}

/// The text that a pointer points to, up to its end; `None` for NULL.
///
/// # Safety
///
/// The pointer is NULL, not aligned, or units are there up to a zero.
pub(crate) unsafe fn text<T: Text>(
    pointer: *const T::Unit,
    what: &str,
) -> Result<Option<String>, Error> {
    // SAFETY: the contract is the same.
    let units = unsafe { ended::<T>(pointer, what) }?;
    units.map(|units| units.decode(what)).transpose()
}

/// The text, where there has to be one.
///
/// # Safety
///
/// As [`text`].
pub(crate) unsafe fn required<T: Text>(
    pointer: *const T::Unit,
    what: &str,
) -> Result<String, Error> {
    // SAFETY: the contract is the same.
    unsafe { text::<T>(pointer, what) }?
        .ok_or_else(|| parameter(format!("{what} is NULL and has to be a text")))
}

/// The secret that a pointer points to, up to its end; `None` for NULL.
///
/// # Safety
///
/// As [`text`].
pub(crate) unsafe fn secret<T: Text>(
    pointer: *const T::Unit,
    what: &str,
) -> Result<Option<SecretString>, Error> {
    // SAFETY: the contract is the same.
    Ok(unsafe { text::<T>(pointer, what) }?.map(SecretString::from))
}

/// A text whose length stands beside it, in units; `None` for NULL or no units.
///
/// # Safety
///
/// The pointer is NULL, not aligned, or as many units are there.
pub(crate) unsafe fn counted<T: Text>(
    pointer: *const T::Unit,
    length: ULONG,
    what: &str,
) -> Result<Option<String>, Error> {
    if pointer.is_null() || length == 0 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| too_long(what))?;
    if length > LONGEST {
        return Err(too_long(what));
    }
    // SAFETY: the contract is the same.
    let units = unsafe { copied::<T>(pointer, length, what) }?;
    units.decode(what).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trihound::sspi::SecurityStatus;

    fn ended_units<T: Text>(text: &str) -> Vec<T::Unit> {
        let mut units = T::encode(text);
        units.push(T::Unit::default());
        units
    }

    fn status<R>(outcome: Result<R, Error>) -> Option<SecurityStatus> {
        outcome.err().map(|error| error.status())
    }

    fn reads_back<T: Text>() {
        for expected in ["", "alice", "Grüße aus Kyōto 🐕"] {
            let units = ended_units::<T>(expected);
            // SAFETY: the units are there, with their end.
            let read = unsafe { text::<T>(units.as_ptr(), "it") };
            assert_eq!(read.unwrap().as_deref(), Some(expected));
            let length = u32::try_from(units.len() - 1).unwrap();
            // SAFETY: as many units are there.
            let read = unsafe { counted::<T>(units.as_ptr(), length, "it") };
            assert_eq!(read.unwrap().unwrap_or_default(), expected);
        }
        // SAFETY: NULL.
        unsafe {
            assert_eq!(text::<T>(core::ptr::null(), "it").unwrap(), None);
            assert_eq!(counted::<T>(core::ptr::null(), 5, "it").unwrap(), None);
            assert_eq!(
                status(required::<T>(core::ptr::null(), "it")),
                Some(SecurityStatus::SEC_E_INVALID_PARAMETER)
            );
        }
    }

    #[test]
    fn texts_of_both_kinds_read_back() {
        reads_back::<Narrow>();
        reads_back::<Wide>();
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let narrow: Vec<SEC_CHAR> = [0xFFu8, 0xFE, 0]
            .map(|b| SEC_CHAR::from_ne_bytes([b]))
            .to_vec();
        let wide = [0xD800u16, 0x41, 0];
        // SAFETY: the units are there, with their end.
        unsafe {
            assert_eq!(
                status(text::<Narrow>(narrow.as_ptr(), "it")),
                Some(SecurityStatus::SEC_E_INVALID_PARAMETER)
            );
            assert_eq!(
                status(text::<Wide>(wide.as_ptr(), "it")),
                Some(SecurityStatus::SEC_E_INVALID_PARAMETER)
            );
            let unaligned = wide.as_ptr().cast::<u8>().wrapping_add(1).cast::<u16>();
            assert_eq!(
                status(text::<Wide>(unaligned, "it")),
                Some(SecurityStatus::SEC_E_INVALID_PARAMETER)
            );
        }
    }

    #[test]
    fn a_length_that_no_text_has_is_refused_before_it_is_read() {
        let units = [0x41u16];
        // SAFETY: the length is refused, and nothing is read.
        let read = unsafe { counted::<Wide>(units.as_ptr(), u32::MAX, "it") };
        assert_eq!(status(read), Some(SecurityStatus::SEC_E_INVALID_PARAMETER));
    }

    #[test]
    fn a_text_without_an_end_is_given_up() {
        let units = vec![0x41u16; LONGEST + 2];
        // SAFETY: more units are there than are read.
        let read = unsafe { text::<Wide>(units.as_ptr(), "it") };
        assert_eq!(status(read), Some(SecurityStatus::SEC_E_INVALID_PARAMETER));
    }
}

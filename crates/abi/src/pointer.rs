//! Pointers of a C caller: looked at before they are used.

use core::ptr::NonNull;

use trihound::sspi::{Error, SecurityStatus};

pub(crate) fn parameter(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(SecurityStatus::SEC_E_INVALID_PARAMETER, text)
}

/// The pointer, if it can be one to `T` at all.
fn checked<T>(pointer: *mut T, what: &str) -> Result<NonNull<T>, Error> {
    let pointer = NonNull::new(pointer)
        .ok_or_else(|| parameter(format!("{what} is NULL and has to point to something")))?;
    if !pointer.is_aligned() {
        return Err(parameter(format!(
            "{what} is the address {pointer:p}, where nothing of its type can be: it has to be a multiple of {}",
            align_of::<T>()
        )));
    }
    Ok(pointer)
}

/// Reads what `pointer` points to.
///
/// # Safety
///
/// It is NULL, not aligned, or it points to an initialised `T`.
pub(crate) unsafe fn read<T: Copy>(pointer: *const T, what: &str) -> Result<T, Error> {
    let pointer = checked(pointer.cast_mut(), what)?;
    // SAFETY: it is neither NULL nor unaligned, so by the contract it points to a `T`.
    Ok(unsafe { pointer.read() })
}

/// Where a result goes. It is looked at before the call does anything, so that nothing is done whose
/// result has no place.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    ///
    /// The pointer is NULL, not aligned, or a `T` can be written there for as long as this lives.
    pub(crate) unsafe fn new(pointer: *mut T, what: &str) -> Result<Self, Error> {
        checked(pointer, what).map(Self)
    }

    /// NULL is a result that the caller does not want.
    ///
    /// # Safety
    ///
    /// As [`Self::new`].
    pub(crate) unsafe fn optional(pointer: *mut T, what: &str) -> Result<Option<Self>, Error> {
        if pointer.is_null() {
            return Ok(None);
        }
        checked(pointer, what).map(|pointer| Some(Self(pointer)))
    }

    /// Puts the result there.
    pub(crate) fn put(&self, value: T) {
        // SAFETY: `new` was promised that a `T` can be written there.
        unsafe { self.0.write(value) }
    }
}

/// Puts a result where the caller wants it.
pub(crate) fn put<T>(place: Option<&Out<T>>, value: T) {
    if let Some(place) = place {
        place.put(value);
    }
}

fn length(pointer: *const u8, length: u32, what: &str) -> Result<usize, Error> {
    let too_long = || {
        parameter(format!(
            "{what} has {length} bytes, which is more than there can be at {pointer:p}"
        ))
    };
    let length = usize::try_from(length).map_err(|_| too_long())?;
    // A slice of Rust does not go round the end of the address space, and is no longer than this.
    pointer.addr().checked_add(length).ok_or_else(too_long)?;
    isize::try_from(length).map_err(|_| too_long())?;
    Ok(length)
}

/// The bytes of a pointer and a length; no bytes need no pointer.
///
/// # Safety
///
/// The pointer is NULL or there are that many initialised bytes, which nobody writes for `'a`.
pub(crate) unsafe fn bytes<'a>(
    pointer: *const u8,
    count: u32,
    what: &str,
) -> Result<&'a [u8], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    let start = checked(pointer.cast_mut(), what)?;
    let length = length(pointer, count, what)?;
    // SAFETY: not NULL, no alignment to keep, within the address space; the rest is the contract.
    Ok(unsafe { core::slice::from_raw_parts(start.as_ptr(), length) })
}

/// The bytes of a pointer and a length, to be written.
///
/// # Safety
///
/// The pointer is NULL or there are that many bytes, which nobody else reads or writes for `'a`.
pub(crate) unsafe fn bytes_mut<'a>(
    pointer: *mut u8,
    count: u32,
    what: &str,
) -> Result<&'a mut [u8], Error> {
    if count == 0 {
        return Ok(&mut []);
    }
    let start = checked(pointer, what)?;
    let length = length(pointer, count, what)?;
    // SAFETY: as in `bytes`; that nobody else uses them is the contract. To Rust, what comes from C is
    // initialised.
    Ok(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_parameter<T>(outcome: Result<T, Error>) -> bool {
        outcome.is_err_and(|error| error.status() == SecurityStatus::SEC_E_INVALID_PARAMETER)
    }

    #[test]
    fn null_and_unaligned_addresses_are_refused() {
        let words = [1u32, 2];
        let unaligned = words.as_ptr().cast::<u8>().wrapping_add(1).cast::<u32>();
        // SAFETY: NULL, not aligned, and an initialised number.
        unsafe {
            assert!(is_parameter(read(core::ptr::null::<u32>(), "it")));
            assert!(is_parameter(read(unaligned, "it")));
            assert_eq!(read(&raw const words[1], "it").ok(), Some(2));
            assert!(is_parameter(Out::new(core::ptr::null_mut::<u32>(), "it")));
            assert!(is_parameter(Out::new(unaligned.cast_mut(), "it")));
            assert!(is_parameter(Out::optional(unaligned.cast_mut(), "it")));
            assert!(
                Out::optional(core::ptr::null_mut::<u32>(), "it").is_ok_and(|out| out.is_none())
            );
        }
    }

    #[test]
    fn a_result_goes_where_it_was_wanted() {
        let mut number = 1u32;
        // SAFETY: the number is there to be written.
        let out = unsafe { Out::optional(&raw mut number, "it") }.unwrap();
        put(out.as_ref(), 7);
        put(None, 8);
        assert_eq!(number, 7);
    }

    #[test]
    fn no_bytes_need_no_pointer_and_others_do() {
        let mut memory = [1u8, 2, 3];
        // SAFETY: NULL, and bytes that are there; lengths that cannot be are refused before they are used.
        unsafe {
            assert!(bytes(core::ptr::null(), 0, "it").unwrap().is_empty());
            assert!(is_parameter(bytes(core::ptr::null(), 1, "it")));
            assert!(is_parameter(bytes_mut(core::ptr::null_mut(), 1, "it")));
            let near_the_end = core::ptr::without_provenance::<u8>(usize::MAX - 4);
            assert!(is_parameter(bytes(near_the_end, 8, "it")));
            assert_eq!(bytes(memory.as_ptr(), 3, "it").unwrap(), [1, 2, 3]);
            bytes_mut(memory.as_mut_ptr(), 2, "it").unwrap()[1] = 9;
        }
        assert_eq!(memory, [1, 9, 3]);
    }
}

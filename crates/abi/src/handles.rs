//! Handles of the function table, in the two pointer-sized words that C has for them.
//!
//! With pointers of 64 bits the two words are the handle. With 32 bits they cannot hold it, and a number
//! stands for it that is never given out twice.

use trihound::sspi::{CredHandle, CtxtHandle, Error, SecurityStatus};

use crate::pointer::read;
use crate::types::SecHandle;

/// A kind of handle.
pub(crate) trait Handle: Copy {
    /// What it is called.
    const KIND: &'static str;

    fn from_words(words: [u64; 2]) -> Self;
    fn to_words(self) -> [u64; 2];
}

impl Handle for CredHandle {
    const KIND: &'static str = "credential";

    fn from_words(words: [u64; 2]) -> Self {
        Self::from_words(words)
    }

    fn to_words(self) -> [u64; 2] {
        self.to_words()
    }
}

impl Handle for CtxtHandle {
    const KIND: &'static str = "context";

    fn from_words(words: [u64; 2]) -> Self {
        Self::from_words(words)
    }

    fn to_words(self) -> [u64; 2] {
        self.to_words()
    }
}

/// The handle as C gets it.
pub(crate) fn to_c<H: Handle>(handle: H) -> SecHandle {
    imp::pack(handle.to_words())
}

/// The handle that C gave; one that was never given out names nothing.
pub(crate) fn from_c<H: Handle>(handle: SecHandle) -> Result<H, Error> {
    imp::unpack(handle)
        .map(H::from_words)
        .ok_or_else(|| nothing::<H>())
}

/// A handle that names nothing any more.
pub(crate) fn forget(handle: SecHandle) {
    imp::forget(handle);
}

/// The handle that a pointer points to; `None` for NULL.
///
/// # Safety
///
/// The pointer is NULL, not aligned, or a handle is there.
pub(crate) unsafe fn optional<H: Handle>(pointer: *const SecHandle) -> Result<Option<H>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the contract is the same.
    let handle = unsafe { read(pointer, H::KIND) }?;
    from_c(handle).map(Some)
}

/// The handle that a pointer points to.
///
/// # Safety
///
/// As [`optional`].
pub(crate) unsafe fn required<H: Handle>(pointer: *const SecHandle) -> Result<H, Error> {
    // SAFETY: the contract is the same.
    unsafe { optional(pointer) }?.ok_or_else(|| nothing::<H>())
}

fn nothing<H: Handle>() -> Error {
    Error::new(
        SecurityStatus::SEC_E_INVALID_HANDLE,
        format!(
            "this {} handle names nothing: it is NULL, or was never given out, or was freed",
            H::KIND
        ),
    )
}

#[cfg(target_pointer_width = "64")]
mod imp {
    use super::SecHandle;

    // The words have the size of a pointer here.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn pack(words: [u64; 2]) -> SecHandle {
        SecHandle {
            dwLower: words[0] as usize,
            dwUpper: words[1] as usize,
        }
    }

    // Every handle names something or not; the function table says which.
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn unpack(handle: SecHandle) -> Option<[u64; 2]> {
        Some([handle.dwLower as u64, handle.dwUpper as u64])
    }

    pub(super) fn forget(_: SecHandle) {}
}

#[cfg(not(target_pointer_width = "64"))]
mod imp {
    use std::sync::{Mutex, PoisonError};

    use super::{SecHandle, numbers::Numbers};

    static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers::new());

    pub(super) fn pack(words: [u64; 2]) -> SecHandle {
        let number = NUMBERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .number(words);
        // The halves of the number.
        #[allow(clippy::cast_possible_truncation)]
        SecHandle {
            dwLower: number as u32 as usize,
            dwUpper: (number >> 32) as usize,
        }
    }

    fn number(handle: SecHandle) -> u64 {
        handle.dwLower as u64 | (handle.dwUpper as u64) << 32
    }

    pub(super) fn unpack(handle: SecHandle) -> Option<[u64; 2]> {
        NUMBERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .words(number(handle))
    }

    pub(super) fn forget(handle: SecHandle) {
        NUMBERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forget(number(handle));
    }
}

#[cfg(any(test, not(target_pointer_width = "64")))]
mod numbers {
    use std::collections::BTreeMap;

    /// Numbers that stand for handles.
    pub(super) struct Numbers {
        words: BTreeMap<u64, [u64; 2]>,
        known: BTreeMap<[u64; 2], u64>,
        next: u64,
    }

    impl Numbers {
        pub(super) const fn new() -> Self {
            Self {
                words: BTreeMap::new(),
                known: BTreeMap::new(),
                // Neither half is zero or all ones, which C takes for no handle.
                next: 0x1_0000_0001,
            }
        }

        /// The number of a handle: the same one while it lives.
        pub(super) fn number(&mut self, words: [u64; 2]) -> u64 {
            if let Some(number) = self.known.get(&words) {
                return *number;
            }
            let number = self.next;
            self.next = number.wrapping_add(1);
            if matches!(self.next & 0xFFFF_FFFF, 0 | 0xFFFF_FFFF) {
                self.next = (self.next | 0xFFFF_FFFF).wrapping_add(2);
            }
            self.words.insert(number, words);
            self.known.insert(words, number);
            number
        }

        pub(super) fn words(&self, number: u64) -> Option<[u64; 2]> {
            self.words.get(&number).copied()
        }

        pub(super) fn forget(&mut self, number: u64) {
            if let Some(words) = self.words.remove(&number) {
                self.known.remove(&words);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::numbers::Numbers;
    use super::*;

    #[test]
    fn a_handle_comes_back_as_it_went() {
        let handle = CtxtHandle::from_words([0xA1B2_C3D4_1122_3344, 0x5566_7788_99AA_BBCC]);
        let there = to_c(handle);
        assert_eq!(from_c::<CtxtHandle>(there).unwrap(), handle);
        assert_eq!(to_c(handle), there);
        forget(there);
    }

    #[test]
    fn null_names_nothing() {
        // SAFETY: NULL.
        let error = unsafe { required::<CredHandle>(core::ptr::null()) }.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
        // SAFETY: NULL.
        let none = unsafe { optional::<CredHandle>(core::ptr::null()) };
        assert!(none.is_ok_and(|handle| handle.is_none()));
    }

    #[test]
    fn numbers_are_never_given_out_twice_and_no_half_is_all_zeros_or_ones() {
        let mut numbers = Numbers::new();
        let first = numbers.number([1, 2]);
        assert_eq!(numbers.number([1, 2]), first);
        assert_eq!(numbers.words(first), Some([1, 2]));
        numbers.forget(first);
        assert_eq!(numbers.words(first), None);
        assert_ne!(numbers.number([1, 2]), first);
        assert_eq!(numbers.words(0), None);
        for number in [first, numbers.number([3, 4])] {
            for half in [number & 0xFFFF_FFFF, number >> 32] {
                assert!(half != 0 && half != 0xFFFF_FFFF, "{number:x}");
            }
        }
    }
}

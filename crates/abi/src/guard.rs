//! What stands around every exported function: no panic gets out, and the error's text is kept.

use core::any::Any;
use core::ffi::{CStr, c_char};
use core::panic::AssertUnwindSafe;
use std::cell::RefCell;
use std::ffi::CString;
use std::panic::catch_unwind;

use trihound::sspi::{Error, SecurityStatus};

use crate::types::SECURITY_STATUS;

/// What a call comes to.
pub(crate) type Answer = Result<SecurityStatus, Error>;

/// The answer of a call with nothing else to say.
pub(crate) const OK: Answer = Ok(SecurityStatus::SEC_E_OK);

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs the body of an exported function.
pub(crate) fn guard(name: &'static str, body: impl FnOnce() -> Answer) -> SECURITY_STATUS {
    let error = match caught(name, body) {
        Ok(status) => return number(status),
        Err(error) => error,
    };
    tracing::debug!(function = name, %error, "A call failed");
    remember(name, &error);
    number(error.status())
}

/// Runs the body of a function that gives no status.
pub(crate) fn guard_or<R>(
    name: &'static str,
    otherwise: R,
    body: impl FnOnce() -> Result<R, Error>,
) -> R {
    caught(name, body).unwrap_or_else(|error| {
        tracing::debug!(function = name, %error, "A call failed");
        remember(name, &error);
        otherwise
    })
}

fn caught<R>(name: &str, body: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    // A body owns nothing that outlives it half-changed: what is shared is behind locks that notice.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        dispose(payload);
        Err(Error::new(
            SecurityStatus::SEC_E_INTERNAL_ERROR,
            format!("{name} panicked; this is a fault of the library, please report it"),
        ))
    })
}

/// Drops what was thrown, which may throw when it is dropped; in the end it is left where it is.
fn dispose(mut payload: Box<dyn Any + Send>) {
    for _ in 0..4 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    core::mem::forget(payload);
}

/// The status as C has it: a `LONG`, negative for a failure.
pub(crate) fn number(status: SecurityStatus) -> SECURITY_STATUS {
    status.as_i32()
}

fn remember(name: &str, error: &Error) {
    let text = format!("{name}: {error}").replace('\0', "\u{FFFD}");
    let text = CString::new(text).unwrap_or_default();
    // A thread that is ending has no such place any more.
    let _ = LAST_ERROR.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = text;
        }
    });
}

/// Why the last call of this thread that failed did so.
pub(crate) fn last_error() -> *const c_char {
    LAST_ERROR
        .try_with(|last| last.try_borrow().map_or(c"".as_ptr(), |last| last.as_ptr()))
        .unwrap_or(<&CStr>::default().as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_error_and_no_more() {
        #[allow(clippy::panic)]
        let status = guard("Test", || panic!("on purpose"));
        assert_eq!(status, number(SecurityStatus::SEC_E_INTERNAL_ERROR));
        assert_eq!(status.cast_unsigned(), 0x8009_0304);
    }

    #[test]
    fn what_is_thrown_by_something_thrown_stays_inside() {
        struct Bomb;
        impl Drop for Bomb {
            #[allow(clippy::panic)]
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let status = guard("Test", || std::panic::panic_any(Bomb));
        assert_eq!(status, number(SecurityStatus::SEC_E_INTERNAL_ERROR));
    }

    #[test]
    fn the_text_of_the_last_failure_is_kept_for_its_thread() {
        let failure = || Err(Error::new(SecurityStatus::SEC_E_NO_CREDENTIALS, "no\0body"));
        let status = guard("Test", failure);
        assert_eq!(status, number(SecurityStatus::SEC_E_NO_CREDENTIALS));
        // SAFETY: `last_error` gives a C string that stays until the next failure of this thread.
        let text = unsafe { CStr::from_ptr(last_error()) };
        assert_eq!(
            text.to_str(),
            Ok("Test: SEC_E_NO_CREDENTIALS: no\u{FFFD}body")
        );
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // SAFETY: as above.
                assert!(unsafe { CStr::from_ptr(last_error()) }.is_empty());
            });
        });
    }
}

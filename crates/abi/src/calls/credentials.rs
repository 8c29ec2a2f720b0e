//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;
use crate::text::Text;

pub(crate) unsafe fn acquire<T: Text>(
    _: *mut T::Unit,
    _: *mut T::Unit,
    _: crate::types::ULONG,
    _: *mut core::ffi::c_void,
    _: *mut core::ffi::c_void,
    _: crate::types::SEC_GET_KEY_FN,
    _: *mut core::ffi::c_void,
    _: *mut crate::types::CredHandle,
    _: *mut crate::types::TimeStamp,
) -> Answer {
    Err(Error::unsupported("acquire"))
}

pub(crate) unsafe fn free(_: *mut crate::types::CredHandle) -> Answer {
    Err(Error::unsupported("free"))
}

pub(crate) unsafe fn add<T: Text>(
    _: *mut crate::types::CredHandle,
    _: *mut T::Unit,
    _: *mut T::Unit,
    _: crate::types::ULONG,
    _: *mut core::ffi::c_void,
    _: crate::types::SEC_GET_KEY_FN,
    _: *mut core::ffi::c_void,
    _: *mut crate::types::TimeStamp,
) -> Answer {
    Err(Error::unsupported("add"))
}

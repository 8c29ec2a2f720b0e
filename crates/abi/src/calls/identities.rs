//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;

pub(crate) unsafe fn encode(
    _: *const crate::types::SEC_WCHAR,
    _: *const crate::types::SEC_WCHAR,
    _: *const crate::types::SEC_WCHAR,
    _: *mut *mut core::ffi::c_void,
) -> Answer {
    Err(Error::unsupported("encode"))
}

pub(crate) unsafe fn decode(
    _: *mut core::ffi::c_void,
    _: *mut *const crate::types::SEC_WCHAR,
    _: *mut *const crate::types::SEC_WCHAR,
    _: *mut *const crate::types::SEC_WCHAR,
) -> Answer {
    Err(Error::unsupported("decode"))
}

pub(crate) unsafe fn validate(_: *mut core::ffi::c_void) -> Answer {
    Err(Error::unsupported("validate"))
}

pub(crate) unsafe fn copy(_: *mut core::ffi::c_void, _: *mut *mut core::ffi::c_void) -> Answer {
    Err(Error::unsupported("copy"))
}

pub(crate) unsafe fn compare(
    _: *mut core::ffi::c_void,
    _: *mut core::ffi::c_void,
    _: *mut crate::types::BOOLEAN,
    _: *mut crate::types::BOOLEAN,
) -> Answer {
    Err(Error::unsupported("compare"))
}

pub(crate) unsafe fn marshal(
    _: *mut core::ffi::c_void,
    _: *mut crate::types::ULONG,
    _: *mut *mut core::ffi::c_char,
) -> Answer {
    Err(Error::unsupported("marshal"))
}

pub(crate) unsafe fn unmarshal(
    _: crate::types::ULONG,
    _: *mut core::ffi::c_char,
    _: *mut *mut core::ffi::c_void,
) -> Answer {
    Err(Error::unsupported("unmarshal"))
}

pub(crate) unsafe fn encrypt(_: *mut core::ffi::c_void) -> Answer {
    Err(Error::unsupported("encrypt"))
}

pub(crate) unsafe fn encrypt_ex(_: crate::types::ULONG, _: *mut core::ffi::c_void) -> Answer {
    Err(Error::unsupported("encrypt_ex"))
}

pub(crate) unsafe fn decrypt(_: *mut core::ffi::c_void) -> Answer {
    Err(Error::unsupported("decrypt"))
}

pub(crate) unsafe fn decrypt_ex(_: crate::types::ULONG, _: *mut core::ffi::c_void) -> Answer {
    Err(Error::unsupported("decrypt_ex"))
}

pub(crate) unsafe fn exclude_package(
    _: *mut core::ffi::c_void,
    _: *const crate::types::SEC_WCHAR,
    _: *mut *mut core::ffi::c_void,
) -> Answer {
    Err(Error::unsupported("exclude_package"))
}

pub(crate) unsafe fn target_host_name(
    _: *const crate::types::SEC_WCHAR,
    _: *mut *mut crate::types::SEC_WCHAR,
) -> Answer {
    Err(Error::unsupported("target_host_name"))
}

pub(crate) unsafe fn prepare_for_read(
    _: *mut core::ffi::c_void,
    _: *const crate::types::SEC_WCHAR,
    _: *mut crate::types::ULONG,
    _: *mut *const crate::types::SEC_WCHAR,
) -> Answer {
    Err(Error::unsupported("prepare_for_read"))
}

pub(crate) unsafe fn prepare_for_write(
    _: *mut core::ffi::c_void,
    _: *const crate::types::SEC_WCHAR,
    _: *mut crate::types::ULONG,
    _: *mut *const crate::types::SEC_WCHAR,
    _: *mut *const crate::types::SEC_WCHAR,
    _: *mut *mut u8,
    _: *mut crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("prepare_for_write"))
}

pub(crate) fn free(_: *mut core::ffi::c_void) -> Result<(), trihound::sspi::Error> {
    Ok(())
}
pub(crate) unsafe fn zero(_: *mut core::ffi::c_void) -> Result<(), trihound::sspi::Error> {
    Ok(())
}
pub(crate) unsafe fn is_encrypted(_: *mut core::ffi::c_void) -> Result<u8, trihound::sspi::Error> {
    Ok(0)
}
pub(crate) fn is_prompting_needed(_: u32) -> u8 {
    0
}

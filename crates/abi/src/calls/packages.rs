//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;
use crate::text::Text;

pub(crate) unsafe fn enumerate<T: Text>(
    _: *mut crate::types::ULONG,
    _: *mut *mut T::Info,
) -> Answer {
    Err(Error::unsupported("enumerate"))
}

pub(crate) unsafe fn query<T: Text>(_: *mut T::Unit, _: *mut *mut T::Info) -> Answer {
    Err(Error::unsupported("query"))
}

pub(crate) unsafe fn add<T: Text>(
    _: *mut T::Unit,
    _: *mut crate::types::SECURITY_PACKAGE_OPTIONS,
) -> Answer {
    Err(Error::unsupported("add"))
}

pub(crate) unsafe fn delete<T: Text>(_: *mut T::Unit) -> Answer {
    Err(Error::unsupported("delete"))
}

pub(crate) unsafe fn free_context_buffer(_: *mut core::ffi::c_void) -> Answer {
    Err(Error::unsupported("free_context_buffer"))
}

pub(crate) fn table_a() -> Result<*mut crate::types::SecurityFunctionTableA, trihound::sspi::Error>
{
    Ok(core::ptr::null_mut())
}
pub(crate) fn table_w() -> Result<*mut crate::types::SecurityFunctionTableW, trihound::sspi::Error>
{
    Ok(core::ptr::null_mut())
}

//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;
use crate::text::Text;

pub(crate) unsafe fn query_credential<T: Text>(
    _: *mut crate::types::CredHandle,
    _: crate::types::ULONG,
    _: *mut core::ffi::c_void,
) -> Answer {
    Err(Error::unsupported("query_credential"))
}

pub(crate) unsafe fn query_credential_ex<T: Text>(
    _: *mut crate::types::CredHandle,
    _: crate::types::ULONG,
    _: *mut core::ffi::c_void,
    _: crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("query_credential_ex"))
}

pub(crate) unsafe fn set_credential<T: Text>(
    _: *mut crate::types::CredHandle,
    _: crate::types::ULONG,
    _: *mut core::ffi::c_void,
    _: crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("set_credential"))
}

pub(crate) unsafe fn query_context<T: Text>(
    _: *mut crate::types::CtxtHandle,
    _: crate::types::ULONG,
    _: *mut core::ffi::c_void,
) -> Answer {
    Err(Error::unsupported("query_context"))
}

pub(crate) unsafe fn query_context_ex<T: Text>(
    _: *mut crate::types::CtxtHandle,
    _: crate::types::ULONG,
    _: *mut core::ffi::c_void,
    _: crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("query_context_ex"))
}

pub(crate) unsafe fn set_context<T: Text>(
    _: *mut crate::types::CtxtHandle,
    _: crate::types::ULONG,
    _: *mut core::ffi::c_void,
    _: crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("set_context"))
}

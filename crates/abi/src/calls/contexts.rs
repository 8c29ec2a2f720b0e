//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;
use crate::text::Text;

pub(crate) unsafe fn initialize<T: Text>(
    _: *mut crate::types::CredHandle,
    _: *mut crate::types::CtxtHandle,
    _: *mut T::Unit,
    _: crate::types::ULONG,
    _: crate::types::ULONG,
    _: crate::types::ULONG,
    _: *mut crate::types::SecBufferDesc,
    _: crate::types::ULONG,
    _: *mut crate::types::CtxtHandle,
    _: *mut crate::types::SecBufferDesc,
    _: *mut crate::types::ULONG,
    _: *mut crate::types::TimeStamp,
) -> Answer {
    Err(Error::unsupported("initialize"))
}

pub(crate) unsafe fn accept(
    _: *mut crate::types::CredHandle,
    _: *mut crate::types::CtxtHandle,
    _: *mut crate::types::SecBufferDesc,
    _: crate::types::ULONG,
    _: crate::types::ULONG,
    _: *mut crate::types::CtxtHandle,
    _: *mut crate::types::SecBufferDesc,
    _: *mut crate::types::ULONG,
    _: *mut crate::types::TimeStamp,
) -> Answer {
    Err(Error::unsupported("accept"))
}

pub(crate) unsafe fn complete_auth_token(
    _: *mut crate::types::CtxtHandle,
    _: *mut crate::types::SecBufferDesc,
) -> Answer {
    Err(Error::unsupported("complete_auth_token"))
}

pub(crate) unsafe fn apply_control_token(
    _: *mut crate::types::CtxtHandle,
    _: *mut crate::types::SecBufferDesc,
) -> Answer {
    Err(Error::unsupported("apply_control_token"))
}

pub(crate) unsafe fn delete(_: *mut crate::types::CtxtHandle) -> Answer {
    Err(Error::unsupported("delete"))
}

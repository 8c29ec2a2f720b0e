//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;

pub(crate) unsafe fn make_signature(
    _: *mut crate::types::CtxtHandle,
    _: crate::types::ULONG,
    _: *mut crate::types::SecBufferDesc,
    _: crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("make_signature"))
}

pub(crate) unsafe fn verify_signature(
    _: *mut crate::types::CtxtHandle,
    _: *mut crate::types::SecBufferDesc,
    _: crate::types::ULONG,
    _: *mut crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("verify_signature"))
}

pub(crate) unsafe fn encrypt(
    _: *mut crate::types::CtxtHandle,
    _: crate::types::ULONG,
    _: *mut crate::types::SecBufferDesc,
    _: crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("encrypt"))
}

pub(crate) unsafe fn decrypt(
    _: *mut crate::types::CtxtHandle,
    _: *mut crate::types::SecBufferDesc,
    _: crate::types::ULONG,
    _: *mut crate::types::ULONG,
) -> Answer {
    Err(Error::unsupported("decrypt"))
}

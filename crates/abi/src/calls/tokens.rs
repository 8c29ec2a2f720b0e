//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;

pub(crate) unsafe fn impersonate(_: *mut crate::types::CtxtHandle) -> Answer {
    Err(Error::unsupported("impersonate"))
}

pub(crate) unsafe fn revert(_: *mut crate::types::CtxtHandle) -> Answer {
    Err(Error::unsupported("revert"))
}

pub(crate) unsafe fn query(
    _: *mut crate::types::CtxtHandle,
    _: *mut crate::types::HANDLE,
) -> Answer {
    Err(Error::unsupported("query"))
}

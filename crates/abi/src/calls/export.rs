//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;
use crate::text::Text;

pub(crate) unsafe fn export(
    _: *mut crate::types::CtxtHandle,
    _: crate::types::ULONG,
    _: *mut crate::types::SecBuffer,
    _: *mut crate::types::HANDLE,
) -> Answer {
    Err(Error::unsupported("export"))
}

pub(crate) unsafe fn import<T: Text>(
    _: *mut T::Unit,
    _: *mut crate::types::SecBuffer,
    _: crate::types::HANDLE,
    _: *mut crate::types::CtxtHandle,
) -> Answer {
    Err(Error::unsupported("import"))
}

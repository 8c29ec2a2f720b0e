//! Not there yet.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

use trihound::sspi::Error;

use crate::guard::Answer;
use crate::text::Text;

pub(crate) unsafe fn change<T: Text>(
    _: *mut T::Unit,
    _: *mut T::Unit,
    _: *mut T::Unit,
    _: *mut T::Unit,
    _: *mut T::Unit,
    _: crate::types::BOOLEAN,
    _: crate::types::ULONG,
    _: *mut crate::types::SecBufferDesc,
) -> Answer {
    Err(Error::unsupported("change"))
}

//! Whom the client of a context is, and acting as it.

use trihound::sspi::CtxtHandle as Context;

use crate::guard::{Answer, OK};
use crate::handles::required;
use crate::pointer::Out;
use crate::provider::provider;
use crate::token;
use crate::types::{CtxtHandle, HANDLE};

pub(crate) unsafe fn impersonate(context: *mut CtxtHandle) -> Answer {
    // SAFETY: what the C caller promises.
    let context = unsafe { required::<Context>(context) }?;
    provider()?.table.impersonate_security_context(context)?;
    OK
}

pub(crate) unsafe fn revert(context: *mut CtxtHandle) -> Answer {
    // SAFETY: what the C caller promises.
    let context = unsafe { required::<Context>(context) }?;
    provider()?.table.revert_security_context(context)?;
    OK
}

pub(crate) unsafe fn query(context: *mut CtxtHandle, place: *mut HANDLE) -> Answer {
    // SAFETY: what the C caller promises.
    let (context, place) = unsafe { (required::<Context>(context)?, Out::new(place, "phToken")?) };
    let token = provider()?.table.query_security_context_token(context)?;
    place.put(token::piece(&token).cast());
    OK
}

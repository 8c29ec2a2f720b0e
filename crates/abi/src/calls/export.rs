//! Contexts as bytes.

use trihound::sspi::{CtxtHandle as Context, ExportFlags};

use crate::calls::contexts::gone;
use crate::calls::packages::package_name;
use crate::guard::{Answer, OK};
use crate::handles::{required, to_c};
use crate::pointer::{Out, bytes, parameter, put, read};
use crate::provider::provider;
use crate::text::Text;
use crate::types::{CtxtHandle, HANDLE, SecBuffer, ULONG};
use crate::{memory, token};

/// SECBUFFER_EMPTY.
const EMPTY: ULONG = 0;

pub(crate) unsafe fn export(
    context: *mut CtxtHandle,
    flags: ULONG,
    packed: *mut SecBuffer,
    token_place: *mut HANDLE,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (handle, packed, token_place) = unsafe {
        (
            required::<Context>(context)?,
            Out::new(packed, "pPackedContext")?,
            Out::optional(token_place, "pToken")?,
        )
    };
    let table = &provider()?.table;
    // Asked for first: the context may be gone afterwards. An initiator has none.
    let client = token_place
        .as_ref()
        .and_then(|_| table.query_security_context_token(handle).ok());
    let sealed = table.export_security_context(handle, ExportFlags::from_bits_retain(flags))?;
    if table.context(handle).is_err() {
        gone(handle);
    }
    packed.put(SecBuffer {
        cbBuffer: u32::try_from(sealed.len())
            .map_err(|_| parameter("the exported context is longer than 32 bits can say"))?,
        BufferType: EMPTY,
        pvBuffer: memory::bytes(&sealed),
    });
    let client = client.map_or(core::ptr::null_mut(), |client| token::piece(&client).cast());
    put(token_place.as_ref(), client);
    OK
}

/// The token of Windows is that of the process which exports; the context brings its own.
pub(crate) unsafe fn import<T: Text>(
    package: *mut T::Unit,
    packed: *mut SecBuffer,
    _token: HANDLE,
    context: *mut CtxtHandle,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (package, sealed, context) = unsafe {
        let packed = read(packed, "pPackedContext")?;
        (
            package_name::<T>(package)?,
            bytes(packed.pvBuffer.cast(), packed.cbBuffer, "pPackedContext")?,
            Out::new(context, "phContext")?,
        )
    };
    let provider = provider()?;
    let package = provider.package(&package)?.name;
    let imported = provider.table.import_security_context(&package, sealed)?;
    context.put(to_c(imported));
    OK
}

//! Per-message protection: what MakeSignature, VerifySignature, EncryptMessage and DecryptMessage do.

mod header;
mod rfc4121;
mod rfc4757;
mod sequence;
mod session;

pub use header::Direction;
pub(crate) use header::{HEADER_LENGTH, MicHeader, WrapHeader};
pub(crate) use rfc4121::Rfc4121 as Rfc4121Tokens;
pub(crate) use sequence::WindowPosition;
pub(crate) use session::Numbers;
pub use session::{MessageSession, MessageSizes, SessionParameters, Unwrapped, Wrapped};

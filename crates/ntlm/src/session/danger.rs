//! Sessions that protect little, for peers of long ago.
//!
//! # Security
//!
//! Without extended session security a signature is a CRC-32 under RC4: whoever knows a message can change
//! it and mend the signature, whatever the key. Keys of 40 bits fall in minutes, of 56 bits in days.

use super::SessionSecurity;
use crate::NegotiateFlags;
use crate::compute::{SessionKey, Side};

/// As [`SessionSecurity::new`], with any flags: without extended session security, and with keys of 40
/// and 56 bits.
#[must_use]
pub fn weak_session(
    flags: NegotiateFlags,
    exported_session_key: &SessionKey,
    side: Side,
) -> SessionSecurity {
    SessionSecurity::with_any_flags(flags, exported_session_key, side)
}

/// The constant that Windows puts where a protocol has room for a signature, on a context that signs nothing
/// (NTLMSSP_NEGOTIATE_ALWAYS_SIGN, MS-NLMP section 2.2.2.5). It protects nothing, and
/// [`SessionSecurity`] takes it for nothing.
pub const DUMMY_SIGNATURE: [u8; 16] = super::signature::DUMMY;

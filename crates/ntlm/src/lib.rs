//! The NTLM security package (MS-NLMP): NTLMv2, both sides.

mod av_pair;
mod buffers;
pub mod compute;
pub mod danger;
mod flags;
pub mod message;
mod ntlm_v1;
pub mod session;
pub mod tokens;

pub use av_pair::{AvFlags, AvId, AvPair, SingleHost, TargetInfo, TargetInfoBuilder};
pub use flags::NegotiateFlags;
pub use session::{SIGNATURE_LENGTH, SessionError, SessionSecurity, Unsealed};

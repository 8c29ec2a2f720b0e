//! The NTLM security package (MS-NLMP): NTLMv2, both sides.

mod av_pair;
pub mod compute;
pub mod danger;
mod flags;
pub mod message;
mod ntlm_v1;

pub use av_pair::{AvFlags, AvId, AvPair, SingleHost, TargetInfo, TargetInfoBuilder};
pub use flags::NegotiateFlags;

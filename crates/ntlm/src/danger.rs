//! What weakens NTLM, each by its own name. Nothing else in the crate does.
//!
//! The responses and keys of LM and NTLMv1 stand here: a response to one of these gives an attacker who sees it
//! the hash of the password for a known price.

pub use crate::ntlm_v1::{
    kxkey_v1, lmv1_ess_response, lmv1_response, ntlmv1_ess_response, ntlmv1_response,
    session_base_key_v1,
};

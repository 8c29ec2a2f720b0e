//! What weakens NTLM, each by its own name. Nothing else in the crate does.
//!
//! The responses and keys of LM and NTLMv1 stand here: a response to one of these gives an attacker who sees it
//! the hash of the password for a known price.

pub use crate::ntlm_v1::{
    kxkey_v1, lmv1_ess_response, lmv1_response, ntlmv1_ess_response, ntlmv1_response,
    session_base_key_v1,
};
pub use crate::session::danger::{DUMMY_SIGNATURE, weak_session};

use crate::policy::NtlmPolicy;

/// This policy, under which initiators answer with NTLMv1 where their credential has a hash.
///
/// # Security
///
/// NTLMv1 has no MIC, no channel bindings and no target name; whoever sees one response to a challenge
/// of his choice has the password's hash for the price of one DES search.
#[must_use]
pub fn send_ntlm_v1(mut policy: NtlmPolicy) -> NtlmPolicy {
    policy.send_v1 = true;
    policy
}

/// This policy, under which acceptors take NTLMv1 responses too.
///
/// # Security
///
/// See [`send_ntlm_v1`]. Whoever relays such a logon from elsewhere is let in: nothing in it is bound
/// to this acceptor.
#[must_use]
pub fn accept_ntlm_v1(mut policy: NtlmPolicy) -> NtlmPolicy {
    policy.accept_v1 = true;
    policy
}

/// This policy, under which acceptors let in clients that their verifier calls guests
/// ([`crate::LocalVerifier::with_guests`]).
///
/// # Security
///
/// A guest proved nothing, and its context has no key.
#[must_use]
pub fn allow_guests(mut policy: NtlmPolicy) -> NtlmPolicy {
    policy.guests = true;
    policy
}

//! The NTLM security package (MS-NLMP): NTLMv2, both sides.
//!
//! ```text
//! initiator  NEGOTIATE ─► ExpectChallenge ─ CHALLENGE ─► AUTHENTICATE, Established
//! acceptor   NEGOTIATE ─► CHALLENGE, ExpectAuthenticate ─ AUTHENTICATE ─► Established
//!                                                    └─► ExpectVerifier ─► Established
//! ```
//!
//! - [`Ntlm`] is the package; [`NtlmConfig`] is what it is made of.
//! - [`NtlmCredential`] is an account, by password or NT hash, or an acceptor's [`NtlmVerifier`];
//!   [`trihound_sspi::RegisteredPackage::adopt`] makes a handle of it.
//! - [`NtlmPolicy`] says whether NTLM may be used at all. **The default denies both directions.** Each
//!   use is told by an event and to an [`NtlmObserver`].
//! - [`LocalVerifier`] verifies against [`MemoryAccounts`], a [`UserFile`] or a [`HashFile`].
//! - [`SessionSecurity`] protects messages outside of SSPI; [`tokens`] makes single ones.
//!
//! What weakens any of it is in [`danger`].

mod acceptor;
mod acquire;
mod admission;
mod answer;
mod attributes;
mod av_pair;
mod buffers;
mod checks;
pub mod compute;
mod config;
mod context;
mod credential;
pub mod danger;
mod error;
mod established;
mod event;
mod export;
mod flags;
mod initiator;
pub mod message;
mod ntlm_v1;
mod package;
mod password;
mod policy;
mod query;
pub mod session;
mod status;
pub mod tokens;
mod verifier;

pub use av_pair::{AvFlags, AvId, AvPair, SingleHost, TargetInfo, TargetInfoBuilder};
pub use config::{NtlmConfig, ServerNames};
pub use context::NtlmContext;
pub use credential::{NtlmCredential, NtlmCredentialSource};
pub use error::{
    ContextError, CredentialError, Error, PeerMisbehaved, PolicyError, TokenError, Unprotected,
    VerifierFailure,
};
pub use event::{Direction, NtlmObserver, NtlmOutcome, NtlmUse};
pub use flags::NegotiateFlags;
pub use package::Ntlm;
pub use policy::{DEFAULT_MAX_AGE, MicRequirement, NtlmPolicy, NtlmRule, Requirement, TargetList};
pub use session::{SIGNATURE_LENGTH, SessionError, SessionSecurity, Unsealed};
pub use trihound_crypto::ntlm::NtHash;
pub use verifier::{
    Account, AccountFileError, AccountKind, AccountLineFault, HashFile, LocalVerifier,
    MemoryAccounts, NtlmAccounts, NtlmAccountsOpener, NtlmLogon, NtlmPasswordChange, NtlmVerifier,
    PasswordChange, SamFile, UserFile, Verification, VerifiedAccount,
};

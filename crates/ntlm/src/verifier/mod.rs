//! Who says whether a client's response is right.

mod accounts;
mod change;
mod files;
mod local;

use core::fmt;
use std::sync::Arc;

use trihound_sansio::Exchange;
use trihound_secret::SecretArray;

pub use accounts::{Account, MemoryAccounts, NtlmAccounts};
pub use change::{NtlmPasswordChange, PasswordChange};
pub use files::{AccountFileError, AccountLineFault, HashFile, SamFile, UserFile};
pub use local::LocalVerifier;

use crate::error::VerifierFailure;

/// A verification under way. Its round trips, if any, are with a
/// [`trihound_sansio::Service::Verifier`].
pub type Verification = Box<dyn Exchange<Output = VerifiedAccount, Error = VerifierFailure> + Send>;

/// Says whether a client's response is right: local accounts, or a domain controller behind an
/// exchange.
pub trait NtlmVerifier: Send + Sync {
    /// Begins to verify one logon.
    fn verify(&self, logon: NtlmLogon) -> Verification;

    /// Whether it can give accounts new passwords.
    fn changes_passwords(&self) -> bool {
        false
    }

    /// Begins to give an account a new password; only called where [`Self::changes_passwords`].
    fn change_password(&self, _change: NtlmPasswordChange) -> PasswordChange {
        Box::new(change::Changed(Some(Err(VerifierFailure::Unavailable {
            reason: "it changes no passwords".to_owned(),
        }))))
    }
}

/// Opens the accounts that a credential's settings name.
pub trait NtlmAccountsOpener: Send + Sync {
    /// Who says which clients are right by the accounts of this name.
    ///
    /// # Errors
    ///
    /// [`VerifierFailure::Unavailable`] when they cannot be used.
    fn open(&self, name: &str) -> Result<Arc<dyn NtlmVerifier>, VerifierFailure>;
}

/// What a client sent, and to which challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct NtlmLogon {
    /// UserName of the AUTHENTICATE message, as sent.
    pub user: String,
    /// DomainName of the AUTHENTICATE message, as sent.
    pub domain: String,
    /// Workstation of the AUTHENTICATE message, as sent.
    pub workstation: String,
    /// Whether `domain` is empty or one of the acceptor's own names, so that an account is meant
    /// which the acceptor keeps itself.
    pub domain_is_own: bool,
    /// The challenge that the acceptor made.
    pub server_challenge: [u8; 8],
    /// NtChallengeResponse, as sent: an NTLMv2 response, unless `ntlm_v1` says otherwise.
    pub nt_response: Vec<u8>,
    /// LmChallengeResponse, as sent.
    pub lm_response: Vec<u8>,
    /// For an NTLMv1 response (which [`crate::danger`] has to allow): whether extended session
    /// security was negotiated. `None` for NTLMv2.
    pub ntlm_v1: Option<bool>,
}

/// Names only: whoever has challenge and response can try passwords against them.
impl fmt::Debug for NtlmLogon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtlmLogon")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .field("workstation", &self.workstation)
            .field("domain_is_own", &self.domain_is_own)
            .field("ntlm_v1", &self.ntlm_v1)
            .finish_non_exhaustive()
    }
}

/// Whose response it was.
#[derive(Debug)]
pub struct VerifiedAccount {
    /// The account's name, as the verifier writes it.
    pub user: String,
    /// The account's domain, as the verifier writes it.
    pub domain: String,
    /// What the account is.
    pub kind: AccountKind,
    /// Names of the account's groups.
    pub groups: Vec<String>,
    /// The account's security identifiers as text, its own first.
    pub sids: Vec<String>,
}

/// What an account is, and with that whether its contexts have a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum AccountKind {
    /// A user who proved to know the password.
    User {
        /// SessionBaseKey (MS-NLMP section 3.3.2).
        session_base_key: SecretArray<16>,
    },
    /// A guest, who proved nothing: there is no key, so no MIC, no signing and no sealing.
    Guest,
}

impl VerifiedAccount {
    /// A user who proved to know the password.
    #[must_use]
    pub fn user(
        user: impl Into<String>,
        domain: impl Into<String>,
        session_base_key: SecretArray<16>,
    ) -> Self {
        Self {
            user: user.into(),
            domain: domain.into(),
            kind: AccountKind::User { session_base_key },
            groups: Vec::new(),
            sids: Vec::new(),
        }
    }

    /// A guest. The name is what the acceptor's caller sees, so it must not be the one that the client
    /// gave, which nothing proves.
    #[must_use]
    pub fn guest(user: impl Into<String>, domain: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            domain: domain.into(),
            kind: AccountKind::Guest,
            groups: Vec::new(),
            sids: Vec::new(),
        }
    }

    /// Whether it is a guest.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        matches!(self.kind, AccountKind::Guest)
    }
}

//! New passwords for accounts that this host keeps.

use core::fmt;
use std::sync::{PoisonError, RwLock};

use trihound_crypto::ntlm::NtHash;
use trihound_sansio::{Exchange, Progress, Reply};
use trihound_secret::{SecretString, constant_time_eq};

use super::accounts::{Account, MemoryAccounts, NtlmAccounts};
use super::local::NOBODY;
use crate::error::VerifierFailure;

/// A password change under way.
pub type PasswordChange = Box<dyn Exchange<Output = (), Error = VerifierFailure> + Send>;

/// Whose password is to be what.
pub struct NtlmPasswordChange {
    /// The account's name.
    pub user: String,
    /// Its domain, as the caller wrote it.
    pub domain: String,
    /// Whether `domain` is empty or one of this host's own names.
    pub domain_is_own: bool,
    /// The password that it has, which the caller has to know.
    pub old_password: SecretString,
    /// The password that it is to have.
    pub new_password: SecretString,
}

impl fmt::Debug for NtlmPasswordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtlmPasswordChange")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

impl NtlmPasswordChange {
    /// Whether the caller knows the password of `account`. It takes the same time whether there is such an
    /// account or not.
    #[must_use]
    pub fn is_permitted(&self, account: Option<&Account>) -> bool {
        let stand_in = NtHash::from_bytes(NOBODY);
        let held = account.map_or(&stand_in, |account| &account.nt_hash);
        let given = NtHash::from_password(&self.old_password);
        constant_time_eq(given.expose(), held.expose()) && account.is_some()
    }
}

/// Accounts in memory whose passwords can be changed.
impl NtlmAccounts for RwLock<MemoryAccounts> {
    fn find(&self, user: &str, domain: &str, domain_is_own: bool) -> Option<Account> {
        let accounts = self.read().unwrap_or_else(PoisonError::into_inner);
        accounts.find(user, domain, domain_is_own)
    }

    fn changes_passwords(&self) -> bool {
        true
    }

    fn change_password(&self, change: &NtlmPasswordChange) -> Result<(), VerifierFailure> {
        let mut accounts = self.write().unwrap_or_else(PoisonError::into_inner);
        let found = accounts.find(&change.user, &change.domain, change.domain_is_own);
        if !change.is_permitted(found.as_ref()) {
            return Err(VerifierFailure::LogonFailed);
        }
        let hash = NtHash::from_password(&change.new_password);
        if let Some(account) = found {
            accounts.set_nt_hash(&account.domain, &account.user, hash);
        }
        Ok(())
    }
}

/// A change that needs no round trip.
pub(super) struct Changed(pub(super) Option<Result<(), VerifierFailure>>);

impl Exchange for Changed {
    type Output = ();
    type Error = VerifierFailure;

    fn step(&mut self, _reply: Option<Reply<'_>>) -> Result<Progress<()>, VerifierFailure> {
        match self.0.take() {
            Some(outcome) => outcome.map(Progress::Done),
            None => Err(VerifierFailure::Unavailable {
                reason: "the password change is over already".to_owned(),
            }),
        }
    }
}

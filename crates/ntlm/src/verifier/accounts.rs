//! Accounts whose NT hashes this host has.

use trihound_crypto::ntlm::{NtHash, simple_uppercase};
use trihound_secret::SecretString;

use super::change::NtlmPasswordChange;
use crate::error::VerifierFailure;

/// An account and the hash of its password.
#[derive(Debug)]
pub struct Account {
    /// The domain; empty for an account of this host, which any client may mean that gives no domain.
    pub domain: String,
    /// The account's name.
    pub user: String,
    /// NTOWFv1 of the password (MS-NLMP section 3.3.1).
    pub nt_hash: NtHash,
}

/// The accounts of a [`super::LocalVerifier`].
pub trait NtlmAccounts: Send + Sync {
    /// The account that a client means: `user` and `domain` as it sent them, and whether that domain
    /// is none or the acceptor's own.
    ///
    /// The answer should take the same time for any name: it is part of what a client can measure.
    fn find(&self, user: &str, domain: &str, domain_is_own: bool) -> Option<Account>;

    /// Whether the passwords can be changed here.
    fn changes_passwords(&self) -> bool {
        false
    }

    /// Gives an account a new password, if the caller knows the old one; only called where
    /// [`Self::changes_passwords`].
    ///
    /// # Errors
    ///
    /// [`VerifierFailure::LogonFailed`] for an unknown account as for a wrong old password.
    fn change_password(&self, _change: &NtlmPasswordChange) -> Result<(), VerifierFailure> {
        Err(VerifierFailure::Unavailable {
            reason: "these accounts are not changed here".to_owned(),
        })
    }
}

/// Accounts in memory.
///
/// A client means an account when it sends the account's domain with its name; when it sends no
/// domain, or one of the acceptor's own names, and only one account has the name; or when it sends a
/// user principal name whose suffix is the account's domain. Case does not count.
#[derive(Debug, Default)]
pub struct MemoryAccounts {
    accounts: Vec<Account>,
}

impl MemoryAccounts {
    /// No account.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an account with a password.
    #[must_use]
    pub fn with_password(
        self,
        domain: impl Into<String>,
        user: impl Into<String>,
        password: SecretString,
    ) -> Self {
        let hash = NtHash::from_password(&password);
        drop(password);
        self.with_nt_hash(domain, user, hash)
    }

    /// Adds an account with the hash of its password.
    #[must_use]
    pub fn with_nt_hash(
        mut self,
        domain: impl Into<String>,
        user: impl Into<String>,
        nt_hash: NtHash,
    ) -> Self {
        self.accounts.push(Account {
            domain: domain.into(),
            user: user.into(),
            nt_hash,
        });
        self
    }

    /// The accounts, in their order.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The first account of this domain and name gets another hash; whether there is one.
    pub(crate) fn set_nt_hash(&mut self, domain: &str, user: &str, nt_hash: NtHash) -> bool {
        let is_meant = |account: &&mut Account| account.domain == domain && account.user == user;
        match self.accounts.iter_mut().find(is_meant) {
            Some(account) => {
                account.nt_hash = nt_hash;
                true
            }
            None => false,
        }
    }

    pub(crate) fn push(&mut self, account: Account) {
        self.accounts.push(account);
    }

    /// The first account that a person means by `user`, `DOMAIN\\user` or `user@domain`.
    pub(crate) fn named(&self, name: &str) -> Option<&Account> {
        let (domain, user) = match (name.split_once('\\'), name.rsplit_once('@')) {
            (Some((domain, user)), _) | (None, Some((user, domain))) => (Some(domain), user),
            (None, None) => (None, name),
        };
        self.accounts.iter().find(|account| {
            same_name(&account.user, user)
                && domain.is_none_or(|domain| same_name(&account.domain, domain))
        })
    }
}

/// Whether two names are one, as Windows compares them.
fn same_name(left: &str, right: &str) -> bool {
    simple_uppercase(left).eq(simple_uppercase(right))
}

impl NtlmAccounts for MemoryAccounts {
    fn find(&self, user: &str, domain: &str, domain_is_own: bool) -> Option<Account> {
        let principal_name = domain
            .is_empty()
            .then(|| user.rsplit_once('@'))
            .flatten()
            .filter(|(name, suffix)| !name.is_empty() && !suffix.is_empty());
        let mut exact = None;
        let mut undecided = Vec::new();
        // The whole list is walked for every name, so that the place of an account does not show.
        for account in &self.accounts {
            let named = same_name(&account.user, user);
            let by_domain = named && !domain.is_empty() && same_name(&account.domain, domain);
            let by_suffix = principal_name.is_some_and(|(name, suffix)| {
                same_name(&account.user, name) && same_name(&account.domain, suffix)
            });
            if exact.is_none() && (by_domain || by_suffix) {
                exact = Some(account);
            } else if named && domain_is_own {
                undecided.push(account);
            }
        }
        let found = match (exact, undecided.as_slice()) {
            (Some(account), _) => Some(account),
            (None, [account]) => Some(*account),
            _ => None,
        };
        found.map(|account| Account {
            domain: account.domain.clone(),
            user: account.user.clone(),
            nt_hash: account.nt_hash.duplicate(),
        })
    }
}

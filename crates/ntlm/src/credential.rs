//! What a handle of NTLM credentials names.

use core::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use trihound_crypto::ntlm::{NtHash, ResponseKeyNt, simple_uppercase};
use trihound_secret::SecretString;
use trihound_sspi::AccessToken;

use crate::error::CredentialError;
use crate::policy::NtlmPolicy;
use crate::verifier::NtlmVerifier;

/// A credential for NTLM: an account for initiating, a verifier for accepting, or both.
///
/// [`trihound_sspi::RegisteredPackage::adopt`] makes a handle of it.
#[derive(Clone, Debug, Default)]
pub struct NtlmCredential {
    outbound: Option<Arc<Outbound>>,
    inbound: Option<Inbound>,
    policy: Option<Arc<NtlmPolicy>>,
    /// What AddCredentials brought.
    added: Arc<Added>,
    /// Whether it was acquired for both directions without an identity: outbound it is the service's own,
    /// and nobody's while the thread impersonates a client, who can delegate nothing by NTLM.
    follows_client: bool,
}

/// What joined a credential after it was acquired. Clones of the credential share it.
#[derive(Debug, Default)]
struct Added {
    /// The same account with another password, or the direction that was missing.
    outbound: RwLock<Option<Arc<Outbound>>>,
    inbound: OnceLock<Inbound>,
}

/// Who an initiator is.
#[derive(Debug)]
pub(crate) enum Outbound {
    Account(AccountSecret),
    /// Nobody, which has to be asked for.
    Anonymous,
}

/// An account with the hash of its password.
pub(crate) struct AccountSecret {
    pub(crate) user: String,
    pub(crate) domain: String,
    hash: NtHash,
    /// For the domain above: it is the same in each context.
    response_key: OnceLock<Arc<ResponseKeyNt>>,
}

impl fmt::Debug for AccountSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSecret")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

impl AccountSecret {
    /// ResponseKeyNT for the account in this domain.
    pub(crate) fn response_key(&self, domain: &str) -> Arc<ResponseKeyNt> {
        if domain == self.domain {
            let key = self
                .response_key
                .get_or_init(|| Arc::new(self.hash.response_key(&self.user, domain)));
            return Arc::clone(key);
        }
        Arc::new(self.hash.response_key(&self.user, domain))
    }

    /// The hash itself, for NTLMv1.
    pub(crate) fn hash(&self) -> &NtHash {
        &self.hash
    }
}

/// Who says which clients are right.
#[derive(Clone)]
pub(crate) struct Inbound {
    pub(crate) verifier: Arc<dyn NtlmVerifier>,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbound(..)")
    }
}

impl NtlmCredential {
    /// An account and its password, of which only the NT hash is kept.
    ///
    /// With an empty `domain` a user principal name (`alice@example.com`) is sent as it is, and any
    /// other name with the name of the target that the acceptor gives (MS-NLMP section 3.1.5.1.2), as
    /// Windows does.
    #[must_use]
    pub fn from_password(
        user: impl Into<String>,
        domain: impl Into<String>,
        password: SecretString,
    ) -> Self {
        let hash = NtHash::from_password(&password);
        drop(password);
        Self::from_nt_hash(user, domain, hash)
    }

    /// An account and the NT hash of its password; see [`Self::from_password`] for the names.
    #[must_use]
    pub fn from_nt_hash(user: impl Into<String>, domain: impl Into<String>, hash: NtHash) -> Self {
        Self {
            outbound: Some(Arc::new(Outbound::Account(AccountSecret {
                user: user.into(),
                domain: domain.into(),
                hash,
                response_key: OnceLock::new(),
            }))),
            ..Self::default()
        }
    }

    /// Nobody: a context with it has no key, and the initiator has to ask for NULL_SESSION.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            outbound: Some(Arc::new(Outbound::Anonymous)),
            ..Self::default()
        }
    }

    /// An acceptor's credential: who says which clients are right.
    #[must_use]
    pub fn acceptor(verifier: Arc<dyn NtlmVerifier>) -> Self {
        Self {
            inbound: Some(Inbound { verifier }),
            ..Self::default()
        }
    }

    /// This credential with what `other` has more.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            outbound: self.outbound.or(other.outbound),
            inbound: self.inbound.or(other.inbound),
            policy: self.policy.or(other.policy),
            added: self.added,
            follows_client: self.follows_client,
        }
    }

    pub(crate) fn following_client(mut self) -> Self {
        self.follows_client = true;
        self
    }

    /// Who a context is made as: never the service in the place of the client whom the thread impersonates.
    pub(crate) fn outbound_for(
        &self,
        impersonation: Option<&Arc<AccessToken>>,
    ) -> Result<Arc<Outbound>, CredentialError> {
        match impersonation.filter(|_| self.follows_client) {
            Some(token) => Err(CredentialError::NothingDelegated {
                client: token.client_name.clone(),
            }),
            None => self.outbound(),
        }
    }

    /// This credential under a policy of its own, which holds in place of the package's.
    #[must_use]
    pub fn with_policy(mut self, policy: NtlmPolicy) -> Self {
        self.policy = Some(Arc::new(policy));
        self
    }

    /// The account's name as SSPI writes it, `DOMAIN\user`; `None` without an account.
    #[must_use]
    pub fn account_name(&self) -> Option<String> {
        match self.outbound().ok().as_deref() {
            Some(Outbound::Account(account)) => {
                Some(down_level_name(&account.domain, &account.user))
            }
            _ => None,
        }
    }

    /// AddCredentials: a direction that is missing, or the same account with a new password.
    pub(crate) fn add(&self, other: &Self) -> Result<(), CredentialError> {
        let account = match (self.outbound().ok(), &other.outbound) {
            (Some(old), Some(new)) if !old.is_same_account(new) => {
                return Err(CredentialError::OtherAccount {
                    has: self.account_name().unwrap_or_default(),
                });
            }
            (_, new) => new,
        };
        match (self.inbound().ok(), &other.inbound) {
            (Some(old), Some(new)) if !Arc::ptr_eq(&old.verifier, &new.verifier) => {
                return Err(CredentialError::OtherVerifier);
            }
            (None, Some(new)) => {
                self.added.inbound.get_or_init(|| new.clone());
            }
            _ => {}
        }
        if let Some(new) = account {
            // One assignment, so a panic elsewhere leaves the value whole.
            let place = self.added.outbound.write();
            *place.unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(new));
        }
        Ok(())
    }

    pub(crate) fn policy<'a>(&'a self, of_package: &'a Arc<NtlmPolicy>) -> &'a Arc<NtlmPolicy> {
        self.policy.as_ref().unwrap_or(of_package)
    }

    pub(crate) fn outbound(&self) -> Result<Arc<Outbound>, CredentialError> {
        let added = self.added.outbound.read();
        let added = added.unwrap_or_else(PoisonError::into_inner).clone();
        added
            .or_else(|| self.outbound.clone())
            .ok_or(CredentialError::OtherDirection {
                direction: "outbound",
                flag: "SECPKG_CRED_OUTBOUND",
            })
    }

    pub(crate) fn inbound(&self) -> Result<&Inbound, CredentialError> {
        self.inbound
            .as_ref()
            .or_else(|| self.added.inbound.get())
            .ok_or(CredentialError::OtherDirection {
                direction: "inbound",
                flag: "SECPKG_CRED_INBOUND",
            })
    }
}

impl Outbound {
    /// Windows compares names without regard to case.
    fn is_same_account(&self, other: &Self) -> bool {
        let same = |one: &str, other: &str| simple_uppercase(one).eq(simple_uppercase(other));
        match (self, other) {
            (Self::Account(one), Self::Account(other)) => {
                same(&one.user, &other.user) && same(&one.domain, &other.domain)
            }
            (Self::Anonymous, Self::Anonymous) => true,
            _ => false,
        }
    }
}

/// `DOMAIN\user`, or the name alone where there is no domain.
pub(crate) fn down_level_name(domain: &str, user: &str) -> String {
    if domain.is_empty() {
        user.to_owned()
    } else {
        format!("{domain}\\{user}")
    }
}

/// Gives the credential of an initiator who acquires without an identity, such as the first entry of
/// a [`crate::UserFile`].
pub trait NtlmCredentialSource: Send + Sync {
    /// The default credential, or that of `principal` (`user`, `DOMAIN\user` or `user@domain`).
    fn default_credential(&self, principal: Option<&str>) -> Option<NtlmCredential>;
}

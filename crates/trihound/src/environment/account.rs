//! Clients' accounts on this machine, by which the kernel checks what an impersonating thread does.

use std::sync::Arc;

use thiserror::Error;
use trihound_krb5::{Config, LocalNameError, Principal};
use trihound_sspi::{AccessToken, AssumedIdentity, SecurityStatus, ThreadIdentity};

use crate::Kerberos;

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub(super) use linux::own_numbers_differ;

/// Why a thread cannot have a client's account.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LocalAccountError {
    /// A rule of krb5.conf cannot be read, and those behind it do not count.
    #[error("the account of {client} cannot be told: {reason}")]
    Mapping {
        /// The client's principal.
        client: String,
        /// What is wrong with the rule.
        reason: LocalNameError,
    },
    /// The database of accounts does not answer.
    #[error(
        "the account {account:?} cannot be looked up: {reason}; check the sources of `passwd` and `group` in \
         nsswitch.conf"
    )]
    Database {
        /// The account's name.
        account: String,
        /// What the system says.
        reason: String,
    },
    /// The kernel refuses.
    #[error(
        "the kernel does not let this thread act as {account:?}: {what}: {reason}; the process has CAP_SETUID and \
         CAP_SETGID, so look at its user namespace and at its seccomp filter"
    )]
    Refused {
        /// The account's name.
        account: String,
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        reason: String,
    },
    /// An account is demanded, and the client has none.
    #[error(
        "{client} has no account on this machine; add one, or an auth_to_local rule to krb5.conf that maps it to \
         one"
    )]
    NoAccount {
        /// The client's name.
        client: String,
    },
    /// An account is demanded, and the process may not change to it.
    #[error(
        "this process may not act as {account:?}: it needs Linux, CAP_SETUID and CAP_SETGID; run it with both, or \
         do not demand an account"
    )]
    NotPermitted {
        /// The account's name.
        account: String,
    },
}

impl LocalAccountError {
    /// SEC_E_NO_IMPERSONATION where the client cannot be acted for here, SEC_E_INTERNAL_ERROR where nobody can say.
    #[must_use]
    pub const fn status(&self) -> SecurityStatus {
        match self {
            Self::NoAccount { .. } | Self::NotPermitted { .. } | Self::Refused { .. } => {
                SecurityStatus::SEC_E_NO_IMPERSONATION
            }
            Self::Mapping { .. } | Self::Database { .. } => SecurityStatus::SEC_E_INTERNAL_ERROR,
        }
    }
}

impl From<LocalAccountError> for trihound_sspi::Error {
    fn from(error: LocalAccountError) -> Self {
        Self::from_source(error.status(), error)
    }
}

type Mapping = dyn Fn(&AccessToken) -> Option<String> + Send + Sync;

/// Who maps a client to the name of an account.
#[derive(Clone)]
enum Mapped {
    Nobody,
    ByConfig(Arc<Config>),
    ByProgram(Arc<Mapping>),
}

/// The accounts that clients have on this machine.
///
/// On Linux, where the process may (CAP_SETUID and CAP_SETGID, as root has them) and the client has an account, a
/// thread that impersonates gets that account's effective user and group, its supplementary groups, and no
/// capabilities: the kernel then checks files as for the client. Other threads keep theirs. The thread's real user
/// stays, so that it can go back; where that fails, the process is ended.
///
/// Elsewhere, and for clients without an account, the thread keeps the rights of the process, and
/// [`Impersonation::account`](trihound_sspi::Impersonation::account) is `None`. A program whose safety rests on the
/// kernel's checks demands an account: [`Self::required`].
#[derive(Clone)]
pub struct LocalAccounts {
    mapped: Mapped,
    is_required: bool,
}

impl LocalAccounts {
    /// Clients of Kerberos have the account that `auth_to_local` and `auth_to_local_names` of krb5.conf name, if the
    /// machine has it; by default a principal of the default realm with one component has that of its name. Those of
    /// other packages have none.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self::of(Mapped::ByConfig(config))
    }

    /// Clients have the account that the program names, if the machine has it.
    #[must_use]
    pub fn mapped_by(
        mapping: impl Fn(&AccessToken) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Mapped::ByProgram(Arc::new(mapping)))
    }

    /// Nobody has an account: impersonation is a matter of tokens alone.
    #[must_use]
    pub fn none() -> Self {
        Self::of(Mapped::Nobody)
    }

    fn of(mapped: Mapped) -> Self {
        Self {
            mapped,
            is_required: false,
        }
    }

    /// A client is impersonated only if the kernel checks as its account: SEC_E_NO_IMPERSONATION otherwise.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// The account's name, whether the machine has it or not.
    ///
    /// # Errors
    ///
    /// [`LocalAccountError::Mapping`].
    pub fn name_of(&self, token: &AccessToken) -> Result<Option<String>, LocalAccountError> {
        match &self.mapped {
            Mapped::Nobody => Ok(None),
            Mapped::ByProgram(mapping) => Ok(mapping(token)),
            Mapped::ByConfig(config) if token.package == Kerberos::NAME => by_rules(config, token),
            Mapped::ByConfig(_) => Ok(None),
        }
    }

    fn account(
        &self,
        token: &AccessToken,
    ) -> Result<Option<Box<dyn AssumedIdentity>>, LocalAccountError> {
        let no_account = || LocalAccountError::NoAccount {
            client: token.client_name.clone(),
        };
        let Some(name) = self.name_of(token)? else {
            return self.without(no_account);
        };
        match assume(&name)? {
            Outcome::Assumed(identity) => {
                tracing::debug!(client = %token.client_name, account = %name, "The thread acts as {name}");
                Ok(Some(identity))
            }
            Outcome::NoSuchAccount => self.without(no_account),
            Outcome::NotPermitted => {
                self.without(|| LocalAccountError::NotPermitted { account: name })
            }
        }
    }

    fn without<T>(
        &self,
        reason: impl FnOnce() -> LocalAccountError,
    ) -> Result<Option<T>, LocalAccountError> {
        let reason = reason();
        if self.is_required {
            return Err(reason);
        }
        tracing::debug!(%reason, "The thread keeps the rights of the process");
        Ok(None)
    }
}

impl core::fmt::Debug for LocalAccounts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LocalAccounts")
            .field("is_required", &self.is_required)
            .finish_non_exhaustive()
    }
}

impl ThreadIdentity for LocalAccounts {
    fn assume(
        &self,
        token: &AccessToken,
    ) -> Result<Option<Box<dyn AssumedIdentity>>, trihound_sspi::Error> {
        Ok(self.account(token)?)
    }
}

fn by_rules(config: &Config, token: &AccessToken) -> Result<Option<String>, LocalAccountError> {
    // A name that is no principal is no rule's either.
    let Ok(principal) = Principal::parse(&token.client_name, None) else {
        return Ok(None);
    };
    match config.auth_to_local(&principal) {
        Ok(name) => Ok(name),
        Err(LocalNameError::NoDefaultRealm { .. }) => Ok(None),
        Err(reason) => Err(LocalAccountError::Mapping {
            client: token.client_name.clone(),
            reason,
        }),
    }
}

/// What became of a thread that was to have an account.
enum Outcome {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "Linux alone has it")
    )]
    Assumed(Box<dyn AssumedIdentity>),
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "Linux alone looks")
    )]
    NoSuchAccount,
    NotPermitted,
}

#[cfg(target_os = "linux")]
fn assume(name: &str) -> Result<Outcome, LocalAccountError> {
    linux::assume(name)
}

/// No other system here gives single threads identities of their own.
#[cfg(not(target_os = "linux"))]
fn assume(_name: &str) -> Result<Outcome, LocalAccountError> {
    Ok(Outcome::NotPermitted)
}

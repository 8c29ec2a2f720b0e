//! NTLM as the environment has it: whether it may be used (TRIHOUND_NTLM), and the accounts of
//! NTLM_USER_FILE and NTLM_HASH_FILE.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use trihound_ntlm::{
    Account, AccountFileError, HashFile, LocalVerifier, NtlmAccounts, NtlmAccountsOpener,
    NtlmConfig, NtlmCredential, NtlmCredentialSource, NtlmLogon, NtlmPasswordChange, NtlmPolicy,
    NtlmRule, NtlmVerifier, PasswordChange, SamFile, ServerNames, UserFile, Verification,
    VerifiedAccount, VerifierFailure,
};
use trihound_sansio::{Exchange, Progress, Reply};
use trihound_secret::SecretBytes;

use super::ccache::CacheVersion;
use super::files::{read_bounded, version};
use super::names::shown;
use super::values::variable;

/// Whether NTLM may be used.
const POLICY: &str = "TRIHOUND_NTLM";
/// Accounts with passwords, as gss-ntlmssp and pyspnego have them.
const USER_FILE: &str = "NTLM_USER_FILE";
/// Accounts with the hashes of passwords. The name is ours: no other stack reads such a file.
const HASH_FILE: &str = "NTLM_HASH_FILE";

/// Why NTLM cannot be set up as the environment has it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NtlmEnvironmentError {
    /// TRIHOUND_NTLM says what nobody understands.
    #[error(
        "TRIHOUND_NTLM={value:?}: {word:?} is none of deny, audit and allow, for both directions or as \
         outgoing=... and incoming=... with a comma between them"
    )]
    Policy {
        /// The variable's value.
        value: String,
        /// The part that is wrong.
        word: String,
    },
    /// A file of accounts cannot be read.
    #[error(
        "the NTLM accounts in {path} cannot be read: {reason}; check the name (NTLM_USER_FILE, \
         NTLM_HASH_FILE), and that this program's user may read the file"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// A line of a file of accounts is broken; none of its accounts is used.
    #[error("{path}: {error}")]
    Line {
        /// The file.
        path: String,
        /// The line's number, and what is wrong with it.
        #[source]
        error: AccountFileError,
    },
}

/// What TRIHOUND_NTLM lets NTLM be used for; nothing where it is not set, or not ours to follow.
///
/// # Errors
///
/// [`NtlmEnvironmentError::Policy`].
pub fn ntlm_policy() -> Result<NtlmPolicy, NtlmEnvironmentError> {
    variable(POLICY).map_or_else(|| Ok(NtlmPolicy::default()), |value| policy_of(&value))
}

fn policy_of(value: &str) -> Result<NtlmPolicy, NtlmEnvironmentError> {
    let rule = |word: &str| match word.trim().to_ascii_lowercase().as_str() {
        "deny" => Ok(NtlmRule::Deny),
        "audit" => Ok(NtlmRule::Audit),
        "allow" => Ok(NtlmRule::Allow),
        _ => Err(NtlmEnvironmentError::Policy {
            value: value.to_owned(),
            word: word.trim().to_owned(),
        }),
    };
    if !value.contains('=') {
        return Ok(NtlmPolicy::both(rule(value)?));
    }
    let mut policy = NtlmPolicy::default();
    for part in value.split(',') {
        policy = match part.split_once('=') {
            Some((direction, word)) if direction.trim().eq_ignore_ascii_case("outgoing") => {
                policy.outgoing(rule(word)?)
            }
            Some((direction, word)) if direction.trim().eq_ignore_ascii_case("incoming") => {
                policy.incoming(rule(word)?)
            }
            _ => {
                return Err(NtlmEnvironmentError::Policy {
                    value: value.to_owned(),
                    word: part.trim().to_owned(),
                });
            }
        };
    }
    Ok(policy)
}

/// NTLM's configuration as the environment has it: TRIHOUND_NTLM, the accounts of NTLM_USER_FILE and
/// NTLM_HASH_FILE, the name of this host.
///
/// Files of accounts are looked at only where the policy permits any use.
///
/// # Errors
///
/// [`NtlmEnvironmentError`].
pub fn ntlm_config() -> Result<NtlmConfig, NtlmEnvironmentError> {
    ntlm_config_under(ntlm_policy()?)
}

/// As [`ntlm_config`], with a policy of the program's own in place of TRIHOUND_NTLM's.
///
/// # Errors
///
/// [`NtlmEnvironmentError`].
pub fn ntlm_config_under(policy: NtlmPolicy) -> Result<NtlmConfig, NtlmEnvironmentError> {
    equip(NtlmConfig::default(), policy, None)
}

/// Puts this policy, and what the environment has besides, into a configuration.
pub(crate) fn equip(
    config: NtlmConfig,
    policy: NtlmPolicy,
    verifier: Option<Arc<dyn NtlmVerifier>>,
) -> Result<NtlmConfig, NtlmEnvironmentError> {
    let is_used = policy.outgoing_rule().permits_any() || policy.incoming_rule().permits_any();
    let mut config = config
        .with_policy(policy)
        .with_accounts_opener(Arc::new(NamedNtlmAccounts));
    if let Some(host) = host_name() {
        config = config.with_server_names(ServerNames::of_host(&host));
    }
    // Who brings a verifier is not kept from starting by a file that nobody would ask.
    if let Some(verifier) = verifier {
        return Ok(config.with_verifier(verifier));
    }
    if is_used && let Some(files) = NtlmAccountFiles::from_environment() {
        files.check()?;
        let files = Arc::new(files);
        config = config
            .with_verifier(Arc::clone(&files) as _)
            .with_credential_source(files);
    }
    Ok(config)
}

/// Accounts in files, for accepting and for initiating: one with passwords, one with NT hashes, or both.
///
/// Each is read again once it has changed. While a file that has changed cannot be read, or one of its
/// lines is broken, nobody is let in by it.
pub struct NtlmAccountFiles {
    users: Option<Watched<UserFile>>,
    hashes: Option<Watched<HashFile>>,
    sam: Option<Watched<SamFile>>,
}

/// Opens the file that a credential's settings name: one of WinPR's form, [`SamFile`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NamedNtlmAccounts;

impl NtlmAccountsOpener for NamedNtlmAccounts {
    fn open(&self, name: &str) -> Result<Arc<dyn NtlmVerifier>, VerifierFailure> {
        let files = NtlmAccountFiles {
            sam: Some(Watched::new(PathBuf::from(name), SamFile::parse)),
            ..NtlmAccountFiles::new(None, None)
        };
        match files.check() {
            Ok(()) => Ok(Arc::new(files)),
            Err(error) => Err(VerifierFailure::Unavailable {
                reason: error.to_string(),
            }),
        }
    }
}

impl core::fmt::Debug for NtlmAccountFiles {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NtlmAccountFiles")
            .field("users", &self.users.as_ref().map(|file| &file.path))
            .field("hashes", &self.hashes.as_ref().map(|file| &file.path))
            .field("sam", &self.sam.as_ref().map(|file| &file.path))
            .finish()
    }
}

impl NtlmAccountFiles {
    /// A file of lines `DOMAIN:USER:PASSWORD`, and one of lines `DOMAIN:USER:` and 32 hexadecimal digits.
    #[must_use]
    pub fn new(users: Option<PathBuf>, hashes: Option<PathBuf>) -> Self {
        Self {
            users: users.map(|path| Watched::new(path, UserFile::parse)),
            hashes: hashes.map(|path| Watched::new(path, HashFile::parse)),
            sam: None,
        }
    }

    /// The files that NTLM_USER_FILE and NTLM_HASH_FILE name; `None` where neither is set.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let path = |name| variable(name).map(PathBuf::from);
        match (path(USER_FILE), path(HASH_FILE)) {
            (None, None) => None,
            (users, hashes) => Some(Self::new(users, hashes)),
        }
    }

    /// Whether the files can be used now.
    ///
    /// # Errors
    ///
    /// [`NtlmEnvironmentError::Unreadable`], [`NtlmEnvironmentError::Line`].
    pub fn check(&self) -> Result<(), NtlmEnvironmentError> {
        self.read().map(|_| ())
    }

    /// What is in the files now.
    pub(super) fn accounts(&self) -> Result<Accounts, NtlmEnvironmentError> {
        self.read()
    }

    pub(super) fn users_path(&self) -> Option<&Path> {
        self.users.as_ref().map(|file| file.path.as_path())
    }

    pub(super) fn hashes_path(&self) -> Option<&Path> {
        self.hashes.as_ref().map(|file| file.path.as_path())
    }

    fn read(&self) -> Result<Accounts, NtlmEnvironmentError> {
        Ok(Accounts {
            users: self.users.as_ref().map(Watched::current).transpose()?,
            hashes: self.hashes.as_ref().map(Watched::current).transpose()?,
            sam: self.sam.as_ref().map(Watched::current).transpose()?,
        })
    }
}

/// What was in the files at one moment.
pub(super) struct Accounts {
    pub(super) users: Option<Arc<UserFile>>,
    pub(super) hashes: Option<Arc<HashFile>>,
    sam: Option<Arc<SamFile>>,
}

impl NtlmAccounts for Accounts {
    fn find(&self, user: &str, domain: &str, domain_is_own: bool) -> Option<Account> {
        // All are always asked: the time must not tell in which one an account is.
        let users = self.users.as_ref();
        let hashes = self.hashes.as_ref();
        let here = users.and_then(|file| file.find(user, domain, domain_is_own));
        let there = hashes.and_then(|file| file.find(user, domain, domain_is_own));
        let sam = self.sam.as_ref();
        let elsewhere = sam.and_then(|file| file.find(user, domain, domain_is_own));
        here.or(there).or(elsewhere)
    }
}

impl NtlmVerifier for NtlmAccountFiles {
    fn verify(&self, logon: NtlmLogon) -> Verification {
        match self.read() {
            Ok(accounts) => LocalVerifier::new(accounts).verify(logon),
            Err(error) => {
                tracing::warn!(%error, "NTLM clients are refused: their accounts cannot be read");
                Box::new(Unavailable(error.to_string()))
            }
        }
    }

    fn changes_passwords(&self) -> bool {
        self.users.is_some() || self.hashes.is_some()
    }

    fn change_password(&self, change: NtlmPasswordChange) -> PasswordChange {
        Box::new(Changed(Some(self.change(&change))))
    }
}

/// A password change that needs no round trip.
struct Changed(Option<Result<(), VerifierFailure>>);

impl Exchange for Changed {
    type Output = ();
    type Error = VerifierFailure;

    fn step(&mut self, _: Option<Reply<'_>>) -> Result<Progress<()>, VerifierFailure> {
        let over = || VerifierFailure::Unavailable {
            reason: "the password change is over already".to_owned(),
        };
        self.0
            .take()
            .unwrap_or_else(|| Err(over()))
            .map(Progress::Done)
    }
}

impl NtlmCredentialSource for NtlmAccountFiles {
    fn default_credential(&self, principal: Option<&str>) -> Option<NtlmCredential> {
        let accounts = self
            .read()
            .inspect_err(|error| {
                tracing::warn!(%error, "There is no NTLM credential: the accounts cannot be read");
            })
            .ok()?;
        let users = accounts.users.as_ref();
        let hashes = accounts.hashes.as_ref();
        users
            .and_then(|file| file.default_credential(principal))
            .or_else(|| hashes.and_then(|file| file.default_credential(principal)))
    }
}

/// The answer where the accounts cannot be read.
struct Unavailable(String);

impl Exchange for Unavailable {
    type Output = VerifiedAccount;
    type Error = VerifierFailure;

    fn step(&mut self, _: Option<Reply<'_>>) -> Result<Progress<VerifiedAccount>, VerifierFailure> {
        Err(VerifierFailure::Unavailable {
            reason: self.0.clone(),
        })
    }
}

/// A file that is read again once it has changed.
struct Watched<T> {
    path: PathBuf,
    parse: fn(&str) -> Result<T, AccountFileError>,
    held: Mutex<Option<(CacheVersion, Arc<T>)>>,
}

impl<T> Watched<T> {
    fn new(path: PathBuf, parse: fn(&str) -> Result<T, AccountFileError>) -> Self {
        Self {
            path,
            parse,
            held: Mutex::default(),
        }
    }

    fn current(&self) -> Result<Arc<T>, NtlmEnvironmentError> {
        let version = version(&self.path).map_err(|error| self.unreadable(&error))?;
        // The state is exchanged in one piece, so a panic elsewhere leaves it whole.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(now), Some((then, content))) = (&version, &*held)
            && now == then
        {
            return Ok(Arc::clone(content));
        }
        // What was good once is not served on behalf of what is there now.
        *held = None;
        let content = Arc::new(self.read()?);
        *held = version.map(|version| (version, Arc::clone(&content)));
        Ok(content)
    }

    fn read(&self) -> Result<T, NtlmEnvironmentError> {
        let metadata = std::fs::metadata(&self.path).map_err(|error| self.unreadable(&error))?;
        // Each login would wait for a writer, with the others behind it.
        if is_pipe(&metadata) {
            return Err(self.unreadable(&"it is a pipe, which can be read once; a file is needed"));
        }
        let bytes = read_bounded(&self.path).map_err(|error| self.unreadable(&error))?;
        let bytes = SecretBytes::from(bytes);
        let text = core::str::from_utf8(bytes.expose()).map_err(|error| {
            let good = bytes
                .expose()
                .get(..error.valid_up_to())
                .unwrap_or_default();
            let line = good.iter().filter(|byte| **byte == b'\n').count();
            self.unreadable(&format_args!(
                "line {} is not UTF-8",
                line.saturating_add(1)
            ))
        })?;
        let content = (self.parse)(text).map_err(|error| NtlmEnvironmentError::Line {
            path: shown(&self.path),
            error,
        })?;
        warn_if_open_to_all(&self.path, &metadata);
        Ok(content)
    }

    fn unreadable(&self, reason: &dyn core::fmt::Display) -> NtlmEnvironmentError {
        NtlmEnvironmentError::Unreadable {
            path: shown(&self.path),
            reason: reason.to_string(),
        }
    }
}

fn is_pipe(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

/// Tells when users other than its owner and its group may log in as anybody in the file.
fn warn_if_open_to_all(path: &Path, metadata: &Metadata) {
    #[cfg(unix)]
    {
        const ANYBODY: u32 = 0o007;
        let mode = std::os::unix::fs::MetadataExt::mode(metadata) & ANYBODY;
        if mode != 0 {
            let file = shown(path);
            tracing::warn!(
                file = file.as_str(),
                "Every user of this machine may use the passwords in {file}; run: chmod o= {file}"
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (path, metadata);
}

/// The name of this host, as it knows itself.
fn host_name() -> Option<String> {
    #[cfg(unix)]
    {
        let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
        Some(name).filter(|name| !name.is_empty())
    }
    #[cfg(not(unix))]
    {
        variable("COMPUTERNAME")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_has_one_word_or_one_a_direction() {
        assert_eq!(
            policy_of("audit").unwrap(),
            NtlmPolicy::both(NtlmRule::Audit)
        );
        assert_eq!(
            policy_of(" Allow ").unwrap(),
            NtlmPolicy::both(NtlmRule::Allow)
        );
        assert_eq!(policy_of("deny").unwrap(), NtlmPolicy::default());
        assert_eq!(
            policy_of("outgoing=audit, incoming=allow").unwrap(),
            NtlmPolicy::default()
                .outgoing(NtlmRule::Audit)
                .incoming(NtlmRule::Allow)
        );
        assert_eq!(
            policy_of("Incoming=allow").unwrap(),
            NtlmPolicy::default().incoming(NtlmRule::Allow)
        );
    }

    #[test]
    fn a_word_that_nobody_understands_is_no_permission() {
        for (value, wrong) in [
            ("yes", "yes"),
            ("1", "1"),
            ("outgoing=allow,incoming", "incoming"),
            ("outgoing=on", "on"),
            ("both=allow", "both=allow"),
            ("allow,deny", "allow,deny"),
            ("outgoing=allow,", ""),
        ] {
            let error = policy_of(value).unwrap_err();
            let NtlmEnvironmentError::Policy { word, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(word, wrong, "{value}");
        }
    }
}

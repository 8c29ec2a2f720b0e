//! Accounts from text files, one a line.

use std::collections::HashSet;
use thiserror::Error;

use trihound_crypto::ntlm::{NtHash, simple_uppercase};
use trihound_secret::SecretString;

use super::accounts::{Account, MemoryAccounts, NtlmAccounts};
use crate::credential::{NtlmCredential, NtlmCredentialSource};

/// Why a file of accounts cannot be used. The text never shows what the line says.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line} of the account file: {fault}; {form}, with # for a comment")]
#[non_exhaustive]
pub struct AccountFileError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: AccountLineFault,
    form: &'static str,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountLineFault {
    /// There are fewer colons than the form has.
    #[error("it has too few colons")]
    TooFewFields,
    /// The second field is empty.
    #[error("it names no user")]
    NoUser,
    /// The third field is empty.
    #[error("it has no password")]
    NoSecret,
    /// The third field is not the hash in hexadecimal digits.
    #[error("its third field is not 32 hexadecimal digits")]
    NotAHash,
    /// A control character stands in it.
    #[error("it has a control character")]
    ControlCharacter,
    /// An earlier line has the same domain and user.
    #[error("an earlier line has the same domain and user")]
    Duplicate,
}

/// A file of lines `DOMAIN:USER:PASSWORD`, as `NTLM_USER_FILE` of other stacks has it.
///
/// The password is the rest of the line behind the second colon, colons and spaces included. Lines
/// that are empty or begin with `#` say nothing. A domain may be empty. For accepting, the file is
/// the accounts; for initiating, its first line is the default credential.
#[derive(Debug, Default)]
pub struct UserFile(MemoryAccounts);

/// A file of lines `DOMAIN:USER:HASH`, where the hash is the NT hash in 32 hexadecimal digits. See
/// [`UserFile`] for the rest.
#[derive(Debug, Default)]
pub struct HashFile(MemoryAccounts);

/// A file of lines `USER:DOMAIN:LMHASH:NTHASH:::`, as WinPR's servers have it (`/etc/winpr/SAM`); of the two
/// hashes only that of NT, in 32 hexadecimal digits, is looked at. See [`UserFile`] for the rest.
#[derive(Debug, Default)]
pub struct SamFile(MemoryAccounts);

const USER_FORM: &str = "a line is DOMAIN:USER:PASSWORD";
const HASH_FORM: &str = "a line is DOMAIN:USER:32 hexadecimal digits of the NT hash";

const SAM_FORM: &str = "a line is USER:DOMAIN:LMHASH:NTHASH:::";

impl SamFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// [`AccountFileError`] for the first line that is broken; no account of the file is then used.
    pub fn parse(text: &str) -> Result<Self, AccountFileError> {
        parse(text, SAM_FORM, sam_fields, |secret| {
            NtHash::parse_hex(secret).map_err(|_| AccountLineFault::NotAHash)
        })
        .map(Self)
    }

    /// The accounts, in the order of their lines.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        self.0.accounts()
    }
}

impl UserFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// [`AccountFileError`] for the first line that is broken; no account of the file is then used.
    pub fn parse(text: &str) -> Result<Self, AccountFileError> {
        parse(text, USER_FORM, fields, |secret| {
            Ok(NtHash::from_password(&SecretString::from(secret)))
        })
        .map(Self)
    }

    /// The accounts, in the order of their lines.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        self.0.accounts()
    }
}

impl HashFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// [`AccountFileError`] for the first line that is broken; no account of the file is then used.
    pub fn parse(text: &str) -> Result<Self, AccountFileError> {
        parse(text, HASH_FORM, fields, |secret| {
            NtHash::parse_hex(secret).map_err(|_| AccountLineFault::NotAHash)
        })
        .map(Self)
    }

    /// The accounts, in the order of their lines.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        self.0.accounts()
    }
}

/// Domain, user and secret of a line.
type Fields<'a> = (&'a str, &'a str, &'a str);

/// `DOMAIN:USER:SECRET`; the secret is all the rest.
fn fields(line: &str) -> Option<Fields<'_>> {
    let mut fields = line.splitn(3, ':');
    Some((fields.next()?, fields.next()?, fields.next()?))
}

/// `USER:DOMAIN:LMHASH:NTHASH`, and what follows.
fn sam_fields(line: &str) -> Option<Fields<'_>> {
    let mut fields = line.split(':');
    let (user, domain, _) = (fields.next()?, fields.next()?, fields.next()?);
    Some((domain, user, fields.next()?))
}

fn parse(
    text: &str,
    form: &'static str,
    split: fn(&str) -> Option<Fields<'_>>,
    hash: impl Fn(&str) -> Result<NtHash, AccountLineFault>,
) -> Result<MemoryAccounts, AccountFileError> {
    let mut accounts = MemoryAccounts::new();
    let mut names = HashSet::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(line, split, &hash, &mut names) {
            Ok(account) => accounts.push(account),
            Err(fault) => {
                return Err(AccountFileError {
                    line: index.saturating_add(1),
                    fault,
                    form,
                });
            }
        }
    }
    Ok(accounts)
}

fn parse_line(
    line: &str,
    split: fn(&str) -> Option<Fields<'_>>,
    hash: &impl Fn(&str) -> Result<NtHash, AccountLineFault>,
    before: &mut HashSet<Vec<u16>>,
) -> Result<Account, AccountLineFault> {
    if line.chars().any(char::is_control) {
        return Err(AccountLineFault::ControlCharacter);
    }
    let (domain, user, secret) = split(line).ok_or(AccountLineFault::TooFewFields)?;
    if user.is_empty() {
        return Err(AccountLineFault::NoUser);
    }
    if secret.is_empty() {
        return Err(AccountLineFault::NoSecret);
    }
    if !before.insert(key_of(domain, user)) {
        return Err(AccountLineFault::Duplicate);
    }
    Ok(Account {
        domain: domain.to_owned(),
        user: user.to_owned(),
        nt_hash: hash(secret)?,
    })
}

/// Domain and user as Windows compares them; no field has a colon before the last one.
fn key_of(domain: &str, user: &str) -> Vec<u16> {
    simple_uppercase(domain)
        .chain([u16::from(b':')])
        .chain(simple_uppercase(user))
        .collect()
}

/// The first account, or the first that has the name asked for: `user`, `DOMAIN\user` or
/// `user@domain`.
fn default_of(accounts: &MemoryAccounts, principal: Option<&str>) -> Option<NtlmCredential> {
    let account = match principal {
        None => accounts.accounts().first()?,
        Some(name) => accounts.named(name)?,
    };
    Some(NtlmCredential::from_nt_hash(
        account.user.as_str(),
        account.domain.as_str(),
        account.nt_hash.duplicate(),
    ))
}

macro_rules! a_file_of_accounts {
    ($file:ident) => {
        impl NtlmAccounts for $file {
            fn find(&self, user: &str, domain: &str, domain_is_own: bool) -> Option<Account> {
                self.0.find(user, domain, domain_is_own)
            }
        }

        impl NtlmCredentialSource for $file {
            fn default_credential(&self, principal: Option<&str>) -> Option<NtlmCredential> {
                default_of(&self.0, principal)
            }
        }
    };
}

a_file_of_accounts!(UserFile);
a_file_of_accounts!(HashFile);
a_file_of_accounts!(SamFile);

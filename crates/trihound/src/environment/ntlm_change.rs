//! New passwords in the files of NTLM's accounts.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use trihound_ntlm::{Account, NtHash, NtlmAccounts, NtlmPasswordChange, VerifierFailure};
use trihound_secret::{SecretBytes, SecretString, constant_time_eq};

use super::files::{read_bounded, write_in_place_of};
use super::names::shown;
use super::ntlm::{Accounts, NtlmAccountFiles};

/// One change at a time in this process; another process that writes the same file at the same moment wins or
/// loses as a whole.
static WRITING: Mutex<()> = Mutex::new(());

/// What the third field of a line is.
#[derive(Clone, Copy)]
enum Secret {
    Password,
    Hash,
}

impl NtlmAccountFiles {
    /// Gives an account of the two files another password, if the caller knows the old one. The file is then
    /// readable by its owner alone.
    pub(super) fn change(&self, change: &NtlmPasswordChange) -> Result<(), VerifierFailure> {
        let unavailable = |reason: String| VerifierFailure::Unavailable { reason };
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = self
            .accounts()
            .map_err(|error| unavailable(error.to_string()))?;
        let (place, account) = self.place(&accounts, change);
        if !change.is_permitted(account.as_ref()) {
            return Err(VerifierFailure::LogonFailed);
        }
        let (Some((path, kind)), Some(account)) = (place, account) else {
            return Err(unavailable(
                "the account is in a file that is not written here".to_owned(),
            ));
        };
        // A line ends at a control character, and a password in it would end early.
        if change.new_password.expose().chars().any(char::is_control) {
            return Err(VerifierFailure::AccountRestricted {
                reason: "a file of accounts can hold no password with a control character"
                    .to_owned(),
            });
        }
        rewrite(path, kind, &account, change)
            .map_err(|error| unavailable(format!("{} cannot be written: {error}", shown(path))))
    }

    /// In which file the account is, and the account; both files are always asked.
    fn place(
        &self,
        accounts: &Accounts,
        change: &NtlmPasswordChange,
    ) -> (Option<(&Path, Secret)>, Option<Account>) {
        let (user, domain, own) = (&change.user, &change.domain, change.domain_is_own);
        let users = accounts.users.as_ref();
        let hashes = accounts.hashes.as_ref();
        let here = users.and_then(|file| file.find(user, domain, own));
        let there = hashes.and_then(|file| file.find(user, domain, own));
        match (here, there) {
            (Some(account), _) => (
                self.users_path().map(|path| (path, Secret::Password)),
                Some(account),
            ),
            (None, Some(account)) => (
                self.hashes_path().map(|path| (path, Secret::Hash)),
                Some(account),
            ),
            (None, None) => (None, accounts.find(user, domain, own)),
        }
    }
}

/// The same file with another third field in the account's line, and with every other byte as it was. A link to it
/// stays one.
fn rewrite(
    path: &Path,
    kind: Secret,
    account: &Account,
    change: &NtlmPasswordChange,
) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    let old = SecretBytes::from(read_bounded(&path)?);
    let head = format!("{}:{}:", account.domain, account.user);
    let mut is_found = false;
    let mut new = Vec::with_capacity(old.len().saturating_add(change.new_password.expose().len()));
    for (index, line) in old.expose().split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            new.push(b'\n');
        }
        let mark: &[u8] = if line.starts_with(b"\xef\xbb\xbf") {
            b"\xef\xbb\xbf"
        } else {
            b""
        };
        let bare = line.strip_prefix(mark).unwrap_or(line);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        let held = bare.strip_prefix(head.as_bytes());
        if !held.is_some_and(|held| is_of(account, kind, held)) {
            new.extend_from_slice(line);
            continue;
        }
        is_found = true;
        new.extend_from_slice(mark);
        new.extend_from_slice(head.as_bytes());
        match kind {
            Secret::Password => new.extend_from_slice(change.new_password.expose().as_bytes()),
            Secret::Hash => {
                for byte in NtHash::from_password(&change.new_password).expose() {
                    new.extend_from_slice(format!("{byte:02x}").as_bytes());
                }
            }
        }
        if line.ends_with(b"\r") {
            new.push(b'\r');
        }
    }
    let new = SecretBytes::from(new);
    // The old password was held against what was there a moment ago.
    if !is_found {
        return Err(std::io::Error::other(
            "it was changed by somebody else meanwhile; try again",
        ));
    }
    write_in_place_of(&path, new.expose())
}

/// Whether the third field is the secret that the account was found with.
fn is_of(account: &Account, kind: Secret, field: &[u8]) -> bool {
    let Ok(field) = core::str::from_utf8(field) else {
        return false;
    };
    let hash = match kind {
        Secret::Password => Some(NtHash::from_password(&SecretString::from(field))),
        Secret::Hash => NtHash::parse_hex(field).ok(),
    };
    hash.is_some_and(|hash| constant_time_eq(hash.expose(), account.nt_hash.expose()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn account(password: &str) -> Account {
        Account {
            domain: "DOM".to_owned(),
            user: "alice".to_owned(),
            nt_hash: NtHash::from_password(&SecretString::from(password)),
        }
    }

    fn change() -> NtlmPasswordChange {
        NtlmPasswordChange {
            user: "alice".to_owned(),
            domain: "DOM".to_owned(),
            domain_is_own: false,
            old_password: SecretString::from("old"),
            new_password: SecretString::from("new"),
        }
    }

    struct Place(std::path::PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("trihound-{name}-{}", std::process::id());
            let place = Self(std::env::temp_dir().join(name));
            fs::create_dir_all(&place.0).unwrap();
            place
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_change_that_changes_no_line_is_none() {
        let place = Place::new("ntlm-no-line");
        let path = place.0.join("users");
        // Gone, and another password than the one that was verified.
        for text in ["DOM:bob:old\n", "DOM:alice:newer\n", "DOM:alice:o"] {
            fs::write(&path, text).unwrap();
            let kind = Secret::Password;
            let error = rewrite(&path, kind, &account("old"), &change()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::Other, "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_changed() {
        let place = Place::new("ntlm-link");
        let (file, link) = (place.0.join("users"), place.0.join("link"));
        fs::write(&file, "DOM:bob:x\nDOM:alice:old\r\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        rewrite(&link, Secret::Password, &account("old"), &change()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "DOM:bob:x\nDOM:alice:new\r\n"
        );
    }
}

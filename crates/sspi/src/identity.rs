use trihound_secret::{SecretBytes, SecretString};

use crate::LogonInformation;

/// A name with its secret (`pAuthData` of AcquireCredentialsHandle).
#[derive(Debug)]
#[non_exhaustive]
pub enum Identity {
    /// `SEC_WINNT_AUTH_IDENTITY`: a user, their domain or realm, and a password.
    Password {
        /// The user: `alice`, or a user principal name `alice@example.com` without a domain.
        user: String,
        /// The domain or realm; `None` leaves it to the user's name and the configuration.
        domain: Option<String>,
        /// The password.
        password: SecretString,
    },
    /// A credential that a package packed, such as a delegated one; that package alone opens it.
    Packed(PackedCredential),
}

impl Identity {
    /// A user, their domain or realm, and a password.
    #[must_use]
    pub fn password(
        user: impl Into<String>,
        domain: Option<&str>,
        password: impl Into<SecretString>,
    ) -> Self {
        Self::Password {
            user: user.into(),
            domain: domain.map(str::to_owned),
            password: password.into(),
        }
    }
}

/// A credential in a form that only the package which packed it can open.
#[derive(Debug)]
pub struct PackedCredential {
    /// The package's name.
    pub package: String,
    /// Its contents.
    pub blob: SecretBytes,
}

impl PackedCredential {
    /// A second copy, which is wiped on its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            package: self.package.clone(),
            blob: self.blob.duplicate(),
        }
    }
}

/// How far a server may go in the client's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImpersonationLevel {
    /// The server learns nothing of the client.
    Anonymous,
    /// The server learns who the client is, and may not act as it.
    Identification,
    /// The server may act as the client on its own host; what holds when nothing is asked.
    #[default]
    Impersonation,
    /// The server may act as the client towards other servers too.
    Delegation,
}

/// What a server knows of the client of an established context (QuerySecurityContextToken).
#[derive(Debug)]
#[non_exhaustive]
pub struct AccessToken {
    /// The package that authenticated the client.
    pub package: String,
    /// The client's name as the package writes it: `alice@EXAMPLE.COM`.
    pub client_name: String,
    /// The client's domain or realm.
    pub domain: String,
    /// How far the server may go.
    pub level: ImpersonationLevel,
    /// Names of the client's groups, where an authority vouched for them.
    pub groups: Vec<String>,
    /// The client's security identifiers as text (`S-1-5-…`), its own first and then those of the
    /// groups that are switched on, where an authority vouched for them.
    pub sids: Vec<String>,
    /// What an authority says of the client's account; `None` where nobody vouched for anything but
    /// the name.
    pub logon: Option<Box<LogonInformation>>,
    /// The credential that the client delegated.
    pub delegated_credential: Option<PackedCredential>,
}

impl AccessToken {
    /// A token without groups, identifiers or delegated credential; those are set on the fields.
    #[must_use]
    pub fn new(
        package: impl Into<String>,
        client_name: impl Into<String>,
        domain: impl Into<String>,
        level: ImpersonationLevel,
    ) -> Self {
        Self {
            package: package.into(),
            client_name: client_name.into(),
            domain: domain.into(),
            level,
            groups: Vec::new(),
            sids: Vec::new(),
            logon: None,
            delegated_credential: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_an_identity_shows_no_secret() {
        let text = format!("{:?}", Identity::password("alice", Some("R"), "hunter2"));
        assert!(
            text.contains("alice") && !text.contains("hunter2"),
            "{text}"
        );
        let packed = Identity::Packed(PackedCredential {
            package: "Kerberos".into(),
            blob: SecretBytes::from(&b"hunter2"[..]),
        });
        assert!(!format!("{packed:?}").contains("hunter2"));
    }

    #[test]
    fn levels_are_ordered_by_what_they_allow() {
        assert!(ImpersonationLevel::Anonymous < ImpersonationLevel::Identification);
        assert!(ImpersonationLevel::Identification < ImpersonationLevel::default());
        assert!(ImpersonationLevel::default() < ImpersonationLevel::Delegation);
    }
}

use std::env;
use std::path::PathBuf;

use thiserror::Error;
use trihound_krb5::Config;

/// Why a name of a cache or keytab leads nowhere.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// The type in front of the colon is one that Trihound does not serve.
    #[error("{name}: a {what} of type {kind} is not there yet; use {advice}")]
    UnknownType {
        /// The whole name.
        name: String,
        /// Cache or keytab.
        what: &'static str,
        /// The type.
        kind: String,
        /// What works.
        advice: &'static str,
    },
    /// A `%{...}` that has no meaning here.
    #[error("{name}: %{{{token}}} is not known here; write the path out")]
    UnknownToken {
        /// The whole name.
        name: String,
        /// What stands between the braces.
        token: String,
    },
    /// The default cache lies in a directory that everybody writes to, and is somebody else's.
    #[error(
        "{path} belongs to user {owner}, who may have put tickets there for you to use; remove it, \
         or name a cache of yours with KRB5CCNAME"
    )]
    NotOurs {
        /// The file.
        path: String,
        /// Its owner's number.
        owner: u32,
    },
    /// There is no path behind the type.
    #[error("{name:?} names no file")]
    Empty {
        /// The whole name.
        name: String,
    },
}

/// A credential cache, as KRB5CCNAME and `-c` name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CacheName {
    /// `FILE:path`, or a path alone.
    File(PathBuf),
    /// `MEMORY:name`: it lives as long as the process.
    Memory(String),
}

impl CacheName {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] for a type that is not served (KCM, KEYRING, DIR, API) or an empty path.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match split_type(name) {
            (None | Some("FILE"), path) => Ok(Self::File(file(name, path)?)),
            (Some("MEMORY"), rest) => Ok(Self::Memory(rest.to_owned())),
            (Some(kind), _) => Err(NameError::UnknownType {
                name: name.to_owned(),
                what: "credential cache",
                kind: kind.to_owned(),
                advice: "FILE:/path or MEMORY:name (KRB5CCNAME)",
            }),
        }
    }

    /// KRB5CCNAME, then `default_ccache_name` of krb5.conf, then `FILE:/tmp/krb5cc_UID`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::parse`]; [`NameError::NotOurs`] when nobody named the cache and somebody else
    /// has put a file in the default place.
    pub fn from_environment(config: &Config) -> Result<Self, NameError> {
        match (env::var("KRB5CCNAME"), &config.default_ccache_name) {
            (Ok(name), _) if !name.is_empty() => Self::parse(&name),
            (_, Some(name)) => Self::parse(&expand(name)?),
            _ => {
                let name = Self::parse(&expand("FILE:%{TEMP}/krb5cc_%{uid}")?)?;
                #[cfg(unix)]
                if let Self::File(path) = &name {
                    check_owner(path, rustix::process::geteuid().as_raw())?;
                }
                Ok(name)
            }
        }
    }
}

/// Whoever writes first to a directory such as /tmp owns the name there: a cache of another user's
/// making would have this one work under that user's tickets.
#[cfg(unix)]
fn check_owner(path: &std::path::Path, own: u32) -> Result<(), NameError> {
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    let owner = std::os::unix::fs::MetadataExt::uid(&metadata);
    // Root can read and write whatever it likes anyway.
    if owner != own && owner != 0 {
        return Err(NameError::NotOurs {
            path: path.display().to_string(),
            owner,
        });
    }
    Ok(())
}

impl std::fmt::Display for CacheName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "FILE:{}", path.display()),
            Self::Memory(name) => write!(f, "MEMORY:{name}"),
        }
    }
}

/// The keytab file that a name such as `FILE:/etc/krb5.keytab` means.
///
/// # Errors
///
/// [`NameError`] for another type or an empty path.
pub fn keytab_path(name: &str) -> Result<PathBuf, NameError> {
    match split_type(name) {
        (None | Some("FILE" | "WRFILE"), path) => file(name, path),
        (Some(kind), _) => Err(NameError::UnknownType {
            name: name.to_owned(),
            what: "keytab",
            kind: kind.to_owned(),
            advice: "FILE:/path (KRB5_KTNAME)",
        }),
    }
}

/// KRB5_KTNAME, then `default_keytab_name` of krb5.conf, then `/etc/krb5.keytab`.
///
/// # Errors
///
/// Those of [`keytab_path`].
pub fn default_keytab_path(config: &Config) -> Result<PathBuf, NameError> {
    from_setting(
        "KRB5_KTNAME",
        config.default_keytab_name.as_deref(),
        "/etc/krb5.keytab",
    )
}

/// KRB5_CLIENT_KTNAME, then `default_client_keytab_name` of krb5.conf, then MIT's place.
///
/// # Errors
///
/// Those of [`keytab_path`].
pub fn default_client_keytab_path(config: &Config) -> Result<PathBuf, NameError> {
    from_setting(
        "KRB5_CLIENT_KTNAME",
        config.default_client_keytab_name.as_deref(),
        "/var/lib/krb5/user/%{euid}/client.keytab",
    )
}

fn from_setting(
    variable: &str,
    relation: Option<&str>,
    default: &str,
) -> Result<PathBuf, NameError> {
    match env::var(variable) {
        Ok(name) if !name.is_empty() => keytab_path(&name),
        _ => keytab_path(&expand(relation.unwrap_or(default))?),
    }
}

fn file(name: &str, path: &str) -> Result<PathBuf, NameError> {
    if path.is_empty() {
        return Err(NameError::Empty {
            name: name.to_owned(),
        });
    }
    Ok(PathBuf::from(path))
}

/// The type in front of the colon, and the rest; a single letter is a Windows drive.
fn split_type(name: &str) -> (Option<&str>, &str) {
    match name.split_once(':') {
        Some((kind, rest))
            if kind.len() > 1 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            (Some(kind), rest)
        }
        _ => (None, name),
    }
}

/// Puts values in the place of MIT's `%{...}` tokens (krb5.conf(5), PARAMETER EXPANSION).
fn expand(name: &str) -> Result<String, NameError> {
    let mut expanded = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("%{") {
        let Some((token, behind)) = after.split_once('}') else {
            break;
        };
        expanded.push_str(before);
        expanded.push_str(&token_value(token).ok_or_else(|| NameError::UnknownToken {
            name: name.to_owned(),
            token: token.to_owned(),
        })?);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn token_value(token: &str) -> Option<String> {
    match token {
        "TEMP" => {
            let directory = env::temp_dir();
            Some(directory.to_str()?.trim_end_matches('/').to_owned())
        }
        "null" => Some(String::new()),
        #[cfg(unix)]
        "uid" | "USERID" => Some(rustix::process::getuid().as_raw().to_string()),
        #[cfg(unix)]
        "euid" => Some(rustix::process::geteuid().as_raw().to_string()),
        #[cfg(not(unix))]
        "uid" | "euid" | "USERID" => user_name(),
        "username" => user_name(),
        _ => None,
    }
}

/// The name of the user whom the process runs for, as the environment has it.
#[must_use]
pub fn user_name() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|variable| env::var(variable).ok())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_type() {
        for (name, file) in [
            ("/a/b", "/a/b"),
            ("FILE:/a/b", "/a/b"),
            ("C:\\cc", "C:\\cc"),
            ("cc", "cc"),
        ] {
            assert_eq!(
                CacheName::parse(name),
                Ok(CacheName::File(file.into())),
                "{name}"
            );
        }
        assert_eq!(
            CacheName::parse("MEMORY:x"),
            Ok(CacheName::Memory("x".into()))
        );
        assert_eq!(keytab_path("WRFILE:/k"), Ok("/k".into()));
    }

    #[test]
    fn what_is_not_served_says_what_is() {
        for name in ["KCM:", "KEYRING:persistent:0", "DIR:/tmp", "API:x"] {
            assert!(
                matches!(CacheName::parse(name), Err(NameError::UnknownType { .. })),
                "{name}"
            );
        }
        assert!(matches!(
            keytab_path("SRVTAB:/x"),
            Err(NameError::UnknownType { .. })
        ));
        assert!(matches!(
            CacheName::parse("FILE:"),
            Err(NameError::Empty { .. })
        ));
        assert!(matches!(CacheName::parse(""), Err(NameError::Empty { .. })));
    }

    #[test]
    fn tokens_are_expanded_or_refused() {
        assert_eq!(expand("a%{null}b"), Ok("ab".into()));
        assert_eq!(expand("no token % {"), Ok("no token % {".into()));
        assert!(matches!(
            expand("%{nonsense}"),
            Err(NameError::UnknownToken { .. })
        ));
        #[cfg(unix)]
        assert!(expand("%{uid}").unwrap().parse::<u32>().is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_default_cache_of_somebody_else_is_refused() {
        use std::os::unix::fs::MetadataExt;

        let path = env::temp_dir().join(format!("trihound-owner-{}", std::process::id()));
        assert_eq!(check_owner(&path, 1), Ok(()), "there is no file yet");
        std::fs::write(&path, b"x").unwrap();
        let owner = std::fs::metadata(&path).unwrap().uid();
        assert_eq!(check_owner(&path, owner), Ok(()));
        let other = check_owner(&path, owner.wrapping_add(1));
        // A file of root's is taken from anybody.
        let refused = NameError::NotOurs {
            path: path.display().to_string(),
            owner,
        };
        assert_eq!(other, if owner == 0 { Ok(()) } else { Err(refused) });
        if owner == 0 {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(matches!(
                check_owner(&path, 0),
                Err(NameError::NotOurs { owner: 65_534, .. })
            ));
        }
        std::fs::remove_file(&path).unwrap();
    }
}

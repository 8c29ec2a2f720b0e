use std::path::{Path, PathBuf};

use thiserror::Error;
use trihound_krb5::Config;

use super::values::{expand, variable};

/// MIT's library has the directory fixed: with `%{TEMP}` a TMPDIR would part its tickets from ours.
#[cfg(unix)]
const DEFAULT_CACHE: &str = "FILE:/tmp/krb5cc_%{uid}";
#[cfg(not(unix))]
const DEFAULT_CACHE: &str = "FILE:%{TEMP}/krb5cc_%{uid}";

/// Where the distributions' libraries look: Debian's, Fedora's, and that of a build with /var/lib.
const CLIENT_KEYTABS: [&str; 3] = [
    "/etc/krb5/user/%{euid}/client.keytab",
    "/var/kerberos/krb5/user/%{euid}/client.keytab",
    "/var/lib/krb5/user/%{euid}/client.keytab",
];

/// Why a name of a cache or keytab leads nowhere.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// The type in front of the colon is one that Trihound does not serve.
    #[error("{name}: a {what} of type {kind} cannot be used here; use {advice}")]
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
    /// A `%{` without its `}`.
    #[error("{name}: `%{{` is not closed with `}}`")]
    OpenToken {
        /// The whole name.
        name: String,
    },
    /// A cache in a directory is not named as those are.
    #[error(
        "{name}: a cache in a directory is DIR::directory/tktNAME; for the directory as a whole \
         write DIR:directory"
    )]
    Subsidiary {
        /// The whole name.
        name: String,
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

/// A credential cache, as KRB5CCNAME and `-c` name it. Its text form is MIT's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CacheName {
    /// `FILE:path`, or a path alone.
    File(PathBuf),
    /// `MEMORY:name`: it lives as long as the process.
    Memory(String),
    /// `DIR:directory`, a directory of caches, or one of them.
    Dir(DirName),
    /// `KCM:name`: the cache of that name that the KCM daemon holds; its default one when empty.
    Kcm(String),
    /// `KEYRING:...`: a cache or a collection in the keyrings of the Linux kernel, such as
    /// `persistent:0`, `session:name` or `persistent:0:krb_ccache_x`; what follows the type, as is.
    Keyring(String),
}

/// A directory of credential caches, or one cache in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirName {
    /// The directory.
    pub directory: PathBuf,
    /// The file name of one cache (`DIR::directory/tktX`); the directory's primary one when `None`
    /// (`DIR:directory`).
    pub subsidiary: Option<String>,
}

impl DirName {
    /// Reads what follows `DIR:`.
    fn parse(name: &str, residual: &str) -> Result<Self, NameError> {
        let Some(path) = residual.strip_prefix(':') else {
            return Ok(Self {
                directory: file(name, residual)?,
                subsidiary: None,
            });
        };
        let bad = || NameError::Subsidiary {
            name: name.to_owned(),
        };
        let path = Path::new(path);
        let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
        let subsidiary = path.file_name().and_then(|name| name.to_str());
        // As MIT: what is not named so is not listed as a part of the collection either.
        let subsidiary = subsidiary.filter(|name| name.starts_with("tkt"));
        Ok(Self {
            directory: directory.ok_or_else(bad)?.to_owned(),
            subsidiary: Some(subsidiary.ok_or_else(bad)?.to_owned()),
        })
    }
}

impl CacheName {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] for a type that is not served (API, MSLSA) or an empty or malformed path.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match split_type(name) {
            (None | Some("FILE"), path) => Ok(Self::File(file(name, path)?)),
            (Some("MEMORY"), rest) => Ok(Self::Memory(rest.to_owned())),
            (Some("DIR"), rest) => Ok(Self::Dir(DirName::parse(name, rest)?)),
            (Some("KCM"), rest) => Ok(Self::Kcm(rest.to_owned())),
            (Some("KEYRING"), rest) => Ok(Self::Keyring(rest.to_owned())),
            (Some(kind), _) => Err(NameError::UnknownType {
                name: name.to_owned(),
                what: "credential cache",
                kind: kind.to_owned(),
                advice: match kind {
                    "API" => {
                        "FILE:/path and put tickets there with `kinit -c FILE:/path` (macOS keeps \
                         its own in a store that only its own library reads)"
                    }
                    "MSLSA" => {
                        "FILE:C:\\path and put tickets there with `kinit -c` (Windows gives the \
                         tickets of its logon session to SSPI only)"
                    }
                    _ => "FILE:, DIR:, KCM:, KEYRING: or MEMORY: (KRB5CCNAME, default_ccache_name)",
                },
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
        match variable("KRB5CCNAME") {
            Some(name) => Self::parse(&name),
            _ => {
                let name = Self::by_default(config)?;
                #[cfg(unix)]
                if let Self::File(path) = &name {
                    check_owner(path, rustix::process::geteuid().as_raw())?;
                }
                Ok(name)
            }
        }
    }
}

impl CacheName {
    /// The name where nobody has chosen one: `default_ccache_name` of krb5.conf, else MIT's place.
    pub(crate) fn by_default(config: &Config) -> Result<Self, NameError> {
        let name = config.default_ccache_name.as_deref();
        Self::parse(&expand(name.unwrap_or(DEFAULT_CACHE))?)
    }
}

/// Whoever writes first to a directory such as /tmp owns the name there: a cache of another user's
/// making would have this one work under that user's tickets.
#[cfg(unix)]
fn check_owner(path: &Path, own: u32) -> Result<(), NameError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    let owner = std::os::unix::fs::MetadataExt::uid(&metadata);
    // The link's own owner where it is one; the file that it leads to is looked at when it is opened.
    // Root can read and write whatever it likes anyway.
    if owner != own && owner != 0 {
        return Err(NameError::NotOurs {
            path: shown(path),
            owner,
        });
    }
    Ok(())
}

/// Writes a name for people: what would steer a terminal or turn the text is escaped.
struct Shown<'a, W>(&'a mut W);

impl<W: std::fmt::Write> std::fmt::Write for Shown<'_, W> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for letter in text.chars() {
            if trihound_asn1::is_treacherous(letter) {
                write!(self.0, "{}", letter.escape_unicode())?;
            } else {
                self.0.write_char(letter)?;
            }
        }
        Ok(())
    }
}

/// A path for people, with the same escapes.
pub(super) fn shown(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write!(Shown(&mut text), "{}", path.display());
    text
}

/// MIT's text form, which [`CacheName::parse`] reads; but control characters, and those that turn the
/// writing direction, are shown as `\u{1b}`.
impl std::fmt::Display for CacheName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write as _;
        let f = &mut Shown(f);
        match self {
            Self::File(path) => write!(f, "FILE:{}", path.display()),
            Self::Memory(name) => write!(f, "MEMORY:{name}"),
            Self::Dir(DirName {
                directory,
                subsidiary: None,
            }) => write!(f, "DIR:{}", directory.display()),
            Self::Dir(DirName {
                directory,
                subsidiary: Some(file),
            }) => write!(f, "DIR::{}", directory.join(file).display()),
            Self::Kcm(residual) => write!(f, "KCM:{residual}"),
            Self::Keyring(residual) => write!(f, "KEYRING:{residual}"),
        }
    }
}

/// A keytab, as KRB5_KTNAME and `-t` name it. Its text form is MIT's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeytabName {
    /// `FILE:path`, `WRFILE:path`, or a path alone.
    File(PathBuf),
    /// `MEMORY:name`: it lives as long as the process.
    Memory(String),
}

impl KeytabName {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] for a type that is not served (SRVTAB, KDB) or an empty path.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match split_type(name) {
            (None | Some("FILE" | "WRFILE"), path) => Ok(Self::File(file(name, path)?)),
            (Some("MEMORY"), rest) => Ok(Self::Memory(rest.to_owned())),
            (Some(kind), _) => Err(NameError::UnknownType {
                name: name.to_owned(),
                what: "keytab",
                kind: kind.to_owned(),
                advice: "FILE:/path or MEMORY:name (KRB5_KTNAME, default_keytab_name)",
            }),
        }
    }

    /// KRB5_KTNAME, then `default_keytab_name` of krb5.conf, then `/etc/krb5.keytab`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::parse`], and [`NameError::UnknownToken`].
    pub fn from_environment(config: &Config) -> Result<Self, NameError> {
        from_setting(
            "KRB5_KTNAME",
            config.default_keytab_name.as_deref(),
            "/etc/krb5.keytab",
        )
    }

    /// KRB5_CLIENT_KTNAME, then `default_client_keytab_name` of krb5.conf, then the place where MIT's
    /// library of this distribution has it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::parse`], and [`NameError::UnknownToken`].
    pub fn client_from_environment(config: &Config) -> Result<Self, NameError> {
        from_setting(
            "KRB5_CLIENT_KTNAME",
            config.default_client_keytab_name.as_deref(),
            client_keytab_place(),
        )
    }

    fn into_path(self) -> Result<PathBuf, NameError> {
        match self {
            Self::File(path) => Ok(path),
            Self::Memory(_) => Err(NameError::UnknownType {
                name: self.to_string(),
                what: "keytab file",
                kind: "MEMORY".to_owned(),
                advice: "FILE:/path",
            }),
        }
    }
}

impl From<PathBuf> for KeytabName {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// MIT's text form, which [`KeytabName::parse`] reads, with the escapes that [`CacheName`] has.
impl std::fmt::Display for KeytabName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write as _;
        let f = &mut Shown(f);
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
    KeytabName::parse(name)?.into_path()
}

/// KRB5_KTNAME, then `default_keytab_name` of krb5.conf, then `/etc/krb5.keytab`.
///
/// # Errors
///
/// Those of [`keytab_path`].
pub fn default_keytab_path(config: &Config) -> Result<PathBuf, NameError> {
    KeytabName::from_environment(config)?.into_path()
}

/// As [`KeytabName::client_from_environment`], if it is a file.
///
/// # Errors
///
/// Those of [`keytab_path`].
pub fn default_client_keytab_path(config: &Config) -> Result<PathBuf, NameError> {
    KeytabName::client_from_environment(config)?.into_path()
}

/// The first of [`CLIENT_KEYTABS`] that is there, else the first.
fn client_keytab_place() -> &'static str {
    let is_there = |name: &&str| expand(name).is_ok_and(|path| Path::new(&path).exists());
    let [first, ..] = CLIENT_KEYTABS;
    CLIENT_KEYTABS.into_iter().find(is_there).unwrap_or(first)
}

fn from_setting(
    named: &str,
    relation: Option<&str>,
    default: &str,
) -> Result<KeytabName, NameError> {
    match variable(named) {
        Some(name) => KeytabName::parse(&name),
        _ => KeytabName::parse(&expand(relation.unwrap_or(default))?),
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
    fn names_of_every_type_come_back_as_they_were() {
        for name in [
            "FILE:/a/b",
            "MEMORY:x",
            "DIR:/run/user/0/krb5cc",
            "DIR::/run/user/0/krb5cc/tktAbc",
            "KCM:",
            "KCM:0:12345",
            "KEYRING:persistent:0",
            "KEYRING:session:name",
            "KEYRING:persistent:0:krb_ccache_x",
            "KEYRING:old",
        ] {
            assert_eq!(CacheName::parse(name).unwrap().to_string(), name);
        }
        assert_eq!(
            CacheName::parse("DIR::/d/tktA"),
            Ok(CacheName::Dir(DirName {
                directory: "/d".into(),
                subsidiary: Some("tktA".into())
            }))
        );
        for name in ["FILE:/k", "MEMORY:k"] {
            assert_eq!(KeytabName::parse(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn names_and_paths_steer_no_terminal() {
        let treacherous = "/k\u{1b}[2J\u{202e}";
        let shown_as = "/k\\u{1b}[2J\\u{202e}";
        assert_eq!(shown(Path::new(treacherous)), shown_as);
        for kind in ["FILE", "MEMORY"] {
            let (name, text) = (
                format!("{kind}:{treacherous}"),
                format!("{kind}:{shown_as}"),
            );
            assert_eq!(KeytabName::parse(&name).unwrap().to_string(), text);
            assert_eq!(CacheName::parse(&name).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_served_says_what_is() {
        for name in ["API:x", "MSLSA:", "XYZ:a"] {
            assert!(
                matches!(CacheName::parse(name), Err(NameError::UnknownType { .. })),
                "{name}"
            );
        }
        for name in ["DIR::tktx", "DIR::/tmp/x", "DIR::/", "DIR::"] {
            assert!(
                matches!(CacheName::parse(name), Err(NameError::Subsidiary { .. })),
                "{name}"
            );
        }
        assert!(matches!(
            CacheName::parse("DIR:"),
            Err(NameError::Empty { .. })
        ));
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
        assert!(matches!(
            expand("FILE:/tmp/%{uid"),
            Err(NameError::OpenToken { .. })
        ));
        #[cfg(unix)]
        {
            for number in ["%{uid}", "%{euid}", "%{USERID}"] {
                assert!(expand(number).unwrap().parse::<u32>().is_ok(), "{number}");
            }
            for (token, directory) in [("LIBDIR", "lib"), ("BINDIR", "bin"), ("SBINDIR", "sbin")] {
                let expected = format!("/usr/{directory}/x");
                assert_eq!(expand(&format!("%{{{token}}}/x")), Ok(expected));
            }
            assert!(expand("%{TEMP}").unwrap().starts_with('/'));
            let user = std::process::Command::new("id")
                .arg("-un")
                .output()
                .unwrap();
            let user = String::from_utf8(user.stdout).unwrap();
            assert_eq!(expand("%{username}").unwrap(), user.trim());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_default_cache_of_somebody_else_is_refused() {
        use std::os::unix::fs::MetadataExt;

        let path = std::env::temp_dir().join(format!("trihound-owner-{}", std::process::id()));
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

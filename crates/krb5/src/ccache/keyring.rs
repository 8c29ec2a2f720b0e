//! Credential caches in the keyrings of the Linux kernel: names and payloads, as MIT has them.
//!
//! A residual (what follows `KEYRING:`) is `anchor:collection:subsidiary`, `anchor:collection`, or a
//! collection alone. The anchor is a keyring of the process, thread, session or user; in it is the
//! keyring of the collection, in that one keyring for each cache and a key that names the primary
//! one. A cache's keyring has a key for its client, one for the KDC's time offset, and one for each
//! ticket or setting, with the contents of version 4 of the FILE format (MIT source,
//! `src/lib/krb5/ccache/cc_keyring.c`, tells the layout; MIT doc basic/ccache_def the names).

use core::fmt;

use thiserror::Error;
use trihound_sansio::Timestamp;

use super::ConfigEntry;
use crate::name::Principal;
use crate::reader::{Order, Reader};

/// The key, in a collection, that names the primary cache.
pub const PRIMARY_KEY: &str = "krb_ccache:primary";
/// The key, in a cache, that holds its client.
pub const PRINCIPAL_KEY: &str = "__krb5_princ__";
/// The key, in a cache, that holds how far the KDC's clock is ahead.
pub const TIME_OFFSETS_KEY: &str = "__krb5_time_offsets__";
/// What the names of caches begin with that a program makes up.
pub const UNIQUE_PREFIX: &str = "krb_ccache_";

/// The longest description of a key that the kernel takes, in bytes, its closing zero included.
pub const MAX_DESCRIPTION: usize = 4096;

const COLLECTION_PREFIX: &str = "_krb_";
const PERSISTENT_COLLECTION: &str = "_krb";
const COLLECTION_VERSION: u32 = 1;
/// The primary cache of a collection without a name.
const NAMELESS_PRIMARY: &str = "tkt";

/// Why a name or a payload of a keyring cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyringError {
    /// The part in front of the first colon is no anchor.
    #[error(
        "KEYRING:{residual}: {anchor:?} is no keyring; use process, thread, session, user or \
         persistent"
    )]
    UnknownAnchor {
        /// The whole residual.
        residual: String,
        /// What stands where an anchor should be.
        anchor: String,
    },
    /// A persistent keyring is a user's, by number.
    #[error("KEYRING:{residual}: {uid:?} is no user's number, which a persistent keyring needs")]
    BadUid {
        /// The whole residual.
        residual: String,
        /// What stands where the number should be.
        uid: String,
    },
    /// A key cannot be called so.
    #[error(
        "KEYRING:{residual}: a key cannot have that name; it is empty, has a zero in it, or is \
         longer than the kernel takes"
    )]
    BadName {
        /// The whole residual.
        residual: String,
    },
    /// The key that names the primary cache is cut short, or its name is not UTF-8 or empty.
    #[error("the key {PRIMARY_KEY} of the collection is damaged; `kswitch` sets it anew")]
    BadPrimary,
    /// The key that names the primary cache is of a format that nobody knows yet.
    #[error(
        "the key {PRIMARY_KEY} of the collection is of version {found}, and 1 is what is known"
    )]
    UnknownVersion {
        /// The version.
        found: u32,
    },
    /// The key with the time offset is shorter than eight bytes.
    #[error("the key {TIME_OFFSETS_KEY} of the cache has {length} bytes instead of 8")]
    BadTimeOffset {
        /// Its length.
        length: usize,
    },
}

/// Which of the kernel's keyrings a collection hangs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// The process's own: gone when it ends.
    Process,
    /// The thread's own.
    Thread,
    /// The login session's.
    Session,
    /// The user's, in all sessions, gone with the last of the user's processes.
    User,
    /// The user's, kept for some days after the last use.
    Persistent,
    /// The session's, where programs before collections look too.
    Legacy,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "process",
            Self::Thread => "thread",
            Self::Session => "session",
            Self::User => "user",
            Self::Persistent => "persistent",
            Self::Legacy => "legacy",
        })
    }
}

/// A collection of caches, and maybe one cache in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyringName {
    anchor: Anchor,
    collection: String,
    subsidiary: Option<String>,
}

impl KeyringName {
    /// Reads a residual.
    ///
    /// # Errors
    ///
    /// [`KeyringError::UnknownAnchor`], [`KeyringError::BadUid`], [`KeyringError::BadName`].
    pub fn parse(residual: &str) -> Result<Self, KeyringError> {
        let (anchor, rest) = match residual.split_once(':') {
            None => (Anchor::Legacy, residual),
            Some((anchor, rest)) => (parse_anchor(residual, anchor)?, rest),
        };
        let (collection, subsidiary) = match rest.split_once(':') {
            None => (rest, None),
            Some((collection, subsidiary)) => (collection, Some(subsidiary)),
        };
        let name = Self {
            anchor,
            collection: collection.to_owned(),
            subsidiary: subsidiary.map(str::to_owned),
        };
        let key_name =
            |name: &str| !name.is_empty() && !name.contains('\0') && name.len() < MAX_DESCRIPTION;
        if !key_name(&name.collection_key()) || !name.subsidiary().is_none_or(key_name) {
            return Err(KeyringError::BadName {
                residual: residual.to_owned(),
            });
        }
        if anchor == Anchor::Persistent && !collection.is_empty() && name.uid().is_none() {
            return Err(KeyringError::BadUid {
                residual: residual.to_owned(),
                uid: collection.to_owned(),
            });
        }
        Ok(name)
    }

    /// The keyring that the collection hangs in.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// The cache's name in the collection; `None` stands for the primary one.
    #[must_use]
    pub fn subsidiary(&self) -> Option<&str> {
        self.subsidiary.as_deref()
    }

    /// The user whose persistent keyring it is; `None` stands for the caller.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        let digits = self.collection.bytes().all(|byte| byte.is_ascii_digit());
        self.collection.parse().ok().filter(|_| digits)
    }

    /// What the keyring of the collection is called.
    #[must_use]
    pub fn collection_key(&self) -> String {
        match self.anchor {
            Anchor::Persistent => PERSISTENT_COLLECTION.to_owned(),
            _ => format!("{COLLECTION_PREFIX}{}", self.collection),
        }
    }

    /// The primary cache of a collection that has not named one yet.
    #[must_use]
    pub fn first_primary(&self) -> &str {
        if self.collection.is_empty() {
            NAMELESS_PRIMARY
        } else {
            &self.collection
        }
    }

    /// The same collection, with one cache in it named.
    #[must_use]
    pub fn with_subsidiary(&self, subsidiary: &str) -> Self {
        Self {
            subsidiary: Some(subsidiary.to_owned()),
            ..self.clone()
        }
    }

    /// Whether programs before collections may look at this cache: the one of the session that is
    /// called as its collection. It has no key that they could not read.
    #[must_use]
    pub fn is_legacy_cache(&self) -> bool {
        self.anchor == Anchor::Legacy && self.subsidiary.as_deref() == Some(&self.collection)
    }
}

impl fmt::Display for KeyringName {
    /// The residual; a collection without an anchor shows the one that it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.anchor, self.collection)?;
        match &self.subsidiary {
            Some(subsidiary) => write!(f, ":{subsidiary}"),
            None => Ok(()),
        }
    }
}

fn parse_anchor(residual: &str, anchor: &str) -> Result<Anchor, KeyringError> {
    Ok(match anchor {
        "process" => Anchor::Process,
        "thread" => Anchor::Thread,
        "session" => Anchor::Session,
        "user" => Anchor::User,
        "persistent" => Anchor::Persistent,
        "legacy" => Anchor::Legacy,
        _ => {
            return Err(KeyringError::UnknownAnchor {
                residual: residual.to_owned(),
                anchor: anchor.to_owned(),
            });
        }
    })
}

/// The payload of [`PRIMARY_KEY`].
#[must_use]
pub fn marshal_primary(subsidiary: &str) -> Vec<u8> {
    let mut payload = COLLECTION_VERSION.to_be_bytes().to_vec();
    // A key's name is far shorter.
    let length = u32::try_from(subsidiary.len()).unwrap_or(u32::MAX);
    payload.extend_from_slice(&length.to_be_bytes());
    payload.extend_from_slice(subsidiary.as_bytes());
    payload
}

/// Reads the payload of [`PRIMARY_KEY`]: the name of the primary cache.
///
/// # Errors
///
/// [`KeyringError::BadPrimary`], [`KeyringError::UnknownVersion`].
pub fn unmarshal_primary(payload: &[u8]) -> Result<String, KeyringError> {
    let mut reader = Reader::new(payload, Order::Big);
    let version = reader.u32().map_err(|_| KeyringError::BadPrimary)?;
    if version != COLLECTION_VERSION {
        return Err(KeyringError::UnknownVersion { found: version });
    }
    let name = reader.counted32().map_err(|_| KeyringError::BadPrimary)?;
    match core::str::from_utf8(name) {
        Ok(name) if !name.is_empty() && !name.contains('\0') => Ok(name.to_owned()),
        _ => Err(KeyringError::BadPrimary),
    }
}

/// The payload of [`TIME_OFFSETS_KEY`]: seconds and microseconds, which are never negative.
#[must_use]
pub fn marshal_time_offset(microseconds: i64) -> [u8; 8] {
    let seconds = microseconds
        .div_euclid(1_000_000)
        .clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    let seconds = i32::try_from(seconds).unwrap_or_default().to_be_bytes();
    let rest = i32::try_from(microseconds.rem_euclid(1_000_000)).unwrap_or_default();
    let mut payload = [0; 8];
    let (head, tail) = payload.split_at_mut(4);
    head.copy_from_slice(&seconds);
    tail.copy_from_slice(&rest.to_be_bytes());
    payload
}

/// Reads the payload of [`TIME_OFFSETS_KEY`], in microseconds.
///
/// # Errors
///
/// [`KeyringError::BadTimeOffset`].
pub fn unmarshal_time_offset(payload: &[u8]) -> Result<i64, KeyringError> {
    let short = |_| KeyringError::BadTimeOffset {
        length: payload.len(),
    };
    let mut reader = Reader::new(payload, Order::Big);
    let seconds = i64::from(reader.i32().map_err(short)?);
    let microseconds = i64::from(reader.i32().map_err(short)?);
    Ok(seconds
        .saturating_mul(1_000_000)
        .saturating_add(microseconds))
}

/// What the key of a ticket is called: its service, in text. A ticket takes the place of another of
/// that name.
#[must_use]
pub fn ticket_key(server: &Principal) -> String {
    server.to_string()
}

/// What the key of a setting is called.
#[must_use]
pub fn config_key(entry: &ConfigEntry) -> String {
    entry.server.to_string()
}

/// For how many seconds a key is kept whose content ends at `endtime`. For one that has ended it is
/// a second: zero would keep it for ever.
#[must_use]
pub fn timeout(endtime: Timestamp, now: Timestamp) -> u32 {
    let left = endtime.seconds().saturating_sub(now.seconds()).max(1);
    u32::try_from(left).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_forms() {
        for (residual, anchor, key, primary, shown) in [
            (
                "persistent:0",
                Anchor::Persistent,
                "_krb",
                "0",
                "persistent:0",
            ),
            (
                "persistent:",
                Anchor::Persistent,
                "_krb",
                "tkt",
                "persistent:",
            ),
            ("session:x", Anchor::Session, "_krb_x", "x", "session:x"),
            ("user:", Anchor::User, "_krb_", "tkt", "user:"),
            ("process:p", Anchor::Process, "_krb_p", "p", "process:p"),
            ("thread:t", Anchor::Thread, "_krb_t", "t", "thread:t"),
            ("old", Anchor::Legacy, "_krb_old", "old", "legacy:old"),
        ] {
            let name = KeyringName::parse(residual).unwrap();
            assert_eq!(name.anchor(), anchor);
            assert_eq!(name.collection_key(), key);
            assert_eq!(name.first_primary(), primary);
            assert_eq!(name.to_string(), shown);
            assert_eq!(name.subsidiary(), None);
            let one = name.with_subsidiary("krb_ccache_x");
            assert_eq!(KeyringName::parse(&one.to_string()), Ok(one));
        }
        let cache = KeyringName::parse("persistent:1000:krb_ccache_Ab1").unwrap();
        assert_eq!(cache.uid(), Some(1000));
        assert_eq!(cache.subsidiary(), Some("krb_ccache_Ab1"));
        assert!(KeyringName::parse("legacy:a:a").unwrap().is_legacy_cache());
        assert!(!KeyringName::parse("legacy:a:b").unwrap().is_legacy_cache());
        assert!(!KeyringName::parse("session:a:a").unwrap().is_legacy_cache());
    }

    #[test]
    fn names_that_lead_nowhere() {
        let anchor = KeyringName::parse("sesion:x").unwrap_err();
        assert!(
            matches!(&anchor, KeyringError::UnknownAnchor { anchor, .. } if anchor == "sesion"),
            "{anchor}"
        );
        for uid in [
            "persistent:me",
            "persistent:-1",
            "persistent:+1",
            "persistent:4294967296",
        ] {
            let error = KeyringName::parse(uid).unwrap_err();
            assert!(matches!(error, KeyringError::BadUid { .. }), "{error}");
        }
        let long = format!("session:{}", "x".repeat(MAX_DESCRIPTION));
        for name in ["session:a\0b", "session:a:", "session:a:b\0", &long] {
            let error = KeyringName::parse(name).unwrap_err();
            assert!(matches!(error, KeyringError::BadName { .. }), "{error}");
        }
    }

    #[test]
    fn the_primary_key_as_mit_writes_it() {
        let payload = b"\0\0\0\x01\0\0\0\x12krb_ccache_33O3jPf";
        assert_eq!(marshal_primary("krb_ccache_33O3jPf"), payload);
        assert_eq!(
            unmarshal_primary(payload).as_deref(),
            Ok("krb_ccache_33O3jPf")
        );
        for damaged in [
            &b""[..],
            b"\0\0\0\x01",
            b"\0\0\0\x01\0\0\0\x02a",
            b"\0\0\0\x01\0\0\0\0",
            b"\0\0\0\x01\0\0\0\x01\xff",
            b"\0\0\0\x01\0\0\0\x01\0",
        ] {
            assert_eq!(unmarshal_primary(damaged), Err(KeyringError::BadPrimary));
        }
        assert_eq!(
            unmarshal_primary(b"\0\0\0\x02\0\0\0\x01a"),
            Err(KeyringError::UnknownVersion { found: 2 })
        );
    }

    #[test]
    fn time_offsets_there_and_back() {
        for microseconds in [0, 1, -1, 5_250_000, -5_250_000] {
            let payload = marshal_time_offset(microseconds);
            assert_eq!(unmarshal_time_offset(&payload), Ok(microseconds));
        }
        assert_eq!(marshal_time_offset(-1), *b"\xff\xff\xff\xff\0\x0f\x42\x3f");
        assert_eq!(
            unmarshal_time_offset(&[0; 7]),
            Err(KeyringError::BadTimeOffset { length: 7 })
        );
    }

    /// As `/proc/keys` shows what MIT's kinit leaves.
    #[test]
    fn keys_are_called_as_mit_calls_them() {
        let tgs = Principal::parse("krbtgt/R@R", None).unwrap();
        assert_eq!(ticket_key(&tgs), "krbtgt/R@R");
        let setting = ConfigEntry::new("pa_type", Some(&tgs), b"2".to_vec());
        assert_eq!(
            config_key(&setting),
            "krb5_ccache_conf_data/pa_type/krbtgt\\/R\\@R@X-CACHECONF:"
        );
    }

    #[test]
    fn keys_end_with_their_tickets_and_never_live_for_ever() {
        let at = Timestamp::from_seconds;
        assert_eq!(timeout(at(1600), at(1000)), 600);
        assert_eq!(timeout(at(1000), at(1000)), 1);
        assert_eq!(timeout(at(0), at(1000)), 1);
        assert_eq!(timeout(at(i64::from(u32::MAX) * 2), at(0)), u32::MAX);
    }
}

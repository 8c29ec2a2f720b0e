//! Credential caches: the tickets of one client (MIT, "Credential cache file format").
//!
//! Read are the versions 1 to 4 of the FILE format; written is version 4. Where the file lies, its
//! mode and its locks are the business of whoever opens it.

mod file;
mod format;
pub mod kcm;
pub mod keyring;
mod kirbi;
mod write;

use std::sync::Arc;

use thiserror::Error;
use trihound_asn1::{DecodeError, EncodeError, Realm, name_type};
use trihound_crypto::{Enctype, Error as CryptoError, Status};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use crate::credentials::Credentials;
use crate::name::Principal;
use format::{CutRecord, Encoding};

pub use file::{CacheFile, Patch};
pub use kirbi::{from_krb_cred, from_krb_cred_parts, krb_cred_info, to_krb_cred};

/// The realm of entries that are no tickets but settings of the cache.
const CONFIG_REALM: &str = "X-CACHECONF:";
/// The realm of such entries once they are removed.
const REMOVED_CONFIG_REALM: &str = "X-RMED-CONF:";
/// The first name component of such entries.
const CONFIG_NAME: &str = "krb5_ccache_conf_data";

/// Why bytes are not a credential cache or an exported credential, or one cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The first two bytes are not 05 and a version from 1 to 4.
    #[error(
        "not a credential cache: it begins with {found:02x?} instead of [05, 04]; remove it and log in again (kinit)"
    )]
    UnknownVersion {
        /// What the file begins with, two bytes at most.
        found: Vec<u8>,
    },
    /// Something is longer than what is left of the file.
    #[error(
        "credential cache: {what} needs {needed} bytes at offset {offset} and the file ends \
         before; it is cut short or damaged"
    )]
    Truncated {
        /// The part that is cut.
        what: &'static str,
        /// Offset in the file.
        offset: usize,
        /// Number of bytes that should be there.
        needed: usize,
    },
    /// Something stands behind what should be alone.
    #[error("credential cache: {extra} bytes stand behind {what}, which should be alone there")]
    TrailingBytes {
        /// What should be alone.
        what: &'static str,
        /// How many bytes there are behind it.
        extra: usize,
    },
    /// In format version 1 the count includes the realm, so zero cannot be.
    #[error("credential cache: the name at offset {offset} has no realm; the file is damaged")]
    NoRealm {
        /// Offset of the count in the file.
        offset: usize,
    },
    /// There are more of something than any ticket has.
    #[error(
        "credential cache: {what} at offset {offset} are {count} and at most {limit} are read; the \
         file is damaged, or made to exhaust memory"
    )]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// Offset of the count in the file.
        offset: usize,
        /// The count.
        count: u32,
        /// The most that is read.
        limit: u32,
    },
    /// A record does not end within the file, and is not what a killed writer leaves either.
    #[error(
        "credential cache: the record at offset {offset} claims more bytes than there are ({what}), \
         and {evidence}, so no writer was stopped there: the file is damaged and left as it is; log \
         in again (kinit), which makes a new one"
    )]
    BrokenRecord {
        /// Where the record begins in the file.
        offset: usize,
        /// The part whose length leads past the end.
        what: &'static str,
        /// What tells it from a record that is cut short.
        evidence: &'static str,
    },
    /// Something does not fit the format's fields.
    #[error("credential cache: {what} does not fit the file format")]
    TooLong {
        /// The part in question.
        what: &'static str,
    },
    /// A KRB-CRED is no such message.
    #[error("exported credential: {0}")]
    Decode(#[from] DecodeError),
    /// A KRB-CRED could not be made.
    #[error("exported credential: {0}")]
    Encode(#[from] EncodeError),
    /// A KRB-CRED's encrypted part does not open with the key at hand.
    #[error("exported credential: {0}")]
    Decrypt(#[from] CryptoError),
    /// A KRB-CRED is encrypted and no key was given, or the other way round.
    #[error(
        "exported credential: its information is of encryption type {found}; {}",
        if *found == 0 { "it is in the clear, where a key was expected" }
        else { "hand in the key that opens it" }
    )]
    KeyNeeded {
        /// The type in the message.
        found: i32,
    },
    /// RFC 4120 section 5.8.1: there must be one KrbCredInfo for each ticket.
    #[error("exported credential: {tickets} tickets and information on {infos}")]
    TicketCountDiffers {
        /// Tickets in the message.
        tickets: usize,
        /// Elements of ticket-info.
        infos: usize,
    },
    /// What a KrbCredInfo may leave out (RFC 4120 section 5.8.1) and a cache needs.
    #[error("exported credential: ticket {index} comes without its {field}")]
    MissingField {
        /// Index of the ticket.
        index: usize,
        /// The field that is absent.
        field: &'static str,
    },
}

/// A setting of the cache, kept in the file as if it were a ticket (conformance row 116).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    server: Principal,
    /// The value.
    pub data: Vec<u8>,
}

impl ConfigEntry {
    /// A setting of the whole cache, or of one service in it.
    #[must_use]
    pub fn new(key: &str, principal: Option<&Principal>, data: Vec<u8>) -> Self {
        let mut names = vec![CONFIG_NAME.to_owned(), key.to_owned()];
        names.extend(principal.map(Principal::to_string));
        Self {
            server: Principal::new(CONFIG_REALM, name_type::NT_UNKNOWN, names),
            data,
        }
    }

    /// The setting's name, such as `fast_avail` or `pa_type`.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.server.components().nth(1).unwrap_or_default()
    }

    /// The service that it is for, in text form; `None` when it is for the whole cache.
    #[must_use]
    pub fn principal(&self) -> Option<&[u8]> {
        self.server.components().nth(2)
    }
}

/// One record of a cache.
#[derive(Debug)]
pub enum Entry {
    /// A ticket.
    Ticket(Box<Credentials>),
    /// A setting.
    Config(ConfigEntry),
    /// Something that was removed and left its place in the file.
    Removed,
}

/// Writes a ticket as keyrings, daemons and files of version 4 have it.
///
/// # Errors
///
/// [`CacheError::TooLong`] when a name, a key or an address does not fit.
pub fn marshal_credentials(credentials: &Credentials) -> Result<SecretBytes, CacheError> {
    write::to_secret(Encoding::CURRENT, |out| out.credential(credentials))
}

/// Writes a setting in the form of a ticket of `client`, the cache's principal.
///
/// # Errors
///
/// [`CacheError::TooLong`] when a name or the value does not fit.
pub fn marshal_config(client: &Principal, entry: &ConfigEntry) -> Result<SecretBytes, CacheError> {
    write::to_secret(Encoding::CURRENT, |out| out.config(client, entry))
}

/// Reads what [`marshal_credentials`] or [`marshal_config`] wrote.
///
/// # Errors
///
/// [`CacheError::Truncated`] and [`CacheError::TrailingBytes`].
pub fn unmarshal_credentials(bytes: &[u8]) -> Result<Entry, CacheError> {
    format::alone(bytes, "a ticket", |parser| {
        parser.record().map(|(entry, _)| entry)
    })
}

/// Writes a principal as keyrings, daemons and files of version 4 have it.
///
/// # Errors
///
/// [`CacheError::TooLong`] when the name does not fit.
pub fn marshal_principal(principal: &Principal) -> Result<Vec<u8>, CacheError> {
    let bytes = write::to_secret(Encoding::CURRENT, |out| out.principal(principal))?;
    Ok(bytes.expose().to_vec())
}

/// Reads what [`marshal_principal`] wrote.
///
/// # Errors
///
/// [`CacheError::Truncated`] and [`CacheError::TrailingBytes`].
pub fn unmarshal_principal(bytes: &[u8]) -> Result<Principal, CacheError> {
    format::alone(bytes, "a principal", |parser| {
        parser.principal("a principal")
    })
}

/// A credential cache in memory.
#[derive(Clone, Debug)]
pub struct CredentialCache {
    /// The default client.
    pub principal: Principal,
    /// The tickets, oldest first.
    pub credentials: Vec<Arc<Credentials>>,
    /// The settings.
    pub config: Vec<ConfigEntry>,
    /// How far the KDC's clock is ahead of ours, in microseconds, if that was noted.
    pub time_offset: Option<i64>,
    version: u8,
}

impl CredentialCache {
    /// A cache without tickets.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        Self {
            principal,
            credentials: Vec::new(),
            config: Vec::new(),
            time_offset: None,
            version: format::VERSION_4,
        }
    }

    /// Reads a cache file of any version (conformance row 116).
    ///
    /// The file has no count of its tickets: one that ends right behind a ticket is whole. The
    /// versions 1 and 2 are in the byte order of the machine that wrote them; ours is tried first,
    /// then the other.
    ///
    /// # Errors
    ///
    /// [`CacheError`] with what is damaged and where. Nothing of a damaged file is used.
    pub fn parse(bytes: &[u8]) -> Result<Self, CacheError> {
        format::parse(bytes, CutRecord::Refuse).map(|content| content.cache)
    }

    /// Writes the cache in version 4: settings first, then the tickets.
    ///
    /// # Errors
    ///
    /// [`CacheError::TooLong`] when a name, a key or a time offset does not fit.
    pub fn to_bytes(&self) -> Result<SecretBytes, CacheError> {
        write::to_secret(Encoding::CURRENT, |out| out.cache(self))
    }

    /// The format version that the cache was read from; 4 for a new one.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The ticket of `client` for `server` that lasts longest, if it is not expired at `now`. Of
    /// several that last as long, one whose session key is of a recommended type, and of these the
    /// oldest. Tickets that are encrypted in a session key are left out: they are no use to the
    /// service's own key.
    #[must_use]
    pub fn find(
        &self,
        client: &Principal,
        server: &Principal,
        now: Timestamp,
    ) -> Option<&Arc<Credentials>> {
        self.credentials
            .iter()
            .filter(|credentials| {
                credentials.server == *server
                    && credentials.client == *client
                    && !credentials.is_skey
                    && credentials.is_valid_at(now)
            })
            // Of equals `max_by_key` takes the last, which is the oldest when seen from behind.
            .rev()
            .max_by_key(|credentials| {
                let profile = credentials.session_key.enctype().profile();
                let is_recommended =
                    profile.is_some_and(|profile| profile.status == Status::Recommended);
                (credentials.endtime, is_recommended)
            })
    }

    /// The ticket-granting ticket of the default client for its own realm, if not expired.
    #[must_use]
    pub fn tgt(&self, now: Timestamp) -> Option<&Arc<Credentials>> {
        let krbtgt = Principal::krbtgt(&self.principal.realm);
        self.find(&self.principal, &krbtgt, now)
    }

    /// Adds a ticket, in the place of one that it [replaces](Self::replaces).
    pub fn store(&mut self, credentials: Arc<Credentials>) {
        self.credentials
            .retain(|held| !Self::replaces(&credentials, held));
        self.credentials.push(credentials);
    }

    /// Whether a new ticket makes a held one superfluous: it is for the same client and service, of
    /// the same kind, and its session key is of the same encryption type.
    #[must_use]
    pub fn replaces(new: &Credentials, held: &Credentials) -> bool {
        held.client == new.client
            && held.server == new.server
            && held.is_skey == new.is_skey
            && held.session_key.enctype() == new.session_key.enctype()
    }

    /// Removes the tickets of `client` for `server` and tells how many there were.
    pub fn remove(&mut self, client: &Principal, server: &Principal) -> usize {
        let before = self.credentials.len();
        self.credentials
            .retain(|held| held.client != *client || held.server != *server);
        before.saturating_sub(self.credentials.len())
    }

    /// The value of a setting of the whole cache (`principal` absent) or of one service.
    #[must_use]
    pub fn config(&self, key: &str, principal: Option<&Principal>) -> Option<&[u8]> {
        let wanted = ConfigEntry::new(key, principal, Vec::new());
        self.config
            .iter()
            .find(|entry| entry.server == wanted.server)
            .map(|entry| entry.data.as_slice())
    }

    /// Sets a setting; `None` removes it.
    pub fn set_config(&mut self, key: &str, principal: Option<&Principal>, data: Option<&[u8]>) {
        let new = ConfigEntry::new(key, principal, data.unwrap_or_default().to_vec());
        self.config.retain(|entry| entry.server != new.server);
        if data.is_some() {
            self.config.push(new);
        }
    }
}

fn is_config_realm(realm: &Realm) -> bool {
    realm.as_bytes() == CONFIG_REALM.as_bytes()
}

fn is_removed_config_realm(realm: &Realm) -> bool {
    realm.as_bytes() == REMOVED_CONFIG_REALM.as_bytes()
}

/// The number of an encryption type as it stands in files, in 16 bits.
fn enctype_from_file(number: i16) -> Enctype {
    Enctype(i32::from(number))
}

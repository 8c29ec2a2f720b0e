//! Tickets with their session keys, and keys that are made ready for use once.

use core::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use trihound_asn1::{AuthorizationDataElement, HostAddress, TicketFlags};
use trihound_crypto::{Enctype, EnctypePolicy, Error as CryptoError, Key};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use crate::name::Principal;

/// A key as a file or message holds it, of any encryption type; becomes a [`Key`] when it is
/// first used, and stays one, so that usage keys are derived once.
pub struct KeyMaterial {
    enctype: Enctype,
    bytes: SecretBytes,
    key: OnceLock<Arc<Key>>,
}

impl KeyMaterial {
    /// From its encryption type and its bytes. Neither is checked before [`Self::key`].
    #[must_use]
    pub fn new(enctype: Enctype, bytes: SecretBytes) -> Self {
        Self {
            enctype,
            bytes,
            key: OnceLock::new(),
        }
    }

    /// From a key that is in use already.
    #[must_use]
    pub fn from_key(key: Arc<Key>) -> Self {
        Self {
            enctype: key.enctype(),
            bytes: SecretBytes::from(key.expose()),
            key: OnceLock::from(key),
        }
    }

    /// The encryption type.
    #[must_use]
    pub fn enctype(&self) -> Enctype {
        self.enctype
    }

    /// The bytes of the key. The caller answers for what becomes of them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose()
    }

    /// A second copy of the key's bytes, sharing the [`Key`] if there is one already.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            enctype: self.enctype,
            bytes: self.bytes.duplicate(),
            key: self.key.clone(),
        }
    }

    /// The key ready for use; the same one at every call, if `policy` permits it.
    ///
    /// # Errors
    ///
    /// Those of [`Key::new`]: the type is unknown, not permitted, or of another key length.
    pub fn key(&self, policy: &EnctypePolicy) -> Result<Arc<Key>, CryptoError> {
        policy.check(self.enctype)?;
        if let Some(key) = self.key.get() {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(Key::new(self.enctype, self.bytes.expose(), policy)?);
        // Where two threads come here at once, both go on with the key of the first.
        Ok(Arc::clone(self.key.get_or_init(|| key)))
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({}, {:?})", self.enctype, self.bytes)
    }
}

/// A ticket, its session key, and what the KDC's reply told about it.
///
/// Shared as `Arc<Credentials>` everywhere: there is one copy of a session key and of the keys
/// derived from it. `Debug` shows names, times and flags, and lengths of the rest.
pub struct Credentials {
    /// Whom the ticket names.
    pub client: Principal,
    /// Which service the ticket is for.
    pub server: Principal,
    /// The session key.
    pub session_key: KeyMaterial,
    /// The ticket's DER, as it was received; never re-encoded.
    pub ticket: Vec<u8>,
    /// The ticket's flags.
    pub flags: TicketFlags,
    /// When the client was authenticated.
    pub authtime: Timestamp,
    /// From when on the ticket is valid; `None` means from `authtime` on.
    pub starttime: Option<Timestamp>,
    /// Until when the ticket is valid.
    pub endtime: Timestamp,
    /// Until when it can be renewed.
    pub renew_till: Option<Timestamp>,
    /// The addresses that it may be used from; empty for any.
    pub addresses: Vec<HostAddress>,
    /// The client's authorization data, kept with the ticket.
    pub authdata: Vec<AuthorizationDataElement>,
    /// Whether the ticket is encrypted in a session key (user to user) instead of the service's.
    pub is_skey: bool,
    /// The second ticket of a user-to-user ticket, DER; else empty.
    pub second_ticket: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client", &self.client.to_string())
            .field("server", &self.server.to_string())
            .field("session_key", &self.session_key)
            .field("flags", &self.flags)
            .field("valid_from", &self.valid_from().to_string())
            .field("endtime", &self.endtime.to_string())
            .field("renew_till", &self.renew_till.map(|time| time.to_string()))
            .field("is_skey", &self.is_skey)
            .field("ticket", &self.ticket.len())
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// From when on the ticket is valid.
    #[must_use]
    pub fn valid_from(&self) -> Timestamp {
        self.starttime.unwrap_or(self.authtime)
    }

    /// Whether the ticket can be used at `now`, with no allowance for skew: a client has nothing to
    /// gain from a ticket that is about to be refused.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        now < self.endtime
    }

    /// Whether the ticket will still be usable `margin` after `now`.
    #[must_use]
    pub fn is_valid_for(&self, now: Timestamp, margin: Duration) -> bool {
        self.is_valid_at(now.plus(margin))
    }
}

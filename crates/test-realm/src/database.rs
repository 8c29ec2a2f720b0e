use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use trihound_crypto::{Enctype, EnctypePolicy, Key};
use trihound_krb5::Principal;
use trihound_krb5::pac::{ClaimsSet, Sid};
use trihound_sansio::{RandomSource, Timestamp};
use trihound_secret::SecretString;

use crate::Error;

/// The version of every key that a realm begins with. Version 1 is there too, as the key before.
pub(crate) const FIRST_KVNO: u32 = 2;

/// What a principal is, beyond its name and password. The default is an ordinary user or service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PrincipalOptions {
    /// The enctypes of its keys, in order of preference; `None`: all of the realm's.
    pub enctypes: Option<Vec<Enctype>>,
    /// Whether an AS-REQ for it has to prove knowledge of the key first (RFC 4120 section 5.2.7.2).
    pub requires_preauth: bool,
    /// The salt; `None`: the default one, realm and components joined (RFC 4120 section 4).
    pub salt: Option<Vec<u8>>,
    /// The string-to-key parameters, such as an iteration count of 4 bytes (RFC 3962 section 4);
    /// `None`: the enctype's default.
    pub s2kparams: Option<Vec<u8>>,
    /// When the principal ends (KDC_ERR_NAME_EXP).
    pub expires: Option<Timestamp>,
    /// When the password ends (KDC_ERR_KEY_EXPIRED).
    pub password_expires: Option<Timestamp>,
    /// Locked (KDC_ERR_CLIENT_REVOKED).
    pub locked: bool,
    /// The longest life of its tickets; `None`: the realm's.
    pub max_life: Option<Duration>,
    /// The longest renewable life of its tickets; `None`: the realm's.
    pub max_renewable_life: Option<Duration>,
    /// Whether tickets for it or by it may be forwardable and the like; the realm's policy goes
    /// first.
    pub forwardable: bool,
    /// As a service: trusted to act for its clients (ok-as-delegate, RFC 4120 section 2.8).
    pub ok_as_delegate: bool,
    /// Whether tickets for it are given out at all.
    pub is_service: bool,
    /// The relative identifier of its SID; `None`: the next one that is free.
    pub rid: Option<u32>,
    /// The relative identifiers of its groups, besides Domain Users.
    pub groups: Vec<u32>,
    /// SIDs of other domains and authorities that it has.
    pub extra_sids: Vec<Sid>,
    /// What the domain claims of it.
    pub claims: ClaimsSet,
    /// As a service: tickets for it have no PAC (NO_AUTH_DATA_REQUIRED, MS-KILE section 3.3.5.3).
    pub no_pac: bool,
}

impl Default for PrincipalOptions {
    fn default() -> Self {
        Self {
            enctypes: None,
            requires_preauth: true,
            salt: None,
            s2kparams: None,
            expires: None,
            password_expires: None,
            locked: false,
            max_life: None,
            max_renewable_life: None,
            forwardable: true,
            ok_as_delegate: false,
            is_service: true,
            rid: None,
            groups: Vec::new(),
            extra_sids: Vec::new(),
            claims: ClaimsSet::default(),
            no_pac: false,
        }
    }
}

impl PrincipalOptions {
    /// Keys of these enctypes only, in order of preference.
    #[must_use]
    pub fn enctypes(mut self, enctypes: &[Enctype]) -> Self {
        self.enctypes = Some(enctypes.to_vec());
        self
    }

    /// No proof of the key is asked before an AS-REP.
    #[must_use]
    pub fn without_preauth(mut self) -> Self {
        self.requires_preauth = false;
        self
    }

    /// Another salt than the default.
    #[must_use]
    pub fn salt(mut self, salt: impl Into<Vec<u8>>) -> Self {
        self.salt = Some(salt.into());
        self
    }

    /// Another iteration count than the enctype's default (RFC 3962 section 4).
    #[must_use]
    pub fn iterations(mut self, count: u32) -> Self {
        self.s2kparams = Some(count.to_be_bytes().to_vec());
        self
    }

    /// The principal ends then.
    #[must_use]
    pub fn expires(mut self, at: Timestamp) -> Self {
        self.expires = Some(at);
        self
    }

    /// The password ends then.
    #[must_use]
    pub fn password_expires(mut self, at: Timestamp) -> Self {
        self.password_expires = Some(at);
        self
    }

    /// No ticket for anyone under this name.
    #[must_use]
    pub fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    /// Tickets live no longer than this.
    #[must_use]
    pub fn max_life(mut self, life: Duration) -> Self {
        self.max_life = Some(life);
        self
    }

    /// Tickets can be renewed no longer than this.
    #[must_use]
    pub fn max_renewable_life(mut self, life: Duration) -> Self {
        self.max_renewable_life = Some(life);
        self
    }

    /// Its tickets are never forwardable or proxiable.
    #[must_use]
    pub fn not_forwardable(mut self) -> Self {
        self.forwardable = false;
        self
    }

    /// Tickets for this service carry ok-as-delegate.
    #[must_use]
    pub fn ok_as_delegate(mut self) -> Self {
        self.ok_as_delegate = true;
        self
    }

    /// Its SID ends in this number.
    #[must_use]
    pub fn rid(mut self, rid: u32) -> Self {
        self.rid = Some(rid);
        self
    }

    /// It is in these groups of its domain, and in Domain Users.
    #[must_use]
    pub fn groups(mut self, relative_ids: &[u32]) -> Self {
        self.groups = relative_ids.to_vec();
        self
    }

    /// It has these SIDs as well.
    #[must_use]
    pub fn extra_sids(mut self, sids: &[Sid]) -> Self {
        self.extra_sids = sids.to_vec();
        self
    }

    /// The domain claims this of it.
    #[must_use]
    pub fn claims(mut self, claims: ClaimsSet) -> Self {
        self.claims = claims;
        self
    }

    /// Tickets for this service have no PAC.
    #[must_use]
    pub fn without_pac(mut self) -> Self {
        self.no_pac = true;
        self
    }

    /// No ticket is given out for this name as a service.
    #[must_use]
    pub fn client_only(mut self) -> Self {
        self.is_service = false;
        self
    }
}

/// Where a key comes from.
pub(crate) enum Secret {
    Password(SecretString),
    Random,
    Given(Vec<(u32, Arc<Key>)>),
}

/// A key that is derived from its password when first used: string-to-key is slow on purpose.
pub(crate) struct KeySlot {
    pub(crate) kvno: u32,
    pub(crate) enctype: Enctype,
    key: OnceLock<Arc<Key>>,
}

/// A principal of the realm.
pub(crate) struct Entry {
    pub(crate) principal: Principal,
    pub(crate) options: PrincipalOptions,
    pub(crate) salt: Vec<u8>,
    password: Option<SecretString>,
    /// Newest version first, and within it in order of preference.
    keys: Vec<KeySlot>,
}

impl Entry {
    pub(crate) fn new(
        principal: Principal,
        secret: Secret,
        options: PrincipalOptions,
        realm: &EnctypePolicy,
        random: &dyn RandomSource,
    ) -> Result<Self, Error> {
        let name = principal.to_string();
        let wanted = options.enctypes.as_deref().unwrap_or(realm.enctypes());
        let salt = options
            .salt
            .clone()
            .unwrap_or_else(|| principal.default_salt());
        let random_key = |enctype| {
            Key::generate(enctype, realm, random)
                .map(Arc::new)
                .map_err(|source| Error::Key {
                    principal: name.clone(),
                    source,
                })
        };
        let mut keys = Vec::new();
        let mut password = None;
        match secret {
            Secret::Password(text) => {
                for &enctype in wanted {
                    keys.push(KeySlot::empty(FIRST_KVNO, enctype));
                }
                password = Some(text);
            }
            Secret::Random => {
                for kvno in [FIRST_KVNO, FIRST_KVNO - 1] {
                    for &enctype in wanted {
                        keys.push(KeySlot::filled(kvno, random_key(enctype)?));
                    }
                }
            }
            Secret::Given(given) => {
                keys = given
                    .into_iter()
                    .map(|(kvno, key)| KeySlot::filled(kvno, key))
                    .collect();
                keys.sort_by_key(|slot| core::cmp::Reverse(slot.kvno));
            }
        }
        if keys.is_empty() {
            return Err(Error::NoKey(name));
        }
        Ok(Self {
            principal,
            options,
            salt,
            password,
            keys,
        })
    }

    /// The present version of its keys.
    pub(crate) fn kvno(&self) -> u32 {
        self.keys.first().map_or(0, |slot| slot.kvno)
    }

    /// The slots of the present version, in order of preference.
    pub(crate) fn present(&self) -> impl Iterator<Item = &KeySlot> {
        let kvno = self.kvno();
        self.keys.iter().filter(move |slot| slot.kvno == kvno)
    }

    /// The slots of the version before the present one.
    pub(crate) fn previous(&self) -> impl Iterator<Item = &KeySlot> {
        let kvno = self.kvno();
        let before = self
            .keys
            .iter()
            .map(|slot| slot.kvno)
            .filter(|&other| other != kvno)
            .max();
        self.keys
            .iter()
            .filter(move |slot| Some(slot.kvno) == before)
    }

    /// The present key of this enctype, if it has one.
    pub(crate) fn slot(&self, enctype: Enctype) -> Option<&KeySlot> {
        self.present().find(|slot| slot.enctype == enctype)
    }

    /// The key that a ticket names; without a version, the present one.
    pub(crate) fn slot_of(&self, kvno: Option<u32>, enctype: Enctype) -> Option<&KeySlot> {
        match kvno {
            None => self.slot(enctype),
            Some(kvno) => self
                .keys
                .iter()
                .find(|slot| slot.kvno == kvno && slot.enctype == enctype),
        }
    }

    /// Derives the key if it was not used before.
    pub(crate) fn key(
        &self,
        slot: &KeySlot,
        realm: &EnctypePolicy,
    ) -> Result<Arc<Key>, trihound_crypto::Error> {
        if let Some(key) = slot.key.get() {
            return Ok(Arc::clone(key));
        }
        let password = self
            .password
            .as_ref()
            .map_or(&b""[..], |text| text.expose().as_bytes());
        let key = Arc::new(Key::from_password(
            slot.enctype,
            password,
            &self.salt,
            self.options.s2kparams.as_deref(),
            realm,
        )?);
        Ok(Arc::clone(slot.key.get_or_init(|| key)))
    }

    /// Replaces the keys by those of a new password, one version up; random keys stay as old ones.
    pub(crate) fn set_password(&mut self, password: SecretString) {
        let next = self.kvno().wrapping_add(1);
        let enctypes: Vec<_> = self.present().map(|slot| slot.enctype).collect();
        self.password = Some(password);
        // A password's older keys cannot be derived any more; those already derived stay.
        self.keys.retain(|slot| slot.key.get().is_some());
        let fresh = enctypes.into_iter().map(|e| KeySlot::empty(next, e));
        self.keys.splice(0..0, fresh);
    }

    /// Replaces the keys by random ones, one version up; the present ones stay as old ones.
    pub(crate) fn rotate(
        &mut self,
        realm: &EnctypePolicy,
        random: &dyn RandomSource,
    ) -> Result<(), Error> {
        let next = self.kvno().wrapping_add(1);
        let mut fresh = Vec::new();
        for slot in self.present() {
            let key = Key::generate(slot.enctype, realm, random).map_err(|source| Error::Key {
                principal: self.principal.to_string(),
                source,
            })?;
            fresh.push(KeySlot::filled(next, Arc::new(key)));
        }
        self.keys.retain(|slot| slot.key.get().is_some());
        self.keys.splice(0..0, fresh);
        Ok(())
    }
}

impl KeySlot {
    fn empty(kvno: u32, enctype: Enctype) -> Self {
        Self {
            kvno,
            enctype,
            key: OnceLock::new(),
        }
    }

    fn filled(kvno: u32, key: Arc<Key>) -> Self {
        Self {
            kvno,
            enctype: key.enctype(),
            key: OnceLock::from(key),
        }
    }
}

/// The principals by name. The realm counts: `krbtgt/A@B` of a trust is another than `krbtgt/A@A`.
#[derive(Default)]
pub(crate) struct Database(HashMap<Principal, Arc<Entry>>);

impl Database {
    pub(crate) fn insert(&mut self, entry: Entry) -> Result<(), Error> {
        if self.0.contains_key(&entry.principal) {
            return Err(Error::Duplicate(entry.principal.to_string()));
        }
        self.0.insert(entry.principal.clone(), Arc::new(entry));
        Ok(())
    }

    pub(crate) fn get(&self, principal: &Principal) -> Option<Arc<Entry>> {
        self.0.get(principal).cloned()
    }

    pub(crate) fn change(
        &mut self,
        principal: &Principal,
        change: impl FnOnce(&mut Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let unknown = || Error::UnknownPrincipal(principal.to_string());
        let shared = self.0.get_mut(principal).ok_or_else(unknown)?;
        // A request that is being answered holds on to the old entry.
        let mut entry = shared.duplicate();
        change(&mut entry)?;
        *shared = Arc::new(entry);
        Ok(())
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.values()
    }
}

impl Entry {
    fn duplicate(&self) -> Self {
        Self {
            principal: self.principal.clone(),
            options: self.options.clone(),
            salt: self.salt.clone(),
            password: self.password.as_ref().map(SecretString::duplicate),
            keys: self
                .keys
                .iter()
                .map(|slot| KeySlot {
                    kvno: slot.kvno,
                    enctype: slot.enctype,
                    key: slot.key.clone(),
                })
                .collect(),
        }
    }
}

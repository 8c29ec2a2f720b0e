//! What the KDC tells about the client's key, and the key made of it (RFC 4120 sections 3.1.3 and
//! 5.2.7).

use core::fmt;
use std::sync::Arc;

use trihound_asn1::{EtypeInfo, EtypeInfo2, Message, MethodData, PaData, pa_type};
use trihound_crypto::{Enctype, Key};

use super::request::{Login, list};
use super::{ClientSecret, StringToKeyInfo};
use crate::{CredentialFailure, Error, KdcMisbehaved, trace};

/// The client's key for one enctype.
pub(super) struct ClientKey {
    pub(super) key: Arc<Key>,
    /// The version, where a keytab tells it.
    pub(super) kvno: Option<u32>,
    /// What the KDC told of it; the reply may say otherwise.
    info: KeyInfo,
}

/// One entry of ETYPE-INFO2 or ETYPE-INFO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyInfo {
    enctype: Enctype,
    /// `None`: the default salt.
    salt: Option<Vec<u8>>,
    s2kparams: Option<Vec<u8>>,
}

/// What a list of padata says of interest here.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// By the KDC's preference; `None` when it sent neither ETYPE-INFO2 nor ETYPE-INFO.
    entries: Option<Vec<KeyInfo>>,
    salt: Option<Vec<u8>>,
    types: Vec<i32>,
    pub(super) cookie: Option<Vec<u8>>,
}

impl Hints {
    pub(super) fn from_method_data(der: &[u8]) -> Result<Self, Error> {
        Self::from_padata(&MethodData::from_der(der)?)
    }

    pub(super) fn from_padata(padata: &[PaData]) -> Result<Self, Error> {
        let find = |wanted: i32| {
            padata
                .iter()
                .find(|entry| entry.padata_type == wanted)
                .map(|entry| entry.padata_value.as_ref())
        };
        let entries = match (find(pa_type::PA_ETYPE_INFO2), find(pa_type::PA_ETYPE_INFO)) {
            // RFC 4120 5.2.7.5: a client that gets ETYPE-INFO2 ignores ETYPE-INFO.
            (Some(der), _) => Some(from_info2(der)?),
            (None, Some(der)) => Some(from_info(der)?),
            (None, None) => None,
        };
        Ok(Self {
            entries,
            salt: find(pa_type::PA_PW_SALT).map(<[u8]>::to_vec),
            types: padata.iter().map(|entry| entry.padata_type).collect(),
            cookie: find(pa_type::PA_FX_COOKIE).map(<[u8]>::to_vec),
        })
    }

    /// Salt and parameters for one enctype; the defaults where the KDC told none.
    pub(super) fn for_enctype(&self, enctype: Enctype) -> KeyInfo {
        let told = self
            .entries
            .iter()
            .flatten()
            .find(|entry| entry.enctype == enctype);
        let mut info = told.cloned().unwrap_or(KeyInfo {
            enctype,
            salt: None,
            s2kparams: None,
        });
        // RFC 4120 5.2.7.3: PA-PW-SALT is for where the entry brings no salt of its own.
        if info.salt.is_none() {
            info.salt.clone_from(&self.salt);
        }
        info
    }

    /// What keys of these types are made with, in the KDC's order, each type once.
    pub(super) fn string_to_key(
        &self,
        enctypes: &[Enctype],
        default_salt: &[u8],
    ) -> Vec<StringToKeyInfo> {
        let mut told: Vec<Enctype> = Vec::new();
        for entry in self.entries.iter().flatten() {
            if enctypes.contains(&entry.enctype) && !told.contains(&entry.enctype) {
                told.push(entry.enctype);
            }
        }
        told.into_iter()
            .map(|enctype| {
                let info = self.for_enctype(enctype);
                StringToKeyInfo {
                    enctype: info.enctype,
                    salt: info.salt.unwrap_or_else(|| default_salt.to_vec()),
                    s2kparams: info.s2kparams,
                }
            })
            .collect()
    }

    /// Whether anything was said about the client's key.
    pub(super) fn say_anything(&self) -> bool {
        self.entries.is_some() || self.salt.is_some()
    }
}

fn from_info2(der: &[u8]) -> Result<Vec<KeyInfo>, Error> {
    let info = EtypeInfo2::from_der(der)?;
    Ok(info
        .into_iter()
        .map(|entry| KeyInfo {
            enctype: Enctype(entry.etype),
            salt: entry.salt.map(|salt| salt.as_bytes().to_vec()),
            s2kparams: entry.s2kparams.map(|params| params.to_vec()),
        })
        .collect())
}

fn from_info(der: &[u8]) -> Result<Vec<KeyInfo>, Error> {
    let info = EtypeInfo::from_der(der)?;
    Ok(info
        .into_iter()
        .map(|entry| KeyInfo {
            enctype: Enctype(entry.etype),
            salt: entry.salt.map(|salt| salt.to_vec()),
            s2kparams: None,
        })
        .collect())
}

/// Pre-authentication types by name and number.
fn pa_type_names(types: &[i32]) -> String {
    types
        .iter()
        .map(|number| match pa_type::name(*number) {
            Some(name) => format!("{name} ({number})"),
            None => number.to_string(),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

impl Login {
    /// The key for PA-ENC-TIMESTAMP: of the first enctype in the KDC's list that was requested.
    pub(super) fn key_for_timestamp(&self, hints: &Hints) -> Result<ClientKey, Error> {
        if !hints.types.contains(&pa_type::PA_ENC_TIMESTAMP) {
            return Err(CredentialFailure::NoPreauthentication {
                client: self.client.to_string(),
                offered: pa_type_names(&hints.types),
                asked: list(&self.enctypes),
            }
            .into());
        }
        let enctype = match &hints.entries {
            Some(entries) => entries
                .iter()
                .map(|entry| entry.enctype)
                // RFC 4120 5.2.7.5 with 3.1.3: only a type that the request listed.
                .find(|enctype| self.enctypes.contains(enctype) && self.can_make(*enctype))
                .ok_or_else(|| KdcMisbehaved::NoCommonEnctype {
                    offered: list(
                        &entries
                            .iter()
                            .map(|entry| entry.enctype)
                            .collect::<Vec<_>>(),
                    ),
                    permitted: list(&self.enctypes),
                })?,
            // Nothing is told of the key: one from a keytab needs no telling, and PA-PW-SALT was
            // enough before there were enctypes to choose from.
            None => self
                .enctypes
                .iter()
                .copied()
                .find(|enctype| self.can_make(*enctype))
                .filter(|_| hints.say_anything() || matches!(self.secret, ClientSecret::Keys(_)))
                .ok_or(CredentialFailure::NoEnctypeInfo)?,
        };
        self.make_key(hints.for_enctype(enctype), None)
    }

    /// The key that the reply is encrypted in. `known` is reused when it is the one.
    pub(super) fn key_for_reply(
        &self,
        hints: &Hints,
        enctype: Enctype,
        kvno: Option<u32>,
        known: Option<&ClientKey>,
    ) -> Result<Arc<Key>, Error> {
        let told = hints.for_enctype(enctype);
        if let Some(known) = known
            && known.info.enctype == enctype
            && (!hints.say_anything() || known.info == told)
            && (known.kvno.is_none() || kvno.is_none() || known.kvno == kvno)
        {
            return Ok(Arc::clone(&known.key));
        }
        self.make_key(told, kvno).map(|made| made.key)
    }

    fn can_make(&self, enctype: Enctype) -> bool {
        match &self.secret {
            ClientSecret::Password(_) => true,
            ClientSecret::Keys(keys) => keys.iter().any(|key| key.key.enctype() == enctype),
        }
    }

    fn make_key(&self, info: KeyInfo, kvno: Option<u32>) -> Result<ClientKey, Error> {
        match &self.secret {
            ClientSecret::Password(password) => {
                let (told, params) = (info.salt.as_deref(), &info.s2kparams);
                trace::key_info(info.enctype, told, params.is_some());
                let default_salt;
                let salt = match &info.salt {
                    Some(salt) => salt,
                    None => {
                        default_salt = self.client.default_salt();
                        &default_salt
                    }
                };
                let key = Key::from_password(
                    info.enctype,
                    password.expose().as_bytes(),
                    salt,
                    info.s2kparams.as_deref(),
                    &self.policy,
                )
                .map_err(Error::crypto("making of a key from the password"))?;
                Ok(ClientKey {
                    key: Arc::new(key),
                    kvno: None,
                    info,
                })
            }
            ClientSecret::Keys(keys) => {
                let of_type = || keys.iter().filter(|key| key.key.enctype() == info.enctype);
                let named = kvno.and_then(|kvno| of_type().find(|key| key.kvno == kvno));
                let newest = of_type().max_by_key(|key| key.kvno);
                let Some(found) = named.or(newest) else {
                    return Err(CredentialFailure::NoClientKey {
                        client: self.client.to_string(),
                        enctype: info.enctype,
                        available: list(
                            &keys.iter().map(|key| key.key.enctype()).collect::<Vec<_>>(),
                        ),
                    }
                    .into());
                };
                Ok(ClientKey {
                    key: Arc::clone(&found.key),
                    kvno: Some(found.kvno),
                    info,
                })
            }
        }
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({})", self.info.enctype)
    }
}

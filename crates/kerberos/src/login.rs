//! What a credential's settings make of it: its own store, its own KDC, the times of its tickets.

use core::time::Duration;
use std::sync::Arc;

use trihound_asn1::name_type::NT_ENTERPRISE;
use trihound_krb5::{AsRequest, CredentialStore, Principal, StorePlaces};
use trihound_sansio::Timestamp;
use trihound_secret::SecretString;
use trihound_sspi::{AcquireRequest, CredentialSettings, CredentialUse, Identity, SettingFields};

use crate::credential::KerberosCredential;
use crate::error::{CredentialError, Error};
use crate::package::KerberosConfig;
use crate::route::KdcChoice;

/// What the package follows. FAST and PKINIT are not built.
pub(crate) const FOLLOWED: SettingFields = SettingFields::KDC_URL
    .union(SettingFields::KEYTAB)
    .union(SettingFields::CREDENTIAL_CACHE)
    .union(SettingFields::LIFETIME)
    .union(SettingFields::START_TIME)
    .union(SettingFields::RENEWABLE_LIFETIME);

/// What takes an opener of caches and keytabs.
pub(crate) const PLACES: SettingFields =
    SettingFields::KEYTAB.union(SettingFields::CREDENTIAL_CACHE);

/// The times that the logins of a credential ask for, in place of the configuration's.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoginTimes {
    lifetime: Option<Duration>,
    renewable_lifetime: Option<Duration>,
    start: Option<Timestamp>,
}

impl LoginTimes {
    fn new(settings: &CredentialSettings, now: Timestamp) -> Result<Self, CredentialError> {
        // RFC 4120 section 5.3: Kerberos' times have whole seconds; a shorter life is none.
        if settings
            .lifetime
            .is_some_and(|lifetime| lifetime < Duration::from_secs(1))
        {
            return Err(CredentialError::WrongSetting {
                setting: "lifetime",
                reason: "it is less than a second".to_owned(),
            });
        }
        Ok(Self {
            lifetime: settings.lifetime,
            renewable_lifetime: settings.renewable_lifetime,
            start: settings
                .start_time
                .filter(|after| !after.is_zero())
                .map(|after| now.plus(after)),
        })
    }

    pub(crate) fn ask(&self, request: &mut AsRequest, now: Timestamp) {
        if self.lifetime.is_some() {
            request.lifetime = self.lifetime;
        }
        if let Some(renewable) = self.renewable_lifetime {
            request.renew_lifetime = Some(renewable).filter(|length| !length.is_zero());
        }
        // Once the moment has come, later logins are for now.
        request.start_time = self.start.filter(|start| *start > now);
    }
}

/// The package's configuration with the credential's own store, where its settings name one.
pub(crate) fn own_store(
    request: &AcquireRequest<'_>,
    config: &KerberosConfig,
) -> Result<Option<KerberosConfig>, Error> {
    let Some(settings) = request.settings else {
        return Ok(None);
    };
    let outbound = request.credential_use.contains(CredentialUse::OUTBOUND);
    let inbound = request.credential_use.contains(CredentialUse::INBOUND);
    let places = StorePlaces {
        cache: settings.credential_cache.as_deref(),
        keytab: settings.keytab.as_deref().filter(|_| inbound),
        client_keytab: settings.keytab.as_deref().filter(|_| outbound),
    };
    let setting = match (places.cache, &settings.keytab) {
        (Some(_), _) => "credential_cache",
        (None, Some(_)) => "keytab",
        (None, None) => return Ok(None),
    };
    let with_tickets =
        matches!(request.identity, Some(Identity::Packed(_))) || request.impersonation.is_some();
    if outbound && with_tickets && (places.cache.is_some() || !inbound) {
        return Err(CredentialError::UnservedSetting {
            setting,
            reason: "a delegated credential brings its tickets along and has no key",
        }
        .into());
    }
    let opener = config
        .stores
        .as_ref()
        .ok_or(CredentialError::UnservedSetting {
            setting,
            reason: "this program's Kerberos was made without an opener of caches and keytabs \
                     (KerberosConfig::stores)",
        })?;
    let store = opener.open(&places)?;
    Ok(Some(KerberosConfig {
        store,
        ..config.clone()
    }))
}

/// A client whose password the caller gave, with the places that the settings name.
pub(crate) fn of_password(
    client: Principal,
    password: &SecretString,
    request: &AcquireRequest<'_>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, Error> {
    let set = |field| {
        request
            .settings
            .is_some_and(|settings| settings.fields().contains(field))
    };
    let cached = set(SettingFields::CREDENTIAL_CACHE);
    if cached {
        check_owner(&client, request, &config.store)?;
    }
    if set(SettingFields::KEYTAB) {
        let inbound = request.credential_use.contains(CredentialUse::INBOUND);
        match of_keytab(client.clone(), config) {
            // Of both directions' keytab the client may have no part.
            Err(Error::Credential(CredentialError::NoKeyOfPrincipal { .. }))
                if inbound && !password.is_empty() => {}
            other => return other,
        }
    }
    let password = password.duplicate();
    Ok(if cached {
        KerberosCredential::from_password_in_store(client, password, Arc::clone(&config.store))
    } else {
        KerberosCredential::from_password(client, password)
    })
}

/// A client with the keys of the keytab that its settings name.
fn of_keytab(client: Principal, config: &KerberosConfig) -> Result<KerberosCredential, Error> {
    let keytab = config.store.client_keytab()?;
    let policy = &config.environment.config.permitted_enctypes;
    if keytab.client_keys(&client, policy).is_empty() {
        return Err(CredentialError::NoKeyOfPrincipal {
            principal: client.to_string(),
        }
        .into());
    }
    let store = Arc::clone(&config.store);
    Ok(KerberosCredential::from_client_keytab(client, store))
}

/// A client without an identity, out of the keytab that its settings name: the one who was asked for, the
/// owner of the cache, or the first in the keytab.
pub(crate) fn of_named_keytab(
    named: Option<Principal>,
    request: &AcquireRequest<'_>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, Error> {
    let cached = request
        .settings
        .is_some_and(|settings| settings.credential_cache.is_some());
    let keytab = config.store.client_keytab()?;
    let policy = &config.environment.config.permitted_enctypes;
    let owner = match &named {
        None if cached => cache_owner(&config.store)?
            .filter(|owner| !keytab.client_keys(owner, policy).is_empty()),
        _ => None,
    };
    let first = || {
        let entry = keytab.entries().first();
        entry.map(|entry| entry.principal.clone())
    };
    let client = named
        .or(owner)
        .or_else(first)
        .ok_or(CredentialError::EmptyKeytab)?;
    if cached {
        check_owner(&client, request, &config.store)?;
    }
    of_keytab(client, config)
}

fn cache_owner(store: &Arc<dyn CredentialStore>) -> Result<Option<Principal>, Error> {
    match store.default_principal() {
        Ok(owner) => Ok(owner),
        Err(trihound_krb5::StoreError::NoCache { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A cache has one owner: nobody else's tickets are put into it, nor are they passed over in silence.
pub(crate) fn check_owner(
    client: &Principal,
    request: &AcquireRequest<'_>,
    store: &Arc<dyn CredentialStore>,
) -> Result<(), Error> {
    let name = request
        .settings
        .and_then(|settings| settings.credential_cache.clone());
    // Whose an enterprise name is only a KDC knows (RFC 6806 section 5).
    let (Some(cache), false) = (name, client.name.name_type == NT_ENTERPRISE) else {
        return Ok(());
    };
    match cache_owner(store)? {
        Some(owner) if owner != *client && store.tickets(client)?.is_empty() => {
            Err(CredentialError::CacheOfOther {
                cache,
                owner: owner.to_string(),
                client: client.to_string(),
            }
            .into())
        }
        _ => Ok(()),
    }
}

/// Has the credential follow what is left of the settings.
pub(crate) fn follow(
    credential: &KerberosCredential,
    settings: Option<&CredentialSettings>,
    now: Timestamp,
) -> Result<(), CredentialError> {
    let Some(settings) = settings else {
        return Ok(());
    };
    let choice = settings.kdc_url.as_deref().map(KdcChoice::from_url);
    let (choice, times) = (choice.transpose()?, LoginTimes::new(settings, now)?);
    if let Ok(outbound) = credential.outbound() {
        outbound.follow(choice.unwrap_or_default(), times);
    }
    Ok(())
}

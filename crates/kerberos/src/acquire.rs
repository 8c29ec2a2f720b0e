//! AcquireCredentialsHandle.

use std::sync::Arc;

use tracing::debug;
use trihound_asn1::name_type::{NT_ENTERPRISE, NT_PRINCIPAL};
use trihound_krb5::{Config, CredentialStore, Credentials, Principal, StoreError};
use trihound_sspi::{AccountName, AcquireRequest, CredentialUse, Identity};

use crate::credential::{KerberosCredential, Onward};
use crate::delegation;
use crate::error::{CredentialError, Error, sspi_error};
use crate::login;
use crate::package::KerberosConfig;

pub(crate) fn acquire(
    request: AcquireRequest<'_>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, trihound_sspi::Error> {
    let inbound = request.credential_use.contains(CredentialUse::INBOUND);
    let outbound = request.credential_use.contains(CredentialUse::OUTBOUND);
    let own = login::own_store(&request, config).map_err(sspi_error)?;
    let config = own.as_ref().unwrap_or(config);
    let mut credential = KerberosCredential::default();
    if outbound && inbound && request.identity.is_none() && request.principal.is_none() {
        credential = acquire_onward(&request, config)?;
    } else if outbound {
        credential = acquire_outbound(&request, config)?;
    }
    if inbound {
        let principal = if outbound { None } else { request.principal };
        let keys = acquire_inbound(principal, config).map_err(sspi_error)?;
        credential = credential.and(keys);
    }
    if !inbound && !outbound {
        return Err(sspi_error(CredentialError::OtherDirection {
            direction: "either",
            flag: "SECPKG_CRED_INBOUND, SECPKG_CRED_OUTBOUND or SECPKG_CRED_BOTH",
        }));
    }
    let now = config.environment.now(0);
    login::follow(&credential, request.settings, now).map_err(sspi_error)?;
    Ok(credential)
}

fn acquire_outbound(
    request: &AcquireRequest<'_>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, trihound_sspi::Error> {
    let environment = &config.environment;
    match request.identity {
        Some(Identity::Password {
            user,
            domain,
            password,
        }) => {
            let client = client_principal(user, domain.as_deref(), &environment.config)?;
            login::of_password(client, password, request, config).map_err(sspi_error)
        }
        Some(Identity::Packed(packed)) => {
            let tickets = delegation::open(packed).map_err(sspi_error)?;
            from_delegated(tickets, request.principal, config)
        }
        Some(_) => Err(sspi_error(CredentialError::UnknownIdentity {
            reason: "give a name and password, or a credential that this package packed",
        })),
        None => {
            // An impersonating thread never acts with the service's own credential.
            if let Some(token) = request.impersonation {
                let tickets = delegation::of_token(token).map_err(sspi_error)?;
                return from_delegated(tickets, request.principal, config);
            }
            let client = request
                .principal
                .map(|name| parsed_client(name, None, &environment.config))
                .transpose()?;
            without_identity(client, request, config).map_err(sspi_error)
        }
    }
}

fn without_identity(
    client: Option<Principal>,
    request: &AcquireRequest<'_>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, Error> {
    let keytab = request.settings.and_then(|own| own.keytab.as_deref());
    // Of both directions the keytab is the service's; its tickets may be elsewhere.
    if keytab.is_some() && !request.credential_use.contains(CredentialUse::INBOUND) {
        return login::of_named_keytab(client, request, config);
    }
    if let Some(client) = &client {
        login::check_owner(client, request, &config.store)?;
    }
    from_store(client, config)
}

/// For both directions without an identity: a service that goes on as its clients. It may have no
/// tickets of its own.
fn acquire_onward(
    request: &AcquireRequest<'_>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, trihound_sspi::Error> {
    if request.impersonation.is_some() {
        return acquire_outbound(request, config);
    }
    match from_store(None, config) {
        Ok(own) => Ok(own.with_onward(Onward::ByClient { own: None })),
        Err(Error::Credential(error)) => {
            let onward = Onward::ByClient { own: Some(error) };
            Ok(KerberosCredential::default().with_onward(onward))
        }
        Err(error) => Err(sspi_error(error)),
    }
}

/// The tickets that a client delegated, for itself and nobody else.
fn from_delegated(
    tickets: Vec<Credentials>,
    named: Option<&str>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, trihound_sspi::Error> {
    let credential = KerberosCredential::from_delegated(tickets).map_err(sspi_error)?;
    let named = named
        .map(|name| parsed_client(name, None, &config.environment.config))
        .transpose()?;
    if let (Some(named), Some(client)) = (&named, credential.principal())
        && named != client
    {
        return Err(sspi_error(CredentialError::OtherClient {
            asked: named.to_string(),
            client: client.to_string(),
        }));
    }
    Ok(credential)
}

/// The principal of a client by what people type: `alice`, `alice@REALM`, `REALM\\alice`, a user and a domain
/// apart, or a user principal name of Active Directory.
///
/// # Errors
///
/// SEC_E_INVALID_PARAMETER for what is no name, or has no realm.
pub fn client_principal(
    user: &str,
    domain: Option<&str>,
    config: &Config,
) -> Result<Principal, trihound_sspi::Error> {
    match user_principal_name(user, domain, config) {
        Some(client) => Ok(client),
        None => parsed_client(user, domain, config),
    }
}

/// A user principal name of Active Directory, `alice@suffix.example`, of the default realm, whose KDC knows whose it is
/// (RFC 6806 section 5): what follows the `@` is a suffix and no realm if no realm of the configuration has
/// that name and it is not written as realms are, in capitals (RFC 4120 section 6.1).
fn user_principal_name(user: &str, domain: Option<&str>, config: &Config) -> Option<Principal> {
    if domain.is_some_and(|domain| !domain.is_empty()) {
        return None;
    }
    let Ok(AccountName::UserPrincipal { suffix, .. }) = AccountName::parse(user) else {
        return None;
    };
    let is_realm = known_realm(&suffix, config) != suffix
        || config.realms.contains_key(&suffix)
        || config.default_realm.as_deref() == Some(suffix.as_str())
        || !suffix.contains(|c: char| c.is_ascii_lowercase());
    if is_realm {
        return None;
    }
    // One component with everything in it, whatever a backslash or a slash would mean elsewhere.
    let realm = config.default_realm.as_deref()?;
    Some(Principal::new(realm, NT_ENTERPRISE, [user]))
}

/// A client's principal from what people type: `alice`, `alice@REALM`, `REALM\alice`, or a user and
/// a domain apart.
fn parsed_client(
    user: &str,
    domain: Option<&str>,
    config: &Config,
) -> Result<Principal, trihound_sspi::Error> {
    if let Some(domain) = domain.filter(|domain| !domain.is_empty()) {
        return Ok(Principal::new(
            known_realm(domain, config),
            NT_PRINCIPAL,
            [user],
        ));
    }
    if let AccountName::DownLevel { domain, user } = AccountName::parse(user)? {
        return Ok(Principal::new(
            known_realm(&domain, config),
            NT_PRINCIPAL,
            [user.as_str()],
        ));
    }
    let principal = Principal::parse(user, config.default_realm.as_deref())
        .map_err(|error| sspi_error(Error::Name(error)))?;
    let realm = principal.realm.to_string();
    let known = known_realm(&realm, config).to_owned();
    Ok(if known == realm {
        principal
    } else {
        principal.with_realm(known.as_str())
    })
}

/// A realm in the letter case in which the configuration has it: people type `example.com`, realms
/// are `EXAMPLE.COM`, and Kerberos tells them apart.
fn known_realm<'a>(realm: &'a str, config: &'a Config) -> &'a str {
    let names = || {
        config
            .realms
            .keys()
            .map(String::as_str)
            .chain(config.default_realm.as_deref())
    };
    if names().any(|known| known == realm) {
        return realm;
    }
    names()
        .find(|known| known.eq_ignore_ascii_case(realm))
        .unwrap_or(realm)
}

/// Without an identity the store is asked: its tickets first, then the keys of clients.
fn from_store(
    named: Option<Principal>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, Error> {
    let store = &config.store;
    let now = config
        .environment
        .now(store.time_offset()?.unwrap_or_default());
    let client = match named {
        Some(client) => Some(client),
        None => no_cache_is_none(store.default_principal())?.flatten(),
    };
    if let Some(keyed) = with_client_keytab(client.as_ref(), config)? {
        if let Some(client) = keyed.principal() {
            debug!(%client, "Using the client keytab's keys of {client}");
        }
        return Ok(keyed);
    }
    let Some(client) = client else {
        return Err(CredentialError::NoIdentity {
            reason: "the credential cache has no principal and there is no client keytab"
                .to_owned(),
        }
        .into());
    };
    let tickets = no_cache_is_none(store.tickets(&client))?.unwrap_or_default();
    if !tickets.iter().any(|ticket| ticket.is_valid_at(now)) {
        return Err(CredentialError::NoTicketGrantingTicket {
            client: client.to_string(),
        }
        .into());
    }
    debug!(%client, "Using the tickets of {client} in the credential cache");
    Ok(KerberosCredential::from_store(client, Arc::clone(store)))
}

/// A client keytab that has keys of the client lets it log in anew by itself.
fn with_client_keytab(
    client: Option<&Principal>,
    config: &KerberosConfig,
) -> Result<Option<KerberosCredential>, Error> {
    let keytab = match config.store.client_keytab() {
        Ok(keytab) => keytab,
        Err(StoreError::NoKeytab { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let client = match client {
        Some(client) => Some(client.clone()),
        None => keytab
            .entries()
            .first()
            .map(|entry| entry.principal.clone()),
    };
    let policy = &config.environment.config.permitted_enctypes;
    Ok(client
        .filter(|client| !keytab.client_keys(client, policy).is_empty())
        .map(|client| KerberosCredential::from_client_keytab(client, Arc::clone(&config.store))))
}

fn no_cache_is_none<T>(outcome: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::NoCache { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The keytab has to be there, and to have a key that could ever open a ticket.
fn acquire_inbound(
    name: Option<&str>,
    config: &KerberosConfig,
) -> Result<KerberosCredential, Error> {
    let store: &Arc<dyn CredentialStore> = &config.store;
    let keytab = store.keytab()?;
    if keytab.is_empty() {
        return Err(CredentialError::EmptyKeytab.into());
    }
    let principal = name
        .map(|name| acceptor_principal(name, &config.environment.config))
        .transpose()?;
    if let Some(principal) = &principal
        && keytab.of_principal(principal).next().is_none()
        && !(config.environment.config.ignore_acceptor_hostname
            && keytab
                .entries()
                .iter()
                .any(|entry| entry.principal.is_same_service(principal)))
    {
        return Err(CredentialError::NoKeyOfPrincipal {
            principal: principal.to_string(),
        }
        .into());
    }
    Ok(KerberosCredential::acceptor_from_store(
        Arc::clone(store),
        principal,
    ))
}

/// `service/host`, of the realm given, else of the one that the host is mapped to, else the default.
fn acceptor_principal(name: &str, config: &Config) -> Result<Principal, Error> {
    let host = name.split_once('/').map(|(_, host)| host);
    let mapped = host.and_then(|host| config.realm_of_host(host));
    let default = mapped.or(config.default_realm.as_deref());
    Ok(Principal::parse(name, default)?)
}

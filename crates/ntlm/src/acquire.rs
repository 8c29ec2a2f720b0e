//! AcquireCredentialsHandle.

use trihound_secret::SecretString;
use trihound_sspi::{AccountName, AcquireRequest, CredentialUse, Identity};

use crate::config::NtlmConfig;
use crate::credential::NtlmCredential;
use crate::error::{CredentialError, PolicyError, sspi_error};

/// What the policy denies altogether is not acquired. Of SECPKG_CRED_BOTH the denied half is left
/// out.
pub(crate) fn acquire(
    request: AcquireRequest<'_>,
    config: &NtlmConfig,
) -> Result<NtlmCredential, trihound_sspi::Error> {
    let inbound = request.credential_use.contains(CredentialUse::INBOUND);
    let outbound = request.credential_use.contains(CredentialUse::OUTBOUND);
    let (in_allowed, out_allowed) = (
        config.policy.incoming.permits_any(),
        config.policy.outgoing.permits_any(),
    );
    let mut credential = NtlmCredential::default();
    if outbound && out_allowed {
        credential = credential.and(acquire_outbound(&request, config)?);
    }
    if inbound && in_allowed {
        credential = credential.and(acquire_inbound(&request, config).map_err(sspi_error)?);
    }
    let denied = |direction| {
        sspi_error(PolicyError::Denied {
            direction,
            target: None,
        })
    };
    // MS-NLMP sections 3.1.5.1.1 and 3.2.5.1.2: ClientBlocked, ServerBlock (conformance row 160).
    match (outbound, inbound) {
        (false, false) => Err(sspi_error(CredentialError::OtherDirection {
            direction: "either",
            flag: "SECPKG_CRED_INBOUND, SECPKG_CRED_OUTBOUND or SECPKG_CRED_BOTH",
        })),
        (true, _) if !(out_allowed || (inbound && in_allowed)) => Err(denied("outgoing")),
        (false, true) if !in_allowed => Err(denied("incoming")),
        (true, true) if request.identity.is_none() && request.principal.is_none() => {
            Ok(credential.following_client())
        }
        _ => Ok(credential),
    }
}

fn acquire_outbound(
    request: &AcquireRequest<'_>,
    config: &NtlmConfig,
) -> Result<NtlmCredential, trihound_sspi::Error> {
    match request.identity {
        Some(Identity::Password {
            user,
            domain,
            password,
        }) => of_password(user, domain.as_deref(), password),
        Some(_) => Err(sspi_error(CredentialError::UnknownIdentity {
            reason: "it is packed, and NTLM packs none; give a name and password",
        })),
        None => {
            // An impersonating thread never acts with the service's own credential.
            if let Some(token) = request.impersonation {
                return Err(sspi_error(CredentialError::NothingDelegated {
                    client: token.client_name.clone(),
                }));
            }
            let found = config
                .credentials
                .as_ref()
                .and_then(|source| source.default_credential(request.principal));
            found.ok_or_else(|| {
                sspi_error(CredentialError::NoIdentity {
                    principal: request.principal.map(str::to_owned),
                })
            })
        }
    }
}

/// A user and a domain apart, `DOMAIN\user`, or a user principal name, which is sent as it is. Nothing
/// at all is nobody.
fn of_password(
    user: &str,
    domain: Option<&str>,
    password: &SecretString,
) -> Result<NtlmCredential, trihound_sspi::Error> {
    let domain = domain.unwrap_or_default();
    if user.is_empty() && password.is_empty() {
        return Ok(NtlmCredential::anonymous());
    }
    let (user, domain) = if domain.is_empty() {
        match AccountName::parse(user)? {
            AccountName::DownLevel { domain, user } => (user, domain),
            AccountName::Plain { .. } | AccountName::UserPrincipal { .. } => {
                (user.to_owned(), String::new())
            }
        }
    } else {
        AccountName::parse(user)?;
        (user.to_owned(), domain.to_owned())
    };
    Ok(NtlmCredential::from_password(
        user,
        domain,
        password.duplicate(),
    ))
}

/// The accounts that the settings name, else those of the package.
fn acquire_inbound(
    request: &AcquireRequest<'_>,
    config: &NtlmConfig,
) -> Result<NtlmCredential, CredentialError> {
    let named = request.settings.and_then(|own| own.accounts.as_deref());
    let verifier = match (named, &config.accounts) {
        (Some(name), Some(opener)) => opener.open(name).map_err(CredentialError::Accounts)?,
        // The table refuses the setting where there is no opener.
        _ => config.verifier.clone().ok_or(CredentialError::NoVerifier)?,
    };
    Ok(NtlmCredential::acceptor(verifier))
}

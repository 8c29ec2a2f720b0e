//! Delegation: a forwarded ticket-granting ticket on its way to the acceptor (RFC 4121 section 4.1.1),
//! and what the acceptor does with it.

use std::sync::Arc;

use tracing::debug;
use trihound_asn1::TicketFlags;
use trihound_asn1::gss::{GssChecksum, GssFlags};
use trihound_krb5::ap::AcceptedApReq;
use trihound_krb5::ccache::{from_krb_cred, to_krb_cred};
use trihound_krb5::{
    Config, Credentials, Environment, Error as KerberosError, PeerMisbehaved, PlainCredentials,
    Principal,
};
use trihound_secret::SecretBytes;
use trihound_sspi::{AccessToken, ImpersonationLevel, PackedCredential};

use crate::Kerberos;
use crate::error::{CredentialError, Error};

/// What a packed credential of this package begins with: four bytes to know it by, and the version of
/// what follows, which is a KRB-CRED in the clear (RFC 4120 section 5.8).
const PACKED_HEADER: [u8; 5] = *b"THKC\x01";

/// Tickets that one client may delegate at once. MIT krb5, Heimdal and Windows send one.
const MAX_DELEGATED: usize = 16;

/// To which services the client's ticket-granting ticket goes, where DELEGATE is asked for.
///
/// By default to those that their realm trusts to act for its clients: their tickets have the flag
/// OK-AS-DELEGATE (RFC 4120 section 2.8). What goes further is in [`crate::danger`]; with
/// `enforce_ok_as_delegate` in krb5.conf nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DelegationPolicy(Trust);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Trust {
    Nobody,
    #[default]
    OkAsDelegate,
    Named(Arc<[String]>),
    Anyone,
}

impl DelegationPolicy {
    /// To none, whoever asks.
    #[must_use]
    pub const fn never() -> Self {
        Self(Trust::Nobody)
    }

    pub(crate) const fn to_anyone() -> Self {
        Self(Trust::Anyone)
    }

    pub(crate) fn to_named(services: Vec<String>) -> Self {
        Self(Trust::Named(services.into()))
    }

    /// Whether the ticket-granting ticket may go to the service of this ticket.
    pub(crate) fn permits(&self, service: &Credentials, config: &Config) -> bool {
        // RFC 4120 section 2.8 (conformance row 94): the service's realm trusts it.
        let is_trusted = service.flags.contains(TicketFlags::OK_AS_DELEGATE);
        match &self.0 {
            Trust::Nobody => false,
            _ if is_trusted => true,
            _ if config.enforce_ok_as_delegate => false,
            Trust::OkAsDelegate => false,
            Trust::Named(names) => names.iter().any(|name| is_named(&service.server, name)),
            Trust::Anyone => true,
        }
    }
}

fn is_named(server: &Principal, name: &str) -> bool {
    let realm = server.realm.to_str();
    Principal::parse(name, realm).is_ok_and(|named| named == *server)
}

/// What the client delegated in the checksum of its authenticator, if anything that counts.
pub(crate) fn received(
    checksum: &GssChecksum,
    accepted: &AcceptedApReq,
    plain: PlainCredentials,
    environment: &Environment,
) -> Result<Option<Vec<Credentials>>, Error> {
    let Some(message) = &checksum.delegation else {
        return Ok(None);
    };
    let mut credentials = match accepted.delegated_credentials(message, plain, environment) {
        Ok(credentials) => credentials,
        // RFC 4121 section 4.1.1.1: under the session key, or it is none (conformance row 95). Heimdal's
        // clients send all of theirs without, so the login itself goes on.
        Err(error @ KerberosError::PeerMisbehaved(PeerMisbehaved::CredentialNotEncrypted)) => {
            debug!(client = %accepted.client, "The tickets of {} are left: {error}", accepted.client);
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    // GSS_C_IDENTIFY_FLAG: the client is to be known here, and nobody acts for it.
    if checksum.flags.contains(GssFlags::IDENTIFY) {
        debug!(client = %accepted.client, "The tickets of {} are left: it asked for IDENTIFY", accepted.client);
        return Ok(None);
    }
    let now = environment.now(0);
    credentials.retain(|ticket| ticket.is_valid_at(now));
    credentials.truncate(MAX_DELEGATED);
    debug!(
        client = %accepted.client,
        count = credentials.len(),
        "{} delegated {} tickets that are still valid",
        accepted.client,
        credentials.len()
    );
    Ok(Some(credentials).filter(|credentials| !credentials.is_empty()))
}

/// Delegated tickets in the form in which an access token carries them.
pub(crate) fn packed(credentials: &[Credentials]) -> Result<PackedCredential, Error> {
    let all: Vec<&Credentials> = credentials.iter().collect();
    let message = to_krb_cred(&all).map_err(|_| CredentialError::UnknownIdentity {
        reason: "the delegated tickets cannot be written down",
    })?;
    let mut blob = SecretBytes::zeroed(PACKED_HEADER.len().saturating_add(message.len()));
    let (header, rest) = blob.expose_mut().split_at_mut(PACKED_HEADER.len());
    header.copy_from_slice(&PACKED_HEADER);
    rest.copy_from_slice(message.expose());
    Ok(PackedCredential {
        package: Kerberos::NAME.to_owned(),
        blob,
    })
}

/// Opens what [`packed`] made. The bytes may have gone through anybody's hands.
pub(crate) fn open(packed: &PackedCredential) -> Result<Vec<Credentials>, Error> {
    let fault = |reason| Error::from(CredentialError::UnknownIdentity { reason });
    if !packed.package.eq_ignore_ascii_case(Kerberos::NAME) {
        return Err(fault("another package packed it"));
    }
    let Some(message) = packed.blob.expose().strip_prefix(&PACKED_HEADER) else {
        return Err(fault(
            "it does not begin as a packed credential of this version does",
        ));
    };
    let credentials = from_krb_cred(message, None)
        .map_err(|_| fault("the tickets in it are cut short or damaged"))?;
    let Some(first) = credentials.first() else {
        return Err(fault("there is no ticket in it"));
    };
    if credentials.iter().any(|one| one.client != first.client) {
        return Err(fault("the tickets in it are of several clients"));
    }
    Ok(credentials)
}

/// The tickets by which a thread that impersonates this client goes on: those that the client delegated.
pub(crate) fn of_token(token: &AccessToken) -> Result<Vec<Credentials>, Error> {
    match &token.delegated_credential {
        Some(delegated) if token.level >= ImpersonationLevel::Delegation => open(delegated),
        _ => Err(CredentialError::NothingDelegated {
            client: token.client_name.clone(),
        }
        .into()),
    }
}

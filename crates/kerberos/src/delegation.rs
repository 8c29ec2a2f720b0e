//! Delegation: a forwarded ticket-granting ticket on its way to the acceptor (RFC 4121 section 4.1.1).

use trihound_asn1::gss::GssChecksum;
use trihound_krb5::ap::AcceptedApReq;
use trihound_krb5::{Credentials, Environment};

use crate::error::Error;

/// What the client delegated in the checksum of its authenticator, if anything.
pub(crate) fn received(
    _checksum: &GssChecksum,
    _accepted: &AcceptedApReq,
    _environment: &Environment,
) -> Result<Option<Vec<Credentials>>, Error> {
    Ok(None)
}

//! What gives up the protection that the signatures give.

use trihound_asn1::EncTicketPart;

use super::{Pac, PacPolicy, UnverifiedPac, build};
use crate::{Error, InvalidPac};

/// Reads a PAC that nobody verified: for showing what came, never for deciding anything by it.
///
/// # Security
///
/// Whoever sent the bytes may have written anything into them (CVE-2014-6324).
///
/// # Errors
/// [`InvalidPac`]: a buffer is not what its type says.
pub fn read_without_verifying(pac: &UnverifiedPac<'_>) -> Result<Pac, InvalidPac> {
    Pac::read(pac)
}

/// PACs are not looked at: the login holds by the ticket alone, and nothing is known of the client but
/// its name.
///
/// # Security
///
/// A PAC that was altered goes unnoticed, and users are told apart by names only, which can be given to
/// somebody else (CVE-2020-25717). For peers whose PACs are broken.
#[must_use]
pub fn ignore_pacs() -> PacPolicy {
    PacPolicy::IGNORED
}

/// Puts bytes into a ticket in the place of its PAC, whatever they are: for tests of those who read
/// them.
///
/// # Security
///
/// Nothing signs them.
///
/// # Errors
/// [`Error::ApiMisuse`]: the ticket cannot be encoded.
pub fn put_unsigned(ticket: &mut EncTicketPart, bytes: &[u8]) -> Result<(), Error> {
    build::insert(ticket, bytes)
}

//! What gives up the protection that the signatures give.

use super::{Pac, UnverifiedPac};
use crate::InvalidPac;

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

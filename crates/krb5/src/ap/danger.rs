//! What makes an acceptor take less than the standards demand.

use crate::PlainCredentials;

/// Takes delegated credentials that are not encrypted, as Heimdal's initiators and Samba's send them.
/// Whatever else is wrong with one refuses the login as ever.
///
/// # Security
///
/// RFC 4121 section 4.1.1.1 wants the credential under the session key. Without that the ticket-granting
/// ticket's key is kept secret by the encryption of the authenticator alone, and is in the clear in every
/// copy of the decrypted authenticator, which are not wiped.
#[must_use]
pub const fn take_plain_credentials() -> PlainCredentials {
    PlainCredentials::TAKEN
}

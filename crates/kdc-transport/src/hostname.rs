//! Names of hosts, and realms of hosts, out of DNS.

use trihound_sansio::{ExchangeRequest, Service, TransportFailure};

use crate::dns::Resolve;

/// Answers a request that goes to DNS and not to a server; `None` for one that is none of those.
/// Blocking.
#[allow(dead_code)] // until the race asks for it
pub(crate) fn answer(
    request: &ExchangeRequest,
    resolver: &dyn Resolve,
) -> Option<Result<Vec<u8>, TransportFailure>> {
    let _ = resolver;
    match request.service {
        Service::HostName { .. } | Service::HostRealm => Some(Err(TransportFailure::default())),
        _ => None,
    }
}

use std::sync::Arc;

use trihound_asn1::name_type;
use trihound_crypto::OsRandom;
use trihound_krb5::{
    Config, CredentialCache, Credentials, Environment, Principal, TgsExchange, TgsOutcome,
    TgsRequest,
};
use trihound_sansio::{Clock, DriveError, SystemClock, Timestamp, drive};

use crate::network::kdc_transport;
use crate::outcome::Failure;
use crate::phrases::{Doing, failed};

/// The real world, for an exchange.
pub(crate) fn environment(config: &Arc<Config>) -> Environment {
    Environment::new(
        Arc::new(SystemClock),
        Arc::new(OsRandom),
        Arc::clone(config),
    )
}

/// The principal that a service argument means: `service/host[@REALM]`. Without a realm it is left
/// to `[domain_realm]` and, after that, to the realm of the ticket-granting ticket and its referrals.
pub(crate) fn service(
    config: &Config,
    name: &str,
    own_realm: Option<&str>,
) -> Result<Principal, Failure> {
    let mut server = Principal::parse(name, Some(""))?;
    if server.realm.as_bytes().is_empty() {
        let host = server
            .components()
            .nth(1)
            .and_then(|host| std::str::from_utf8(host).ok());
        let realm = host
            .and_then(|host| config.realm_of_host(host))
            .or(own_realm);
        server = server.with_realm(realm.unwrap_or_default());
    }
    // KDCs refer to other realms only for names of this type (RFC 6806 section 8; MIT's kvno sends it).
    if server.components().count() == 2 && !server.is_krbtgt() {
        server.name.name_type = name_type::NT_SRV_HST;
    }
    Ok(server)
}

/// Gets a ticket with the cache's ticket-granting ticket. The result ends with the service's own
/// ticket; before it stand those of the realms on the way.
pub(crate) fn get(
    config: &Arc<Config>,
    cache: &CredentialCache,
    server: &Principal,
) -> Result<Vec<Arc<Credentials>>, Failure> {
    let now = SystemClock
        .now()
        .shifted(cache.time_offset.unwrap_or_default());
    let tgt = cache
        .tgt(now)
        .ok_or_else(|| no_granting_ticket(cache, server, now))?;
    let mut request = TgsRequest::new(Arc::clone(tgt), server.clone());
    request.time_offset = cache.time_offset.unwrap_or(0);
    let outcome = exchange(config, request, Doing::ServiceTicket(server))?;
    let mut tickets = outcome.tgts;
    tickets.push(Arc::new(outcome.credentials));
    Ok(tickets)
}

fn no_granting_ticket(cache: &CredentialCache, server: &Principal, now: Timestamp) -> Failure {
    let client = &cache.principal;
    let krbtgt = Principal::krbtgt(&client.realm);
    let ended = cache
        .credentials
        .iter()
        .filter(|ticket| ticket.server == krbtgt && ticket.client == *client)
        .map(|ticket| ticket.endtime)
        .max();
    Failure::new(match ended {
        Some(end) => format!(
            "Ticket expired while getting credentials for {server}: the ticket-granting ticket of {client} ended at \
             {end}, now is {now}; log in again (kinit)"
        ),
        None => format!(
            "Matching credential not found while getting credentials for {server}: the cache of {client} has no \
             ticket-granting ticket; log in with kinit"
        ),
    })
}

/// Renews a ticket.
pub(crate) fn renew(
    config: &Arc<Config>,
    ticket: &Arc<Credentials>,
    time_offset: Option<i64>,
) -> Result<Credentials, Failure> {
    let mut request = TgsRequest::renew(Arc::clone(ticket));
    request.time_offset = time_offset.unwrap_or(0);
    Ok(exchange(config, request, Doing::Renewal)?.credentials)
}

/// Validates a postdated ticket.
pub(crate) fn validate(
    config: &Arc<Config>,
    ticket: &Arc<Credentials>,
    time_offset: Option<i64>,
) -> Result<Credentials, Failure> {
    let mut request = TgsRequest::validate(Arc::clone(ticket));
    request.time_offset = time_offset.unwrap_or(0);
    Ok(exchange(config, request, Doing::Validation)?.credentials)
}

fn exchange(
    config: &Arc<Config>,
    request: TgsRequest,
    doing: Doing<'_>,
) -> Result<TgsOutcome, Failure> {
    TgsExchange::begin(request, &environment(config))
        .map_err(DriveError::Protocol)
        .and_then(|exchange| drive(exchange, kdc_transport(Arc::clone(config))))
        .map_err(|error| failed(error, doing))
}
